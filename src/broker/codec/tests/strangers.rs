//! A stranger's packets, how they read in our words, and the stranger as a judge of bytes.

use bytes::Bytes;
use mqtt_proto::{Encodable, Error, PollHeader, Protocol, QosPid, v3, v5};

use crate::broker::codec::{Carried, Connect, Limits, Options, Packet, Publish, QoS, RetainHandling, Version};

#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub(super) enum Theirs {
    Old(v3::Packet),
    New(v5::Packet),
}

impl Theirs {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Old(packet) => packet.encode().unwrap().as_ref().to_vec(),
            Self::New(packet) => packet.encode().unwrap().as_ref().to_vec(),
        }
    }

    /// In our words; `None` for what only a server says.
    pub(super) fn ours(&self) -> Option<Packet> {
        match self {
            Self::Old(packet) => old(packet),
            Self::New(packet) => new(packet),
        }
    }
}

/// What the stranger makes of bytes, all of them. (Its own `decode` passes over bytes behind the end of a packet.)
pub(super) fn judge(version: Version, bytes: &[u8]) -> Result<Theirs, v5::ErrorV5> {
    let is_connect = bytes[0] >> 4 == 1;
    if version.is_v5() && !is_connect {
        return whole::<v5::Header>(bytes).map(Theirs::New);
    }
    match whole::<v3::Header>(bytes) {
        Err(Error::UnexpectedProtocol(Protocol::V500)) => whole::<v5::Header>(bytes).map(Theirs::New),
        other => Ok(Theirs::Old(other?)),
    }
}

