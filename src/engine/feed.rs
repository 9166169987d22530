//! The only way out of the heart.

use std::sync::{Arc, OnceLock};
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

/// The newest state.
#[derive(Clone, Debug)]
pub struct Latest {
    /// Everything as it is.
    pub state: Arc<State>,
    /// When it was written.
    pub at: Instant,
}

/// Hears of each change in the writer's own line.
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
    /// not above the state's. A reader that is told `Lagged` takes `state()` again.
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

    /// Has every change told to `listener` first, in order, none left out, by the thread that wrote it: what it does
    /// must be short and never wait. There is room for one; false when it is taken.
    pub fn on_change(&self, listener: impl Fn(&Update) + Send + Sync + 'static) -> bool {
        self.first.set(Box::new(listener)).is_ok()
    }

    /// Called in order of `seq`, after the write. `answer` tells whoever asked for it, when the state is there for all to
    /// look at and before anybody hears of the change: its ack comes first.
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
