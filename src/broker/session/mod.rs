//! One client id: its subscriptions, queues and handshakes, and its present connection, if any.
//!
//! One task owns a session from its first CONNECT to its end. A client that connects with the same id is handed to that task,
//! so that take-over, will and resumption happen one after the other. Works over any byte stream.

mod connection;
mod durable;
mod inbound;
mod keeping;
mod moving;
mod outbound;
mod serve;
mod subscriptions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use self::connection::{Connection, End};
use self::inbound::Inbound;
use self::outbound::{Letter, Outbound};
use self::subscriptions::{MAX_FILTERS, Subscriptions};
use super::codec::{Publish, QoS};
use super::fairness::Voice;
use super::hub::{Hub, Phase, reached};
use super::ledger::Place;
use super::presence::Visit;
use super::register::{Arrival, Entered, Entry};
use super::router::{Delivery, LinkLease, Router, RouterGone};
use super::topic::Filter;
use crate::kit::deadline::until;

pub(super) use self::durable::{purge, records};

/// Messages for an absent client are stored this long after they came, all together: those dropped before cost nothing.
const STORE: Duration = Duration::from_millis(10);

/// Why a client got no session; hands its arrival back.
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
    match Session::new(hub, arrival.connect.client_id.clone(), entry).await {
        Ok(session) => {
            session.run(Some(arrival)).await;
            Ok(())
        }
        Err(_) => Err(Refused { arrival: Box::new(arrival), why: "there is no router" }),
    }
}

/// A session of an earlier run, with its subscriptions in the router; gives its task.
pub(super) async fn restore(hub: Arc<Hub>, record: durable::Record) -> Option<impl Future<Output = ()> + Send> {
    let entry = hub.register.restore(&record.id)?;
    let mut session = Session::new(hub, record.id.clone(), entry).await.ok()?;
    session.recall(record).await.ok()?;
    Some(session.run(None))
}

/// Retained messages still to be sent for a SUBSCRIBE.
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
    routers: watch::Receiver<Arc<Router>>,
    tap: LinkLease,
    /// Whether the link's router answers, as far as is known.
    tap_lives: bool,
    /// Since when the client does not accept what the router has for it.
    behind_since: Option<Instant>,
    /// Since when it is not read because others lag behind what it publishes.
    held_since: Option<Instant>,
    /// The topic that it last published to.
    said: String,
    /// Since when letters for an absent client wait to be stored.
    unstored_since: Option<Instant>,
    /// Since when it lags so far that it may lose messages, because its client does not accept them.
    lagging: Option<Instant>,
    laggards: watch::Receiver<usize>,
    voice: Voice,
    /// When a session without its client expires.
    expires: Instant,
    entry: Entry,
    /// Whether it is kept when its client leaves (CONNECT with clean session 0).
    kept: bool,
    subscriptions: Subscriptions,
    /// At most one per filter; sent a page at a time, as there is room.
    replays: VecDeque<Replay>,
    outbound: Outbound,
    inbound: Inbound,
    /// dmxd's own topics that changed while the client was away: it gets their present values, never a queue of old ones.
    missed: Vec<Bytes>,
    /// Those it got, with the number of the last message that each includes: copies up to there are old.
    given: Vec<(Bytes, u64)>,
}

impl Session {
    async fn new(hub: Arc<Hub>, id: String, entry: Entry) -> Result<Self, RouterGone> {
        let mut routers = hub.routers();
        let tap = moving::tap(&hub, &mut routers).await?;
        Ok(Self {
            id,
            routers,
            tap,
            tap_lives: true,
            behind_since: None,
            held_since: None,
            said: String::new(),
            unstored_since: None,
            lagging: None,
            laggards: hub.laggards(),
            voice: Voice::new(
                hub.settings.client_messages_per_second,
                hub.settings.client_bytes_per_second,
                Instant::now(),
            ),
            expires: Instant::now(),
            entry,
            kept: false,
            subscriptions: Subscriptions::default(),
            replays: VecDeque::new(),
            outbound: Outbound::new(hub.settings.max_queued_messages),
            inbound: Inbound::default(),
            missed: Vec::new(),
            given: Vec::new(),
            hub,
        })
    }

    async fn run(mut self, mut arrival: Option<Arrival>) {
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
        *self.hub.phase.borrow() == Phase::Open
    }

