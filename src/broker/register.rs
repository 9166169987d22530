//! The register of sessions by client id, and the seats of connected clients: who is there, and who may come in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::codec::Connect;
use super::inbox::{Inbox, Stream};

/// Newcomers with one client id that may wait; a further one is refused.
const NEWCOMERS: usize = 4;

/// All sessions.
pub(super) struct Register {
    inner: Arc<Mutex<Inner>>,
    max_sessions: usize,
    max_connections: usize,
    beginning: Instant,
    sessions: IntGauge,
    clients: IntGauge,
    evicted: IntCounter,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, Door>,
    /// Doors of sessions that are being evicted.
    closed: usize,
    last_number: u64,
    seats: usize,
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
    mailbox: Option<mpsc::Sender<Arrival>>,
    presence: Arc<Presence>,
}

/// Whether a session's client is connected.
pub(super) struct Presence {
    connected: AtomicBool,
    /// When the client left, in milliseconds since the register began.
    since: AtomicU64,
    beginning: Instant,
}

impl Presence {
    pub(super) fn set(&self, connected: bool) {
        let now = u64::try_from(self.beginning.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
        self.connected.store(connected, Ordering::Relaxed);
    }

    fn away_since(&self) -> Option<u64> {
        (!self.connected.load(Ordering::Relaxed)).then(|| self.since.load(Ordering::Relaxed))
    }
}

/// A session's entry; dropping it removes the entry, however the session ends.
pub(super) struct Entry {
    inner: Arc<Mutex<Inner>>,
    sessions: IntGauge,
    id: String,
    number: u64,
    pub(super) mailbox: mpsc::Receiver<Arrival>,
    pub(super) presence: Arc<Presence>,
}

/// A client that was let in and still needs its CONNACK.
pub(super) struct Arrival {
    pub(super) stream: Box<dyn Stream>,
    /// What came after CONNECT already.
    pub(super) read: Inbox,
    pub(super) connect: Connect,
    pub(super) peer: String,
    /// Its place among the connected clients.
    pub(super) seat: Option<Seat>,
}

/// A connected client's place; dropping it returns the place.
pub(super) struct Seat {
    inner: Arc<Mutex<Inner>>,
    clients: IntGauge,
}

/// Where to send a client that was let in.
pub(super) enum Entered {
    /// To the existing session.
    Handed,
    /// To a new one, which the caller becomes.
    New(Box<(Entry, Arrival)>),
    /// Nowhere, and why.
    Refused(Box<Arrival>, &'static str),
}

impl Register {
    pub(super) fn new(settings: &crate::config::Mqtt, metrics: &crate::metrics::Broker) -> Self {
        Self {
            inner: Arc::default(),
            max_sessions: settings.max_sessions,
            max_connections: settings.max_connections,
            beginning: Instant::now(),
            sessions: metrics.sessions.clone(),
            clients: metrics.clients.clone(),
            evicted: metrics.sessions_evicted.clone(),
        }
    }

    /// Lets a client in: to the session of its id, else to a new one. If there are too many, the session that has been away
    /// longest goes, so that unused ids never lock anybody out.
    pub(super) fn enter(&self, mut arrival: Arrival) -> Entered {
        let mut inner = self.inner.lock();
        let id = arrival.connect.client_id.clone();
        let there = inner.by_id.get(&id).map(|door| (door.mailbox.clone(), door.presence.clone()));
        if let Some((None, _)) = there {
            return Entered::Refused(Box::new(arrival), "the session of this client id is being ended");
        }
        // a client that takes over a connection gets its seat, which is free a moment later
        if inner.seats >= self.max_connections && there.as_ref().is_none_or(|(_, it)| it.away_since().is_some()) {
            return Entered::Refused(Box::new(arrival), "no room (mqtt.max_connections)");
        }
        inner.seats += 1;
        self.clients.set(inner.seats as i64);
        let seat = Seat { inner: self.inner.clone(), clients: self.clients.clone() };
        if let Some((Some(mailbox), presence)) = there {
            arrival.seat = Some(seat);
            match mailbox.try_send(arrival) {
                Ok(()) => {
                    presence.set(true); // from here on it is not evicted
                    return Entered::Handed;
                }
                Err(TrySendError::Full(mut back)) => {
                    drop(inner); // the seat is returned under the same lock
                    back.seat = None;
                    return Entered::Refused(Box::new(back), "too many newcomers with this client id");
                }
                Err(TrySendError::Closed(back)) => arrival = back, // its session has just ended: a new one
            }
        } else {
            arrival.seat = Some(seat);
        }
        if inner.sessions() >= self.max_sessions && !inner.by_id.contains_key(&id) && !self.evict(&mut inner) {
            drop(inner);
            arrival.seat = None;
            return Entered::Refused(Box::new(arrival), "no room (mqtt.max_sessions)");
        }
        Entered::New(Box::new((self.add(&mut inner, id), arrival)))
    }

