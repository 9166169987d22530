//! Messages on their way to one client, pure: a bounded queue, a window in flight, packet ids, handshakes.
//!
//! What is stored for kept sessions (`lasting`) waits here by reference, and is in memory only while it may be sent.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use tokio::time::Instant;

use super::dialect::{Dialect, Told};
use super::letter::{By, Kept, Letter, Note};
use super::queued::Queued;
use super::subscriptions::Subscriptions;
use crate::broker::codec::QoS;
use crate::broker::lasting::{Handshake, Progress, Stored};
use crate::broker::passed::Passed;
use crate::kit::budget::Full;

/// Messages that a client may leave unanswered before the next one waits; as in rumqttd and most clients. Fewer if it says so.
const WINDOW: usize = 100;

/// Bytes of letters that may wait for one client, besides the limit of their number.
const MOST_BYTES: usize = 2 << 20;

/// What is read from the store at a time, before it is sent: letters, and their bytes.
const PAGE: usize = 64;
const PAGE_BYTES: usize = 64 << 10;

/// What the client still has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// PUBACK
    Acknowledged,
    /// PUBREC
    Received,
    /// PUBCOMP
    Completed,
}

impl Awaited {
    /// Its number in the store, which must never get another meaning.
    fn tag(self) -> u8 {
        match self {
            Self::Acknowledged => 1,
            Self::Received => 2,
            Self::Completed => 3,
        }
    }

    fn from_tag(tag: u8) -> Option<Self> {
        [Self::Acknowledged, Self::Received, Self::Completed].into_iter().find(|awaited| awaited.tag() == tag)
    }

    /// What a message waits for that was sent.
    fn first(qos: QoS) -> Self {
        if qos == QoS::ExactlyOnce { Self::Received } else { Self::Acknowledged }
    }
}

/// To whom messages are written, with what is subscribed to, and when.
type Way<'a> = (&'a mut Dialect, &'a Subscriptions, Instant);

struct InFlight {
    pkid: u16,
    letter: Letter,
    awaited: Awaited,
    /// Sent on an earlier connection, and to be sent again on this one.
    again: bool,
}

/// Retained messages that are queued ahead, and their bytes.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 64 << 10;

impl InFlight {
    fn handshake(&self) -> Option<Note> {
        note(&self.letter, self.awaited, self.pkid)
    }

    /// Whether it has to be read from the store before it is sent again.
    fn needs_loading(&self) -> bool {
        self.again && self.awaited != Awaited::Completed && self.letter.payload().is_none()
    }
}

/// What the store has to know of a letter's handshake, if it knows the letter.
fn note(letter: &Letter, awaited: Awaited, pkid: u16) -> Option<Note> {
    if let Some(message) = letter.number() {
        return Some(Note::Handshake(Handshake { message, pkid, awaited: awaited.tag() }));
    }
    Some(Note::Own(letter.own_number()?, letter.kept(awaited.tag(), pkid)))
}

/// What an earlier run left of a session's stored messages, in order of number.
#[derive(Default)]
pub(in crate::broker) struct Left {
    pub(in crate::broker) waiting: Vec<(Arc<Stored>, QoS)>,
    pub(in crate::broker) progress: Progress,
    pub(in crate::broker) handshakes: Vec<Handshake>,
    /// It had more.
    pub(in crate::broker) trimmed: bool,
}

pub(super) struct Outbound {
    queue: VecDeque<Letter>,
    /// What the stored ones of all that is here hold of the budget.
    pub(super) queued: Queued,
    /// Bytes of the queue, and of those in it that are no lag.
    bytes: usize,
    no_lag: usize,
    in_flight: VecDeque<InFlight>,
    /// Messages that this client may leave unanswered.
    window: usize,
    last_pkid: u16,
    /// The session outlives its connection, so what the client does not answer is sent again.
    pub(super) is_kept: bool,
    /// Letters that may wait while the client is away; at more the oldest is dropped.
    limit: usize,
    /// The highest number among the session's own letters in the store.
    last_number: u64,
    /// Numbers of own letters in the store that arrived or were dropped.
    forgotten: Vec<u64>,
    /// Stored messages that the client has, as far as the store does not know it otherwise.
    done: BTreeSet<u64>,
    /// Packet ids of finished handshakes in the store.
    finished: Vec<u16>,
    /// Somebody else still needs the record of a message that the client has: the store has to know that it has it.
    unsaved: bool,
    /// The client has answered something since that was last noted.
    answered: bool,
    /// Topics of messages that the client does not take, since the last look.
    too_large: Vec<Bytes>,
}

impl Outbound {
    pub(super) fn new(limit: usize, queued: Queued) -> Self {
        Self {
            queue: VecDeque::new(),
            queued,
            bytes: 0,
            no_lag: 0,
            in_flight: VecDeque::new(),
            window: WINDOW,
            last_pkid: 0,
            is_kept: false,
            limit,
            last_number: 0,
            forgotten: Vec::new(),
            done: BTreeSet::new(),
            finished: Vec::new(),
            unsaved: false,
            answered: false,
            too_large: Vec::new(),
        }
    }

    /// Numbers of own letters in the store that are no longer needed, each given once.
    pub(super) fn forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    /// Whether anything is to be stored or read before it is sent.
    pub(super) fn needs_the_store(&self) -> bool {
        self.needs_ids() || self.needs_loading()
    }

