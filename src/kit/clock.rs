//! The wall clock. It may go back, so nothing is ordered by it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds; 1 before 1970, since a `ts` is above 0.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}
