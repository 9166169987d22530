//! `$SYS/broker/…`: figures for people who watch brokers, under Mosquitto 2.0's names, as far as they are known here.
//!
//! Retained in memory only, and read-only. What has not changed is not said again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::codec::QoS;
use super::hub::{Hub, Message, Phase, reached};
use super::load::Load;
use super::traffic::{Tally, Traffic};
use crate::metrics;

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Publishes what has changed every ten seconds until the end.
pub(super) async fn run(hub: Arc<Hub>, mut figures: Figures) {
    let mut phase = hub.phase.subscribe();
    let mut tick = interval_at(figures.begun + EVERY, EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Closing) => return,
            now = tick.tick() => figures.say(&hub, now),
        }
    }
}

/// What is kept from one look to the next.
pub(super) struct Figures {
    begun: Instant,
    looked: Instant,
    loads: [Load; 9],
    /// What was said last, by name.
    said: HashMap<String, String>,
}

impl Figures {
    /// Publishes all of them for the first time.
    pub(super) fn begin(hub: &Hub) -> Self {
        let now = Instant::now();
        let loads = [
            "load/messages/received",
            "load/messages/sent",
            "load/publish/dropped",
            "load/publish/received",
            "load/publish/sent",
            "load/bytes/received",
            "load/bytes/sent",
            "load/sockets",
            "load/connections",
        ];
        let mut figures = Self { begun: now, looked: now, loads: loads.map(Load::new), said: HashMap::new() };
        figures.say(hub, now);
        figures
    }

    fn say(&mut self, hub: &Hub, now: Instant) {
        let seconds = (now - std::mem::replace(&mut self.looked, now)).as_secs_f64();
        self.loads.iter_mut().zip(risen(&hub.metrics, &hub.traffic)).for_each(|(load, now)| load.look(now, seconds));
        let all = shown(&hub.metrics, &hub.traffic, Stored::of(hub)).map(|(name, value)| (name.to_owned(), value));
        let loads = self.loads.iter().flat_map(Load::shown).collect::<Vec<_>>();
        // last: who has it has all of this look
        let uptime = ("uptime".to_owned(), format!("{} seconds", (now - self.begun).as_secs()));
        for (name, value) in all.into_iter().chain(loads).chain([uptime]) {
            if self.said.get(&name) != Some(&value) {
                let topic = format!("$SYS/broker/{name}");
                // QoS 0: an absent session needs no queue of old figures
                hub.publish(Message::ours(&topic, value.as_bytes(), QoS::AtMostOnce, true));
                self.said.insert(name, value);
            }
        }
    }
}

/// Messages that are kept: retained ones, and those that wait for sessions.
#[derive(Clone, Copy)]
struct Stored {
    retained: usize,
    messages: usize,
    /// Of their payloads.
    bytes: usize,
}

impl Stored {
    fn of(hub: &Hub) -> Self {
        let (retained, payloads) = hub.between_messages(|kept, _| (kept.len(), kept.payload_bytes()));
        let (waiting, bytes) = hub.lasting.kept();
        Self { retained, messages: retained + waiting, bytes: payloads + bytes }
    }
}

/// Totals behind the loads, in their order.
fn risen(metrics: &metrics::Broker, traffic: &Traffic) -> [u64; 9] {
    let (received, sent) = (traffic.received.now(), traffic.sent.now());
    [
        received.packets,
        sent.packets,
        metrics.dropped.get(),
        received.publishes,
        sent.publishes,
        received.bytes,
        sent.bytes,
        traffic.sockets.load(Ordering::Relaxed),
        traffic.connects.load(Ordering::Relaxed),
    ]
}

/// Topics below `$SYS/broker/` and their values (mosquitto(8), "Broker status").
fn shown(metrics: &metrics::Broker, traffic: &Traffic, stored: Stored) -> [(&'static str, String); 22] {
    let connected = metrics.clients.get();
    let away = (metrics.sessions.get() - connected).max(0);
    let (received, sent): (Tally, Tally) = (traffic.received.now(), traffic.sent.now());
    [
        ("version", concat!("dmxd ", env!("CARGO_PKG_VERSION")).into()),
        ("clients/connected", connected.to_string()),
        ("clients/active", connected.to_string()),
        ("clients/disconnected", away.to_string()),
        ("clients/inactive", away.to_string()),
        ("clients/total", (connected + away).to_string()),
        ("clients/maximum", metrics.clients_most.get().to_string()),
        ("clients/expired", metrics.sessions_expired.get().to_string()),
        ("messages/received", received.packets.to_string()),
        ("messages/sent", sent.packets.to_string()),
        ("messages/stored", stored.messages.to_string()),
        ("publish/messages/received", received.publishes.to_string()),
        ("publish/messages/sent", sent.publishes.to_string()),
        ("publish/messages/dropped", metrics.dropped.get().to_string()),
        ("publish/bytes/received", received.payload.to_string()),
        ("publish/bytes/sent", sent.payload.to_string()),
        ("bytes/received", received.bytes.to_string()),
        ("bytes/sent", sent.bytes.to_string()),
        ("retained messages/count", stored.retained.to_string()),
        ("store/messages/count", stored.messages.to_string()),
        ("store/messages/bytes", stored.bytes.to_string()),
        ("subscriptions/count", metrics.subscriptions.get().to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn sessions_that_are_away_are_the_disconnected_clients() {
        let metrics = Metrics::new().unwrap().broker;
        metrics.clients.set(3);
        metrics.sessions.set(5);
        let (traffic, stored) = (Traffic::default(), Stored { retained: 1, messages: 3, bytes: 70 });
        let all = shown(&metrics, &traffic, stored);
        let said = |name| all.iter().find(|(topic, _)| *topic == name).unwrap().1.as_str();
        assert_eq!((said("clients/connected"), said("clients/disconnected"), said("clients/total")), ("3", "2", "5"));
        assert_eq!((said("clients/active"), said("clients/inactive"), said("messages/stored")), ("3", "2", "3"));
        assert_eq!((said("retained messages/count"), said("store/messages/count")), ("1", "3"));
        // a client that was let in a moment ago has a seat and no session yet
        metrics.sessions.set(2);
        assert_eq!(shown(&metrics, &traffic, stored)[3].1, "0");
    }
}
