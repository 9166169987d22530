//! `$SYS`: figures of the broker for those who subscribe to them, and for nobody else (issue 5).

use std::collections::BTreeMap;

use crate::harness::{Appliance, Connect, Link, data_files, mosquitto_sub};

/// The well-known names (Mosquitto 2.0), below `$SYS/broker/`, without those that are not known here: its heap.
const NAMES: [&str; 50] = [
    "bytes/received",
    "bytes/sent",
    "clients/active",
    "clients/connected",
    "clients/disconnected",
    "clients/expired",
    "clients/inactive",
    "clients/maximum",
    "clients/total",
    "load/bytes/received/15min",
    "load/bytes/received/1min",
    "load/bytes/received/5min",
    "load/bytes/sent/15min",
    "load/bytes/sent/1min",
    "load/bytes/sent/5min",
    "load/connections/15min",
    "load/connections/1min",
    "load/connections/5min",
    "load/messages/received/15min",
    "load/messages/received/1min",
    "load/messages/received/5min",
    "load/messages/sent/15min",
    "load/messages/sent/1min",
    "load/messages/sent/5min",
    "load/publish/dropped/15min",
    "load/publish/dropped/1min",
    "load/publish/dropped/5min",
    "load/publish/received/15min",
    "load/publish/received/1min",
    "load/publish/received/5min",
    "load/publish/sent/15min",
    "load/publish/sent/1min",
    "load/publish/sent/5min",
    "load/sockets/15min",
    "load/sockets/1min",
    "load/sockets/5min",
    "messages/received",
    "messages/sent",
    "messages/stored",
    "publish/bytes/received",
    "publish/bytes/sent",
    "publish/messages/dropped",
    "publish/messages/received",
    "publish/messages/sent",
    "retained messages/count",
    "store/messages/bytes",
    "store/messages/count",
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
        assert!(found[topic(name).as_str()].parse::<f64>().is_ok(), "{name}: a plain number");
    }
}

#[tokio::test]
async fn what_has_changed_comes_again_and_is_true_and_no_wildcard_in_front_brings_it() {
    let appliance = Appliance::start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("#", 1), ("+/broker/#", 1), ("+/+/+", 1), ("marker", 1)]).await;
    let mut away = Link::join(appliance.mqtt, &Connect::new("away").persistent()).await;
    away.subscribe_all(&[("a", 1), ("b", 1)]).await;
    away.leave().await;
    let mut watcher = Link::join(appliance.mqtt, &Connect::new("watcher")).await;
    assert_eq!(watcher.subscribe("$SYS/broker/#", 2).await, 2);
    watcher.retain("kept", b"12345").await;
    watcher.publish("a", b"1234567").await;
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut later = BTreeMap::new();
    while !later.contains_key(&topic("uptime")) {
        let message = watcher.message().await;
        assert!(message.topic.starts_with("$SYS/broker/"), "{message:?}");
        let figures = if message.retain { &mut first } else { &mut later };
        assert!(figures.insert(message.topic.clone(), message.text()).is_none(), "once: {message:?}");
    }
    assert_eq!(first.len(), NAMES.len(), "{first:?}");
    assert!(later.iter().all(|(name, value)| first[name] != *value), "what has not changed: {later:?}");
    let now = |name: &str| later.get(&topic(name)).unwrap_or(&first[&topic(name)]).clone();
    let number = |name: &str| now(name).parse::<f64>().unwrap();
    for (name, expected) in [
        ("clients/connected", 2.0),
        ("clients/active", 2.0),
        ("clients/disconnected", 1.0),
        ("clients/inactive", 1.0),
        ("clients/total", 3.0),
        ("clients/maximum", 2.0),
        ("clients/expired", 0.0),
        ("subscriptions/count", 4.0 + 2.0 + 1.0),
        ("retained messages/count", 3.0),
        ("messages/stored", 4.0),
        ("store/messages/count", 4.0),
        ("store/messages/bytes", first[&topic("store/messages/bytes")].parse::<f64>().unwrap() + 12.0),
        ("publish/messages/dropped", 0.0),
        // CONNECT and SUBSCRIBE of three, one DISCONNECT, two messages
        ("messages/received", 9.0),
        ("publish/messages/received", 2.0),
        ("publish/bytes/received", 12.0),
    ] {
        assert_eq!(number(name), expected, "{name}");
    }
    // three connections in ten seconds: 18 a minute
    for (name, over) in [("1min", 60.0_f64), ("5min", 300.0), ("15min", 900.0)] {
        let expected = 18.0 * (1.0 - (-10.0 / over).exp());
        for load in ["load/connections", "load/sockets"] {
            let found = number(&format!("{load}/{name}"));
            assert!((found - expected).abs() < expected / 10.0, "{load}/{name}: {found}, not {expected}");
        }
    }
    let (sent, bytes) = (number("messages/sent"), number("bytes/sent"));
    assert!(sent > number("publish/messages/sent") && bytes > number("publish/bytes/sent"), "{later:?}");
    assert!(number("publish/messages/sent") >= NAMES.len() as f64 && number("bytes/received") > 100.0, "{later:?}");
    let seconds = now("uptime").strip_suffix(" seconds").unwrap().parse::<u64>().unwrap();
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
