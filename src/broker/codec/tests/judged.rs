//! Ours reads what a stranger's codec writes, with every field the same.

use std::sync::Arc;

use bytes::Bytes;
use mqtt_proto::{Pid, Protocol, QosPid, TopicFilter, TopicName, v3, v5};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::strangers::{Theirs, judge};
use super::*;

fn text() -> impl Strategy<Value = Arc<str>> {
    "[^\0]{0,12}".prop_map(Arc::from)
}

fn topic() -> impl Strategy<Value = TopicName> {
    "[^+#\0]{1,20}".prop_map(|topic| TopicName::try_from(&*topic).unwrap())
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    let odd = prop::sample::select(vec!["#", "+", "/", "a/#", "+/b/+", "$share/g/a/#", "$SYS/+", "/+/"]);
    prop_oneof![odd.prop_map(str::to_owned), "[^+#\0$]{1,20}"]
        .prop_map(|filter| TopicFilter::try_from(&*filter).unwrap())
}

fn binary() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn pid() -> impl Strategy<Value = Pid> {
    (1..=u16::MAX).prop_map(|pid| Pid::try_from(pid).unwrap())
}

fn qos() -> impl Strategy<Value = mqtt_proto::QoS> {
    (0u8..3).prop_map(|qos| mqtt_proto::QoS::from_u8(qos).unwrap())
}

fn qos_pid() -> impl Strategy<Value = QosPid> {
    prop_oneof![Just(QosPid::Level0), pid().prop_map(QosPid::Level1), pid().prop_map(QosPid::Level2)]
}

fn users() -> impl Strategy<Value = Vec<v5::UserProperty>> {
    vec((text(), text()).prop_map(|(name, value)| v5::UserProperty { name, value }), 0..4)
}

/// What both of a message and a will may carry: format, expiry, content type, response topic, correlation data, user.
type Carried5 = (Option<bool>, Option<u32>, Option<Arc<str>>, Option<TopicName>, Option<Bytes>, Vec<v5::UserProperty>);

fn carried() -> impl Strategy<Value = Carried5> {
    (of(any::<bool>()), of(any::<u32>()), of(text()), of(topic()), of(binary()), users())
}

/// A payload that is text when it is said to be.
fn payload(format: Option<bool>, payload: Bytes) -> Bytes {
    if format == Some(true) { String::from_utf8_lossy(&payload).into_owned().into() } else { payload }
}

fn old_connect() -> impl Strategy<Value = v3::Connect> {
    let will = (qos(), any::<bool>(), topic(), binary()).prop_map(|(qos, retain, topic_name, message)| v3::LastWill {
        qos,
        retain,
        topic_name,
        message,
    });
    let login = of((text(), of(binary())));
    (any::<bool>(), any::<bool>(), any::<u16>(), text(), of(will), login).prop_map(
        |(is_310, clean_session, keep_alive, client_id, last_will, login)| v3::Connect {
            protocol: if is_310 { Protocol::V310 } else { Protocol::V311 },
            clean_session,
            keep_alive,
            client_id,
            last_will,
            username: login.clone().map(|(name, _)| name),
            password: login.and_then(|(_, password)| password),
        },
    )
}

fn old() -> impl Strategy<Value = v3::Packet> {
    let publish = (any::<bool>(), any::<bool>(), qos_pid(), topic(), binary()).prop_map(
        |(dup, retain, qos_pid, topic_name, payload)| v3::Publish { dup, retain, qos_pid, topic_name, payload },
    );
    prop_oneof![
        3 => old_connect().prop_map(v3::Packet::Connect),
        3 => publish.prop_map(v3::Packet::Publish),
        2 => (pid(), vec((filter(), qos()), 1..5)).prop_map(|(pid, f)| v3::Subscribe::new(pid, f).into()),
        1 => (pid(), vec(filter(), 1..5)).prop_map(|(pid, f)| v3::Unsubscribe::new(pid, f).into()),
        1 => (pid(), 0usize..4).prop_map(|(pid, kind)| {
            [v3::Packet::Puback, v3::Packet::Pubrec, v3::Packet::Pubrel, v3::Packet::Pubcomp][kind](pid)
        }),
        1 => any::<bool>().prop_map(|ping| if ping { v3::Packet::Pingreq } else { v3::Packet::Disconnect }),
    ]
}

fn new_connect() -> impl Strategy<Value = v5::Connect> {
    let numbers = (of(any::<u32>()), of(1..=u16::MAX), of(1..=u32::MAX), of(any::<u16>()));
    let properties = (numbers, of(any::<bool>()), of(any::<bool>()), users(), of((text(), of(binary())))).prop_map(
        |(numbers, request_response_info, request_problem_info, user_properties, auth)| v5::ConnectProperties {
            session_expiry_interval: numbers.0,
            receive_max: numbers.1,
            max_packet_size: numbers.2,
            topic_alias_max: numbers.3,
            request_response_info,
            request_problem_info,
            user_properties,
            auth_method: auth.clone().map(|(method, _)| method),
            auth_data: auth.and_then(|(_, data)| data),
        },
    );
    let will = (qos(), any::<bool>(), topic(), binary(), of(any::<u32>()), carried()).prop_map(
        |(qos, retain, topic_name, message, delay_interval, carried)| v5::LastWill {
            qos,
            retain,
            topic_name,
            payload: payload(carried.0, message),
            properties: v5::WillProperties {
                delay_interval,
                payload_is_utf8: carried.0,
                message_expiry_interval: carried.1,
                content_type: carried.2,
                response_topic: carried.3,
                correlation_data: carried.4,
                user_properties: carried.5,
            },
        },
    );
    (any::<bool>(), any::<u16>(), properties, text(), of(will), of(text()), of(binary())).prop_map(
        |(clean_start, keep_alive, properties, client_id, last_will, username, password)| v5::Connect {
            protocol: Protocol::V500,
            clean_start,
            keep_alive,
            properties,
            client_id,
            last_will,
            username,
            password,
        },
    )
}

