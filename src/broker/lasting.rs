//! Messages for kept sessions: each is stored once, whatever the number of sessions that are to get it, and deleted when the
//! last of them has it. Also how far each session is with them.
//!
//! A record is written with all else that its publisher is promised, and deleted a little later than it could be: what is
//! forgotten by a kill comes a second time, nothing is lost.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::codec::QoS;
use super::message::Message;
use super::properties::{self, Extra};
use crate::kit::budget::{Budget, Kind};
use crate::store::{Batch, Reader, Store, Tree, put_bytes, put_number};

/// Format of the values below; a message that has properties has the next one, and begins with them.
const FORMAT: u8 = 1;

/// Kinds of values in `Tree::Deliveries`, behind a session's number: how far it is; a handshake, by its packet id.
const PROGRESS: u8 = 0;
const HANDSHAKE: u8 = 1;

/// What a stored message takes beside topic and payload: a [`Stored`], and its key and place in the store.
const RECORD: usize = 256;

/// A message in the store. Dropping the last reference has it deleted. All of it is counted once; the sessions it waits for
/// have equal parts of it, and what none of them has any more is nobody's.
#[derive(Debug)]
pub(super) struct Stored {
    /// Of the message, which is its key.
    pub(super) number: u64,
    pub(super) topic: Box<[u8]>,
    /// Bytes of topic, payload and properties.
    pub(super) size: usize,
    pub(super) expires: Option<Instant>,
    /// Of one of its sessions.
    pub(super) part: usize,
    /// What is nobody's.
    common: AtomicUsize,
    lasting: Arc<Lasting>,
}

impl Stored {
    /// A session has its part from now on, or has it no more.
    pub(super) fn lend(&self, lent: bool) {
        let change = |common: usize| Some(if lent { common.saturating_sub(self.part) } else { common + self.part });
        let before = self.common.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).unwrap_or_default();
        self.lasting.budget.common(Kind::Queued, before, change(before).unwrap_or_default());
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.lasting.budget.common(Kind::Queued, *self.common.get_mut(), 0);
        self.lasting.messages.fetch_sub(1, Ordering::Relaxed);
        self.lasting.payloads.fetch_sub(self.size - self.topic.len(), Ordering::Relaxed);
        self.lasting.forget(self.number);
    }
}

/// A kept session that is to get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recipient {
    /// Number of the session.
    pub(super) session: u32,
    pub(super) qos: QoS,
    /// Its client is not connected.
    pub(super) is_away: bool,
}

/// How far a session is with stored messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Its client has all messages up to this number but those in flight.
    pub(super) through: u64,
    /// Their packet ids, in the order they were sent.
    pub(super) in_flight: Vec<(u64, u16)>,
    /// Later messages that its client has.
    pub(super) done: Vec<u64>,
}

/// A QoS 2 message to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    pub(super) message: u64,
    pub(super) pkid: u16,
    /// What the client still has to answer.
    pub(super) awaited: u8,
}

/// Somebody who knows more than the store.
pub(super) trait Unsaved: Send + Sync {
    /// Adds what the store should know; all messages up to number `settled` have been given to all.
    fn save(&self, settled: u64, batch: &mut Batch);
}

/// What all sessions share of it.
#[cfg_attr(test, derive(Default))]
pub(super) struct Lasting {
    budget: Budget,
    gone: Mutex<Vec<u64>>,
    /// How many there are, and the bytes of their payloads and properties.
    messages: AtomicUsize,
    payloads: AtomicUsize,
    /// By address: each is asked once.
    unsaved: Mutex<HashMap<usize, Arc<dyn Unsaved>>>,
    /// What belongs to sessions that this dmxd cannot read: another one may.
    others: Mutex<Vec<Arc<Stored>>>,
    /// The process ends: what is dropped from now on is needed by the next one.
    stopping: AtomicBool,
    last_session: AtomicU32,
    /// There is something for [`Lasting::collect`].
    pub(super) news: Notify,
}

impl std::fmt::Debug for Lasting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lasting").field("gone", &self.gone.lock().len()).finish_non_exhaustive()
    }
}

