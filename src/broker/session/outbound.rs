//! Messages on their way to one client, pure: a bounded queue, a window in flight, packet ids, handshakes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::broker::codec::{self, Ack, Outgoing, QoS};

/// Messages that a client may leave unanswered before the next one waits; as in rumqttd and most clients.
const WINDOW: usize = 100;

/// A message for this client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Its number in the store, if it is there.
    number: Option<u64>,
    /// Its packet id in the store; 0: none yet.
    pkid: u16,
}

/// A letter as stored, with the state of its handshake: 0 not begun, else as in `Awaited`.
pub(super) struct Kept<'a> {
    pub(super) letter: &'a Letter,
    pub(super) awaited: u8,
    pub(super) pkid: u16,
}

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
}

impl Letter {
    pub(super) fn new(topic: Bytes, payload: Bytes, qos: QoS, retain: bool) -> Self {
        Self { topic, payload, qos, retain, number: None, pkid: 0 }
    }

    /// A stored QoS 2 letter without a packet id.
    fn needs_id(&self) -> bool {
        self.qos == QoS::ExactlyOnce && self.number.is_some() && self.pkid == 0
    }

    fn size(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

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

/// Bytes of letters that may wait for one client, besides the limit of their number.
const MOST_BYTES: usize = 1 << 20;

pub(super) struct Outbound {
    queue: VecDeque<Letter>,
    /// Bytes of the queue, and of its retained messages.
    bytes: usize,
    retained: usize,
    in_flight: VecDeque<InFlight>,
    last_pkid: u16,
    /// Letters that may wait while the client is away; at more the oldest is dropped.
    limit: usize,
    /// The highest number in the store.
    last_number: u64,
    /// Numbers in the store of letters that arrived or were dropped.
    forgotten: Vec<u64>,
}

impl Outbound {
    pub(super) fn new(limit: usize) -> Self {
        let (queue, in_flight, forgotten) = (VecDeque::new(), VecDeque::new(), Vec::new());
        Self { queue, bytes: 0, retained: 0, in_flight, last_pkid: 0, limit, last_number: 0, forgotten }
    }

    /// Numbers in the store that are no longer needed, each given once.
    pub(super) fn forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    pub(super) fn has_forgotten(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Letters to be stored by number, which is their order: those not stored yet and, with `all`, those in flight, whose
    /// handshakes have advanced.
    pub(super) fn unstored(&mut self, all: bool) -> Vec<(u64, Kept<'_>)> {
        let last = &mut self.last_number;
        let mut number = |letter: &mut Letter| {
            *letter.number.get_or_insert_with(|| {
                *last += 1;
                *last
            })
        };
        let mut kept = Vec::new();
        for InFlight { letter, pkid, awaited, .. } in self.in_flight.iter_mut().filter(|_| all) {
            kept.push((number(letter), Kept { letter, awaited: awaited.tag(), pkid: *pkid }));
        }
        for letter in self.queue.iter_mut().filter(|letter| letter.number.is_none()) {
            kept.push((number(letter), Kept { letter, awaited: 0, pkid: 0 }));
        }
        kept
    }

    /// Adds a letter of an earlier run; they come in order of number.
    pub(super) fn recall(&mut self, number: u64, (awaited, pkid, mut letter): (u8, u16, Letter)) {
        letter.number = Some(number);
        self.last_number = self.last_number.max(number);
        match Awaited::from_tag(awaited) {
            Some(awaited) => {
                self.last_pkid = pkid;
                self.in_flight.push_back(InFlight { pkid, letter, awaited, again: true });
            }
            None => self.push(letter),
        }
    }

    /// Whether the next letter needs its packet id in the store before it is sent.
    pub(super) fn needs_ids(&self) -> bool {
        self.in_flight.len() < WINDOW && self.queue.front().is_some_and(Letter::needs_id)
    }

    /// Gives packet ids to stored QoS 2 letters, one window of them. With these stored before the first one is sent, a restart
    /// sends them again under the same ids, and their client recognises those it has ([MQTT-4.3.3-1]).
    pub(super) fn fix_ids(&mut self) -> Vec<(u64, Kept<'_>)> {
        let due = self.queue.iter().take(WINDOW).enumerate().filter(|(_, letter)| letter.needs_id());
        let due: Vec<_> = due.map(|(at, _)| at).collect();
        for at in &due {
            let pkid = self.next_pkid();
            if let Some(letter) = self.queue.get_mut(*at) {
                letter.pkid = pkid;
            }
        }
        let kept = |letter| Kept { letter, awaited: Awaited::Received.tag(), pkid: letter.pkid };
        due.into_iter().filter_map(|at| self.queue.get(at)).filter_map(|l| Some((l.number?, kept(l)))).collect()
    }

    /// Whether the next page of retained messages may be queued.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < AHEAD && self.bytes < AHEAD_BYTES
    }

    /// Bytes that wait, with what they take here; not retained ones, which come as fast as they are taken.
    pub(super) fn waits(&self) -> usize {
        self.bytes - self.retained + self.queue.len() * std::mem::size_of::<Letter>()
    }

    /// Starts with another packet id than the run before: its client may still hold some.
    pub(super) fn begin_at(&mut self, pkid: u16) {
        self.last_pkid = pkid;
    }

    /// Queues a letter for a connected client.
    pub(super) fn push(&mut self, letter: Letter) {
        self.bytes += letter.size();
        self.retained += if letter.retain { letter.size() } else { 0 };
        self.queue.push_back(letter);
    }

    fn pop(&mut self) -> Option<Letter> {
        let letter = self.queue.pop_front()?;
        self.bytes -= letter.size();
        self.retained -= if letter.retain { letter.size() } else { 0 };
        Some(letter)
    }

    /// Adds up the queue, of which some were taken out.
    fn count(&mut self) {
        self.bytes = self.queue.iter().map(Letter::size).sum();
        self.retained = self.queue.iter().filter(|letter| letter.retain).map(Letter::size).sum();
    }

    /// Queues a letter for an absent client; gives the oldest ones, which had to make room.
    pub(super) fn push_away(&mut self, letter: Letter) -> Vec<Letter> {
        self.push(letter);
        self.trim()
    }

    /// Drops the oldest of too many for a client that is away.
    pub(super) fn trim(&mut self) -> Vec<Letter> {
        let mut dropped = Vec::new();
        while (self.queue.len() > self.limit || self.bytes > MOST_BYTES)
            && self.queue.len() > 1
            && let Some(letter) = self.pop()
        {
            self.forgotten.extend(letter.number);
            dropped.push(letter);
        }
        dropped
    }

    /// The client is back: what it had not answered is sent again, first ([MQTT-4.4.0-1]).
    pub(super) fn resume(&mut self) {
        for flying in &mut self.in_flight {
            flying.again = true;
        }
    }

    /// The connection is gone: QoS 0 is not kept, nor what is retained anyway. Gives the number of letters dropped.
    pub(super) fn connection_lost(&mut self) -> u64 {
        let before = self.queue.len();
        self.queue.retain(|letter| letter.qos > QoS::AtMostOnce && !letter.retain);
        self.count();
        (before - self.queue.len()) as u64
    }

    /// Removes letters of topics whose present value is sent instead; gives the topics. Handshakes that only wait for their
    /// end continue.
    pub(super) fn take_out(&mut self, is_present_value: impl Fn(&[u8]) -> bool) -> Vec<Bytes> {
        let mut topics = Vec::new();
        let mut taken = |letter: &Letter| {
            let taken = is_present_value(&letter.topic);
            if taken {
                self.forgotten.extend(letter.number);
                if !topics.contains(&letter.topic) {
                    topics.push(letter.topic.clone());
                }
            }
            taken
        };
        self.queue.retain(|letter| !taken(letter));
        self.in_flight.retain(|flying| flying.awaited == Awaited::Completed || !taken(&flying.letter));
        self.count();
        topics
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        (self.bytes, self.retained) = (0, 0);
        self.in_flight.clear();
        self.forgotten.clear();
    }

    /// Writes what may go now, in order, until `wire` holds `enough` bytes. Gives the number of messages.
    pub(super) fn write(&mut self, wire: &mut BytesMut, enough: usize) -> u64 {
        let mut sent = 0;
        for flying in self.in_flight.iter_mut().filter(|flying| flying.again) {
            if wire.len() >= enough {
                return sent;
            }
            flying.again = false;
            match flying.awaited {
                Awaited::Completed => codec::ack(wire, Ack::PubRel, flying.pkid),
                Awaited::Acknowledged | Awaited::Received => {
                    write(wire, &flying.letter, flying.pkid, true);
                    sent += 1;
                }
            }
        }
        while wire.len() < enough {
            let Some(next) = self.queue.front() else { break };
            if next.needs_id() || (next.qos > QoS::AtMostOnce && self.in_flight.len() >= WINDOW) {
                break;
            }
            let Some(letter) = self.pop() else { break };
            sent += 1;
            if letter.qos == QoS::AtMostOnce {
                write(wire, &letter, 0, false);
                continue;
            }
            let pkid = if letter.pkid > 0 { letter.pkid } else { self.next_pkid() };
            write(wire, &letter, pkid, false);
            let awaited = if letter.qos == QoS::AtLeastOnce { Awaited::Acknowledged } else { Awaited::Received };
            self.in_flight.push_back(InFlight { pkid, letter, awaited, again: false });
        }
        shrink(&mut self.queue);
        sent
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_written(&self) -> bool {
        self.queue.is_empty() && self.in_flight.iter().all(|flying| !flying.again)
    }

    /// PUBACK. An unknown or late one is nothing.
    pub(super) fn acknowledged(&mut self, pkid: u16) {
        self.done(pkid, Awaited::Acknowledged);
    }

    /// PUBREC: the answer is PUBREL, even if unknown, which ends the client's wait. Gives what the store has to know before
    /// that.
    pub(super) fn received(&mut self, pkid: u16) -> Option<(u64, Kept<'_>)> {
        let flying = self.in_flight.iter_mut().find(|f| f.pkid == pkid && f.awaited == Awaited::Received)?;
        flying.awaited = Awaited::Completed;
        flying.letter.payload = Bytes::new(); // the client has it
        let letter = &flying.letter;
        Some((letter.number?, Kept { letter, awaited: flying.awaited.tag(), pkid }))
    }

    /// PUBCOMP. An unknown or late one is nothing.
    pub(super) fn completed(&mut self, pkid: u16) {
        self.done(pkid, Awaited::Completed);
    }

    fn done(&mut self, pkid: u16, awaited: Awaited) {
        let done = self.in_flight.iter().position(|flying| flying.pkid == pkid && flying.awaited == awaited);
        if let Some(done) = done.and_then(|at| self.in_flight.remove(at)) {
            self.forgotten.extend(done.letter.number);
        }
        shrink(&mut self.in_flight);
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

/// A burst leaves nothing behind.
fn shrink<T>(line: &mut VecDeque<T>) {
    if line.is_empty() && line.capacity() > 8 {
        *line = VecDeque::new();
    }
}

fn write(wire: &mut BytesMut, letter: &Letter, pkid: u16, dup: bool) {
    let Letter { topic, payload, qos, retain, .. } = letter;
    codec::publish_out(wire, &Outgoing { topic, payload, qos: *qos, retain: *retain, dup, pkid });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::{Packet, decode};

    fn letter(n: usize, qos: QoS) -> Letter {
        Letter::new("t".into(), n.to_string().into(), qos, false)
    }

    /// (payload or "rel", DUP, packet id) of what was written.
    fn read(wire: &mut BytesMut) -> Vec<(String, bool, u16)> {
        let mut read = Vec::new();
        while !wire.is_empty() {
            let dup = wire[0] & 8 != 0;
            read.push(match decode(wire, 1000).unwrap().unwrap() {
                Packet::Publish(p) => (String::from_utf8_lossy(&p.payload).into_owned(), dup, p.pkid),
                Packet::PubRel(pkid) => ("rel".into(), false, pkid),
                other => panic!("{other:?}"),
            });
        }
        read
    }

    fn written(outbound: &mut Outbound) -> Vec<(String, bool, u16)> {
        let mut wire = BytesMut::new();
        outbound.write(&mut wire, usize::MAX);
        read(&mut wire)
    }

    #[test]
    fn what_was_not_answered_is_sent_again_with_dup_before_anything_new() {
        let mut outbound = Outbound::new(10);
        outbound.push(letter(1, QoS::AtLeastOnce));
        outbound.push(letter(2, QoS::ExactlyOnce));
        outbound.push(letter(3, QoS::ExactlyOnce));
        assert_eq!(written(&mut outbound).len(), 3);
        outbound.received(3);
        outbound.connection_lost();
        outbound.push_away(letter(4, QoS::AtLeastOnce));
        outbound.resume();
        let again = written(&mut outbound);
        let expected = [("1", true, 1), ("2", true, 2), ("rel", false, 3), ("4", false, 4)];
        assert_eq!(again, expected.map(|(text, dup, pkid)| (text.to_owned(), dup, pkid)));
        outbound.acknowledged(1);
        outbound.acknowledged(99);
        outbound.received(2);
        outbound.completed(2);
        outbound.completed(3);
        outbound.acknowledged(4);
        outbound.resume();
        assert_eq!(written(&mut outbound), []);
    }

    #[test]
    fn the_window_holds_back_and_ids_in_use_are_passed_over() {
        let mut outbound = Outbound::new(1000);
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
        let mut outbound = Outbound::new(2);
        outbound.push(letter(0, QoS::AtMostOnce));
        assert_eq!(outbound.connection_lost(), 1);
        assert!(outbound.push_away(letter(1, QoS::AtLeastOnce)).is_empty());
        assert!(outbound.push_away(letter(2, QoS::AtLeastOnce)).is_empty());
        let [gone] = &outbound.push_away(letter(3, QoS::AtLeastOnce))[..] else { panic!("one had to go") };
        assert_eq!(gone.payload, "1");
        let payloads: Vec<_> = written(&mut outbound).into_iter().map(|(payload, ..)| payload).collect();
        assert_eq!(payloads, ["2", "3"]);
    }

    #[test]
    fn what_was_stored_is_taken_up_in_order_with_its_handshakes() {
        let mut outbound = Outbound::new(10);
        outbound.push(letter(1, QoS::AtLeastOnce));
        outbound.push(letter(2, QoS::ExactlyOnce));
        written(&mut outbound);
        outbound.received(2);
        outbound.push(letter(3, QoS::AtLeastOnce));
        let stored: Vec<_> = outbound
            .unstored(true)
            .into_iter()
            .map(|(number, Kept { letter, awaited, pkid })| (number, (awaited, pkid, letter.clone())))
            .collect();
        assert!(outbound.unstored(false).is_empty(), "all are stored");
        let mut again = Outbound::new(10);
        stored.into_iter().for_each(|(number, kept)| again.recall(number, kept));
        assert_eq!(written(&mut again), [("1".into(), true, 1), ("rel".into(), false, 2), ("3".into(), false, 3)]);
        again.acknowledged(1);
        again.completed(2);
        assert_eq!(again.forgotten(), [1, 2]);
    }
}
