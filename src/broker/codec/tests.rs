//! Tests of the codec: the gate line by line, and a stranger's codec (`mqtt-proto`) as the judge of both directions.

mod connects;
mod gate;
mod judged;
mod mutated;
mod properties;
mod strangers;
mod whole;
mod written;

use bytes::BytesMut;

use super::{Malformed, Packet, Reason, Version, decode};

const ALL: [Version; 3] = [Version::V3, Version::V4, Version::V5];
const MAX: usize = 100_000;

/// The one packet that these bytes are.
fn read(version: Version, bytes: &[u8]) -> Result<Packet, Malformed> {
    let mut stream = BytesMut::from(bytes);
    let packet = decode(&mut stream, version, MAX)?.expect("a whole packet");
    assert!(stream.is_empty(), "{packet:?} leaves {stream:?}");
    Ok(packet)
}

/// Why they are none; the bytes stand in the message.
#[track_caller]
fn refused(version: Version, bytes: &[u8]) -> Reason {
    match read(version, bytes) {
        Ok(packet) => panic!("{} reads {} as {packet:?}", version.name(), bytes.escape_ascii()),
        Err(why) => why.reason(),
    }
}

#[track_caller]
fn accepted(version: Version, bytes: &[u8]) -> Packet {
    read(version, bytes).unwrap_or_else(|why| panic!("{}: {}: {why}", version.name(), bytes.escape_ascii()))
}

/// A packet of this first byte with these parts for a body.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let (mut packet, mut length) = (vec![first], body.len());
    while length > 0x7f {
        packet.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    [packet, body].concat()
}

/// Bytes behind their length, as texts stand in packets.
fn text(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// The block of properties that MQTT 5 has where the others have nothing.
fn props(version: Version, properties: &[u8]) -> Vec<u8> {
    if version.is_v5() { [&[u8::try_from(properties.len()).unwrap()], properties].concat() } else { Vec::new() }
}

/// CONNECT with these flags and what stands behind the client id `c`.
fn connect(version: Version, flags: u8, properties: &[u8], rest: &[u8]) -> Vec<u8> {
    let name: &[u8] = match version {
        Version::V3 => b"\0\x06MQIsdp\x03",
        Version::V4 => b"\0\x04MQTT\x04",
        Version::V5 => b"\0\x04MQTT\x05",
    };
    packet(0x10, &[name, &[flags, 0, 10], &props(version, properties), b"\0\x01c", rest])
}

/// Each packet that a client may send, as short as it can be.
fn shortest(version: Version) -> [(u8, Vec<u8>); 11] {
    let none = props(version, b"");
    [
        (1, connect(version, 2, b"", b"")),
        (3, packet(0x30, &[b"\0\x01t", &none])),
        (4, packet(0x40, &[b"\0\x01"])),
        (5, packet(0x50, &[b"\0\x01"])),
        (6, packet(0x62, &[b"\0\x01"])),
        (7, packet(0x70, &[b"\0\x01"])),
        (8, packet(0x82, &[b"\0\x01", &none, b"\0\x01f\0"])),
        (10, packet(0xa2, &[b"\0\x01", &none, b"\0\x01f"])),
        (12, vec![0xc0, 0]),
        (14, vec![0xe0, 0]),
        (3, packet(0x32, &[b"\0\x01t\0\x01", &none, b"payload"])),
    ]
}
