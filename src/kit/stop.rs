//! The stop signal: asked for once, seen by every task that holds a `Stop`.

use tokio::sync::watch;

/// Asks for the stop. Dropping it asks too.
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
    /// Every `Stop` of this pair wakes.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Ends when the stop was asked for. Cancel-safe.
    pub async fn requested(&mut self) {
        // Err: the stopper is gone, which asks for the stop as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
