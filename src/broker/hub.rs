//! What all sessions share: the way into the router, the retained store, the register of sessions.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::codec::{Publish, QoS};
use super::commands::Commands;
use super::ledger::{Ledger, Place};
use super::losses::Losses;
use super::policy::{Policy, Publishing};
use super::presence::Presence;
use super::recent::{Recent, RecentMessages};
use super::register::Register;
use super::retained::{self, Retained, RetainedMessages};
use super::router::{Publisher, Router};
use super::topic::Filter;
use crate::config;
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::metrics;
use crate::store::{Batch, Store, Tree};

/// Problem in `/readyz` while there is no router.
const ROUTER: &str = "ROUTER_REPLACED";

/// The phases of the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Serving.
    Open,
    /// Nothing more is read from clients; what was read is finished and answered.
    Quiet,
    /// The last messages are sent, then connections end.
    Closing,
}

/// Ends once the stop has reached `phase`, or the hub is gone. Cancel-safe.
pub(super) async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = phases.wait_for(|now| *now >= phase).await; // Err: the hub is gone
}

/// A message on its way through the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

pub(super) struct Hub {
    /// The present router; another takes its place when it dies or has grown too large.
    routers: watch::Sender<Arc<Router>>,
    pub(super) policy: Box<dyn Policy>,
    pub(super) commands: Commands,
    pub(super) settings: config::Mqtt,
    pub(super) metrics: metrics::Broker,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) register: Register,
    pub(super) presence: Presence,
    outlet: Mutex<Outlet>,
    router_serves: watch::Sender<bool>,
    losses: Mutex<Losses>,
    laggards: watch::Sender<usize>,
    pub(super) budget: Budget,
    health: Health,
    pub(super) store: Store,
}

/// What every message passes, under one lock: the retained store and the router see messages in the same order.
struct Outlet {
    publisher: Publisher,
    retained: RetainedMessages,
    recent: RecentMessages,
    /// Who has which filter, and how far behind each is.
    ledger: Ledger,
    /// Number of the last message before this router.
    switched_at: u64,
}

pub(super) struct HubDeps {
    pub(super) router: Router,
    pub(super) publisher: Publisher,
    pub(super) policy: Box<dyn Policy>,
    pub(super) commands: Commands,
    pub(super) settings: config::Mqtt,
    pub(super) metrics: metrics::Broker,
    pub(super) budget: Budget,
    pub(super) health: Health,
    pub(super) store: Store,
}

