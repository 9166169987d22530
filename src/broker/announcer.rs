//! What dmxd itself says on MQTT: the retained state after each change, and its own presence.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::codec::QoS;
use super::hub::{Hub, Message};
use super::policy::{self, Topics};
use crate::dmx::{Change, State, StateUpdate, Told};

/// Between two states of a lamp on its way (CONTRACT, section 5: 20 a second at most).
const BETWEEN: Duration = Duration::from_millis(50);

/// Tells every change.
pub(super) struct Announcer {
    topics: Topics,
    /// When the lamp's state was told last.
    told: Mutex<Option<Instant>>,
}

impl Announcer {
    pub(super) fn new(topics: Topics) -> Self {
        Self { topics, told: Mutex::default() }
    }

    /// Tells the lamp's state, when it is another one, and what has changed, to those who listen. Called by the thread
    /// that wrote the change, in order.
    pub(super) fn say(&self, hub: &Hub, change: &Change, state: &State) {
        if self.is_due(change.lamp) {
            say_state(hub, &self.topics, state);
        }
        if hub.is_heard(policy::UPDATES) {
            for update in StateUpdate::of(change, state) {
                let payload = serde_json::to_vec(&update).unwrap_or_default(); // plain fields cannot fail
                hub.publish(Message {
                    topic: policy::UPDATES,
                    payload: &payload,
                    qos: QoS::AtLeastOnce,
                    retain: false,
                });
            }
        }
    }

    fn is_due(&self, lamp: Told) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match lamp {
            Told::No => false,
            Told::Later => told.is_none_or(|told| told.elapsed() >= BETWEEN),
            Told::Now => true,
        };
        if due {
            *told = Some(Instant::now());
        }
        due
    }
}

/// The state of the lamp, for all and for later.
pub(super) fn say_state(hub: &Hub, topics: &Topics, state: &State) {
    let payload = serde_json::to_vec(&state.document()).unwrap_or_default(); // plain fields cannot fail
    hub.publish(Message { topic: &topics.state, payload: &payload, qos: QoS::AtLeastOnce, retain: true });
}

/// Whether the server is there (`v1/devices/server/state`).
pub(super) fn say_presence(hub: &Hub, topics: &Topics, online: bool) {
    let payload = format!(r#"{{"online":{online}}}"#);
    hub.publish(Message { topic: &topics.server, payload: payload.as_bytes(), qos: QoS::AtLeastOnce, retain: true });
}
