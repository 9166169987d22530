//! Kept sessions outlive the process: their subscriptions, waiting messages, and handshakes.

use crate::harness::{Appliance, CMD, Connect, Home, Link, Message, Packet, STATE, command, encode, rgb_of};

/// Ends the process and starts another on its data.
async fn again(appliance: Appliance, kill: bool) -> Appliance {
    if kill { appliance.kill9().await.start().await } else { appliance.restart().await }
}

/// This many messages are stored for absent clients.
async fn stored(appliance: &Appliance, count: f64) {
    crate::harness::eventually("what waits to be stored", async || {
        (appliance.web().metric("dmx_broker_letters_stored_total").await >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn subscriptions_and_waiting_messages_of_a_client_that_is_away_survive_kills_and_restarts() {
    for kill in [true, false] {
        let mut appliance = Appliance::start().await;
        let connect = Connect::new("esp").persistent();
        let mut esp = Link::join(appliance.mqtt, &connect).await;
        assert_eq!(esp.subscribe_all(&[("news/+", 1), ("exact", 2), ("noise", 0)]).await, [1, 2, 0]);
        esp.leave().await;
        let mut sent = 0;
        for _ in 0..3 {
            let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
            for _ in 0..5 {
                other.publish("news/x", sent.to_string().as_bytes()).await;
                sent += 1;
            }
            other.publish("noise", b"lost, as QoS 0 may be").await;
            stored(&appliance, 5.0).await;
            appliance = again(appliance, kill).await;
        }
        let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
        assert_eq!(present, Ok(true), "[MQTT-3.2.2-2]");
        let mut seen = Vec::new();
        for _ in 0..sent {
            let message = esp.message().await;
            assert_eq!(message.qos, 1);
            seen.push(message.text());
        }
        let expected: Vec<_> = (0..sent).map(|n| n.to_string()).collect();
        assert_eq!(seen, expected, "in order [MQTT-4.6.0-6], none missing, none twice");
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        other.publish("exact", b"live").await;
        assert_eq!(esp.message().await.text(), "live");
        esp.ping().await;
        esp.leave().await;
        let appliance = again(appliance, kill).await;
        let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
        assert_eq!(present, Ok(true));
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        other.publish("news/last", b"last").await;
        assert_eq!(esp.message().await.text(), "last", "what was acknowledged does not come again");
    }
}

#[tokio::test]
async fn a_session_that_ends_takes_nothing_of_one_whose_id_begins_alike() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("a\u{1}b").persistent();
    let mut away = Link::join(appliance.mqtt, &connect).await;
    away.subscribe("news", 1).await;
    away.leave().await;
    Link::join(appliance.mqtt, &Connect::new("a").persistent()).await.leave().await;
    Link::join(appliance.mqtt, &Connect::new("other")).await.publish("news", b"one").await;
    stored(&appliance, 1.0).await;
    Link::join(appliance.mqtt, &Connect::new("a")).await.leave().await; // a clean session: what was kept for `a` is deleted
    let appliance = again(appliance, true).await;
    let mut away = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(away.message().await.text(), "one");
}

#[tokio::test]
async fn what_a_connected_client_had_not_acknowledged_at_a_stop_comes_again_with_dup() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe_all(&[("a", 1), ("b", 2)]).await;
    esp.acknowledge(false);
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    other.publish("a", b"one").await;
    let first = esp.message().await;
    let two = Message { topic: "b".into(), payload: b"two".into(), qos: 2, retain: false, dup: false, pkid: 9 };
    other.send(&encode::publish(&two)).await;
    assert_eq!(other.answer().await, Packet::PubRec(9));
    let second = esp.message().await;
    esp.send(&encode::pubrec(second.pkid)).await;
    assert_eq!(esp.answer().await, Packet::PubRel(second.pkid));
    let appliance = appliance.restart().await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    let again = esp.message().await;
    assert_eq!((again.text(), again.dup, again.pkid), ("one".into(), true, first.pkid), "[MQTT-4.4.0-1]");
    assert_eq!(esp.answer().await, Packet::PubRel(second.pkid), "its payload is there already [MQTT-4.3.3-1]");
}

/// [MQTT-4.3.3-1], [MQTT-4.4.0-1]: exactly once even when the appliance is killed in the middle of the handshake.
#[tokio::test]
async fn a_waiting_qos_2_message_keeps_its_packet_id_and_its_handshake_over_kills() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe("b", 2).await;
    esp.leave().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..3 {
        other.publish_at("b", n.to_string().as_bytes(), 2, false).await;
    }
    stored(&appliance, 3.0).await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    let first = [esp.message().await, esp.message().await, esp.message().await];
    let appliance = appliance.kill9().await.start().await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    for before in &first {
        let again = esp.message().await;
        assert_eq!((again.text(), again.pkid, again.dup), (before.text(), before.pkid, true));
    }
    esp.send(&encode::pubrec(first[0].pkid)).await;
    assert_eq!(esp.answer().await, Packet::PubRel(first[0].pkid));
    let appliance = appliance.kill9().await.start().await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(esp.next().await, Packet::PubRel(first[0].pkid), "the client has its payload already");
    assert_eq!(esp.message().await.text(), "1");
}

#[tokio::test]
async fn a_qos_2_message_that_is_sent_again_after_a_kill_comes_once() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    let body = command([1, 2, 3]).to_string();
    let seq = appliance.web().seq().await;
    let once = |topic: &str, payload: &[u8], pkid, dup| {
        encode::publish(&Message { topic: topic.into(), payload: payload.into(), qos: 2, retain: false, dup, pkid })
    };
    esp.send(&once(CMD, body.as_bytes(), 7, false)).await;
    assert_eq!(esp.answer().await, Packet::PubRec(7));
    esp.send(&once("news", b"once", 8, false)).await;
    assert_eq!(esp.answer().await, Packet::PubRec(8));
    let appliance = appliance.kill9().await.start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("news", 2).await;
    let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    for (topic, payload, pkid) in [(CMD, body.as_bytes(), 7), ("news", b"once".as_slice(), 8)] {
        esp.send(&once(topic, payload, pkid, true)).await;
        assert_eq!(esp.answer().await, Packet::PubRec(pkid), "[MQTT-4.3.3-2]");
        esp.send(&encode::pubrel(pkid)).await;
        assert_eq!(esp.answer().await, Packet::PubComp(pkid));
    }
    esp.send(&once("news", b"another", 8, false)).await;
    assert_eq!(esp.answer().await, Packet::PubRec(8));
    assert_eq!(listener.message().await.text(), "another", "the first one was not handed on again");
    assert_eq!(appliance.web().seq().await, seq + 1);
}

