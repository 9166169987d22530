//! Valid packets with a few bytes changed: the stranger and we agree, except for the differences explained here.

use mqtt_proto::{Error, v3, v5};
use proptest::collection::vec;
use proptest::prelude::*;

use super::judged::theirs;
use super::strangers::{Theirs, judge, sorted};
use super::*;
use crate::broker::codec::matches_format;

/// Whether a packet that we refuse and the stranger accepts has the fault that we name. He checks less.
fn is_forbidden(why: &str, theirs: &Theirs, bytes: &[u8]) -> bool {
    match (why, theirs) {
        // [MQTT-1.5.4-2]
        ("a text that is not UTF-8 or has NUL in it", theirs) => format!("{theirs:?}").contains("\\0"),
        // [MQTT-1.5.5-1]
        ("an integer that has more bytes than it needs", Theirs::New(_)) => {
            bytes.windows(2).any(|pair| pair[0] >= 0x80 && pair[1] == 0)
        }
        ("a property that must not be 0", Theirs::New(packet)) => match packet {
            v5::Packet::Connect(v5::Connect { properties, .. }) => {
                properties.receive_max == Some(0) || properties.max_packet_size == Some(0)
            }
            v5::Packet::Publish(message) => message.properties.topic_alias == Some(0),
            v5::Packet::Subscribe(asked) => asked.properties.subscription_id.is_some_and(|id| id.value() == 0),
            _ => false,
        },
        // [MQTT-3.3.4-6], and section 3.14.2.2.5
        ("a property that does not belong to this packet", Theirs::New(packet)) => match packet {
            v5::Packet::Publish(message) => message.properties.subscription_id.is_some(),
            v5::Packet::Disconnect(end) => end.properties.server_reference.is_some(),
            _ => false,
        },
        // [MQTT-4.7.3-1]
        ("a topic that is empty or has wildcards", Theirs::Old(v3::Packet::Connect(connect))) => {
            connect.last_will.as_ref().is_some_and(|will| will.topic_name.is_empty())
        }
        ("a topic that is empty or has wildcards", Theirs::New(packet)) => match packet {
            v5::Packet::Connect(connect) => connect.last_will.as_ref().is_some_and(|will| {
                will.topic_name.is_empty() || will.properties.response_topic.as_ref().is_some_and(|t| t.is_empty())
            }),
            v5::Packet::Publish(message) => message.properties.response_topic.as_ref().is_some_and(|t| t.is_empty()),
            _ => false,
        },
        ("a message with neither a topic nor an alias", Theirs::Old(v3::Packet::Publish(message))) => {
            message.topic_name.is_empty()
        }
        ("a message with neither a topic nor an alias", Theirs::New(v5::Packet::Publish(message))) => {
            message.topic_name.is_empty() && message.properties.topic_alias.is_none()
        }
        // [MQTT-3.3.1-2]
        ("a message of QoS 0 that was sent before", Theirs::New(v5::Packet::Publish(message))) => {
            message.dup && message.qos_pid == mqtt_proto::QosPid::Level0
        }
        // [MQTT-3.1.2-13]: the flag of retain
        ("will flags without a will", Theirs::Old(v3::Packet::Connect(connect))) => connect.last_will.is_none(),
        ("will flags without a will", Theirs::New(v5::Packet::Connect(connect))) => connect.last_will.is_none(),
        // [MQTT-3.1.2-22] of 3.1.1
        ("CONNECT has a password and no user name", Theirs::Old(v3::Packet::Connect(connect))) => {
            connect.username.is_none()
        }
        // section 3.1.2.11.10
        ("authentication data without a method", Theirs::New(v5::Packet::Connect(connect))) => {
            connect.properties.auth_method.is_none()
        }
        // [MQTT-3.8.3-4]
        ("no local on a shared subscription", Theirs::New(v5::Packet::Subscribe(asked))) => {
            asked.topics.iter().any(|(filter, options)| options.no_local && filter.is_shared())
        }
        ("AUTH without enhanced authentication", Theirs::New(v5::Packet::Auth(_))) => true,
        ("a packet that no client sends", theirs) => theirs.ours().is_none(),
        _ => false,
    }
}

