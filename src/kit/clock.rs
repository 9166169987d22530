//! The wall clock. It may go back, so nothing is ordered by it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that was never set shows less (2024-01-01, Unix milliseconds), which then says nothing about age.
pub const CLOCK_WAS_SET: u64 = 1_704_067_200_000;

/// Unix milliseconds; 1 before 1970, since a `ts` is above 0.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}
