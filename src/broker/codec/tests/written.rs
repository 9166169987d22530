//! A stranger's codec reads what ours writes, with every field the same.

use bytes::Bytes;
use mqtt_proto::{Encodable, Pid, QosPid, TopicName, v3, v5};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::strangers::{Theirs, judge};
use super::*;
use crate::broker::codec::{
    Ack, Outgoing, QoS, Welcome, ack, connack, disconnect, pingresp, publish, suback, unsuback,
};

/// Reasons that CONNACK has.
const OF_CONNACK: [Reason; 13] = [
    Reason::Success,
    Reason::Unspecified,
    Reason::Malformed,
    Reason::ProtocolError,
    Reason::Refused,
    Reason::UnsupportedVersion,
    Reason::BadClientId,
    Reason::BadLogin,
    Reason::NotAuthorized,
    Reason::Unavailable,
    Reason::BadAuthMethod,
    Reason::PacketTooLarge,
    Reason::QuotaExceeded,
];
/// Reasons that DISCONNECT has.
const OF_DISCONNECT: [Reason; 12] = [
    Reason::Success,
    Reason::Unspecified,
    Reason::Malformed,
    Reason::ProtocolError,
    Reason::Refused,
    Reason::NotAuthorized,
    Reason::KeepAlive,
    Reason::TakenOver,
    Reason::BadFilter,
    Reason::BadAlias,
    Reason::PacketTooLarge,
    Reason::QuotaExceeded,
];
const OF_PUBACK: [Reason; 7] = [
    Reason::Success,
    Reason::NoSubscribers,
    Reason::Unspecified,
    Reason::Refused,
    Reason::NotAuthorized,
    Reason::QuotaExceeded,
    Reason::BadPayloadFormat,
];
const OF_SUBACK: [Reason; 5] =
    [Reason::Unspecified, Reason::Refused, Reason::NotAuthorized, Reason::BadFilter, Reason::QuotaExceeded];
const OF_UNSUBACK: [Reason; 4] = [Reason::Success, Reason::NoSubscription, Reason::NotAuthorized, Reason::BadFilter];

fn written(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

#[track_caller]
fn old(version: Version, bytes: &[u8]) -> v3::Packet {
    let Ok(Theirs::Old(packet)) = judge(version, bytes) else { panic!("{}", bytes.escape_ascii()) };
    packet
}

#[track_caller]
fn new(bytes: &[u8]) -> v5::Packet {
    let Ok(Theirs::New(packet)) = judge(Version::V5, bytes) else { panic!("{}", bytes.escape_ascii()) };
    packet
}

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(ALL.to_vec())
}

fn one_of(reasons: &[Reason]) -> impl Strategy<Value = Reason> {
    prop::sample::select(reasons.to_vec())
}

fn string(reason_string: &str) -> Option<std::sync::Arc<str>> {
    (!reason_string.is_empty()).then(|| reason_string.into())
}

