//! MQTT 3.1.1 packets, written and read by hand (OASIS MQTT 3.1.1, chapters 2 and 3), so that a test can also send what no
//! library would.

/// A packet that a client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    ConnAck { session_present: bool, code: u8 },
    Publish(Message),
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    SubAck { pkid: u16, codes: Vec<u8> },
    UnsubAck(u16),
    PingResp,
}

/// A PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub pkid: u16,
}

impl Message {
    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).expect("a JSON payload")
    }

    /// The payload as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).expect("a text payload")
    }
}

/// A CONNECT.
#[derive(Clone, Debug)]
pub struct Connect {
    id: String,
    clean: bool,
    keep_alive: u16,
    will: Option<Message>,
    user: Option<String>,
    password: Option<String>,
    name: &'static str,
    level: u8,
}

impl Connect {
    /// A clean session without a will, keep-alive of a minute.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            clean: true,
            keep_alive: 60,
            will: None,
            user: None,
            password: None,
            name: "MQTT",
            level: 4,
        }
    }

    /// clean session = 0.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.clean = false;
        self
    }

    /// Seconds; 0 = none.
    #[must_use]
    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// Last will at QoS 1.
    #[must_use]
    pub fn will(mut self, topic: &str, payload: &str, retain: bool) -> Self {
        let (topic, payload) = (topic.into(), payload.into());
        self.will = Some(Message { topic, payload, qos: 1, retain, dup: false, pkid: 0 });
        self
    }

    /// The will's QoS.
    #[must_use]
    pub fn will_qos(mut self, qos: u8) -> Self {
        self.will.as_mut().expect("a will").qos = qos;
        self
    }

    /// User name and password.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        (self.user, self.password) = (Some(user.into()), Some(password.into()));
        self
    }

    /// MQTT 3.1.
    #[must_use]
    pub fn v3(self) -> Self {
        Self { name: "MQIsdp", level: 3, ..self }
    }

    /// The other end is a broker.
    #[must_use]
    pub fn bridge(mut self) -> Self {
        self.level |= 0x80;
        self
    }

    /// Protocol level: 4 is 3.1.1, 5 is 5.0.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        let mut payload = text(&self.id);
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
            payload.extend(text(&will.topic));
            payload.extend(binary(&will.payload));
        }
        if let Some(user) = &self.user {
            flags |= 0x80;
            payload.extend(text(user));
        }
        if let Some(password) = &self.password {
            flags |= 0x40;
            payload.extend(text(password));
        }
        let mut body = text(self.name);
        body.extend([self.level, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        if self.level == 5 {
            body.push(0); // no properties
        }
        body.extend(payload);
        encode::packet(0x10, &body)
    }
}

/// Packets a client sends.
pub mod encode {
    use super::{Message, text};

    /// Fixed header and body.
    pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        length(&mut bytes, body.len());
        bytes.extend_from_slice(body);
        bytes
    }

    /// A variable byte integer.
    pub fn length(out: &mut Vec<u8>, mut rest: usize) {
        loop {
            let low = (rest % 128) as u8;
            rest /= 128;
            out.push(if rest > 0 { low | 0x80 } else { low });
            if rest == 0 {
                return;
            }
        }
    }

    /// PUBLISH as in `message`.
    pub fn publish(message: &Message) -> Vec<u8> {
        let first = 0x30 | u8::from(message.dup) << 3 | message.qos << 1 | u8::from(message.retain);
        let mut body = text(&message.topic);
        if message.qos > 0 {
            body.extend(message.pkid.to_be_bytes());
        }
        body.extend(&message.payload);
        packet(first, &body)
    }

    /// SUBSCRIBE to filters, each with a QoS.
    pub fn subscribe(pkid: u16, filters: &[(&str, u8)]) -> Vec<u8> {
        let mut body = pkid.to_be_bytes().to_vec();
        for (filter, qos) in filters {
            body.extend(text(filter));
            body.push(*qos);
        }
        packet(0x82, &body)
    }

    /// UNSUBSCRIBE.
    pub fn unsubscribe(pkid: u16, filters: &[&str]) -> Vec<u8> {
        let mut body = pkid.to_be_bytes().to_vec();
        for filter in filters {
            body.extend(text(filter));
        }
        packet(0xA2, &body)
    }

    /// PUBACK.
    pub fn puback(pkid: u16) -> Vec<u8> {
        packet(0x40, &pkid.to_be_bytes())
    }

    /// PUBREC.
    pub fn pubrec(pkid: u16) -> Vec<u8> {
        packet(0x50, &pkid.to_be_bytes())
    }

    /// PUBREL.
    pub fn pubrel(pkid: u16) -> Vec<u8> {
        packet(0x62, &pkid.to_be_bytes())
    }

    /// PUBCOMP.
    pub fn pubcomp(pkid: u16) -> Vec<u8> {
        packet(0x70, &pkid.to_be_bytes())
    }

    /// PINGREQ.
    pub const PING: [u8; 2] = [0xC0, 0];

    /// DISCONNECT.
    pub const DISCONNECT: [u8; 2] = [0xE0, 0];
}

/// Reads one packet from the front of `bytes`; `None` = not whole yet. Also gives its length.
pub fn decode(bytes: &[u8]) -> Option<(Packet, usize)> {
    let (&first, after) = bytes.split_first()?;
    let (length, header) = remaining_length(after)?;
    let body = after.get(header..header + length)?;
    let pkid = || u16::from_be_bytes([body[0], body[1]]);
    let packet = match first >> 4 {
        2 => Packet::ConnAck { session_present: body[0] & 1 == 1, code: body[1] },
        3 => Packet::Publish(message(first, body)),
        4 => Packet::PubAck(pkid()),
        5 => Packet::PubRec(pkid()),
        6 => Packet::PubRel(pkid()),
        7 => Packet::PubComp(pkid()),
        9 => Packet::SubAck { pkid: pkid(), codes: body[2..].to_vec() },
        11 => Packet::UnsubAck(pkid()),
        13 => Packet::PingResp,
        other => panic!("no client may be sent a packet of type {other}: {bytes:02x?}"),
    };
    Some((packet, 1 + header + length))
}

fn message(first: u8, body: &[u8]) -> Message {
    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    let qos = first >> 1 & 3;
    let topic = String::from_utf8(body[2..end].to_vec()).expect("topics are UTF-8");
    let start = if qos > 0 { end + 2 } else { end };
    let pkid = if qos > 0 { u16::from_be_bytes([body[end], body[end + 1]]) } else { 0 };
    assert!(qos == 0 || pkid > 0, "a packet id is never 0 [MQTT-2.3.1-1]");
    Message { topic, payload: body[start..].to_vec(), qos, retain: first & 1 == 1, dup: first & 8 == 8, pkid }
}

pub fn remaining_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    assert!(bytes.len() < 4, "a remaining length has at most 4 bytes [MQTT-2.2.3]");
    None
}

pub fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

pub fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(bytes.len()).expect("at most 65,535 bytes").to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}
