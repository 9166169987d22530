//! MQTT packets of 3.1, 3.1.1 and 5 as bytes, both ways (IBM MQTT V3.1; OASIS MQTT 3.1.1 and 5.0, sections 2 and 3).
//!
//! Our own and strict: rumqttd's codec lets reserved flags, trailing bytes and NUL in topics pass, and cannot tell
//! an empty user name from none. Never panics on any bytes; never keeps more than one packet.

mod body;
mod properties;
mod read;
mod reason;
mod write;

use bytes::Bytes;

pub use self::properties::{Carried, matches_format};
pub use self::read::decode;
pub use self::reason::Reason;
pub use self::write::{Ack, Outgoing, Welcome, ack, connack, disconnect, fitting, pingresp, publish, suback, unsuback};

/// The versions that are spoken here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1, protocol name `MQIsdp`, level 3.
    V3,
    /// MQTT 3.1.1, level 4.
    #[default]
    V4,
    /// MQTT 5.0, level 5.
    V5,
}

impl Version {
    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.1",
            Self::V4 => "3.1.1",
            Self::V5 => "5",
        }
    }

    /// Whether packets have properties and reason codes.
    #[must_use]
    pub fn is_v5(self) -> bool {
        self == Self::V5
    }
}

/// Quality of service of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QoS {
    /// 0
    AtMostOnce,
    /// 1
    AtLeastOnce,
    /// 2
    ExactlyOnce,
}

impl QoS {
    /// `None` for 3, which the standard reserves.
    #[must_use]
    pub fn new(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// 0, 1 or 2.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

/// A packet that a client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The first one, and only there.
    Connect(Box<Connect>),
    /// A message.
    Publish(Publish),
    /// Answer to a QoS 1 message of ours.
    PubAck(u16),
    /// First answer to a QoS 2 message of ours.
    PubRec {
        /// Packet id.
        pkid: u16,
        /// The client does not want it: its handshake is over (MQTT 5, section 4.3.3).
        refused: bool,
    },
    /// Release of a QoS 2 message of the client's.
    PubRel(u16),
    /// Last answer to a QoS 2 message of ours.
    PubComp(u16),
    /// Filters with what the client wants of each.
    Subscribe {
        /// Packet id.
        pkid: u16,
        /// Subscription identifier, 1 to 268,435,455; `None`: without one.
        id: Option<u32>,
        /// At least one.
        filters: Vec<(String, Options)>,
    },
    /// Filters.
    Unsubscribe {
        /// Packet id.
        pkid: u16,
        /// At least one.
        filters: Vec<String>,
    },
    /// Sign of life.
    PingReq,
    /// The polite end.
    Disconnect {
        /// The will is to be published all the same (reason code 0x04).
        will: bool,
        /// How many seconds to keep the session, if that has changed.
        session_expiry: Option<u32>,
    },
}

/// What a client wants of one filter (MQTT 5, section 3.8.3.1). Earlier versions have the QoS alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The highest QoS at which messages come.
    pub qos: QoS,
    /// Its own messages do not come back.
    pub no_local: bool,
    /// Messages keep the retain flag with which they were published.
    pub retain_as_published: bool,
    /// Which retained messages SUBSCRIBE brings.
    pub retained: RetainHandling,
}

impl Options {
    /// As in MQTT 3.1.1.
    #[must_use]
    pub fn plain(qos: QoS) -> Self {
        Self { qos, no_local: false, retain_as_published: false, retained: RetainHandling::Always }
    }
}

/// Which retained messages SUBSCRIBE brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainHandling {
    /// 0: all, each time.
    Always,
    /// 1: all, when the subscription is new.
    IfNew,
    /// 2: none.
    Never,
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Which version the client speaks from here on.
    pub version: Version,
    /// It is a broker's bridge (levels 0x83 and 0x84): retain flags stay as published, and nothing of its own comes back.
    pub is_bridge: bool,
    /// May be empty.
    pub client_id: String,
    /// Whether to forget an earlier session (clean session; MQTT 5: clean start).
    pub clean: bool,
    /// Seconds to keep the session once the connection is over; `u32::MAX`: for ever. Before MQTT 5 that follows from `clean`.
    pub session_expiry: u32,
    /// Seconds; 0 = none.
    pub keep_alive: u16,
    /// Published when the connection dies.
    pub will: Option<Publish>,
    /// Seconds after that.
    pub will_delay: u32,
    /// Login name.
    pub username: Option<String>,
    /// Login password: any bytes.
    pub password: Option<Bytes>,
    /// What the client can take.
    pub limits: Limits,
    /// It asks for enhanced authentication, by this method.
    pub auth_method: Option<String>,
}

impl Connect {
    /// A client of MQTT 3.1.1 that asks for nothing.
    #[cfg(test)]
    pub(super) fn new(client_id: &str) -> Self {
        Self {
            version: Version::V4,
            is_bridge: false,
            client_id: client_id.into(),
            clean: false,
            session_expiry: u32::MAX,
            keep_alive: 0,
            will: None,
            will_delay: 0,
            username: None,
            password: None,
            limits: Limits::default(),
            auth_method: None,
        }
    }
}

/// What a client can take (MQTT 5, sections 3.1.2.11.3 to .7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of QoS 1 and 2 that it has not answered; never 0.
    pub receive_maximum: u16,
    /// Bytes of a packet; never 0.
    pub max_packet: u32,
    /// Highest topic alias; 0: none.
    pub topic_aliases: u16,
    /// Reason strings are welcome on every packet, not only on CONNACK and DISCONNECT.
    pub reason_strings: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { receive_maximum: u16::MAX, max_packet: u32::MAX, topic_aliases: 0, reason_strings: true }
    }
}

/// PUBLISH, or a will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Without wildcards; empty only with an alias.
    pub topic: String,
    /// Any bytes.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// Whether to keep it for later subscribers.
    pub retain: bool,
    /// Packet id; 0 at QoS 0.
    pub pkid: u16,
    /// Stands for the topic, or will from now on; 0: none.
    pub alias: u16,
    /// Seconds after which nobody wants it any more.
    pub expiry: Option<u32>,
    /// The properties that go to whoever gets it.
    pub carried: Carried,
}

impl Publish {
    /// One without packet id and properties.
    #[must_use]
    pub fn new(topic: String, payload: Bytes, qos: QoS, retain: bool) -> Self {
        Self { topic, payload, qos, retain, pkid: 0, alias: 0, expiry: None, carried: Carried::default() }
    }

    /// Bytes of topic, payload and the properties that are passed on.
    #[must_use]
    pub fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.carried.bytes().len()
    }
}

/// Bytes that are not MQTT; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// CONNECT of another version.
    #[error("protocol level {0} is not supported (MQTT 3.1, 3.1.1 and 5 are)")]
    Level(u8),
    /// The packet is larger than allowed.
    #[error("a packet of {0} bytes is larger than mqtt.max_packet_bytes")]
    TooLarge(usize),
    /// It names a topic alias that is too high, or that was never given a topic.
    #[error("a topic alias that is unknown or too high")]
    Alias,
    /// Well-formed, but not allowed here.
    #[error("{0}")]
    Protocol(&'static str),
    /// Anything else.
    #[error("{0}")]
    Broken(&'static str),
}

impl Malformed {
    /// As DISCONNECT tells it.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Level(_) => Reason::UnsupportedVersion,
            Self::TooLarge(_) => Reason::PacketTooLarge,
            Self::Alias => Reason::BadAlias,
            Self::Protocol(_) => Reason::ProtocolError,
            Self::Broken(_) => Reason::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