proptest! {
    #[test]
    fn a_connack(
        version in version(), present: bool, reason in prop_oneof![Just(Reason::Success), one_of(&OF_CONNACK)],
        why in "[^\0]{0,40}", session_expiry in of(any::<u32>()), max_packet in of(1..=u32::MAX), topic_aliases: u16,
        client_id in of("[^\0]{1,20}"), keep_alive in of(any::<u16>()),
    ) {
        let welcome =
            Welcome { session_expiry, max_packet, topic_aliases, client_id: client_id.as_deref(), keep_alive };
        let bytes = written(|out| connack(out, version, present, reason, &welcome, &why));
        let present = present && reason == Reason::Success;
        if !version.is_v5() {
            let v3::Packet::Connack(theirs) = old(version, &bytes) else { panic!() };
            prop_assert_eq!(theirs.session_present, present && version == Version::V4);
            let code = match reason {
                Reason::Success => v3::ConnectReturnCode::Accepted,
                Reason::UnsupportedVersion => v3::ConnectReturnCode::UnacceptableProtocolVersion,
                Reason::BadClientId => v3::ConnectReturnCode::IdentifierRejected,
                Reason::BadLogin => v3::ConnectReturnCode::BadUserNameOrPassword,
                Reason::NotAuthorized => v3::ConnectReturnCode::NotAuthorized,
                _ => v3::ConnectReturnCode::ServerUnavailable,
            };
            prop_assert_eq!(theirs.code, code);
            return Ok(());
        }
        let properties = v5::ConnackProperties {
            session_expiry_interval: session_expiry,
            max_packet_size: max_packet,
            topic_alias_max: (topic_aliases > 0).then_some(topic_aliases),
            assigned_client_id: client_id.map(Into::into),
            server_keep_alive: keep_alive,
            reason_string: string(&why),
            ..v5::ConnackProperties::default()
        };
        let reason_code = v5::ConnectReasonCode::from_u8(reason.code()).unwrap();
        prop_assert_eq!(new(&bytes), v5::Connack { session_present: present, reason_code, properties }.into());
    }

    #[test]
    fn a_message(
        version in version(), topic in "[^+#\0]{1,30}", payload in vec(any::<u8>(), 0..300), qos in 0u8..3,
        (retain, dup) in any::<(bool, bool)>(), pkid in 1..=u16::MAX, alias in prop_oneof![0u16..3, any::<u16>()],
        expiry in of(any::<u32>()), id in of(1u32..0x1000_0000), (key, value) in ("[^\0]{0,9}", "[^\0]{0,9}"),
        data in vec(any::<u8>(), 0..99),
    ) {
        let properties = v5::PublishProperties {
            correlation_data: Some(Bytes::from(data)),
            user_properties: vec![v5::UserProperty { name: key.into(), value: value.into() }],
            ..v5::PublishProperties::default()
        };
        let mut carried = Vec::new();
        properties.encode(&mut carried).unwrap();
        let carried = &carried[if carried[0] < 0x80 { 1 } else { 2 }..];
        let ids: Vec<u32> = id.into_iter().collect();
        let message = Outgoing {
            topic: topic.as_bytes(), payload: &payload, qos: QoS::new(qos).unwrap(), retain, dup, pkid, alias, expiry,
            carried, ids: &ids,
        };
        let bytes = written(|out| publish(out, version, &message));
        prop_assert_eq!(bytes.len(), message.size(version));
        let pid = Pid::try_from(pkid).unwrap();
        let qos_pid = [QosPid::Level0, QosPid::Level1(pid), QosPid::Level2(pid)][usize::from(qos)];
        let (topic_name, payload) = (TopicName::try_from(&*topic).unwrap(), Bytes::from(payload));
        if version.is_v5() {
            let properties = v5::PublishProperties {
                message_expiry_interval: expiry,
                topic_alias: (alias > 0).then_some(alias),
                subscription_id: id.map(|id| v5::VarByteInt::try_from(id).unwrap()),
                ..properties
            };
            let theirs = v5::Publish { dup, retain, qos_pid, topic_name, payload, properties };
            prop_assert_eq!(new(&bytes), theirs.into());
        } else {
            prop_assert_eq!(old(version, &bytes), v3::Publish { dup, retain, qos_pid, topic_name, payload }.into());
        }
    }

    #[test]
    fn the_four_answers(
        version in version(), pkid in 1..=u16::MAX, (published, why) in (one_of(&OF_PUBACK), "[^\0]{0,40}"),
        released in one_of(&[Reason::Success, Reason::UnknownPacketId]),
    ) {
        let pid = Pid::try_from(pkid).unwrap();
        let bytes = |kind, reason| written(|out| ack(out, version, kind, pkid, reason, &why));
        let (puback, pubrec) = (bytes(Ack::PubAck, published), bytes(Ack::PubRec, published));
        let (pubrel, pubcomp) = (bytes(Ack::PubRel, released), bytes(Ack::PubComp, released));
        if !version.is_v5() {
            prop_assert_eq!(old(version, &puback), v3::Packet::Puback(pid));
            prop_assert_eq!(old(version, &pubrec), v3::Packet::Pubrec(pid));
            prop_assert_eq!(old(version, &pubrel), v3::Packet::Pubrel(pid));
            prop_assert_eq!(old(version, &pubcomp), v3::Packet::Pubcomp(pid));
            return Ok(());
        }
        let mut theirs = v5::Puback::new(pid, v5::PubackReasonCode::from_u8(published.code()).unwrap());
        theirs.properties.reason_string = string(&why);
        prop_assert_eq!(new(&puback), theirs.into());
        let mut theirs = v5::Pubrec::new(pid, v5::PubrecReasonCode::from_u8(published.code()).unwrap());
        theirs.properties.reason_string = string(&why);
        prop_assert_eq!(new(&pubrec), theirs.into());
        let mut theirs = v5::Pubrel::new(pid, v5::PubrelReasonCode::from_u8(released.code()).unwrap());
        theirs.properties.reason_string = string(&why);
        prop_assert_eq!(new(&pubrel), theirs.into());
        let mut theirs = v5::Pubcomp::new(pid, v5::PubcompReasonCode::from_u8(released.code()).unwrap());
        theirs.properties.reason_string = string(&why);
        prop_assert_eq!(new(&pubcomp), theirs.into());
    }

    #[test]
    fn a_suback_and_an_unsuback(
        version in version(), pkid in 1..=u16::MAX,
        granted in vec(prop_oneof![(0u8..3).prop_map(Ok), one_of(&OF_SUBACK).prop_map(Err)], 1..200),
        ended in vec(one_of(&OF_UNSUBACK), 1..200),
    ) {
        let pid = Pid::try_from(pkid).unwrap();
        let grants: Vec<_> = granted.iter().map(|grant| grant.map(|qos| QoS::new(qos).unwrap())).collect();
        let subscribed = written(|out| suback(out, version, pkid, &grants));
        let unsubscribed = written(|out| unsuback(out, version, pkid, &ended));
        if version.is_v5() {
            let code = |grant: &Result<u8, Reason>| grant.unwrap_or_else(Reason::code);
            let topics = granted.iter().map(|grant| v5::SubscribeReasonCode::from_u8(code(grant)).unwrap()).collect();
            prop_assert_eq!(new(&subscribed), v5::Suback::new(pid, topics).into());
            let code = |reason: &Reason| v5::UnsubscribeReasonCode::from_u8(reason.code()).unwrap();
            let topics = ended.iter().map(code).collect();
            prop_assert_eq!(new(&unsubscribed), v5::Unsuback::new(pid, topics).into());
        } else {
            // 3.1 has no way to say no
            let no = if version == Version::V3 { 0 } else { 0x80 };
            let code = |grant: &Result<u8, Reason>| v3::SubscribeReturnCode::from_u8(grant.unwrap_or(no)).unwrap();
            let theirs = v3::Suback::new(pid, granted.iter().map(code).collect());
            prop_assert_eq!(old(version, &subscribed), theirs.into());
            prop_assert_eq!(old(version, &unsubscribed), v3::Packet::Unsuback(pid));
        }
    }

    #[test]
    fn a_disconnect(reason in one_of(&OF_DISCONNECT), why in "[^\0]{0,40}") {
        let bytes = written(|out| disconnect(out, reason, &why));
        let mut theirs = v5::Disconnect::new(v5::DisconnectReasonCode::from_u8(reason.code()).unwrap());
        theirs.properties.reason_string = string(&why);
        prop_assert_eq!(new(&bytes), theirs.into());
    }

    #[test]
    fn a_reason_string_is_cut_where_a_character_ends(why in "[a\u{e9}\u{20ac}\u{1f4a1}]{0,300}") {
        let bytes = written(|out| disconnect(out, Reason::Refused, &why));
        let v5::Packet::Disconnect(theirs) = new(&bytes) else { panic!() };
        let told = theirs.properties.reason_string.as_deref().unwrap_or_default();
        prop_assert!(why.starts_with(told));
        prop_assert!(told == why || (197..=200).contains(&told.len()), "{} of {}", told.len(), why.len());
    }
}

