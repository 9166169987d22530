//! Clean and persistent sessions, take-over, keep-alive.

use crate::harness::{
    Appliance, CMD, Connect, Home, Ledger, Link, Load, Packet, REJECTED, STATE, command, encode, eventually, patiently,
    rgb_of,
};

#[tokio::test]
async fn session_present_says_whether_there_is_one() {
    let appliance = Appliance::start().await;
    let persistent = Connect::new("esp").persistent();
    for (connect, present) in [
        (&persistent, false),
        (&persistent, true),
        (&Connect::new("esp"), false),
        (&persistent, false),
        (&persistent, true),
    ] {
        let (link, answer) = Link::connect(appliance.mqtt, connect).await;
        assert_eq!(answer, Ok(present), "{connect:?}");
        link.leave().await;
    }
}

#[tokio::test]
async fn a_session_keeps_its_subscriptions_and_messages_over_a_restart_of_the_client() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(esp.subscribe_all(&[("news/+", 1), ("noise", 0)]).await, [1, 0]);
    esp.leave().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..10 {
        other.publish("news/x", format!("{n}").as_bytes()).await;
    }

    let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    for n in 0..10 {
        let message = esp.message().await;
        assert_eq!((message.text(), message.qos), (n.to_string(), 1));
    }
    other.publish("noise", b"live").await;
    assert_eq!(esp.message().await.text(), "live", "both subscriptions are still there, nothing came twice");
}

#[tokio::test]
async fn messages_that_were_not_acknowledged_come_again_with_dup() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe("news", 1).await;
    esp.acknowledge(false);
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    other.publish("news", b"once").await;
    let first = esp.message().await;
    assert!(!first.dup);
    esp.reset();

    let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    let again = esp.message().await;
    assert_eq!((again.payload.as_slice(), again.dup, again.pkid), (b"once".as_slice(), true, first.pkid));
    other.publish("news", b"twice").await;
    assert_eq!(esp.message().await.payload, b"twice", "acknowledged now, so that it does not come a third time");
}

#[tokio::test]
async fn a_clean_session_forgets_what_there_was() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").persistent()).await;
    esp.subscribe("news", 1).await;
    esp.leave().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    other.publish("news", b"old").await;
    Link::join(appliance.mqtt, &Connect::new("esp")).await.leave().await;

    let (mut esp, present) = Link::connect(appliance.mqtt, &Connect::new("esp").persistent()).await;
    assert_eq!(present, Ok(false));
    other.publish("news", b"new").await;
    esp.subscribe("marker", 1).await;
    esp.publish("marker", b"").await;
    assert_eq!(esp.until("marker").await, []);
}

#[tokio::test]
async fn a_subscriber_that_was_away_finds_the_latest_state() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe(STATE, 1).await;
    assert_eq!(esp.message().await.json()["seq"], 0);
    esp.leave().await;
    // More changes than any queue keeps: the last one must still be there.
    for n in 0..300_u32 {
        appliance.web().accepted(&command(crate::harness::colour(n))).await;
    }
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    let latest = patiently("the latest state", async {
        loop {
            let state = esp.message().await.json();
            if state["seq"] == 300 {
                return state;
            }
        }
    })
    .await;
    assert_eq!(rgb_of(&latest), crate::harness::colour(299));
}

#[tokio::test]
async fn a_client_that_comes_twice_takes_over_after_the_will_of_the_first() {
    let appliance = Appliance::start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("will/esp", 1), ("marker", 1)]).await;
    for _ in 0..20 {
        let mut old = Link::join(appliance.mqtt, &Connect::new("esp").will("will/esp", "gone", false)).await;
        let mut new = Link::join(appliance.mqtt, &Connect::new("esp")).await;
        new.publish("marker", b"").await;
        let before: Vec<_> = witness.until("marker").await.iter().map(|message| message.text()).collect();
        assert_eq!(before, ["gone"], "the will is published before the new CONNACK");
        old.closed().await;
        new.ping().await;
        new.leave().await;
    }
}

#[tokio::test]
async fn a_take_over_keeps_a_persistent_session() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut old = Link::join(appliance.mqtt, &connect).await;
    old.subscribe("news", 1).await;
    let (mut new, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    old.closed().await;
    new.publish("news", b"heard").await;
    assert_eq!(new.message().await.payload, b"heard");
}

#[tokio::test]
async fn messages_wait_for_a_client_whose_socket_died() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe("news", 1).await;
    esp.reset();
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..50 {
        other.publish("news", format!("{n}").as_bytes()).await;
    }
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    for n in 0..50 {
        assert_eq!(esp.message().await.text(), n.to_string());
    }
}

