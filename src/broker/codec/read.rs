//! Bytes to packets: the gate that every byte of a client's passes.

use bytes::{Buf as _, Bytes, BytesMut};

use super::body::{Body, LONG, NO_TOPIC, Varint};
use super::properties::{Place, Properties};
use super::{Connect, Limits, Malformed, Options, Packet, Publish, QoS, RetainHandling, Version};

/// Takes the next whole packet out of `stream`; `None` until all of it is there. `version` is what the client's CONNECT said;
/// for CONNECT itself it means nothing.
///
/// # Errors
/// Bytes that are not a client's packet, or one with a body larger than `max` bytes.
pub fn decode(stream: &mut BytesMut, version: Version, max: usize) -> Result<Option<Packet>, Malformed> {
    let Some((first, Varint { value: length, bytes, is_shortest })) = fixed_header(stream)? else { return Ok(None) };
    let (kind, flags, header) = (first >> 4, first & 0x0f, 1 + bytes);
    check_first(kind, flags, version)?;
    if length > max {
        return Err(Malformed::TooLarge(length));
    }
    if stream.len() < header + length {
        stream.reserve(header + length - stream.len());
        return Ok(None);
    }
    let mut body = Body(stream.split_to(header + length).freeze());
    body.0.advance(header);
    let v5 = version.is_v5();
    let packet = match kind {
        1 => Packet::Connect(Box::new(connect(&mut body)?)),
        3 => Packet::Publish(publish(flags, &mut body, v5)?),
        4 => Packet::PubAck(ack(&mut body, v5, PUBLISH_REASONS)?.0),
        5 => {
            let (pkid, reason) = ack(&mut body, v5, PUBLISH_REASONS)?;
            Packet::PubRec { pkid, refused: reason >= 0x80 }
        }
        6 => Packet::PubRel(ack(&mut body, v5, RELEASE_REASONS)?.0),
        7 => Packet::PubComp(ack(&mut body, v5, RELEASE_REASONS)?.0),
        8 => subscribe(&mut body, v5)?,
        10 => {
            let pkid = body.pkid()?;
            if v5 {
                Properties::read(&mut body, Place::UNSUBSCRIBE)?;
            }
            Packet::Unsubscribe { pkid, filters: body.list(Body::text)? }
        }
        12 => Packet::PingReq,
        14 => goodbye(&mut body, v5)?,
        _ => return Err(NO_CLIENTS),
    };
    let v5 = if let Packet::Connect(connect) = &packet { connect.version.is_v5() } else { v5 };
    if v5 && !is_shortest {
        return Err(LONG);
    }
    if body.0.is_empty() { Ok(Some(packet)) } else { Err(Malformed::Broken("bytes behind the end of a packet")) }
}

/// Checks the first byte, before anything waits for the rest: [MQTT-2.2.2-2] of 3.1.1, [MQTT-2.1.3-1] of 5. In 3.1 PUBREL,
/// SUBSCRIBE and UNSUBSCRIBE have QoS 1 there and may be marked as sent again; the other bits mean nothing.
fn check_first(kind: u8, flags: u8, version: Version) -> Result<(), Malformed> {
    let (wanted, in_v3) = match kind {
        1 => (0, 0x0f), // its version is not known yet
        3 => return Ok(()),
        4 | 5 | 7 | 12 | 14 => (0, 0),
        6 | 8 | 10 => (0b0010, 0b0110),
        15 if version.is_v5() => return Err(Malformed::Protocol("AUTH without enhanced authentication")),
        _ => return Err(NO_CLIENTS),
    };
    let looked_at = if version == Version::V3 { in_v3 } else { 0x0f };
    if flags & looked_at == wanted { Ok(()) } else { Err(Malformed::Broken("reserved flags of a packet are set")) }
}

/// First byte and length of what follows the fixed header (section 2.2 of 3.1.1, 2.1 of 5).
fn fixed_header(stream: &[u8]) -> Result<Option<(u8, Varint)>, Malformed> {
    let Some((&first, rest)) = stream.split_first() else { return Ok(None) };
    match Varint::read(rest) {
        Some(length) => Ok(Some((first, length))),
        None if rest.len() < 4 => Ok(None),
        None => Err(Malformed::Broken("a remaining length of more than four bytes")),
    }
}

