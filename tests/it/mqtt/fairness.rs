//! Nobody suffers from clients that publish too much or read too slowly.

use std::time::{Duration, Instant};

use crate::harness::{Appliance, CMD, Connect, HEADROOM, Home, Link, Message, Packet, command, encode, eventually};

/// A message at QoS 1, without waiting.
fn loud(topic: &str, n: usize) -> Vec<u8> {
    let payload = format!("{n:08}{}", "x".repeat(2_000)).into_bytes();
    let pkid = u16::try_from(n % 60_000 + 1).unwrap();
    encode::publish(&Message { topic: topic.into(), payload, qos: 1, retain: false, dup: false, pkid })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_is_disconnected_and_nobody_else_loses_a_message() {
    const MESSAGES: usize = 15_000; // 30 MB: the kernel alone takes some 7 for a socket that is not read
    let appliance = Appliance::start().await;
    let mut deaf = Link::join(appliance.mqtt, &Connect::new("deaf")).await;
    deaf.subscribe("loud", 1).await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    other.subscribe("loud", 1).await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    let begun = Instant::now();
    let hears = tokio::spawn(async move {
        for n in 0..MESSAGES {
            let message = other.message().await;
            assert_eq!(message.text()[..8], format!("{n:08}"), "in order, none missing");
        }
    });
    for n in 0..MESSAGES {
        speaker.send(&loud("loud", n)).await;
        while n % 200 == 199 && speaker.answer().await != Packet::PubAck(u16::try_from(n % 60_000 + 1).unwrap()) {}
    }
    hears.await.unwrap();
    println!("{MESSAGES} messages took {:?}", begun.elapsed());
    deaf.closed().await;
    let log = appliance
        .log
        .wait("the end of the deaf one", |line| line["message"] == "mqtt_disconnect" && line["clientId"] == "deaf");
    let line = log.await;
    let why = line["why"].as_str().unwrap();
    assert!(why.contains("too slow") || why.contains("took nothing"), "{why}");
    assert!(appliance.web().metric("dmx_broker_laggards_total").await >= 1.0);
    appliance.assert_serves().await;
}

/// Publishers wait for those who lag behind what *they* publish: a desk does not stop for a stranger's deaf subscriber.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_desk_does_not_wait_for_a_laggard_of_others() {
    let appliance = Appliance::start().await;
    let broker = appliance.mqtt;
    let mut deaf = Link::join(broker, &Connect::new("deaf")).await;
    deaf.subscribe("loud", 1).await;
    let flood = tokio::spawn(async move {
        let mut speaker = Link::join(broker, &Connect::new("speaker")).await;
        for n in 0..8_000 {
            speaker.send(&loud("loud", n)).await;
            while n % 200 == 199 && speaker.answer().await != Packet::PubAck(u16::try_from(n % 60_000 + 1).unwrap()) {}
        }
    });
    let mut desk = Link::join(broker, &Connect::new("desk")).await;
    let mut longest = Duration::ZERO;
    while !flood.is_finished() {
        let begun = Instant::now();
        desk.publish("desk/level", b"7").await;
        longest = longest.max(begun.elapsed());
    }
    flood.await.unwrap();
    assert!(appliance.web().metric("dmx_broker_laggards_total").await >= 1.0, "somebody lagged");
    deaf.closed().await;
    println!("longest {longest:?}");
    assert!(longest < Duration::from_millis(500), "a hold takes up to 1 s: {longest:?}");
}

/// A subscription of everything gets hidden topics from the router, too: they count once they fill its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_hidden_topics_takes_nothing_from_a_subscriber_of_everything() {
    let appliance = Appliance::start().await;
    let mut watcher = Link::join(appliance.mqtt, &Connect::new("watcher")).await;
    watcher.subscribe("#", 1).await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    let mut lamp = Link::join(appliance.mqtt, &Connect::new("lamp")).await;
    for n in 0..10_000 {
        speaker.send(&loud("$hidden", n)).await;
        if n % 100 == 99 {
            while speaker.answer().await != Packet::PubAck(u16::try_from(n % 60_000 + 1).unwrap()) {}
            lamp.publish("lamp", n.to_string().as_bytes()).await;
        }
    }
    for n in (99..10_000).step_by(100) {
        let message = loop {
            let message = watcher.message().await;
            if message.topic == "lamp" {
                break message;
            }
        };
        assert_eq!(message.text(), n.to_string(), "none missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_floods_does_not_delay_a_button() {
    /// Issue: the p99 of another client stays below this.
    const P99: Duration = Duration::from_millis(50);
    let appliance = Appliance::start().await;
    let broker = appliance.mqtt;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let flood = tokio::spawn(async move {
        let mut speaker = Link::join(broker, &Connect::new("flood")).await;
        let burst: Vec<u8> = (0..50)
            .flat_map(|n| {
                let message = Message {
                    topic: "noise".into(),
                    payload: vec![b'x'; 100],
                    qos: 0,
                    retain: false,
                    dup: false,
                    pkid: n,
                };
                encode::publish(&message)
            })
            .collect();
        while !*stopped.borrow_and_update() {
            speaker.send(&burst).await;
        }
    });
    let mut button = Link::join(appliance.mqtt, &Connect::new("button")).await;
    let mut times = Vec::new();
    for n in 0..300u16 {
        let begun = Instant::now();
        button.publish(CMD, command([(n % 256) as u8, 0, 0]).to_string().as_bytes()).await;
        times.push(begun.elapsed());
    }
    stop.send_replace(true);
    flood.await.unwrap();
    times.sort();
    println!("p50 {:?} p99 {:?}", times[150], times[297]);
    assert!(times[297] < P99 * HEADROOM, "{:?}", times[297]);
}

#[tokio::test]
async fn a_client_beyond_its_limit_waits_and_loses_nothing() {
    let home = Home::new().set("DMX_MQTT_CLIENT_MESSAGES_PER_SECOND", "10");
    let appliance = home.start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("news", 1).await;
    // its first second begins with its connection
    let begun = Instant::now();
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    for n in 0..25 {
        speaker.publish("news", n.to_string().as_bytes()).await;
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(1_900),
        "two whole seconds were waited for: {:?}",
        begun.elapsed()
    );
    for n in 0..25 {
        assert_eq!(listener.message().await.text(), n.to_string());
    }
    eventually("the figures", async || {
        (appliance.web().metric("dmx_broker_messages_dropped_total").await == 0.0).then_some(())
    })
    .await;
}
