//! The register of sessions by client id, and the seats of connected clients: who is there, who may come in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus::{IntCounter, IntGauge};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::session::Arrival;

/// Newcomers with one client id that may wait for each other; a further one is refused.
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
    last_number: u64,
    seats: usize,
}

/// The way to a session's task.
struct Door {
    number: u64,
    mailbox: mpsc::Sender<Arrival>,
    presence: Arc<Presence>,
}

/// Whether a session's client is there.
pub(super) struct Presence {
    connected: AtomicBool,
    /// Milliseconds from the register's beginning to the client's leaving.
    since: AtomicU64,
    beginning: Instant,
}

impl Presence {
    pub(super) fn set(&self, connected: bool) {
        let now = u64::try_from(self.beginning.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    fn away_since(&self) -> Option<u64> {
        (!self.connected.load(Ordering::Relaxed)).then(|| self.since.load(Ordering::Relaxed))
    }
}

/// A session's entry; dropping it takes the entry out, however the session ends.
pub(super) struct Entry {
    inner: Arc<Mutex<Inner>>,
    sessions: IntGauge,
    id: String,
    number: u64,
    pub(super) mailbox: mpsc::Receiver<Arrival>,
    pub(super) presence: Arc<Presence>,
}

/// A connected client's place; dropping it gives it back.
pub(super) struct Seat {
    inner: Arc<Mutex<Inner>>,
    clients: IntGauge,
}

/// Where a client was let in.
pub(super) enum Entered {
    /// To a session that is there.
    Handed,
    /// To a new one, which the caller becomes.
    New(Box<(Entry, Arrival)>),
    /// Not at all, and why not.
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

    /// Lets a client in: to the session of its id, else to a new one. The session that has been away longest goes when
    /// there are too many, so that ids nobody uses any more do not lock anybody out.
    pub(super) fn enter(&self, mut arrival: Arrival) -> Entered {
        let mut inner = lock(&self.inner);
        let id = arrival.connect.client_id.clone();
        let there = inner.by_id.get(&id).map(|door| (door.mailbox.clone(), door.presence.clone()));
        // Who takes over a connection gets its seat, which is free a moment later.
        if inner.seats >= self.max_connections && there.as_ref().is_none_or(|(_, it)| it.away_since().is_some()) {
            return Entered::Refused(Box::new(arrival), "no room (mqtt.max_connections)");
        }
        inner.seats += 1;
        self.clients.set(inner.seats as i64);
        let seat = Seat { inner: self.inner.clone(), clients: self.clients.clone() };
        if let Some((mailbox, presence)) = there {
            arrival.seat = Some(seat);
            match mailbox.try_send(arrival) {
                Ok(()) => {
                    presence.set(true); // from here on it is not shown out
                    return Entered::Handed;
                }
                Err(TrySendError::Full(mut back)) => {
                    drop(inner); // the seat is given back under the same lock
                    back.seat = None;
                    return Entered::Refused(Box::new(back), "too many newcomers with this client id");
                }
                Err(TrySendError::Closed(back)) => arrival = back, // its session has just ended: a new one
            }
        } else {
            arrival.seat = Some(seat);
        }
        if inner.by_id.len() >= self.max_sessions && !inner.by_id.contains_key(&id) && !self.evict(&mut inner) {
            drop(inner);
            arrival.seat = None;
            return Entered::Refused(Box::new(arrival), "no room (mqtt.max_sessions)");
        }
        Entered::New(Box::new((self.add(&mut inner, id), arrival)))
    }

    /// The entry of a session of an earlier run, whose client is away; `None` when there is no room for it.
    pub(super) fn restore(&self, id: &str) -> Option<Entry> {
        let mut inner = lock(&self.inner);
        if inner.by_id.len() >= self.max_sessions || inner.by_id.contains_key(id) {
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
        inner.by_id.insert(id.clone(), Door { number, mailbox: sender, presence: presence.clone() });
        self.sessions.set(inner.by_id.len() as i64);
        Entry { inner: self.inner.clone(), sessions: self.sessions.clone(), id, number, mailbox, presence }
    }

    /// Shows out the session that has been away longest: it ends when it finds its door gone.
    fn evict(&self, inner: &mut Inner) -> bool {
        let away = inner.by_id.iter().filter_map(|(id, door)| Some((door.presence.away_since()?, id)));
        let Some(id) = away.min().map(|(_, id)| id.clone()) else { return false };
        inner.by_id.remove(&id);
        self.evicted.inc();
        tracing::warn!(
            clientId = id,
            "session_evicted: too many sessions (mqtt.max_sessions), this one was away longest"
        );
        true
    }
}

impl Entry {
    /// Takes the entry out, unless a client has come in the meantime.
    pub(super) fn leave(&mut self) -> Option<Arrival> {
        let mut inner = lock(&self.inner);
        let late = self.mailbox.try_recv().ok();
        if late.is_none() {
            self.take_out(&mut inner);
        }
        late
    }

    fn take_out(&self, inner: &mut Inner) {
        if inner.by_id.get(&self.id).is_some_and(|door| door.number == self.number) {
            inner.by_id.remove(&self.id);
        }
        self.sessions.set(inner.by_id.len() as i64);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Newcomers that were handed over give their seats back under the same lock: they go first.
        self.mailbox.close();
        while self.mailbox.try_recv().is_ok() {}
        self.take_out(&mut lock(&self.inner));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = lock(&self.inner);
        inner.seats = inner.seats.saturating_sub(1);
        self.clients.set(inner.seats as i64);
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
