//! Retained messages: kept by topic, delivered at every SUBSCRIBE, over restarts and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Appliance, Connect, Link, PRESENCE, Packet, STATE, encode};

/// What a new client finds on a filter.
async fn found(appliance: &Appliance, filter: &str) -> Vec<(String, String)> {
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[(filter, 1), ("marker/found", 1)]).await;
    late.publish("marker/found", b"").await;
    let before = late.until("marker/found").await;
    late.leave().await;
    assert!(before.iter().all(|message| message.retain), "{before:?}");
    before.into_iter().map(|message| (message.topic.clone(), message.text())).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(topic, text)| ((*topic).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn the_newest_retained_message_of_a_topic_is_kept() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("a/b", b"old").await;
    esp.publish("a/b", b"live only").await;
    esp.retain("a/b", b"new").await;
    assert_eq!(found(&appliance, "a/+").await, pairs(&[("a/b", "new")]));
}

#[tokio::test]
async fn an_empty_retained_message_deletes_and_an_empty_live_one_does_not() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("a", b"kept").await;
    esp.publish("a", b"").await;
    assert_eq!(found(&appliance, "a").await, pairs(&[("a", "kept")]));
    esp.retain("a", b"").await;
    assert_eq!(found(&appliance, "a").await, []);
    let appliance = appliance.restart().await;
    assert_eq!(found(&appliance, "a").await, [], "also after a restart");
}

#[tokio::test]
async fn live_subscribers_get_it_without_the_retain_flag() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("a", 1).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("a", b"x").await;
    let live = listener.message().await;
    assert_eq!((live.text().as_str(), live.retain), ("x", false), "[MQTT-3.3.1-9]");
    esp.retain("a", b"").await;
    assert_eq!(listener.message().await.payload, b"", "a deletion is heard as well");
}

#[tokio::test]
async fn every_subscribe_delivers_it_also_on_a_resumed_session() {
    let appliance = Appliance::start().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    other.retain("a", b"kept").await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    for _ in 0..3 {
        esp.subscribe("a", 1).await;
        let message = esp.message().await;
        assert_eq!((message.text().as_str(), message.retain), ("kept", true));
    }
    esp.leave().await;
    let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    esp.subscribe("a", 1).await;
    assert_eq!(esp.message().await.text(), "kept");
    other.publish("a", b"live").await;
    assert_eq!(esp.message().await.text(), "live", "subscribing again made no second subscription");
}

#[tokio::test]
async fn it_comes_at_the_smaller_qos() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("one", b"x").await;
    let (topic, payload) = ("zero".to_owned(), b"x".to_vec());
    esp.send(&encode::publish(&crate::harness::Message { topic, payload, qos: 0, retain: true, dup: false, pkid: 0 }))
        .await;
    esp.ping().await;
    for (topic, subscribed, expected) in [("one", 1, 1), ("one", 0, 0), ("zero", 1, 0), ("zero", 0, 0)] {
        let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
        late.subscribe(topic, subscribed).await;
        assert_eq!(late.message().await.qos, expected, "{topic} subscribed at {subscribed}");
    }
}

#[tokio::test]
async fn retained_messages_survive_a_restart_and_kill_9() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("é/1", b"first").await;
    let appliance = appliance.restart().await;
    assert_eq!(found(&appliance, "é/#").await, pairs(&[("é/1", "first")]));
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("é/2", b"second").await; // acknowledged, so it must not be lost
    let appliance = appliance.kill9().await.start().await;
    let mut all = found(&appliance, "é/#").await;
    all.sort();
    assert_eq!(all, pairs(&[("é/1", "first"), ("é/2", "second")]));
}