#[test]
fn a_pingresp() {
    assert_eq!(old(Version::V4, &written(pingresp)), v3::Packet::Pingresp);
    assert_eq!(written(pingresp)[..], [0xd0, 0]); // the stranger does not look at the length
    assert_eq!(new(&written(pingresp)), v5::Packet::Pingresp);
}

/// By hand: the stranger knows one identifier only.
#[test]
fn a_message_says_all_subscriptions_that_it_matches_and_lengths_grow_with_it() {
    let lengths = [(0, 1), (0x71, 1), (0x72, 2), (0x3ff1, 2), (0x3ff2, 3), (0x1f_fff1, 3), (0x1f_fff2, 4)];
    for (length, bytes_of_length) in lengths {
        let payload = vec![0; length];
        let message = Outgoing {
            topic: b"t",
            payload: &payload,
            qos: QoS::AtMostOnce,
            retain: false,
            dup: false,
            pkid: 0,
            alias: 0,
            expiry: None,
            carried: b"",
            ids: &[1, 128, 0x0fff_ffff],
        };
        let bytes = written(|out| publish(out, Version::V5, &message));
        assert_eq!(bytes.len(), message.size(Version::V5));
        let body = &bytes[1 + bytes_of_length..];
        assert_eq!(body[..14], *b"\0\x01t\x0a\x0b\x01\x0b\x80\x01\x0b\xff\xff\xff\x7f");
        assert_eq!(body.len(), 14 + length);
    }
}