    /// Whether the store should soon know how far the client is; it does from now on.
    pub(super) fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }

    /// Own letters to be stored by number, which is their order: those not stored yet, and those in flight, whose
    /// handshakes have advanced.
    pub(super) fn own(&mut self) -> Vec<(u64, Kept)> {
        let last = &mut self.last_number;
        let mut kept = Vec::new();
        for InFlight { letter, pkid, awaited, .. } in &mut self.in_flight {
            if let Some((number, _)) = letter.keep(last) {
                kept.push((number, letter.kept(awaited.tag(), *pkid)));
            }
        }
        for letter in &mut self.queue {
            if let Some((number, true)) = letter.keep(last) {
                kept.push((number, letter.kept(0, 0)));
            }
        }
        kept
    }

    /// How far the client is with stored messages, of which those up to `settled` have come here; also the packet ids of
    /// handshakes that the store can forget with that. `held` have come, but are kept back.
    pub(super) fn progress(&mut self, settled: u64, held: impl Iterator<Item = u64>) -> (Progress, Vec<u16>) {
        let first = self.queue.iter().filter_map(Letter::number).chain(held).min();
        let through = settled.min(first.map_or(settled, |first| first.saturating_sub(1)));
        let in_flight = self.in_flight.iter().filter_map(|flying| Some((flying.letter.number()?, flying.pkid)));
        self.done = self.done.split_off(&through.saturating_add(1));
        (self.unsaved, self.answered) = (false, false);
        let progress = Progress { through, in_flight: in_flight.collect(), done: self.done.iter().copied().collect() };
        (progress, std::mem::take(&mut self.finished))
    }

    /// Whether the client has answered something since the last [`Outbound::progress`], or something is on its way to it.
    pub(super) fn has_progress(&self) -> bool {
        self.answered || self.in_flight.iter().any(|flying| flying.letter.number().is_some())
    }

    /// Adds an own letter of an earlier run; they come in order of number, before all others.
    pub(super) fn recall_own(&mut self, number: u64, kept: Kept) {
        self.last_number = self.last_number.max(number);
        let (awaited, pkid, letter) = (kept.awaited, kept.pkid, Letter::recalled(number, kept));
        match Awaited::from_tag(awaited) {
            Some(awaited) => self.in_flight.push_back(InFlight { pkid, letter, awaited, again: true }),
            None => self.add(letter),
        }
    }

    /// Adds what an earlier run left; gives the packet ids of handshakes that the store can forget. `connected`: the client
    /// was, so some may have been sent. `by`: by what a topic comes.
    pub(super) fn recall(&mut self, left: Left, connected: bool, by: impl Fn(&[u8]) -> By) -> Vec<u16> {
        let Left { waiting, progress, handshakes, trimmed } = left;
        (self.answered, self.unsaved) = (trimmed, trimmed);
        let mut handshakes: HashMap<u64, Handshake> =
            handshakes.into_iter().map(|known| (known.message, known)).collect();
        let flew: HashMap<u64, (usize, u16)> =
            progress.in_flight.iter().enumerate().map(|(at, (number, pkid))| (*number, (at, *pkid))).collect();
        let done: BTreeSet<u64> = progress.done.iter().copied().collect();
        let (mut flying, mut queue) = (Vec::new(), Vec::new());
        for (stored, qos) in waiting {
            let number = stored.number;
            let (handshake, flew) = (handshakes.remove(&number), flew.get(&number));
            let by = by(&stored.topic);
            let letter = Letter::stored(stored, if handshake.is_some() { QoS::ExactlyOnce } else { qos }).by(by);
            let place = (flew.map_or(usize::MAX, |(at, _)| *at), number);
            if let Some((awaited, pkid)) = handshake.and_then(|it| Some((Awaited::from_tag(it.awaited)?, it.pkid))) {
                flying.push((place, InFlight { pkid, letter, awaited, again: true }));
            } else if let Some((_, pkid)) = flew {
                flying.push((place, InFlight { pkid: *pkid, letter, awaited: Awaited::first(qos), again: true }));
            } else if number > progress.through && !done.contains(&number) {
                queue.push(letter);
            } // else its client has it
        }
        flying.sort_by_key(|(place, _)| *place);
        self.in_flight.extend(flying.into_iter().map(|(_, flying)| flying));
        let flying = self.in_flight.iter().map(|flying| &flying.letter);
        flying.chain(&queue).filter_map(Letter::record).for_each(|stored| self.queued.hold(stored));
        for (at, letter) in queue.into_iter().enumerate() {
            self.add(letter.maybe_sent(connected && at < WINDOW));
        }
        self.done = done;
        handshakes.into_values().map(|known| known.pkid).collect()
    }

    /// Whether the next letter needs its packet id in the store before it is sent.
    pub(super) fn needs_ids(&self) -> bool {
        self.in_flight.len() < self.window && self.queue.front().is_some_and(Letter::needs_id)
    }

    /// Gives packet ids to stored QoS 2 letters, one window of them. With these stored before the first one is sent
    /// ([`Outbound::ids_are_stored`]), a restart sends them again under the same ids, and their client recognises those it has
    /// ([MQTT-4.3.3-1]).
    pub(super) fn fix_ids(&mut self) -> Vec<Note> {
        let lacks_id = |letter: &Letter| letter.needs_id() && letter.pkid == 0;
        let due = self.queue.iter().take(WINDOW).enumerate().filter(|(_, letter)| lacks_id(letter));
        let due: Vec<_> = due.map(|(at, _)| at).collect();
        let mut notes = Vec::new();
        for at in due {
            let pkid = self.next_pkid();
            if let Some(letter) = self.queue.get_mut(at) {
                letter.pkid = pkid;
                notes.extend(note(letter, Awaited::Received, pkid));
            }
        }
        notes
    }

    /// What [`Outbound::fix_ids`] gave is written: those letters may be sent, by whoever writes next.
    pub(super) fn ids_are_stored(&mut self) {
        self.queue.iter_mut().take(WINDOW).filter(|letter| letter.pkid > 0).for_each(|letter| letter.is_fixed = true);
    }

    /// Whether what is next has to be read from the store.
    pub(super) fn needs_loading(&self) -> bool {
        let next = self.queue.front().is_some_and(|next| next.payload().is_none());
        (next && self.in_flight.len() < self.window)
            || self.in_flight.iter().take(self.window).any(InFlight::needs_loading)
    }

    /// What is to be read from the store, if anything.
    pub(super) fn to_load(&self) -> Vec<Arc<Stored>> {
        if !self.needs_loading() {
            return Vec::new();
        }
        let again = self.in_flight.iter().take(self.window).filter(|flying| flying.needs_loading());
        let again = again.map(|flying| &flying.letter);
        let queue = self.queue.iter().filter(|letter| letter.payload().is_none());
        let (mut bytes, mut wanted) = (0, Vec::new());
        for stored in again.chain(queue).filter_map(Letter::record).take(PAGE) {
            bytes += stored.size;
            if bytes > PAGE_BYTES && !wanted.is_empty() {
                break;
            }
            wanted.push(stored.clone());
        }
        wanted
    }

    /// What was read from the store, by number; gives how many letters cannot be sent because it has them no more.
    pub(super) fn loaded(&mut self, loaded: &HashMap<u64, Option<Arc<Passed>>>) -> u64 {
        let mut lost = 0;
        let mut load = |letter: &mut Letter| match letter.number().and_then(|number| loaded.get(&number)) {
            None => true,
            Some(Some(passed)) => {
                letter.load(passed);
                true
            }
            Some(None) => {
                lost += 1;
                false
            }
        };
        let mut stays = |letter: &mut Letter| load(letter) || gives_back(&mut self.queued, letter);
        self.in_flight.retain_mut(|flying| !flying.needs_loading() || stays(&mut flying.letter));
        self.queue.retain_mut(|letter| letter.payload().is_some() || stays(letter));
        self.count();
        lost
    }

    /// Adds up the queue, of which some were taken out or read.
    fn count(&mut self) {
        self.bytes = self.queue.iter().map(Letter::size).sum();
        self.no_lag = self.queue.iter().map(Letter::no_lag).sum();
    }

    /// Whether the next page of retained messages may be queued.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < AHEAD && self.bytes < AHEAD_BYTES
    }

    /// Bytes that wait, with what they take here; not retained messages, which come as fast as they are taken, nor what is
    /// not in memory.
    pub(super) fn waits(&self) -> usize {
        self.bytes - self.no_lag + self.queue.len() * std::mem::size_of::<Letter>()
    }

    /// Starts with another packet id than the run before: its client may still hold some.
    pub(super) fn begin_at(&mut self, pkid: u16) {
        self.last_pkid = pkid;
    }

    /// Queues a letter for a connected client.
    pub(super) fn push(&mut self, letter: Letter) {
        letter.record().into_iter().for_each(|stored| self.queued.hold(stored));
        self.add(letter);
    }

    /// The same for one that all share. An error: too much waits for the client.
    pub(super) fn push_shared(&mut self, letter: Letter) -> Result<(), Full> {
        let taken = letter.record().map(|stored| self.queued.take_at_once(stored));
        self.add(letter);
        taken.unwrap_or(Ok(()))
    }

    /// Queues a letter that has what it needs of the budget.
    fn add(&mut self, letter: Letter) {
        self.bytes += letter.size();
        self.no_lag += letter.no_lag();
        self.queue.push_back(letter);
    }

    fn pop(&mut self) -> Option<Letter> {
        let letter = self.queue.pop_front()?;
        self.bytes -= letter.size();
        self.no_lag -= letter.no_lag();
        Some(letter)
    }

    /// Queues a letter for an absent client; gives the topics of the oldest ones, which had to make room. Where all of them
    /// are not enough, the letter is the oldest itself.
    pub(super) fn push_away(&mut self, mut letter: Letter) -> Vec<Bytes> {
        letter.unload();
        let mut dropped = self.trim_for(1, letter.size());
        while let Some(stored) = letter.record()
            && self.queued.take(stored).is_err()
        {
            let Some(oldest) = self.drop_oldest() else {
                self.lost(&letter);
                dropped.push(topic(&letter));
                return dropped;
            };
            dropped.push(topic(&oldest)); // its record is given back here
        }
        self.add(letter);
        dropped
    }

    /// Drops the oldest of too many for a client that is away; gives their topics.
    pub(super) fn trim(&mut self) -> Vec<Bytes> {
        self.trim_for(0, 0)
    }

    /// Drops the oldest until there is room for so many more, and their bytes.
    fn trim_for(&mut self, more: usize, bytes: usize) -> Vec<Bytes> {
        let mut dropped = Vec::new();
        while (self.queue.len() + more > self.limit || self.bytes + bytes > MOST_BYTES) && self.queue.len() + more > 1 {
            dropped.extend(self.drop_oldest().map(|letter| topic(&letter)));
        }
        dropped
    }

    /// Drops the oldest one that is not in flight.
    pub(super) fn drop_oldest(&mut self) -> Option<Letter> {
        let letter = self.pop()?;
        gives_back(&mut self.queued, &letter);
        self.lost(&letter);
        Some(letter)
    }

    /// A letter had to go. The store has to know, or it would be there again after the next start if others have its record.
    fn lost(&mut self, letter: &Letter) {
        self.forgotten.extend(letter.own_number());
        if letter.record().is_some() {
            (self.answered, self.unsaved) = (true, true);
            self.finished.extend((letter.pkid > 0).then_some(letter.pkid)); // the store knows it
        }
    }

    /// The client is away, and has no more than others from now on: the oldest go, in flight or not, down to that. Gives
    /// the topics of those that it does not have.
    pub(super) fn settle(&mut self) -> Vec<Bytes> {
        let (most, mut dropped) = (self.queued.settle(), Vec::new());
        while self.queued.units() > most {
            let stored = self.in_flight.iter().position(|flying| flying.letter.record().is_some());
            if let Some(flying) = stored.and_then(|at| self.in_flight.remove(at)) {
                dropped.extend((flying.awaited != Awaited::Completed).then(|| topic(&flying.letter)));
                self.end(&flying);
            } else if let Some(letter) = self.drop_oldest() {
                dropped.push(topic(&letter));
            } else {
                break;
            }
        }
        dropped
    }

    /// The client is back: what it had not answered is sent again, first ([MQTT-4.4.0-1]). It answers so many at a time.
    pub(super) fn resume(&mut self, receive_maximum: u16) {
        self.window = WINDOW.min(receive_maximum.into());
        for flying in &mut self.in_flight {
            flying.again = true;
        }
    }

    /// The connection is gone: QoS 0 is not kept, nor what a replay begins with again. Gives the number of letters lost.
    /// What is stored need not be in memory.
    pub(super) fn connection_lost(&mut self) -> u64 {
        let lost = self.queue.iter().filter(|letter| !letter.outlives_connection() && !letter.retain).count();
        let stays = |letter: &Letter| letter.outlives_connection() && !(self.is_kept && letter.is_second_copy());
        self.queue.retain(|letter| stays(letter) || gives_back(&mut self.queued, letter));
        self.queue.iter_mut().for_each(Letter::unload);
        self.in_flight.iter_mut().for_each(|flying| flying.letter.unload());
        self.count();
        lost as u64
    }

    /// Removes letters of topics whose present value is sent instead; gives the topics. Handshakes that only wait for their
    /// end continue.
    pub(super) fn take_out(&mut self, is_present_value: impl Fn(&[u8]) -> bool) -> Vec<Bytes> {
        let mut topics = Vec::new();
        let mut taken = |letter: &Letter| {
            let topic = letter.topic();
            let taken = is_present_value(topic);
            if taken {
                self.forgotten.extend(letter.own_number());
                if !topics.iter().any(|known| known == topic) {
                    topics.push(Bytes::copy_from_slice(topic));
                }
            }
            taken
        };
        let mut stays = |letter: &Letter| !taken(letter) || gives_back(&mut self.queued, letter);
        self.queue.retain(&mut stays);
        self.in_flight.retain(|flying| flying.awaited == Awaited::Completed || stays(&flying.letter));
        self.count();
        topics
    }

    /// Lets go what of these topics waits, or may be sent again: its client may not have it any more. Handshakes that only
    /// wait for their end continue.
    pub(super) fn forget_all(&mut self, is_meant: impl Fn(&[u8]) -> bool) {
        let (gone, queue) = std::mem::take(&mut self.queue).into_iter().partition::<Vec<_>, _>(|l| is_meant(l.topic()));
        self.queue = queue.into();
        for letter in &gone {
            gives_back(&mut self.queued, letter);
            self.lost(letter);
        }
        let is_gone = |flying: &InFlight| flying.awaited != Awaited::Completed && is_meant(flying.letter.topic());
        while let Some(at) = self.in_flight.iter().position(is_gone)
            && let Some(flying) = self.in_flight.remove(at)
        {
            self.end(&flying);
        }
        self.count();
    }

    pub(super) fn clear(&mut self) {
        let flying = self.in_flight.drain(..).map(|flying| flying.letter);
        flying.chain(self.queue.drain(..)).for_each(|letter| {
            gives_back(&mut self.queued, &letter);
        });
        self.queued.begin_again();
        (self.queue, self.in_flight, self.bytes, self.no_lag) = Default::default();
        (self.forgotten, self.done, self.finished) = Default::default();
        (self.unsaved, self.answered) = (false, false);
    }

    /// Whether nothing more can be sent before the client answers.
    pub(super) fn awaits_answers(&self) -> bool {
        self.in_flight.len() >= self.window
    }

    /// Letters that wait or are in flight.
    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.in_flight.len()
    }

    /// Writes what may go now, in order, until `wire` holds `enough` bytes. Gives the number of messages. `of`: what the
    /// session has subscribed to.
    pub(super) fn write(&mut self, wire: &mut BytesMut, to: &mut Dialect, of: &Subscriptions, enough: usize) -> u64 {
        let (now, mut sent) = (Instant::now(), 0);
        if self.write_again(wire, (to, of, now), enough, &mut sent) {
            self.write_queue(wire, (to, of, now), enough, &mut sent);
        }
        shrink(&mut self.queue);
        sent
    }

    /// What an earlier connection left in flight; whether that is all written. What the client answers fewer of at a time waits
    /// for its turn.
    fn write_again(&mut self, wire: &mut BytesMut, (to, of, now): Way<'_>, enough: usize, sent: &mut u64) -> bool {
        let mut at = 0;
        while let Some(flying) = self.in_flight.get_mut(at) {
            at += 1;
            if !flying.again {
                continue;
            }
            if wire.len() >= enough || flying.needs_loading() || at > self.window {
                return false;
            }
            flying.again = false;
            if flying.awaited == Awaited::Completed {
                to.release(wire, flying.pkid);
                continue;
            }
            if to.publish(wire, &flying.letter, (flying.pkid, true), of, now) == Told::Sent {
                flying.letter.unload();
                *sent += 1;
                continue;
            }
            self.too_large.push(topic(&flying.letter));
            at -= 1;
            if let Some(flying) = self.in_flight.remove(at) {
                self.end(&flying);
            }
        }
        true
    }

    fn write_queue(&mut self, wire: &mut BytesMut, (to, of, now): Way<'_>, enough: usize, sent: &mut u64) {
        while wire.len() < enough {
            let Some(next) = self.queue.front() else { return };
            if next.expires().is_some_and(|at| at <= now) {
                self.drop_expired();
                continue;
            }
            let waits = next.needs_id() || next.payload().is_none();
            if waits || (next.qos > QoS::AtMostOnce && self.in_flight.len() >= self.window) {
                return;
            }
            let Some(mut letter) = self.pop() else { return };
            let pkid = match letter.qos {
                QoS::AtMostOnce => 0,
                _ if letter.pkid > 0 => letter.pkid,
                _ => self.next_pkid(),
            };
            if to.publish(wire, &letter, (pkid, letter.again), of, now) == Told::TooLarge {
                // Section 3.1.2.11.4: as if it had been sent and answered.
                self.too_large.push(topic(&letter));
                gives_back(&mut self.queued, &letter);
                self.lost(&letter);
                continue;
            }
            *sent += 1;
            if letter.qos == QoS::AtMostOnce {
                continue;
            }
            if self.is_kept {
                letter.unload();
            } else {
                letter.let_go(); // it is sent once: an answer that never comes holds no memory
            }
            let awaited = Awaited::first(letter.qos);
            self.in_flight.push_back(InFlight { pkid, letter, awaited, again: false });
        }
    }

    /// Topics of messages that the client does not take, each time it was not sent one.
    pub(super) fn take_too_large(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.too_large)
    }

    /// Lets go what nobody wants any more; gives when the next one comes to that.
    pub(super) fn drop_expired(&mut self) -> Option<Instant> {
        let (now, mut next) = (Instant::now(), None::<Instant>);
        let mut gone = Vec::new();
        self.queue.retain_mut(|letter| {
            let Some(at) = letter.expires() else { return true };
            if at <= now {
                gone.push(letter.clone());
                return false;
            }
            next = Some(next.map_or(at, |next| next.min(at)));
            true
        });
        for letter in &gone {
            gives_back(&mut self.queued, letter);
            self.lost(letter);
        }
        if !gone.is_empty() {
            self.count();
        }
        next
    }

    /// What this session was chosen for by a group, and its client does not have: it may go to another member, but nothing
    /// at QoS 2 that was perhaps sent (section 4.8.2).
    pub(super) fn chosen(&self) -> Vec<Letter> {
        let flying = self.in_flight.iter().filter(|flying| flying.awaited == Awaited::Acknowledged);
        let queue = self.queue.iter().filter(|letter| letter.qos < QoS::ExactlyOnce || !letter.again);
        flying.map(|flying| &flying.letter).chain(queue).filter(|letter| letter.is_chosen()).cloned().collect()
    }

    /// Retained messages that the store does not have.
    fn retained(&self, in_flight: bool) -> impl Iterator<Item = &Letter> {
        let flying = self.in_flight.iter().filter(move |_| in_flight).map(|flying| &flying.letter);
        flying.chain(&self.queue).filter(|letter| letter.retain && letter.own_number().is_none())
    }

    /// Whether any retained message waits that the store does not have.
    pub(super) fn has_retained(&self) -> bool {
        self.retained(false).next().is_some()
    }

    /// Whether the client has not answered any, or it waits.
    pub(super) fn has_unanswered_retained(&self) -> bool {
        self.retained(true).next().is_some()
    }

    /// The first topic of those that wait (`in_flight`: or are not answered) and are meant.
    pub(super) fn first_retained(&self, in_flight: bool, is_meant: impl Fn(&str) -> bool) -> Option<String> {
        let topics = self.retained(in_flight).filter_map(|letter| std::str::from_utf8(letter.topic()).ok());
        topics.filter(|topic| is_meant(topic)).min().map(str::to_owned)
    }

    /// Makes all retained messages the session's own in the store if one of those that wait has to come exactly once. Its
    /// packet id follows before it is sent.
    pub(super) fn keep_retained(&mut self) -> Vec<(u64, Kept)> {
        if !self.retained(false).any(|letter| letter.qos == QoS::ExactlyOnce) {
            return Vec::new();
        }
        let last = &mut self.last_number;
        let mut keep = |letter: &mut Letter, awaited, pkid| {
            let is_new = letter.retain && letter.qos > QoS::AtMostOnce && letter.own_number().is_none();
            let (number, _) = if is_new { letter.keep(last)? } else { return None };
            Some((number, letter.kept(awaited, pkid)))
        };
        let mut kept = Vec::new();
        for InFlight { letter, pkid, awaited, .. } in &mut self.in_flight {
            kept.extend(keep(letter, awaited.tag(), *pkid));
        }
        for letter in &mut self.queue {
            kept.extend(keep(letter, 0, 0));
        }
        kept
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_written(&self) -> bool {
        self.queue.is_empty() && self.in_flight.iter().all(|flying| !flying.again)
    }

    /// PUBACK. An unknown or late one is nothing; whether it is known.
    pub(super) fn acknowledged(&mut self, pkid: u16) -> bool {
        self.finish(pkid, Awaited::Acknowledged)
    }

    /// PUBREC that refuses: the handshake is over, and the client does not have it (MQTT 5, section 4.3.3).
    /// Whether it is known.
    pub(super) fn refused(&mut self, pkid: u16) -> bool {
        self.finish(pkid, Awaited::Received)
    }

    /// PUBREC: the answer is PUBREL, even if unknown, which ends the client's wait. Gives whether it is known, and what the
    /// store has to know before that.
    pub(super) fn received(&mut self, pkid: u16) -> (bool, Option<Note>) {
        let sent = |flying: &&mut InFlight| flying.pkid == pkid && flying.awaited != Awaited::Acknowledged;
        let Some(flying) = self.in_flight.iter_mut().find(sent) else { return (false, None) };
        if flying.awaited == Awaited::Completed {
            return (true, None); // our PUBREL was lost
        }
        flying.awaited = Awaited::Completed;
        flying.again = false; // what is next goes once that is written
        flying.letter.empty(); // the client has it
        (true, flying.handshake())
    }

    /// PUBCOMP. An unknown or late one is nothing; whether it is known.
    pub(super) fn completed(&mut self, pkid: u16) -> bool {
        self.finish(pkid, Awaited::Completed)
    }

    fn finish(&mut self, pkid: u16, awaited: Awaited) -> bool {
        let done = self.in_flight.iter().position(|flying| flying.pkid == pkid && flying.awaited == awaited);
        let done = done.and_then(|at| self.in_flight.remove(at));
        done.iter().for_each(|flying| self.end(flying));
        shrink(&mut self.in_flight);
        done.is_some()
    }

    /// The client has a message that was in flight, or does not get it any more.
    fn end(&mut self, InFlight { letter, pkid, awaited, .. }: &InFlight) {
        gives_back(&mut self.queued, letter);
        self.forgotten.extend(letter.own_number());
        if let Some(stored) = letter.record() {
            self.answered = true;
            let exactly = *awaited != Awaited::Acknowledged;
            if exactly {
                self.finished.push(*pkid);
            }
            // The last one who refers to it has its record deleted.
            if exactly || Arc::strong_count(stored) > 1 {
                self.done.insert(stored.number);
                self.unsaved = true;
            }
        }
    }

    /// The next id that is not in flight; there are far more ids than the window holds.
    fn next_pkid(&mut self) -> u16 {
        loop {
            self.last_pkid = self.last_pkid.checked_add(1).unwrap_or(1);
            let given = self.queue.iter().take(WINDOW).map(|letter| letter.pkid); // none after these has one
            let mut used = self.in_flight.iter().map(|flying| flying.pkid).chain(given);
            if used.all(|pkid| pkid != self.last_pkid) {
                return self.last_pkid;
            }
        }
    }
}