/// Whether we are right to accept what the stranger refuses.
fn is_allowed(why: &v5::ErrorV5, version: Version, ours: &Packet, bytes: &[u8]) -> bool {
    let is_310 = match ours {
        Packet::Connect(connect) => connect.version == Version::V3,
        _ => version == Version::V3,
    };
    match (why, ours) {
        // a wrong filter is answered in SUBACK, and a payload that is not what it says in PUBACK
        (v5::ErrorV5::Common(Error::InvalidTopicFilter(_)), Packet::Subscribe { .. } | Packet::Unsubscribe { .. }) => {
            true
        }
        (v5::ErrorV5::InvalidPayloadFormat, Packet::Publish(message)) => {
            !matches_format(&message.carried, &message.payload)
        }
        (v5::ErrorV5::InvalidPayloadFormat, Packet::Connect(connect)) => {
            connect.will.as_ref().is_some_and(|will| !matches_format(&will.carried, &will.payload))
        }
        // bridges
        (v5::ErrorV5::Common(Error::InvalidProtocol(_, 0x83 | 0x84)), Packet::Connect(connect)) => connect.is_bridge,
        // 3.1: flags that mean nothing, those of no will, and a name or password that is missing
        (v5::ErrorV5::Common(Error::InvalidHeader), _) => is_310 && bytes[0] & 0x0f != 0,
        (v5::ErrorV5::Common(Error::InvalidConnectFlags(_)), Packet::Connect(connect)) => {
            is_310 && connect.will.is_none()
        }
        (v5::ErrorV5::Common(Error::IoError(_)), Packet::Connect(connect)) => is_310 && connect.password.is_none(),
        _ => false,
    }
}

#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Double(prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = || prop_oneof![0u8..0x30, any::<u8>()];
    prop_oneof![
        3 => (any::<prop::sample::Index>(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, 1 << bit)),
        1 => (any::<prop::sample::Index>(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Change::Remove),
        1 => (any::<prop::sample::Index>(), 1usize..8).prop_map(|(at, length)| Change::Double(at, length)),
    ]
}

/// The packet with its first byte and body changed; the remaining length stays right.
fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let length_bytes = 1 + bytes[1..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let mut bytes = [&bytes[..1], &bytes[1 + length_bytes..]].concat();
    for change in changes {
        match change {
            Change::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Change::Flip(at, bit) => *at.get_mut(&mut bytes) ^= bit,
            Change::Insert(at, byte) => bytes.insert(1 + at.index(bytes.len()), *byte),
            Change::Remove(at) if bytes.len() > 1 => drop(bytes.remove(1 + at.index(bytes.len() - 1))),
            Change::Remove(_) => {}
            Change::Double(at, length) => {
                let at = at.index(bytes.len());
                let again = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at.max(1)..at.max(1), again);
            }
        }
    }
    packet(bytes[0], &[&bytes[1..]])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn we_and_the_stranger_agree_on_changed_packets_except_where_explained(
        (version, theirs) in theirs(), changes in vec(change(), 1..3),
    ) {
        let bytes = changed(&theirs.bytes(), &changes);
        let wire = bytes.escape_ascii();
        match (read(version, &bytes), judge(version, &bytes)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(Some(sorted(ours)), theirs.ours().map(sorted), "{}", wire),
            (Err(_), Err(_)) => {}
            (Err(why), Ok(theirs)) => {
                prop_assert!(is_forbidden(&why.to_string(), &theirs, &bytes), "{wire}: {why} {theirs:?}");
            }
            (Ok(ours), Err(why)) => {
                prop_assert!(is_allowed(&why, version, &ours, &bytes), "{wire}: {why:?} {ours:?}");
            }
        }
    }
}