/// What an earlier run left.
#[derive(Default)]
pub(super) struct Left {
    /// By session: messages with their QoS.
    pub(super) waiting: HashMap<u32, Vec<(Arc<Stored>, QoS)>>,
    pub(super) progress: HashMap<u32, Progress>,
    pub(super) handshakes: HashMap<u32, Vec<Handshake>>,
    /// The highest number of a message that the store knows of.
    pub(super) highest: u64,
}

impl Left {
    /// Whether a session's client has a message, as far as the store knows.
    fn has(&self, session: u32, number: u64) -> bool {
        let is_open = |handshake: &Handshake| handshake.message == number;
        self.progress.get(&session).is_some_and(|Progress { through, in_flight, done }| {
            (number <= *through || done.contains(&number)) && in_flight.iter().all(|(flying, _)| *flying != number)
        }) && !self.handshakes.get(&session).is_some_and(|handshakes| handshakes.iter().any(is_open))
    }

    /// Lets messages go until no more is left than the budget has, with `reference` for each that waits for a session: the
    /// oldest of whatever session has most, strangers' first. Gives the number of those that went, by session.
    pub(super) fn fit(
        &mut self,
        budget: &Budget,
        reference: usize,
        is_device: impl Fn(u32) -> bool,
    ) -> HashMap<u32, u64> {
        let (most, mut gone) = (budget.most_of_all(Kind::Queued), HashMap::new());
        let mut references = self.waiting.values().map(Vec::len).sum::<usize>();
        let is_too_much = |references| budget.held(Kind::Queued) + (references * reference) as u64 > most;
        if !is_too_much(references) {
            return gone;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut order = Vec::with_capacity(references);
        for (session, letters) in &mut waiting {
            letters.retain(|(stored, _)| !self.has(*session, stored.number));
            letters.reverse(); // the oldest is the last
            let (is_device, mut behind) = (is_device(*session), 0);
            order.extend(letters.iter().map(|(stored, _)| {
                behind += stored.part + reference;
                (is_device, Reverse(behind), *session)
            }));
        }
        references = order.len();
        order.sort_unstable();
        for (.., session) in order {
            if !is_too_much(references) {
                break;
            }
            drop(waiting.get_mut(&session).and_then(Vec::pop));
            references -= 1;
            *gone.entry(session).or_default() += 1;
        }
        waiting.values_mut().for_each(|letters| letters.reverse());
        self.waiting = waiting;
        gone
    }
}

impl Lasting {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            gone: Mutex::default(),
            messages: AtomicUsize::new(0),
            payloads: AtomicUsize::new(0),
            unsaved: Mutex::default(),
            others: Mutex::default(),
            stopping: AtomicBool::new(false),
            last_session: AtomicU32::new(0),
            news: Notify::new(),
        }
    }

    /// A number for a new kept session; none is given twice while anything is stored under it.
    pub(super) fn new_session(&self) -> u32 {
        self.last_session.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sessions have numbers up to this one.
    pub(super) fn know_session(&self, number: u32) {
        self.last_session.fetch_max(number, Ordering::Relaxed);
    }

    /// What is left belongs to sessions that cannot be read: it stays.
    pub(super) fn hold(&self, left: Left) {
        self.others.lock().extend(left.waiting.into_values().flatten().map(|(stored, _)| stored));
    }

    /// Nothing is deleted from now on.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn forget(&self, number: u64) {
        if !self.stopping.load(Ordering::Relaxed) {
            self.gone.lock().push(number);
            self.news.notify_one();
        }
    }

    /// Somebody is to be asked by the next [`Lasting::collect`].
    pub(super) fn ask(&self, unsaved: Arc<dyn Unsaved>) {
        self.unsaved.lock().insert(Arc::as_ptr(&unsaved).cast::<()>() as usize, unsaved);
        self.news.notify_one();
    }

    /// How many messages there are, and the bytes of their payloads.
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.messages.load(Ordering::Relaxed), self.payloads.load(Ordering::Relaxed))
    }

    /// Adds what can be deleted, and how far sessions are; all messages up to `settled` have been given to all.
    pub(super) fn collect(&self, settled: u64, batch: &mut Batch) {
        let unsaved = std::mem::take(&mut *self.unsaved.lock());
        unsaved.values().for_each(|unsaved| unsaved.save(settled, batch));
        for number in std::mem::take(&mut *self.gone.lock()) {
            batch.delete(Tree::Messages, number.to_be_bytes());
        }
    }

    /// Adds a message's record.
    pub(super) fn keep(
        self: &Arc<Self>,
        batch: &mut Batch,
        number: u64,
        message: &Message<'_>,
        recipients: &mut [Recipient],
    ) -> Arc<Stored> {
        batch.put(Tree::Messages, number.to_be_bytes(), encode(message, recipients));
        let (topic, size) = (message.topic.as_bytes(), message.payload.len());
        self.stored(number, (topic, size), message.extra, recipients.len())
    }

    fn stored(
        self: &Arc<Self>,
        number: u64,
        (topic, payload): (&[u8], usize),
        extra: &Extra,
        sessions: usize,
    ) -> Arc<Stored> {
        let size = topic.len() + payload + properties::size(extra);
        let (part, common) = ((RECORD + size) / sessions.max(1), AtomicUsize::new(RECORD + size));
        self.budget.common(Kind::Queued, 0, RECORD + size);
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.payloads.fetch_add(size - topic.len(), Ordering::Relaxed);
        let (topic, expires, lasting) = (topic.into(), properties::expires(extra), self.clone());
        Arc::new(Stored { number, topic, size, expires, part, common, lasting })
    }

    /// What the store holds, each message without its payload.
    pub(super) fn recall(self: &Arc<Self>, store: &Store) -> Left {
        let mut left = Left::default();
        store.visit(Tree::Messages, |key, value| {
            let Some(number) = number(key) else { return };
            left.highest = left.highest.max(number);
            let Some((extra, _, read)) = properties::open(store, (Tree::Messages, key), value, FORMAT) else { return };
            let Some((recipients, topic, payload)) = decode(read) else {
                return store.damaged(Tree::Messages, key, "cannot be read");
            };
            let stored = self.stored(number, (topic, payload.len()), &extra, recipients.len());
            for (session, qos) in recipients {
                self.know_session(session);
                left.waiting.entry(session).or_default().push((stored.clone(), qos));
            }
        });
        left.waiting.values_mut().for_each(|waiting| waiting.sort_by_key(|(stored, _)| stored.number));
        for (key, value) in store.scan(Tree::Deliveries, b"") {
            let Some(value) = store.behind_format(Tree::Deliveries, &key, &value, FORMAT) else { continue };
            let Some((session, rest)) =
                key.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
            else {
                continue;
            };
            self.know_session(session);
            match rest {
                [PROGRESS] => {
                    let Some(progress) = decode_progress(value) else { continue };
                    let known = progress.done.iter().chain(progress.in_flight.iter().map(|(number, _)| number));
                    left.highest = known.copied().fold(left.highest.max(progress.through), u64::max);
                    left.progress.insert(session, progress);
                }
                [HANDSHAKE, high, low] => {
                    let Some((awaited, Some(message))) = value.split_first().map(|(a, rest)| (*a, number(rest))) else {
                        continue;
                    };
                    left.highest = left.highest.max(message);
                    let handshake = Handshake { message, pkid: u16::from_be_bytes([*high, *low]), awaited };
                    left.handshakes.entry(session).or_default().push(handshake);
                }
                _ => {}
            }
        }
        left
    }
}

