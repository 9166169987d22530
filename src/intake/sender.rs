//! Who sends.

use std::net::IpAddr;
use std::sync::Arc;

use crate::access::Identity;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A REST client's address.
    Rest(IpAddr),
    /// A WebSocket connection: its number and the client's address.
    Socket(u64, IpAddr),
    /// An MQTT client's id.
    Mqtt(Arc<str>),
    /// The console at the serial line.
    Serial,
}

impl Client {
    /// The address, if it came by the web.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Rest(address) | Self::Socket(_, address) => Some(*address),
            Self::Mqtt(_) | Self::Serial => None,
        }
    }

    /// The source of a command that names none.
    pub(super) fn source(&self) -> &'static str {
        match self {
            Self::Rest(_) => "rest",
            Self::Socket(..) => "ws",
            Self::Mqtt(_) => "mqtt",
            Self::Serial => "serial",
        }
    }

    /// The client, as far as the order of its commands goes: a page that reconnected is still the same one.
    pub(super) fn person(&self) -> Self {
        match self {
            Self::Socket(_, address) => Self::Socket(0, *address),
            other => other.clone(),
        }
    }
}

/// Who sent something, and what is known of the sender's clock.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The sender.
    pub client: Client,
    /// Who that is.
    pub who: Identity,
    /// Where it comes from, if it is by the network.
    pub from: Option<IpAddr>,
    /// How far the sender's clock is behind `Intake::now_ms`, if its pings show that.
    pub behind_ms: Option<i64>,
}

impl Sender {
    /// A sender without a clock.
    #[must_use]
    pub fn new(client: Client, who: Identity) -> Self {
        let from = client.address();
        Self { client, who, from, behind_ms: None }
    }

    /// The same from this address.
    #[must_use]
    pub fn from(self, from: Option<IpAddr>) -> Self {
        Self { from, ..self }
    }
}
