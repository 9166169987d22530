//! The wall clock. It may go back, so nothing is ordered by it.
//!
//! A box without a time server begins at any date. A person may tell it the time: that one goes on by the monotonic clock,
//! whatever the system's does, until the network knows better. Ages of what is stored go by the system's own clock, since a
//! jump of this one would end what is kept.

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock that was never set shows less (2024-01-01, Unix milliseconds), which then says nothing about age.
pub const CLOCK_WAS_SET: u64 = 1_704_067_200_000;

/// The day before this dmxd was built, in seconds since 1970. No right clock shows less.
pub const BUILT: u64 = match u64::from_str_radix(env!("DMXD_BUILT"), 10) {
    Ok(built) => built,
    Err(_) => 0,
};

/// Is there once systemd-timesyncd has set the clock by a server (systemd-timesyncd.service(8), "Files").
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static TOLD: Told = Told(AtomicU64::new(0));

/// Unix milliseconds; 1 before 1970, since a `ts` is above 0.
#[must_use]
pub fn now_ms() -> u64 {
    TOLD.now(elapsed_ms()).unwrap_or_else(system_ms)
}

/// The same by the system's own clock, whatever a person has told: for ages of what is kept.
#[must_use]
pub fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// It is `now_ms` now, and goes on from there.
pub fn tell(now_ms: u64) {
    TOLD.tell(now_ms, elapsed_ms());
}

/// The system's clock counts again.
pub fn forget() {
    TOLD.0.store(0, Ordering::Relaxed);
}

/// Whether a told time is in force.
#[must_use]
pub fn is_told() -> bool {
    TOLD.0.load(Ordering::Relaxed) != 0
}

/// Whether a time server has set the system's clock since the machine started.
#[must_use]
pub fn is_synchronized() -> bool {
    Path::new(SYNCHRONIZED).exists()
}

fn elapsed_ms() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What time it was when the process began, by what a person told; 0: nobody did.
struct Told(AtomicU64);

impl Told {
    fn tell(&self, now_ms: u64, elapsed_ms: u64) {
        self.0.store(now_ms.saturating_sub(elapsed_ms).max(1), Ordering::Relaxed);
    }

    fn now(&self, elapsed_ms: u64) -> Option<u64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            began => Some(began.saturating_add(elapsed_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_told_time_goes_on_by_the_monotonic_clock(
            told in CLOCK_WAS_SET..5_000_000_000_000_u64, at in 0..1_000_000_000_u64, later in 0..1_000_000_000_u64,
        ) {
            let clock = Told(AtomicU64::new(0));
            prop_assert_eq!(clock.now(at), None);
            clock.tell(told, at);
            prop_assert_eq!(clock.now(at + later), Some(told + later));
        }
    }
}
