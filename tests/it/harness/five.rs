//! MQTT 5 packets, written and read by hand (OASIS MQTT 5.0, chapters 2 and 3), so that a test can also send what no library
//! would.

use super::packet::{binary, encode, remaining_length, text};

/// An identifier and its value.
pub type Property = (u8, Value);

/// A value of a property (section 1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Variable(u32),
    Text(String),
    Binary(Vec<u8>),
    Pair(String, String),
}

/// The properties of section 2.2.2.2, by name.
pub mod property {
    use super::{Property, Value};

    macro_rules! properties {
        ($($name:ident $id:literal $kind:ident $type:ty),* $(,)?) => {
            $(pub fn $name(value: $type) -> Property { ($id, Value::$kind(value.into())) })*
        };
    }

    properties! {
        payload_format 0x01 Byte u8,
        message_expiry 0x02 Four u32,
        content_type 0x03 Text &str,
        response_topic 0x08 Text &str,
        correlation_data 0x09 Binary &[u8],
        subscription_id 0x0b Variable u32,
        session_expiry 0x11 Four u32,
        assigned_client_id 0x12 Text &str,
        server_keep_alive 0x13 Two u16,
        auth_method 0x15 Text &str,
        request_problem 0x17 Byte u8,
        will_delay 0x18 Four u32,
        reason_string 0x1f Text &str,
        receive_maximum 0x21 Two u16,
        topic_alias_maximum 0x22 Two u16,
        topic_alias 0x23 Two u16,
        maximum_packet 0x27 Four u32,
    }

    pub fn user(name: &str, value: &str) -> Property {
        (0x26, Value::Pair(name.into(), value.into()))
    }
}

/// The value of the first property like this one (its own does not matter).
pub fn find(properties: &[Property], like: &Property) -> Option<Value> {
    properties.iter().find(|(id, _)| *id == like.0).map(|(_, value)| value.clone())
}

/// The reason string among these.
pub fn why(properties: &[Property]) -> Option<String> {
    match find(properties, &property::reason_string("")) {
        Some(Value::Text(why)) => Some(why),
        _ => None,
    }
}

/// A packet that a client of MQTT 5 reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet5 {
    ConnAck {
        session_present: bool,
        code: u8,
        properties: Vec<Property>,
    },
    Publish(Message5),
    /// PUBACK (0x40), PUBREC (0x50), PUBREL (0x60) or PUBCOMP (0x70).
    Ack {
        kind: u8,
        pkid: u16,
        code: u8,
        properties: Vec<Property>,
    },
    /// SUBACK (0x90) or UNSUBACK (0xB0).
    Filters {
        kind: u8,
        pkid: u16,
        codes: Vec<u8>,
    },
    PingResp,
    Disconnect {
        code: u8,
        properties: Vec<Property>,
    },
}

/// A PUBLISH, or a will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message5 {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub pkid: u16,
    pub properties: Vec<Property>,
}

impl Message5 {
    /// At QoS 1, without properties.
    pub fn new(topic: &str, payload: &str) -> Self {
        Self { topic: topic.into(), payload: payload.into(), qos: 1, ..Self::default() }
    }

    #[must_use]
    pub fn qos(self, qos: u8) -> Self {
        Self { qos, ..self }
    }

    #[must_use]
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    /// With one more property.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).expect("a text payload")
    }

    /// Seconds after which nobody wants it any more.
    pub fn expiry(&self) -> Option<u32> {
        match find(&self.properties, &property::message_expiry(0)) {
            Some(Value::Four(seconds)) => Some(seconds),
            _ => None,
        }
    }

    /// Identifiers of the subscriptions that it comes by, in order of size.
    pub fn ids(&self) -> Vec<u32> {
        let id = |(id, value): &Property| match value {
            Value::Variable(value) if *id == 0x0b => Some(*value),
            _ => None,
        };
        let mut ids: Vec<_> = self.properties.iter().filter_map(id).collect();
        ids.sort_unstable();
        ids
    }

    pub fn encode(&self) -> Vec<u8> {
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(self.pkid.to_be_bytes());
        }
        put_properties(&mut body, &self.properties);
        body.extend(&self.payload);
        encode::packet(first, &body)
    }
}

/// A CONNECT.
#[derive(Clone, Debug)]
pub struct Connect5 {
    pub id: String,
    pub clean: bool,
    pub keep_alive: u16,
    pub properties: Vec<Property>,
    pub will: Option<Message5>,
    pub login: Option<(String, String)>,
}

impl Connect5 {
    /// Clean start, nothing kept, keep-alive of a minute.
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), clean: true, keep_alive: 60, properties: Vec::new(), will: None, login: None }
    }

    /// Clean start 0, and a session that is kept for so many seconds.
    pub fn kept(id: &str, seconds: u32) -> Self {
        Self { clean: false, ..Self::new(id) }.with(property::session_expiry(seconds))
    }

    #[must_use]
    pub fn clean(self) -> Self {
        Self { clean: true, ..self }
    }

    #[must_use]
    pub fn keep_alive(self, keep_alive: u16) -> Self {
        Self { keep_alive, ..self }
    }

    #[must_use]
    pub fn will(self, will: Message5) -> Self {
        Self { will: Some(will), ..self }
    }

    #[must_use]
    pub fn login(self, user: &str, password: &str) -> Self {
        Self { login: Some((user.into(), password.into())), ..self }
    }

    /// With one more property.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let will = self.will.as_ref().map_or(0, |will| 0x04 | will.qos << 3 | u8::from(will.retain) << 5);
        let login = if self.login.is_some() { 0xC0 } else { 0 };
        let mut body = text("MQTT");
        body.extend([5, u8::from(self.clean) << 1 | will | login]);
        body.extend(self.keep_alive.to_be_bytes());
        put_properties(&mut body, &self.properties);
        body.extend(text(&self.id));
        if let Some(will) = &self.will {
            put_properties(&mut body, &will.properties);
            body.extend(text(&will.topic));
            body.extend(binary(&will.payload));
        }
        if let Some((user, password)) = &self.login {
            body.extend(text(user));
            body.extend(text(password));
        }
        encode::packet(0x10, &body)
    }
}

