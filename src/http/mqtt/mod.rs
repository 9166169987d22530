//! MQTT over WebSocket (MQTT 3.1.1, section 6): a client of the web port becomes a stream of bytes, which whoever serves MQTT
//! is given. Knows frames, and nothing of MQTT.

mod frames;
mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::kit::budget::Ending;

pub use stream::MqttStream;

/// Sub-protocols that a client may offer, the better one first. The second is how clients of MQTT 3.1 called it.
pub(super) const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// An MQTT client that came by WebSocket.
pub struct MqttGuest {
    /// Its bytes.
    pub stream: MqttStream,
    /// Where it is.
    pub peer: SocketAddr,
    /// Told when it has to make room for another one.
    pub ending: Arc<Ending>,
}

/// Takes such a client, when there is room for it; whether it was taken.
pub type MqttDoor = Arc<dyn Fn(MqttGuest) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;
