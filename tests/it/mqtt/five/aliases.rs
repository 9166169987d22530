//! Topic aliases, in both directions.

use crate::harness::{Appliance, Connect5, Link5, Message5, Value, find, property};

fn aliased(topic: &str, payload: &str, alias: u16) -> Message5 {
    Message5::new(topic, payload).with(property::topic_alias(alias))
}

fn alias_of(message: &Message5) -> Option<Value> {
    find(&message.properties, &property::topic_alias(0))
}

#[tokio::test]
async fn a_client_may_give_topics_short_names() {
    let appliance = Appliance::start().await;
    let (mut link, welcome) = Link5::connect(appliance.mqtt, &Connect5::new("a")).await;
    assert_eq!(find(&welcome.properties, &property::topic_alias_maximum(0)), Some(Value::Two(16)));
    link.subscribe("#", 2).await;
    link.messages().await;
    for (topic, payload, alias, qos, means) in [
        ("x/1", "1", 1, 1, "x/1"),
        ("", "2", 1, 0, "x/1"),
        ("x/16", "3", 16, 2, "x/16"),
        ("", "4", 16, 1, "x/16"),
        ("x/2", "5", 1, 1, "x/2"),
        ("", "6", 1, 2, "x/2"),
    ] {
        link.publish(&aliased(topic, payload, alias).qos(qos)).await;
        let came = link.message().await;
        assert_eq!((came.topic.as_str(), came.text().as_str(), alias_of(&came)), (means, payload, None));
    }
}

#[tokio::test]
async fn a_wrong_alias_ends_the_connection() {
    let appliance = Appliance::start().await;
    let mut witness = Link5::join(appliance.mqtt, &Connect5::new("witness")).await;
    witness.subscribe("x", 1).await;
    for (message, code) in
        [(aliased("", "unknown", 3), 0x94), (aliased("x", "too high", 17), 0x94), (aliased("x", "none", 0), 0x82)]
    {
        let mut link = Link5::join(appliance.mqtt, &Connect5::kept("a", 60)).await;
        link.publish(&aliased("y", "good", 1)).await;
        link.send(&Message5 { pkid: 9, ..message }.encode()).await;
        let (told, why) = link.end().await.expect("a DISCONNECT");
        assert_eq!(told, code);
        assert!(why.is_some_and(|why| !why.is_empty()));
    }
    let mut link = Link5::join(appliance.mqtt, &Connect5::kept("a", 60)).await;
    link.send(&Message5 { pkid: 9, ..aliased("", "of the last connection", 1) }.encode()).await;
    assert_eq!(link.end().await.map(|(code, _)| code), Some(0x94), "an alias ends with its connection");
    assert_eq!(witness.messages().await, []);
}

#[tokio::test]
async fn a_client_that_takes_aliases_is_told_each_topic_once() {
    let appliance = Appliance::start().await;
    let connect = Connect5::kept("a", 60).with(property::topic_alias_maximum(2));
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe("x/#", 1).await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    let expected = [
        ("x/1", "x/1", Some(1)),
        ("x/1", "", Some(1)),
        ("x/2", "x/2", Some(2)),
        ("x/3", "x/3", None),
        ("x/1", "", Some(1)),
        ("x/2", "", Some(2)),
        ("x/3", "x/3", None),
    ];
    for (topic, told, alias) in expected {
        sender.say(topic, topic).await;
        let came = link.message().await;
        assert_eq!((came.topic.as_str(), came.text().as_str()), (told, topic));
        assert_eq!(alias_of(&came), alias.map(Value::Two), "{topic}");
    }
    link.leave().await;
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    sender.say("x/2", "").await;
    let came = link.message().await;
    assert_eq!((came.topic.as_str(), alias_of(&came)), ("x/2", Some(Value::Two(1))), "another connection begins anew");
}

#[tokio::test]
async fn an_alias_makes_a_message_small_enough_for_a_client_that_takes_little() {
    let appliance = Appliance::start().await;
    let topic = "t".repeat(60);
    let connect = Connect5::new("a").with(property::topic_alias_maximum(1)).with(property::maximum_packet(80));
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe(&topic, 0).await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    for (payload, comes) in [("x".repeat(50), false), ("short".into(), true), ("x".repeat(50), true)] {
        sender.publish(&Message5::new(&topic, &payload).qos(0)).await;
        sender.messages().await;
        let came: Vec<_> = link.texts().await;
        assert_eq!(came, if comes { vec![payload] } else { Vec::new() });
    }
}
