//! What kills or cripples rumqttd's own front, and must work here (BROKER.md, K1 to K9 and the rest).

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::harness::{Appliance, Connect, Home, Link, Message, Packet, encode, eventually, patiently};

#[tokio::test]
async fn topics_that_begin_with_any_character_are_routed() {
    let appliance = Appliance::start().await; // K1
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe_all(&[("#", 1), ("$fun/+", 1)]).await;
    link.until("v1/devices/server/state").await;
    for topic in ["é/x", "日本/灯", "🎛", "/", "//", "$fun/x", " "] {
        link.publish(topic, b"x").await;
        assert_eq!(link.message().await.topic, topic);
    }
    Link::join(appliance.mqtt, &Connect::new("ghost").will("é/will", "gone", false)).await.reset();
    assert_eq!(link.message().await.topic, "é/will");
    appliance.assert_serves().await;
}

#[tokio::test]
async fn client_ids_may_hold_any_character_and_come_again() {
    let appliance = Appliance::start().await; // K2
    for id in ["a/b", "a+b", "a#b", "$SYS", "/", "#", "+", "é", " ", "net:0", &"x".repeat(256)] {
        let mut first = Link::join(appliance.mqtt, &Connect::new(id)).await;
        first.subscribe("x", 1).await;
        let mut second = Link::join(appliance.mqtt, &Connect::new(id)).await;
        first.closed().await;
        second.subscribe("x", 1).await;
        second.publish("x", id.as_bytes()).await;
        assert_eq!(second.message().await.text(), id);
    }
    let (_, answer) = Link::connect(appliance.mqtt, &Connect::new(&"x".repeat(257))).await;
    assert_eq!(answer, Err(2), "identifier rejected: longer than an id may be");
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_refused_client_may_try_again_until_there_is_room() {
    let appliance = Home::new().set("DMX_MQTT_MAX_CONNECTIONS", "3").start().await; // K3
    let mut clients = Vec::new();
    for n in 0..3 {
        clients.push(Link::join(appliance.mqtt, &Connect::new(&format!("client-{n}"))).await);
    }
    for _ in 0..20 {
        let (mut refused, answer) = Link::connect(appliance.mqtt, &Connect::new("late")).await;
        assert_eq!(answer, Err(3), "server unavailable");
        refused.closed().await;
    }
    for client in &mut clients {
        client.ping().await;
    }
    // a known id that comes again is a take-over, not one more connection
    let mut again = Link::join(appliance.mqtt, &Connect::new("client-0")).await;
    clients.swap_remove(2).leave().await;
    let mut late = eventually("room for one more", async || {
        let (link, answer) = Link::connect(appliance.mqtt, &Connect::new("late")).await;
        answer.is_ok().then_some(link)
    })
    .await;
    late.ping().await;
    again.ping().await;
}

#[tokio::test]
async fn a_storm_of_connect_and_reset_with_changing_ids_leaves_the_broker_whole() {
    let appliance = Home::new().set("DMX_MQTT_MAX_CONNECTIONS", "50").start().await; // K3, K4
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe("alive", 1).await;
    for n in 0..300 {
        let mut link = Link::open(appliance.mqtt).await;
        let connect = Connect::new(&format!("storm-{n}"));
        let bytes = if n % 2 == 0 { connect.encode() } else { connect.persistent().encode() };
        link.send(if n % 3 == 0 { &bytes[..bytes.len() - 1] } else { &bytes }).await;
        link.reset(); // mostly before the CONNACK was read
    }
    witness.publish("alive", b"yes").await;
    assert_eq!(witness.message().await.payload, b"yes");
    eventually("only the witness is left", async || {
        (appliance.web().metric("dmx_broker_clients").await == 1.0).then_some(())
    })
    .await;
    let mut many = Vec::new();
    for n in 0..40 {
        many.push(Link::join(appliance.mqtt, &Connect::new(&format!("after-{n}"))).await);
    }
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_disconnect_right_after_hundreds_of_messages_leaves_the_broker_whole() {
    let appliance = Appliance::start().await; // K5
    fill_retained(&appliance, 250).await;
    for n in 0..20 {
        let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("flooded-{}", n % 3))).await;
        link.send(&encode::subscribe(1, &[("many/#", 1)])).await;
        link.send(&encode::DISCONNECT).await;
        if n % 2 == 0 {
            link.reset();
        }
    }
    appliance.assert_serves().await;
    assert_eq!(retained(&appliance, "many/#").await, 250);
}

