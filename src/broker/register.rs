//! The register of sessions by client id, and the seats of connected clients: who is there, and who may come in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::mpsc::error::TrySendError;

use super::bell::Bell;
use super::codec::Connect;
use super::doorman::{may_have, owner_of};
use super::hearing::Ear;
use super::inbox::{Inbox, Stream};
use super::mailbox::{self, Receiver, Sender};
use super::wills;
use crate::access::Identity;
use crate::kit::budget::{Budget, Ending, Kind, Share, Who};

/// Newcomers with one client id that may wait; a further one is refused.
const NEWCOMERS: usize = 4;

/// All sessions.
pub(super) struct Register {
    inner: Arc<Mutex<Inner>>,
    budget: Budget,
    sessions: IntGauge,
    clients: IntGauge,
    clients_most: IntGauge,
    evicted: IntCounter,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, Door>,
    /// Doors of sessions that are being evicted.
    closed: usize,
    last_number: u64,
}

impl Inner {
    fn sessions(&self) -> usize {
        self.by_id.len() - self.closed
    }
}

/// The way to a session's task.
struct Door {
    number: u64,
    /// `None`: it is being evicted, and keeps its id until nothing of it is left in the store.
    mailbox: Option<Sender<Box<Arrival>>>,
    presence: Arc<Presence>,
}

/// What is known of a session's client from outside its task.
pub(super) struct Presence {
    connected: AtomicBool,
    /// Whether it is a device that is known.
    known: Arc<AtomicBool>,
    /// What the will of the client takes that was let in last.
    will: AtomicUsize,
    /// The session's place among all, of the address that its client came from last.
    place: Mutex<Share>,
    /// Told when the place goes to another one.
    ending: Arc<Ending>,
    holder: Mutex<Holder>,
    /// Calls its task.
    pub(super) bell: Arc<Bell>,
}

/// Whose a session is.
#[derive(Default)]
struct Holder {
    /// Whose it stays while its client is away.
    owner: Option<Arc<str>>,
    /// Who its client was when it was let in; `None`: it has not been looked at yet.
    identity: Option<Identity>,
}

impl Presence {
    pub(super) fn set(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
        self.place.lock().idle(!connected);
    }

    /// It is a device.
    pub(super) fn know(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Whether it is a device.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Who its client is.
    pub(super) fn who(&self) -> Who {
        self.place.lock().who().clone()
    }

    /// Whose it is; `None`: nobody's.
    pub(super) fn owner(&self) -> Option<Arc<str>> {
        self.holder.lock().owner.clone()
    }

    /// This is who its client is, or who its owner is now.
    pub(super) fn held_by(&self, identity: Identity) {
        self.holder.lock().identity = Some(identity);
    }

    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Its client has come, and will be connected.
    fn came(&self, who: &Who, owner: Option<Arc<str>>) {
        self.holder.lock().owner = owner;
        self.place.lock().moves_to(who);
        self.set(true);
    }
}

/// A session's entry; dropping it removes the entry, however the session ends.
pub(super) struct Entry {
    inner: Arc<Mutex<Inner>>,
    sessions: IntGauge,
    id: String,
    /// Of all sessions, only this one has it.
    pub(super) number: u64,
    pub(super) mailbox: Receiver<Box<Arrival>>,
    pub(super) presence: Arc<Presence>,
}

/// A client that was let in and still needs its CONNACK.
pub(super) struct Arrival {
    pub(super) stream: Box<dyn Stream>,
    /// What came after CONNECT already.
    pub(super) read: Inbox,
    pub(super) connect: Box<Connect>,
    /// Its client id was made here.
    pub(super) is_named: bool,
    pub(super) peer: String,
    pub(super) who: Who,
    /// Who its login says it is.
    pub(super) identity: Identity,
    /// Whether presence knows a device of this client.
    pub(super) known: bool,
    /// Told when the connection has to make room for another one.
    pub(super) ending: Arc<Ending>,
    /// What it says is taken before a stop.
    pub(super) ear: Ear,
    /// Its place among the connected clients.
    pub(super) seat: Option<Seat>,
    /// What its will holds of the budget.
    pub(super) will: Option<Share>,
}

impl Arrival {
    /// Gives its own place in memory back at once: a connection may last for years.
    pub(super) fn unpacked(self: Box<Self>) -> Self {
        *self
    }
}

/// A connected client's place; dropping it returns the place.
pub(super) struct Seat {
    _place: Share,
    clients: IntGauge,
}

impl Seat {
    fn new(place: Share, clients: &IntGauge) -> Self {
        clients.inc();
        Self { _place: place, clients: clients.clone() }
    }
}

/// Where to send a client that was let in.
pub(super) enum Entered {
    /// To the existing session.
    Handed,
    /// To a new one, which the caller becomes.
    New(Box<(Entry, Box<Arrival>)>),
    /// Nowhere: the session of its client id is somebody else's.
    NotYours(Box<Arrival>),
    /// Nowhere, and why.
    Refused(Box<Arrival>, Cow<'static, str>),
}

impl Register {
    pub(super) fn new(budget: Budget, metrics: &crate::metrics::Broker) -> Self {
        Self {
            inner: Arc::default(),
            budget,
            sessions: metrics.sessions.clone(),
            clients: metrics.clients.clone(),
            clients_most: metrics.clients_most.clone(),
            evicted: metrics.sessions_evicted.clone(),
        }
    }

