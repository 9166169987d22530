//! Properties of MQTT 5: table 2-4 of the standard, and reasons by the tables of a stranger's codec.

use mqtt_proto::v5;

use super::*;
use crate::broker::codec::{Limits, matches_format};

const V5: Version = Version::V5;

/// Each property with a value.
const PROPERTIES: [&[u8]; 27] = [
    b"\x01\x01",
    b"\x02\0\0\0\x01",
    b"\x03\0\x01t",
    b"\x08\0\x01r",
    b"\x09\0\x01\xff",
    b"\x0b\x01",
    b"\x11\0\0\0\x01",
    b"\x12\0\x01i",
    b"\x13\0\x01",
    b"\x15\0\x01m",
    b"\x16\0\x01\xff",
    b"\x17\x01",
    b"\x18\0\0\0\x01",
    b"\x19\x01",
    b"\x1a\0\x01i",
    b"\x1c\0\x01s",
    b"\x1f\0\x01r",
    b"\x21\0\x01",
    b"\x22\0\x01",
    b"\x23\0\x01",
    b"\x24\x01",
    b"\x25\x01",
    b"\x26\0\x01k\0\x01v",
    b"\x27\0\0\0\x01",
    b"\x28\x01",
    b"\x29\x01",
    b"\x2a\x01",
];

/// Where properties can stand in what a client sends, and which of them.
const PLACES: [(&str, &[u8]); 7] = [
    ("CONNECT", &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]),
    ("will", &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]),
    ("PUBLISH", &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26]),
    ("SUBSCRIBE", &[0x0b, 0x26]),
    ("UNSUBSCRIBE", &[0x26]),
    ("DISCONNECT", &[0x11, 0x1f, 0x26]),
    ("PUBACK", &[0x1f, 0x26]),
];

fn with(place: &str, properties: &[u8]) -> Vec<Vec<u8>> {
    let block = props(V5, properties);
    match place {
        "CONNECT" => vec![connect(V5, 2, properties, b"")],
        "will" => vec![connect(V5, 6, b"", &[&block, &b"\0\x01w\0\0"[..]].concat())],
        "PUBLISH" => vec![packet(0x30, &[b"\0\x01t", &block]), packet(0x32, &[b"\0\x01t\0\x01", &block])],
        "SUBSCRIBE" => vec![packet(0x82, &[b"\0\x01", &block, b"\0\x01f\0"])],
        "UNSUBSCRIBE" => vec![packet(0xa2, &[b"\0\x01", &block, b"\0\x01f"])],
        "DISCONNECT" => vec![packet(0xe0, &[b"\0", &block])],
        _ => [0x40, 0x50, 0x62, 0x70].map(|first| packet(first, &[b"\0\x01\0", &block])).into(),
    }
}

#[test]
fn a_property_stands_where_it_belongs_and_once() {
    for (place, allowed) in PLACES {
        for property in PROPERTIES {
            let id = property[0];
            // what belongs to a method is refused without one
            let before: &[u8] = if id == 0x16 && place == "CONNECT" { b"\x15\0\x01m" } else { b"" };
            for bytes in with(place, &[before, property].concat()) {
                match read(V5, &bytes) {
                    Ok(_) => assert!(allowed.contains(&id), "{place} takes {id:#x}"),
                    Err(why) => {
                        assert!(!allowed.contains(&id), "{place} refuses {id:#x}: {why}");
                        assert_eq!(why.reason(), Reason::Malformed);
                    }
                }
            }
            for bytes in with(place, &[before, property, property].concat()).iter().filter(|_| allowed.contains(&id)) {
                match read(V5, bytes) {
                    Ok(_) => assert_eq!(id, 0x26, "{place} takes {id:#x} twice"),
                    Err(why) => assert_eq!((why.reason(), id == 0x26), (Reason::ProtocolError, false)),
                }
            }
        }
    }
}

#[test]
fn ids_that_no_property_has_are_malformed() {
    for id in (0..=255).filter(|id| PROPERTIES.iter().all(|property| property[0] != *id)) {
        for bytes in PLACES.iter().flat_map(|(place, _)| with(place, &[id, 0, 0, 0, 0])) {
            assert_eq!(refused(V5, &bytes), Reason::Malformed);
        }
    }
}

#[test]
fn properties_are_as_long_as_their_length_says() {
    for (place, allowed) in PLACES {
        let nothing = with(place, b"");
        for property in PROPERTIES.iter().filter(|property| allowed.contains(&property[0])) {
            for cut in 1..property.len() {
                for bytes in with(place, &property[..cut]) {
                    assert_eq!(refused(V5, &bytes), Reason::Malformed, "{place} {property:?}");
                }
            }
        }
        // a length that goes beyond the packet
        for mut bytes in nothing {
            let at = bytes.len() - if place == "will" { 6 } else { 1 };
            if matches!(place, "will" | "PUBLISH" | "DISCONNECT" | "PUBACK") {
                bytes[at] = 0x7f;
                assert_eq!(refused(V5, &bytes), Reason::Malformed);
            }
        }
    }
    // and one that is missing
    for bytes in [&b"\x30\x03\0\x01t"[..], b"\x32\x05\0\x01t\0\x01", b"\x82\x02\0\x01", b"\xa2\x02\0\x01"] {
        assert_eq!(refused(V5, bytes), Reason::Malformed);
    }
}