#[tokio::test]
async fn a_shared_subscription_harms_nobody_when_its_client_goes_without_an_answer() {
    let appliance = Appliance::start().await; // K6
    let connect = Connect::new("group").persistent();
    let mut link = Link::join(appliance.mqtt, &connect).await;
    link.acknowledge(false);
    assert_eq!(link.subscribe("$share/g/t", 1).await, 1);
    link.publish("t", b"x").await;
    assert_eq!(link.message().await.text(), "x");
    link.reset();
    let mut link = Link::join(appliance.mqtt, &connect).await;
    let again = link.message().await;
    assert_eq!((again.text().as_str(), again.dup), ("x", true));
    link.unsubscribe("$share/g/t").await;
    link.publish("t", b"y").await;
    assert_eq!(link.messages().await, []);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_silent_tcp_connection_hinders_nobody() {
    let appliance = Appliance::start().await; // K8
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Link::open(appliance.mqtt).await);
    }
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_socket_that_never_connects_is_closed() {
    let appliance = Home::new().set("DMX_MQTT_CONNECT_TIMEOUT_SECONDS", "1").start().await;
    let mut silent = Link::open(appliance.mqtt).await;
    let mut slow = Link::open(appliance.mqtt).await;
    slow.send(&Connect::new("slow").encode()[..5]).await;
    silent.closed().await;
    slow.closed().await;
    appliance.assert_serves().await;
}

/// K9: of 600 subscribers 12 leave while a message is on its way; nobody else may have to wait for the next event.
const SUBSCRIBERS: usize = 600;
const LEAVING: usize = 12;
const ROUNDS: usize = 5;

#[tokio::test]
async fn everyone_is_served_while_some_of_600_subscribers_leave() {
    let appliance = Appliance::start().await;
    let mut links = Vec::new();
    for n in 0..SUBSCRIBERS {
        let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("sub-{n}"))).await;
        link.subscribe("all", 0).await;
        links.push(link);
    }
    let mut publisher = Link::join(appliance.mqtt, &Connect::new("publisher")).await;
    for round in 0..ROUNDS {
        let staying = links.split_off(LEAVING);
        let leaving = std::mem::replace(&mut links, staying);
        publisher.publish("all", &[round as u8]).await;
        for (n, mut link) in leaving.into_iter().enumerate() {
            if n % 2 == 0 {
                link.send(&encode::DISCONNECT).await;
            } else {
                link.reset();
            }
        }
        // No further event comes: whoever is not served now would wait for ever.
        let served = join_all(links.iter_mut().map(async |link| link.message().await.payload));
        let payloads = patiently("all to be served", served).await;
        assert!(payloads.iter().all(|payload| payload == &[round as u8]), "round {round}");
    }
    assert_eq!(links.len(), SUBSCRIBERS - LEAVING * ROUNDS);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn more_than_200_retained_messages_are_all_delivered_at_subscribe() {
    let appliance = Appliance::start().await;
    fill_retained(&appliance, 450).await;
    assert_eq!(retained(&appliance, "many/#").await, 450);
    assert_eq!(retained(&appliance, "#").await, 452, "and those of the appliance");
}

#[tokio::test]
async fn acknowledgements_of_what_was_never_sent_are_tolerated() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    link.subscribe("a", 1).await;
    for pkid in [1, 77, 65535] {
        link.send(&encode::puback(pkid)).await;
    }
    link.publish("a", b"x").await;
    let message = link.message().await; // acknowledged by the link
    link.send(&encode::puback(message.pkid)).await; // and a second time
    link.publish("a", b"y").await;
    assert_eq!(link.message().await.payload, b"y");
}

