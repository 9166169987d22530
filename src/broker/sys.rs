//! `$SYS/broker/…`: figures for people who watch brokers, under Mosquitto's names.
//!
//! Retained in memory only, and read-only. Only PUBLISH packets count as messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::codec::QoS;
use super::hub::{Hub, Message, Phase, reached};
use crate::metrics::Broker;

/// How often all are published.
const EVERY: Duration = Duration::from_secs(10);

/// Publishes all of them every ten seconds until the end; the caller has published the first ones.
pub(super) async fn run(hub: Arc<Hub>) {
    let beginning = Instant::now();
    let mut phase = hub.phase.subscribe();
    let mut tick = interval_at(beginning + EVERY, EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Closing) => return,
            _ = tick.tick() => say(&hub, beginning.elapsed()),
        }
    }
}

/// Publishes all of them.
pub(super) fn say(hub: &Hub, uptime: Duration) {
    for (name, value) in figures(&hub.metrics, uptime) {
        let topic = format!("$SYS/broker/{name}");
        // QoS 0: an absent session needs no queue of old figures
        hub.publish(Message { topic: &topic, payload: value.as_bytes(), qos: QoS::AtMostOnce, retain: true });
    }
}

/// Topics below `$SYS/broker/` and their values (mosquitto(8), "Broker status").
fn figures(metrics: &Broker, uptime: Duration) -> [(&'static str, String); 13] {
    let connected = metrics.clients.get();
    let away = (metrics.sessions.get() - connected).max(0);
    let (received, sent) = (metrics.received.get().to_string(), metrics.sent.get().to_string());
    [
        ("version", concat!("dmxd ", env!("CARGO_PKG_VERSION")).into()),
        ("uptime", format!("{} seconds", uptime.as_secs())),
        ("clients/connected", connected.to_string()),
        ("clients/disconnected", away.to_string()),
        ("clients/total", (connected + away).to_string()),
        ("messages/received", received.clone()),
        ("messages/sent", sent.clone()),
        ("publish/messages/received", received),
        ("publish/messages/sent", sent),
        ("publish/messages/dropped", metrics.dropped.get().to_string()),
        ("retained messages/count", metrics.retained.get().to_string()),
        ("store/messages/bytes", metrics.retained_bytes.get().to_string()),
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
        let all = figures(&metrics, Duration::from_millis(123_999));
        let said = |name| all.iter().find(|(topic, _)| *topic == name).unwrap().1.as_str();
        assert_eq!((said("clients/connected"), said("clients/disconnected"), said("clients/total")), ("3", "2", "5"));
        assert_eq!(said("uptime"), "123 seconds");
        // a client that was let in a moment ago has a seat and no session yet
        metrics.sessions.set(2);
        assert_eq!(figures(&metrics, Duration::ZERO)[3].1, "0");
    }
}
