//! SUBSCRIBE, UNSUBSCRIBE and what is delivered.

use crate::harness::{Appliance, CMD, Connect, Home, Link, Message, Packet, command, encode};

#[tokio::test]
async fn suback_grants_what_was_asked_for_up_to_qos_1_and_refuses_what_cannot_be() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let codes = link.subscribe_all(&[("a", 0), ("b", 1), ("$share/g", 1), ("c", 1), ("$SYS/#", 0)]).await;
    assert_eq!(codes, [0, 1, 0x80, 1, 0], "one code a filter, in order");
    assert_ne!(link.subscribe("d", 2).await, 0x80, "QoS 2 is granted as far as it goes");
    for filter in ["a/#/b", "a#", "+a", "a/b+", ""] {
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        other.send(&encode::subscribe(5, &[(filter, 1)])).await;
        // Either is right for an invalid filter: a refusal code, or the end of the connection.
        match other.read().await {
            Some(Packet::SubAck { codes, .. }) => assert_eq!(codes, [0x80], "{filter}"),
            None => {}
            other => panic!("{filter}: {other:?}"),
        }
    }
    link.ping().await;
}

#[tokio::test]
async fn unsubscribe_ends_the_delivery() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe_all(&[("a", 1), ("b", 1)]).await;
    link.unsubscribe("a").await;
    link.unsubscribe("never subscribed").await;
    link.publish("a", b"").await;
    link.publish("b", b"").await;
    assert_eq!(link.until("b").await, []);
}

#[tokio::test]
async fn overlapping_subscriptions_give_one_copy_at_the_highest_qos() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe_all(&[("x/#", 0), ("x/+", 1), ("x/y", 0), ("marker", 1)]).await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for _ in 0..50 {
        other.publish("x/y", b"once").await;
    }
    other.publish("marker", b"").await;
    let copies = link.until("marker").await;
    assert_eq!(copies.len(), 50);
    assert!(copies.iter().all(|copy| copy.qos == 1), "{copies:?}");
}

#[tokio::test]
async fn a_message_keeps_the_smaller_qos() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe_all(&[("zero", 0), ("one", 1)]).await;
    for (topic, qos, expected) in [("zero", 0, 0), ("zero", 1, 0), ("one", 0, 0), ("one", 1, 1), ("one", 2, 1)] {
        link.publish_at(topic, b"x", qos, false).await;
        let heard = link.message().await;
        assert_eq!((heard.topic.as_str(), heard.qos), (topic, expected), "published at {qos}");
    }
}

#[tokio::test]
async fn wildcards_match_as_the_specification_says() {
    let appliance = Appliance::start().await;
    let mut publisher = Link::join(appliance.mqtt, &Connect::new("publisher")).await;
    // MQTT 3.1.1, section 4.7.
    for (filter, matching, other) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", "sport/tennis/player2"),
        ("sport/#", "sport/tennis/player1", "sports"),
        ("sport/+", "sport/", "sport"),
        ("+/+", "/finance", "finance"),
        ("/+", "/finance", "finance"),
        ("+", "finance", "/finance"),
        ("#", "any/thing/at/all", "$any/thing"),
        ("+/monitor", "any/monitor", "$any/monitor"),
        ("$any/#", "$any/monitor", "any/monitor"),
        ("a//b", "a//b", "a/b"),
        ("A", "A", "a"),
        ("é/+", "é/x", "e/x"),
    ] {
        let mut link = Link::join(appliance.mqtt, &Connect::new("matcher")).await;
        link.subscribe_all(&[(filter, 1), ("marker", 1)]).await;
        for topic in [other, matching] {
            publisher.publish(topic, b"match").await;
        }
        publisher.publish("marker", b"").await;
        let heard = link.until("marker").await;
        let topics: Vec<_> = heard.iter().filter(|m| m.payload == b"match").map(|m| m.topic.as_str()).collect();
        assert_eq!(topics, [matching], "{filter}");
    }
}

#[tokio::test]
async fn a_client_hears_itself_and_keeps_the_order() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe("a/#", 1).await;
    for n in 0..100 {
        link.publish(&format!("a/{}", n % 3), n.to_string().as_bytes()).await;
    }
    for n in 0..100 {
        assert_eq!(link.message().await.text(), n.to_string());
    }
}

#[tokio::test]
async fn payloads_arrive_byte_for_byte() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe("a", 1).await;
    let large: Vec<u8> = (0..200_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    for payload in [&b""[..], &[0], &[0xFF; 127], &[0; 128], &large] {
        link.publish("a", payload).await;
        assert_eq!(link.message().await.payload, payload);
    }
}

#[tokio::test]
async fn messages_of_one_topic_keep_their_order_whatever_their_retain_flag() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("news", 1).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for round in 0..10 {
        // all in one write, behind a command, which takes longer than a message
        let publish = |topic: &str, payload: &[u8], retain, pkid| {
            let (topic, payload) = (topic.to_owned(), payload.to_vec());
            encode::publish(&Message { topic, payload, qos: 1, retain, dup: false, pkid })
        };
        let mut burst = publish(CMD, command([round, 0, 0]).to_string().as_bytes(), false, 1);
        for n in 0..40_u8 {
            burst.extend(publish("news", &[n], n % 2 == 1, u16::from(n) + 2));
        }
        esp.send(&burst).await;
        for n in 0..40 {
            assert_eq!(listener.message().await.payload, [n], "round {round}");
        }
        for _ in 0..41 {
            assert!(matches!(esp.answer().await, Packet::PubAck(_)));
        }
    }
}

#[tokio::test]
async fn filters_beyond_the_limit_are_refused_and_known_ones_still_granted() {
    let appliance = Home::new().set("DMX_MQTT_MAX_SUBSCRIPTIONS", "2").start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("first")).await;
    assert_eq!(link.subscribe_all(&[("a/+", 0), ("b", 1), ("c/+", 1), ("c/d", 1)]).await, [0, 1, 0x80, 0x80]);
    assert_eq!(link.subscribe("b", 0).await, 0, "it is known");
    let refused = |line: &serde_json::Value| line["message"] == "subscription_refused" && line["clientId"] == "first";
    let line = appliance.log.wait("the refusal", refused).await;
    assert!(line["refused"] == 2 && line["why"].as_str().unwrap().contains("mqtt.max_subscriptions"), "{line}");
    assert_eq!(appliance.web().metric("dmx_broker_subscriptions_refused_total").await, 2.0);
    link.unsubscribe("a/+").await;
    assert_eq!(link.subscribe_all(&[("c/d", 1), ("c/+", 1)]).await, [1, 0x80]);
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    assert_eq!(other.subscribe_all(&[("c/+", 1), ("e", 0)]).await, [1, 0], "each session has its own");
}
