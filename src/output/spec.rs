//! One output as its family wants it.

use std::time::Duration;

use crate::dmx::UniverseId;

/// Longest pause between attempts (CONTRACT, section 8), unless the settings name another.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What differs between outputs but for their drivers.
pub(super) struct Spec {
    /// Its name in `GET /outputs`.
    pub(super) name: String,
    /// Of its task.
    pub(super) task: &'static str,
    /// The log message of its faults, as in the predecessor's runbook.
    pub(super) event: &'static str,
    /// Ours.
    pub(super) universe: UniverseId,
    /// Frames a second at the most.
    pub(super) fps: u32,
    /// Longest pause while its device is absent.
    pub(super) scan: Duration,
}