fn topic(letter: &Letter) -> Bytes {
    Bytes::copy_from_slice(letter.topic())
}

/// A letter goes, with what it holds of the budget; it does not stay.
fn gives_back(queued: &mut Queued, letter: &Letter) -> bool {
    letter.record().into_iter().for_each(|stored| queued.give_back(stored));
    false
}

/// A burst leaves nothing behind.
fn shrink<T>(line: &mut VecDeque<T>) {
    if line.is_empty() && line.capacity() > 8 {
        *line = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::{Packet, Version, decode};
    use crate::broker::lasting::Lasting;
    use crate::broker::message::Message;
    use crate::config::Config;
    use crate::kit::budget::{Budget, Kind, Who};
    use crate::kit::health::Health;
    use crate::metrics::Metrics;
    use crate::store::Batch;

    fn of(limit: usize) -> Outbound {
        Outbound { is_kept: true, ..Outbound::new(limit, Queued::of_tests()) }
    }

    fn letter(n: usize, qos: QoS) -> Letter {
        Letter::new("t".into(), n.to_string().into(), qos, false)
    }

    /// (payload or "rel", DUP, packet id) of what was written.
    fn read(wire: &mut BytesMut) -> Vec<(String, bool, u16)> {
        let mut read = Vec::new();
        while !wire.is_empty() {
            let dup = wire[0] & 8 != 0;
            read.push(match decode(wire, Version::V4, 1000).unwrap().unwrap() {
                Packet::Publish(p) => (String::from_utf8_lossy(&p.payload).into_owned(), dup, p.pkid),
                Packet::PubRel(pkid) => ("rel".into(), false, pkid),
                other => panic!("{other:?}"),
            });
        }
        read
    }

    fn written(outbound: &mut Outbound) -> Vec<(String, bool, u16)> {
        let mut wire = BytesMut::new();
        write(outbound, &mut wire, usize::MAX);
        read(&mut wire)
    }

    fn write(outbound: &mut Outbound, wire: &mut BytesMut, enough: usize) {
        outbound.write(wire, &mut Dialect::default(), &Subscriptions::new(0), enough);
    }

    #[test]
    fn what_was_not_answered_is_sent_again_with_dup_before_anything_new() {
        let mut outbound = of(10);
        outbound.push(letter(1, QoS::AtLeastOnce));
        outbound.push(letter(2, QoS::ExactlyOnce));
        outbound.push(letter(3, QoS::ExactlyOnce));
        assert_eq!(written(&mut outbound).len(), 3);
        outbound.received(3);
        outbound.connection_lost();
        outbound.push_away(letter(4, QoS::AtLeastOnce));
        outbound.resume(u16::MAX);
        let again = written(&mut outbound);
        let expected = [("1", true, 1), ("2", true, 2), ("rel", false, 3), ("4", false, 4)];
        assert_eq!(again, expected.map(|(text, dup, pkid)| (text.to_owned(), dup, pkid)));
        outbound.acknowledged(1);
        outbound.acknowledged(99);
        outbound.received(2);
        outbound.completed(2);
        outbound.completed(3);
        outbound.acknowledged(4);
        outbound.resume(u16::MAX);
        assert_eq!(written(&mut outbound), []);
    }

    #[test]
    fn what_is_sent_once_is_not_held_until_it_is_answered() {
        let mut outbound = Outbound { is_kept: false, ..of(10) };
        outbound.push(letter(1, QoS::AtLeastOnce));
        assert_eq!(written(&mut outbound), [("1".into(), false, 1)]);
        assert_eq!(outbound.in_flight[0].letter.payload(), None);
    }

    #[test]
    fn a_pubrec_for_what_was_not_sent_again_yet_is_stored_before_its_pubrel() {
        let mut outbound = of(10);
        outbound.push(letter(1, QoS::ExactlyOnce));
        written(&mut outbound);
        outbound.connection_lost();
        outbound.resume(u16::MAX);
        outbound.received(1);
        assert_eq!(written(&mut outbound), [], "the session sends it once it has stored that");
        outbound.connection_lost();
        outbound.resume(u16::MAX);
        assert_eq!(written(&mut outbound), [("rel".into(), false, 1)]);
    }

    #[test]
    fn the_window_holds_back_and_ids_in_use_are_passed_over() {
        let mut outbound = of(1000);
        for n in 0..WINDOW + 2 {
            outbound.push(letter(n, QoS::AtLeastOnce));
        }
        assert_eq!(written(&mut outbound).len(), WINDOW);
        outbound.last_pkid = u16::MAX;
        outbound.acknowledged(50);
        assert_eq!(written(&mut outbound), [(WINDOW.to_string(), false, 50)]);
        assert!(!outbound.is_written());
    }

    #[test]
    fn a_client_that_is_away_loses_the_oldest_and_its_qos_0() {
        let mut outbound = of(2);
        outbound.push(letter(0, QoS::AtMostOnce));
        assert_eq!(outbound.connection_lost(), 1);
        assert!(outbound.push_away(letter(1, QoS::AtLeastOnce)).is_empty());
        assert!(outbound.push_away(letter(2, QoS::AtLeastOnce)).is_empty());
        assert_eq!(outbound.push_away(letter(3, QoS::AtLeastOnce)), ["t"], "one had to go");
        let payloads: Vec<_> = written(&mut outbound).into_iter().map(|(payload, ..)| payload).collect();
        assert_eq!(payloads, ["2", "3"]);
    }

    #[test]
    fn own_letters_are_taken_up_in_order_with_their_handshakes() {
        let mut outbound = of(10);
        outbound.push(letter(1, QoS::AtLeastOnce));
        outbound.push(letter(2, QoS::ExactlyOnce));
        written(&mut outbound);
        outbound.received(2);
        outbound.push(letter(3, QoS::AtLeastOnce));
        let stored = outbound.own();
        let mut again = of(10);
        stored.into_iter().for_each(|(number, kept)| again.recall_own(number, kept));
        assert_eq!(written(&mut again), [("1".into(), true, 1), ("rel".into(), false, 2), ("3".into(), false, 3)]);
        again.acknowledged(1);
        again.completed(2);
        assert_eq!(again.forgotten(), [1, 2]);
    }

    /// Messages of all, as the store has them.
    struct Stock {
        store: HashMap<u64, Arc<Stored>>,
    }

    impl Stock {
        fn new(numbers: std::ops::RangeInclusive<u64>) -> Self {
            let lasting = Arc::new(Lasting::default());
            let keep = |number| {
                (
                    number,
                    lasting.keep(
                        &mut Batch::default(),
                        number,
                        &Message::ours("t", b"x", QoS::AtLeastOnce, false),
                        &mut [],
                    ),
                )
            };
            Self { store: numbers.map(keep).collect() }
        }

        fn passed(&self, number: u64) -> Arc<Passed> {
            let payload = number.to_string();
            let message = Message::ours("t", payload.as_bytes(), QoS::ExactlyOnce, false);
            let passed = Passed::new(number, &message, false, Vec::new());
            Arc::new(Passed { stored: Some(self.store[&number].clone()), ..passed })
        }

        fn waiting(&self, numbers: std::ops::RangeInclusive<u64>, qos: QoS) -> Vec<(Arc<Stored>, QoS)> {
            numbers.map(|number| (self.store[&number].clone(), qos)).collect()
        }

        /// What is written once what the store has to know is noted, and what only it has is read.
        fn written(&self, outbound: &mut Outbound) -> Vec<(String, bool, u16)> {
            let mut all = Vec::new();
            loop {
                all.extend(written(outbound));
                if outbound.needs_ids() {
                    outbound.fix_ids();
                    outbound.ids_are_stored();
                } else if outbound.needs_loading() {
                    let wanted = outbound.to_load();
                    assert!(!wanted.is_empty() && wanted.len() <= PAGE);
                    let read = |stored: Arc<Stored>| (stored.number, Some(self.passed(stored.number)));
                    assert_eq!(outbound.loaded(&wanted.into_iter().map(read).collect()), 0);
                } else {
                    return all;
                }
            }
        }
    }

    fn is_in_memory(outbound: &Outbound) -> bool {
        outbound.in_flight.iter().map(|flying| &flying.letter).chain(&outbound.queue).any(|l| l.payload().is_some())
    }

    #[test]
    fn what_is_stored_waits_by_reference_and_is_read_when_it_may_be_sent() {
        let stock = Stock::new(1..=300);
        let mut outbound = of(1000);
        outbound.push(Letter::shared(&stock.passed(1), QoS::AtLeastOnce, true));
        assert_eq!(written(&mut outbound), [("1".into(), false, 1)]);
        for number in 2..=300 {
            assert!(outbound.push_away(Letter::shared(&stock.passed(number), QoS::AtLeastOnce, true)).is_empty());
        }
        assert!(!is_in_memory(&outbound));
        assert_eq!(outbound.bytes, 299 * 2);
        outbound.resume(u16::MAX);
        let sent = stock.written(&mut outbound);
        assert_eq!(sent.len(), WINDOW);
        assert_eq!((&sent[0], &sent[99]), (&("1".to_owned(), true, 1), &("100".to_owned(), false, 100)));
        let in_memory = outbound.queue.iter().filter(|letter| letter.payload().is_some()).count();
        assert!(in_memory <= PAGE, "{in_memory}");
        outbound.connection_lost();
        assert!(!is_in_memory(&outbound));
        outbound.resume(u16::MAX);
        assert_eq!(outbound.loaded(&[(1, None)].into()), 1, "what the store has no more is not waited for");
        assert_eq!(stock.written(&mut outbound).len(), WINDOW);
    }

    #[test]
    fn a_session_that_is_not_kept_has_nothing_to_do_with_records_of_others() {
        let stock = Stock::new(1..=2);
        let mut outbound = of(10);
        outbound.push(Letter::shared(&stock.passed(1), QoS::AtLeastOnce, false));
        outbound.push(Letter::shared(&stock.passed(2), QoS::ExactlyOnce, false));
        assert!(outbound.fix_ids().is_empty());
        assert_eq!(written(&mut outbound).len(), 2, "nothing is to be stored first");
        outbound.acknowledged(1);
        assert_eq!(outbound.received(2), (true, None));
        outbound.completed(2);
        assert!(outbound.done.is_empty() && outbound.finished.is_empty() && !outbound.take_unsaved());
    }

    #[test]
    fn what_waited_for_a_connected_client_is_not_cut_to_what_may_wait_for_an_absent_one() {
        let stock = Stock::new(1..=20);
        let left = || Left { waiting: stock.waiting(1..=20, QoS::AtLeastOnce), ..Left::default() };
        let mut outbound = of(10);
        outbound.recall(left(), true, |_| By::Topic);
        assert_eq!(stock.written(&mut outbound).len(), 20);
    }

    #[test]
    fn the_handshake_of_a_message_that_had_to_go_is_forgotten_too() {
        let stock = Stock::new(1..=2);
        let mut outbound = of(1);
        outbound.push(Letter::shared(&stock.passed(1), QoS::ExactlyOnce, true));
        assert_eq!(outbound.fix_ids().len(), 1);
        assert_eq!(outbound.push_away(Letter::shared(&stock.passed(2), QoS::AtLeastOnce, true)).len(), 1);
        assert!(outbound.has_progress());
        assert_eq!(outbound.progress(2, [].into_iter()).1, [1]);
    }

    #[test]
    fn who_leaves_keeps_no_more_than_others_may_have_and_what_was_in_flight_goes_first() {
        let mut config = Config::default();
        config.mqtt.max_queued_bytes = 400_000;
        let budget = Budget::new(&config, Health::default(), Metrics::new().unwrap().memory);
        let who: Who = std::net::IpAddr::from([10, 0, 0, 1]).into();
        let mut outbound = Outbound::new(10, Queued::new(budget.share(Kind::Queued, who.clone())));
        outbound.is_kept = true;
        let lasting = Arc::new(Lasting::new(&budget));
        for (number, size) in [(1, 40_000), (2, 20_000), (3, 90_000)] {
            let payload = vec![b'x'; size];
            let message = Message::ours("t", &payload, QoS::ExactlyOnce, false);
            let stored = lasting.keep(&mut Batch::default(), number, &message, &mut []);
            let passed = Passed { stored: Some(stored), ..Passed::new(number, &message, false, Vec::new()) };
            let letter = Letter::shared(&Arc::new(passed), QoS::ExactlyOnce, true);
            assert!(outbound.push_shared(letter).is_ok(), "64 KiB and one more, unasked");
        }
        outbound.fix_ids();
        outbound.ids_are_stored();
        write(&mut outbound, &mut BytesMut::new(), 1);
        write(&mut outbound, &mut BytesMut::new(), 1);
        outbound.received(1);
        outbound.connection_lost();
        assert!(budget.held(Kind::Queued) > 150_000);
        assert_eq!(outbound.settle(), ["t"], "the client has the first one");
        assert!((90_000..=100_000).contains(&budget.held(Kind::Queued)), "a quarter");
        assert!(outbound.settle().is_empty() && outbound.len() == 1 && outbound.has_progress());
        assert_eq!(outbound.progress(3, [].into_iter()).1, [1, 2]);
    }

    #[test]
    fn a_restart_goes_on_where_the_client_was() {
        let stock = Stock::new(1..=20);
        let mut before = of(1000);
        for number in 1..=8 {
            before.push(Letter::shared(&stock.passed(number), QoS::AtLeastOnce, true));
        }
        written(&mut before);
        for pkid in [1, 2, 5] {
            before.acknowledged(pkid);
        }
        assert!(before.take_unsaved(), "others still need them");
        for number in 10..=12 {
            before.push(Letter::shared(&stock.passed(number), QoS::AtLeastOnce, true));
        }
        // 9 came first for others, and the router still owes what is behind 15
        let (progress, finished) = before.progress(15, [].into_iter());
        assert_eq!((progress.through, progress.done.len(), finished.len()), (9, 0, 0));
        let mut after = of(1000);
        let waiting = [stock.waiting(1..=8, QoS::AtLeastOnce), stock.waiting(10..=16, QoS::AtLeastOnce)].concat();
        after.recall(Left { waiting, progress, ..Left::default() }, false, |_| By::Topic);
        let texts: Vec<_> =
            stock.written(&mut after).into_iter().map(|(text, dup, pkid)| (text, dup.then_some(pkid))).collect();
        let expected = [("3", Some(3)), ("4", Some(4)), ("6", Some(6)), ("7", Some(7)), ("8", Some(8))];
        let expected = expected.into_iter().chain(["10", "11", "12", "13", "14", "15", "16"].map(|text| (text, None)));
        assert_eq!(texts, expected.map(|(text, pkid)| (text.to_owned(), pkid)).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_client_has_of_what_comes_late_is_known_without_it() {
        let stock = Stock::new(1..=4);
        let mut outbound = of(10);
        for number in [3, 4] {
            outbound.push(Letter::shared(&stock.passed(number), QoS::AtLeastOnce, true));
        }
        written(&mut outbound);
        outbound.acknowledged(1);
        // 1 and 2 are still to come
        let (progress, _) = outbound.progress(0, [].into_iter());
        assert_eq!(progress, Progress { through: 0, in_flight: vec![(4, 2)], done: vec![3] });
        let (progress, _) = outbound.progress(4, [2].into_iter());
        assert_eq!((progress.through, &progress.done), (1, &vec![3]));
        let mut after = of(10);
        let left = Left { waiting: stock.waiting(1..=4, QoS::AtLeastOnce), progress, ..Left::default() };
        after.recall(left, true, |_| By::Topic);
        let texts: Vec<_> = stock.written(&mut after).into_iter().map(|(text, dup, _)| (text, dup)).collect();
        assert_eq!(texts, [("4".into(), true), ("2".into(), true)]);
    }

    #[test]
    fn a_qos_2_handshake_goes_on_where_it_was_and_none_begins_twice() {
        let stock = Stock::new(1..=4);
        let mut before = of(10);
        for number in 1..=4 {
            before.push(Letter::shared(&stock.passed(number), QoS::ExactlyOnce, true));
        }
        assert!(written(&mut before).is_empty(), "the store has to know the packet ids first");
        let notes = before.fix_ids();
        assert_eq!(notes.len(), 4);
        assert!(before.needs_ids() && before.fix_ids().is_empty(), "each gets one");
        assert!(
            written(&mut before).is_empty(),
            "they are being written, and others may write to the socket meanwhile"
        );
        before.ids_are_stored();
        assert_eq!(written(&mut before).len(), 4);
        let note = before.received(2);
        let known = Handshake { message: 2, pkid: 2, awaited: Awaited::Completed.tag() };
        assert_eq!(note, (true, Some(Note::Handshake(known))));
        before.received(1);
        before.completed(1);
        let (progress, finished) = before.progress(4, [].into_iter());
        assert_eq!((progress.through, finished), (4, vec![1]));
        let received = |message, pkid| Handshake { message, pkid, awaited: Awaited::Received.tag() };
        let handshakes = vec![received(4, 4), known, received(3, 3), received(99, 77)];
        let mut after = of(10);
        let left = Left { waiting: stock.waiting(1..=4, QoS::ExactlyOnce), progress, handshakes, trimmed: false };
        assert_eq!(after.recall(left, true, |_| By::Topic), [77], "its message is gone");
        assert_eq!(stock.written(&mut after), [("rel".into(), false, 2), ("3".into(), true, 3), ("4".into(), true, 4)]);
    }
}
