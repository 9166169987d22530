//! One client id: its subscriptions, queues and handshakes, and its present connection, if any.
//!
//! One task owns a session from its first CONNECT to its end. A client that connects with the same id is handed to that task,
//! so that take-over, will and resumption happen one after the other. Works over any byte stream.

mod bunch;
mod connection;
mod durable;
mod inbound;
mod keeping;
mod letter;
mod outbound;
mod outbox;
mod queued;
mod replaying;
mod replays;
mod rest;
mod serve;
mod subscriptions;
mod will;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use self::bunch::bunched;
use self::connection::Connection;
use self::inbound::Inbound;
use self::outbound::Outbound;
use self::queued::Queued;
use self::replays::Replays;
use self::will::{Will, say};
use super::codec::{ConnectCode, Publish, QoS, connack};
use super::fairness::Voice;
use super::hub::{Hub, Phase, reached};
use super::outlet::{Start, Subscribed};
use super::presence::Visit;
use super::register::{Arrival, Entered, Entry};
use super::router::RouterGone;
use super::topic::Filter;
use super::wills;
use crate::kit::budget::{Full, Kind, Share, Who};
use crate::kit::deadline::until;
use crate::kit::log_limiter::LogLimiter;
use crate::store::Batch;

pub(super) use self::bunch::write_soon;
pub(super) use self::durable::{Record, purge, records};
pub(super) use self::outbound::Left;
pub(super) use self::outbox::{Laggards, Member};
pub(super) use self::queued::REFERENCE;
pub(super) use self::will::say_last_will;

/// How long a session waits for the router's answer: the guardian takes up to 6 s to see that it is dead.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// Why a client got no session; hands its arrival back.
pub(super) struct Refused {
    pub(super) arrival: Box<Arrival>,
    pub(super) why: Cow<'static, str>,
}

/// Hands a client to the session of its id, or gives a new session's task.
pub(super) fn enter(
    hub: &Arc<Hub>,
    arrival: Box<Arrival>,
) -> Result<Option<impl Future<Output = ()> + Send + use<>>, Refused> {
    let (entry, arrival) = match hub.register.enter(arrival) {
        Entered::Handed => return Ok(None),
        Entered::Refused(arrival, why) => return Err(Refused { arrival, why }),
        Entered::New(new) => *new,
    };
    let session = Box::new(Session::new(hub.clone(), arrival.connect.client_id.clone(), entry));
    Ok(Some(session.run(Some(arrival))))
}

/// A session of an earlier run, with its subscriptions; its task is what this gives. `will`: that of its client was not
/// fired, and how long the client has to come back.
pub(super) async fn restore(
    hub: Arc<Hub>,
    record: durable::Record,
    left: Left,
    will: Option<wills::Left>,
) -> Option<(impl Future<Output = ()> + Send, Vec<oneshot::Receiver<u64>>)> {
    let entry = hub.register.restore(&record.id, record.is_device)?;
    let mut session = Box::new(Session::new(hub, record.id.clone(), entry));
    let answers = session.recall(record, left).await;
    session.take_in_will(will);
    Some((session.run(None), answers))
}

/// The place of a client of an earlier run that has no kept session, for its will.
pub(super) fn restore_will(
    hub: Arc<Hub>,
    id: &str,
    will: wills::Left,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let entry = hub.register.restore(id, false)?;
    let mut session = Box::new(Session::new(hub, id.to_owned(), entry));
    session.take_in_will(Some(will));
    Some(session.run(None))
}

struct Session {
    id: String,
    hub: Arc<Hub>,
    /// What others put in for the client.
    outbox: Member,
    /// Since when it is not heard because others lag behind what it says.
    held_since: Option<Instant>,
    /// The topic that it last published to.
    said: String,
    /// Since when its client does not take its messages and others wait for it.
    lagging: Option<Instant>,
    laggards: watch::Receiver<usize>,
    voice: Voice,
    /// When a session without its client expires.
    expires: Instant,
    entry: Entry,
    /// Who has taken the connection over, and is served next.
    newcomer: Option<Box<Arrival>>,
    /// Whether it is kept when its client leaves (CONNECT with clean session 0).
    kept: bool,
    will: Will,
    replays: Replays,
    /// Ends when what is newer than retained messages may follow them.
    fence: Option<oneshot::Receiver<()>>,
    /// Retained messages may have been left out for values that come by the router.
    skips: bool,
    /// When the client last answered a message, or something began that it has to answer.
    answered: Instant,
    /// Limits log lines about refused filters.
    limiter: LogLimiter,
    inbound: Inbound,
    /// What its filters take of the budget.
    room: Share,
}