#[test]
fn values_that_the_standard_forbids_are_protocol_errors() {
    for (place, property) in [
        ("CONNECT", &b"\x21\0\0"[..]),
        ("CONNECT", b"\x27\0\0\0\0"),
        ("CONNECT", b"\x17\x02"),
        ("CONNECT", b"\x19\x02"),
        ("CONNECT", b"\x16\0\0"), // data for no method
        ("PUBLISH", b"\x23\0\0"),
        ("PUBLISH", b"\x01\x02"),
        ("will", b"\x01\xff"),
        ("SUBSCRIBE", b"\x0b\0"),
    ] {
        for bytes in with(place, property) {
            assert_eq!(refused(V5, &bytes), Reason::ProtocolError, "{place} {property:?}");
        }
    }
}

#[test]
fn limits_are_those_of_the_standard_until_a_client_names_its_own() {
    let limits = |properties| {
        let Packet::Connect(connect) = accepted(V5, &connect(V5, 2, properties, b"")) else { panic!() };
        (connect.limits, connect.session_expiry)
    };
    assert_eq!(limits(b""), (Limits::default(), 0));
    let named = Limits { receive_maximum: 1, max_packet: 2, topic_aliases: 3, reason_strings: false };
    assert_eq!(limits(b"\x21\0\x01\x27\0\0\0\x02\x22\0\x03\x17\0\x11\0\0\0\x04"), (named, 4));
    assert!(limits(b"\x17\x01").0.reason_strings);
    for version in [Version::V3, Version::V4] {
        for (flags, expiry) in [(0, u32::MAX), (2, 0)] {
            let Packet::Connect(connect) = accepted(version, &connect(version, flags, b"", b"")) else { panic!() };
            assert_eq!((connect.session_expiry, connect.limits), (expiry, Limits::default()));
        }
    }
}

#[test]
fn reasons_are_those_of_the_packet() {
    for code in 0..=255 {
        for (first, exists) in [
            (0x40, v5::PubackReasonCode::from_u8(code).is_some()),
            (0x50, v5::PubrecReasonCode::from_u8(code).is_some()),
            (0x62, v5::PubrelReasonCode::from_u8(code).is_some()),
            (0x70, v5::PubcompReasonCode::from_u8(code).is_some()),
        ] {
            match read(V5, &packet(first, &[b"\0\x01", &[code]])) {
                Ok(Packet::PubRec { refused, .. }) => assert_eq!((exists, refused), (true, code >= 0x80)),
                Ok(_) => assert!(exists, "{first:#x} {code:#x}"),
                Err(why) => assert_eq!((exists, why.reason()), (false, Reason::ProtocolError)),
            }
        }
        match read(V5, &packet(0xe0, &[&[code]])) {
            Ok(Packet::Disconnect { will, .. }) => {
                assert!(v5::DisconnectReasonCode::from_u8(code).is_some(), "{code:#x}");
                assert_eq!(will, code != 0);
            }
            other => {
                assert_eq!(other.unwrap_err().reason(), Reason::ProtocolError);
                assert!(v5::DisconnectReasonCode::from_u8(code).is_none(), "{code:#x}");
            }
        }
    }
}

#[test]
fn what_a_message_carries_goes_on_in_its_order_and_nothing_else_does() {
    let properties =
        b"\x26\0\x01k\0\x01v\x02\0\0\0\x07\x01\x01\x23\0\x05\x26\0\x01k\0\x01w\x09\0\x01\xff\x08\0\x01r\x03\0\x01t";
    let carried = b"\x26\0\x01k\0\x01v\x01\x01\x26\0\x01k\0\x01w\x09\0\x01\xff\x08\0\x01r\x03\0\x01t";
    let Packet::Publish(message) = accepted(V5, &with("PUBLISH", properties)[0]) else { panic!() };
    assert_eq!((message.expiry, message.alias, &message.carried.bytes()[..]), (Some(7), 5, &carried[..]));
    let delayed = [b"\x18\0\0\0\x09", &properties[..14], &properties[17..]].concat();
    let Packet::Connect(connect) = accepted(V5, &with("will", &delayed)[0]) else { panic!() };
    let will = connect.will.unwrap();
    assert_eq!((connect.will_delay, will.expiry, &will.carried.bytes()[..]), (9, Some(7), &carried[..]));
}

#[test]
fn a_payload_that_is_said_to_be_text_is_checked() {
    for (properties, text, other) in [
        (&b""[..], true, true),
        (b"\x01\x01", true, false),
        (b"\x01\0", true, true),
        (b"\x26\0\x01\x01\0\x01\x01\x01\x01", true, false),
        (b"\x26\0\x01\x01\0\x01\x01", true, true),
    ] {
        let Packet::Publish(message) = accepted(V5, &with("PUBLISH", properties)[0]) else { panic!() };
        assert_eq!(
            (matches_format(&message.carried, "é".as_bytes()), matches_format(&message.carried, b"\xff")),
            (text, other)
        );
    }
}
