//! Retained messages in memory, and their form in the store.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::QoS;
use super::topic::Filter;
use crate::kit::budget::Share;
use crate::store::{Store, Tree};

/// Retained messages given out at a time, and topics searched for them: everybody needs the lock.
const PAGE: usize = 64;

/// Bytes of a page, but for its last message.
const PAGE_BYTES: usize = 64 << 10;
const LOOKED_AT: usize = 1024;

/// One kept message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retained {
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    /// Number of the message that set it; 0 from an earlier run.
    number: u64,
}

/// What a client's message holds of the budget: its place, and its bytes.
pub(super) struct Held {
    pub(super) _place: Share,
    pub(super) _bytes: Share,
}

impl Retained {
    /// Whether it was set since the start.
    pub(super) fn is_of_this_run(&self) -> bool {
        self.number > 0
    }
}

/// All kept messages by topic. The owner limits them.
#[derive(Default)]
pub(super) struct RetainedMessages {
    by_topic: BTreeMap<String, (Retained, Option<Held>)>,
    bytes: usize,
    /// Of that, bytes of payloads.
    payloads: usize,
    /// Those below `$SYS/`: dmxd's own, which are not counted and take no room from others.
    figures: usize,
}

impl RetainedMessages {
    /// Keeps a message, a client's with what it holds of the budget; an empty one deletes ([MQTT-3.3.1-10]).
    pub(super) fn set(&mut self, topic: &str, payload: &[u8], qos: QoS, number: u64, held: Option<Held>) {
        let is_figure = topic.starts_with("$SYS/");
        let size = |payload: &[u8]| if is_figure { 0 } else { topic.len() + payload.len() };
        let before = self.by_topic.len();
        let old = if payload.is_empty() {
            self.by_topic.remove(topic)
        } else {
            self.bytes += size(payload);
            self.payloads += if is_figure { 0 } else { payload.len() };
            let message = Retained { payload: Bytes::copy_from_slice(payload), qos, number };
            self.by_topic.insert(topic.to_owned(), (message, held))
        };
        if let Some((old, _)) = old {
            self.bytes -= size(&old.payload);
            self.payloads -= if is_figure { 0 } else { old.payload.len() };
        }
        if is_figure {
            self.figures = self.figures + self.by_topic.len() - before;
        }
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Retained> {
        self.by_topic.get(topic).map(|(message, _)| message)
    }

    /// What a subscription made after message `since` gets, in order of topic, a page at a time: the messages after topic
    /// `after`, and the topic to go on from, `None` at the end. What was set later arrives as a live message, and must not
    /// overtake older ones that are still under way.
    pub(super) fn page(
        &self,
        filter: &Filter,
        since: u64,
        after: Option<&str>,
    ) -> (Vec<(String, Retained)>, Option<String>) {
        self.page_from(filter, since, after.map_or(Bound::Unbounded, Bound::Excluded))
    }

    /// The same, from wherever.
    pub(super) fn page_from(
        &self,
        filter: &Filter,
        since: u64,
        from: Bound<&str>,
    ) -> (Vec<(String, Retained)>, Option<String>) {
        let copy = |(topic, message): (&String, &(Retained, _))| (topic.clone(), message.0.clone());
        if filter.is_exact() {
            let one = self.by_topic.get_key_value(filter.as_str()).filter(|(_, (message, _))| message.number <= since);
            return (one.map(copy).into_iter().collect(), None);
        }
        let mut rest = self.by_topic.range::<str, _>((from, Bound::Unbounded));
        let (mut found, mut last, mut bytes) = (Vec::new(), None, 0);
        for entry in rest.by_ref().take(LOOKED_AT) {
            last = Some(entry.0.clone());
            if entry.1.0.number <= since && filter.matches(entry.0) {
                found.push(copy(entry));
                bytes += entry.0.len() + entry.1.0.payload.len();
                if found.len() >= PAGE || bytes >= PAGE_BYTES {
                    break;
                }
            }
        }
        let more = rest.next().is_some();
        (found, last.filter(|_| more))
    }

    pub(super) fn len(&self) -> usize {
        self.by_topic.len() - self.figures
    }

    /// Bytes of topics and payloads.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of payloads alone.
    pub(super) fn payload_bytes(&self) -> usize {
        self.payloads
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

/// Reads what is stored under a topic.
pub(super) fn from_stored<'a>(store: &Store, topic: &'a [u8], stored: &'a [u8]) -> Option<(&'a str, QoS, &'a [u8])> {
    let (qos, payload) = store.behind_format(Tree::Retained, topic, stored, FORMAT)?.split_first()?;
    Some((std::str::from_utf8(topic).ok()?, QoS::new(*qos)?, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;

    #[test]
    fn an_empty_payload_ends_keeping_and_the_count_of_bytes_follows() {
        let mut kept = RetainedMessages::default();
        kept.set("a/b", b"one", QoS::AtLeastOnce, 1, None);
        kept.set("a/b", b"three", QoS::AtMostOnce, 2, None);
        kept.set("a/c", b"x", QoS::AtMostOnce, 3, None);
        kept.set("a/d", b"later", QoS::AtMostOnce, 4, None);
        assert_eq!((kept.len(), kept.bytes()), (3, 20));
        let (all, more) = kept.page(&Filter::new("a/+").unwrap(), 3, None);
        kept.set("a/d", b"", QoS::AtMostOnce, 5, None);
        assert_eq!(more, None);
        assert_eq!(
            all.iter().map(|(topic, m)| (topic.as_str(), &m.payload[..])).collect::<Vec<_>>(),
            [("a/b", &b"three"[..]), ("a/c", b"x")]
        );
        kept.set("a/b", b"", QoS::AtMostOnce, 6, None);
        kept.set("a/c", b"", QoS::AtMostOnce, 7, None);
        assert_eq!((kept.len(), kept.bytes()), (0, 0));
    }

    #[test]
    fn figures_of_the_broker_are_kept_and_take_no_room() {
        let mut kept = RetainedMessages::default();
        for payload in [&b"1"[..], b"22", b"", b"3"] {
            kept.set("$SYS/broker/uptime", payload, QoS::AtMostOnce, 1, None);
            assert_eq!((kept.len(), kept.bytes()), (0, 0));
        }
        kept.set("a", b"x", QoS::AtMostOnce, 2, None);
        assert_eq!((kept.len(), kept.bytes()), (1, 2));
        assert!(kept.get("$SYS/broker/uptime").is_some());
    }

    #[tokio::test]
    async fn a_stored_message_is_read_back_and_one_of_tomorrows_format_is_named() {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &Metrics::new().unwrap()).unwrap().store;
        let stored = to_stored(b"\xff", QoS::ExactlyOnce);
        assert_eq!(from_stored(&store, b"a", &stored), Some(("a", QoS::ExactlyOnce, &b"\xff"[..])));
        for (topic, stored) in [(&b"a"[..], &[][..]), (b"a", &[FORMAT, 9]), (b"\xff", &stored)] {
            assert_eq!(from_stored(&store, topic, stored), None);
        }
        assert!(health.problems().is_empty());
        assert_eq!(from_stored(&store, b"b", &[FORMAT + 1, 0, 7]), None);
        assert!(health.problems()[0].message.starts_with("b has format 2,"));
        store.close().await;
    }

    #[test]
    fn pages_give_every_matching_message_once_in_order() {
        let mut kept = RetainedMessages::default();
        for n in 0..3 * LOOKED_AT {
            kept.set(&format!("{}/{n:06}", if n % 5 == 0 { "a" } else { "b" }), b"x", QoS::AtMostOnce, 1, None);
        }
        let (mut topics, mut after) = (Vec::new(), None::<String>);
        loop {
            let (page, more) = kept.page(&Filter::new("a/+").unwrap(), 1, after.as_deref());
            assert!(page.len() <= PAGE);
            topics.extend(page.into_iter().map(|(topic, _)| topic));
            match more {
                Some(more) => after = Some(more),
                None => break,
            }
        }
        assert_eq!(topics.len(), (3 * LOOKED_AT).div_ceil(5));
        assert!(topics.is_sorted() && topics.iter().all(|topic| topic.starts_with("a/")));
    }
}
