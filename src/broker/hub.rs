//! What all sessions share: the way to all who subscribed, the retained store, the register of sessions.
//!
//! A message goes two ways. Those who have its topic as an exact filter are given it at once, in the one order of all
//! messages (`outlet`). To wildcards it goes through the router, whose taps hand it out. A session takes each topic by one
//! way only (`session::subscriptions`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::codec::{Publish, Reason};
use super::commands::Commands;
use super::crowds::Crowds;
use super::doorman::Doorman;
use super::hearing::Hearing;
use super::lasting::{self, Lasting};
use super::losses::Losses;
pub(super) use super::message::Message;
use super::outlet::{Outlet, Passing, Subscribed, hand_out};
use super::policy::{Policy, Publishing};
use super::presence::Presence;
use super::properties;
use super::refused::Refused;
use super::register::Register;
use super::retained::{self, Held, Retained, RetainedMessages, StoredMessage};
use super::router::{MOST_TOPICS, News, Order, PROBES, Publisher, Router, RouterGone, TAPS};
use super::session::{Laggards, Member, write_soon};
use super::subscribers::MOST_DEAD_BYTES;
use super::topic::Filter;
use super::traffic::Traffic;
use super::wanted::Wanted;
use crate::config;
use crate::kit::budget::{Budget, Full, Kind, Who};
use crate::kit::health::Health;
use crate::kit::log_limiter::LogLimiters;
use crate::metrics;
use crate::store::{Batch, Store, Tree};

/// Problem in `/readyz` while there is no router.
const ROUTER: &str = "ROUTER_REPLACED";

/// Filters of one SUBSCRIBE that are added at a time: meanwhile no message passes.
const FILTERS_AT_ONCE: usize = 1_000;

/// Stands for the filter of lost messages where none is known.
const UNKNOWN: &str = "*";

/// The phases of the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Serving.
    Open,
    /// Nothing more is read from clients; what was read is finished and answered.
    Quiet,
    /// The last messages are sent, then connections end.
    Closing,
    /// All connections have ended.
    Closed,
}

/// Ends once the stop has reached `phase`, or the hub is gone. Cancel-safe.
pub(super) async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = phases.wait_for(|now| *now >= phase).await; // Err: the hub is gone
}

pub(super) struct Hub {
    /// The present router; another takes its place when it dies or has grown too large.
    routers: watch::Sender<Arc<Router>>,
    pub(super) policy: Box<dyn Policy>,
    pub(super) commands: Commands,
    pub(super) settings: config::Mqtt,
    pub(super) web_port: u16,
    pub(super) doorman: Doorman,
    pub(super) metrics: metrics::Broker,
    pub(super) traffic: Arc<Traffic>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) hearing: Hearing,
    pub(super) register: Register,
    pub(super) presence: Presence,
    outlet: Mutex<Outlet>,
    crowds: Crowds<Member>,
    /// There is something for a tap to do.
    ordered: [Notify; TAPS],
    /// The guardian's message has come round.
    pub(super) probed: Notify,
    /// The router knows too many topics: it is handed no new ones.
    pub(super) full: Arc<Notify>,
    router_serves: watch::Sender<bool>,
    losses: Mutex<Losses>,
    /// Limits log lines about those who were not let in, by address.
    pub(super) refusals: Mutex<LogLimiters>,
    pub(super) refused: Mutex<Refused>,
    /// What is stored for kept sessions.
    pub(super) lasting: Arc<Lasting>,
    /// Held from the look at how far sessions are to its place in the store's queue.
    saving: Mutex<()>,
    /// Retained messages that are on their way to the store, and in memory once they are there.
    retaining: AtomicUsize,
    laggards: Arc<Laggards>,
    pub(super) budget: Budget,
    health: Health,
    pub(super) store: Store,
}

pub(super) struct HubDeps {
    pub(super) router: Router,
    pub(super) publisher: Publisher,
    pub(super) policy: Box<dyn Policy>,
    pub(super) commands: Commands,
    pub(super) settings: config::Mqtt,
    pub(super) web_port: u16,
    pub(super) doorman: Doorman,
    pub(super) metrics: metrics::Broker,
    pub(super) budget: Budget,
    pub(super) health: Health,
    pub(super) store: Store,
}