impl Hub {
    /// Starts with the retained messages of the last run.
    pub(super) fn new(deps: HubDeps) -> Arc<Self> {
        let HubDeps { router, publisher, policy, commands, settings, metrics, budget, health, store } = deps;
        let mut retained = RetainedMessages::default();
        for (topic, stored) in store.scan(Tree::Retained, b"") {
            // a topic that has since become dmxd's own (by another prefix) is no longer a client's
            if let Some((topic, qos, payload)) = retained::from_stored(&store, &topic, &stored)
                && policy.publish(topic) == Publishing::Allowed
            {
                retained.set(topic, payload, qos, 0);
            }
        }
        let register = Register::new(&settings, &metrics);
        let presence = Presence::new(settings.max_devices, &metrics);
        let recent = RecentMessages::new(Instant::now());
        let hub = Self {
            routers: watch::Sender::new(Arc::new(router)),
            policy,
            commands,
            settings,
            metrics,
            phase: watch::Sender::new(Phase::Open),
            register,
            presence,
            outlet: Mutex::new(Outlet { publisher, retained, recent, ledger: Ledger::default(), switched_at: 0 }),
            router_serves: watch::Sender::new(true),
            losses: Mutex::default(),
            laggards: watch::Sender::new(0),
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

    /// Replaces the present router, and gives the old one back. Sessions move by themselves, and take from the recent messages
    /// what the old router did not bring them.
    pub(super) fn replace_router(&self, router: Router, mut publisher: Publisher) -> Arc<Router> {
        let lost = {
            let mut outlet = self.outlet.lock();
            publisher.go_on_from(&outlet.publisher);
            outlet.switched_at = outlet.publisher.number();
            outlet.publisher = publisher;
            outlet.recent.lost()
        };
        let serves = self.is_serving();
        if !serves && lost > 0 {
            // nobody can tell who should have got them
            self.lost("*", lost);
        }
        let old = self.routers.send_replace(Arc::new(router));
        self.metrics.filters.set(0);
        self.router_serves.send_replace(true);
        self.metrics.serving.set(1);
        self.health.clear(ROUTER);
        old
    }

    /// Sends the guardian's probe.
    pub(super) fn probe(&self) -> Result<(), super::router::RouterGone> {
        self.outlet.lock().publisher.probe()
    }

    /// The router has answered a probe.
    pub(super) fn router_works(&self) {
        self.outlet.lock().recent.confirm(Instant::now());
    }

    /// Topics and filters that the present router knows; it never forgets one.
    pub(super) fn router_knows(&self) -> (usize, usize) {
        let topics = self.outlet.lock().publisher.topics();
        let filters = self.routers.borrow().filters();
        self.metrics.topics.set(topics as i64);
        self.metrics.filters.set(filters as i64);
        (topics, filters)
    }

    /// Filters of all present sessions.
    pub(super) fn live_filters(&self) -> usize {
        self.outlet.lock().ledger.filters()
    }

    /// Messages published after `number`, in order, a page at a time.
    pub(super) fn recent_page(&self, number: u64) -> Vec<Recent> {
        self.outlet.lock().recent.behind(number).cloned().collect()
    }

    /// Messages that no session moving now can get any more: those between the last replacement and the first that is still
    /// known. A session that was not up to date then may lack older ones, too.
    pub(super) fn missed(&self, behind_since: Option<Instant>) -> u64 {
        let outlet = self.outlet.lock();
        let first = outlet.recent.first().unwrap_or(outlet.switched_at + 1);
        let since_switch = first.saturating_sub(outlet.switched_at + 1);
        let older = behind_since.zip(outlet.recent.oldest()).is_some_and(|(behind, oldest)| behind < oldest);
        since_switch.max(u64::from(older))
    }

    /// Counts messages that a filter's subscriber did not get.
    pub(super) fn lost(&self, filter: &str, count: u64) {
        self.metrics.dropped.inc_by(count);
        self.losses.lock().count(filter, count, &self.metrics.lost);
    }

    /// Sends a message to all subscribers. A retained one is kept in memory only: dmxd's own are made anew
    /// at each start, and clients' go through [`Hub::retain`].
    pub(super) fn publish(&self, message: Message<'_>) {
        let mut outlet = self.outlet.lock();
        if message.retain {
            let number = outlet.publisher.number() + 1;
            outlet.retained.set(message.topic, message.payload, message.qos, number);
            self.presence.retained(message.topic, message.payload);
            self.count_retained(&outlet);
        }
        let before = outlet.publisher.passed();
        let (recent, sent) = outlet.publisher.publish(message.topic, message.payload, message.qos);
        let lag = outlet.ledger.add(message.topic, recent.passed - before, recent.passed);
        if lag > 0 {
            self.laggards.send_modify(|count| *count += lag);
            self.metrics.laggards.inc_by(lag as u64);
        }
        outlet.recent.push(recent, Instant::now());
        let generation = outlet.publisher.generation();
        drop(outlet);
        if let Err(error) = sent {
            self.router_is_gone(generation, &error);
        }
    }

    /// Whether anybody subscribes to this topic, connected or away.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.outlet.lock().ledger.is_heard(topic)
    }

    /// Stores a client's retained message, and sends it once it is written; the receiver is told then.
    pub(super) async fn retain(self: &Arc<Self>, publish: &Publish) -> oneshot::Receiver<()> {
        self.retain_if(publish, |_| true).await
    }

    /// The same, but sends it only if it is `still` wanted once it is written.
    pub(super) async fn retain_if(
        self: &Arc<Self>,
        publish: &Publish,
        still: impl FnOnce(&Self) -> bool + Send + 'static,
    ) -> oneshot::Receiver<()> {
        let Publish { topic, payload, qos, .. } = publish.clone();
        let (written, heard) = oneshot::channel();
        let mut batch = Batch::default();
        if payload.is_empty() {
            batch.delete(Tree::Retained, topic.as_bytes());
        } else {
            batch.put(Tree::Retained, topic.as_bytes(), retained::to_stored(&payload, qos));
        }
        let hub = self.clone();
        let release = move || {
            if still(&hub) {
                hub.publish(Message { topic: &topic, payload: &payload, qos, retain: true });
            }
            let _ = written.send(()); // Err: the session is gone
        };
        self.store.commit(batch, release).await;
        heard
    }

    /// Whether a message may be retained.
    pub(super) fn has_room_to_retain(&self, topic: &str, payload: &[u8]) -> bool {
        let outlet = self.outlet.lock();
        let (kept, known) = (&outlet.retained, outlet.retained.get(topic));
        let grows =
            topic.len() + payload.len() - known.map_or(0, |old| topic.len() + old.payload.len().min(payload.len()));
        let fits = kept.bytes() + grows <= self.settings.max_retained_bytes;
        fits && (known.is_some() || kept.len() < self.settings.max_retained)
    }

    fn count_retained(&self, outlet: &Outlet) {
        self.metrics.retained.set(outlet.retained.len() as i64);
        self.metrics.retained_bytes.set(outlet.retained.bytes() as i64);
    }

    /// Checks which of these have caught up.
    pub(super) fn look_at_laggards<'a>(&self, places: impl Iterator<Item = &'a Arc<Place>>) {
        let outlet = self.outlet.lock();
        let caught_up = places.filter(|place| place.lags() && outlet.ledger.caught_up(place)).count();
        if caught_up > 0 {
            self.laggards.send_modify(|count| *count -= caught_up);
        }
    }

