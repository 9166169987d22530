//! One client id: its subscriptions, queues and handshakes, and its present connection, if any.
//!
//! One task owns a session from its first CONNECT to its end. A client that connects with the same id is handed to that task,
//! so that take-over, will and resumption happen one after the other. Works over any byte stream.

mod aliases;
mod bunch;
mod connection;
mod dialect;
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
mod review;
mod serve;
mod subscriptions;
mod will;

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until, timeout};

use self::bunch::{bunched, write_now};
use self::connection::{Connection, End};
use self::dialect::Dialect;
use self::inbound::Inbound;
use self::outbound::Outbound;
use self::queued::Queued;
use self::replays::Replays;
use self::will::{Will, say};
use super::codec::{self, Connect, Options, Publish, QoS, Reason, Welcome};
use super::fairness::Voice;
use super::hub::{Hub, Phase, reached};
use super::inbox::Stream;
use super::outlet::{Start, Started, Subscribed};
use super::presence::{LastWord, Visit};
use super::register::{Arrival, Entered, Entry};
use super::router::RouterGone;
use super::topic::Filter;
use super::wanted::Wanted;
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

/// What a client of MQTT 5 without a keep-alive is asked to use, in seconds. Paho does not, so none is held to it.
const SUGGESTED_KEEP_ALIVE: u16 = 60;

/// Why a client got no session; hands its arrival back.
pub(super) struct Refused {
    pub(super) arrival: Box<Arrival>,
    pub(super) reason: Reason,
    pub(super) why: Cow<'static, str>,
}

