//! What is not done, and how clients of each version are told so.

use crate::harness::{
    Appliance, BLACKOUT, CMD, Connect, Connect5, Home, Link, Link5, Message5, Packet, Packet5, REJECTED, STATE,
    UNIFIED, Value, command, encode, find, property, subscribe5,
};

#[tokio::test]
async fn what_is_dmxds_own_is_not_published_by_clients() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::kept("a", 60)).await;
    let mut witness = Link5::join(appliance.mqtt, &Connect5::new("witness")).await;
    for topic in [STATE, REJECTED, "dmx/state", "dmx/ack", "v1/devices/server/state", "$SYS/broker/uptime"] {
        witness.subscribe(topic, 1 | 32).await;
        let message = Message5::new(topic, "forged");
        let (code, why) = link.publish(&message).await;
        assert_eq!(code, 0x87, "{topic}");
        assert!(why.is_some_and(|why| why.contains("dmxd")));
        assert_eq!(link.publish(&message.clone().qos(2).retained()).await.0, 0x87, "{topic}");
        link.publish(&message.qos(0)).await;
    }
    // the packet id is free: a PUBLISH with it is another one
    for n in 0..2 {
        let refused = Message5 { pkid: 500, ..Message5::new(STATE, "x").qos(2) };
        link.send(&refused.encode()).await;
        assert_eq!(link.acked(0x50, 500).await.0, 0x87, "{n}");
    }
    link.subscribe("x", 2).await;
    link.send(&Message5 { pkid: 500, ..Message5::new("x", "x").qos(2) }.encode()).await;
    assert_eq!(link.message_beside_acks().await.text(), "x");
    let forged = witness.texts().await.into_iter().filter(|text| text == "forged").count();
    assert_eq!(forged, 0);
}

#[tokio::test]
async fn a_refused_command_says_why_and_one_that_is_done_that_it_is() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("a")).await;
    link.subscribe(REJECTED, 1).await;
    let (code, why) = link.publish(&Message5::new(CMD, r#"{"cmdId":"no"}"#)).await;
    let rejected: serde_json::Value = serde_json::from_slice(&link.message().await.payload).unwrap();
    assert_eq!(code, 0x83);
    let why = why.expect("a reason string");
    assert!(why.starts_with(rejected["reason"].as_str().unwrap()), "{why} {rejected}");
    let (code, why) = link.publish(&Message5::new(CMD, "{")).await;
    assert!(code == 0x83 && why.is_some_and(|why| why.starts_with("VALIDATION_FAILED")));
    assert_eq!(link.publish(&Message5::new(BLACKOUT, "{}")).await.0, 0x83);
    let unknown = r#"{"type":"motor.move","id":"1"}"#;
    let (code, why) = link.publish(&Message5::new(UNIFIED, unknown)).await;
    assert!(code == 0x83 && why.as_ref().is_some_and(|why| why.starts_with("NOT_SUPPORTED")), "{code:#x} {why:?}");
    assert_eq!(link.publish(&Message5::new(CMD, "{").qos(2)).await.0, 0, "QoS 2: what was received is released");
    let good = command([1, 2, 3]).to_string();
    assert_eq!(link.publish(&Message5::new(CMD, &good)).await.0, 0, "dmxd itself is who wants it");
    assert_eq!(link.publish(&Message5::new(BLACKOUT, r#"{"on":false}"#).qos(2)).await.0, 0);
}

#[tokio::test]
async fn a_publisher_hears_whether_anybody_wanted_its_message() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::kept("a", 60)).await;
    for qos in [1, 2] {
        assert_eq!(link.publish(&Message5::new("nobody", "x").qos(qos)).await.0, 0x10);
    }
    for filter in ["x", "w/+", "$share/g/s"] {
        link.subscribe(filter, 0).await;
    }
    for topic in ["x", "w/1", "s"] {
        for qos in [1, 2] {
            assert_eq!(link.publish(&Message5::new(topic, "x").qos(qos)).await.0, 0, "{topic}");
        }
    }
}

#[tokio::test]
async fn a_client_that_is_not_let_in_is_told_why_in_the_form_of_its_version() {
    let home =
        Home::new().set("DMX_MQTT_USERNAME", "u").set("DMX_MQTT_PASSWORD", "p").set("DMX_MQTT_MAX_CONNECTIONS", "1");
    let appliance = home.start().await;
    let (good, long) = (|id: &str| Connect5::new(id).login("u", "p"), "x".repeat(257));
    let auth = good("a").with(property::auth_method("SCRAM-SHA-1"));
    for (connect, code) in [
        (good(&long), 0x85),
        (good("a").login("u", "wrong"), 0x86),
        (good("a").login("who", "p"), 0x86),
        (Connect5::new("a"), 0x87),
        (auth, 0x8c),
    ] {
        let (mut link, told) = Link5::connect(appliance.mqtt, &connect).await;
        assert_eq!(told.code, code, "{connect:?}");
        assert!(find(&told.properties, &property::reason_string("")).is_some(), "{told:?}");
        assert_eq!(link.end().await, None, "CONNACK says all");
    }
    let old = |id: &str| Connect::new(id).login("u", "p");
    for (connect, code) in [
        (old(&long), 2),
        (old("a").login("u", "wrong"), 4),
        (Connect::new("a"), 5),
        (old("a").v3().login("u", "wrong"), 4),
        (old(&long).v3(), 2),
        (old("").v3(), 2),
        (old("").persistent(), 2),
        (old("a").level(2), 1),
    ] {
        assert_eq!(Link::connect(appliance.mqtt, &connect).await.1, Err(code), "{connect:?}");
    }
    let mut six = Link5::open(appliance.mqtt).await;
    let mut bytes = good("a").encode();
    bytes[8] = 6;
    six.send(&bytes).await;
    assert!(matches!(six.next().await, Packet5::ConnAck { code: 0x84, .. }));

    let _there = Link5::join(appliance.mqtt, &good("there")).await;
    let (_, told) = Link5::connect(appliance.mqtt, &good("one too many")).await;
    assert_eq!(told.code, 0x88);
    assert_eq!(Link::connect(appliance.mqtt, &old("another")).await.1, Err(3));
}

#[tokio::test]
async fn a_connection_ends_with_a_reason() {
    let appliance = Appliance::start().await;
    let kept = Connect5::kept("a", 60);
    let mut link = Link5::join(appliance.mqtt, &kept).await;
    let _newer = Link5::join(appliance.mqtt, &kept).await;
    let (code, why) = link.end().await.expect("a DISCONNECT");
    assert!(code == 0x8e && why.as_ref().is_some_and(|why| why.contains("taken over by 127.0.0.1")), "{why:?}");

    let mut link = Link5::join(appliance.mqtt, &Connect5::new("silent").keep_alive(1)).await;
    let (code, why) = link.end().await.expect("a DISCONNECT");
    assert!(code == 0x8d && why.is_some());

    let own_id = Message5 { pkid: 1, ..Message5::new("x", "x").with(property::subscription_id(1)) };
    let twice = Message5::new("x", "x").with(property::content_type("a")).with(property::content_type("b"));
    for (bytes, code) in [
        (own_id.encode(), 0x81),
        (Message5 { pkid: 1, ..twice }.encode(), 0x82),
        (Message5 { pkid: 1, qos: 3, ..Message5::new("x", "") }.encode(), 0x81),
        (Message5 { pkid: 1, ..Message5::new("x/#", "") }.encode(), 0x81),
        (Message5 { pkid: 1, ..Message5::new("", "") }.encode(), 0x82),
        (Message5 { pkid: 0, ..Message5::new("x", "") }.encode(), 0x81),
        (subscribe5(1, &[], &[]), 0x82),
        (subscribe5(1, &[("x", 3)], &[]), 0x82),
        (subscribe5(1, &[("x", 0x30)], &[]), 0x82),
        (subscribe5(1, &[("x", 0x40)], &[]), 0x81),
        (subscribe5(1, &[("$share/g/x", 4)], &[]), 0x82),
        (subscribe5(1, &[("x", 1)], &[property::subscription_id(0)]), 0x82),
        (vec![0xF0, 0], 0x82),
        (vec![0x20, 2, 0, 0], 0x81),
        (vec![0xC1, 0], 0x81),
        (vec![0xC0, 0x80, 0x80, 0x80, 0x80], 0x81),
        (Connect5::new("again").encode(), 0x82),
    ] {
        let mut link = Link5::join(appliance.mqtt, &Connect5::new("wrong")).await;
        link.send(&bytes).await;
        let (told, why) = link.end().await.unwrap_or_else(|| panic!("no DISCONNECT for {bytes:02x?}"));
        assert_eq!(told, code, "{bytes:02x?}: {why:?}");
        assert!(why.is_some());
    }
}

#[tokio::test]
async fn at_the_stop_connections_are_closed_without_a_word() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("a")).await;
    let (status, _) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(link.end().await, None, "mosquitto_sub would not come back after a DISCONNECT");
}

