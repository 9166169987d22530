//! Calls a session's task, from wherever: there is news, or its client has to go.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A session's bell.
#[derive(Default)]
pub(super) struct Bell {
    rung: Notify,
    /// Its client is not what it was when it was let in.
    dismissed: AtomicBool,
}

impl Bell {
    /// There is something to do.
    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    /// For the session's task: it was rung. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Its client has to go.
    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether it has to.
    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Acquire)
    }

    /// What is known of its client is new.
    pub(super) fn admit(&self) {
        self.dismissed.store(false, Ordering::Release);
    }
}
