//! Who may do what: the only place that knows dmxd's own topics.

use bytes::Bytes;

/// Where commands come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandTopic {
    /// A colour for the lamp.
    Rgb,
    /// Blackout on or off.
    Blackout,
    /// Unified commands.
    Unified,
}

/// What to do with a client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishing {
    /// Treat it as any broker would.
    Allowed,
    /// Hand the command to the engine, then treat it as any broker would, but never retain it.
    Command(CommandTopic),
    /// Acknowledged and dropped: it is dmxd's alone.
    Denied,
    /// The same: it is not this client's.
    Forbidden,
}

/// The rules for the broker.
pub(super) trait Policy: Send + Sync + 'static {
    /// What to do with a message on this topic.
    fn publish(&self, topic: &str) -> Publishing;
    /// Whether dmxd has this topic's present value at hand, so that nobody needs a queue of its past ones.
    fn is_present_value(&self, topic: &str) -> bool;
    /// Such topics that are there from the start.
    fn present_values(&self) -> Vec<Bytes>;
}

/// Unified commands (CONTRACT, section 5).
const UNIFIED: &str = "dmx/command";

/// Their acks; dmxd's own.
pub(super) const ACK: &str = "dmx/ack";

/// A `state.update` for each change; dmxd's own.
pub(super) const UPDATES: &str = "dmx/state";

/// What the topics of devices begin with.
pub(super) const DEVICES: &str = "v1/devices/";

/// Where a bridge of Mosquitto's says whether it is connected, as it may there.
pub(super) const CONNECTION: &str = "$SYS/broker/connection/";

/// dmxd's topics under the configured prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topics {
    /// `mqtt.topic_prefix`
    pub(super) prefix: String,
    /// Commands of clients.
    pub(super) cmd: String,
    /// Blackout on and off.
    pub(super) blackout: String,
    /// The state; dmxd's own.
    pub(super) state: String,
    /// What the topics of lamps begin with that are patched as fixtures; dmxd's own.
    pub(super) lamps: String,
    /// Refused commands; dmxd's own.
    pub(super) rejected: String,
    /// Presence of this server; dmxd's own.
    pub(super) server: String,
}

impl Topics {
    /// The topics of a prefix (`mqtt.topic_prefix`).
    #[must_use]
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            cmd: format!("{prefix}/rgb/cmd"),
            blackout: format!("{prefix}/blackout/cmd"),
            state: format!("{prefix}/rgb/state"),
            lamps: format!("{prefix}/lamps/"),
            rejected: format!("{prefix}/rgb/rejected"),
            server: "v1/devices/server/state".into(),
        }
    }

    /// Where the light of a lamp that is patched as a fixture is; `None` for an id that is no level of a topic.
    pub(super) fn lamp(&self, id: &str) -> Option<String> {
        let is_level = !id.is_empty() && !id.contains(['/', '+', '#', '\0']);
        is_level.then(|| format!("{}{id}/state", self.lamps))
    }

    /// Where commands come in.
    pub(super) fn commands(&self) -> impl Iterator<Item = &str> {
        [self.cmd.as_str(), &self.blackout, UNIFIED].into_iter()
    }
}

/// The rules of this house.
pub(super) struct House {
    pub(super) topics: Topics,
}

impl House {
    /// Whether only dmxd may publish there. `dmx/ack` and `dmx/state` are the answers to unified commands.
    fn is_ours(&self, topic: &str) -> bool {
        self.is_present_value(topic) || topic == self.topics.rejected || [ACK, UPDATES].contains(&topic)
    }
}

impl Policy for House {
    fn publish(&self, topic: &str) -> Publishing {
        if topic == self.topics.cmd {
            Publishing::Command(CommandTopic::Rgb)
        } else if topic == self.topics.blackout {
            Publishing::Command(CommandTopic::Blackout)
        } else if topic == UNIFIED {
            Publishing::Command(CommandTopic::Unified)
        } else if self.is_ours(topic) || (topic.starts_with("$SYS/") && !topic.starts_with(CONNECTION)) {
            Publishing::Denied
        } else {
            Publishing::Allowed
        }
    }

    fn present_values(&self) -> Vec<Bytes> {
        [&self.topics.state, &self.topics.server].map(|topic| Bytes::copy_from_slice(topic.as_bytes())).into()
    }

    fn is_present_value(&self, topic: &str) -> bool {
        topic == self.topics.state || topic == self.topics.server || topic.starts_with(&self.topics.lamps)
    }
}
