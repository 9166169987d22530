//! What a client can take: unanswered messages, bytes of a packet, reason strings.

use crate::harness::{
    Appliance, CMD, Connect5, Home, Link5, Message5, Packet5, STATE, Value, ack5, disconnect5, encode, find, property,
};

async fn sender(appliance: &Appliance) -> Link5 {
    Link5::join(appliance.mqtt, &Connect5::new("sender")).await
}

#[tokio::test]
async fn no_more_messages_are_unanswered_than_the_client_allows() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    for most in [1, 2] {
        let connect = Connect5::new("a").with(property::receive_maximum(most));
        let mut link = Link5::join(appliance.mqtt, &connect).await;
        link.acknowledge(false);
        link.subscribe("a", 2).await;
        for n in 0..5 {
            sender.publish(&Message5::new("a", &n.to_string()).qos(1 + n % 2)).await;
        }
        let first = link.messages().await;
        assert_eq!(first.len(), usize::from(most));
        link.send(&encode::puback(first[0].pkid)).await;
        let next = link.message().await; // its place is free
        assert_eq!(link.messages().await, []);
        // at QoS 2 the place is free after PUBCOMP (section 4.9)
        let second = if most == 1 { next } else { first[1].clone() };
        assert_eq!(second.qos, 2);
        link.send(&encode::pubrec(second.pkid)).await;
        assert_eq!(link.acked(0x60, second.pkid).await.0, 0);
        assert_eq!(link.messages().await, []);
        link.send(&encode::pubcomp(second.pkid)).await;
        link.message().await;
        assert_eq!(link.messages().await, []);
    }
}

#[tokio::test]
async fn a_refused_message_of_qos_2_frees_its_place() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("a").with(property::receive_maximum(1))).await;
    link.acknowledge(false);
    link.subscribe("a", 2).await;
    for payload in ["1", "2"] {
        sender.publish(&Message5::new("a", payload).qos(2)).await;
    }
    let first = link.message().await;
    link.send(&ack5(0x50, first.pkid, 0x83)).await;
    assert_eq!(link.message().await.text(), "2", "no PUBREL comes between (section 4.3.3)");
}

#[tokio::test]
async fn a_client_that_comes_back_with_a_smaller_window_is_not_flooded_by_what_it_had_not_answered() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    let connect = |most| Connect5::kept("a", 60).with(property::receive_maximum(most));
    let mut link = Link5::join(appliance.mqtt, &connect(10)).await;
    link.acknowledge(false);
    link.subscribe("a", 1).await;
    for n in 0..4 {
        sender.say("a", &n.to_string()).await;
    }
    assert_eq!(link.messages().await.len(), 4);
    drop(link);
    let appliance = appliance.kill9().await.start().await;
    let mut link = Link5::join(appliance.mqtt, &connect(2)).await;
    link.acknowledge(false);
    let mut came = vec![link.message().await, link.message().await];
    for n in 0..4 {
        assert_eq!(link.messages().await, [], "no more than two at a time");
        let message = came.remove(0);
        assert_eq!((message.text(), message.dup), (n.to_string(), true));
        link.send(&encode::puback(message.pkid)).await;
        if n < 2 {
            came.push(link.message().await);
        }
    }
    assert_eq!(link.messages().await, []);
}

#[tokio::test]
async fn a_message_that_is_too_large_for_a_client_is_not_sent_and_takes_no_place() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    let connect = Connect5::kept("a", 60).with(property::maximum_packet(100)).with(property::receive_maximum(1));
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.acknowledge(false);
    link.subscribe("a", 2).await;
    let large = "x".repeat(100);
    for qos in 0..=2 {
        sender.publish(&Message5::new("a", &large).qos(qos)).await;
    }
    let with_properties = Message5::new("a", "").with(property::user("name", &large));
    sender.publish(&with_properties).await;
    // 2 of the header, 3 of the topic, 2 of the id, 1 of the properties
    let fits = "y".repeat(100 - 8);
    sender.say("a", &fits).await;
    assert_eq!(link.texts().await, [fits]);
    drop(link);
    sender.publish(&Message5::new("a", &large).qos(2)).await; // in the store
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    sender.say("a", "small").await;
    assert!(link.message().await.dup);
    assert_eq!(link.message().await.text(), "small");
    assert_eq!(link.messages().await, []);
}

#[tokio::test]
async fn answers_have_reason_strings_unless_they_are_too_long_or_unwelcome() {
    let appliance = Appliance::start().await;
    let of_ours = Message5::new(STATE, "x");
    for (connect, has_reason) in [
        (Connect5::new("talk"), true),
        (Connect5::new("wanted").with(property::request_problem(1)), true),
        (Connect5::new("unwanted").with(property::request_problem(0)), false),
        (Connect5::new("small").with(property::maximum_packet(20)), false),
    ] {
        let mut link = Link5::join(appliance.mqtt, &connect).await;
        for qos in [1, 2] {
            let (code, why) = link.publish(&of_ours.clone().qos(qos)).await;
            assert_eq!((code, why.is_some()), (0x87, has_reason), "{connect:?} at QoS {qos}");
        }
        let (code, why) = link.publish(&Message5::new(CMD, "nonsense")).await;
        assert_eq!((code, why.is_some()), (0x83, has_reason), "{connect:?}");
        link.send(&disconnect5(0, &[property::session_expiry(9)])).await;
        let (code, why) = link.end().await.expect("a DISCONNECT");
        // DISCONNECT may have one whatever the client asked for (section 3.1.2.11.7), if it fits
        assert_eq!((code, why.is_some()), (0x82, connect.id != "small"), "{connect:?}");
    }
}

#[tokio::test]
async fn a_refusal_fits_into_what_the_client_takes() {
    let appliance = Home::new().set("DMX_MQTT_USERNAME", "u").set("DMX_MQTT_PASSWORD", "p").start().await;
    let connect = Connect5::new("a").login("u", "wrong");
    let (_, told) = Link5::connect(appliance.mqtt, &connect).await;
    assert!(find(&told.properties, &property::reason_string("")).is_some());
    let (_, told) = Link5::connect(appliance.mqtt, &connect.with(property::maximum_packet(20))).await;
    assert_eq!((told.code, find(&told.properties, &property::reason_string(""))), (0x86, None));
}

#[tokio::test]
async fn a_packet_that_is_larger_than_dmxd_takes_ends_the_connection() {
    let appliance = Home::new().set("DMX_MQTT_MAX_PACKET_BYTES", "1000").start().await;
    let (mut link, welcome) = Link5::connect(appliance.mqtt, &Connect5::new("a")).await;
    assert_eq!(find(&welcome.properties, &property::maximum_packet(0)), Some(Value::Four(1000)));
    let mut packet = Message5 { pkid: 1, ..Message5::new("a", &"x".repeat(1000)) }.encode();
    packet.truncate(100); // what is refused need not come whole
    link.send(&packet).await;
    let Some(Packet5::Disconnect { code, .. }) = link.read().await else { panic!("no DISCONNECT") };
    assert_eq!(code, 0x95);
}
