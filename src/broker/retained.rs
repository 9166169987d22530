//! Retained messages in memory, and their form in the store.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::QoS;
use super::topic::Filter;

/// One kept message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retained {
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
}

/// All kept messages by topic. Its owner bounds it.
#[derive(Default)]
pub(super) struct RetainedMessages {
    by_topic: BTreeMap<String, Retained>,
    bytes: usize,
}

impl RetainedMessages {
    /// Keeps a message; an empty one ends keeping ([MQTT-3.3.1-10]).
    pub(super) fn set(&mut self, topic: &str, payload: &[u8], qos: QoS) {
        let size = |payload: &[u8]| topic.len() + payload.len();
        let old = if payload.is_empty() {
            self.by_topic.remove(topic)
        } else {
            self.bytes += size(payload);
            self.by_topic.insert(topic.to_owned(), Retained { payload: Bytes::copy_from_slice(payload), qos })
        };
        self.bytes -= old.map_or(0, |old| size(&old.payload));
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Retained> {
        self.by_topic.get(topic)
    }

    /// What a new subscription is given, in order of topic.
    pub(super) fn matching(&self, filter: &Filter) -> Vec<(String, Retained)> {
        let copy = |(topic, message): (&String, &Retained)| (topic.clone(), message.clone());
        if filter.is_exact() {
            return self.by_topic.get_key_value(filter.as_str()).map(copy).into_iter().collect();
        }
        self.by_topic.iter().filter(|(topic, _)| filter.matches(topic)).map(copy).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Bytes of topics and payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Format of a stored message: this byte, the QoS, the payload.
const FORMAT: u8 = 1;

pub(super) fn to_stored(payload: &[u8], qos: QoS) -> Vec<u8> {
    let mut stored = BytesMut::with_capacity(2 + payload.len());
    stored.put_slice(&[FORMAT, qos.bits()]);
    stored.put_slice(payload);
    stored.into()
}

/// `None` for what this version does not know.
pub(super) fn from_stored(stored: &[u8]) -> Option<(QoS, &[u8])> {
    match stored {
        [FORMAT, qos, payload @ ..] => Some((QoS::new(*qos)?, payload)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_payload_ends_keeping_and_the_count_of_bytes_follows() {
        let mut kept = RetainedMessages::default();
        kept.set("a/b", b"one", QoS::AtLeastOnce);
        kept.set("a/b", b"three", QoS::AtMostOnce);
        kept.set("a/c", b"x", QoS::AtMostOnce);
        assert_eq!((kept.len(), kept.bytes()), (2, 12));
        let all = kept.matching(&Filter::new("a/+").unwrap());
        assert_eq!(
            all.iter().map(|(topic, m)| (topic.as_str(), &m.payload[..])).collect::<Vec<_>>(),
            [("a/b", &b"three"[..]), ("a/c", b"x")]
        );
        kept.set("a/b", b"", QoS::AtMostOnce);
        kept.set("a/c", b"", QoS::AtMostOnce);
        assert_eq!((kept.len(), kept.bytes()), (0, 0));
    }

    #[test]
    fn a_stored_message_is_read_back() {
        assert_eq!(from_stored(&to_stored(b"\xff", QoS::ExactlyOnce)), Some((QoS::ExactlyOnce, &b"\xff"[..])));
        assert_eq!(from_stored(b""), None);
        assert_eq!(from_stored(&[9, 0]), None);
    }
}