impl Drop for Session {
    /// However it ends: nobody gives it anything any more.
    fn drop(&mut self) {
        self.hub.take_out(&self.outbox, true);
    }
}

impl Session {
    fn new(hub: Arc<Hub>, id: String, entry: Entry) -> Self {
        let queued = Queued::new(hub.budget.share(Kind::Queued, entry.presence.who()));
        let outbound = Outbound::new(hub.settings.max_queued_messages, queued);
        let voice =
            Voice::new(hub.settings.client_messages_per_second, hub.settings.client_bytes_per_second, Instant::now());
        Self {
            id,
            outbox: Member::new(outbound, hub.settings.max_subscriptions, hub.laggards()),
            held_since: None,
            said: String::new(),
            lagging: None,
            laggards: hub.laggards().watch(),
            voice,
            expires: Instant::now(),
            entry,
            newcomer: None,
            kept: false,
            will: Will::default(),
            replays: Replays::default(),
            fence: None,
            skips: false,
            answered: Instant::now(),
            limiter: LogLimiter::default(),
            inbound: Inbound::default(),
            room: hub.budget.share(Kind::Subscriptions, Who::default()),
            hub,
        }
    }

    fn take_in_will(&mut self, left: Option<wills::Left>) {
        self.will = left.map(|left| Will::left(left, &self.hub.budget)).unwrap_or_default();
    }

    fn run(self: Box<Self>, arrival: Option<Box<Arrival>>) -> impl Future<Output = ()> + Send + use<> {
        bunched(self.live(arrival))
    }

