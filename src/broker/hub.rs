//! What all sessions share: the way into the router, the retained store, the register of sessions.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use super::codec::{Publish, QoS};
use super::commands::Commands;
use super::policy::{Policy, Publishing};
use super::presence::Presence;
use super::register::Register;
use super::retained::{self, Retained, RetainedMessages};
use super::router::{Publisher, Router};
use super::topic::Filter;
use crate::config;
use crate::metrics;
use crate::store::{Batch, Store, Tree};

/// How far the stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Serving.
    Open,
    /// Nothing is read from clients any more; what was taken is finished and answered.
    Quiet,
    /// The last messages go out, then connections end.
    Closing,
}

/// Ends when the stop has come as far as `phase`, or the hub is gone. Cancel-safe.
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
    pub(super) router: Router,
    pub(super) policy: Box<dyn Policy>,
    pub(super) commands: Commands,
    pub(super) settings: config::Mqtt,
    pub(super) metrics: metrics::Broker,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) register: Register,
    pub(super) presence: Presence,
    /// Every filter the router knows; it never forgets one.
    filters: Mutex<HashSet<String>>,
    outlet: Mutex<Outlet>,
    router_serves: watch::Sender<bool>,
    store: Store,
}

/// What every message passes, under one lock: retained store and router see messages in the same order.
struct Outlet {
    publisher: Publisher,
    retained: RetainedMessages,
}

pub(super) struct Parts {
    pub(super) router: Router,
    pub(super) publisher: Publisher,
    pub(super) policy: Box<dyn Policy>,
    pub(super) commands: Commands,
    pub(super) settings: config::Mqtt,
    pub(super) metrics: metrics::Broker,
    pub(super) store: Store,
}

impl Hub {
    /// With the retained messages of the last run.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { router, publisher, policy, commands, settings, metrics, store } = parts;
        let mut retained = RetainedMessages::default();
        for (topic, stored) in store.scan(Tree::Retained, b"") {
            // A topic that became dmxd's own since (another prefix) is not a client's any more.
            if let (Ok(topic), Some((qos, payload))) = (std::str::from_utf8(&topic), retained::from_stored(&stored))
                && policy.publish(topic) == Publishing::Allowed
            {
                retained.set(topic, payload, qos, 0);
            }
        }
        let register = Register::new(&settings, &metrics);
        let presence = Presence::new(settings.max_devices, &metrics);
        let hub = Self {
            router,
            policy,
            commands,
            settings,
            metrics,
            phase: watch::Sender::new(Phase::Open),
            register,
            presence,
            filters: Mutex::default(),
            outlet: Mutex::new(Outlet { publisher, retained }),
            router_serves: watch::Sender::new(true),
            store,
        };
        hub.count_retained(&hub.outlet());
        Arc::new(hub)
    }

    fn outlet(&self) -> MutexGuard<'_, Outlet> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages and sessions pass through the router; without it nothing does.
    pub(super) fn is_serving(&self) -> bool {
        *self.router_serves.borrow()
    }

    /// Tells everyone that the router is dead.
    pub(super) fn router_is_gone(&self, error: &super::router::RouterGone) {
        if self.router_serves.send_replace(false) {
            tracing::error!(%error, "router_gone");
            self.metrics.serving.set(0);
        }
    }

    /// Ends when the router is dead. Cancel-safe.
    pub(super) async fn router_ended(&self) {
        let _ = self.router_serves.subscribe().wait_for(|serves| !serves).await; // Err: the sender is our own
    }

    /// Hands a message to everyone who subscribed. A retained one is kept in memory only: dmxd's own are made anew
    /// at each start, clients' go through [`Hub::retain`].
    pub(super) fn publish(&self, message: Message<'_>) {
        let mut outlet = self.outlet();
        if message.retain {
            let number = outlet.publisher.number() + 1;
            outlet.retained.set(message.topic, message.payload, message.qos, number);
            self.presence.retained(message.topic, message.payload);
            self.count_retained(&outlet);
        }
        if let Err(error) = outlet.publisher.publish(message.topic, message.payload, message.qos) {
            self.router_is_gone(&error);
        }
    }

    /// Keeps a client's message in the store, and hands it on once it is written; the receiver hears of that.
    pub(super) async fn retain(self: &Arc<Self>, publish: &Publish) -> oneshot::Receiver<()> {
        self.retain_if(publish, |_| true).await
    }

    /// The same, but hands it on only if that is `still` wanted when it is written.
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
        self.store.commit(batch, Box::new(release)).await;
        heard
    }

    /// Whether a message may be retained.
    pub(super) fn has_room_to_retain(&self, topic: &str, payload: &[u8]) -> bool {
        let outlet = self.outlet();
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

    /// Number of the last message.
    pub(super) fn number(&self) -> u64 {
        self.outlet().publisher.number()
    }

    /// Retained messages of a filter, a page at a time; see [`RetainedMessages::page`].
    pub(super) fn retained_page(
        &self,
        filter: &Filter,
        since: u64,
        after: Option<&str>,
    ) -> (Vec<(String, Retained)>, Option<String>) {
        self.outlet().retained.page(filter, since, after)
    }

    /// The present value of a topic, and the number of the last message that it takes account of.
    pub(super) fn retained_at(&self, topic: &str) -> (Option<Retained>, u64) {
        let outlet = self.outlet();
        (outlet.retained.get(topic).cloned(), outlet.publisher.number())
    }

    /// Whether the router may be given this filter: it keeps about 6 kB for each one for good.
    pub(super) fn has_room_for(&self, filter: &Filter) -> bool {
        let mut filters = self.filters.lock().unwrap_or_else(PoisonError::into_inner);
        let room = filters.contains(filter.as_str()) || filters.len() < self.settings.max_filters;
        if room && filters.insert(filter.as_str().to_owned()) {
            self.metrics.filters.set(filters.len() as i64);
        }
        room
    }
}
