//! MQTT 3.1.1 packets as bytes, both ways (OASIS MQTT 3.1.1, sections 2 and 3).
//!
//! Our own and strict: rumqttd's codec lets reserved flags, trailing bytes and NUL in topics pass, and cannot tell
//! an empty user name from none. Never panics on any bytes; never keeps more than one packet.

use bytes::{Buf, BufMut, Bytes, BytesMut};

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
    PubRec(u16),
    /// Release of a QoS 2 message of the client's.
    PubRel(u16),
    /// Last answer to a QoS 2 message of ours.
    PubComp(u16),
    /// Filters with the highest QoS the client wants.
    Subscribe {
        /// Packet id.
        pkid: u16,
        /// At least one.
        filters: Vec<(String, QoS)>,
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
    /// The polite end, without a will.
    Disconnect,
}

/// CONNECT of protocol level 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// May be empty.
    pub client_id: String,
    /// Whether to forget an earlier session and not keep this one.
    pub clean: bool,
    /// Seconds; 0 = none.
    pub keep_alive: u16,
    /// Published when the connection dies.
    pub will: Option<Publish>,
    /// Login name.
    pub username: Option<String>,
    /// Login password: any bytes.
    pub password: Option<Bytes>,
}

/// PUBLISH, or a will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Without wildcards, at least one character.
    pub topic: String,
    /// Any bytes.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// Whether to keep it for later subscribers.
    pub retain: bool,
    /// Packet id; 0 at QoS 0.
    pub pkid: u16,
}

/// Bytes that are not MQTT 3.1.1; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// CONNECT of another version: answered with CONNACK code 1.
    #[error("protocol level {0} is not supported (4 is MQTT 3.1.1)")]
    Level(u8),
    /// The packet is larger than allowed.
    #[error("a packet of {0} bytes is larger than mqtt.max_packet_bytes")]
    TooLarge(usize),
    /// Anything else.
    #[error("{0}")]
    Broken(&'static str),
}

/// CONNACK return codes (table 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectCode {
    /// Welcome.
    Accepted = 0,
    /// Another protocol level.
    Level = 1,
    /// A client id that is not allowed.
    Identifier = 2,
    /// No room, or stopping.
    Unavailable = 3,
    /// Wrong user name or password.
    BadLogin = 4,
    /// Not allowed.
    NotAuthorized = 5,
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

/// Takes the next whole packet out of `stream`; `None` until all of it is there.
///
/// # Errors
/// Bytes that are not a client's packet, or one with a body larger than `max` bytes.
pub fn decode(stream: &mut BytesMut, max: usize) -> Result<Option<Packet>, Malformed> {
    let Some((first, header, length)) = fixed_header(stream)? else { return Ok(None) };
    if length > max {
        return Err(Malformed::TooLarge(length));
    }
    if stream.len() < header + length {
        stream.reserve(header + length - stream.len());
        return Ok(None);
    }
    let mut body = Body(stream.split_to(header + length).freeze());
    body.0.advance(header);
    let (kind, flags) = (first >> 4, first & 0x0f);
    let wanted_flags = if matches!(kind, 6 | 8 | 10) { 0b0010 } else { 0 };
    if kind != 3 && flags != wanted_flags {
        return Err(Malformed::Broken("reserved flags of a packet are set")); // [MQTT-2.2.2-2]
    }
    let packet = match kind {
        1 => Packet::Connect(Box::new(connect(&mut body)?)),
        3 => Packet::Publish(publish(flags, &mut body)?),
        4 => Packet::PubAck(body.pkid()?),
        5 => Packet::PubRec(body.pkid()?),
        6 => Packet::PubRel(body.pkid()?),
        7 => Packet::PubComp(body.pkid()?),
        8 => {
            let pkid = body.pkid()?;
            let filters = body.list(|body| {
                let filter = body.text()?;
                let qos = QoS::new(body.u8()?).ok_or(Malformed::Broken("a subscription asks for an unknown QoS"))?;
                Ok((filter, qos))
            })?;
            Packet::Subscribe { pkid, filters }
        }
        10 => Packet::Unsubscribe { pkid: body.pkid()?, filters: body.list(Body::text)? },
        12 => Packet::PingReq,
        14 => Packet::Disconnect,
        _ => return Err(Malformed::Broken("a packet that no client sends")),
    };
    if body.0.is_empty() { Ok(Some(packet)) } else { Err(Malformed::Broken("bytes behind the end of a packet")) }
}

/// First byte, length of the fixed header, length of the rest (section 2.2).
fn fixed_header(stream: &[u8]) -> Result<Option<(u8, usize, usize)>, Malformed> {
    let Some((&first, rest)) = stream.split_first() else { return Ok(None) };
    let mut length = 0;
    for (at, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((first, 2 + at, length)));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(Malformed::Broken("a remaining length of more than four bytes")) }
}

