//! Packets to bytes, in the form of the client's version.

use bytes::{BufMut, BytesMut};

use super::properties::{
    ASSIGNED_CLIENT_ID, MAX_PACKET, MESSAGE_EXPIRY, REASON_STRING, SERVER_KEEP_ALIVE, SESSION_EXPIRY, SUBSCRIPTION_ID,
    TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM,
};
use super::{QoS, Reason, Version};

/// Longest reason string, in bytes: it is for a log line.
const LONGEST_REASON: usize = 200;

/// What CONNACK tells a client of MQTT 5 that it may do, or that was decided for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Welcome<'a> {
    /// The session expiry, if another one than asked for.
    pub session_expiry: Option<u32>,
    /// Bytes of a packet that are taken.
    pub max_packet: Option<u32>,
    /// Highest topic alias that is understood.
    pub topic_aliases: u16,
    /// The client id, for a client that had none.
    pub client_id: Option<&'a str>,
    /// The keep-alive, if another one than asked for.
    pub keep_alive: Option<u16>,
}

/// The four one-number answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Answer to a QoS 1 PUBLISH.
    PubAck = 0x40,
    /// First answer to a QoS 2 PUBLISH.
    PubRec = 0x50,
    /// Release of our QoS 2 PUBLISH; flags 0010 (section 3.6.1).
    PubRel = 0x62,
    /// Answer to PUBREL.
    PubComp = 0x70,
}

/// A message on its way to a client.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// UTF-8; empty when the alias says it.
    pub topic: &'a [u8],
    /// Any bytes.
    pub payload: &'a [u8],
    /// The QoS of delivery.
    pub qos: QoS,
    /// Whether it comes from the retained store, or as it was published.
    pub retain: bool,
    /// Whether it was sent before.
    pub dup: bool,
    /// Not 0 above QoS 0.
    pub pkid: u16,
    /// What follows is for MQTT 5 only. 0: none.
    pub alias: u16,
    /// Seconds that are left.
    pub expiry: Option<u32>,
    /// As they came.
    pub carried: &'a [u8],
    /// Identifiers of the subscriptions that it matches.
    pub ids: &'a [u32],
}

impl Outgoing<'_> {
    fn properties(&self) -> usize {
        let alias = if self.alias > 0 { 3 } else { 0 };
        let expiry = if self.expiry.is_some() { 5 } else { 0 };
        let ids: usize = self.ids.iter().map(|id| 1 + length_of(*id as usize)).sum();
        alias + expiry + self.carried.len() + ids
    }

    fn body(&self, version: Version) -> usize {
        let id = if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        let properties = self.properties();
        let properties = if version.is_v5() { length_of(properties) + properties } else { 0 };
        2 + self.topic.len() + id + properties + self.payload.len()
    }

    /// Bytes of the whole packet.
    #[must_use]
    pub fn size(&self, version: Version) -> usize {
        let body = self.body(version);
        1 + length_of(body) + body
    }
}

/// PUBLISH.
pub fn publish(out: &mut BytesMut, version: Version, message: &Outgoing<'_>) {
    out.put_u8(0x30 | u8::from(message.dup) << 3 | message.qos.bits() << 1 | u8::from(message.retain));
    put_length(out, message.body(version));
    put_bytes(out, message.topic);
    if message.qos > QoS::AtMostOnce {
        out.put_u16(message.pkid);
    }
    if version.is_v5() {
        put_length(out, message.properties());
        if message.alias > 0 {
            put_u16(out, TOPIC_ALIAS, message.alias);
        }
        if let Some(expiry) = message.expiry {
            put_u32(out, MESSAGE_EXPIRY, expiry);
        }
        out.put_slice(message.carried);
        for id in message.ids {
            out.put_u8(SUBSCRIPTION_ID);
            put_length(out, *id as usize);
        }
    }
    out.put_slice(message.payload);
}

