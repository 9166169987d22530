//! Retained messages that are still to come for SUBSCRIBEs: given a page at a time, as there is room. The rest belongs to the
//! session, and goes on at its client's next connection, also of another run, with the values of then.
//!
//! The store knows from where to go on. Of a page with messages at QoS 2 it also keeps those messages, in the same batch, so
//! that each comes once; other pages begin again after a kill, where the client had not answered.

use std::collections::VecDeque;
use std::ops::Bound;

use super::durable::{FORMAT, REPLAY, key};
use super::outbound::Outbound;
use crate::broker::codec::QoS;
use crate::broker::topic::Filter;
use crate::store::{Batch, Tree};

type From = Bound<String>;

pub(super) struct Replay {
    pub(super) filter: Filter,
    pub(super) qos: QoS,
    /// Number of the last message before it.
    pub(super) since: u64,
    /// Where its next page begins; `None`: all of it was given.
    pub(super) next: Option<From>,
    /// Where the store would go on.
    stored: Option<From>,
}

/// One a filter at the most.
#[derive(Default)]
pub(super) struct Replays {
    all: VecDeque<Replay>,
}

impl Replays {
    /// Begins one for a filter, from message `since` backwards.
    pub(super) fn begin(&mut self, filter: Filter, qos: QoS, since: u64) {
        self.all.retain(|replay| replay.filter != filter); // the store's place is written over
        self.all.push_back(Replay { filter, qos, since, next: Some(Bound::Unbounded), stored: None });
    }