    /// The entry of a session of an earlier run whose client is away; `None` if there is no room for it.
    pub(super) fn restore(&self, id: &str) -> Option<Entry> {
        let mut inner = self.inner.lock();
        if inner.sessions() >= self.max_sessions || inner.by_id.contains_key(id) {
            return None;
        }
        let entry = self.add(&mut inner, id.to_owned());
        entry.presence.set(false);
        Some(entry)
    }

    fn add(&self, inner: &mut Inner, id: String) -> Entry {
        inner.last_number += 1;
        let number = inner.last_number;
        let (sender, mailbox) = mpsc::channel(NEWCOMERS);
        let presence = Arc::new(Presence {
            connected: AtomicBool::new(true),
            since: AtomicU64::new(0),
            beginning: self.beginning,
        });
        inner.by_id.insert(id.clone(), Door { number, mailbox: Some(sender), presence: presence.clone() });
        self.sessions.set(inner.sessions() as i64);
        Entry { inner: self.inner.clone(), sessions: self.sessions.clone(), id, number, mailbox, presence }
    }

    /// Evicts the session that has been away longest: it ends when it finds its door closed.
    fn evict(&self, inner: &mut Inner) -> bool {
        let open = inner.by_id.iter_mut().filter(|(_, door)| door.mailbox.is_some());
        let away = open.filter_map(|(id, door)| Some((door.presence.away_since()?, id, door)));
        let Some((_, id, door)) = away.min_by_key(|(since, ..)| *since) else { return false };
        door.mailbox = None;
        inner.closed += 1;
        self.evicted.inc();
        tracing::warn!(
            clientId = id,
            "session_evicted: too many sessions (mqtt.max_sessions), this one was away longest"
        );
        true
    }
}

impl Entry {
    /// The connection has ended; a client that has come meanwhile keeps the session from being evicted.
    pub(super) fn client_left(&self) {
        let _inner = self.inner.lock();
        if self.mailbox.is_empty() {
            self.presence.set(false);
        }
    }

    /// Removes the entry, unless a client has come meanwhile.
    pub(super) fn leave(&mut self) -> Option<Arrival> {
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
        // newcomers that were handed over return their seats under the same lock: they go first
        self.mailbox.close();
        while self.mailbox.try_recv().is_ok() {}
        self.take_out(&mut self.inner.lock());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.inner.lock();
        inner.seats = inner.seats.saturating_sub(1);
        self.clients.set(inner.seats as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::Connect;

    fn arrival(id: &str) -> Arrival {
        let (stream, _) = tokio::io::duplex(1);
        let connect =
            Connect { client_id: id.into(), clean: false, keep_alive: 0, will: None, username: None, password: None };
        Arrival { stream: Box::new(stream), read: Default::default(), connect, peer: String::new(), seat: None }
    }

    fn new(entered: Entered) -> Entry {
        match entered {
            Entered::New(new) => new.0,
            Entered::Handed => panic!("handed"),
            Entered::Refused(_, why) => panic!("{why}"),
        }
    }

    #[test]
    fn who_is_shown_out_keeps_its_id_until_nothing_is_left_of_it_and_takes_no_room() {
        let (settings, metrics) =
            (crate::config::Mqtt { max_sessions: 1, ..Default::default() }, crate::metrics::Metrics::new().unwrap());
        let register = Register::new(&settings, &metrics.broker);
        let mut away = new(register.enter(arrival("away")));
        away.presence.set(false);
        let here = new(register.enter(arrival("here")));
        assert!(matches!(away.mailbox.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
        here.presence.set(false);
        assert!(matches!(register.enter(arrival("away")), Entered::Refused(_, why) if why.contains("being ended")));
        assert!(register.restore("third").is_none(), "`here` has the only place");
        drop(away);
        drop(new(register.enter(arrival("away"))));
        assert_eq!(metrics.broker.sessions_evicted.get(), 2);
        drop(here);
        assert_eq!(metrics.broker.sessions.get(), 0);
    }
}
