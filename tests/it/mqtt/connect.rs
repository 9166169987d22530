//! CONNECT and its answers.

use futures_util::future::join_all;

use crate::harness::{Appliance, Connect, Home, Link, Message, Packet, encode, eventually};

#[tokio::test]
async fn another_protocol_level_is_refused_in_the_form_of_its_time() {
    let appliance = Appliance::start().await;
    for level in [6, 0x7f] {
        let mut link = Link::open(appliance.mqtt).await;
        link.send(&Connect::new("new").level(level).encode()).await;
        assert_eq!(link.bytes(4).await[2..], [0, 0x84], "level {level}: as MQTT 5 has it, behind the flags");
    }
    for level in [0, 2, 3] {
        let (mut link, answer) = Link::connect(appliance.mqtt, &Connect::new("old").level(level)).await;
        assert_eq!(answer, Err(1), "level {level}");
        link.closed().await;
    }
    appliance.assert_serves().await;
}

#[tokio::test]
async fn an_empty_client_id_is_welcome_in_a_clean_session_only() {
    let appliance = Appliance::start().await;
    let mut first = Link::join(appliance.mqtt, &Connect::new("")).await;
    let mut second = Link::join(appliance.mqtt, &Connect::new("")).await;
    first.ping().await;
    second.ping().await;
    let (mut third, answer) = Link::connect(appliance.mqtt, &Connect::new("").persistent()).await;
    assert_eq!(answer, Err(2), "identifier rejected [MQTT-3.1.3-8]");
    third.closed().await;
    first.ping().await;
}

#[tokio::test]
async fn a_login_must_be_right_when_one_is_configured() {
    let home = Home::new().set("DMX_MQTT_USERNAME", "stage").set("DMX_MQTT_PASSWORD", "secret");
    let appliance = home.start().await;
    let wrong = [
        Connect::new("a"),
        Connect::new("a").login("stage", "wrong"),
        Connect::new("a").login("stag", "secret"),
        Connect::new("a").login("stage", ""),
        Connect::new("a").login("", "secret"),
    ];
    for connect in wrong {
        let (mut link, answer) = Link::connect(appliance.mqtt, &connect).await;
        assert!(matches!(answer, Err(4 | 5)), "{connect:?}: {answer:?}");
        link.closed().await;
    }
    let mut right = Link::join(appliance.mqtt, &Connect::new("a").login("stage", "secret")).await;
    right.ping().await;
    assert!(!appliance.log.all().join("\n").contains("secret"), "no password in the log");
}

#[tokio::test]
async fn any_login_is_accepted_when_none_is_configured() {
    let appliance = Appliance::start().await;
    Link::join(appliance.mqtt, &Connect::new("a").login("any", "thing")).await.ping().await;
}

#[tokio::test]
async fn a_second_connect_closes_the_connection() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("twice")).await;
    link.send(&Connect::new("twice").encode()).await;
    link.closed().await;
    appliance.assert_serves().await;
}

#[tokio::test]
async fn the_first_packet_must_be_connect() {
    let appliance = Appliance::start().await;
    for packet in [encode::PING.to_vec(), encode::subscribe(1, &[("#", 0)]), encode::puback(1)] {
        let mut link = Link::open(appliance.mqtt).await;
        link.send(&packet).await;
        assert_eq!(link.read().await, None, "closed without an answer");
    }
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_publish_to_a_wildcard_or_nul_or_nothing_closes_the_connection() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("#", 1).await;
    listener.until("v1/devices/server/state").await;
    for topic in ["a/+", "a/#", "#", "+", "a\0b", ""] {
        let mut link = Link::join(appliance.mqtt, &Connect::new("bad")).await;
        let (topic, payload) = (topic.to_owned(), b"x".to_vec());
        link.send(&encode::publish(&Message { topic, payload, qos: 1, retain: false, dup: false, pkid: 1 })).await;
        link.closed().await;
    }
    let mut good = Link::join(appliance.mqtt, &Connect::new("good")).await;
    good.publish("marker", b"").await;
    let heard = listener.until("marker").await;
    assert!(heard.iter().all(|message| message.payload != b"x"), "{heard:?}");
}

