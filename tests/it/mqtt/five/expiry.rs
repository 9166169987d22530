//! Messages that nobody wants any more after some seconds.

use std::time::{Duration, Instant};

use crate::harness::{Appliance, Connect, Connect5, Link, Link5, Message5, eventually, older_than, property};

const RETAINED: &str = "$SYS/broker/retained messages/count";

fn expiring(topic: &str, payload: &str, seconds: u32) -> Message5 {
    Message5::new(topic, payload).with(property::message_expiry(seconds))
}

/// A session that is away, with `a` at QoS 2.
async fn absent(appliance: &Appliance, id: &str) -> Connect5 {
    let connect = Connect5::kept(id, 600);
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe("a", 2).await;
    link.leave().await;
    connect
}

#[tokio::test]
async fn a_message_that_did_not_wait_keeps_its_seconds() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("a")).await;
    for filter in ["a", "b/#"] {
        link.subscribe(filter, 2).await;
    }
    let mut old = Link::join(appliance.mqtt, &Connect::new("old")).await;
    old.subscribe("a", 1).await;
    for (topic, qos, seconds) in [("a", 0, 1), ("a", 1, 10), ("b/c", 2, u32::MAX)] {
        link.publish(&expiring(topic, "x", seconds).qos(qos)).await;
        assert_eq!(link.message().await.expiry(), Some(seconds), "{topic}");
    }
    assert_eq!(old.messages().await.len(), 2);
}

#[tokio::test]
async fn a_message_that_waited_has_the_seconds_that_are_left_or_does_not_come() {
    let appliance = Appliance::start().await;
    let connect = absent(&appliance, "away").await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    let begun = Instant::now();
    for (payload, qos, seconds) in [("short", 1, 1), ("short too", 2, 1), ("long", 1, 100), ("exactly", 2, 100)] {
        sender.publish(&expiring("a", payload, seconds).qos(qos)).await;
    }
    sender.say("a", "for ever").await;
    for (topic, seconds) in [("r/short", 1), ("r/long", 100)] {
        sender.publish(&expiring(topic, topic, seconds).retained()).await;
    }
    older_than(begun, Duration::from_millis(2500)).await;
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe("r/#", 1).await;
    let came = link.messages().await;
    let texts: Vec<_> = came.iter().map(Message5::text).collect();
    assert_eq!(texts, ["long", "exactly", "for ever", "r/long"]);
    for message in came {
        let left = message.expiry();
        assert!(message.text() == "for ever" && left.is_none() || left.is_some_and(|left| left <= 98), "{message:?}");
    }
}

#[tokio::test]
async fn a_message_that_the_client_takes_too_late_does_not_come() {
    let appliance = Appliance::start().await;
    let connect = Connect5::new("slow").with(property::receive_maximum(1));
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.acknowledge(false);
    link.subscribe("a", 1).await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    let begun = Instant::now();
    sender.say("a", "first").await;
    sender.publish(&expiring("a", "short", 1)).await;
    sender.publish(&expiring("a", "long", 100)).await;
    let first = link.message().await;
    older_than(begun, Duration::from_millis(1500)).await;
    link.send(&crate::harness::encode::puback(first.pkid)).await;
    let next = link.message().await;
    assert_eq!(next.text(), "long");
    assert!(next.expiry() < Some(100));
}

#[tokio::test]
async fn seconds_go_on_while_the_process_is_dead() {
    let appliance = Appliance::start().await;
    let connect = absent(&appliance, "away").await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    let begun = Instant::now();
    for (payload, seconds) in [("short", 2), ("long", 100)] {
        sender.publish(&expiring("a", payload, seconds)).await;
        sender.publish(&expiring("a", payload, seconds).qos(2)).await;
        sender.publish(&expiring(&format!("r/{payload}"), payload, seconds).retained()).await;
    }
    let home = appliance.kill9().await;
    older_than(begun, Duration::from_secs(3)).await;
    let appliance = home.start().await;
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe("r/#", 1).await;
    let came = link.messages().await;
    assert_eq!(came.iter().map(Message5::text).collect::<Vec<_>>(), ["long"; 3]);
    assert!(came.iter().all(|message| message.expiry().is_some_and(|left| left <= 97)), "{came:?}");
}

#[tokio::test]
async fn a_retained_message_that_expires_is_forgotten_by_the_store_too() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("a")).await;
    link.publish(&expiring("short", "x", 1).retained()).await;
    link.publish(&expiring("replaced", "x", 1).retained()).await;
    link.publish(&Message5::new("replaced", "for ever").retained()).await;
    link.publish(&expiring("long", "x", 100).retained()).await;
    let count = async || {
        let metrics = appliance.web().get("/metrics").await.text;
        let count = metrics.lines().find_map(|line| line.strip_prefix("dmx_broker_retained "));
        count.expect("the figure").parse::<u32>().unwrap()
    };
    let before = count().await;
    let fell = eventually("one retained message less", async || Some(count().await).filter(|now| *now < before));
    let fell = fell.await;
    assert_eq!(fell, before - 1);
    link.subscribe(RETAINED, 0).await;
    eventually("$SYS says so", async || (link.message().await.text() == fell.to_string()).then_some(())).await;
    let appliance = appliance.kill9().await.start().await;
    let mut late = Link5::join(appliance.mqtt, &Connect5::new("late")).await;
    late.subscribe("#", 1).await;
    let topics: Vec<_> = late.messages().await.into_iter().map(|message| message.topic).collect();
    assert!(topics.contains(&"replaced".to_owned()) && topics.contains(&"long".to_owned()), "{topics:?}");
    assert!(!topics.contains(&"short".to_owned()), "{topics:?}");
}
