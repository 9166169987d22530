//! The MQTT packet reader and writer: any bytes give packets, a request for more or an error, never a panic, and the same in
//! pieces as at once. A message that was read is written, and read again unchanged. The first byte chooses the version.

#![no_main]

use bytes::BytesMut;
use dmxd::broker::codec::{Carried, Malformed, Outgoing, Packet, Publish, Version, decode, matches_format, publish};
use libfuzzer_sys::fuzz_target;

const MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let version = [Version::V3, Version::V4, Version::V5][usize::from(first % 3)];
    let (packets, end) = all(version, bytes, bytes.len());
    for (version, packet) in &packets {
        match packet {
            Packet::Publish(message) => again(*version, message),
            Packet::Connect(connect) => connect.will.iter().for_each(|will| again(connect.version, will)),
            _ => {}
        }
    }
    assert_eq!((packets, end), all(version, bytes, 1 + usize::from(first / 3)), "in pieces as at once");
});

/// Every packet, with the version it was read in, and the error at the end.
fn all(mut version: Version, mut bytes: &[u8], piece: usize) -> (Vec<(Version, Packet)>, Option<Malformed>) {
    let (mut stream, mut packets) = (BytesMut::new(), Vec::new());
    loop {
        let before = stream.len();
        match decode(&mut stream, version, MAX) {
            Ok(Some(packet)) => {
                assert!(stream.len() < before, "a packet is taken out");
                packets.push((version, packet));
                if let Some((_, Packet::Connect(connect))) = packets.last() {
                    version = connect.version;
                }
            }
            Ok(None) => {
                assert_eq!(stream.len(), before, "nothing is lost while waiting");
                if bytes.is_empty() {
                    return (packets, None);
                }
                let (next, rest) = bytes.split_at(bytes.len().min(piece));
                stream.extend_from_slice(next);
                bytes = rest;
            }
            Err(why) => {
                assert!(!matches!(why, Malformed::TooLarge(length) if length <= MAX));
                return (packets, Some(why));
            }
        }
    }
}

/// Writes a message for a client of its version and of 3.1.1.
fn again(version: Version, message: &Publish) {
    assert!(std::str::from_utf8(&message.payload).is_err() || matches_format(&message.carried, &message.payload));
    for to in [version, Version::V4] {
        let is_v5 = to == Version::V5;
        let mut expected = Publish { pkid: message.qos.bits().into(), ..message.clone() };
        if !is_v5 {
            if message.topic.is_empty() {
                continue; // the session puts the topic of the alias there
            }
            (expected.alias, expected.expiry, expected.carried) = (0, None, Carried::default());
        }
        let outgoing = Outgoing {
            topic: message.topic.as_bytes(),
            payload: &message.payload,
            qos: message.qos,
            retain: message.retain,
            dup: false,
            pkid: expected.pkid,
            alias: message.alias,
            expiry: message.expiry,
            carried: message.carried.bytes(),
            ids: &[],
        };
        let mut wire = BytesMut::new();
        publish(&mut wire, to, &outgoing);
        assert_eq!(wire.len(), outgoing.size(to));
        assert_eq!(decode(&mut wire, to, 2 * MAX), Ok(Some(Packet::Publish(expected))));
    }
}