    async fn live(mut self: Box<Self>, mut arrival: Option<Box<Arrival>>) {
        loop {
            let end = match arrival.take() {
                Some(arrival) => self.connected(arrival).await,
                None => Box::pin(self.away()).await,
            };
            arrival = match end {
                Some(next) => Some(next),
                None if (self.kept || self.will.is_due()) && self.may_wait() => None,
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
        *self.hub.phase.borrow() == Phase::Open
    }

    /// Serves a connection to its end; gives the client that took over, if that is why it ended.
    async fn connected(&mut self, arrival: Box<Arrival>) -> Option<Box<Arrival>> {
        let Arrival { stream, read, connect, peer, who, ending, ear, seat, will, .. } = arrival.unpacked();
        self.room.moves_to(&who);
        let evicted = self.outbox.comes(&who).map(|why| self.evicted(&why)).is_some();
        self.inbound.who = who;
        let visit = Visit::begin(&self.hub, &connect, &peer);
        self.entry.presence.set(true);
        let present = self.kept && !connect.clean && !evicted;
        if !present {
            self.reset().await;
        }
        self.kept = !connect.clean;
        if !present {
            self.outbox.keep(if self.kept { self.hub.lasting.new_session() } else { 0 });
        }
        self.inbound.keep(self.kept.then(|| self.id.clone()));
        let promised = self.will.promise(&connect, will);
        self.save(true, promised).await;
        let event = if present { "mqtt_reconnect" } else { "mqtt_connect" };
        tracing::info!(clientId = self.id, peer, clean = connect.clean, keepAlive = connect.keep_alive, "{event}");
        let mut connection = Connection::new((stream, read), &connect, visit.meter.clone(), ending);
        self.welcome(&mut connection, present);
        let end = self.serve(&mut connection, ear).await;
        tracing::info!(clientId = self.id, peer, why = %end, "mqtt_disconnect");
        self.outbox.outbound(|outbound| self.replays.rewind(outbound));
        (self.lagging, self.fence) = (None, None);
        let policy = &self.hub.policy;
        let is_present_value =
            |topic: &[u8]| std::str::from_utf8(topic).is_ok_and(|topic| policy.is_present_value(topic));
        let last_word = self.outbox.disconnect(is_present_value, self.newcomer.is_some());
        let will = connect.will.filter(|_| end.fires_will());
        let will_published = will.is_some();
        // What comes once does not take room in every task.
        Box::pin(self.finish(&mut connection, will)).await;
        Box::pin(visit.end(end.to_string(), will_published, end.next())).await;
        let over = self.will.over(&self.id, &end, self.newcomer.is_some());
        self.save(false, over).await;
        drop((connection, last_word, seat));
        let next = self.newcomer.take();
        if next.is_none() {
            self.entry.client_left();
        }
        next
    }

    /// From here on the client is given what comes, behind CONNACK and what it missed of dmxd's own topics.
    fn welcome(&mut self, connection: &mut Connection, present: bool) {
        let Some(half) = connection.write_half.take() else { return };
        let mut out = BytesMut::new();
        connack(&mut out, present, ConnectCode::Accepted);
        self.hub.between_messages(|retained, number| {
            self.outbox.connect(half, connection.meter.clone(), out);
            let now = |topic: &str| retained.get(topic).map(|now| (now.payload.clone(), now.qos));
            self.outbox.catch_up(number, now);
            if self.replays.are_open() {
                self.replays.resume(number);
                (self.skips, self.answered) = (true, Instant::now());
                self.outbox.hold(number);
                self.outbox.release_up_to(number);
            } else {
                self.outbox.release();
            }
        });
        self.outbox.flush();
    }

    /// What was taken from the connection is finished, then the will is published.
    async fn finish(&mut self, connection: &mut Connection, will: Option<Publish>) {
        self.inbound.finish(&self.hub, &self.id, &mut connection.out).await;
        if let Some(will) = will {
            self.inbound.take(&self.hub, &self.id, will, &mut connection.out).await;
            self.inbound.finish(&self.hub, &self.id, &mut connection.out).await;
        }
    }

    /// Keeps the session of an absent client; gives the client when it is back, `None` when the wait is over: the stop, its
    /// age, or others that need the room more.
    async fn away(&mut self) -> Option<Box<Arrival>> {
        let (mut phase, queued) = (self.hub.phase.subscribe(), self.outbox.ending());
        loop {
            // A session that is wanted elsewhere or evicted need not move first: there may be no room before it has gone.
            match self.entry.mailbox.try_recv() {
                Ok(arrival) => return Some(arrival),
                Err(TryRecvError::Disconnected) => return self.give_up().await,
                Err(TryRecvError::Empty) => {}
            }
            self.count_dropped();
            self.forget_arrived().await;
            tokio::select! {
                arrival = self.entry.mailbox.recv() => match arrival {
                    Some(arrival) => return Some(arrival),
                    None => return self.give_up().await,
                },
                () = reached(&mut phase, Phase::Quiet) => return None,
                () = self.outbox.news() => {}
                why = queued.told() => {
                    self.evicted(why);
                    return self.give_up().await;
                }
                () = until(self.will.due()) => {
                    self.fire_will().await;
                    if !self.kept {
                        return None;
                    }
                }
                () = sleep_until(self.expires), if self.kept => {
                    self.hub.metrics.sessions_expired.inc();
                    tracing::info!(clientId = self.id, "session_expired: unused for mqtt.session_expiry_days");
                    return self.give_up().await;
                }
            }
        }
    }

    /// Others need the room that its messages take.
    fn evicted(&self, why: &str) {
        self.hub.metrics.sessions_evicted.inc();
        let lost = self.outbox.outbound(|outbound| outbound.len());
        tracing::warn!(clientId = self.id, lost, why, "session_evicted");
        self.hub.lost_by(&self.outbox, &self.id, b"", lost as u64);
    }

    /// The client has not come back.
    async fn fire_will(&mut self) {
        self.will = Will::default();
        say(&self.hub, &self.id, &mut self.inbound).await;
    }

    /// The session is not kept any longer; a will that waits for its client is fired.
    async fn give_up(&mut self) -> Option<Box<Arrival>> {
        self.kept = false;
        if self.will.is_due() {
            self.fire_will().await;
        }
        None
    }

    /// Forgets everything: the next connection begins a new session.
    async fn reset(&mut self) {
        self.hub.take_out(&self.outbox, true);
        self.room.clear();
        self.outbox.clear();
        self.inbound.clear();
        self.replays.clear();
        self.forget().await;
    }

    /// Ends the session, unless a client has come in the meantime. At the stop what is stored stays.
    async fn leave(mut self: Box<Self>) -> Result<(), (Box<Self>, Box<Arrival>)> {
        if self.kept {
            self.store_progress().await;
        } else {
            self.reset().await;
        }
        match self.entry.leave() {
            Some(late) => Err((self, late)),
            None => Ok(()),
        }
    }

    /// Adds and changes subscriptions; gives each filter's grant in the order requested.
    async fn subscribe(&mut self, mut wanted: Vec<(String, QoS)>) -> Result<Vec<Option<QoS>>, RouterGone> {
        let (asked, mut full) = (wanted.len(), None);
        wanted.truncate(self.hub.settings.max_subscriptions);
        let allowed = wanted.into_iter().map(|(text, qos)| {
            let filter = Filter::new(&text).filter(|filter| self.hub.policy.subscribe(filter))?;
            let new = !self.hub.has_filter(&self.outbox, &filter);
            let more = if new { subscriptions::cost(filter.as_str(), filter.is_exact()) } else { 0 };
            self.room.grow_by(more).map_err(|error| full = Some(error)).ok().map(|_| (filter, qos))
        });
        let allowed: Vec<_> = allowed.collect();
        if allowed.iter().flatten().any(|(filter, _)| !filter.is_exact()) {
            let room = timeout(ANSWER, self.hub.router_has_room()).await;
            room.map_err(|_| RouterGone::silent(ANSWER))?;
        }
        let denied = allowed.iter().filter(|allowed| allowed.is_none()).count();
        let Subscribed { mut granted, starts, fence } = self.hub.subscribe(&self.outbox, allowed);
        self.room.hold(self.outbox.filter_bytes());
        granted.resize(asked, None);
        self.tell_refused(denied, granted.iter().filter(|granted| granted.is_none()).count() - denied, full);
        if let Some(fence) = fence {
            answered(fence).await?;
        }
        let mut batch = Batch::default();
        let holds_back = self.replays.are_open() || self.fence.is_some();
        self.add_filters(starts.iter().map(|(filter, qos, _)| (filter, *qos)), &mut batch);
        let (mut newest, mut asked) = (0, false);
        for (filter, qos, start) in starts {
            // What is older comes as retained or, to a new subscription, not at all.
            let since = match start {
                Start::After(number) => number,
                Start::Answer(answer) => {
                    asked = true;
                    answered(answer).await?
                }
            };
            newest = newest.max(since);
            let comes = !filter.is_exact() || self.hub.between_messages(|kept, _| kept.get(filter.as_str()).is_some());
            if comes {
                (self.fence, self.answered) = (None, Instant::now());
                self.skips |= !filter.is_exact();
                self.replays.begin(filter, qos, since);
            }
        }
        // While one wildcard was answered and the next was not, messages came another way than from now on.
        if asked && let Some(fence) = self.hub.fence() {
            answered(fence).await?;
        }
        if !holds_back {
            self.outbox.release_up_to(newest); // else with the rest, in order
        }
        self.store_filters(batch).await;
        Ok(granted)
    }

    fn tell_refused(&mut self, denied: usize, too_many: usize, full: Option<Full>) {
        self.hub.metrics.subscriptions_refused.inc_by((denied + too_many) as u64);
        let why = match (full, denied, too_many) {
            (None, 0, 0) => return,
            (Some(full), ..) => full.to_string(),
            (None, _, 0) => "no filter, or one that is not offered".to_owned(),
            _ => "too many filters (mqtt.max_subscriptions)".to_owned(),
        };
        if let Some(more) = self.limiter.due() {
            tracing::warn!(clientId = self.id, refused = denied + too_many, more, why, "subscription_refused");
        }
    }

    async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), RouterGone> {
        let mut batch = Batch::default();
        self.replays.end(&self.id, filters, &mut batch);
        let settled = match self.hub.end_filters(&self.outbox, filters) {
            Some(fence) => answered(fence).await,
            None => Ok(()),
        };
        self.hub.take_out(&self.outbox, false); // in any case: they have ended
        self.room.hold(self.outbox.filter_bytes());
        settled?;
        self.forget_filters(filters, batch).await;
        Ok(())
    }
}

/// Waits for something that comes with the router's answers.
async fn answered<T>(answer: oneshot::Receiver<T>) -> Result<T, RouterGone> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(|error| RouterGone::because(&error)),
        Err(_) => Err(RouterGone::silent(ANSWER)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each client has a task of this size for as long as it is connected.
    #[test]
    fn a_sessions_task_stays_small() {
        fn size<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let task = size(Session::live) + size(Session::run);
        assert!(task <= 2_500, "{task} bytes");
    }
}
