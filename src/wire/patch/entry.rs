//! One fixture as a show's document has it. Programs write ids and numbers as text or as numbers; both are read.

use serde_json::{Map, Value};

use crate::dmx::{Channel, FixtureId};

/// The type of lamps that listen to MQTT.
pub(super) const ON_MQTT: &str = "mqtt-rgb";

/// A fixture's fields.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Entry<'a> {
    /// Its id, if it is one.
    pub(super) fn id(self) -> Option<FixtureId> {
        text(self.0.get("id")?)?.parse().ok()
    }

    /// Its name; empty if it has none.
    pub(super) fn name(self) -> &'a str {
        self.text("name").unwrap_or_default()
    }

    /// The id of its universe.
    pub(super) fn universe(self) -> Option<String> {
        text(self.0.get("universeId")?)
    }

    /// Its first channel.
    pub(super) fn address(self) -> Option<Channel> {
        number(self.0.get("dmxAddress")?).and_then(Channel::new)
    }

    /// Its channels as written.
    pub(super) fn channels(self) -> &'a [Value] {
        self.0.get("channels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many channels it says it has.
    pub(super) fn channel_count(self) -> Option<u16> {
        number(self.0.get("channelCount")?)
    }

    /// Its type as written.
    pub(super) fn type_text(self) -> Option<&'a str> {
        self.text("type")
    }

    /// The mode of its type.
    pub(super) fn mode(self) -> Option<&'a str> {
        self.text("mode")
    }

    /// The groups that it is in.
    pub(super) fn groups(self) -> impl Iterator<Item = String> + 'a {
        self.0.get("groups").and_then(Value::as_array).into_iter().flatten().filter_map(text)
    }

    /// Where a lamp listens.
    pub(super) fn topic(self) -> Option<&'a str> {
        self.text("topic")
    }

    /// Of a lamp on MQTT: its topic as written, else its id. It may be no topic.
    pub(super) fn listens_to(self) -> Option<String> {
        if self.type_text() != Some(ON_MQTT) {
            return None;
        }
        self.topic().map(str::to_owned).or_else(|| text(self.0.get("id")?))
    }

    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }
}

/// The name of a channel as written; empty if it has none.
pub(super) fn channel_name(channel: &Value) -> &str {
    channel.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The id of a channel as written.
pub(super) fn channel_id(channel: &Value) -> Option<String> {
    text(channel.get("id")?)
}

/// An id: a text, or a number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number, or a text that is one.
pub(super) fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