/// What a retained message holds, whatever the limits say: they were asked before it was stored.
fn held_by(budget: &Budget, who: &Who, bytes: usize) -> Held {
    let hold = |kind, units| budget.hold(kind, who.clone(), units);
    Held { _place: hold(Kind::Retained, 1), _bytes: hold(Kind::RetainedBytes, bytes) }
}

impl Hub {
    /// Starts with the retained messages of the last run.
    pub(super) fn new(deps: HubDeps) -> Arc<Self> {
        let HubDeps {
            router,
            publisher,
            policy,
            commands,
            settings,
            web_port,
            doorman,
            metrics,
            budget,
            health,
            store,
        } = deps;
        let mut retained = RetainedMessages::default();
        for (topic, stored) in store.scan(Tree::Retained, b"") {
            // a topic that has since become dmxd's own (by another prefix) is no longer a client's
            if let Some(StoredMessage { topic, payload, qos, extra }) = retained::from_stored(&store, &topic, &stored)
                && policy.publish(topic) == Publishing::Allowed
            {
                let held = held_by(&budget, &Who::default(), topic.len() + payload.len() + properties::size(&extra));
                let message = Message { extra: &extra, ..Message::ours(topic, payload, qos, true) };
                retained.set(&message, 0, Some(held));
            }
        }
        let register = Register::new(budget.clone(), &metrics);
        let presence = Presence::new(settings.max_devices, &metrics);
        let full = Arc::new(Notify::new());
        let outlet = Outlet::new(retained, publisher, full.clone());
        let hub = Self {
            routers: watch::Sender::new(Arc::new(router)),
            policy,
            commands,
            laggards: Laggards::new(&metrics),
            settings,
            web_port,
            doorman,
            metrics,
            traffic: Arc::default(),
            phase: watch::Sender::new(Phase::Open),
            hearing: Hearing::default(),
            register,
            presence,
            outlet: Mutex::new(outlet),
            crowds: Crowds::new(|member: &Member| member.flush()),
            ordered: Default::default(),
            probed: Notify::new(),
            full,
            router_serves: watch::Sender::new(true),
            losses: Mutex::default(),
            refusals: Mutex::default(),
            refused: Mutex::default(),
            lasting: Arc::new(Lasting::new(&budget)),
            saving: Mutex::default(),
            retaining: AtomicUsize::new(0),
            budget,
            health,
            store,
        };
        hub.count_retained(&hub.outlet.lock());
        Arc::new(hub)
    }

    /// The present router, which messages and sessions pass through; an error while there is none.
    pub(super) fn is_serving(&self) -> bool {
        *self.router_serves.borrow()
    }

    /// The present router, and every replacement.
    pub(super) fn routers(&self) -> watch::Receiver<Arc<Router>> {
        self.routers.subscribe()
    }

    /// Reports that the router of this generation does not answer: the guardian replaces it, unless it has already.
    pub(super) fn router_is_gone(&self, generation: usize, error: &super::router::RouterGone) {
        // Held to the end, so that another router cannot take its place in between and be called dead instead.
        let present = self.routers.borrow();
        if present.generation() == generation && self.router_serves.send_replace(false) {
            tracing::error!(generation, %error, "router_gone");
            self.metrics.serving.set(0);
            self.health.raise(
                ROUTER,
                "the message router of the MQTT broker died and is being replaced; when this stays, restart the appliance",
            );
        }
    }

    /// Ends when the router is dead. Cancel-safe.
    pub(super) async fn router_ended(&self) {
        let _ = self.router_serves.subscribe().wait_for(|serves| !serves).await; // Err: impossible, the sender is ours
    }

    /// Puts another router in the place of the present one, whose taps have ended. It is asked for every wildcard; once it
    /// has answered it is handed what the old one still owed.
    pub(super) fn replace_router(&self, router: Router, publisher: Publisher, why: &'static str) {
        let old = {
            let mut outlet = self.outlet.lock();
            outlet.move_to(publisher, why);
            self.routers.send_replace(Arc::new(router))
        };
        old.retire();
        drop(old);
        self.ordered.iter().for_each(Notify::notify_one);
        self.hand_out(&[]); // there may be nothing to ask for
    }

