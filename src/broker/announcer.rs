//! What dmxd itself publishes on MQTT: the retained state after each change, and its own presence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::codec::QoS;
use super::hub::{Hub, Message, Phase, reached};
use super::policy::{self, Topics};
use crate::dmx::{Change, Publish, State};
use crate::wire::{RgbState, StateUpdate};

/// Least time between two states of a moving lamp (CONTRACT, section 5: at most 20 a second).
const BETWEEN: Duration = Duration::from_millis(50);

/// Publishes every change.
pub(super) struct Announcer {
    topics: Topics,
    lamp: Mutex<Lamp>,
    /// A state is due.
    owes: Notify,
}

/// What was published of the lamp. Locked while publishing, so that a state never follows a newer one.
#[derive(Default)]
struct Lamp {
    told: Option<Instant>,
    /// The newest state that came too soon to publish.
    owed: Option<Arc<State>>,
}

impl Announcer {
    pub(super) fn new(topics: Topics) -> Self {
        Self { topics, lamp: Mutex::default(), owes: Notify::new() }
    }

    /// Publishes the lamp's state if it changed, and to those who listen, what has changed. Called in order by the thread that
    /// wrote the change.
    pub(super) fn say(&self, hub: &Hub, change: &Change, state: &Arc<State>) {
        self.say_lamp(hub, change.lamp, state);
        if hub.is_heard(policy::UPDATES) {
            for update in StateUpdate::of(change, state).into_iter().flat_map(StateUpdate::in_parts) {
                let payload = serde_json::to_vec(&update).unwrap_or_default(); // plain fields cannot fail
                let topic = policy::UPDATES;
                hub.publish(Message::ours(topic, &payload, QoS::AtLeastOnce, false));
            }
        }
    }

    fn say_lamp(&self, hub: &Hub, when: Publish, state: &Arc<State>) {
        let mut lamp = self.lamp.lock();
        let soon = lamp.told.is_some_and(|told| told.elapsed() < BETWEEN);
        match when {
            Publish::No => {}
            Publish::Later if soon => {
                lamp.owed = Some(state.clone());
                self.owes.notify_one();
            }
            Publish::Later | Publish::Now => self.tell(hub, &mut lamp, state),
        }
    }

    fn tell(&self, hub: &Hub, lamp: &mut Lamp, state: &State) {
        *lamp = Lamp { told: Some(Instant::now()), owed: None };
        say_state(hub, &self.topics, state);
    }

    /// Publishes the state that is due, if any.
    pub(super) fn settle(&self, hub: &Hub) {
        let mut lamp = self.lamp.lock();
        if let Some(state) = lamp.owed.take() {
            self.tell(hub, &mut lamp, &state);
        }
    }

    /// Publishes a due state when it is time, until the broker closes: the last state always arrives.
    pub(super) async fn run(self: Arc<Self>, hub: Arc<Hub>) {
        let mut phases = hub.phase.subscribe();
        loop {
            tokio::select! {
                () = reached(&mut phases, Phase::Closing) => return,
                () = self.owes.notified() => {}
            }
            let told = self.lamp.lock().told;
            if let Some(told) = told {
                sleep_until((told + BETWEEN).into()).await;
            }
            self.settle(&hub);
        }
    }
}

/// The state of the lamp, retained.
pub(super) fn say_state(hub: &Hub, topics: &Topics, state: &State) {
    let payload = serde_json::to_vec(&RgbState::light(state)).unwrap_or_default(); // plain fields cannot fail
    hub.publish(Message::ours(&topics.state, &payload, QoS::AtLeastOnce, true));
}

/// Whether the server is there (`v1/devices/server/state`).
pub(super) fn say_presence(hub: &Hub, topics: &Topics, online: bool) {
    let payload = format!(r#"{{"online":{online}}}"#);
    hub.publish(Message::ours(&topics.server, payload.as_bytes(), QoS::AtLeastOnce, true));
}
