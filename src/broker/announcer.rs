//! What dmxd itself says on MQTT: the retained state after each change, and its own presence.

use super::codec::QoS;
use super::hub::{Hub, Message};
use super::policy::Topics;
use crate::dmx::State;

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