    /// Whether subscribers of this topic lag; for a command, also those of dmxd's messages that it leads to.
    pub(super) fn feeds_laggard(&self, topic: &str) -> bool {
        if *self.laggards.borrow() == 0 {
            return false;
        }
        let own = if matches!(self.policy.publish(topic), Publishing::Command(_)) {
            self.policy.present_values()
        } else {
            Vec::new()
        };
        let outlet = self.outlet.lock();
        let own = own.iter().filter_map(|topic| std::str::from_utf8(topic).ok());
        own.chain([topic]).any(|topic| outlet.ledger.lags(topic))
    }

    /// How many subscriptions lag now; busy publishers to one of them wait until it has caught up.
    pub(super) fn laggards(&self) -> watch::Receiver<usize> {
        self.laggards.subscribe()
    }

    /// Number of the last message, and bytes published so far.
    pub(super) fn position(&self) -> (u64, u64) {
        let outlet = self.outlet.lock();
        (outlet.publisher.number(), outlet.publisher.passed())
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

    /// The present value of a topic, and the number of the last message that it includes.
    pub(super) fn retained_at(&self, topic: &str) -> (Option<Retained>, u64) {
        let outlet = self.outlet.lock();
        (outlet.retained.get(topic).cloned(), outlet.publisher.number())
    }

    /// Reserves room for one more filter of a session, if there is any; [`Hub::without_filter`] returns it.
    pub(super) fn with_filter(&self, filter: &Filter) -> Option<Arc<Place>> {
        let mut outlet = self.outlet.lock();
        if !outlet.ledger.has(filter) && outlet.ledger.filters() >= self.settings.max_filters {
            return None;
        }
        self.metrics.subscriptions.inc();
        let passed = outlet.publisher.passed();
        Some(outlet.ledger.enter(filter, passed))
    }

    /// A session has dropped this filter.
    pub(super) fn without_filter(&self, place: &Arc<Place>) {
        let mut outlet = self.outlet.lock();
        self.metrics.subscriptions.dec();
        if outlet.ledger.leave(place) {
            self.laggards.send_modify(|count| *count -= 1);
        }
    }

    /// Whether a message of this topic may go to the router, which never forgets a topic and is replaced when it knows too
    /// many: new ones must not come faster than that.
    pub(super) fn has_room_for_topic(&self, topic: &str) -> bool {
        let outlet = self.outlet.lock();
        outlet.publisher.topics() < self.settings.max_topics * 2 || !outlet.publisher.is_new(topic)
    }
}
