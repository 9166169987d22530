//! `$SYS`: figures of the broker for those who subscribe to them, and for nobody else (issue 5).

use std::collections::BTreeMap;

use crate::harness::{Appliance, Connect, Link, data_files, mosquitto_sub};

/// The well-known names, below `$SYS/broker/`.
const NAMES: [&str; 13] = [
    "clients/connected",
    "clients/disconnected",
    "clients/total",
    "messages/received",
    "messages/sent",
    "publish/messages/dropped",
    "publish/messages/received",
    "publish/messages/sent",
    "retained messages/count",
    "store/messages/bytes",
    "subscriptions/count",
    "uptime",
    "version",
];

fn topic(name: &str) -> String {
    format!("$SYS/broker/{name}")
}

#[tokio::test]
async fn mosquitto_sub_gets_every_figure_at_once() {
    let appliance = Appliance::start().await;
    let count = NAMES.len().to_string();
    let lines = mosquitto_sub(appliance.mqtt, &["-t", "$SYS/#", "-C", &count, "-W", "20", "-F", "%r %t=%p"]);
    let lines = lines.succeed().await;
    let found: BTreeMap<_, _> = lines.iter().filter_map(|line| line.strip_prefix("1 ")?.split_once('=')).collect();
    assert_eq!(found.keys().map(ToString::to_string).collect::<Vec<_>>(), NAMES.map(topic), "retained: {lines:?}");
    assert_eq!(found["$SYS/broker/version"], concat!("dmxd ", env!("CARGO_PKG_VERSION")));
    let uptime = found["$SYS/broker/uptime"].strip_suffix(" seconds").expect("seconds");
    assert!(uptime.parse::<u64>().is_ok(), "{uptime}");
    for name in NAMES.iter().filter(|name| !["uptime", "version"].contains(name)) {
        assert!(found[topic(name).as_str()].parse::<u64>().is_ok(), "{name}: a plain number");
    }
}

#[tokio::test]
async fn they_come_again_and_are_true_and_no_wildcard_in_front_brings_them() {
    let appliance = Appliance::start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("#", 1), ("+/broker/#", 1), ("+/+/+", 1), ("marker", 1)]).await;
    let mut away = Link::join(appliance.mqtt, &Connect::new("away").persistent()).await;
    away.subscribe_all(&[("a", 1), ("b", 1)]).await;
    away.leave().await;
    let mut watcher = Link::join(appliance.mqtt, &Connect::new("watcher")).await;
    assert_eq!(watcher.subscribe("$SYS/broker/#", 2).await, 2);
    watcher.retain("kept", b"12345").await;
    let mut figures: BTreeMap<String, String> = BTreeMap::new();
    while figures.len() < NAMES.len() {
        let message = watcher.message().await;
        assert!(message.topic.starts_with("$SYS/broker/"), "{message:?}");
        if !message.retain {
            figures.insert(message.topic.clone(), message.text()); // a live one
        }
    }
    for (name, expected) in [
        ("clients/connected", 2),
        ("clients/disconnected", 1),
        ("clients/total", 3),
        ("subscriptions/count", 4 + 2 + 1),
        ("retained messages/count", 3),
        ("publish/messages/dropped", 0),
        ("messages/received", 1),
        ("publish/messages/received", 1),
    ] {
        assert_eq!(figures[&topic(name)], expected.to_string(), "{name}");
    }
    let seconds = figures[&topic("uptime")].strip_suffix(" seconds").unwrap().parse::<u64>().unwrap();
    assert!(seconds >= 10, "every ten seconds: {seconds}");
    watcher.publish("marker", b"").await;
    let heard = witness.until("marker").await;
    let others: Vec<_> = heard.iter().filter(|message| message.topic.starts_with('$')).collect();
    assert!(heard.iter().any(|message| message.topic == "kept") && others.is_empty(), "[MQTT-4.7.2-1]: {others:?}");
}

#[tokio::test]
async fn nobody_else_speaks_there_and_nothing_of_it_is_stored() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    assert_eq!(web.metric("dmx_broker_retained").await, 2.0, "state and presence: figures take no room");
    let mut forger = Link::join(appliance.mqtt, &Connect::new("forger")).await;
    forger.subscribe("$SYS/#", 1).await;
    for name in ["$SYS/broker/version", "$SYS/mine"] {
        forger.retain(name, b"forged").await;
        forger.publish(name, b"forged").await;
    }
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[("$SYS/#", 1), ("marker", 1)]).await;
    late.publish("marker", b"").await;
    let found = late.until("marker").await;
    assert_eq!(found.len(), NAMES.len(), "{found:?}");
    assert!(found.iter().all(|message| message.payload != b"forged"), "{found:?}");
    assert_eq!(web.metric("dmx_broker_publishes_denied_total").await, 4.0);
    let home = appliance.kill9().await;
    for file in data_files(&home.data()) {
        let bytes = std::fs::read(home.data().join(&file)).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"$SYS/"), "{}", file.display());
    }
    let appliance = home.start().await;
    let late = mosquitto_sub(appliance.mqtt, &["-t", "$SYS/broker/version", "-C", "1", "-W", "20"]);
    assert_eq!(late.succeed().await, [concat!("dmxd ", env!("CARGO_PKG_VERSION"))], "made anew");
}
