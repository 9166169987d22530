//! The only way out of the engine.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::{broadcast, watch};

use crate::dmx::{Change, State};

/// Changes that a reader may lag before it has to take a fresh state: 0.4 s at 20,000 commands a second.
const NEWS: usize = 8192;

/// One change and the state after it.
#[derive(Debug)]
pub struct Update {
    /// What changed.
    pub change: Change,
    /// The state after it.
    pub state: Arc<State>,
    /// When it was written.
    pub at: Instant,
}

/// The newest state.
#[derive(Clone, Debug)]
pub struct Latest {
    /// The state.
    pub state: Arc<State>,
    /// When it was written.
    pub at: Instant,
}

/// Hears of each change on the writer's thread.
type Listener = Box<dyn Fn(&Update) + Send + Sync>;

/// Where changes are read. Clones share one feed.
#[derive(Clone)]
pub struct Feed {
    first: Arc<OnceLock<Listener>>,
    latest: watch::Sender<Latest>,
    news: broadcast::Sender<Arc<Update>>,
}

impl Feed {
    pub(super) fn new(state: State) -> Self {
        Self {
            first: Arc::default(),
            latest: watch::Sender::new(Latest { state: Arc::new(state), at: Instant::now() }),
            news: broadcast::Sender::new(NEWS),
        }
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.latest.borrow().state.clone()
    }

    /// The present state and every change after it, none missing, none twice: a reader skips changes whose `seq` is
    /// not above the state's. A reader that gets `Lagged` calls `state()` again.
    #[must_use]
    pub fn subscribe(&self) -> (Arc<State>, broadcast::Receiver<Arc<Update>>) {
        let news = self.news.subscribe();
        (self.state(), news)
    }

    /// The newest state, for readers that only want the last one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Latest> {
        self.latest.subscribe()
    }

    /// Sets the listener, which the writing thread calls with every change before anybody else, in order, none left out. It
    /// must be short and never wait. There is room for one; false when it is taken.
    pub fn on_change(&self, listener: impl Fn(&Update) + Send + Sync + 'static) -> bool {
        self.first.set(Box::new(listener)).is_ok()
    }

    /// The same state under another patch: no change, but its light may be another.
    pub(super) fn refresh(&self, state: Arc<State>) {
        self.latest.send_replace(Latest { state, at: Instant::now() });
    }

    /// Called in order of `seq`, after the write. `answer` acknowledges the command once the state is visible, and before
    /// anybody hears of the change.
    pub(super) fn publish(&self, change: Change, state: Arc<State>, answer: impl FnOnce()) {
        let at = Instant::now();
        self.latest.send_replace(Latest { state: state.clone(), at });
        let update = Arc::new(Update { change, state, at });
        if let Some(listener) = self.first.get() {
            listener(&update);
        }
        answer();
        let _ = self.news.send(update); // Err: nobody listens, which is fine
    }
}
