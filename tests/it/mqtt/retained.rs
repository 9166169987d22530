//! Retained messages: kept by topic, delivered at every SUBSCRIBE, over restarts and kills.

use crate::harness::{Appliance, Connect, Link, PRESENCE, STATE, encode};

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
    esp.retain("é/2", b"second").await; // acknowledged: it may not be lost
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
