//! The guard: when one write takes too long, it releases what waits from RAM. It costs nothing while nothing is written.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::core::Core;

/// A write that takes longer is a dying card: the longest one measured on a healthy one, beside syncs, took 0.18 ms.
const PATIENCE: Duration = Duration::from_millis(50);

/// Between two looks, so that a hung write is noticed after 75 ms at the most (an apply may take 100 ms).
const LOOK: Duration = Duration::from_millis(25);

/// Runs until the store stops.
pub(super) fn run(core: &Arc<Core>) {
    let mut seen = 0;
    let mut shared = core.lock();
    while !shared.stop {
        match &shared.writing {
            Some(writing) if writing.since.elapsed() > PATIENCE => {
                core.fall_to_ram(&mut shared, "the disk did not take a write within 50 ms");
                core.release(shared);
                shared = core.lock();
            }
            None if shared.writes == seen => {
                shared.guard_parked = true;
                shared = core.guard.wait(shared).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            _ => {}
        }
        seen = shared.writes;
        shared = core.guard.wait_timeout(shared, LOOK).unwrap_or_else(PoisonError::into_inner).0;
    }
}
