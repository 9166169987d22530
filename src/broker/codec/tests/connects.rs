//! The gate of CONNECT for 3.1, 3.1.1 and 5.

use super::*;

#[test]
fn the_reserved_flag_of_connect_is_0() {
    for version in ALL {
        accepted(version, &connect(version, 0, b"", b""));
        assert_eq!(refused(version, &connect(version, 1, b"", b"")), Reason::Malformed);
    }
}

#[test]
fn flags_of_a_will_need_a_will_except_in_3_1_which_disregards_them() {
    for version in ALL {
        for flags in [0x08, 0x10, 0x18, 0x20, 0x38] {
            let is_read = read(version, &connect(version, flags, b"", b""));
            match is_read {
                Ok(Packet::Connect(connect)) => assert!(version == Version::V3 && connect.will.is_none()),
                other => assert!(version > Version::V3 && other.unwrap_err().reason() == Reason::Malformed),
            }
        }
    }
}

#[test]
fn names_and_passwords_are_there_as_the_flags_say() {
    for version in ALL {
        let password_alone = read(version, &connect(version, 0x42, b"", b"\0\x01\xff"));
        assert_eq!(password_alone.is_ok(), version.is_v5());
        // MQTT 3.1 lets them be missing all the same.
        for (flags, rest) in [(0xc2, &b""[..]), (0x82, b""), (0xc2, b"\0\x01u")] {
            match read(version, &connect(version, flags, b"", rest)) {
                Ok(Packet::Connect(connect)) => {
                    assert_eq!((version, connect.username.is_some()), (Version::V3, !rest.is_empty()));
                    assert_eq!(connect.password, None);
                }
                other => assert!(version > Version::V3, "{other:?}"),
            }
        }
        let cut = connect(version, 0x82, b"", b"\0\x02u");
        assert_eq!(refused(version, &cut), Reason::Malformed);
    }
}

#[test]
fn a_level_is_one_of_three_and_two_of_them_have_bridges() {
    for name in ["MQTT", "MQIsdp", "MQTX", "mqtt", "\u{ff}", ""] {
        for level in 0..=255 {
            let bytes = packet(
                0x10,
                &[&text(name.as_bytes()), &[level, 2, 0, 0], if level == 5 { b"\0" } else { b"" }, b"\0\0"],
            );
            let expected = match (name, level) {
                ("MQIsdp", 3 | 0x83) => Ok(Version::V3),
                ("MQTT", 4 | 0x84) => Ok(Version::V4),
                ("MQTT", 5) => Ok(Version::V5),
                ("MQTT" | "MQIsdp", level) => Err(Malformed::Level(level)),
                _ => Err(Malformed::Broken("the protocol name is not MQTT")),
            };
            let is_read = read(Version::V4, &bytes).map(|packet| {
                let Packet::Connect(connect) = packet else { panic!() };
                assert_eq!(connect.is_bridge, level > 0x7f);
                connect.version
            });
            assert_eq!(is_read, expected);
        }
    }
}