/// How many of them are not connected.
pub(super) fn away(recipients: &[Recipient]) -> u64 {
    recipients.iter().filter(|recipient| recipient.is_away).count() as u64
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// What the store has of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) topic: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) extra: Extra,
    /// It was published with the retain flag.
    pub(super) retain: bool,
}

/// Reads a message, if the store still has it.
pub(super) fn read(store: &Store, number: u64) -> Option<Record> {
    let key = number.to_be_bytes();
    let value = store.get(Tree::Messages, &key)?;
    let (extra, flags, rest) = properties::open(store, (Tree::Messages, &key), &value, FORMAT)?;
    let (_, topic, payload) = decode(rest)?;
    let retain = flags & properties::RETAIN != 0;
    Some(Record { topic: topic.to_vec(), payload: payload.to_vec(), extra, retain })
}

/// Notes how far a session is.
pub(super) fn note_progress(batch: &mut Batch, session: u32, progress: &Progress) {
    let Progress { through, in_flight, done } = progress;
    let mut value = vec![FORMAT];
    value.extend(through.to_be_bytes());
    value.extend((in_flight.len() as u16).to_be_bytes()); // a window of them at the most
    for (number, pkid) in in_flight {
        value.extend(number.to_be_bytes());
        value.extend(pkid.to_be_bytes());
    }
    done.iter().for_each(|number| value.extend(number.to_be_bytes()));
    batch.put(Tree::Deliveries, key(session, &[PROGRESS]), value);
}

