//! Any bytes at all, and packets that come in pieces.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use super::judged::theirs;
use super::*;

/// Everything that comes out of bytes which arrive in pieces of these lengths.
fn all(version: Version, max: usize, bytes: &[u8], pieces: &[usize]) -> (Vec<Packet>, Option<Malformed>) {
    let (mut stream, mut rest, mut pieces) = (BytesMut::new(), bytes, pieces.iter().cycle());
    let mut packets = Vec::new();
    loop {
        match decode(&mut stream, version, max) {
            Ok(Some(packet)) => packets.push(packet),
            Err(why) => return (packets, Some(why)),
            Ok(None) if rest.is_empty() => return (packets, None),
            Ok(None) => {
                let (piece, more) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
                stream.extend_from_slice(piece);
                rest = more;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_packets_an_error_or_a_wish_for_more_however_they_are_cut(
        version in prop::sample::select(ALL.to_vec()),
        firsts in vec(prop::sample::select(b"\x10\x30\x3b\x3d\x40\x50\x62\x70\x82\xa2\xc0\xe0\xf0".to_vec()), 1..4),
        bodies in vec(vec(prop_oneof![3 => 0u8..0x30, 1 => any::<u8>()], 0..60), 1..4),
        noise in vec(any::<u8>(), 0..60),
        pieces in vec(1usize..20, 1..10),
    ) {
        let mut bytes: Vec<u8> = firsts.iter().zip(&bodies).flat_map(|(first, body)| packet(*first, &[body])).collect();
        bytes.extend(noise);
        prop_assert_eq!(all(version, 50, &bytes, &pieces), all(version, 50, &bytes, &[bytes.len().max(1)]));
    }

    #[test]
    fn packets_are_the_same_however_they_are_cut(
        packets in vec(theirs(), 1..4), pieces in vec(1usize..40, 1..10),
    ) {
        let version = packets[0].0;
        let packets: Vec<_> = packets.iter().filter(|(other, _)| *other == version).map(|(_, theirs)| theirs).collect();
        let bytes: Vec<u8> = packets.iter().flat_map(|theirs| theirs.bytes()).collect();
        let (read, end) = all(version, MAX, &bytes, &pieces);
        prop_assert_eq!(end, None);
        prop_assert_eq!(read, packets.iter().map(|theirs| theirs.ours().unwrap()).collect::<Vec<_>>());
    }
}

#[test]
fn a_packet_is_waited_for_with_nothing_taken() {
    for version in ALL {
        for (_, bytes) in shortest(version) {
            for cut in 0..bytes.len() {
                let mut stream = BytesMut::from(&bytes[..cut]);
                assert_eq!((decode(&mut stream, version, MAX), &stream[..]), (Ok(None), &bytes[..cut]));
            }
        }
    }
}