fn connect(body: &mut Body) -> Result<Connect, Malformed> {
    let name = body.bytes()?;
    let level = body.u8()?;
    match (&name[..], level) {
        (b"MQTT", 4) => {}
        (b"MQTT" | b"MQIsdp", other) => {
            body.0.clear();
            return Err(Malformed::Level(other)); // [MQTT-3.1.2-2]
        }
        _ => return Err(Malformed::Broken("the protocol name is not MQTT")), // [MQTT-3.1.2-1]
    }
    let flags = body.u8()?;
    if flags & 1 != 0 {
        return Err(Malformed::Broken("the reserved flag of CONNECT is set")); // [MQTT-3.1.2-3]
    }
    let keep_alive = body.u16()?;
    let client_id = body.text()?;
    let will = will(flags, body)?;
    let username = (flags & 0x80 != 0).then(|| body.text()).transpose()?;
    let password = (flags & 0x40 != 0).then(|| body.bytes()).transpose()?;
    if password.is_some() && username.is_none() {
        return Err(Malformed::Broken("CONNECT has a password and no user name")); // [MQTT-3.1.2-22]
    }
    Ok(Connect { client_id, clean: flags & 2 != 0, keep_alive, will, username, password })
}

fn will(flags: u8, body: &mut Body) -> Result<Option<Publish>, Malformed> {
    if flags & 0b100 == 0 {
        // [MQTT-3.1.2-11], [-13], [-15]
        return if flags & 0b0011_1000 == 0 { Ok(None) } else { Err(Malformed::Broken("will flags without a will")) };
    }
    let qos = QoS::new((flags >> 3) & 3).ok_or(Malformed::Broken("the will asks for an unknown QoS"))?;
    let topic = body.topic()?;
    let payload = body.bytes()?;
    Ok(Some(Publish { topic, payload: Bytes::copy_from_slice(&payload), qos, retain: flags & 0x20 != 0, pkid: 0 }))
}

fn publish(flags: u8, body: &mut Body) -> Result<Publish, Malformed> {
    let qos = QoS::new((flags >> 1) & 3).ok_or(Malformed::Broken("a message of an unknown QoS"))?; // [MQTT-3.3.1-4]
    let topic = body.topic()?;
    let pkid = if qos == QoS::AtMostOnce { 0 } else { body.pkid()? };
    let payload = std::mem::take(&mut body.0);
    Ok(Publish { topic, payload, qos, retain: flags & 1 != 0, pkid })
}

/// The rest of a packet's body.
struct Body(Bytes);

impl Body {
    fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    fn pkid(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed::Broken("packet id 0")), // [MQTT-2.3.1-1]
            pkid => Ok(pkid),
        }
    }

    fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = usize::from(self.u16()?);
        if length > self.0.len() { Err(SHORT) } else { Ok(self.0.split_to(length)) }
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(Malformed::Broken("a text that is not UTF-8 or has NUL in it")), // [MQTT-1.5.3-1], [-2]
        }
    }

    fn topic(&mut self) -> Result<String, Malformed> {
        let topic = self.text()?;
        if topic.is_empty() || topic.contains(['+', '#']) {
            return Err(Malformed::Broken("a topic that is empty or has wildcards")); // [MQTT-3.3.2-2], [MQTT-4.7.3-1]
        }
        Ok(topic)
    }

    /// The rest as items, at least one ([MQTT-3.8.3-3], [MQTT-3.10.3-2]).
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let mut items = Vec::new();
        while !self.0.is_empty() {
            items.push(item(self)?);
        }
        if items.is_empty() { Err(Malformed::Broken("a list of filters without filters")) } else { Ok(items) }
    }
}

const SHORT: Malformed = Malformed::Broken("a packet that ends too early");

/// CONNACK.
pub fn connack(out: &mut BytesMut, session_present: bool, code: ConnectCode) {
    out.put_slice(&[0x20, 2, u8::from(session_present), code as u8]);
}

/// PUBLISH to a client.
pub fn publish_out(out: &mut BytesMut, message: &Outgoing<'_>) {
    let id_length = if message.qos == QoS::AtMostOnce { 0 } else { 2 };
    out.put_u8(0x30 | u8::from(message.dup) << 3 | message.qos.bits() << 1 | u8::from(message.retain));
    put_length(out, 2 + message.topic.len() + id_length + message.payload.len());
    // topics came in over the wire, so none is longer than 65,535 bytes
    out.put_u16(u16::try_from(message.topic.len()).unwrap_or(u16::MAX));
    out.put_slice(message.topic);
    if id_length > 0 {
        out.put_u16(message.pkid);
    }
    out.put_slice(message.payload);
}

/// A message on its way to a client.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// UTF-8.
    pub topic: &'a [u8],
    /// Any bytes.
    pub payload: &'a [u8],
    /// The QoS of delivery.
    pub qos: QoS,
    /// Whether it comes from the retained store.
    pub retain: bool,
    /// Whether it was sent before.
    pub dup: bool,
    /// Not 0 above QoS 0.
    pub pkid: u16,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn ack(out: &mut BytesMut, ack: Ack, pkid: u16) {
    out.put_slice(&[ack as u8, 2]);
    out.put_u16(pkid);
}

