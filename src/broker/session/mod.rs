//! One client id: its subscriptions, queues and handshakes, and the connection it has now, if any.
//!
//! One task owns a session from its first CONNECT to its end; who connects with the same id is handed to that task,
//! so that take-over, will and resumption happen one after the other. Works over any byte stream.

mod connection;
mod inbound;
mod outbound;
mod subscriptions;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use self::connection::{Connection, End};
use self::inbound::Inbound;
use self::outbound::{Letter, Outbound};
use self::subscriptions::Subscriptions;
use super::codec::{Connect, Publish, QoS};
use super::hub::{Hub, Phase, reached};
use super::router::{Delivery, RouterGone, Tap};
use super::topic::Filter;

pub(super) use self::connection::Stream;

/// Newcomers with one client id that may wait for each other; a further one is refused.
const NEWCOMERS: usize = 4;

/// A client that was let in and has to be told so.
pub(super) struct Arrival {
    pub(super) stream: Box<dyn Stream>,
    /// What came behind CONNECT already.
    pub(super) read: BytesMut,
    pub(super) connect: Connect,
    pub(super) peer: String,
}

/// The way to a session's task.
pub(super) struct Door(mpsc::Sender<Arrival>);

/// Why a client was not given a session; its arrival comes back.
pub(super) struct Refused {
    pub(super) arrival: Box<Arrival>,
    pub(super) why: &'static str,
}

impl Refused {
    fn new(arrival: Arrival, why: &'static str) -> Self {
        Self { arrival: Box::new(arrival), why }
    }
}

/// Hands a client to the session of its id, or becomes a new session's task until that ends.
pub(super) async fn enter(hub: Arc<Hub>, arrival: Arrival) -> Result<(), Refused> {
    let (door, mailbox) = mpsc::channel(NEWCOMERS);
    {
        let mut sessions = hub.sessions();
        if let Some(Door(there)) = sessions.get(&arrival.connect.client_id) {
            return match there.try_send(arrival) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => {
                    Err(Refused::new(back, "too many newcomers with this client id"))
                }
            };
        }
        let full = hub.connected.load(Ordering::Relaxed) >= hub.settings.max_connections;
        if full || sessions.len() >= hub.settings.max_sessions {
            return Err(Refused::new(arrival, "no room (mqtt.max_connections, mqtt.max_sessions)"));
        }
        sessions.insert(arrival.connect.client_id.clone(), Door(door));
        hub.metrics.sessions.set(sessions.len() as i64);
    }
    let tap = match hub.router.tap().await {
        Ok(tap) => tap,
        Err(error) => {
            hub.router_is_gone(&error);
            hub.sessions().remove(&arrival.connect.client_id);
            return Err(Refused::new(arrival, "the router is gone"));
        }
    };
    let session = Session {
        id: arrival.connect.client_id.clone(),
        tap,
        mailbox,
        kept: false,
        subscriptions: Subscriptions::default(),
        outbound: Outbound::new(hub.settings.max_queued_messages),
        inbound: Inbound::default(),
        missed: Vec::new(),
        hub,
    };
    session.run(arrival).await;
    Ok(())
}

struct Session {
    id: String,
    hub: Arc<Hub>,
    tap: Tap,
    mailbox: mpsc::Receiver<Arrival>,
    /// Whether it is kept when its client goes (CONNECT with clean session 0).
    kept: bool,
    subscriptions: Subscriptions,
    outbound: Outbound,
    inbound: Inbound,
    /// dmxd's own topics that changed while the client was away: it is given their present value, never a queue of
    /// old ones.
    missed: Vec<Bytes>,
}

impl Session {
    async fn run(mut self, first: Arrival) {
        let mut arrival = Some(first);
        loop {
            let end = match arrival.take() {
                Some(arrival) => self.connected(arrival).await,
                None => self.away().await,
            };
            arrival = match end {
                Some(next) => Some(next),
                None if self.kept && self.may_wait() => None,
                None => match self.leave().await {
                    Ok(()) => return,
                    Err((back, late)) => {
                        self = back;
                        Some(late)
                    }
                },
            };
        }
    }

    /// Whether a session without a connection has something to wait for.
    fn may_wait(&self) -> bool {
        self.hub.is_serving() && *self.hub.phase.borrow() == Phase::Open
    }

    /// Serves a connection to its end; returns the client that took over, if that was why.
    async fn connected(&mut self, arrival: Arrival) -> Option<Arrival> {
        let Arrival { stream, read, connect, peer } = arrival;
        let present = self.kept && !connect.clean;
        if !present && self.reset().await.is_err() {
            return None;
        }
        self.kept = !connect.clean;
        self.hub.metrics.clients.set(self.hub.connected.fetch_add(1, Ordering::Relaxed) as i64 + 1);
        let event = if present { "mqtt_reconnect" } else { "mqtt_connect" };
        tracing::info!(clientId = self.id, peer, clean = connect.clean, keepAlive = connect.keep_alive, "{event}");
        let mut connection = Connection::new(stream, read, &connect);
        connection.welcome(present);
        self.catch_up();
        let end = self.serve(&mut connection).await;
        tracing::info!(clientId = self.id, peer, why = %end, "mqtt_disconnect");
        self.outbound.connection_lost();
        let will = connect.will.filter(|_| end.fires_will());
        self.finish(&mut connection, will).await;
        self.hub.metrics.clients.set(self.hub.connected.fetch_sub(1, Ordering::Relaxed) as i64 - 1);
        match end {
            End::TakenOver(next) => Some(*next),
            _ => None,
        }
    }