#[tokio::test]
async fn a_session_that_was_ended_stays_ended_and_the_state_waits_for_nobody() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe_all(&[(STATE, 1), ("news", 1)]).await;
    esp.leave().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 1..=3 {
        other.publish(CMD, command([n, n, n]).to_string().as_bytes()).await;
    }
    let appliance = appliance.kill9().await.start().await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    let state: serde_json::Value = serde_json::from_str(&esp.message().await.text()).unwrap();
    assert_eq!(rgb_of(&state), [3, 3, 3], "the present value, not three old ones");
    esp.ping().await;
    esp.leave().await;
    Link::join(appliance.mqtt, &Connect::new("esp")).await.leave().await; // clean session 1 ends it [MQTT-3.1.2-6]
    let appliance = appliance.kill9().await.start().await;
    let (_esp, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(false));
}

#[tokio::test]
async fn of_a_client_that_is_away_too_long_the_newest_messages_are_kept_over_a_restart() {
    let appliance = Home::new().set("DMX_MQTT_MAX_QUEUED_MESSAGES", "3").start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe("news", 1).await;
    esp.leave().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..=10 {
        other.publish("news", n.to_string().as_bytes()).await;
    }
    crate::harness::eventually("the oldest to go", async || {
        // not before the first one is there
        let metrics = appliance.web().get("/metrics").await.text;
        metrics.contains("dmx_broker_messages_lost_total{filter=\"news\"} 8\n").then_some(())
    })
    .await;
    let appliance = appliance.restart().await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    for n in 8..=10 {
        assert_eq!(esp.message().await.text(), n.to_string());
    }
    esp.ping().await;
}

/// What a client has been told is in the journal, so a kill right behind it takes nothing back.
#[tokio::test]
async fn connack_suback_and_unsuback_hold_although_the_process_is_killed_right_behind_them() {
    let mut appliance = Appliance::start().await;
    for round in 0..6 {
        let connect = Connect::new(&format!("esp {round}")).persistent();
        let (esp, present) = Link::connect(appliance.mqtt, &connect).await;
        assert_eq!(present, Ok(false));
        appliance = appliance.kill9().await.start().await;
        for filter in ["news", "more/+"] {
            let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
            assert_eq!(present, Ok(true), "round {round}, CONNACK");
            esp.subscribe(filter, 1).await;
            appliance = appliance.kill9().await.start().await;
        }
        drop(esp);
        let mut esp = Link::join(appliance.mqtt, &connect).await;
        esp.unsubscribe("news").await;
        appliance = appliance.kill9().await.start().await;
        // a take-over, too, ends the session before CONNACK
        let over = Connect::new(&format!("over {round}")).persistent();
        let first = Link::join(appliance.mqtt, &over).await;
        let second = Link::join(appliance.mqtt, &Connect::new(&format!("over {round}"))).await;
        appliance = appliance.kill9().await.start().await;
        drop((first, second));
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        other.publish("news", b"nobody wants this").await;
        other.publish("more/x", b"wanted").await;
        let mut esp = Link::join(appliance.mqtt, &connect).await;
        assert_eq!(esp.message().await.text(), "wanted", "round {round}, SUBACK and UNSUBACK");
        assert_eq!(Link::connect(appliance.mqtt, &over).await.1, Ok(false), "round {round}, clean session 1");
    }
}