fn whole<H: PollHeader>(bytes: &[u8]) -> Result<H::Packet, H::Error>
where
    H::Error: From<Error>,
{
    let length_bytes = 1 + bytes[1..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let body = &bytes[1 + length_bytes..];
    let header = H::new_with(bytes[0], u32::try_from(body.len()).unwrap(), u32::try_from(bytes.len()).unwrap())?;
    let mut end = 0;
    let packet = match header.build_empty_packet() {
        Some(packet) => packet,
        None => header.decode_buffer(body, &mut end)?,
    };
    if end == body.len() { Ok(packet) } else { Err(Error::InvalidRemainingLength.into()) }
}

pub(super) fn qos(theirs: mqtt_proto::QoS) -> QoS {
    QoS::new(theirs as u8).unwrap()
}

fn addressed(qos_pid: QosPid) -> (QoS, u16) {
    (qos(qos_pid.qos()), qos_pid.pid().map_or(0, mqtt_proto::Pid::value))
}

fn old(packet: &v3::Packet) -> Option<Packet> {
    Some(match packet {
        v3::Packet::Connect(theirs) => Packet::Connect(Box::new(Connect {
            version: if theirs.protocol == Protocol::V310 { Version::V3 } else { Version::V4 },
            is_bridge: false,
            client_id: theirs.client_id.to_string(),
            clean: theirs.clean_session,
            session_expiry: if theirs.clean_session { 0 } else { u32::MAX },
            keep_alive: theirs.keep_alive,
            will: theirs.last_will.as_ref().map(|will| {
                Publish::new(will.topic_name.to_string(), will.message.clone(), qos(will.qos), will.retain)
            }),
            will_delay: 0,
            username: theirs.username.as_ref().map(ToString::to_string),
            password: theirs.password.clone(),
            limits: Limits::default(),
            auth_method: None,
        })),
        v3::Packet::Publish(theirs) => {
            let (qos, pkid) = addressed(theirs.qos_pid);
            let message = Publish::new(theirs.topic_name.to_string(), theirs.payload.clone(), qos, theirs.retain);
            Packet::Publish(Publish { pkid, ..message })
        }
        v3::Packet::Puback(pid) => Packet::PubAck(pid.value()),
        v3::Packet::Pubrec(pid) => Packet::PubRec { pkid: pid.value(), refused: false },
        v3::Packet::Pubrel(pid) => Packet::PubRel(pid.value()),
        v3::Packet::Pubcomp(pid) => Packet::PubComp(pid.value()),
        v3::Packet::Subscribe(theirs) => Packet::Subscribe {
            pkid: theirs.pid.value(),
            id: None,
            filters: theirs.topics.iter().map(|(f, asked)| (f.to_string(), Options::plain(qos(*asked)))).collect(),
        },
        v3::Packet::Unsubscribe(theirs) => Packet::Unsubscribe {
            pkid: theirs.pid.value(),
            filters: theirs.topics.iter().map(ToString::to_string).collect(),
        },
        v3::Packet::Pingreq => Packet::PingReq,
        v3::Packet::Disconnect => Packet::Disconnect { will: false, session_expiry: None },
        _ => return None,
    })
}

/// Their properties as they stand on the wire, without the length in front.
fn carried(properties: &impl Encodable) -> Carried {
    let mut bytes = Vec::new();
    properties.encode(&mut bytes).unwrap();
    let length_bytes = 1 + bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    Carried::stored(Bytes::from(bytes).slice(length_bytes..))
}

/// The packet with what a message carries in the stranger's order, which is always the same.
pub(super) fn sorted(mut packet: Packet) -> Packet {
    let message = match &mut packet {
        Packet::Publish(message) => Some(message),
        Packet::Connect(connect) => connect.will.as_mut(),
        _ => None,
    };
    if let Some(Publish { carried: unsorted, .. }) = message {
        let block = super::packet(0, &[unsorted.bytes()]);
        let theirs = v5::PublishProperties::decode(&block, &mut 1, v5::PacketType::Publish);
        *unsorted = carried(&theirs.unwrap());
    }
    packet
}

fn new_connect(theirs: &v5::Connect) -> Connect {
    let (all, asked) = (Limits::default(), &theirs.properties);
    let will = theirs.last_will.as_ref();
    Connect {
        version: Version::V5,
        is_bridge: false,
        client_id: theirs.client_id.to_string(),
        clean: theirs.clean_start,
        session_expiry: asked.session_expiry_interval.unwrap_or(0),
        keep_alive: theirs.keep_alive,
        will: will.map(|will| Publish {
            topic: will.topic_name.to_string(),
            payload: will.payload.clone(),
            qos: qos(will.qos),
            retain: will.retain,
            pkid: 0,
            alias: 0,
            expiry: will.properties.message_expiry_interval,
            carried: carried(&v5::WillProperties {
                delay_interval: None,
                message_expiry_interval: None,
                ..will.properties.clone()
            }),
        }),
        will_delay: will.and_then(|will| will.properties.delay_interval).unwrap_or(0),
        username: theirs.username.as_ref().map(ToString::to_string),
        password: theirs.password.clone(),
        limits: Limits {
            receive_maximum: asked.receive_max.unwrap_or(all.receive_maximum),
            max_packet: asked.max_packet_size.unwrap_or(all.max_packet),
            topic_aliases: asked.topic_alias_max.unwrap_or(0),
            reason_strings: asked.request_problem_info != Some(false),
        },
        auth_method: asked.auth_method.as_ref().map(ToString::to_string),
    }
}

fn new(packet: &v5::Packet) -> Option<Packet> {
    Some(match packet {
        v5::Packet::Connect(theirs) => Packet::Connect(Box::new(new_connect(theirs))),
        v5::Packet::Publish(theirs) => {
            let (qos, pkid) = addressed(theirs.qos_pid);
            Packet::Publish(Publish {
                topic: theirs.topic_name.to_string(),
                payload: theirs.payload.clone(),
                qos,
                retain: theirs.retain,
                pkid,
                alias: theirs.properties.topic_alias.unwrap_or(0),
                expiry: theirs.properties.message_expiry_interval,
                carried: carried(&v5::PublishProperties {
                    message_expiry_interval: None,
                    topic_alias: None,
                    ..theirs.properties.clone()
                }),
            })
        }
        v5::Packet::Puback(theirs) => Packet::PubAck(theirs.pid.value()),
        v5::Packet::Pubrec(theirs) => {
            Packet::PubRec { pkid: theirs.pid.value(), refused: theirs.reason_code as u8 >= 0x80 }
        }
        v5::Packet::Pubrel(theirs) => Packet::PubRel(theirs.pid.value()),
        v5::Packet::Pubcomp(theirs) => Packet::PubComp(theirs.pid.value()),
        v5::Packet::Subscribe(theirs) => Packet::Subscribe {
            pkid: theirs.pid.value(),
            id: theirs.properties.subscription_id.map(v5::VarByteInt::value),
            filters: theirs.topics.iter().map(|(filter, asked)| (filter.to_string(), options(asked))).collect(),
        },
        v5::Packet::Unsubscribe(theirs) => Packet::Unsubscribe {
            pkid: theirs.pid.value(),
            filters: theirs.topics.iter().map(ToString::to_string).collect(),
        },
        v5::Packet::Pingreq => Packet::PingReq,
        v5::Packet::Disconnect(theirs) => Packet::Disconnect {
            will: theirs.reason_code != v5::DisconnectReasonCode::NormalDisconnect,
            session_expiry: theirs.properties.session_expiry_interval,
        },
        _ => return None,
    })
}

fn options(asked: &v5::SubscriptionOptions) -> Options {
    Options {
        qos: qos(asked.max_qos),
        no_local: asked.no_local,
        retain_as_published: asked.retain_as_published,
        retained: match asked.retain_handling {
            v5::RetainHandling::SendAtSubscribe => RetainHandling::Always,
            v5::RetainHandling::SendAtSubscribeIfNotExist => RetainHandling::IfNew,
            v5::RetainHandling::DoNotSend => RetainHandling::Never,
        },
    }
}