/// CONNACK. `why` is told with a refusal, to clients of MQTT 5.
pub fn connack(out: &mut BytesMut, version: Version, present: bool, reason: Reason, welcome: &Welcome<'_>, why: &str) {
    let present = present && reason == Reason::Success; // [MQTT-3.2.2-6], [MQTT-3.2.2-4] of 3.1.1
    if !version.is_v5() {
        let present = present && version > Version::V3; // 3.1 reserves that byte
        out.put_slice(&[0x20, 2, u8::from(present), reason.return_code()]);
        return;
    }
    let mut properties = BytesMut::new();
    if let Some(expiry) = welcome.session_expiry {
        put_u32(&mut properties, SESSION_EXPIRY, expiry);
    }
    if let Some(max) = welcome.max_packet {
        put_u32(&mut properties, MAX_PACKET, max);
    }
    if welcome.topic_aliases > 0 {
        put_u16(&mut properties, TOPIC_ALIAS_MAXIMUM, welcome.topic_aliases);
    }
    if let Some(id) = welcome.client_id {
        properties.put_u8(ASSIGNED_CLIENT_ID);
        put_bytes(&mut properties, id.as_bytes());
    }
    if let Some(keep_alive) = welcome.keep_alive {
        put_u16(&mut properties, SERVER_KEEP_ALIVE, keep_alive);
    }
    put_reason_string(&mut properties, why);
    out.put_u8(0x20);
    put_length(out, 2 + length_of(properties.len()) + properties.len());
    out.put_slice(&[u8::from(present), reason.code()]);
    put_length(out, properties.len());
    out.put_slice(&properties);
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP. Before MQTT 5 there is no reason in it.
pub fn ack(out: &mut BytesMut, version: Version, ack: Ack, pkid: u16, reason: Reason, why: &str) {
    let (reason, why) = if version.is_v5() { (reason, why) } else { (Reason::Success, "") };
    if reason == Reason::Success && why.is_empty() {
        out.put_slice(&[ack as u8, 2]);
        out.put_u16(pkid);
        return;
    }
    put_answer(out, ack as u8, &pkid.to_be_bytes(), reason, why);
}

/// SUBACK: for each filter the granted QoS, or why not (in 3.1.1: 0x80). MQTT 3.1 has no code for a refusal and demands
/// "a positive acknowledgement" all the same (its section 3.8).
pub fn suback(out: &mut BytesMut, version: Version, pkid: u16, granted: &[Result<QoS, Reason>]) {
    let properties = usize::from(version.is_v5());
    out.put_u8(0x90);
    put_length(out, 2 + properties + granted.len());
    out.put_u16(pkid);
    out.put_bytes(0, properties);
    let code = |reason: &Reason| match version {
        Version::V3 => QoS::AtMostOnce.bits(),
        Version::V4 => Reason::Unspecified.code(),
        Version::V5 => reason.code(),
    };
    out.extend(granted.iter().map(|grant| grant.as_ref().map_or_else(code, |qos| qos.bits())));
}

/// UNSUBACK; before MQTT 5 it says nothing of the filters.
pub fn unsuback(out: &mut BytesMut, version: Version, pkid: u16, ended: &[Reason]) {
    let (properties, codes) = if version.is_v5() { (1, ended) } else { (0, &[][..]) };
    out.put_u8(0xb0);
    put_length(out, 2 + properties + codes.len());
    out.put_u16(pkid);
    out.put_bytes(0, properties);
    out.extend(codes.iter().map(|reason| reason.code()));
}

/// PINGRESP.
pub fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// DISCONNECT, always with a reason string: paho shows the true reason only when there is a property. Only MQTT 5 has it.
pub fn disconnect(out: &mut BytesMut, reason: Reason, why: &str) {
    put_answer(out, 0xe0, &[], reason, why);
}

/// Writes an answer with its reason string, or without it where the client does not take so many bytes ([MQTT-3.2.2-19],
/// [MQTT-3.4.2-2], [MQTT-3.14.2-3]).
pub fn fitting(out: &mut BytesMut, max_packet: u32, why: &str, write: impl Fn(&mut BytesMut, &str)) {
    let before = out.len();
    write(out, why);
    if out.len() - before > max_packet as usize {
        out.truncate(before);
        write(out, "");
    }
}

/// A packet that is a reason and a reason string, behind `head`.
fn put_answer(out: &mut BytesMut, first: u8, head: &[u8], reason: Reason, why: &str) {
    let mut properties = BytesMut::new();
    put_reason_string(&mut properties, why);
    out.put_u8(first);
    put_length(out, head.len() + 1 + length_of(properties.len()) + properties.len());
    out.put_slice(head);
    out.put_u8(reason.code());
    put_length(out, properties.len());
    out.put_slice(&properties);
}

fn put_reason_string(out: &mut BytesMut, why: &str) {
    if why.is_empty() {
        return;
    }
    let end = why.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST_REASON).last().unwrap_or(0);
    let why = if why.len() <= LONGEST_REASON { why } else { why.get(..end).unwrap_or_default() };
    out.put_u8(REASON_STRING);
    put_bytes(out, why.as_bytes());
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    // what is written here came over the wire or is short, so none is longer than 65,535 bytes
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

fn put_u16(out: &mut BytesMut, id: u8, value: u16) {
    out.put_u8(id);
    out.put_u16(value);
}

fn put_u32(out: &mut BytesMut, id: u8, value: u32) {
    out.put_u8(id);
    out.put_u32(value);
}

/// Bytes of a variable byte integer.
fn length_of(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// A variable byte integer, seven bits a byte (section 2.2.3 of 3.1.1, 1.5.5 of 5).
fn put_length(out: &mut BytesMut, mut length: usize) {
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        out.put_u8(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            return;
        }
    }
}