    /// What was taken from the connection is finished, then the will is published.
    async fn finish(&mut self, connection: &mut Connection, will: Option<Publish>) {
        self.drain_inbound(&mut connection.out).await;
        if let Some(will) = will {
            self.inbound.take(&self.hub, &self.id, will, &mut connection.out).await;
            self.drain_inbound(&mut connection.out).await;
        }
    }

    async fn drain_inbound(&mut self, out: &mut BytesMut) {
        while !self.inbound.is_done() {
            let ended = self.inbound.ready().await;
            self.inbound.settle(ended, &self.hub, &self.id, out);
        }
    }

    /// Keeps the session of a client that is away; returns it when it is back, `None` when the wait is over.
    async fn away(&mut self) -> Option<Arrival> {
        let mut phase = self.hub.phase.subscribe();
        loop {
            tokio::select! {
                arrival = self.mailbox.recv() => return arrival,
                () = reached(&mut phase, Phase::Quiet) => return None,
                delivery = self.tap.next() => match delivery {
                    Ok(delivery) => self.keep(delivery),
                    Err(error) => {
                        self.hub.router_is_gone(&error);
                        return None;
                    }
                },
            }
        }
    }

    /// A message for a client that is away.
    fn keep(&mut self, delivery: Delivery) {
        let Some(qos) = self.subscriptions.accept(&delivery) else { return };
        let Delivery { topic, payload, .. } = delivery;
        if std::str::from_utf8(&topic).is_ok_and(|topic| self.hub.policy.is_own(topic)) {
            if !self.missed.contains(&topic) {
                self.missed.push(topic);
            }
        } else if qos > QoS::AtMostOnce && !self.outbound.push_away(Letter { topic, payload, qos, retain: false }) {
            self.hub.metrics.dropped.inc();
        }
    }

    /// Queues what the client missed of dmxd's own topics.
    fn catch_up(&mut self) {
        self.outbound.resume();
        for topic in std::mem::take(&mut self.missed) {
            let Ok(name) = std::str::from_utf8(&topic) else { continue };
            if let (Some(now), Some(qos)) = (self.hub.retained_at(name), self.subscriptions.qos_of(name)) {
                let qos = qos.min(now.qos);
                self.outbound.push(Letter { topic, payload: now.payload, qos, retain: false });
            }
        }
    }

    /// Forgets everything: the next connection begins a new session.
    async fn reset(&mut self) -> Result<(), RouterGone> {
        let filters = self.subscriptions.clear();
        self.outbound.clear();
        self.inbound.clear();
        self.missed.clear();
        let ended = self.tap.unsubscribe(&filters).await;
        self.tap.clear();
        ended.inspect_err(|error| self.hub.router_is_gone(error))
    }

    /// Ends the session and gives its link back, unless a client has come in the meantime.
    async fn leave(mut self) -> Result<(), (Self, Arrival)> {
        let clean = self.reset().await;
        let hub = self.hub.clone();
        let mut sessions = hub.sessions();
        if let Ok(late) = self.mailbox.try_recv() {
            drop(sessions);
            return Err((self, late));
        }
        sessions.remove(&self.id);
        hub.metrics.sessions.set(sessions.len() as i64);
        // Under the register's lock: whoever finds room there finds a link too.
        if clean.is_ok() {
            hub.router.give_back(self.tap);
        }
        Ok(())
    }

    /// New and changed subscriptions; each filter's grant, and what is retained for those granted.
    async fn subscribe(&mut self, wanted: Vec<(String, QoS)>) -> Result<Vec<Option<QoS>>, RouterGone> {
        let mut granted = Vec::with_capacity(wanted.len());
        for (text, qos) in wanted {
            let filter = Filter::new(&text).filter(|filter| self.hub.policy.subscribe(filter));
            granted.push(match filter {
                Some(filter) => self.subscribe_one(filter, qos).await?,
                None => None,
            });
        }
        Ok(granted)
    }

    async fn subscribe_one(&mut self, filter: Filter, qos: QoS) -> Result<Option<QoS>, RouterGone> {
        let known = self.subscriptions.change(&filter, qos);
        let new = if known {
            None
        } else if self.subscriptions.is_full() {
            tracing::warn!(clientId = self.id, filter = filter.as_str(), "subscription_refused: too many filters");
            return Ok(None);
        } else {
            let id = self.subscriptions.next_id();
            self.tap.subscribe(&filter, id).await?;
            Some(id)
        };
        // Number and retained messages are of one moment: what is older than it comes as retained or not at all.
        let (retained, since) = self.hub.retained_for(&filter);
        if let Some(id) = new {
            self.subscriptions.add(id, filter, qos, since);
        }
        for (topic, message) in retained {
            let qos = qos.min(message.qos);
            self.outbound.push(Letter { topic: Bytes::from(topic), payload: message.payload, qos, retain: true });
        }
        Ok(Some(qos))
    }

    async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), RouterGone> {
        let gone = self.subscriptions.remove(filters);
        self.tap.unsubscribe(&gone).await
    }
}