    /// Ends those of filters.
    pub(super) fn end(&mut self, id: &str, filters: &[String], batch: &mut Batch) {
        self.all.retain(|replay| {
            let ends = filters.iter().any(|filter| filter == replay.filter.as_str());
            if ends {
                replay.forget(id, batch);
            }
            !ends
        });
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// Whether there is something still to be given.
    pub(super) fn are_open(&self) -> bool {
        self.all.iter().any(|replay| replay.next.is_some())
    }

    /// The first that has something to be given.
    pub(super) fn open(&mut self) -> Option<&mut Replay> {
        self.all.iter_mut().find(|replay| replay.next.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Forgets those that nobody will go on with.
    pub(super) fn forget_given(&mut self) {
        self.all.retain(|replay| replay.next.is_some());
    }

    /// The client is back: they go on with what is retained now, up to message `number`.
    pub(super) fn resume(&mut self, number: u64) {
        self.all.iter_mut().for_each(|replay| replay.since = number);
    }

    /// The connection ends: what waits for it was not given.
    pub(super) fn rewind(&mut self, outbound: &Outbound) {
        if !outbound.has_retained() {
            return;
        }
        for replay in &mut self.all {
            if let Some(topic) = outbound.first_retained(false, |topic| replay.filter.matches(topic)) {
                replay.next = Some(Bound::Included(topic));
            }
        }
    }

    /// Adds what has begun.
    pub(super) fn add_new(&self, id: &str, batch: &mut Batch) {
        self.all
            .iter()
            .filter(|replay| replay.stored.is_none())
            .for_each(|replay| replay.put(id, batch, &Bound::Unbounded));
    }

    /// What `add_new` gave is in a batch.
    pub(super) fn noted(&mut self) {
        for replay in self.all.iter_mut().filter(|replay| replay.stored.is_none()) {
            replay.stored = Some(Bound::Unbounded);
        }
    }

    /// Adds how far they are: before what the client has not answered and the store does not have.
    pub(super) fn add_progress(&mut self, id: &str, outbound: &Outbound, batch: &mut Batch) {
        let unanswered = outbound.has_unanswered_retained();
        self.all.retain_mut(|replay| {
            if replay.next == Some(Bound::Unbounded) && replay.stored == replay.next {
                return true; // not begun
            }
            let first =
                unanswered.then(|| outbound.first_retained(true, |topic| replay.filter.matches(topic))).flatten();
            let Some(place) = first.map(Bound::Included).or_else(|| replay.next.clone()) else {
                replay.forget(id, batch);
                return false;
            };
            if replay.stored.as_ref() != Some(&place) {
                replay.put(id, batch, &place);
                replay.stored = Some(place);
            }
            true
        });
    }

    /// Adds one that an earlier run left.
    pub(super) fn recall(&mut self, filter: &[u8], stored: &[u8]) -> Option<()> {
        let filter = Filter::new(std::str::from_utf8(filter).ok()?)?;
        let (qos, place) = decode(stored)?;
        self.all.push_back(Replay { filter, qos, since: 0, next: Some(place.clone()), stored: Some(place) });
        Some(())
    }
}

impl Replay {
    fn put(&self, id: &str, batch: &mut Batch, place: &From) {
        batch.put(Tree::Letters, key(id, REPLAY, self.filter.as_str().as_bytes()), encode_place(self.qos, place));
    }

    fn forget(&self, id: &str, batch: &mut Batch) {
        if self.stored.is_some() {
            batch.delete(Tree::Letters, key(id, REPLAY, self.filter.as_str().as_bytes()));
        }
    }
}

/// Format, QoS, how it begins (0: everything, 1: at a topic, 2: behind it), the topic
fn encode_place(qos: QoS, place: &From) -> Vec<u8> {
    let (how, topic) = match place {
        Bound::Unbounded => (0, ""),
        Bound::Included(topic) => (1, topic.as_str()),
        Bound::Excluded(topic) => (2, topic.as_str()),
    };
    [&[FORMAT, qos.bits(), how], topic.as_bytes()].concat()
}

/// Reads the part behind the format.
fn decode(bytes: &[u8]) -> Option<(QoS, From)> {
    let (&[qos, how], topic) = bytes.split_first_chunk::<2>()?;
    let topic = std::str::from_utf8(topic).ok()?.to_owned();
    let place = match how {
        0 => Bound::Unbounded,
        1 => Bound::Included(topic),
        2 => Bound::Excluded(topic),
        _ => return None,
    };
    Some((QoS::new(qos)?, place))
}

#[cfg(test)]
mod tests {
    use super::super::letter::Letter;
    use super::*;
    use crate::broker::session::queued::Queued;

    #[test]
    fn a_place_comes_back_as_it_was_and_nothing_else_is_read_as_one() {
        for place in [Bound::Unbounded, Bound::Included("é/1".to_owned()), Bound::Excluded("a".to_owned())] {
            let stored = encode_place(QoS::AtLeastOnce, &place);
            assert_eq!(decode(&stored[1..]), Some((QoS::AtLeastOnce, place)));
        }
        for bytes in [&[][..], &[1], &[3, 0], &[1, 3], &[1, 1, 0xFF]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_waits_begins_again_and_what_was_answered_ends() {
        let (mut replays, mut outbound, mut batch) =
            (Replays::default(), Outbound::new(10, Queued::of_tests()), Batch::default());
        outbound.is_kept = true;
        replays.begin(Filter::new("a/+").unwrap(), QoS::AtLeastOnce, 7);
        replays.add_new("id", &mut batch);
        replays.noted();
        assert!(!batch.is_empty());
        for topic in ["a/1", "a/2", "a/3"] {
            outbound.push(Letter::new(topic.into(), "x".into(), QoS::AtLeastOnce, true));
        }
        replays.all[0].next = None;
        replays.rewind(&outbound);
        assert_eq!(replays.all[0].next, Some(Bound::Included("a/1".into())));
        replays.all[0].next = None;
        let none = super::super::subscriptions::Subscriptions::new(0);
        outbound.write(&mut bytes::BytesMut::new(), &mut super::super::dialect::Dialect::default(), &none, usize::MAX);
        outbound.acknowledged(1);
        replays.rewind(&outbound);
        assert!(!replays.are_open(), "all of it is on its way");
        replays.add_progress("id", &outbound, &mut batch);
        assert_eq!(replays.all[0].stored, Some(Bound::Included("a/2".into())));
        assert!((2..=3).all(|pkid| outbound.acknowledged(pkid)) && !outbound.acknowledged(3));
        replays.add_progress("id", &outbound, &mut batch);
        assert!(replays.all.is_empty());
    }
}