#[tokio::test]
async fn a_thousand_messages_reach_one_subscriber() {
    let appliance = Appliance::start().await; // a link of the router falls silent after 200
    let mut subscriber = Link::join(appliance.mqtt, &Connect::new("subscriber")).await;
    subscriber.subscribe_all(&[("zero", 0), ("one", 1)]).await;
    let mut publisher = Link::join(appliance.mqtt, &Connect::new("publisher")).await;
    let publishing = tokio::spawn(async move {
        for n in 0..1500_u32 {
            publisher.publish(if n % 2 == 0 { "zero" } else { "one" }, &n.to_be_bytes()).await;
        }
        publisher
    });
    // each topic keeps its order; the two may overtake each other [MQTT-4.6.0-6]
    let mut next = [0, 1];
    for _ in 0..1500 {
        let message = subscriber.message().await;
        let expected = &mut next[usize::from(message.topic == "one")];
        assert_eq!(message.payload, u32::to_be_bytes(*expected), "none missing on {}, in order", message.topic);
        *expected += 2;
    }
    publishing.await.unwrap().ping().await;
}

#[tokio::test]
async fn one_who_never_acknowledges_hinders_nobody() {
    let appliance = Appliance::start().await;
    let mut deaf = Link::join(appliance.mqtt, &Connect::new("deaf")).await;
    deaf.subscribe("a", 1).await;
    deaf.acknowledge(false);
    let mut good = Link::join(appliance.mqtt, &Connect::new("good")).await;
    good.subscribe("a", 1).await;
    let mut publisher = Link::join(appliance.mqtt, &Connect::new("publisher")).await;
    let start = Instant::now();
    for n in 0..400_u32 {
        publisher.publish("a", &n.to_be_bytes()).await;
        assert_eq!(good.message().await.payload, n.to_be_bytes());
    }
    println!("400 messages beside a deaf subscriber: {:?}", start.elapsed());
    appliance.assert_serves().await;
}

#[tokio::test]
async fn one_who_never_reads_hinders_nobody() {
    let appliance = Appliance::start().await;
    let mut asleep = Link::join(appliance.mqtt, &Connect::new("asleep")).await;
    asleep.subscribe("a", 0).await;
    let mut good = Link::join(appliance.mqtt, &Connect::new("good")).await;
    good.subscribe("a", 0).await;
    let mut publisher = Link::join(appliance.mqtt, &Connect::new("publisher")).await;
    // 40 MB: more than any buffer between here and there.
    let payload = vec![7; 100_000];
    let served = async {
        for _ in 0..400 {
            publisher.publish("a", &payload).await;
            assert_eq!(good.message().await.payload.len(), payload.len());
        }
    };
    tokio::time::timeout(Duration::from_secs(100), served).await.expect("the others are served");
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_flood_of_wills_and_takeovers_leaves_the_broker_whole() {
    let appliance = Appliance::start().await;
    let storms = (0..4).map(async |storm: u32| {
        for n in 0..40 {
            // All four compete for the same three ids.
            let connect =
                Connect::new(&format!("fought-{}", n % 3)).persistent().will("will", &storm.to_string(), true);
            let mut link = Link::open(appliance.mqtt).await;
            link.send_into_the_void(&connect.encode()).await;
            link.send_into_the_void(&encode::subscribe(1, &[("will", 1)])).await;
            if n % 4 == 0 {
                link.reset();
            }
        }
    });
    patiently("the storms to pass", join_all(storms)).await;
    appliance.assert_serves().await;
}

async fn fill_retained(appliance: &Appliance, count: u32) {
    let mut link = Link::join(appliance.mqtt, &Connect::new("filler")).await;
    for n in 0..count {
        let message = Message {
            topic: format!("many/{n}"),
            payload: n.to_be_bytes().to_vec(),
            qos: 1,
            retain: true,
            dup: false,
            pkid: u16::try_from(n + 1).unwrap(),
        };
        link.send(&encode::publish(&message)).await;
        assert_eq!(link.answer().await, Packet::PubAck(message.pkid));
    }
}

/// How many different retained messages a new subscriber is sent.
async fn retained(appliance: &Appliance, filter: &str) -> usize {
    let mut link = Link::join(appliance.mqtt, &Connect::new("counter")).await;
    link.subscribe_all(&[(filter, 1), ("marker", 1)]).await;
    link.publish("marker", b"").await;
    let mut topics: Vec<_> = link.until("marker").await.into_iter().map(|message| message.topic).collect();
    topics.sort();
    let all = topics.len();
    topics.dedup();
    assert_eq!(topics.len(), all, "each once");
    all
}
