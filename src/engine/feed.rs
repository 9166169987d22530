//! The only way out of the heart.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{broadcast, watch};

use crate::dmx::{Change, State};

/// Changes that a reader may be behind before it is told to take a fresh state instead: 0.4 s at 20,000 commands a second.
const NEWS: usize = 8192;

/// One change and the state after it.
#[derive(Debug)]
pub struct Update {
    /// What changed.
    pub change: Change,
    /// Everything as it is since.
    pub state: Arc<State>,
    /// When it was written.
    pub at: Instant,
}

/// Where changes are read. Clones share one feed.
#[derive(Clone, Debug)]
pub struct Feed {
    state: watch::Sender<Arc<State>>,
    news: broadcast::Sender<Arc<Update>>,
}

impl Feed {
    pub(super) fn new(state: State) -> Self {
        Self { state: watch::Sender::new(Arc::new(state)), news: broadcast::Sender::new(NEWS) }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// The present state and every change after it, none missing, none twice: a reader skips changes whose `seq` is
    /// not above the state's. A reader that is told `Lagged` takes `state()` again.
    #[must_use]
    pub fn subscribe(&self) -> (Arc<State>, broadcast::Receiver<Arc<Update>>) {
        let news = self.news.subscribe();
        (self.state(), news)
    }

    /// The newest state, for readers that only want the last one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Called in order of `seq`, after the write.
    pub(super) fn publish(&self, change: Change, state: Arc<State>) {
        self.state.send_replace(state.clone());
        // Err: nobody listens, which is fine.
        let _ = self.news.send(Arc::new(Update { change, state, at: Instant::now() }));
    }
}
