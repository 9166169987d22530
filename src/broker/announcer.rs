//! What dmxd itself says on MQTT: the retained state after each change, and its own presence.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::codec::QoS;
use super::hub::{Hub, Message, Phase, reached};
use super::policy::Topics;
use crate::dmx::State;
use crate::engine::{Feed, Update};

/// Speaks for the server.
pub(super) struct Announcer {
    hub: Arc<Hub>,
    feed: Feed,
    news: broadcast::Receiver<Arc<Update>>,
    topics: Topics,
    /// `seq` of the last state that was published.
    said: watch::Sender<u64>,
}

impl Announcer {
    /// Publishes state and presence, before the port opens.
    pub(super) fn new(hub: Arc<Hub>, feed: Feed, topics: Topics) -> Self {
        let (state, news) = feed.subscribe();
        let announcer = Self { hub, feed, news, topics, said: watch::Sender::new(state.seq) };
        announcer.say_state(&state);
        tracing::info!(seq = state.seq, topic = announcer.topics.state, "publish_state");
        say_presence(&announcer.hub, &announcer.topics, true);
        announcer
    }

    /// Where it can be seen how far it is.
    pub(super) fn said(&self) -> watch::Receiver<u64> {
        self.said.subscribe()
    }

    /// Follows the feed until the broker closes.
    pub(super) async fn run(mut self) {
        let mut phase = self.hub.phase.subscribe();
        loop {
            let news = tokio::select! {
                () = reached(&mut phase, Phase::Closing) => return,
                news = self.news.recv() => news,
            };
            match news {
                Ok(update) if update.change.seq <= *self.said.borrow() => {} // was in the state we began with
                Ok(update) => self.say(update.change.lamp, &update.state),
                // Too far behind to say every one: the newest is what counts.
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "publish_state_late");
                    self.news = self.news.resubscribe();
                    let state = self.feed.state();
                    self.say(true, &state);
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn say(&self, lamp: bool, state: &State) {
        if lamp {
            self.say_state(state);
        }
        self.said.send_replace(state.seq);
    }

    fn say_state(&self, state: &State) {
        let payload = serde_json::to_vec(&state.document()).unwrap_or_default(); // plain fields cannot fail
        self.hub.publish(Message { topic: &self.topics.state, payload: &payload, qos: QoS::AtLeastOnce, retain: true });
    }
}

/// Whether the server is there (`v1/devices/server/state`).
pub(super) fn say_presence(hub: &Hub, topics: &Topics, online: bool) {
    let payload = format!(r#"{{"online":{online}}}"#);
    hub.publish(Message { topic: &topics.server, payload: payload.as_bytes(), qos: QoS::AtLeastOnce, retain: true });
}
