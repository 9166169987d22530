//! Waiting for something observable: the only place in the suite that pauses.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take before the test gives up: far above every deadline of the
/// contract, so that a loaded machine does not fail a test that names no deadline.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Extra room on a deadline of the contract, for a loaded test machine and a debug build.
pub const HEADROOM: u32 = 5;

/// How much later than it happened something may be seen: on two loaded cores a widget read a frame 460 ms late.
pub const LATE: Duration = Duration::from_millis(800);

/// The time between two looks.
const POLL: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// The same, for this long.
pub async fn eventually_within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(start.elapsed() < limit, "after {limit:?} still not: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until something is so old: how long a client is away, or a process is dead, is the test's input.
pub async fn older_than(since: Instant, age: Duration) {
    tokio::time::sleep_until((since + age).into()).await;
}

/// Waits for one future, but not for ever.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("after {PATIENCE:?} still waiting for {what}"),
    }
}

/// These were seen in order, and happened with at least this gap between each and the next. One may have been seen late and
/// the next in time, so what counts is that many together do not come faster.
pub fn assert_apart(seen: impl IntoIterator<Item = Instant>, gap: Duration) {
    let seen: Vec<_> = seen.into_iter().collect();
    for (n, first) in seen.iter().enumerate() {
        for (gaps, later) in (1..).zip(&seen[n + 1..]) {
            let apart = *later - *first;
            assert!(apart + LATE > gap * gaps, "{gaps} gaps of {gap:?} in {apart:?}");
        }
    }
}