/// SUBACK: for each filter the granted QoS, or `None` for a refusal (0x80).
pub fn suback(out: &mut BytesMut, pkid: u16, granted: &[Option<QoS>]) {
    out.put_u8(0x90);
    put_length(out, 2 + granted.len());
    out.put_u16(pkid);
    out.extend(granted.iter().map(|qos| qos.map_or(0x80, QoS::bits)));
}

/// UNSUBACK.
pub fn unsuback(out: &mut BytesMut, pkid: u16) {
    out.put_slice(&[0xb0, 2]);
    out.put_u16(pkid);
}

/// PINGRESP.
pub fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// The remaining length, seven bits a byte (section 2.2.3).
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(bytes: &[u8]) -> Result<Option<Packet>, Malformed> {
        decode(&mut BytesMut::from(bytes), 1000)
    }

    #[test]
    fn a_connect_is_read_with_all_its_parts() {
        let mut bytes = vec![0x10, 0];
        bytes.extend(b"\0\x04MQTT\x04\xee\0\x0a\0\x01c\0\x01w\0\x02hi\0\x01u\0\x01\xff");
        bytes[1] = (bytes.len() - 2) as u8;
        let Ok(Some(Packet::Connect(connect))) = one(&bytes) else { panic!() };
        let will = connect.will.unwrap();
        assert_eq!(
            (will.topic.as_str(), &will.payload[..], will.qos, will.retain),
            ("w", &b"hi"[..], QoS::AtLeastOnce, true)
        );
        assert_eq!((connect.username.as_deref(), connect.password.as_deref()), (Some("u"), Some(&b"\xff"[..])));
        assert_eq!((connect.client_id.as_str(), connect.clean, connect.keep_alive), ("c", true, 10));
    }

    #[test]
    fn what_the_standard_forbids_is_malformed() {
        for bytes in [
            &b"\x11\x0c\0\x04MQTT\x04\x02\0\0\0\0"[..], // flags of CONNECT
            b"\x10\x0c\0\x04MQTT\x04\x03\0\0\0\0",      // its reserved flag
            b"\x10\x0c\0\x04MQTX\x04\x02\0\0\0\0",      // its name
            b"\x10\x0c\0\x04MQTT\x04\x0a\0\0\0\0",      // will QoS without a will
            b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\0x",     // a byte too many
            b"\x36\x05\0\x01a\0\x01",                   // QoS 3
            b"\x30\x03\0\x01+",                         // wildcard in a topic
            b"\x30\x02\0\0",                            // empty topic
            b"\x30\x03\0\x01\0",                        // NUL in a topic
            b"\x30\x03\0\x01\xff",                      // not UTF-8
            b"\x32\x05\0\x01a\0\0",                     // packet id 0
            b"\x80\x06\0\x01\0\x01a\0",                 // flags of SUBSCRIBE
            b"\x82\x02\0\x01",                          // no filter
            b"\x82\x06\0\x01\0\x01a\x03",               // unknown QoS
            b"\x20\x02\0\0",                            // a server's packet
            b"\xc0\xff\xff\xff\xff\x01",                // length of five bytes
        ] {
            assert!(matches!(one(bytes), Err(Malformed::Broken(_))), "{bytes:?}");
        }
        assert_eq!(one(b"\x10\x0c\0\x04MQTT\x05\x02\0\0\0\0"), Err(Malformed::Level(5)));
        assert_eq!(one(b"\x10\x0e\0\x06MQIsdp\x03\x02\0\0\0\0"), Err(Malformed::Level(3)));
        assert_eq!(one(b"\x30\xe9\x07"), Err(Malformed::TooLarge(1001)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_an_error_or_a_wish_for_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode(&mut stream, 150) {}
        }

        #[test]
        fn a_message_written_is_the_message_read_however_it_is_cut(
            topic in "[^+#\0]{1,40}", payload in prop::collection::vec(any::<u8>(), 0..300),
            qos in 0u8..3, retain: bool, pkid in 1u16.., cut in 0usize..400,
        ) {
            let qos = QoS::new(qos).unwrap();
            let mut wire = BytesMut::new();
            publish_out(&mut wire, &Outgoing { topic: topic.as_bytes(), payload: &payload, qos, retain, dup: false, pkid });
            let pkid = if qos == QoS::AtMostOnce { 0 } else { pkid };
            let mut stream = BytesMut::from(&wire[..cut.min(wire.len() - 1)]);
            prop_assert_eq!(decode(&mut stream, 10_000), Ok(None));
            stream.extend_from_slice(&wire[cut.min(wire.len() - 1)..]);
            let expected = Publish { topic, payload: payload.into(), qos, retain, pkid };
            prop_assert_eq!(decode(&mut stream, 10_000), Ok(Some(Packet::Publish(expected))));
            prop_assert!(stream.is_empty());
        }
    }
}