fn decode_progress(bytes: &[u8]) -> Option<Progress> {
    let (through, rest) = bytes.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (in_flight, done) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 10)?;
    let flying = |entry: &[u8]| {
        let (number, pkid) = entry.split_first_chunk()?;
        Some((u64::from_be_bytes(*number), u16::from_be_bytes(pkid.try_into().ok()?)))
    };
    Some(Progress {
        through: u64::from_be_bytes(*through),
        in_flight: in_flight.chunks_exact(10).map(flying).collect::<Option<_>>()?,
        done: done.chunks(8).map(number).collect::<Option<_>>()?,
    })
}

/// Notes a handshake, in place of an earlier one with its packet id.
pub(super) fn note_handshake(batch: &mut Batch, session: u32, handshake: Handshake) {
    let Handshake { message, pkid, awaited } = handshake;
    let value = [&[FORMAT, awaited][..], &message.to_be_bytes()].concat();
    batch.put(Tree::Deliveries, handshake_key(session, pkid), value);
}

/// Forgets the handshakes with these packet ids.
pub(super) fn forget_handshakes(batch: &mut Batch, session: u32, pkids: Vec<u16>) {
    pkids.into_iter().for_each(|pkid| batch.delete(Tree::Deliveries, handshake_key(session, pkid)));
}

fn handshake_key(session: u32, pkid: u16) -> Vec<u8> {
    key(session, &[&[HANDSHAKE][..], &pkid.to_be_bytes()].concat())
}

fn key(session: u32, rest: &[u8]) -> Vec<u8> {
    [&session.to_be_bytes()[..], rest].concat()
}

/// Forgets how far a session is.
pub(super) fn forget_session(store: &Store, session: u32, batch: &mut Batch) {
    for (key, _) in store.scan(Tree::Deliveries, &session.to_be_bytes()) {
        batch.delete(Tree::Deliveries, key);
    }
}