/// The bit in the level of a bridge, which mosquitto and others set.
const BRIDGE: u8 = 0x80;

fn connect(body: &mut Body) -> Result<Connect, Malformed> {
    let name = body.bytes()?;
    let level = body.u8()?;
    let (version, is_bridge) = match (&name[..], level) {
        (b"MQIsdp", 3) => (Version::V3, false),
        (b"MQIsdp", level) if level == BRIDGE | 3 => (Version::V3, true),
        (b"MQTT", 4) => (Version::V4, false),
        (b"MQTT", level) if level == BRIDGE | 4 => (Version::V4, true),
        (b"MQTT", 5) => (Version::V5, false),
        (b"MQTT" | b"MQIsdp", other) => return Err(Malformed::Level(other)), // [MQTT-3.1.2-2]
        _ => return Err(Malformed::Broken("the protocol name is not MQTT")), // [MQTT-3.1.2-1]
    };
    let (v5, flags) = (version.is_v5(), body.u8()?);
    if flags & 1 != 0 {
        return Err(Malformed::Broken("the reserved flag of CONNECT is set")); // [MQTT-3.1.2-3]
    }
    let keep_alive = body.u16()?;
    let properties = if v5 { Properties::read(body, Place::CONNECT)? } else { Properties::default() };
    let client_id = body.text()?;
    let (will, will_delay) = will(flags, body, version)?;
    // In 3.1 the remaining length takes precedence over these two flags (its section 3.1).
    let has = |flag, body: &Body| flags & flag != 0 && (version > Version::V3 || !body.0.is_empty());
    let username = has(0x80, body).then(|| body.text()).transpose()?;
    let password = has(0x40, body).then(|| body.bytes()).transpose()?;
    if password.is_some() && username.is_none() && !v5 {
        return Err(Malformed::Broken("CONNECT has a password and no user name")); // [MQTT-3.1.2-22] of 3.1.1
    }
    let clean = flags & 2 != 0;
    let session_expiry = match (v5, clean) {
        (true, _) => properties.session_expiry.unwrap_or(0),
        (false, true) => 0,
        (false, false) => u32::MAX,
    };
    let limits = limits(&properties);
    let auth_method = properties.auth_method;
    Ok(Connect {
        version,
        is_bridge,
        client_id,
        clean,
        session_expiry,
        keep_alive,
        will,
        will_delay,
        username,
        password,
        limits,
        auth_method,
    })
}

fn limits(properties: &Properties) -> Limits {
    let all = Limits::default();
    let small = |value: Option<u32>, other| value.and_then(|value| u16::try_from(value).ok()).unwrap_or(other);
    Limits {
        receive_maximum: small(properties.receive_maximum, all.receive_maximum),
        max_packet: properties.max_packet.unwrap_or(all.max_packet),
        topic_aliases: small(properties.alias_maximum, 0),
        reason_strings: properties.problem_information != Some(0),
    }
}

/// The will, and its delay.
fn will(flags: u8, body: &mut Body, version: Version) -> Result<(Option<Publish>, u32), Malformed> {
    if flags & 0b100 == 0 {
        // [MQTT-3.1.2-11], [-13], [-15]; in 3.1 "its value is disregarded"
        let contradicts = version > Version::V3 && flags & 0b0011_1000 != 0;
        return if contradicts { Err(Malformed::Broken("will flags without a will")) } else { Ok((None, 0)) };
    }
    let qos = QoS::new((flags >> 3) & 3).ok_or(Malformed::Broken("the will asks for an unknown QoS"))?;
    let properties = if version.is_v5() { Properties::read(body, Place::WILL)? } else { Properties::default() };
    let topic = body.topic()?;
    let payload = Bytes::copy_from_slice(&body.bytes()?);
    let (expiry, delay) = (properties.message_expiry, properties.will_delay.unwrap_or(0));
    let (retain, carried) = (flags & 0x20 != 0, properties.carried);
    Ok((Some(Publish { topic, payload, qos, retain, pkid: 0, alias: 0, expiry, carried }), delay))
}