    /// Lets a client in: to the session of its id, else to a new one. If there are too many, one that is away goes, so that
    /// unused ids never lock anybody out.
    pub(super) fn enter(&self, mut arrival: Box<Arrival>) -> Entered {
        let mut inner = self.inner.lock();
        let id = arrival.connect.client_id.clone();
        let there = inner.by_id.get(&id).map(|door| door.presence.clone());
        let owner = owner_of(&arrival.identity);
        if there.as_ref().is_some_and(|there| !may_have(&id, there.owner().as_deref(), &arrival.identity)) {
            return Entered::NotYours(arrival); // before anything of it is touched
        }
        if inner.by_id.get(&id).is_some_and(|door| door.mailbox.is_none()) {
            return Entered::Refused(arrival, "the session of this client id is being ended".into());
        }
        let known = there.as_ref().map_or_else(Arc::default, |presence| presence.known.clone());
        known.fetch_or(arrival.known, Ordering::Relaxed);
        let who = arrival.who.known_by(known.clone());
        arrival.who = who.clone();
        arrival.read.belongs_to(&who);
        if there.is_none()
            && let Err(full) = self.budget.ask(Kind::Sessions, &who, 1)
        {
            return Entered::Refused(arrival, full.to_string().into()); // before a seat is taken from anybody
        }
        let takes_over = there.as_ref().is_some_and(|presence| presence.is_connected());
        let last_will = there.as_ref().filter(|_| takes_over).map_or(0, |last| last.will.load(Ordering::Relaxed));
        let will = wills::bytes(&arrival.connect);
        match wills::room(&self.budget, &who, &arrival.connect, last_will) {
            Ok(room) => arrival.will = room,
            Err(full) => return Entered::Refused(arrival, full.to_string().into()),
        }
        let mut seat = self.budget.share(Kind::Connections, who.clone()).until(&arrival.ending);
        if takes_over {
            seat.hold(1); // it takes over a connection, whose seat is free a moment later
        } else if let Err(full) = seat.grow_to(1) {
            return Entered::Refused(arrival, full.to_string().into());
        }
        arrival.seat = Some(Seat::new(seat, &self.clients));
        if !takes_over && self.clients.get() > self.clients_most.get() {
            self.clients_most.set(self.clients.get()); // nobody else does: the lock is held
        }
        let mailbox = inner.by_id.get(&id).and_then(|door| door.mailbox.as_ref());
        if let (Some(presence), Some(mailbox)) = (there, mailbox) {
            match mailbox.try_send(arrival) {
                Ok(()) => {
                    presence.will.store(will, Ordering::Relaxed);
                    presence.came(&who, owner); // from here on it is not evicted
                    return Entered::Handed;
                }
                Err(TrySendError::Full(mut back)) => {
                    back.seat = None;
                    return Entered::Refused(back, "too many newcomers with this client id".into());
                }
                Err(TrySendError::Closed(back)) => arrival = back, // its session has just ended: a new one
            }
        }
        let ending = Arc::new(Ending::default());
        let mut place = self.budget.share(Kind::Sessions, who).until(&ending);
        if inner.by_id.contains_key(&id) {
            place.hold(1); // the one that has just ended gives its own back
        } else {
            match place.grow_to(1) {
                Ok(0) => {}
                Ok(_) => self.close_ended(&mut inner),
                Err(full) => {
                    arrival.seat = None;
                    return Entered::Refused(arrival, full.to_string().into());
                }
            }
        }
        let (connected, will) = (AtomicBool::new(true), AtomicUsize::new(will));
        let (holder, bell) = (Mutex::new(Holder { owner, identity: None }), Arc::default());
        let presence = Presence { connected, known, will, place: Mutex::new(place), ending, holder, bell };
        Entered::New(Box::new((self.add(&mut inner, id, presence), arrival)))
    }

