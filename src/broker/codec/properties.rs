//! Properties of MQTT 5 packets: which may stand where, and what they say (section 2.2.2).

use bytes::{BufMut, Bytes, BytesMut};

use super::Malformed;
use super::body::Body;

/// The properties of a message that go to whoever gets it, as they came and in their order: payload format, content type,
/// response topic, correlation data and user properties. Empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried(Bytes);

impl Carried {
    /// Those that were stored.
    #[must_use]
    pub fn stored(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// As they stand on the wire, without their length.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether the sender declares the payload to be text.
    #[must_use]
    pub fn says_text(&self) -> bool {
        let mut body = Body(self.0.clone());
        while !body.0.is_empty() {
            match body.u8().and_then(|id| Ok((id, value(id, &mut body)?))) {
                Ok((PAYLOAD_FORMAT, Value::Number(1))) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    }
}

/// Whether a payload is what its format indicator says ([MQTT-3.3.2-4] leaves it to the receiver to check).
#[must_use]
pub fn matches_format(carried: &Carried, payload: &[u8]) -> bool {
    carried.0.is_empty() || !carried.says_text() || std::str::from_utf8(payload).is_ok()
}

/// Where properties stand, one bit each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u8);

impl Place {
    pub(super) const CONNECT: Self = Self(1);
    pub(super) const WILL: Self = Self(2);
    pub(super) const PUBLISH: Self = Self(4);
    /// PUBACK, PUBREC, PUBREL and PUBCOMP.
    pub(super) const ACK: Self = Self(8);
    pub(super) const SUBSCRIBE: Self = Self(16);
    pub(super) const UNSUBSCRIBE: Self = Self(32);
    pub(super) const DISCONNECT: Self = Self(64);
}

const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
const CONTENT_TYPE: u8 = 0x03;
const RESPONSE_TOPIC: u8 = 0x08;
const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
const AUTH_METHOD: u8 = 0x15;
const AUTH_DATA: u8 = 0x16;
const REQUEST_PROBLEM: u8 = 0x17;
const WILL_DELAY: u8 = 0x18;
const REQUEST_RESPONSE: u8 = 0x19;
pub(super) const REASON_STRING: u8 = 0x1f;
const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
const USER_PROPERTY: u8 = 0x26;
pub(super) const MAX_PACKET: u8 = 0x27;

/// Where a property may stand in what a client sends (table 2-4); 0: nowhere.
fn places(id: u8) -> u8 {
    let message = Place::PUBLISH.0 | Place::WILL.0;
    match id {
        PAYLOAD_FORMAT | MESSAGE_EXPIRY | CONTENT_TYPE | RESPONSE_TOPIC | CORRELATION_DATA => message,
        SUBSCRIPTION_ID => Place::SUBSCRIBE.0, // in PUBLISH a server's only ([MQTT-3.3.4-6])
        SESSION_EXPIRY => Place::CONNECT.0 | Place::DISCONNECT.0,
        AUTH_METHOD | AUTH_DATA | REQUEST_PROBLEM | REQUEST_RESPONSE | RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM
        | MAX_PACKET => Place::CONNECT.0,
        WILL_DELAY => Place::WILL.0,
        REASON_STRING => Place::ACK.0 | Place::DISCONNECT.0,
        TOPIC_ALIAS => Place::PUBLISH.0,
        USER_PROPERTY => u8::MAX,
        _ => 0,
    }
}

enum Value {
    Number(u32),
    Text(String),
    /// Bytes, or what nobody here looks at.
    Other,
}

/// A property's value.
fn value(id: u8, body: &mut Body) -> Result<Value, Malformed> {
    Ok(match id {
        PAYLOAD_FORMAT | REQUEST_PROBLEM | REQUEST_RESPONSE => match body.u8()? {
            flag @ 0..=1 => Value::Number(flag.into()),
            _ => return Err(Malformed::Protocol("a property that is 0 or 1 has another value")),
        },
        RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => Value::Number(body.u16()?.into()),
        MESSAGE_EXPIRY | SESSION_EXPIRY | WILL_DELAY | MAX_PACKET => Value::Number(body.u32()?),
        SUBSCRIPTION_ID => Value::Number(body.varint()?),
        AUTH_METHOD => Value::Text(body.text()?),
        RESPONSE_TOPIC => {
            body.topic()?; // [MQTT-3.3.2-14]
            Value::Other
        }
        CONTENT_TYPE | REASON_STRING => {
            body.skip_text()?;
            Value::Other
        }
        CORRELATION_DATA | AUTH_DATA => {
            body.bytes()?;
            Value::Other
        }
        USER_PROPERTY => {
            body.skip_text()?;
            body.skip_text()?;
            Value::Other
        }
        _ => return Err(MISPLACED),
    })
}

const MISPLACED: Malformed = Malformed::Broken("a property that does not belong to this packet"); // section 2.2.2.2

/// What the properties of a packet say.
#[derive(Default)]
pub(super) struct Properties {
    pub(super) carried: Carried,
    pub(super) message_expiry: Option<u32>,
    pub(super) session_expiry: Option<u32>,
    pub(super) will_delay: Option<u32>,
    pub(super) receive_maximum: Option<u32>,
    pub(super) max_packet: Option<u32>,
    pub(super) alias_maximum: Option<u32>,
    pub(super) alias: Option<u32>,
    pub(super) subscription_id: Option<u32>,
    pub(super) problem_information: Option<u32>,
    pub(super) auth_method: Option<String>,
}

impl Properties {
    /// Reads a block of them with its length.
    pub(super) fn read(body: &mut Body, place: Place) -> Result<Self, Malformed> {
        let length = body.varint()? as usize;
        if length == 0 {
            return Ok(Self::default());
        }
        let mut block = Body(body.take(length)?);
        let (mut all, mut seen, mut carried) = (Self::default(), 0_u64, BytesMut::new());
        let mut auth_data = false;
        while !block.0.is_empty() {
            let before = block.0.clone();
            let id = block.u8()?; // a variable byte integer, but no property has one beyond 0x2a
            if places(id) & place.0 == 0 {
                return Err(MISPLACED);
            }
            if id != USER_PROPERTY && seen & (1 << id) != 0 {
                return Err(Malformed::Protocol("a property that stands twice"));
            }
            seen |= 1 << id;
            auth_data |= id == AUTH_DATA;
            let value = value(id, &mut block)?;
            if all.note(id, value)? && (place == Place::PUBLISH || place == Place::WILL) {
                carried.put_slice(before.get(..before.len() - block.0.len()).unwrap_or_default());
            }
        }
        if auth_data && all.auth_method.is_none() {
            return Err(Malformed::Protocol("authentication data without a method")); // section 3.1.2.11.10
        }
        all.carried = Carried(Bytes::copy_from_slice(&carried)); // without the room that it grew into
        Ok(all)
    }

    /// Notes a value; whether it goes to whoever gets the message instead.
    fn note(&mut self, id: u8, value: Value) -> Result<bool, Malformed> {
        let place = match id {
            MESSAGE_EXPIRY => &mut self.message_expiry,
            SESSION_EXPIRY => &mut self.session_expiry,
            WILL_DELAY => &mut self.will_delay,
            RECEIVE_MAXIMUM => &mut self.receive_maximum,
            MAX_PACKET => &mut self.max_packet,
            TOPIC_ALIAS_MAXIMUM => &mut self.alias_maximum,
            TOPIC_ALIAS => &mut self.alias,
            SUBSCRIPTION_ID => &mut self.subscription_id,
            REQUEST_PROBLEM => &mut self.problem_information,
            AUTH_METHOD => {
                if let Value::Text(method) = value {
                    self.auth_method = Some(method);
                }
                return Ok(false);
            }
            _ => return Ok(true),
        };
        if let Value::Number(number) = value {
            // [MQTT-3.1.2-24] and sections 3.1.2.11.3, 3.3.2.3.4, 3.8.2.1.2
            if number == 0 && matches!(id, RECEIVE_MAXIMUM | MAX_PACKET | TOPIC_ALIAS | SUBSCRIPTION_ID) {
                return Err(Malformed::Protocol("a property that must not be 0"));
            }
            *place = Some(number);
        }
        Ok(false)
    }
}