/// format, number of recipients, each with the distance of its number from the one before and its QoS, length of the topic,
/// topic, payload. Numbers take as few bytes as they need: a message for fifty is little longer than one for a single one.
fn encode(message: &Message<'_>, recipients: &mut [Recipient]) -> Vec<u8> {
    let Message { topic, payload, extra, retain, .. } = *message;
    let mut bytes = properties::begin(FORMAT, extra, if retain { properties::RETAIN } else { 0 });
    bytes.reserve_exact(8 + 2 * recipients.len() + topic.len() + payload.len());
    recipients.sort_by_key(|recipient| recipient.session);
    put_number(&mut bytes, recipients.len() as u64);
    let mut last = 0;
    for Recipient { session, qos, .. } in recipients {
        put_number(&mut bytes, u64::from(*session - last) << 2 | u64::from(qos.bits()));
        last = *session;
    }
    put_bytes(&mut bytes, topic.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Recipients, topic and payload of a record.
type Content<'a> = (Vec<(u32, QoS)>, &'a [u8], &'a [u8]);

/// Reads the part behind the format.
fn decode(bytes: &[u8]) -> Option<Content<'_>> {
    let (mut reader, mut recipients, mut last) = (Reader(bytes), Vec::new(), 0_u32);
    for _ in 0..reader.number()? {
        let entry = reader.number()?;
        last = last.checked_add(u32::try_from(entry >> 2).ok()?)?;
        recipients.push((last, QoS::new(entry as u8 & 3)?));
    }
    Some((recipients, reader.bytes()?, reader.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;
    use proptest::prelude::*;

    fn recipients(of: &[(u32, u8)]) -> Vec<Recipient> {
        let recipient =
            |(session, qos): &(u32, u8)| Recipient { session: *session, qos: QoS::new(*qos).unwrap(), is_away: true };
        of.iter().map(recipient).collect()
    }

    fn message<'a>(topic: &'a str, payload: &'a [u8]) -> Message<'a> {
        Message::ours(topic, payload, QoS::AtLeastOnce, false)
    }

    #[test]
    fn a_message_for_fifty_takes_little_more_than_one_for_a_single_one() {
        let size = |sessions: std::ops::Range<u32>| {
            let mut recipients = recipients(&sessions.map(|session| (session, 1)).collect::<Vec<_>>());
            encode(&message("room/1/state", b"21.5"), &mut recipients).len()
        };
        assert_eq!(size(1000..1050), size(1000..1001) + 49);
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was(
            of in prop::collection::btree_map(any::<u32>(), 1..3_u8, 0..20), topic: String, payload: Vec<u8>,
        ) {
            let of: Vec<_> = of.into_iter().collect();
            let mut mixed = recipients(&of);
            mixed.reverse();
            let bytes = encode(&message(&topic, &payload), &mut mixed);
            let of = of.iter().map(|(session, qos)| (*session, QoS::new(*qos).unwrap())).collect();
            prop_assert_eq!(decode(&bytes[1..]), Some((of, topic.as_bytes(), &payload[..])));
        }

        #[test]
        fn nothing_else_is_read_with_a_panic(bytes: Vec<u8>) {
            let _ = (decode(&bytes), decode_progress(&bytes));
        }
    }

    /// A budget of so many bytes for what is queued.
    fn budget(most: usize) -> Budget {
        let mut config = config::Config::default();
        config.mqtt.max_queued_bytes = most;
        Budget::new(&config, Health::default(), Metrics::new().unwrap().memory)
    }

    #[test]
    fn a_message_counts_once_whoever_has_it_and_until_the_last_has() {
        let budget = budget(1 << 20);
        let lasting = Arc::new(Lasting::new(&budget));
        let mut of = recipients(&[(1, 1), (2, 1), (3, 1)]);
        let stored = lasting.keep(&mut Batch::default(), 1, &message("topic", &[0; 1_000]), &mut of);
        let all = (RECORD + 1_005) as u64;
        assert_eq!((budget.held(Kind::Queued), stored.part), (all, all as usize / 3));
        (0..3).for_each(|_| stored.lend(true));
        assert_eq!(budget.held(Kind::Queued), all % 3, "the rest is held by the sessions");
        (0..3).for_each(|_| stored.lend(false));
        assert_eq!(budget.held(Kind::Queued), all);
        drop(stored);
        assert_eq!(budget.held(Kind::Queued), 0);
    }

    #[test]
    fn a_start_with_too_much_keeps_the_newest_and_takes_from_who_has_most_and_strangers_first() {
        const EACH: usize = RECORD + 1_001;
        let waiting = |budget: &Budget, of: &[(u32, std::ops::Range<u64>)]| {
            let lasting = Arc::new(Lasting::new(budget));
            let store = |number| (lasting.stored(number, (b"t", 1_000), &None, 1), QoS::AtLeastOnce);
            let waiting = of.iter().map(|(session, numbers)| (*session, numbers.clone().map(store).collect()));
            Left { waiting: waiting.collect(), ..Left::default() }
        };
        let numbers = |left: &Left, session: u32| -> Vec<u64> {
            left.waiting[&session].iter().map(|(stored, _)| stored.number).collect()
        };
        let of = [(1, 0..10), (2, 10..12), (3, 12..22), (4, 22..32)];
        let budget = budget(20 * (EACH + 50));
        let mut left = waiting(&budget, &of);
        // 3 is a device; the client of 4 has all but the last two, of which one is in flight
        left.progress.insert(4, Progress { through: 31, in_flight: vec![(30, 1)], done: vec![] });
        left.handshakes.insert(4, vec![Handshake { message: 31, pkid: 2, awaited: 3 }]);
        let gone = left.fit(&budget, 50, |session| session == 3);
        assert_eq!(gone, [(1, 4)].into(), "what its client has does not count");
        assert_eq!((numbers(&left, 1), numbers(&left, 2)), (Vec::from_iter(4..10), vec![10, 11]));
        assert_eq!((numbers(&left, 3), numbers(&left, 4)), (Vec::from_iter(12..22), vec![30, 31]));
        assert_eq!(left.fit(&budget, 50, |_| false), HashMap::new(), "now it fits");
        let gone = left.fit(&budget, EACH, |session| session == 3);
        assert_eq!(gone, [(1, 6), (2, 2), (4, 2)].into());
        assert!(budget.held(Kind::Queued) as usize + 10 * EACH <= 20 * (EACH + 50));
        assert_eq!(numbers(&left, 3).len(), 10);
    }

    /// Drops everything that nobody refers to, as the sweeper does.
    async fn sweep(lasting: &Lasting, store: &Store) {
        let mut batch = Batch::default();
        lasting.collect(0, &mut batch);
        store.commit(batch, || {}).await;
    }

    #[tokio::test]
    async fn the_last_who_refers_to_a_message_has_it_deleted_but_not_at_the_stop() {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &Metrics::new().unwrap()).unwrap().store;
        let (lasting, mut batch) = (Arc::new(Lasting::default()), Batch::default());
        let mut kept: Vec<_> = (1..=3)
            .map(|number| lasting.keep(&mut batch, number, &message("t", b"x"), &mut recipients(&[(7, 1), (9, 2)])))
            .collect();
        batch.put(Tree::Messages, 4_u64.to_be_bytes(), [FORMAT + 2]);
        batch.put(Tree::Messages, 5_u64.to_be_bytes(), [FORMAT, 200]);
        let progress = Progress { through: 11, in_flight: vec![(2, 513)], done: vec![12, 15] };
        note_progress(&mut batch, 7, &progress);
        let handshake = Handshake { message: 1, pkid: 258, awaited: 2 };
        note_handshake(&mut batch, 9, handshake);
        note_handshake(&mut batch, 11, Handshake { message: 17, ..handshake });
        store.write(batch).await;
        let other = kept[0].clone();
        kept.drain(..2);
        sweep(&lasting, &store).await;
        let found =
            |store: &Store| store.scan(Tree::Messages, b"").into_iter().map(|(key, _)| key[7]).collect::<Vec<_>>();
        assert_eq!(found(&store), [1, 3, 4, 5], "somebody still needs the first one");
        lasting.stop();
        drop((kept, other));
        sweep(&lasting, &store).await;
        let next = Arc::new(Lasting::default());
        let left = next.recall(&store);
        let waiting: Vec<_> = left.waiting[&9].iter().map(|(stored, qos)| (stored.number, *qos)).collect();
        assert_eq!(waiting, [(1, QoS::ExactlyOnce), (3, QoS::ExactlyOnce)]);
        assert_eq!((left.progress[&7].clone(), &left.handshakes[&9]), (progress, &vec![handshake]));
        assert_eq!((left.highest, next.new_session()), (17, 12), "no number that anything still names is given again");
        let (topic, payload) = (b"t".to_vec(), b"x".to_vec());
        assert_eq!(read(&store, 3), Some(Record { topic, payload, extra: None, retain: false }));
        let problems: Vec<_> = health.problems().into_iter().map(|problem| problem.message).collect();
        assert!(problems.iter().any(|problem| problem.contains("has format 3,")), "{problems:?}");
        next.hold(left);
        sweep(&next, &store).await;
        assert_eq!(found(&store), [1, 3, 4, 5], "what belongs to sessions that cannot be read stays for who can");
        store.close().await;
    }
}