    /// The entry of a session of an earlier run whose client is away; `None` if there is no room for it. Nobody knows where
    /// its client was, so it counts for no address until the client is back.
    pub(super) fn restore(&self, id: &str, is_device: bool, owner: Option<Arc<str>>) -> Option<Entry> {
        let mut inner = self.inner.lock();
        if self.budget.is_full(Kind::Sessions) || inner.by_id.contains_key(id) {
            return None;
        }
        let (known, ending) = (Arc::new(AtomicBool::new(is_device)), Arc::new(Ending::default()));
        let mut place = self.budget.share(Kind::Sessions, Who::default().known_by(known.clone())).until(&ending);
        place.hold(1);
        let (connected, will) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (holder, bell) = (Mutex::new(Holder { owner, identity: None }), Arc::default());
        let presence = Presence { connected, known, will, place: Mutex::new(place), ending, holder, bell };
        presence.set(false);
        Some(self.add(&mut inner, id.to_owned(), presence))
    }

    /// Says which of the sessions are those of devices.
    pub(super) fn know(&self, is_device: impl Fn(&str) -> bool) {
        let inner = self.inner.lock();
        inner.by_id.iter().filter(|(id, _)| is_device(id)).for_each(|(_, door)| door.presence.know());
    }

    /// Calls those whose client, or owner, is not what it was any more.
    pub(super) fn review(&self, still: impl Fn(&Identity, &str) -> bool) {
        let inner = self.inner.lock();
        for (id, door) in &inner.by_id {
            if door.presence.holder.lock().identity.as_ref().is_some_and(|identity| !still(identity, id)) {
                door.presence.bell.dismiss();
            }
        }
    }

    /// Whether there is a session of this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.inner.lock().by_id.contains_key(id)
    }

    fn add(&self, inner: &mut Inner, id: String, presence: Presence) -> Entry {
        inner.last_number += 1;
        let number = inner.last_number;
        let (sender, mailbox) = mailbox::channel(NEWCOMERS);
        let presence = Arc::new(presence);
        inner.by_id.insert(id.clone(), Door { number, mailbox: Some(sender), presence: presence.clone() });
        self.sessions.set(inner.sessions() as i64);
        Entry { inner: self.inner.clone(), sessions: self.sessions.clone(), id, number, mailbox, presence }
    }

    /// Closes the doors of sessions whose places went to others: they end when they find them closed.
    fn close_ended(&self, inner: &mut Inner) {
        let open = inner.by_id.iter_mut().filter(|(_, door)| door.mailbox.is_some());
        for (id, door) in open {
            let Some(why) = door.presence.ending.why() else { continue };
            door.mailbox = None;
            inner.closed += 1;
            self.evicted.inc();
            tracing::warn!(clientId = id, why, "session_evicted");
        }
    }
}

impl Entry {
    /// The session is not kept and its client is leaving: from here on it is nobody's, unless a client has come meanwhile.
    pub(super) fn disown(&self) {
        let _inner = self.inner.lock();
        if self.mailbox.is_empty() {
            self.presence.holder.lock().owner = None;
        }
    }

    /// The connection has ended; a client that has come meanwhile keeps the session from being evicted.
    pub(super) fn client_left(&self) {
        let _inner = self.inner.lock();
        if self.mailbox.is_empty() {
            self.presence.set(false);
        }
    }

    /// Removes the entry, unless a client has come meanwhile.
    pub(super) fn leave(&mut self) -> Option<Box<Arrival>> {
        let mut inner = self.inner.lock();
        let late = self.mailbox.try_recv().ok();
        if late.is_none() {
            self.take_out(&mut inner);
        }
        late
    }

