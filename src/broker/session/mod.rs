//! One client id: its subscriptions, queues and handshakes, and the connection it has now, if any.
//!
//! One task owns a session from its first CONNECT to its end; who connects with the same id is handed to that task,
//! so that take-over, will and resumption happen one after the other. Works over any byte stream.

mod connection;
mod inbound;
mod outbound;
mod subscriptions;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::connection::{Connection, End};
use self::inbound::Inbound;
use self::outbound::{Letter, Outbound};
use self::subscriptions::{MAX_FILTERS, Subscriptions};
use super::codec::{Connect, Publish, QoS};
use super::hub::{Hub, Phase, reached};
use super::presence::Visit;
use super::register::{Entered, Entry, Seat};
use super::router::{Delivery, RouterGone, Tap};
use super::topic::Filter;

pub(super) use self::connection::Stream;

/// A client that was let in and has to be told so.
pub(super) struct Arrival {
    pub(super) stream: Box<dyn Stream>,
    /// What came behind CONNECT already.
    pub(super) read: BytesMut,
    pub(super) connect: Connect,
    pub(super) peer: String,
    /// Its place among the connected clients.
    pub(super) seat: Option<Seat>,
}

/// Why a client was not given a session; its arrival comes back.
pub(super) struct Refused {
    pub(super) arrival: Box<Arrival>,
    pub(super) why: &'static str,
}

/// Hands a client to the session of its id, or becomes a new session's task until that ends.
pub(super) async fn enter(hub: Arc<Hub>, arrival: Arrival) -> Result<(), Refused> {
    let (entry, arrival) = match hub.register.enter(arrival) {
        Entered::Handed => return Ok(()),
        Entered::Refused(arrival, why) => return Err(Refused { arrival, why }),
        Entered::New(new) => *new,
    };
    let tap = match hub.router.tap().await {
        Ok(tap) => tap,
        Err(error) => {
            hub.router_is_gone(&error);
            return Err(Refused { arrival: Box::new(arrival), why: "the router is gone" });
        }
    };
    let session = Session {
        id: arrival.connect.client_id.clone(),
        tap,
        entry,
        kept: false,
        subscriptions: Subscriptions::counted(hub.metrics.subscriptions.clone()),
        replays: VecDeque::new(),
        outbound: Outbound::new(hub.settings.max_queued_messages),
        inbound: Inbound::default(),
        missed: Vec::new(),
        given: Vec::new(),
        hub,
    };
    session.run(arrival).await;
    Ok(())
}

/// Retained messages still to be given for a SUBSCRIBE.
struct Replay {
    filter: Filter,
    qos: QoS,
    /// Number of the last message before it.
    since: u64,
    after: Option<String>,
}