    /// What a tap is to do, when there is something. Cancel-safe.
    pub(super) async fn ordered(&self, tap: usize) {
        match self.ordered.get(tap) {
            Some(ordered) => ordered.notified().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn take_orders(&self, tap: usize) -> Vec<Order> {
        self.outlet.lock().take_orders(tap)
    }

    fn order(&self, taps: [bool; TAPS]) {
        self.ordered.iter().zip(taps).filter(|(_, ordered)| *ordered).for_each(|(tap, _)| tap.notify_one());
    }

    /// Gives what a tap has brought to all who have its filters.
    pub(super) fn hand_out(&self, news: &[News]) {
        if news.iter().any(|news| matches!(news, News::Came(PROBES, _))) {
            self.probed.notify_one();
        }
        let mut outlet = self.outlet.lock();
        let (deliveries, ready) = outlet.read(news);
        if ready && let Some(why) = outlet.go_on() {
            self.metrics.routers.with_label_values(&[why]).inc();
            self.router_serves.send_replace(true);
            self.metrics.serving.set(1);
            self.health.clear(ROUTER);
        }
        drop(outlet);
        let touched = hand_out(&deliveries);
        let mut outlet = self.outlet.lock();
        let done = outlet.settle(news);
        drop(outlet);
        touched.iter().for_each(|member| member.flush());
        if let Err((generation, error)) = done {
            self.router_is_gone(generation, &error);
        }
    }

    /// Whether the router owes nothing.
    pub(super) fn is_settled(&self) -> bool {
        let outlet = self.outlet.lock();
        outlet.is_settled(outlet.number)
    }

    /// Whether the router has not brought what it was handed so long ago.
    pub(super) fn is_late(&self, patience: Duration) -> bool {
        self.outlet.lock().is_late(patience)
    }

    /// The guardian's message; false while there is no router to send it to.
    pub(super) fn probe(&self) -> Result<bool, RouterGone> {
        self.outlet.lock().probe()
    }

    /// Whether the router should make room for another: it was given more topics than it should remember for ever (if these
    /// `count`), or holds much for nobody.
    pub(super) fn router_is_full(&self, most_dead_bytes: usize, count: bool) -> bool {
        let outlet = self.outlet.lock();
        let (topics, filters) = outlet.router_knows();
        self.metrics.topics.set(topics as i64);
        self.metrics.filters.set(filters as i64);
        (count && topics >= MOST_TOPICS) || outlet.subscribers.dead_bytes() > most_dead_bytes
    }

    /// Ends when the router does not hold too much for nobody, until which nobody's new wildcards go to it. Cancel-safe.
    pub(super) async fn router_has_room(&self) {
        let mut routers = self.routers.subscribe();
        while self.outlet.lock().subscribers.dead_bytes() > MOST_DEAD_BYTES {
            self.full.notify_one();
            if routers.changed().await.is_err() {
                return; // impossible, the sender is ours
            }
        }
    }

    /// Ends when a client's next message may be handed on; `None`: it may now.
    pub(super) fn room(&self) -> Option<oneshot::Receiver<()>> {
        self.outlet.lock().room()
    }

    /// Ends when the router owes nothing up to now; `None`: it owes nothing.
    pub(super) fn fence(&self) -> Option<oneshot::Receiver<()>> {
        self.outlet.lock().fence()
    }

    /// Counts messages of a topic that had to go from a session's queue; without one, of several.
    pub(super) fn lost_by(&self, member: &Member, client: &str, topic: &[u8], count: u64) {
        let topic = std::str::from_utf8(topic).unwrap_or_default(); // it was a `str`
        let meant = self.outlet.lock().subscribers.matching(topic).1;
        let filter = member.filter_for(topic, &meant).filter(|_| !topic.is_empty());
        let filter = filter.unwrap_or_else(|| UNKNOWN.to_owned());
        self.losses.lock().of_client(client, &filter, count, &self.metrics);
    }

    /// Counts messages that had to go before their session was there.
    pub(super) fn lost_before_start(&self, client: &str, count: u64) {
        self.losses.lock().of_client(client, UNKNOWN, count, &self.metrics);
    }

    /// What the store holds for kept sessions; numbers go on above it.
    pub(super) fn recall(&self) -> lasting::Left {
        let left = self.lasting.recall(&self.store);
        self.outlet.lock().number = left.highest;
        left
    }

    /// What is left of it belongs to sessions that are no more.
    pub(super) async fn forget_strays(&self, left: &lasting::Left) {
        let mut batch = Batch::default();
        for session in left.progress.keys().chain(left.handshakes.keys()) {
            lasting::forget_session(&self.store, *session, &mut batch);
        }
        self.store.commit(batch, || {}).await;
    }

    /// All messages up to this one have been given to all.
    pub(super) fn settled(&self) -> u64 {
        self.outlet.lock().settled()
    }

    /// Hands a message to everyone who subscribed. A retained one is kept in memory only: dmxd's own are made anew
    /// at each start, clients' go through [`Hub::retain`]. For kept sessions it is stored only if one of them is away: no
    /// publisher was promised more, and who listens to everything would wear the card.
    pub(super) fn publish(&self, message: Message<'_>) {
        self.pass_on(message, (None, None), |_| Box::new(|| {}));
    }

    /// The same for a client, to which `note` belongs: that is written with what the message stores. The receiver hears when
    /// all of it is written, and all have been given the message. `None`: they have, and nothing is. Also whether anybody
    /// wanted it.
    pub(super) fn give(self: &Arc<Self>, message: Message<'_>, note: Batch) -> (Option<oneshot::Receiver<()>>, bool) {
        let mut told = None;
        let (owed, wanted) = self.pass_on(message, (Some(note), None), |owed| {
            let (given, heard) = oneshot::channel();
            told = Some(heard);
            let hub = self.clone();
            Box::new(move || hub.tell_when_given(owed, given))
        });
        let heard = match (told, owed) {
            (Some(heard), _) => Some(heard),
            (None, None) => None,
            (None, owed) => {
                let (given, heard) = oneshot::channel();
                self.tell_when_given(owed, given);
                Some(heard)
            }
        };
        (heard, wanted)
    }

    /// Tells somebody when all have been given a message that the router owes.
    fn tell_when_given(&self, owed: Option<u64>, given: oneshot::Sender<()>) {
        self.outlet.lock().tell(owed.unwrap_or(0), given);
    }

    /// Hands a message on, and stores it with its publisher's `note` before that: whatever is written later is behind it.
    /// `written` makes what is done after the write, if there is one; it, too, is told the number of a message that the
    /// router owes. `held`: what a retained one holds of the budget. Gives its number if the router owes it, and whether
    /// anybody wanted it.
    fn pass_on(
        &self,
        message: Message<'_>,
        (note, held): (Option<Batch>, Option<Held>),
        written: impl FnOnce(Option<u64>) -> Box<dyn FnOnce() + Send>,
    ) -> (Option<u64>, bool) {
        let is_present_value = self.policy.is_present_value(message.topic);
        let (mut touched, mut stores) = (Vec::new(), false);
        let mut outlet = self.outlet.lock();
        outlet.number += 1;
        let number = outlet.number;
        if message.keep {
            outlet.retained.set(&message, number, held);
            if properties::expires(message.extra).is_some() {
                self.lasting.news.notify_one(); // the sweeper looks when
            }
            self.presence.retained(message.topic, message.payload);
            self.count_retained(&outlet);
        }
        let done = outlet.pass(&message, is_present_value, &mut touched, |mut recipients, owed| {
            let (away, is_ours) = (lasting::away(&recipients), note.is_none());
            let mut batch = note.unwrap_or_default();
            let wanted = if is_ours { away > 0 } else { !recipients.is_empty() };
            let stored = wanted.then(|| self.lasting.keep(&mut batch, number, &message, &mut recipients));
            if !batch.is_empty() {
                stores = true;
                let (written, counter) = (written(owed.then_some(number)), self.metrics.letters_stored.clone());
                self.store.enqueue(batch, move || {
                    counter.inc_by(away);
                    written();
                });
            }
            stored
        });
        drop(outlet);
        if stores {
            self.store.release();
        }
        self.crowds.write(write_soon(touched));
        let passing = done.unwrap_or_else(|(generation, error)| {
            self.router_is_gone(generation, &error);
            Passing::Owed // the next router is handed it
        });
        ((passing == Passing::Owed).then_some(number), passing != Passing::Nobody)
    }

    /// Gives a message to one more member of a group, since the session that it was chosen for has ended.
    pub(super) fn give_to_group(&self, group: &str, message: &Message<'_>) {
        let (mut touched, mut stores) = (Vec::new(), false);
        let mut outlet = self.outlet.lock();
        outlet.number += 1;
        let number = outlet.number;
        outlet.pass_to_group(group, message, &mut touched, |mut recipients| {
            stores = !recipients.is_empty();
            let mut batch = Batch::default();
            let stored = stores.then(|| self.lasting.keep(&mut batch, number, message, &mut recipients))?;
            self.store.enqueue(batch, || {});
            Some(stored)
        });
        drop(outlet);
        if stores {
            self.store.release();
        }
        self.crowds.write(write_soon(touched));
    }

    /// Whether anybody subscribes to this topic, connected or away.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.outlet.lock().is_heard(topic)
    }

    /// Keeps a client's message in the store, and hands it on once it is written; the receiver hears when all have it.
    /// What belongs to it (`note`) is written with what that stores.
    pub(super) async fn retain(
        self: &Arc<Self>,
        publish: &Publish,
        note: Batch,
        (who, from): (&Who, u64),
    ) -> oneshot::Receiver<()> {
        let bytes = publish.size();
        let (budget, who) = (self.budget.clone(), who.clone());
        self.keep((publish, from), note, |_| true, move || Some(held_by(&budget, &who, bytes))).await
    }

    /// The same for one of dmxd's own, which is sent only if it is `still` wanted once it is written.
    pub(super) async fn retain_if(
        self: &Arc<Self>,
        publish: &Publish,
        note: Batch,
        still: impl FnOnce(&Self) -> bool + Send + 'static,
    ) -> oneshot::Receiver<()> {
        self.keep((publish, 0), note, still, || None).await
    }

    async fn keep(
        self: &Arc<Self>,
        (publish, from): (&Publish, u64),
        note: Batch,
        still: impl FnOnce(&Self) -> bool + Send + 'static,
        held: impl FnOnce() -> Option<Held> + Send + 'static,
    ) -> oneshot::Receiver<()> {
        let Publish { topic, payload, qos, .. } = publish.clone();
        let extra = properties::of(publish);
        let (told, heard) = oneshot::channel();
        let mut batch = Batch::default();
        if payload.is_empty() {
            batch.delete(Tree::Retained, topic.as_bytes());
        } else {
            batch.put(Tree::Retained, topic.as_bytes(), retained::to_stored(&payload, qos, &extra));
        }
        let hub = self.clone();
        let release = move || {
            if !still(&hub) {
                hub.retaining.fetch_sub(1, Ordering::Relaxed);
                let _ = told.send(()); // Err: it is gone
                return;
            }
            let (retain, keep) = (true, true);
            let message = Message { topic: &topic, payload: &payload, qos, retain, keep, extra: &extra, from };
            let mut told = Some(told);
            let (owed, _) = hub.pass_on(message, (Some(note), held()), |owed| {
                let (hub, told) = (hub.clone(), told.take());
                Box::new(move || told.into_iter().for_each(|told| hub.tell_when_given(owed, told)))
            });
            hub.retaining.fetch_sub(1, Ordering::Relaxed);
            told.into_iter().for_each(|told| hub.tell_when_given(owed, told));
        };
        self.store.room().await;
        let begins = |_: u64, _: &mut Batch| {
            self.retaining.fetch_add(1, Ordering::Relaxed);
        };
        self.enqueue(batch, begins, release);
        heard
    }

    /// Writes a batch together with what the store should know of stored messages, of which `add` adds a part.
    pub(super) async fn save(&self, batch: Batch, add: impl FnOnce(u64, &mut Batch)) {
        self.store.room().await;
        let (done, written) = oneshot::channel();
        self.enqueue(batch, add, move || {
            let _ = done.send(()); // Err: nobody waits
        });
        let _ = written.await; // Err: the store is closing
    }

    /// When the first retained message expires.
    pub(super) fn first_expiry(&self) -> Option<Instant> {
        self.outlet.lock().retained.first_expiry()
    }

    /// Forgets retained messages that have expired. Not while others are on their way to the store: one of them may be the
    /// next of the same topic, and behind it nothing may be deleted.
    pub(super) fn forget_expired(&self) {
        let saving = self.saving.lock();
        if self.retaining.load(Ordering::Relaxed) > 0 {
            return;
        }
        let (mut batch, mut outlet) = (Batch::default(), self.outlet.lock());
        for topic in outlet.retained.take_expired(Instant::now()) {
            self.presence.retained(&topic, b"");
            batch.delete(Tree::Retained, topic.as_bytes());
        }
        self.count_retained(&outlet);
        drop(outlet);
        if !batch.is_empty() {
            self.store.enqueue(batch, || {});
            drop(saving);
            self.store.release();
        }
    }

    /// What was looked at later is written later.
    fn enqueue(&self, mut batch: Batch, add: impl FnOnce(u64, &mut Batch), release: impl FnOnce() + Send + 'static) {
        let saving = self.saving.lock();
        let settled = self.settled();
        add(settled, &mut batch);
        self.lasting.collect(settled, &mut batch);
        self.store.enqueue(batch, release);
        drop(saving);
        self.store.release();
    }

    /// Whether a client's message may be retained.
    ///
    /// # Errors
    /// There is no room for it; the limit is named.
    pub(super) fn may_retain(&self, who: &Who, publish: &Publish) -> Result<(), Full> {
        let topic = &publish.topic;
        let size = |payload: &[u8], carried: usize| payload.len() + carried;
        let old = |old: &Retained| size(&old.payload, properties::size(&old.extra));
        let known = self.outlet.lock().retained.get(topic).map(old);
        if known.is_none() {
            self.budget.ask(Kind::Retained, who, 1)?;
        }
        let new = size(&publish.payload, publish.carried.bytes().len());
        let grows = known.map_or(topic.len() + new, |old| new.saturating_sub(old));
        if grows > 0 { self.budget.ask(Kind::RetainedBytes, who, grows) } else { Ok(()) }
    }

    fn count_retained(&self, outlet: &Outlet) {
        self.metrics.retained.set(outlet.retained.len() as i64);
        self.metrics.retained_bytes.set(outlet.retained.bytes() as i64);
    }

    /// Whether what a client says there is for somebody who lags; a command's outcome is dmxd's own message.
    pub(super) fn feeds_laggard(&self, topic: &str) -> bool {
        let own = if matches!(self.policy.publish(topic), Publishing::Command(_)) {
            self.policy.present_values()
        } else {
            Vec::new()
        };
        let outlet = self.outlet.lock();
        let own = own.iter().filter_map(|topic| std::str::from_utf8(topic).ok());
        own.chain([topic]).any(|topic| outlet.lags(topic))
    }

    /// How many sessions lag now; publishers that say much to one wait until it does not.
    pub(super) fn laggards(&self) -> &Arc<Laggards> {
        &self.laggards
    }

    /// Number of the last message.
    pub(super) fn number(&self) -> u64 {
        self.outlet.lock().number
    }

    /// Retained messages of a filter, a page at a time; see [`RetainedMessages::page`].
    pub(super) fn retained_page(
        &self,
        filter: &Filter,
        since: u64,
        after: Option<&str>,
    ) -> (Vec<(String, Retained)>, Option<String>) {
        self.outlet.lock().retained.page(filter, since, after)
    }

    /// Does something with the retained messages that no message may come between; `number` is that of the last one.
    pub(super) fn between_messages<T>(&self, act: impl FnOnce(&RetainedMessages, u64) -> T) -> T {
        let outlet = self.outlet.lock();
        act(&outlet.retained, outlet.number)
    }

    /// Gives a session the filters that the policy allows, as far as there is room.
    pub(super) fn subscribe(&self, member: &Member, wanted: Vec<Result<(Filter, Wanted), Reason>>) -> Subscribed {
        let before = member.filters();
        let mut subscribed = Subscribed::default();
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let some = wanted.by_ref().take(FILTERS_AT_ONCE);
            let ordered = self.outlet.lock().subscribe(member, some, &mut subscribed);
            self.order(ordered);
        }
        self.metrics.subscriptions.add((member.filters() - before) as i64);
        subscribed
    }

    /// Whether a session has this filter.
    pub(super) fn has_filter(&self, member: &Member, filter: &Filter) -> bool {
        let id = self.outlet.lock().subscribers.id_of(filter.as_str());
        member.has(filter, id)
    }

    /// Ends filters of a session: see [`Outlet::end`].
    pub(super) fn end_filters(&self, member: &Member, filters: &[String]) -> Option<oneshot::Receiver<()>> {
        let before = member.filters();
        let fence = self.outlet.lock().end(member, filters);
        self.metrics.subscriptions.sub((before - member.filters()) as i64); // shared ones have ended at once
        fence
    }

    /// Takes the filters that have ended out of a session, or all of them.
    pub(super) fn take_out(&self, member: &Member, all: bool) {
        let (gone, ordered) = self.outlet.lock().take_out(member, all);
        self.metrics.subscriptions.sub(gone as i64);
        self.order(ordered);
    }
}
