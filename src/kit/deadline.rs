//! Waiting for a moment that may never come.

use tokio::time::{Instant, sleep_until};

/// Waits until then; for ever without a time. Cancel-safe.
pub async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}
