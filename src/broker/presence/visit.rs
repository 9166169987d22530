//! A connection of a client, and dmxd's word for devices that went without one of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::roster::Leaving;
use super::{Meter, word};
use crate::broker::codec::{Connect, Publish, QoS};
use crate::broker::hub::{Hub, Phase, reached};
use crate::broker::topic::Filter;
use crate::kit::clock;
use crate::store::Batch;

/// Least time between two readings of the meters, and between two published lists of devices.
const SECOND: Duration = Duration::from_secs(1);

/// Takes in the devices of the last run, and reports those left online as offline: nobody is connected yet.
pub(in crate::broker) async fn start(hub: &Arc<Hub>) {
    let Some(filter) = Filter::new(&word::topic_of("+")) else { return };
    let now = clock::now_ms();
    let (mut after, number) = (None::<String>, hub.number());
    loop {
        let (page, more) = hub.retained_page(&filter, number, after.as_deref());
        for (topic, message) in page {
            if let Some(id) = word::device_of(&topic) {
                hub.presence.with(|roster| roster.found(id, word::says(&message.payload), now));
            }
        }
        after = more;
        if after.is_none() {
            break;
        }
    }
    let left = hub.presence.with(|roster| roster.found_online());
    speak_for(hub, &left, None).await;
    hub.presence.give_out();
}

/// Publishes lists of devices as they change, at most one a second, and reads the meters, until the end.
pub(in crate::broker) async fn run(hub: Arc<Hub>) {
    let mut phase = hub.phase.subscribe();
    let mut tick = interval(SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_look = Instant::now();
    let (mut changed, mut next) = (false, Instant::now());
    loop {
        // every arm is cancel-safe: `Notify` keeps what nobody has received
        tokio::select! {
            () = reached(&mut phase, Phase::Closing) => return,
            () = hub.presence.changed.notified() => changed = true,
            at = tick.tick() => {
                hub.presence.with(|roster| roster.look(at.duration_since(last_look)));
                last_look = at;
            }
            () = sleep_until(next), if changed => {
                (changed, next) = (false, Instant::now() + SECOND);
                hub.presence.give_out();
            }
        }
    }
}

/// Publishes `{"online":false}` for devices left online, as `client` or, without one, for the last run. The retained messages
/// are written when this ends.
async fn speak_for(hub: &Arc<Hub>, devices: &[Arc<str>], client: Option<&Arc<str>>) {
    let mut written = Vec::with_capacity(devices.len());
    for id in devices {
        let offline = Bytes::from_static(br#"{"online":false}"#);
        let publish = Publish::new(word::topic_of(id), offline, QoS::AtLeastOnce, true);
        // Another client may speak there meanwhile. Its message is written before or after this one: memory has the right one,
        // and a start draws the same conclusion from either.
        let (device, client) = (id.clone(), client.cloned());
        let still = move |hub: &Hub| {
            let left = hub.presence.with(|roster| roster.is_left_online(&device, client.as_deref()));
            if left {
                hub.metrics.devices_spoken_for.inc();
                tracing::info!(device = &*device, clientId = client.as_deref(), "device_spoken_for");
            }
            left
        };
        written.push(hub.retain_if(&publish, Batch::default(), still).await);
    }
    for heard in written {
        let _ = heard.await; // Err: the store is closing
    }
}

/// Whether the will of a client that an earlier run left says of a device that it is offline, which is said already, or
/// somebody has said something else since the start: a device may have come back as another client.
pub(in crate::broker) fn knows_better(hub: &Hub, will: &Publish) -> bool {
    let says_offline = word::device_of(&will.topic).is_some() && word::says(&will.payload) == Some(false);
    says_offline
        && hub.between_messages(|retained, _| {
            let kept = retained.get(&will.topic);
            kept.is_some_and(|kept| kept.is_of_this_run() || word::says(&kept.payload) == Some(false))
        })
}

/// A connection of a client, from CONNECT to its end. Dropping it before [`Visit::end`] ends it too.
pub(in crate::broker) struct Visit {
    hub: Arc<Hub>,
    client: Arc<str>,
    number: u64,
    /// The device whose topic the will names.
    device: Option<String>,
    pub(in crate::broker) meter: Arc<Meter>,
}

/// What follows a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Next {
    /// Nothing: the client has left.
    Gone,
    /// The same client's next connection, at once.
    TakenOver,
    /// The stop of the appliance, which says nothing about a client.
    Stopping,
}

/// What a client leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum LastWord {
    None,
    /// Its will was published.
    Published,
    /// Its will is still to come: until then nobody else speaks for its device.
    Delayed,
}

impl Visit {
    /// A client was let in.
    pub(in crate::broker) fn begin(hub: &Arc<Hub>, connect: &Connect, peer: &str) -> Self {
        let device = connect.will.as_ref().and_then(|will| word::device_of(&will.topic)).map(str::to_owned);
        let (id, now) = (connect.client_id.as_str(), clock::now_ms());
        let (number, meter) = hub.presence.with(|roster| roster.connected(id, peer, device.as_deref(), now));
        Self { hub: hub.clone(), client: id.into(), number, device, meter }
    }

    /// The connection is over; its last messages and its will are handed on. Speaks for the devices that its client left
    /// online; until this is done, nothing of the client's next connection may be read. One that `relays` is another broker's
    /// bridge: its devices may well be connected over there.
    pub(in crate::broker) async fn end(self, why: String, (last, relays): (LastWord, bool), next: Next) {
        let leaving = Leaving { why, will_published: last == LastWord::Published, stays: next == Next::TakenOver };
        let willed = self.device.as_deref().filter(|_| last != LastWord::None);
        let left = self.hub.presence.with(|roster| {
            roster.left(&self.client, self.number, &leaving, clock::now_ms());
            let speaks = next == Next::Gone && !relays;
            if speaks { roster.left_online(&self.client, willed) } else { Vec::new() }
        });
        speak_for(&self.hub, &left, Some(&self.client)).await;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let leaving = Leaving { why: "its session has ended".into(), will_published: false, stays: false };
        let (client, number) = (&self.client, self.number);
        self.hub.presence.with(|roster| roster.left(client, number, &leaving, clock::now_ms())); // nothing after `end`
    }
}
