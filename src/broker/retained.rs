//! Retained messages in memory, and their form in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use tokio::time::Instant;

use super::codec::QoS;
use super::message::Message;
use super::policy::CONNECTION;
use super::properties::{self, Extra};
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
    pub(super) extra: Extra,
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

    /// Nobody wants it any more.
    fn is_over(&self, now: Instant) -> bool {
        properties::expires(&self.extra).is_some_and(|at| at <= now)
    }
}

/// All kept messages by topic. The owner limits them.
#[derive(Default)]
pub(super) struct RetainedMessages {
    by_topic: BTreeMap<String, (Retained, Option<Held>)>,
    /// Those that expire, and when.
    expiring: BTreeSet<(Instant, String)>,
    bytes: usize,
    /// Of that, bytes of payloads.
    payloads: usize,
    /// Those below `$SYS/`: dmxd's own, which are not counted and take no room from others.
    figures: usize,
}

impl RetainedMessages {
    /// Keeps a message, a client's with what it holds of the budget; an empty one deletes ([MQTT-3.3.1-10]).
    pub(super) fn set(&mut self, message: &Message<'_>, number: u64, held: Option<Held>) {
        let Message { topic, payload, qos, extra, .. } = *message;
        let is_figure = topic.starts_with("$SYS/") && !topic.starts_with(CONNECTION);
        let size = |payload: &[u8], extra: &Extra| {
            if is_figure { 0 } else { topic.len() + payload.len() + properties::size(extra) }
        };
        let before = self.by_topic.len();
        let old = if payload.is_empty() {
            self.by_topic.remove(topic)
        } else {
            self.bytes += size(payload, extra);
            self.payloads += if is_figure { 0 } else { payload.len() };
            self.expiring.extend(properties::expires(extra).map(|at| (at, topic.to_owned())));
            let message = Retained { payload: Bytes::copy_from_slice(payload), qos, extra: extra.clone(), number };
            self.by_topic.insert(topic.to_owned(), (message, held))
        };
        if let Some((old, _)) = old {
            self.bytes -= size(&old.payload, &old.extra);
            self.payloads -= if is_figure { 0 } else { old.payload.len() };
            let same = |at: &Instant| properties::expires(extra) == Some(*at) && !payload.is_empty();
            if let Some(at) = properties::expires(&old.extra).filter(|at| !same(at)) {
                self.expiring.remove(&(at, topic.to_owned()));
            }
        }
        if is_figure {
            self.figures = self.figures + self.by_topic.len() - before;
        }
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Retained> {
        self.by_topic.get(topic).map(|(message, _)| message).filter(|message| !message.is_over(Instant::now()))
    }

    /// When the first one expires.
    pub(super) fn first_expiry(&self) -> Option<Instant> {
        self.expiring.first().map(|(at, _)| *at)
    }

    /// Forgets those that have expired; gives their topics.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<String> {
        let mut topics = Vec::new();
        while let Some((at, topic)) = self.expiring.pop_first() {
            if at > now {
                self.expiring.insert((at, topic));
                break;
            }
            self.set(&Message::ours(&topic, b"", QoS::AtMostOnce, true), 0, None);
            topics.push(topic);
        }
        topics
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
        let now = Instant::now();
        let copy = |(topic, message): (&String, &(Retained, _))| (topic.clone(), message.0.clone());
        if filter.is_exact() {
            let one = self.by_topic.get_key_value(filter.as_str());
            let one = one.filter(|(_, (message, _))| message.number <= since && !message.is_over(now));
            return (one.map(copy).into_iter().collect(), None);
        }
        let mut rest = self.by_topic.range::<str, _>((from, Bound::Unbounded));
        let (mut found, mut last, mut bytes) = (Vec::new(), None, 0);
        for entry in rest.by_ref().take(LOOKED_AT) {
            last = Some(entry.0.clone());
            if entry.1.0.number <= since && filter.matches(entry.0) && !entry.1.0.is_over(now) {
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

/// Format of a stored message: this byte, the QoS, the payload. One that has properties has the next format, and begins with
/// them.
const FORMAT: u8 = 1;

pub(super) fn to_stored(payload: &[u8], qos: QoS, extra: &Extra) -> Vec<u8> {
    let mut stored = properties::begin(FORMAT, extra, 0);
    stored.reserve_exact(1 + payload.len());
    stored.push(qos.bits());
    stored.extend_from_slice(payload);
    stored
}

/// What is stored under a topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredMessage<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) extra: Extra,
}

/// Reads it.
pub(super) fn from_stored<'a>(store: &Store, topic: &'a [u8], stored: &'a [u8]) -> Option<StoredMessage<'a>> {
    let (extra, _, rest) = properties::open(store, (Tree::Retained, topic), stored, FORMAT)?;
    let (qos, payload) = rest.split_first()?;
    Some(StoredMessage { topic: std::str::from_utf8(topic).ok()?, payload, qos: QoS::new(*qos)?, extra })
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
        kept.set(&Message::ours("a/b", b"one", QoS::AtLeastOnce, true), 1, None);
        kept.set(&Message::ours("a/b", b"three", QoS::AtMostOnce, true), 2, None);
        kept.set(&Message::ours("a/c", b"x", QoS::AtMostOnce, true), 3, None);
        kept.set(&Message::ours("a/d", b"later", QoS::AtMostOnce, true), 4, None);
        assert_eq!((kept.len(), kept.bytes()), (3, 20));
        let (all, more) = kept.page(&Filter::new("a/+").unwrap(), 3, None);
        kept.set(&Message::ours("a/d", b"", QoS::AtMostOnce, true), 5, None);
        assert_eq!(more, None);
        assert_eq!(
            all.iter().map(|(topic, m)| (topic.as_str(), &m.payload[..])).collect::<Vec<_>>(),
            [("a/b", &b"three"[..]), ("a/c", b"x")]
        );
        kept.set(&Message::ours("a/b", b"", QoS::AtMostOnce, true), 6, None);
        kept.set(&Message::ours("a/c", b"", QoS::AtMostOnce, true), 7, None);
        assert_eq!((kept.len(), kept.bytes()), (0, 0));
    }

    #[test]
    fn figures_of_the_broker_are_kept_and_take_no_room() {
        let mut kept = RetainedMessages::default();
        for payload in [&b"1"[..], b"22", b"", b"3"] {
            kept.set(&Message::ours("$SYS/broker/uptime", payload, QoS::AtMostOnce, true), 1, None);
            assert_eq!((kept.len(), kept.bytes()), (0, 0));
        }
        kept.set(&Message::ours("a", b"x", QoS::AtMostOnce, true), 2, None);
        assert_eq!((kept.len(), kept.bytes()), (1, 2));
        assert!(kept.get("$SYS/broker/uptime").is_some());
    }

    #[tokio::test]
    async fn a_stored_message_is_read_back_and_one_of_tomorrows_format_is_named() {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &Metrics::new().unwrap()).unwrap().store;
        let stored = to_stored(b"\xff", QoS::ExactlyOnce, &None);
        let expected = StoredMessage { topic: "a", payload: b"\xff", qos: QoS::ExactlyOnce, extra: None };
        assert_eq!(from_stored(&store, b"a", &stored), Some(expected));
        for (topic, stored) in [(&b"a"[..], &[][..]), (b"a", &[FORMAT, 9]), (b"\xff", &stored)] {
            assert_eq!(from_stored(&store, topic, stored), None);
        }
        assert!(health.problems().is_empty());
        assert_eq!(from_stored(&store, b"b", &[FORMAT + 2, 0, 7]), None);
        assert!(health.problems()[0].message.starts_with("b has format 3,"));
        store.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_expired_is_given_to_nobody_and_taken_out() {
        let mut kept = RetainedMessages::default();
        let mut set = |topic: &str, seconds: Option<u64>| {
            let expires = seconds.map(|seconds| Instant::now() + std::time::Duration::from_secs(seconds));
            let extra = Some(properties::Properties { expires, ..Default::default() }.into());
            let message = Message { extra: &extra, ..Message::ours(topic, b"x", QoS::AtLeastOnce, true) };
            kept.set(&message, 1, None);
        };
        for (topic, seconds) in
            [("a", Some(1)), ("b", Some(5)), ("b", None), ("c", Some(9)), ("c", Some(2)), ("d", None)]
        {
            set(topic, seconds);
        }
        tokio::time::advance(std::time::Duration::from_millis(1_500)).await;
        let now = Instant::now();
        assert!(kept.get("a").is_none() && kept.get("c").is_some());
        let (page, _) = kept.page(&Filter::new("#").unwrap(), 1, None);
        assert_eq!(page.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["b", "c", "d"]);
        assert_eq!((kept.page(&Filter::new("a").unwrap(), 1, None).0.len(), kept.len()), (0, 4));
        assert_eq!((kept.take_expired(now), kept.len(), kept.bytes()), (vec!["a".to_owned()], 3, 6));
        assert_eq!(kept.first_expiry(), Some(now + std::time::Duration::from_millis(500)));
        assert_eq!(kept.take_expired(now + std::time::Duration::from_secs(60)), ["c"]);
        assert_eq!((kept.len(), kept.first_expiry()), (2, None));
    }

    #[test]
    fn pages_give_every_matching_message_once_in_order() {
        let mut kept = RetainedMessages::default();
        for n in 0..3 * LOOKED_AT {
            let topic = format!("{}/{n:06}", if n % 5 == 0 { "a" } else { "b" });
            kept.set(&Message::ours(&topic, b"x", QoS::AtMostOnce, true), 1, None);
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
