//! The gate for 3.1, 3.1.1 and 5: it stops what the standards forbid and lets the rest through.

use super::*;
use crate::broker::codec::{Options, QoS, RetainHandling};

/// Texts that are none: NUL, no UTF-8, a surrogate, NUL in two bytes, the start of a character.
const NO_TEXTS: [&[u8]; 6] = [b"\0", b"a\0b", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x82"];
/// Texts that look odd: control characters, a byte order mark, a noncharacter, the last code point.
const TEXTS: [&[u8]; 4] = [b"\x01\x1f\x7f", b"\xef\xbb\xbfa", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"];

/// Packets with this text in each place for one.
fn with_text(version: Version, text: &[u8]) -> Vec<Vec<u8>> {
    let (text, none) = (super::text(text), props(version, b""));
    let will = [&none, &text[..], b"\0\x02hi"].concat();
    let client = connect(version, 2, b"", b"").len() - 3;
    let mut connect_as = connect(version, 2, b"", b"");
    connect_as.truncate(client);
    let mut packets = vec![
        packet(0x10, &[&connect_as[2..], &text]),
        connect(version, 6, b"", &will),
        connect(version, 0x82, b"", &text),
        packet(0x30, &[&text, &none]),
        packet(0x82, &[b"\0\x01", &none, &text, b"\0"]),
        packet(0xa2, &[b"\0\x01", &none, &text]),
    ];
    if version.is_v5() {
        let content_type = [b"\x03", &text[..]].concat();
        let response_topic = [b"\x08", &text[..]].concat();
        for message in [&content_type, &response_topic, &user(&text, b"\0\0"), &user(b"\0\0", &text)] {
            packets.push(packet(0x30, &[b"\0\x01t", &props(version, message)]));
            packets.push(connect(version, 6, b"", &[&props(version, message), &b"\0\x01w\0\0"[..]].concat()));
        }
        packets.push(connect(version, 2, &[b"\x15", &text[..]].concat(), b""));
        packets.push(packet(0x40, &[b"\0\x01\0", &props(version, &[b"\x1f", &text[..]].concat())]));
        packets.push(packet(0xe0, &[b"\0", &props(version, &[b"\x1f", &text[..]].concat())]));
    }
    packets
}

fn user(name: &[u8], value: &[u8]) -> Vec<u8> {
    [b"\x26", name, value].concat()
}

#[test]
fn flags_of_the_fixed_header_are_those_of_the_standard() {
    for version in ALL {
        for (kind, mut bytes) in shortest(version) {
            for flags in 0..16 {
                let right = match (kind, version) {
                    (3, _) => continue,
                    (6 | 8 | 10, Version::V3) => flags & 0b0110 == 0b0010,
                    (6 | 8 | 10, _) => flags == 0b0010,
                    (1, _) | (_, Version::V4 | Version::V5) => flags == 0,
                    (_, Version::V3) => true,
                };
                bytes[0] = kind << 4 | flags;
                let is_read = read(version, &bytes);
                assert_eq!(is_read.is_ok(), right, "{} {}: {is_read:?}", version.name(), bytes.escape_ascii());
            }
        }
    }
}

#[test]
fn a_packet_is_as_long_as_its_header_says() {
    for version in ALL {
        for (kind, mut bytes) in shortest(version) {
            if bytes[1] > 0 && !bytes.ends_with(b"payload") {
                let mut short = bytes.clone();
                short.pop();
                short[1] -= 1;
                assert_eq!(refused(version, &short), Reason::Malformed);
            }
            let may_go_on = kind == 3 || version.is_v5() && matches!(kind, 4..=7 | 14);
            bytes.push(0);
            bytes[1] += 1;
            assert_eq!(read(version, &bytes).is_ok(), may_go_on, "{} {}", version.name(), bytes.escape_ascii());
        }
    }
}

#[test]
fn answers_and_goodbyes_of_mqtt_5_may_end_early_and_no_later() {
    for first in [0x40, 0x50, 0x62, 0x70, 0xe0] {
        let id: &[u8] = if first == 0xe0 { b"" } else { b"\0\x01" };
        for rest in [&b""[..], b"\0", b"\0\0"] {
            accepted(Version::V5, &packet(first, &[id, rest]));
        }
        for rest in [&b"\0\0\0"[..], b"\0\x01", b"\0\x80"] {
            assert_eq!(refused(Version::V5, &packet(first, &[id, rest])), Reason::Malformed);
        }
        for version in [Version::V3, Version::V4] {
            assert_eq!(refused(version, &packet(first, &[id, b"\0"])), Reason::Malformed);
        }
    }
}

#[test]
fn texts_are_utf_8_without_nul_and_come_as_they_are() {
    for version in ALL {
        for bytes in NO_TEXTS.iter().flat_map(|text| with_text(version, text)) {
            assert_eq!(refused(version, &bytes), Reason::Malformed);
        }
        for text in TEXTS {
            with_text(version, text).iter().for_each(|bytes| drop(accepted(version, bytes)));
            let Packet::Publish(message) = accepted(version, &with_text(version, text)[3]) else { panic!() };
            assert_eq!(message.topic.as_bytes(), text);
        }
    }
}

#[test]
fn messages_and_wills_go_to_topics_without_wildcards() {
    for version in ALL {
        let (none, has_empty) = (props(version, b""), version.is_v5());
        for topic in [&b"+"[..], b"#", b"a/+", b"a/#", b"a+b", b"a#"] {
            let topic = text(topic);
            assert_eq!(refused(version, &packet(0x30, &[&topic, &none])), Reason::Malformed);
            let will = [&none, &topic[..], b"\0\0"].concat();
            assert_eq!(refused(version, &connect(version, 6, b"", &will)), Reason::Malformed);
            if has_empty {
                let properties = props(version, &[b"\x08", &topic[..]].concat());
                assert_eq!(refused(version, &packet(0x30, &[b"\0\x01t", &properties])), Reason::Malformed);
                let properties = props(version, &[b"\x23\0\x05\x08", &topic[..]].concat());
                assert_eq!(refused(version, &packet(0x30, &[b"\0\0", &properties])), Reason::Malformed);
            }
        }
        assert_eq!(refused(version, &packet(0x30, &[b"\0\0", &none])), Reason::ProtocolError);
        assert_eq!(refused(version, &connect(version, 6, b"", &[&none, &b"\0\0\0\0"[..]].concat())), Reason::Malformed);
    }
}

#[test]
fn an_empty_topic_needs_an_alias() {
    let Packet::Publish(message) = accepted(Version::V5, b"\x30\x06\0\0\x03\x23\x01\x02") else { panic!() };
    assert_eq!((message.topic.as_str(), message.alias), ("", 0x0102));
    assert_eq!(refused(Version::V5, b"\x30\x06\0\0\x03\x23\0\0"), Reason::ProtocolError);
    assert_eq!(refused(Version::V5, b"\x30\x07\0\x01t\x03\x23\0\0"), Reason::ProtocolError);
}

#[test]
fn packet_ids_are_not_0() {
    for version in ALL {
        let none = props(version, b"");
        for (first, before, rest) in [
            (0x32, &b"\0\x01t"[..], &none[..]),
            (0x34, b"\0\x01t", &none),
            (0x40, b"", b""),
            (0x50, b"", b""),
            (0x62, b"", b""),
            (0x70, b"", b""),
            (0x82, b"", &[&none, &b"\0\x01f\0"[..]].concat()),
            (0xa2, b"", &[&none, &b"\0\x01f"[..]].concat()),
        ] {
            accepted(version, &packet(first, &[before, b"\xff\xff", rest]));
            assert_eq!(refused(version, &packet(first, &[before, b"\0\0", rest])), Reason::Malformed);
        }
    }
}

#[test]
fn there_is_no_qos_3() {
    for version in ALL {
        let none = props(version, b"");
        assert_eq!(refused(version, &packet(0x36, &[b"\0\x01t\0\x01", &none])), Reason::Malformed);
        let will = [&none, &b"\0\x01w\0\0"[..]].concat();
        accepted(version, &connect(version, 0x16, b"", &will));
        assert_eq!(refused(version, &connect(version, 0x1e, b"", &will)), Reason::Malformed);
        assert_eq!(refused(version, &packet(0x82, &[b"\0\x01", &none, b"\0\x01f\x03"])), Reason::ProtocolError);
    }
}

#[test]
fn only_mqtt_5_refuses_a_message_of_qos_0_that_is_marked_as_sent_again() {
    for version in ALL {
        let message = packet(0x38, &[b"\0\x01t", &props(version, b"")]);
        assert_eq!(read(version, &message).is_ok(), version < Version::V5);
    }
}

#[test]
fn options_of_a_subscription_have_no_reserved_bits() {
    for version in ALL {
        for byte in 0..=255 {
            let bytes = packet(0x82, &[b"\0\x01", &props(version, b""), b"\0\x01f", &[byte]]);
            let retained = [RetainHandling::Always, RetainHandling::IfNew, RetainHandling::Never];
            let expected = QoS::new(byte & 3).and_then(|qos| {
                let retained = *retained.get(usize::from(byte >> 4))?;
                (version.is_v5() || byte < 4).then_some(Options {
                    qos,
                    no_local: byte & 4 > 0,
                    retain_as_published: byte & 8 > 0,
                    retained,
                })
            });
            match (read(version, &bytes), expected) {
                (Ok(Packet::Subscribe { filters, .. }), Some(options)) => {
                    assert_eq!(filters, [("f".to_owned(), options)]);
                }
                (is_read, expected) => assert!(is_read.is_err() && expected.is_none(), "{byte:#x}: {is_read:?}"),
            }
        }
    }
}

#[test]
fn a_list_of_filters_has_one_and_no_local_is_not_for_shared_ones() {
    for version in ALL {
        for first in [0x82, 0xa2] {
            assert_eq!(refused(version, &packet(first, &[b"\0\x01", &props(version, b"")])), Reason::ProtocolError);
        }
    }
    for (filter, options, right) in [(&b"$share/g/f"[..], 4, false), (b"$share/g/f", 0, true), (b"$shared", 4, true)] {
        let is_read = read(Version::V5, &packet(0x82, &[b"\0\x01\0", &text(filter), &[options]]));
        assert_eq!(is_read.is_ok(), right, "{is_read:?}");
    }
}

#[test]
fn packets_of_a_server_and_auth_are_refused_before_they_are_there() {
    for version in ALL {
        for kind in [0, 2, 9, 11, 13, 15] {
            let is_read = decode(&mut BytesMut::from(&[kind << 4, 100][..]), version, MAX);
            let reason = if version.is_v5() && kind == 15 { Reason::ProtocolError } else { Reason::Malformed };
            assert_eq!(is_read.unwrap_err().reason(), reason, "{kind}");
        }
        assert_eq!(decode(&mut BytesMut::from(&b"\xc1"[..]), version, MAX), Ok(None));
        assert_eq!(decode(&mut BytesMut::from(&b"\x30\xe9\x07"[..]), version, 1000), Err(Malformed::TooLarge(1001)));
        assert_eq!(decode(&mut BytesMut::from(&b"\x30\xe8\x07"[..]), version, 1000), Ok(None));
    }
}

#[test]
fn integers_of_mqtt_5_are_as_short_as_they_can_be_and_never_longer_than_four_bytes() {
    for version in ALL {
        for (_, bytes) in shortest(version) {
            let long = [&[bytes[0], bytes[1] | 0x80, 0x80, 0], &bytes[2..]].concat();
            assert_eq!(read(version, &long).is_ok(), !version.is_v5(), "{}", long.escape_ascii());
            assert_eq!(refused(version, &[bytes[0], 0x80, 0x80, 0x80, 0x80]), Reason::Malformed);
        }
    }
    for id in [&b"\x81\0"[..], b"\x80\x80\x80\x80\x01", b"\x80", b"\0"] {
        let properties = props(Version::V5, &[b"\x0b", id].concat());
        refused(Version::V5, &packet(0x82, &[b"\0\x01", &properties, b"\0\x01f\0"]));
    }
    assert_eq!(refused(Version::V5, b"\x30\x05\0\x01t\x80\0"), Reason::Malformed);
    let most = packet(0x82, &[b"\0\x01", &props(Version::V5, b"\x0b\xff\xff\xff\x7f"), b"\0\x01f\0"]);
    assert!(matches!(accepted(Version::V5, &most), Packet::Subscribe { id: Some(0x0fff_ffff), .. }));
}