    /// Serves a connection to its end; gives the client that took over, if that is why it ended.
    async fn connected(&mut self, arrival: Arrival) -> Option<Arrival> {
        let Arrival { stream, read, connect, peer, seat } = arrival;
        let visit = Visit::begin(&self.hub, &connect, &peer);
        self.entry.presence.set(true);
        let present = self.kept && !connect.clean;
        if !present {
            self.reset().await;
        }
        self.kept = !connect.clean;
        self.inbound.keep(self.kept.then(|| self.id.clone()));
        self.save(true).await;
        let event = if present { "mqtt_reconnect" } else { "mqtt_connect" };
        tracing::info!(clientId = self.id, peer, clean = connect.clean, keepAlive = connect.keep_alive, "{event}");
        let mut connection = Connection::new(stream, read, &connect, visit.meter.clone());
        connection.welcome(present);
        self.catch_up();
        let end = self.serve(&mut connection).await;
        tracing::info!(clientId = self.id, peer, why = %end, "mqtt_disconnect");
        self.replays.clear();
        self.hub.metrics.dropped.inc_by(self.outbound.connection_lost());
        let policy = &self.hub.policy;
        let is_present_value =
            |topic: &[u8]| std::str::from_utf8(topic).is_ok_and(|topic| policy.is_present_value(topic));
        self.missed.extend(self.outbound.take_out(is_present_value));
        self.behind_since = None;
        self.lagging = None;
        let will = connect.will.filter(|_| end.fires_will());
        let will_published = will.is_some();
        self.finish(&mut connection, will).await;
        visit.end(end.to_string(), will_published, end.next()).await;
        self.save(false).await;
        drop((connection, seat));
        match end {
            End::TakenOver(next) => Some(*next),
            _ => {
                self.entry.client_left();
                None
            }
        }
    }

    /// Finishes what was read from the connection, then publishes the will.
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

    /// Keeps the session of an absent client; gives the client when it is back, `None` when the wait is over: the stop, its
    /// age, or others that need the room more.
    async fn away(&mut self) -> Option<Arrival> {
        let mut phase = self.hub.phase.subscribe();
        loop {
            // A session that is wanted elsewhere or evicted need not move first: there may be no room before it has gone.
            match self.entry.mailbox.try_recv() {
                Ok(arrival) => return Some(arrival),
                Err(TryRecvError::Disconnected) => {
                    self.kept = false;
                    return None;
                }
                Err(TryRecvError::Empty) => {}
            }
            if self.must_move() && self.move_over().await.is_err() {
                self.tap_lives = false; // the next check tries again
            }
            let store_at = self.unstored_since.map(|since| since + STORE);
            let move_at = (!self.tap_lives).then(|| Instant::now() + STORE);
            tokio::select! {
                arrival = self.entry.mailbox.recv() => {
                    self.kept &= arrival.is_some();
                    return arrival;
                }
                () = reached(&mut phase, Phase::Quiet) => return None,
                _ = self.routers.changed() => {}
                () = until(store_at) => self.store_letters(false).await,
                () = until(move_at) => {}
                () = sleep_until(self.expires) => {
                    self.kept = false;
                    self.hub.metrics.sessions_expired.inc();
                    tracing::info!(clientId = self.id, "session_expired: unused for mqtt.session_expiry_days");
                    return None;
                }
                delivery = self.tap.next(), if self.tap_lives => match delivery {
                    Ok(delivery) => self.keep(delivery).await,
                    Err(error) => self.router_is_gone(&error),
                },
            }
        }
    }

    /// A message for an absent client.
    async fn keep(&mut self, delivery: Delivery) {
        let accepted = self.subscriptions.accept(&delivery);
        self.account();
        let Some(qos) = accepted else { return };
        let Delivery { topic, payload, .. } = delivery;
        if std::str::from_utf8(&topic).is_ok_and(|topic| self.hub.policy.is_present_value(topic)) {
            if !self.missed.contains(&topic) {
                self.missed.push(topic);
            }
        } else if qos > QoS::AtMostOnce {
            for dropped in self.outbound.push_away(Letter::new(topic, payload, qos, false)) {
                let filter = self.subscriptions.filter_for(&dropped.topic).map_or("*", Filter::as_str);
                self.hub.lost(filter, 1);
            }
            self.unstored_since.get_or_insert_with(Instant::now);
        }
    }

