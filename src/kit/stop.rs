//! The stop signal: requested once, seen by every task that holds a `Stop`.

use tokio::sync::watch;

/// Requests the stop. Dropping it does too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Sees the stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A new pair.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (tx, rx) = watch::channel(false);
    (Stopper(tx), Stop(rx))
}

impl Stopper {
    /// Wakes every `Stop` of this pair.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Ends when the stop is requested. Cancel-safe.
    pub async fn requested(&mut self) {
        // Err: the stopper was dropped, which requests the stop too
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