#[tokio::test]
async fn state_and_presence_are_there_from_the_first_start_on() {
    let appliance = Appliance::start().await;
    let presence = found(&appliance, PRESENCE).await;
    assert_eq!(presence, pairs(&[(PRESENCE, r#"{"online":true}"#)]));
    let state = found(&appliance, STATE).await;
    let state: serde_json::Value = serde_json::from_str(&state[0].1).unwrap();
    assert_eq!((&state["seq"], &state["updatedBy"]), (&0.into(), &"init".into()));
    assert_eq!(crate::harness::rgb_of(&state), [0, 0, 0]);
}

#[tokio::test]
async fn overlapping_filters_and_a_second_subscribe_deliver_it_again() {
    let appliance = Appliance::start().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 1..=3 {
        other.retain(&format!("a/{n}"), b"kept").await;
    }
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.subscribe("marker", 1).await;
    let all: &[&[(&str, u8)]] =
        &[&[("a/#", 1)], &[("a/+", 1)], &[("a/#", 1)], &[("a/+", 1), ("a/#", 1)], &[("a/2", 1)]];
    for filters in all {
        esp.subscribe_all(filters).await;
        esp.publish("marker", b"").await;
        let found = esp.until("marker").await;
        assert!(found.iter().all(|message| message.retain && message.text() == "kept"), "{filters:?}: {found:?}");
        let mut topics: Vec<_> = found.iter().map(|message| message.topic.as_str()).collect();
        topics.sort_unstable();
        topics.dedup();
        let expected: &[&str] = if filters[0].0 == "a/2" { &["a/2"] } else { &["a/1", "a/2", "a/3"] };
        assert_eq!(topics, expected, "after {filters:?}");
    }
    other.publish("a/1", b"live").await;
    let live = esp.message().await;
    assert_eq!((live.text().as_str(), live.retain), ("live", false));
}

/// Topics that are set once, and topics that are set again and again.
const STILL: u32 = 300;
const MOVING: u32 = 100;

#[tokio::test]
async fn hundreds_of_them_come_whole_and_in_order_while_others_change() {
    let appliance = Appliance::start().await;
    let mut writer = Link::join(appliance.mqtt, &Connect::new("writer")).await;
    for n in 0..STILL {
        writer.retain(&format!("many/still-{n}"), b"0").await;
    }
    for n in 0..MOVING {
        writer.retain(&format!("many/moving-{n}"), b"0").await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let writer_over = over.clone();
    let writing = tokio::spawn(async move {
        let mut value = 0_u32;
        while !writer_over.load(Ordering::Relaxed) {
            value += 1;
            writer.retain(&format!("many/moving-{}", value % MOVING), value.to_string().as_bytes()).await;
        }
        value
    });
    for round in 0..8 {
        let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
        late.subscribe_all(&[("many/#", 1), ("marker", 1)]).await;
        late.publish("marker", b"").await;
        let found = late.until("marker").await;
        let mut newest = BTreeMap::new();
        for message in &found {
            let value: u32 = message.text().parse().unwrap();
            let before = newest.insert(message.topic.as_str(), value);
            assert!(before.is_none_or(|before| before < value), "{value} after {before:?} on {}", message.topic);
            assert!(before.is_none() || !message.retain, "only the first of a topic is the retained one: {message:?}");
        }
        let still = found.iter().filter(|message| message.topic.contains("still"));
        assert_eq!(still.filter(|message| message.retain).count() as u32, STILL, "round {round}: each once");
        assert_eq!(newest.len() as u32, STILL + MOVING, "round {round}: every topic");
    }
    over.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0, "others changed");
}

/// Publishes 100 retained messages of 200 kB to four topics at once and waits until all are acknowledged.
async fn burst_of_large_ones(appliance: &Appliance) {
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let mut unanswered = BTreeSet::new();
    for n in 0..100 {
        let payload = vec![b'a' + n % 26; 200_000];
        unanswered.insert(esp.send_publish(&format!("large/{}", n % 4), &payload, true).await);
    }
    while !unanswered.is_empty() {
        match esp.answer().await {
            Packet::PubAck(pkid) => assert!(unanswered.remove(&pkid), "{pkid} once"),
            other => panic!("expected a PUBACK, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_burst_of_large_ones_is_no_dead_disk() {
    let appliance = Appliance::start().await;
    burst_of_large_ones(&appliance).await;
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    assert_eq!(appliance.web().metric("dmx_store_in_ram").await, 0.0);
    assert_eq!(appliance.log.find(|line| line.to_string().to_lowercase().contains("storage_in_ram")), None);
}

#[tokio::test]
async fn large_ones_that_were_acknowledged_survive_kill_9() {
    for round in 0..5 {
        let appliance = Appliance::start().await;
        burst_of_large_ones(&appliance).await;
        let appliance = appliance.kill9().await.start().await;
        assert_eq!(appliance.web().problems().await, Vec::<String>::new(), "round {round}: a kill damages nothing");
        let found = found(&appliance, "large/#").await;
        let first: Vec<_> = found.into_iter().map(|(_, text)| text.as_bytes()[0]).collect();
        assert_eq!(first, [96, 97, 98, 99].map(|n| b'a' + n % 26), "round {round}: the last of each topic");
        assert_eq!(appliance.web().seq().await, 0, "round {round}: no number was lost");
    }
}

/// Nobody need say anything to be told: a client that only listens has all of it.
#[tokio::test]
async fn all_of_many_comes_to_a_client_that_only_listens_and_what_is_newer_follows() {
    let appliance = Appliance::start().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..1500 {
        // Those that match are behind more than are looked at in one go.
        other.publish_at(&format!("{}/{n:04}", if n < 1200 { "a" } else { "b" }), b"x", 0, true).await;
    }
    other.publish("sent", b"").await;
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("b/#", 0).await;
    other.publish("b/live", b"newer").await;
    let heard = late.until("b/live").await;
    assert_eq!((heard.len(), heard.iter().all(|message| message.retain)), (300, true));
}

#[tokio::test]
async fn large_ones_come_one_behind_the_other_and_are_no_lag() {
    let appliance = Appliance::start().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..24 {
        other.retain(&format!("large/{n:02}"), &vec![n; 250_000]).await;
    }
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("#", 1).await;
    let mut next = 0;
    while next < 24 {
        let message = late.message().await;
        if message.topic.starts_with("large/") {
            assert!(message.payload.len() == 250_000 && message.payload[0] == next);
            next += 1;
        }
    }
}
