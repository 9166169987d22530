//! The hub: turns each change into text once, and hands the same bytes to every client.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use warp::ws::Message;

use super::sessions::Sessions;
use super::wire;
use crate::access::Access;
use crate::dmx::{State, What};
use crate::engine::{Feed, Update};
use crate::intake::Intake;
use crate::kit::budget::Budget;
use crate::kit::deadline::until;
use crate::kit::stop::Stop;
use crate::library::View;
use crate::metrics;
use crate::wire::Device;

/// Changes that a client may lag, as many as the feed keeps for us: 0.4 s at 20,000 commands a second. One that lags more
/// gets a fresh snapshot instead of what it missed.
const NEWS: usize = 8192;

/// How long after its light another patch is told: that of another project comes with other light, and is nothing without it.
const BEHIND_LIGHT: Duration = Duration::from_millis(50);

/// The same for that of another project, whose light comes at once, however late the machine is.
const LIGHT_COMES: Duration = Duration::from_secs(1);

/// One change, ready to send.
#[derive(Debug)]
pub(super) struct News {
    pub(super) seq: u64,
    /// When the change was written.
    pub(super) at: Instant,
    pub(super) messages: Vec<Message>,
    /// If several follow each other, only the newest is sent.
    pub(super) desk: Option<Message>,
}

/// Where clients receive changes and hand in commands. Clones share one hub.
#[derive(Clone)]
pub(in super::super) struct Hub {
    feed: Feed,
    news: broadcast::Sender<Arc<News>>,
    devices: watch::Receiver<Arc<Vec<Device>>>,
    /// The same, ready to send: a client that lags gets only the newest.
    devices_text: watch::Sender<Message>,
    /// What is patched and looked up now.
    views: watch::Receiver<Arc<View>>,
    /// Tag of the patch, ready to send.
    patch_text: watch::Sender<Message>,
    pub(super) intake: Intake,
    pub(super) access: Access,
    /// Connections so far.
    connections: Arc<AtomicU64>,
    pub(super) sessions: Sessions,
    /// Budget for waiting commands.
    pub(super) budget: Budget,
    pub(super) metrics: metrics::Http,
}

/// What a hub needs of the house.
pub(in super::super) struct HubDeps {
    pub(in super::super) feed: Feed,
    pub(in super::super) devices: watch::Receiver<Arc<Vec<Device>>>,
    pub(in super::super) views: watch::Receiver<Arc<View>>,
    pub(in super::super) intake: Intake,
    pub(in super::super) budget: Budget,
    pub(in super::super) metrics: metrics::Http,
    pub(in super::super) access: Access,
}

impl Hub {
    pub(in super::super) fn new(deps: HubDeps) -> Self {
        let HubDeps { feed, mut devices, mut views, intake, budget, metrics, access } = deps;
        let devices_text = watch::Sender::new(wire::devices(&devices.borrow_and_update()));
        let patch_text = watch::Sender::new(wire::patch(&views.borrow_and_update().patch_tag));
        let (news, connections, sessions) = (broadcast::Sender::new(NEWS), Arc::default(), Sessions::default());
        Self {
            feed,
            news,
            devices,
            devices_text,
            views,
            patch_text,
            intake,
            access,
            connections,
            sessions,
            budget,
            metrics,
        }
    }

    /// A new number for a connection.
    pub(super) fn number(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// The present state.
    pub(in super::super) fn state(&self) -> Arc<State> {
        self.feed.state()
    }

    /// Passes changes on until the stop. It listens from this call on, not from the first poll.
    pub(in super::super) fn relay(&self, mut stop: Stop) -> impl Future<Output = ()> + Send + 'static {
        let (_, mut changes) = self.feed.subscribe();
        let news = self.news.clone();
        let (mut devices, devices_text) = (self.devices.clone(), self.devices_text.clone());
        let (mut views, patch_text) = (self.views.clone(), self.patch_text.clone());
        async move {
            let (mut patch_due, mut project) = (None, views.borrow_and_update().catalogue.active.clone());
            loop {
                let change = tokio::select! {
                    biased;
                    () = stop.requested() => break,
                    change = changes.recv() => change,
                    Ok(()) = views.changed() => {
                        let view = views.borrow_and_update().clone();
                        let is_other = std::mem::replace(&mut project, view.catalogue.active.clone()) != project;
                        let later = if is_other { LIGHT_COMES } else { BEHIND_LIGHT };
                        patch_due = Some((tokio::time::Instant::now() + later, wire::patch(&view.patch_tag)));
                        continue;
                    }
                    () = until(patch_due.as_ref().map(|(due, _)| *due)) => {
                        // what was seen then: a newer one has light of its own to wait for
                        if let Some((_, message)) = patch_due.take() {
                            patch_text.send_if_modified(|last| std::mem::replace(last, message.clone()) != message);
                        }
                        continue;
                    }
                    Ok(()) = devices.changed() => {
                        devices_text.send_replace(wire::devices(&devices.borrow_and_update()));
                        continue;
                    }
                };
                match change {
                    Ok(update) => {
                        pass_on(&news, &update);
                        if let (What::Whole { .. }, Some((due, _))) = (&update.change.what, &mut patch_due) {
                            *due = tokio::time::Instant::now();
                        }
                    }
                    // clients see the gap in `seq` at the next change, and take a fresh state
                    Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "ws_hub_late"),
                    Err(RecvError::Closed) => break,
                }
            }
        }
    }

    /// Receives the tag of the patch at each change.
    pub(super) fn patch(&self) -> watch::Receiver<Message> {
        self.patch_text.subscribe()
    }

    /// Receives the list of devices at each change.
    pub(super) fn devices(&self) -> watch::Receiver<Message> {
        self.devices_text.subscribe()
    }

    /// Receives changes, with a state that is not older than the first of them: skip news whose `seq` is not above the
    /// state's. The order matters: listen first, then look.
    pub(super) fn join(&self) -> (broadcast::Receiver<Arc<News>>, Arc<State>) {
        let news = self.news.subscribe();
        (news, self.feed.state())
    }
}

#[cfg(test)]
impl Hub {
    /// Lets clients receive a change as if they had missed all before it.
    pub(in super::super) fn skip_to(&self, seq: u64) {
        let news = News { seq, at: Instant::now(), messages: vec![Message::text("never sent")], desk: None };
        self.news.send(Arc::new(news)).unwrap();
    }
}

fn pass_on(news: &broadcast::Sender<Arc<News>>, update: &Update) {
    // a client that joins after this look takes a state that has this change already
    if news.receiver_count() == 0 {
        return;
    }
    let messages = wire::change(&update.change, &update.state);
    let desk = wire::changed_desk(&update.change, &update.state);
    // Err: the last client has just left
    let _ = news.send(Arc::new(News { seq: update.change.seq, at: update.at, messages, desk }));
}
