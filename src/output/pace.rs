//! When the next frame may go.

use std::time::Duration;

use tokio::time::Instant;

/// tokio's timers count whole milliseconds, so a frame may be that late and the next one on time.
const GRAIN: Duration = Duration::from_millis(1);

/// Slots 1/fps apart. They are absolute, so that frames that are a little late do not lower the rate.
#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    slot: Instant,
}

impl Pace {
    /// The first slot is now.
    pub(super) fn new(fps: u32, now: Instant) -> Self {
        Self { gap: Duration::from_secs(1) / fps.max(1), slot: now }
    }

    /// When the next frame may go.
    pub(super) fn slot(&self) -> Instant {
        self.slot
    }

    /// The time between two slots.
    pub(super) fn gap(&self) -> Duration {
        self.gap
    }

    /// A frame was sent.
    pub(super) fn sent(&mut self, at: Instant) {
        self.slot = (self.slot + self.gap).max(at + self.gap - GRAIN.min(self.gap / 8));
    }
}