fn new_publish() -> impl Strategy<Value = v5::Publish> {
    (any::<bool>(), any::<bool>(), qos_pid(), topic(), binary(), of(1..=u16::MAX), any::<bool>(), carried()).prop_map(
        |(dup, retain, qos_pid, topic_name, message, topic_alias, by_alias, carried)| v5::Publish {
            dup: dup && qos_pid != QosPid::Level0,
            retain,
            qos_pid,
            topic_name: if by_alias && topic_alias.is_some() { TopicName::try_from("").unwrap() } else { topic_name },
            payload: payload(carried.0, message),
            properties: v5::PublishProperties {
                payload_is_utf8: carried.0,
                message_expiry_interval: carried.1,
                topic_alias,
                response_topic: carried.3,
                correlation_data: carried.4,
                user_properties: carried.5,
                subscription_id: None,
                content_type: carried.2,
            },
        },
    )
}

fn new_ack() -> impl Strategy<Value = v5::Packet> {
    (pid(), any::<prop::sample::Index>(), of(text()), users(), 0..4).prop_map(
        |(pid, reason, reason_string, users, kind)| {
            let code = |codes: &[u8]| *reason.get(codes);
            let (publish, release) = (code(&[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]), code(&[0, 0x92]));
            let user_properties = users;
            match kind {
                0 => v5::Puback {
                    pid,
                    reason_code: v5::PubackReasonCode::from_u8(publish).unwrap(),
                    properties: v5::PubackProperties { reason_string, user_properties },
                }
                .into(),
                1 => v5::Pubrec {
                    pid,
                    reason_code: v5::PubrecReasonCode::from_u8(publish).unwrap(),
                    properties: v5::PubrecProperties { reason_string, user_properties },
                }
                .into(),
                2 => v5::Pubrel {
                    pid,
                    reason_code: v5::PubrelReasonCode::from_u8(release).unwrap(),
                    properties: v5::PubrelProperties { reason_string, user_properties },
                }
                .into(),
                _ => v5::Pubcomp {
                    pid,
                    reason_code: v5::PubcompReasonCode::from_u8(release).unwrap(),
                    properties: v5::PubcompProperties { reason_string, user_properties },
                }
                .into(),
            }
        },
    )
}

fn new_subscribe() -> impl Strategy<Value = v5::Packet> {
    let options =
        (qos(), any::<bool>(), any::<bool>(), 0u8..3).prop_map(|(max_qos, no_local, retain_as_published, handling)| {
            v5::SubscriptionOptions {
                max_qos,
                no_local,
                retain_as_published,
                retain_handling: v5::RetainHandling::from_u8(handling).unwrap(),
            }
        });
    (pid(), of(1u32..0x1000_0000), users(), vec((filter(), options), 1..5)).prop_map(
        |(pid, id, user_properties, mut topics)| {
            for (filter, options) in &mut topics {
                options.no_local &= !filter.is_shared();
            }
            let subscription_id = id.map(|id| v5::VarByteInt::try_from(id).unwrap());
            let properties = v5::SubscribeProperties { subscription_id, user_properties };
            v5::Subscribe { pid, properties, topics }.into()
        },
    )
}

fn new_disconnect() -> impl Strategy<Value = v5::Packet> {
    let codes: Vec<_> = (0..=255).filter_map(v5::DisconnectReasonCode::from_u8).collect();
    (prop::sample::select(codes), of(any::<u32>()), of(text()), users()).prop_map(
        |(reason_code, session_expiry_interval, reason_string, user_properties)| {
            let server_reference = None;
            let properties =
                v5::DisconnectProperties { session_expiry_interval, reason_string, user_properties, server_reference };
            v5::Disconnect { reason_code, properties }.into()
        },
    )
}

fn new() -> impl Strategy<Value = v5::Packet> {
    prop_oneof![
        4 => new_connect().prop_map(v5::Packet::Connect),
        4 => new_publish().prop_map(v5::Packet::Publish),
        2 => new_ack(),
        2 => new_subscribe(),
        1 => (pid(), users(), vec(filter(), 1..5)).prop_map(|(pid, user_properties, topics)| {
            v5::Unsubscribe { pid, properties: user_properties.into(), topics }.into()
        }),
        1 => new_disconnect(),
        1 => Just(v5::Packet::Pingreq),
    ]
}

/// A packet of a stranger's client, in one of the three versions.
pub(super) fn theirs() -> impl Strategy<Value = (Version, Theirs)> {
    prop_oneof![
        2 => (old(), any::<bool>()).prop_map(|(packet, is_310)| {
            let version = match &packet {
                v3::Packet::Connect(connect) if connect.protocol == Protocol::V310 => Version::V3,
                v3::Packet::Connect(_) => Version::V4,
                _ => if is_310 { Version::V3 } else { Version::V4 },
            };
            (version, Theirs::Old(packet))
        }),
        3 => new().prop_map(|packet| (Version::V5, Theirs::New(packet))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_stranger_writes_is_read_with_every_field_the_same((version, theirs) in theirs()) {
        let bytes = theirs.bytes();
        prop_assert_eq!(judge(version, &bytes), Ok(theirs.clone()), "the stranger reads itself");
        prop_assert_eq!(read(version, &bytes), Ok(theirs.ours().unwrap()), "{}", bytes.escape_ascii());
    }
}
