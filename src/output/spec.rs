//! One output as its family defines it.

use std::time::Duration;

use crate::dmx::UniverseId;

/// Longest pause between attempts (CONTRACT, section 8), unless the settings name another.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What differs between outputs, besides their drivers.
pub(super) struct Spec {
    /// Its name in `GET /outputs`.
    pub(super) name: String,
    /// The name of its task.
    pub(super) task: &'static str,
    /// The log message of its faults, as in the predecessor's runbook.
    pub(super) event: &'static str,
    /// Our universe.
    pub(super) universe: UniverseId,
    /// Most frames a second.
    pub(super) fps: u32,
    /// Longest pause while its device is absent.
    pub(super) scan: Duration,
}
