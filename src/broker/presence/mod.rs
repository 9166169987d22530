//! Who is there: fed by the front's own events, read by REST, WebSocket and metrics. And what dmxd says for devices that
//! left without a word of their own.
//!
//! The roster is shared under a lock that is never held across a wait, nor while a message is published.

mod meter;
mod roster;
mod visit;
mod word;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::roster::Roster;
use super::codec::{Connect, Publish};
use crate::kit::clock;
use crate::kit::log_limiter::LogLimiter;
use crate::metrics;
use crate::wire;

pub(super) use self::meter::Meter;
pub(super) use self::visit::{LastWord, Next, Visit, knows_better, run, start};

/// The roster, and whom to tell of it.
pub(super) struct Presence {
    inner: Mutex<Inner>,
    changed: Notify,
    list: watch::Sender<Arc<Vec<wire::Device>>>,
    metrics: metrics::Broker,
}

struct Inner {
    roster: Roster,
    /// Limits log lines about too many devices.
    limiter: LogLimiter,
}

impl Presence {
    /// For at most `most` devices.
    pub(super) fn new(most: usize, metrics: &metrics::Broker) -> Self {
        Self {
            inner: Mutex::new(Inner { roster: Roster::new(most), limiter: LogLimiter::default() }),
            changed: Notify::new(),
            list: watch::Sender::default(),
            metrics: metrics.clone(),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Roster) -> T) -> T {
        let mut inner = self.inner.lock();
        let Inner { roster, limiter } = &mut *inner;
        let seen = look(roster);
        if roster.take_changed() {
            self.metrics.devices_known.set(roster.known() as i64);
            self.metrics.devices_online.set(roster.online() as i64);
            self.changed.notify_one();
        }
        let forgotten = roster.take_forgotten();
        if forgotten > 0 {
            self.metrics.devices_forgotten.inc_by(forgotten);
            if let Some(more) = limiter.due() {
                tracing::warn!(more, "device_forgotten: there are more than mqtt.max_devices");
            }
        }
        seen
    }

    /// A client publishes. Called before its message is handed on, so that dmxd never speaks for a device that just spoke.
    /// Whether it stands for a device now.
    pub(super) fn published(&self, client: &str, publish: &Publish) -> bool {
        let deletes = publish.retain && publish.payload.is_empty();
        let device = word::device_of(&publish.topic).filter(|_| !deletes);
        device.is_some_and(|id| {
            self.with(|roster| {
                roster.published(id, client, clock::now_ms());
                roster.is_device(client)
            })
        })
    }

    /// Whether a client that comes is, or speaks for, a device that is known.
    pub(super) fn knows(&self, connect: &Connect) -> bool {
        let will = connect.will.as_ref().and_then(|will| word::device_of(&will.topic));
        self.with(|roster| roster.is_device(&connect.client_id) || will.is_some_and(|id| roster.has(id)))
    }

    /// Whether a client with this id is, or speaks for, a device that is known.
    pub(super) fn is_device(&self, client: &str) -> bool {
        self.with(|roster| roster.is_device(client))
    }

    /// The retained message of a topic has changed.
    pub(super) fn retained(&self, topic: &str, payload: &[u8]) {
        let Some(id) = word::device_of(topic) else { return };
        let now = clock::now_ms();
        self.with(
            |roster| {
                if payload.is_empty() { roster.deleted(id, now) } else { roster.say(id, word::says(payload), now) }
            },
        );
    }

    /// A client's command was refused.
    pub(super) fn rejected(&self, client: &str) {
        self.with(|roster| roster.rejected(client));
    }

    /// A client's message went nowhere.
    pub(super) fn denied(&self, client: &str) {
        self.with(|roster| roster.denied(client));
    }

    /// Everything as it is now, with those who were `refused`.
    pub(super) fn now(&self, refused: Vec<wire::RefusedClient>) -> wire::Presence {
        self.with(|roster| wire::Presence { devices: roster.devices(), clients: roster.clients(), refused })
    }

    pub(super) fn devices(&self) -> watch::Receiver<Arc<Vec<wire::Device>>> {
        self.list.subscribe()
    }

    fn give_out(&self) {
        let devices = self.with(|roster| roster.devices());
        self.list.send_if_modified(|list| {
            let differs = **list != devices;
            if differs {
                *list = Arc::new(devices);
            }
            differs
        });
    }
}