    /// After messages were taken from the router: counts those that its log dropped before, and reports when this session has
    /// caught up.
    fn account(&mut self) {
        for (subscription, count) in self.tap.lost() {
            if let Some(filter) = self.subscriptions.filter_of(subscription) {
                self.hub.lost(filter.as_str(), count);
            }
        }
        if self.subscriptions.lag() {
            self.hub.look_at_laggards(self.subscriptions.places());
        }
    }

    fn router_is_gone(&mut self, error: &RouterGone) {
        self.tap_lives = false;
        self.hub.router_is_gone(self.tap.generation(), error);
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
                self.outbound.push(Letter::new(topic, now.payload, qos.min(now.qos), false));
            }
        }
    }

    /// A message for the connected client.
    fn deliver(&mut self, delivery: Delivery) {
        let Some(qos) = self.subscriptions.accept(&delivery) else { return };
        let Delivery { topic, payload, number, .. } = delivery;
        if !self.given.iter().any(|(given, at)| *given == topic && number <= *at) {
            self.outbound.push(Letter::new(topic, payload, qos, false));
        }
    }

    /// Forgets everything: the next connection begins a new session.
    async fn reset(&mut self) {
        let places = self.subscriptions.clear();
        self.outbound.clear();
        self.inbound.clear();
        self.replays.clear();
        self.missed.clear();
        self.given.clear();
        self.end_in_router(&places).await;
        self.tap.clear();
        self.forget().await;
    }

    /// Drops filters from this session.
    async fn end_in_router(&mut self, places: &[Arc<Place>]) {
        places.iter().for_each(|place| self.hub.without_filter(place));
        let filters: Vec<_> = places.iter().map(|place| place.filter().clone()).collect();
        if let Err(error) = self.tap.unsubscribe(&filters).await {
            self.router_is_gone(&error); // the next router does not get them
        }
    }

    /// Ends the session and returns its link, unless a client has come meanwhile. At the stop, what is stored stays.
    async fn leave(mut self) -> Result<(), Box<(Self, Arrival)>> {
        if self.kept {
            self.store_letters(true).await;
        } else {
            self.reset().await;
        }
        match self.entry.leave() {
            Some(late) => Err(Box::new((self, late))),
            None => {
                if !self.kept && self.tap_lives {
                    self.tap.give_back();
                }
                Ok(())
            }
        }
    }

    /// Adds and changes subscriptions; gives each filter's grant in the order requested.
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
        self.save(true).await;
        Ok(granted)
    }

    async fn subscribe_one(&mut self, filter: Filter, qos: QoS) -> Result<Option<QoS>, RouterGone> {
        let mut new = None;
        if !self.subscriptions.change(&filter, qos) {
            let place = if self.subscriptions.is_full() { None } else { self.hub.with_filter(&filter) };
            let Some(place) = place else {
                tracing::warn!(clientId = self.id, "subscription_refused: too many filters (mqtt.max_filters)");
                return Ok(None);
            };
            let id = self.subscriptions.next_id();
            if let Err(error) = self.subscribe_in_router(&filter, id).await {
                self.hub.without_filter(&place);
                return Err(error);
            }
            new = Some((id, place));
        }
        // anything older than this moment comes as retained or, to a new subscription, not at all
        let (since, passed) = self.hub.position();
        if let Some((id, place)) = new {
            place.took(passed);
            self.subscriptions.add(id, place, qos, since);
        }
        self.replays.retain(|replay| replay.filter != filter);
        self.replays.push_back(Replay { filter, qos, since, after: None });
        Ok(Some(qos))
    }

    /// Queues the next page of retained messages if there is room for it.
    fn replay(&mut self) {
        while self.outbound.has_room()
            && let Some(replay) = self.replays.front_mut()
        {
            let (page, more) = self.hub.retained_page(&replay.filter, replay.since, replay.after.as_deref());
            for (topic, message) in page {
                let qos = replay.qos.min(message.qos);
                self.outbound.push(Letter::new(Bytes::from(topic), message.payload, qos, true));
            }
            match more {
                Some(more) => return replay.after = Some(more),
                None => drop(self.replays.pop_front()),
            }
        }
    }

    async fn unsubscribe(&mut self, filters: &[String]) {
        let gone = self.subscriptions.remove(filters);
        self.replays.retain(|replay| !gone.iter().any(|place| *place.filter() == replay.filter));
        self.end_in_router(&gone).await;
        self.tap.forget_unless(|id| self.subscriptions.has(id));
        self.save(true).await;
    }
}