fn publish(flags: u8, body: &mut Body, v5: bool) -> Result<Publish, Malformed> {
    let qos = QoS::new((flags >> 1) & 3).ok_or(Malformed::Broken("a message of an unknown QoS"))?; // [MQTT-3.3.1-4]
    if v5 && qos == QoS::AtMostOnce && flags & 8 != 0 {
        return Err(Malformed::Broken("a message of QoS 0 that was sent before")); // [MQTT-3.3.1-2]; old clients do it
    }
    let topic = body.text()?;
    let pkid = if qos == QoS::AtMostOnce { 0 } else { body.pkid()? };
    let properties = if v5 { Properties::read(body, Place::PUBLISH)? } else { Properties::default() };
    let alias = properties.alias.map_or(0, |alias| alias as u16); // it was read from two bytes
    if topic.is_empty() && alias == 0 {
        return Err(Malformed::Protocol("a message with neither a topic nor an alias")); // section 3.3.2.1
    }
    if topic.contains(['+', '#']) {
        return Err(NO_TOPIC);
    }
    let payload = std::mem::take(&mut body.0);
    let (expiry, carried) = (properties.message_expiry, properties.carried);
    Ok(Publish { topic, payload, qos, retain: flags & 1 != 0, pkid, alias, expiry, carried })
}

/// Packet id and reason of one of the four answers; nothing behind the id means success (section 3.4.2.1).
fn ack(body: &mut Body, v5: bool, reasons: &[u8]) -> Result<(u16, u8), Malformed> {
    let pkid = body.pkid()?;
    if !v5 || body.0.is_empty() {
        return Ok((pkid, 0));
    }
    let reason = body.u8()?;
    if !body.0.is_empty() {
        Properties::read(body, Place::ACK)?;
    }
    if reasons.contains(&reason) { Ok((pkid, reason)) } else { Err(NO_REASON) }
}

fn subscribe(body: &mut Body, v5: bool) -> Result<Packet, Malformed> {
    let pkid = body.pkid()?;
    let properties = if v5 { Properties::read(body, Place::SUBSCRIBE)? } else { Properties::default() };
    let filters = body.list(|body| {
        let filter = body.text()?;
        Ok((filter, options(body.u8()?, v5)?))
    })?;
    if filters.iter().any(|(filter, options)| options.no_local && filter.starts_with("$share/")) {
        return Err(Malformed::Protocol("no local on a shared subscription")); // [MQTT-3.8.3-4]
    }
    Ok(Packet::Subscribe { pkid, id: properties.subscription_id, filters })
}

fn options(byte: u8, v5: bool) -> Result<Options, Malformed> {
    let qos = QoS::new(byte & 3).ok_or(Malformed::Protocol("a subscription asks for an unknown QoS"))?;
    if byte & if v5 { 0xc0 } else { 0xfc } != 0 {
        return Err(Malformed::Broken("reserved bits of a subscription are set")); // [MQTT-3.8.3-5], [MQTT-3-8.3-4] of 3.1.1
    }
    let retained = match (byte >> 4) & 3 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(Malformed::Protocol("a subscription with retain handling 3")),
    };
    Ok(Options { qos, no_local: byte & 4 != 0, retain_as_published: byte & 8 != 0, retained })
}

fn goodbye(body: &mut Body, v5: bool) -> Result<Packet, Malformed> {
    if !v5 || body.0.is_empty() {
        return Ok(Packet::Disconnect { will: false, session_expiry: None });
    }
    let reason = body.u8()?;
    let properties = if body.0.is_empty() { Properties::default() } else { Properties::read(body, Place::DISCONNECT)? };
    // A server's reasons pass too: libraries send whatever they are told, and the connection ends anyway.
    if !DISCONNECT_REASONS.contains(&reason) {
        return Err(NO_REASON);
    }
    // Only 0x00 takes the will back ([MQTT-3.14.4-3]).
    Ok(Packet::Disconnect { will: reason != 0x00, session_expiry: properties.session_expiry })
}

/// Reasons of PUBACK and PUBREC (sections 3.4.2.1 and 3.5.2.1).
const PUBLISH_REASONS: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
/// Reasons of PUBREL and PUBCOMP (sections 3.6.2.1 and 3.7.2.1).
const RELEASE_REASONS: &[u8] = &[0x00, 0x92];
/// Reasons of DISCONNECT (section 3.14.2.1).
const DISCONNECT_REASONS: &[u8] = &[
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

const NO_CLIENTS: Malformed = Malformed::Broken("a packet that no client sends");
const NO_REASON: Malformed = Malformed::Protocol("a reason that this packet does not have");