#[tokio::test]
async fn who_has_no_id_or_keep_alive_is_given_one() {
    let appliance = Appliance::start().await;
    let connect = Connect5::kept("", 60).keep_alive(0);
    let (link, told) = Link5::connect(appliance.mqtt, &connect).await;
    let Some(Value::Text(id)) = find(&told.properties, &property::assigned_client_id("")) else { panic!("{told:?}") };
    assert_eq!(find(&told.properties, &property::server_keep_alive(0)), Some(Value::Two(60)));
    link.leave().await;
    let (_, told) = Link5::connect(appliance.mqtt, &Connect5::kept(&id, 60)).await;
    assert!(told.session_present, "it may come back with that id");
    assert_eq!(find(&told.properties, &property::assigned_client_id("")), None);
    assert_eq!(find(&told.properties, &property::server_keep_alive(0)), None);
}

#[tokio::test]
async fn clients_of_3_1_are_served() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("old").v3().persistent();
    let mut old = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(
        old.subscribe_all(&[("a/#", 2), ("bad#", 1), ("b", 1)]).await,
        [2, 0, 1],
        "3.1 has no code for a refusal"
    );
    let mut five = Link5::join(appliance.mqtt, &Connect5::new("five")).await;
    five.subscribe("a/+", 2).await;
    old.answer_all();
    for qos in 0..=2 {
        old.publish_at("a/1", b"old", qos, false).await;
        let came = five.message().await;
        assert_eq!((came.text().as_str(), came.qos), ("old", qos));
        // at QoS 0 nothing says when all have it
        assert_eq!((old.message().await.text().as_str(), old.messages().await.len()), ("old", 0));
        five.publish(&Message5::new("b", "five").qos(qos).with(property::user("a", "b"))).await;
        let came = old.message().await;
        assert_eq!((came.text().as_str(), came.qos), ("five", qos.min(1)));
    }
    // 3.1 may mark what it sends again: PUBREL, SUBSCRIBE, UNSUBSCRIBE with DUP
    let mut again = encode::subscribe(9, &[("c", 1)]);
    again[0] |= 8;
    old.send(&again).await;
    assert_eq!(old.answer().await, Packet::SubAck { pkid: 9, codes: vec![1] });
    old.unsubscribe("c").await;
    old.leave().await;
    five.say("b", "waits").await;
    let mut old = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(old.message().await.text(), "waits");
    let code = Link::connect(appliance.mqtt, &Connect::new("").v3()).await.1;
    assert_eq!(code, Err(2));
}