/// SUBSCRIBE to filters with their options: QoS, 4 no local, 8 retain as published, 16 and 32 retain handling.
pub fn subscribe(pkid: u16, filters: &[(&str, u8)], properties: &[Property]) -> Vec<u8> {
    let mut body = pkid.to_be_bytes().to_vec();
    put_properties(&mut body, properties);
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    encode::packet(0x82, &body)
}

/// UNSUBSCRIBE.
pub fn unsubscribe(pkid: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = pkid.to_be_bytes().to_vec();
    body.push(0);
    filters.iter().for_each(|filter| body.extend(text(filter)));
    encode::packet(0xA2, &body)
}

/// DISCONNECT.
pub fn disconnect(code: u8, properties: &[Property]) -> Vec<u8> {
    let mut body = vec![code];
    put_properties(&mut body, properties);
    encode::packet(0xE0, &body)
}

/// PUBACK, PUBREC, PUBREL (0x62) or PUBCOMP.
pub fn ack(first: u8, pkid: u16, code: u8) -> Vec<u8> {
    let mut body = pkid.to_be_bytes().to_vec();
    body.push(code);
    encode::packet(first, &body)
}

fn put_properties(out: &mut Vec<u8>, properties: &[Property]) {
    let mut block = Vec::new();
    for (id, value) in properties {
        block.push(*id);
        match value {
            Value::Byte(value) => block.push(*value),
            Value::Two(value) => block.extend(value.to_be_bytes()),
            Value::Four(value) => block.extend(value.to_be_bytes()),
            Value::Variable(value) => encode::length(&mut block, *value as usize),
            Value::Text(value) => block.extend(text(value)),
            Value::Binary(value) => block.extend(binary(value)),
            Value::Pair(name, value) => [name, value].into_iter().for_each(|part| block.extend(text(part))),
        }
    }
    encode::length(out, block.len());
    out.extend(block);
}

/// Reads one packet from the front of `bytes`; `None` = not whole yet. Also gives its length.
pub fn decode(bytes: &[u8]) -> Option<(Packet5, usize)> {
    let (&first, after) = bytes.split_first()?;
    let (length, header) = remaining_length(after)?;
    let mut body = Body(after.get(header..header + length)?);
    let packet = match first & 0xF0 {
        0x20 => {
            let (present, code) = (body.byte(), body.byte());
            Packet5::ConnAck { session_present: present & 1 == 1, code, properties: body.properties() }
        }
        0x30 => Packet5::Publish(message(first, &mut body)),
        kind @ (0x40 | 0x50 | 0x60 | 0x70) => {
            let pkid = body.two();
            let code = if body.0.is_empty() { 0 } else { body.byte() };
            Packet5::Ack { kind, pkid, code, properties: body.properties_if_any() }
        }
        kind @ (0x90 | 0xB0) => {
            let pkid = body.two();
            body.properties();
            Packet5::Filters { kind, pkid, codes: std::mem::take(&mut body.0).to_vec() }
        }
        0xD0 => Packet5::PingResp,
        0xE0 => {
            let code = if body.0.is_empty() { 0 } else { body.byte() };
            Packet5::Disconnect { code, properties: body.properties_if_any() }
        }
        _ => panic!("no server sends this: {bytes:02x?}"),
    };
    assert!(body.0.is_empty(), "nothing stands behind a packet: {bytes:02x?}");
    Some((packet, 1 + header + length))
}

fn message(first: u8, body: &mut Body<'_>) -> Message5 {
    let qos = first >> 1 & 3;
    let topic = body.text();
    let pkid = if qos > 0 { body.two() } else { 0 };
    assert!(qos == 0 || pkid > 0, "a packet id is never 0 [MQTT-2.2.1-3]");
    let properties = body.properties();
    let payload = std::mem::take(&mut body.0).to_vec();
    Message5 { topic, payload, qos, retain: first & 1 == 1, dup: first & 8 == 8, pkid, properties }
}

struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().unwrap())
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes.to_vec()
    }

    fn binary(&mut self) -> Vec<u8> {
        let length = self.two();
        self.bytes(length.into())
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.binary()).expect("texts are UTF-8")
    }

    fn variable(&mut self) -> usize {
        let (value, length) = remaining_length(self.0).expect("a whole integer");
        self.bytes(length);
        value
    }

    fn properties_if_any(&mut self) -> Vec<Property> {
        if self.0.is_empty() { Vec::new() } else { self.properties() }
    }

    fn properties(&mut self) -> Vec<Property> {
        let length = self.variable();
        let block = self.bytes(length);
        let (mut block, mut properties) = (Body(&block), Vec::new());
        while !block.0.is_empty() {
            let id = block.byte();
            let value = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => Value::Byte(block.byte()),
                0x13 | 0x21..=0x23 => Value::Two(block.two()),
                0x02 | 0x11 | 0x18 | 0x27 => Value::Four(u32::from_be_bytes(block.bytes(4).try_into().unwrap())),
                0x0b => Value::Variable(block.variable() as u32),
                0x09 | 0x16 => Value::Binary(block.binary()),
                0x26 => Value::Pair(block.text(), block.text()),
                _ => Value::Text(block.text()),
            };
            properties.push((id, value));
        }
        properties
    }
}