struct Session {
    id: String,
    hub: Arc<Hub>,
    tap: Tap,
    entry: Entry,
    /// Whether it is kept when its client goes (CONNECT with clean session 0).
    kept: bool,
    subscriptions: Subscriptions,
    /// One a filter at the most; given a page at a time, as there is room.
    replays: VecDeque<Replay>,
    outbound: Outbound,
    inbound: Inbound,
    /// dmxd's own topics that changed while the client was away: it is given their present value, never a queue of
    /// old ones.
    missed: Vec<Bytes>,
    /// Those it was given, with the number that takes account of: copies up to there are old news.
    given: Vec<(Bytes, u64)>,
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
                    Err(back) => {
                        let late;
                        (self, late) = *back;
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
        let Arrival { stream, read, connect, peer, seat } = arrival;
        let visit = Visit::begin(&self.hub, &connect, &peer);
        self.entry.presence.set(true);
        let present = self.kept && !connect.clean;
        if !present && self.reset().await.is_err() {
            return None;
        }
        self.kept = !connect.clean;
        let event = if present { "mqtt_reconnect" } else { "mqtt_connect" };
        tracing::info!(clientId = self.id, peer, clean = connect.clean, keepAlive = connect.keep_alive, "{event}");
        let mut connection = Connection::new(stream, read, &connect, visit.meter.clone());
        connection.welcome(present);
        self.catch_up();
        let end = self.serve(&mut connection).await;
        tracing::info!(clientId = self.id, peer, why = %end, "mqtt_disconnect");
        self.replays.clear();
        self.hub.metrics.dropped.inc_by(self.outbound.connection_lost());
        let will = connect.will.filter(|_| end.fires_will());
        let will_published = will.is_some();
        self.finish(&mut connection, will).await;
        visit.end(end.to_string(), will_published, end.next()).await;
        self.entry.presence.set(false);
        drop((connection, seat));
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
            let ended = self.inbound.ready(&self.hub).await;
            self.inbound.settle(ended, &self.hub, &self.id, out);
        }
    }

    /// Keeps the session of a client that is away; returns it when it is back, `None` when the wait is over: the stop, a
    /// dead router, or others that need the room more.
    async fn away(&mut self) -> Option<Arrival> {
        let mut phase = self.hub.phase.subscribe();
        loop {
            tokio::select! {
                arrival = self.entry.mailbox.recv() => {
                    self.kept &= arrival.is_some();
                    return arrival;
                }
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
        self.hub.metrics.dropped.inc_by(self.tap.lost());
        let Some(qos) = self.subscriptions.accept(&delivery) else { return };
        let Delivery { topic, payload, .. } = delivery;
        if std::str::from_utf8(&topic).is_ok_and(|topic| self.hub.policy.is_present_value(topic)) {
            if !self.missed.contains(&topic) {
                self.missed.push(topic);
            }
        } else if qos > QoS::AtMostOnce {
            let dropped = self.outbound.push_away(Letter { topic, payload, qos, retain: false });
            self.hub.metrics.dropped.inc_by(dropped);
        }
    }

    /// Queues what the client missed of dmxd's own topics.
    fn catch_up(&mut self) {
        self.outbound.resume();
        self.given.clear();
        for topic in std::mem::take(&mut self.missed) {
            let Ok(name) = std::str::from_utf8(&topic) else { continue };
            let (now, number) = self.hub.retained_at(name);
            if let (Some(now), Some(qos)) = (now, self.subscriptions.qos_of(name)) {
                self.given.push((topic.clone(), number));
                self.outbound.push(Letter { topic, payload: now.payload, qos: qos.min(now.qos), retain: false });
            }
        }
    }

    /// A message for the client that is there.
    fn deliver(&mut self, delivery: Delivery) {
        let Some(qos) = self.subscriptions.accept(&delivery) else { return };
        let Delivery { topic, payload, number, .. } = delivery;
        if !self.given.iter().any(|(given, at)| *given == topic && number <= *at) {
            self.outbound.push(Letter { topic, payload, qos, retain: false });
        }
    }

    /// Forgets everything: the next connection begins a new session.
    async fn reset(&mut self) -> Result<(), RouterGone> {
        let filters = self.subscriptions.clear();
        self.outbound.clear();
        self.inbound.clear();
        self.replays.clear();
        self.missed.clear();
        self.given.clear();
        let ended = self.tap.unsubscribe(&filters).await;
        self.tap.clear();
        ended.inspect_err(|error| self.hub.router_is_gone(error))
    }

    /// Ends the session and gives its link back, unless a client has come in the meantime.
    async fn leave(mut self) -> Result<(), Box<(Self, Arrival)>> {
        self.kept = false;
        let clean = self.reset().await;
        match self.entry.leave() {
            Some(late) => Err(Box::new((self, late))),
            None => {
                if clean.is_ok() {
                    self.hub.router.give_back(self.tap);
                }
                Ok(())
            }
        }
    }

    /// New and changed subscriptions; each filter's grant in the order they were asked for.
    async fn subscribe(&mut self, wanted: Vec<(String, QoS)>) -> Result<Vec<Option<QoS>>, RouterGone> {
        let mut granted = Vec::with_capacity(wanted.len());
        for (at, (text, qos)) in wanted.into_iter().enumerate() {
            let filter = Filter::new(&text).filter(|filter| at < MAX_FILTERS && self.hub.policy.subscribe(filter));
            granted.push(match filter {
                Some(filter) => self.subscribe_one(filter, qos).await?,
                None => None,
            });
            tokio::task::coop::consume_budget().await;
        }
        Ok(granted)
    }

    async fn subscribe_one(&mut self, filter: Filter, qos: QoS) -> Result<Option<QoS>, RouterGone> {
        let mut new = None;
        if !self.subscriptions.change(&filter, qos) {
            if self.subscriptions.is_full() || !self.hub.has_room_for(&filter) {
                tracing::warn!(clientId = self.id, "subscription_refused: too many filters (mqtt.max_filters)");
                return Ok(None);
            }
            let id = self.subscriptions.next_id();
            self.tap.subscribe(&filter, id).await?;
            new = Some(id);
        }
        // What is older than this moment comes as retained or, to a new subscription, not at all.
        let since = self.hub.number();
        if let Some(id) = new {
            self.subscriptions.add(id, filter.clone(), qos, since);
        }
        self.replays.retain(|replay| replay.filter != filter);
        self.replays.push_back(Replay { filter, qos, since, after: None });
        Ok(Some(qos))
    }

    /// Queues the next page of retained messages, when there is room for it.
    fn replay(&mut self) {
        while self.outbound.has_room()
            && let Some(replay) = self.replays.front_mut()
        {
            let (page, more) = self.hub.retained_page(&replay.filter, replay.since, replay.after.as_deref());
            for (topic, message) in page {
                let qos = replay.qos.min(message.qos);
                self.outbound.push(Letter { topic: Bytes::from(topic), payload: message.payload, qos, retain: true });
            }
            match more {
                Some(more) => return replay.after = Some(more),
                None => drop(self.replays.pop_front()),
            }
        }
    }

    async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), RouterGone> {
        let gone = self.subscriptions.remove(filters);
        self.replays.retain(|replay| !gone.contains(&replay.filter));
        let ended = self.tap.unsubscribe(&gone).await;
        self.tap.forget_unless(|id| self.subscriptions.has(id));
        ended
    }
}