#[tokio::test]
async fn qos_2_inbound_has_one_effect_however_often_it_is_sent() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe_all(&[("exact", 1), ("marker", 1)]).await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    let message = |dup| {
        let (topic, payload) = ("exact".to_owned(), b"once".to_vec());
        encode::publish(&crate::harness::Message { topic, payload, qos: 2, retain: false, dup, pkid: 7 })
    };
    for dup in [false, true, true] {
        esp.send(&message(dup)).await;
        assert_eq!(esp.answer().await, Packet::PubRec(7));
    }
    esp.reset(); // and again after a lost connection: the packet id belongs to the session
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.send(&message(true)).await;
    assert_eq!(esp.answer().await, Packet::PubRec(7));
    for _ in 0..2 {
        esp.send(&encode::pubrel(7)).await;
        assert_eq!(esp.answer().await, Packet::PubComp(7), "also for an id that is done already");
    }
    esp.publish("marker", b"").await;
    assert_eq!(listener.until("marker").await.len(), 1, "one copy");

    esp.send(&message(false)).await;
    assert_eq!(esp.answer().await, Packet::PubRec(7));
    esp.publish("marker", b"").await;
    assert_eq!(listener.until("marker").await.len(), 1, "after PUBCOMP the id means a new message");
}

#[tokio::test]
async fn refusals_wait_for_a_subscriber_that_is_away() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("auditor").persistent();
    let mut auditor = Link::join(appliance.mqtt, &connect).await;
    auditor.subscribe_all(&[(REJECTED, 1), ("news", 1)]).await;
    auditor.leave().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for n in 0..5 {
        esp.publish(CMD, format!(r#"{{"src":"wrong-{n}"}}"#).as_bytes()).await;
        esp.publish("news", n.to_string().as_bytes()).await;
    }

    let mut auditor = Link::join(appliance.mqtt, &connect).await;
    let (mut refusals, mut news) = (0, Vec::new());
    for _ in 0..10 {
        let message = auditor.message().await;
        if message.topic == REJECTED {
            assert_eq!(message.json()["clientId"], "esp");
            refusals += 1;
        } else {
            news.push(message.text());
        }
    }
    assert_eq!((refusals, news.join("")), (5, "01234".to_owned()), "every one, beside the other messages");
}

#[tokio::test]
async fn the_session_that_is_away_longest_makes_room_for_a_new_one() {
    let appliance = Home::new().set("DMX_MQTT_MAX_SESSIONS", "5").start().await;
    let metric = async |name: &str, value: f64| {
        let reached = async || (appliance.web().metric(name).await == value).then_some(());
        eventually(&format!("{name} is {value}"), reached).await;
    };
    let kept = |n: u32| Connect::new(&format!("kept-{n}")).persistent();
    for n in 0..5 {
        Link::join(appliance.mqtt, &kept(n)).await.leave().await;
        metric("dmx_broker_clients", 0.0).await;
    }

    let sixth = Link::join(appliance.mqtt, &Connect::new("sixth")).await;
    metric("dmx_broker_sessions", 5.0).await;
    sixth.leave().await;
    metric("dmx_broker_sessions", 4.0).await;

    let mut back = Vec::new();
    for n in [1, 2, 3, 4, 0] {
        let (link, present) = Link::connect(appliance.mqtt, &kept(n)).await;
        assert_eq!(present, Ok(n != 0), "kept-{n}: only the first to leave was ended");
        back.push(link);
    }
    let (_, answer) = Link::connect(appliance.mqtt, &Connect::new("sixth")).await;
    assert_eq!(answer, Err(3), "one that is there is never ended for another");
}

#[tokio::test]
async fn seq_never_goes_back_for_a_subscriber_that_returns_while_it_changes() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe_all(&[(STATE, 1), ("marker", 1)]).await;
    let ledger = Ledger::new(4000);
    let load = Load::start(&appliance, &ledger, 4).await;

    let (mut last, mut visits) = (0, 0);
    loop {
        let over = ledger.acked().len() == 4000;
        for _ in 0..3 {
            esp.publish("marker", b"{}").await;
            for message in esp.until("marker").await.iter().filter(|message| !message.dup) {
                let seq = message.json()["seq"].as_u64().unwrap();
                assert!(seq >= last, "visit {visits}: {seq} after {last}");
                last = seq;
            }
        }
        if over {
            break;
        }
        visits += 1;
        if visits % 2 == 0 {
            esp.reset();
        } else {
            esp.leave().await;
        }
        esp = Link::join(appliance.mqtt, &connect).await;
    }
    load.join().await;
    println!("{visits} visits");
    assert!(visits > 5, "it came and went while the state changed");
    esp.leave().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    patiently("the change it was away for", async { while esp.message().await.json()["seq"] != 4001 {} }).await;
}
