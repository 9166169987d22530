//! Who is there: devices by their own topic, and the MQTT clients behind them. Read by REST and the WebSocket.

use schemars::JsonSchema;
use serde::Serialize;

/// A device: any client with a topic `v1/devices/<id>/state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Device", description = "A device: any client with a topic v1/devices/<id>/state.")]
pub struct Device {
    /// Its id in that topic.
    pub id: String,
    /// What the retained message on its topic says; without one, whether its client is connected.
    pub online: bool,
    /// When `online` last changed, Unix milliseconds; for what the last run left, the start of dmxd.
    pub since: u64,
    /// Its address when last seen in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The client that last published on its topic or, until one has, that named it as its will's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// An MQTT client that is connected, or was in this run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "MqttClient", description = "An MQTT client that is connected, or was in this run.")]
pub struct MqttClient {
    /// Its name.
    pub client_id: String,
    /// Whether it is connected.
    pub connected: bool,
    /// When that last changed, Unix milliseconds.
    pub since: u64,
    /// Address and port of its last connection.
    pub peer: String,
    /// Its connections since the start; many of them mean a bad link.
    pub connections: u64,
    /// When its last packet came, Unix milliseconds.
    pub last_seen: u64,
    /// Messages it published in the last second.
    pub messages_in: f64,
    /// Messages sent to it in the last second.
    pub messages_out: f64,
    /// Its commands that were answered on the rejected topic since the start.
    pub rejected: u64,
    /// Its messages to topics that are dmxd's alone since the start.
    pub denied: u64,
    /// How its last connection ended; `null` while the first one lasts.
    pub last_disconnect: Option<Disconnect>,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Disconnect", description = "The end of a connection.")]
pub struct Disconnect {
    /// When, Unix milliseconds.
    pub at: u64,
    /// Why, in words.
    pub why: String,
    /// Whether its last will was published.
    pub will_published: bool,
}

/// An MQTT client that was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "RefusedClient", description = "An MQTT client that was not let in.")]
pub struct RefusedClient {
    /// Its name, if it got so far as to say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where it came from.
    pub address: String,
    /// When last, Unix milliseconds.
    pub at: u64,
    /// How often since the start.
    pub count: u64,
    /// Why, in words.
    pub why: String,
}

/// Answer of `GET /devices`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Presence", description = "Devices and the MQTT clients behind them.")]
pub struct Presence {
    /// By id.
    pub devices: Vec<Device>,
    /// By id: connected clients, those that stand for a device, and the last 100 others that have left.
    pub clients: Vec<MqttClient>,
    /// The last clients that were not let in, the newest first; one leaves the list when it is let in.
    pub refused: Vec<RefusedClient>,
}