#[tokio::test]
async fn keep_alive_0_means_none() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("quiet").keep_alive(0)).await;
    assert_eq!(link.subscribe("a", 1).await, 1);
    link.publish("a", b"heard").await;
    assert_eq!(link.message().await.payload, b"heard");
}

#[tokio::test]
async fn malformed_packets_close_only_their_own_connection() {
    let appliance = Appliance::start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    let packets: [&[u8]; 8] = [
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],             // remaining length of five bytes
        &[0x36, 0x05, 0x00, 0x01, b'a', 0x00, 0x01],       // PUBLISH at QoS 3
        &[0x32, 0x05, 0x00, 0x01, b'a', 0x00, 0x00],       // packet id 0
        &[0x30, 0x03, 0x00, 0x20, b'a'],                   // topic longer than the packet
        &[0x30, 0x04, 0x00, 0x02, 0xFF, 0xFE],             // topic that is not UTF-8
        &[0x80, 0x06, 0x00, 0x01, 0x00, 0x01, b'a', 0x00], // SUBSCRIBE with wrong flags
        &[0x82, 0x02, 0x00, 0x01],                         // SUBSCRIBE to nothing
        &[0xF0, 0x00],                                     // reserved type
    ];
    for packet in packets {
        let mut link = Link::join(appliance.mqtt, &Connect::new("broken")).await;
        link.send(packet).await;
        link.closed().await;
        witness.ping().await;
    }
    assert!(appliance.web().metric("dmx_broker_protocol_errors_total").await >= 8.0, "counted");
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_packet_in_many_small_pieces_is_one_packet() {
    let appliance = Appliance::start().await;
    let mut link = Link::open(appliance.mqtt).await;
    for byte in Connect::new("dribble").encode() {
        link.send(&[byte]).await;
    }
    assert_eq!(link.next().await, Packet::ConnAck { session_present: false, code: 0 });
    link.ping().await;
}

/// How many of these are let in when all come at once; the others must be refused for lack of room.
async fn let_in(appliance: &Appliance, connects: &[Connect]) -> usize {
    let answers = join_all(connects.iter().map(|connect| Link::connect(appliance.mqtt, connect))).await;
    for (_, answer) in &answers {
        assert!(matches!(answer, Ok(_) | Err(3)), "let in or no room: {answer:?}");
    }
    // the links are open until here, so nobody got in because somebody had left
    answers.iter().filter(|(_, answer)| answer.is_ok()).count()
}

#[tokio::test]
async fn a_burst_of_clients_fills_the_seats_and_no_more() {
    for _ in 0..3 {
        let appliance = Home::new().set("DMX_MQTT_MAX_CONNECTIONS", "5").start().await;
        let connects: Vec<_> = (0..40).map(|n| Connect::new(&format!("client-{n}"))).collect();
        assert_eq!(let_in(&appliance, &connects).await, 5);
    }
}

#[tokio::test]
async fn kept_sessions_that_come_back_need_a_seat_as_well() {
    let appliance = Home::new().set("DMX_MQTT_MAX_CONNECTIONS", "3").start().await;
    let connects: Vec<_> = (0..6).map(|n| Connect::new(&format!("kept-{n}")).persistent()).collect();
    for connect in &connects {
        Link::join(appliance.mqtt, connect).await.leave().await;
        nobody_is_connected(&appliance).await;
    }
    for _ in 0..3 {
        assert_eq!(let_in(&appliance, &connects).await, 3);
        nobody_is_connected(&appliance).await;
    }
}

async fn nobody_is_connected(appliance: &Appliance) {
    eventually("all seats are free", async || {
        (appliance.web().metric("dmx_broker_clients").await == 0.0).then_some(())
    })
    .await;
}