/// Hands a client to the session of its id, or gives a new session's task.
pub(super) fn enter(
    hub: &Arc<Hub>,
    arrival: Box<Arrival>,
) -> Result<Option<impl Future<Output = ()> + Send + use<>>, Refused> {
    let (entry, arrival) = match hub.register.enter(arrival) {
        Entered::Handed => return Ok(None),
        Entered::Refused(arrival, why) => return Err(Refused { arrival, reason: Reason::Unavailable, why }),
        Entered::NotYours(arrival) => {
            let why = "this client id is in use by somebody else".into();
            return Err(Refused { arrival, reason: Reason::BadClientId, why });
        }
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
    let entry = hub.register.restore(&record.id, record.is_device, record.owner.as_deref().map(Into::into))?;
    let mut session = Box::new(Session::new(hub, record.id.clone(), entry));
    let _ = session.review(); // Err: asked before
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
    let entry = hub.register.restore(id, false, None)?;
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
    /// Seconds that it is kept without its client; `u32::MAX`: as long as any.
    expiry: u32,
    /// Whether it is kept at all when its client leaves.
    kept: bool,
    /// Its client is a bridge by its level.
    is_bridge: bool,
    /// It is one at all: in MQTT 5 it is known by what it subscribes to.
    relays: bool,
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
        let number = entry.number;
        let voice =
            Voice::new(hub.settings.client_messages_per_second, hub.settings.client_bytes_per_second, Instant::now());
        Self {
            id,
            outbox: Member::new(
                (number, entry.presence.bell.clone()),
                outbound,
                hub.settings.max_subscriptions,
                hub.laggards(),
            ),
            held_since: None,
            said: String::new(),
            lagging: None,
            laggards: hub.laggards().watch(),
            voice,
            expires: Instant::now(),
            entry,
            newcomer: None,
            expiry: 0,
            kept: false,
            is_bridge: false,
            relays: false,
            will: Will::default(),
            replays: Replays::default(),
            fence: None,
            skips: false,
            answered: Instant::now(),
            limiter: LogLimiter::default(),
            inbound: Inbound::of(number),
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
        let Arrival { stream, read, mut connect, peer, who, identity, ending, ear, seat, will, is_named, .. } =
            arrival.unpacked();
        self.admit(identity);
        self.room.moves_to(&who);
        let visit = Visit::begin(&self.hub, &connect, &peer);
        let present = Box::pin(self.resume(&connect, who, will)).await;
        let event = if present { "mqtt_reconnect" } else { "mqtt_connect" };
        let (version, clean) = (connect.version.name(), connect.clean);
        tracing::info!(clientId = self.id, peer, version, clean, keepAlive = connect.keep_alive, "{event}");
        let mut connection = Connection::new((stream, read), &connect, visit.meter.clone(), ending);
        self.welcome(&mut connection, present, &connect, is_named);
        let (mut will, delay) = (connect.will.take(), connect.will_delay);
        drop(connect);
        let end = self.serve(&mut connection, ear).await;
        tracing::info!(clientId = self.id, peer, why = %end, "mqtt_disconnect");
        self.outbox.outbound(|outbound| self.replays.rewind(outbound));
        (self.lagging, self.fence) = (None, None);
        let policy = &self.hub.policy;
        let is_present_value =
            |topic: &[u8]| std::str::from_utf8(topic).is_ok_and(|topic| policy.is_present_value(topic));
        let way_out = self.outbox.disconnect(is_present_value, self.newcomer.is_some());
        will = will.filter(|_| end.fires_will());
        let due = will.as_ref().and_then(|_| self.delayed(delay));
        let last = match (&will, due) {
            (None, _) => LastWord::None,
            (Some(_), None) => LastWord::Published,
            (Some(_), Some(_)) => LastWord::Delayed,
        };
        if due.is_some() {
            will = None;
        }
        let is_dismissed = self.outbox.is_dismissed();
        if is_dismissed {
            self.inbound.leave_to(self.hub.doorman.nobody()); // its will may say that it is gone, and command nothing
        }
        // What comes once does not take room in every task.
        Box::pin(self.finish(&mut connection, will)).await;
        Box::pin(visit.end(end.to_string(), (last, self.relays), end.next())).await;
        let goes_on = self.newcomer.is_some();
        let mut over = self.will.over(&self.id, &end, goes_on, due.filter(|_| !goes_on));
        if self.will.is_delayed() {
            wills::note_end(&self.hub.store, &mut over, &self.id);
        }
        if is_dismissed && !goes_on {
            self.look_again().await;
        }
        self.save(false, over).await;
        write_now(); // others have its last words before it sees that it is gone
        if !self.kept && !goes_on {
            self.entry.disown(); // who sees it gone may have its client id
        }
        say_why(way_out, &connection, &end);
        drop((connection, seat));
        let next = self.newcomer.take();
        if next.is_none() {
            self.entry.client_left();
        }
        next
    }

    /// The client is there: its session goes on, or a new one begins; whether it goes on. What the store has to know is
    /// written.
    async fn resume(&mut self, connect: &Connect, who: Who, will: Option<Share>) -> bool {
        let evicted = self.outbox.comes(&who).map(|why| self.evicted(&why)).is_some();
        self.inbound.begin(connect, who);
        self.entry.presence.set(true);
        let is_over = Instant::now() >= self.expires; // and its task had no turn yet
        let present = self.kept && !connect.clean && !evicted && !is_over;
        if present {
            Box::pin(self.leave_shares()).await;
        } else {
            if self.will.is_delayed() {
                self.fire_will().await; // its session ends before its delay does (MQTT 5, section 3.1.3.2.2)
            }
            self.reset().await;
        }
        self.expiry = connect.session_expiry;
        (self.kept, self.is_bridge) = (self.expiry > 0, connect.is_bridge);
        self.relays = connect.is_bridge || (present && self.relays); // it need not subscribe again
        if !self.kept {
            if present {
                purge(&self.hub, &self.id, self.outbox.number()).await; // from now on it ends with its connection
            }
            self.outbox.keep(0);
        } else if !present {
            self.outbox.keep(self.hub.lasting.new_session()); // the store may still name an earlier one
        }
        self.inbound.keep(self.kept.then(|| self.id.clone()));
        let promised = self.will.promise(connect, will);
        self.save(true, promised).await;
        present
    }

    /// When a will with this delay is due; `None`: it has none, for the session goes on without its client or not at all.
    /// One that comes back to its session in time takes its will back.
    fn delayed(&self, delay: u32) -> Option<Instant> {
        let delay = Duration::from_secs(delay.min(self.expiry).into());
        let begins_anew = self.newcomer.as_ref().is_some_and(|next| next.connect.clean);
        (self.kept && !delay.is_zero() && !begins_anew).then(|| Instant::now() + delay)
    }

    /// From here on the client is given what comes, behind CONNACK and what it missed of dmxd's own topics.
    fn welcome(&mut self, connection: &mut Connection, present: bool, connect: &Connect, is_named: bool) {
        let Some(half) = connection.write_half.take() else { return };
        let longest = u32::try_from(self.longest_life().as_secs()).unwrap_or(u32::MAX);
        let welcome = Welcome {
            session_expiry: Some(longest).filter(|longest| connect.session_expiry > *longest),
            max_packet: u32::try_from(self.hub.settings.max_packet_bytes).ok(),
            topic_aliases: aliases::MOST,
            client_id: is_named.then_some(&self.id),
            keep_alive: (connect.keep_alive == 0).then_some(SUGGESTED_KEEP_ALIVE),
        };
        let mut out = BytesMut::new();
        codec::connack(&mut out, connect.version, present, Reason::Success, &welcome, "");
        let dialect = Dialect::new(connect);
        self.hub.between_messages(|retained, number| {
            self.outbox.connect(half, dialect, connection.meter.clone(), out);
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
            let expires = self.outbox.outbound(Outbound::drop_expired);
            self.count_dropped();
            self.forget_arrived().await;
            if self.outbox.is_dismissed() {
                self.look_again().await;
                if !self.kept && !self.will.is_due() {
                    return None;
                }
            }
            tokio::select! {
                arrival = self.entry.mailbox.recv() => match arrival {
                    Some(arrival) => return Some(arrival),
                    None => return self.give_up().await,
                },
                () = reached(&mut phase, Phase::Quiet) => return None,
                () = self.outbox.news() => {}
                () = until(expires) => {}
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
                    tracing::info!(clientId = self.id, "session_expired: unused for as long as it asked for, or mqtt.session_expiry_days");
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
        let grant = self.inbound.with_grant(None);
        let is_left = !self.will.is_delayed();
        self.will = Will::default();
        say(&self.hub, &self.id, &mut self.inbound, is_left).await;
        self.inbound.with_grant(grant);
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
        let chosen = self.outbox.chosen();
        self.hub.take_out(&self.outbox, true);
        if !chosen.is_empty() {
            Box::pin(keeping::pass_on(self.hub.clone(), chosen)).await;
        }
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

    /// Adds and changes subscriptions; gives each filter's grant in the order requested. `id`: their identifier, 0 for none.
    async fn subscribe(
        &mut self,
        mut wanted: Vec<(String, Options)>,
        id: u32,
    ) -> Result<Vec<Result<QoS, Reason>>, RouterGone> {
        let (asked, mut full) = (wanted.len(), None);
        wanted.truncate(self.hub.settings.max_subscriptions);
        self.relays |= wanted.iter().any(|(_, options)| options.no_local && options.retain_as_published);
        let allowed = wanted.into_iter().map(|(text, options)| {
            let filter = Filter::new(&text).ok_or(Reason::BadFilter)?;
            if self.inbound.grant().is_some_and(|grant| !grant.may_subscribe(&filter)) {
                return Err(Reason::NotAuthorized);
            }
            let new = !self.hub.has_filter(&self.outbox, &filter);
            let more = if new { subscriptions::cost(filter.as_str()) } else { 0 };
            let room = self.room.grow_by(more).map_err(|error| full = Some(error));
            room.map(|_| (filter, Wanted { options: self.as_bridge(options), id })).map_err(|()| Reason::QuotaExceeded)
        });
        let allowed: Vec<_> = allowed.collect();
        if allowed.iter().flatten().any(|(filter, _)| !filter.is_exact() && filter.shared().is_none()) {
            let room = timeout(ANSWER, self.hub.router_has_room()).await;
            room.map_err(|_| RouterGone::silent(ANSWER))?;
        }
        let Subscribed { mut granted, starts, fence } = self.hub.subscribe(&self.outbox, allowed);
        self.room.hold(self.outbox.filter_bytes());
        granted.resize(asked, Err(Reason::QuotaExceeded));
        self.tell_refused(&granted, full);
        if let Some(fence) = fence {
            answered(fence).await?;
        }
        let mut batch = Batch::default();
        let holds_back = self.replays.are_open() || self.fence.is_some();
        self.add_filters(starts.iter().map(|started| (&started.filter, started.wanted)), &mut batch);
        let (mut newest, mut asked) = (0, false);
        for Started { filter, wanted, replays, start } in starts {
            // What is older comes as retained or, to a new subscription, not at all.
            let since = match start {
                Start::After(number) => number,
                Start::Answer(answer) => {
                    asked = true;
                    answered(answer).await?
                }
            };
            newest = newest.max(since);
            let is_there = || self.hub.between_messages(|kept, _| kept.get(filter.as_str()).is_some());
            let comes = replays && (!filter.is_exact() || is_there());
            if comes {
                (self.fence, self.answered) = (None, Instant::now());
                self.skips |= !filter.is_exact();
                self.replays.begin(filter, wanted.options.qos, since);
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

    /// A bridge says by its level what MQTT 5 has options for: retain flags stay as published, and nothing of its own comes
    /// back.
    fn as_bridge(&self, options: Options) -> Options {
        if self.is_bridge { Options { no_local: true, retain_as_published: true, ..options } } else { options }
    }

    fn tell_refused(&mut self, granted: &[Result<QoS, Reason>], full: Option<Full>) {
        let refused = granted.iter().filter(|granted| granted.is_err()).count();
        let is_denied = |granted: &Result<QoS, Reason>| !matches!(granted, Ok(_) | Err(Reason::QuotaExceeded));
        self.hub.metrics.subscriptions_refused.inc_by(refused as u64);
        let why = match full {
            _ if refused == 0 => return,
            Some(full) => full.to_string(),
            None if granted.contains(&Err(Reason::NotAuthorized)) => {
                "a filter that this client may not have (its role, or mqtt.acl)".to_owned()
            }
            None if granted.iter().any(is_denied) => "no filter, or one that is not offered".to_owned(),
            None => "too many filters (mqtt.max_subscriptions)".to_owned(),
        };
        if let Some(more) = self.limiter.due() {
            tracing::warn!(clientId = self.id, refused, more, why, "subscription_refused");
        }
    }

    /// Ends subscriptions; gives for each filter whether there was one.
    async fn unsubscribe(&mut self, filters: &[String]) -> Result<Vec<Reason>, RouterGone> {
        let is_there = |text: &String| {
            let there = Filter::new(text).is_some_and(|filter| self.hub.has_filter(&self.outbox, &filter));
            if there { Reason::Success } else { Reason::NoSubscription }
        };
        let ended = filters.iter().map(is_there).collect();
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
        Ok(ended)
    }
}

/// Tells a client of MQTT 5 why its connection ends, if it takes that at once.
fn say_why(way_out: Option<WriteHalf<Box<dyn Stream>>>, connection: &Connection, end: &End) {
    let (Some(mut half), Some(reason)) = (way_out.filter(|_| connection.version.is_v5()), end.reason()) else { return };
    let mut out = connection.out.clone();
    codec::fitting(&mut out, connection.max_packet, &end.to_string(), |out, why| codec::disconnect(out, reason, why));
    let said = std::pin::pin!(unconstrained(half.write_all(&out)));
    let _ = said.poll(&mut Context::from_waker(Waker::noop())); // it is closed in any case
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