    fn take_out(&self, inner: &mut Inner) {
        if inner.by_id.get(&self.id).is_some_and(|door| door.number == self.number)
            && let Some(door) = inner.by_id.remove(&self.id)
        {
            inner.closed -= usize::from(door.mailbox.is_none());
        }
        self.sessions.set(inner.sessions() as i64);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.mailbox.close();
        while self.mailbox.try_recv().is_ok() {}
        self.take_out(&mut self.inner.lock());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.clients.dec();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;
    use crate::access::Rights;
    use crate::broker::codec::{Connect, Publish, QoS};
    use crate::broker::hearing::Hearing;
    use crate::metrics::Metrics;
    use crate::wire::Role;

    fn arrival(id: &str) -> Box<Arrival> {
        let (stream, _) = tokio::io::duplex(1);
        let connect = Connect::new(id).into();
        let (read, peer, ending) = (Inbox::default(), String::new(), Arc::default());
        let (stream, who, ear) = (Box::new(stream), Who::default(), Hearing::default().open());
        let (is_named, known, seat, will) = (false, false, None, None);
        let identity = Identity::anonymous(Rights::Role(Role::Admin));
        Box::new(Arrival { stream, read, connect, is_named, peer, who, identity, known, ending, ear, seat, will })
    }

    fn new(entered: Entered) -> Entry {
        match entered {
            Entered::New(new) => new.0,
            Entered::Handed => panic!("handed"),
            Entered::NotYours(_) => panic!("not yours"),
            Entered::Refused(_, why) => panic!("{why}"),
        }
    }

    #[test]
    fn who_is_shown_out_keeps_its_id_until_nothing_is_left_of_it_and_takes_no_room() {
        let (register, metrics) = of_at_most(1, 1_000);
        let mut away = new(register.enter(arrival("away")));
        away.presence.set(false);
        let here = new(register.enter(arrival("here")));
        assert!(matches!(away.mailbox.try_recv(), Err(TryRecvError::Disconnected)));
        here.presence.set(false);
        assert!(matches!(register.enter(arrival("away")), Entered::Refused(_, why) if why.contains("being ended")));
        assert!(register.restore("third", false, None).is_none(), "`here` has the only place");
        drop(away);
        drop(new(register.enter(arrival("away"))));
        assert_eq!(metrics.broker.sessions_evicted.get(), 2);
        drop(here);
        assert_eq!(metrics.broker.sessions.get(), 0);
    }

    fn of_at_most(sessions: usize, connections: usize) -> (Register, Metrics) {
        let (mut config, metrics) = (crate::config::Config::default(), Metrics::new().unwrap());
        (config.mqtt.max_sessions, config.mqtt.max_connections) = (sessions, connections);
        let budget = Budget::new(&config, Default::default(), metrics.memory.clone());
        (Register::new(budget, &metrics.broker), metrics)
    }

    #[test]
    fn a_newcomer_takes_one_place_at_most_though_devices_have_many() {
        let (register, metrics) = of_at_most(16, 1_000);
        let enter = |id: &str, known| new(register.enter(Box::new(Arrival { known, ..*arrival(id) })));
        let mut strangers: Vec<_> = (0..6).map(|n| enter(&format!("stranger-{n}"), false)).collect();
        strangers[..2].iter().for_each(|entry| entry.presence.set(false));
        let _lamps: Vec<_> = (0..9).map(|n| enter(&format!("lamp-{n}"), true)).collect();
        let _one = enter("one", false);
        assert_eq!(metrics.broker.sessions_evicted.get(), 0, "one place is free");
        let _two = enter("two", false);
        assert_eq!(metrics.broker.sessions_evicted.get(), 1);
        let closed = |entry: &mut Entry| entry.mailbox.try_recv().is_err_and(|e| e == TryRecvError::Disconnected);
        assert_eq!(strangers.iter_mut().map(closed).collect::<Vec<_>>(), [true, false, false, false, false, false]);
    }

    #[test]
    fn who_takes_over_has_room_for_a_will_like_the_last_one_and_no_larger() {
        let mut config = crate::config::Config::default();
        config.limits.memory = Some(crate::config::Size(16 << 20));
        let metrics = Metrics::new().unwrap();
        let budget = Budget::new(&config, Default::default(), metrics.memory.clone());
        let register = Register::new(budget.clone(), &metrics.broker);
        let enter = |id: &str, bytes: usize| {
            let will = Publish::new("t".into(), vec![b'x'; bytes].into(), QoS::AtMostOnce, false);
            let mut arrival = arrival(id);
            arrival.connect.will = Some(will);
            register.enter(Box::new(Arrival { who: std::net::IpAddr::from([10, 0, 0, 1]).into(), ..*arrival }))
        };
        let _large = enter("large", 200_000);
        let _small = enter("small", 1);
        assert!(matches!(enter("small", 100_000), Entered::Refused(_, why) if why.contains("last wills")));
        assert!(matches!(enter("large", 200_000), Entered::Handed), "it had as much");
        assert!(matches!(enter("small", 1), Entered::Handed));
    }

    #[test]
    fn who_gets_no_session_takes_no_seat_from_anybody() {
        let (register, _metrics) = of_at_most(8, 8);
        let at = |n: u8| std::net::IpAddr::from([10, 0, 0, n]).into();
        let from = |id: &str, n| Box::new(Arrival { who: at(n), ..*arrival(id) });
        let there: Vec<_> = (0..7).map(|n| register.enter(from(&format!("there-{n}"), n / 2))).collect();
        assert!(matches!(register.enter(from("late", 9)), Entered::Refused(_, why) if why.contains("max_sessions")));
        for entered in there {
            let Entered::New(new) = entered else { panic!("refused") };
            assert!(new.1.ending.why().is_none(), "its seat is its own");
        }
    }
}
