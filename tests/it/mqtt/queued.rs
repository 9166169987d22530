//! What waits for kept sessions has a total: one copy counts once, whatever the number of sessions, and a start keeps within it.

use crate::harness::{Appliance, Connect, Home, Link, Message, eventually};

const HELD: &str = "dmx_memory_held_bytes{kind=\"queued\"}";

async fn held(appliance: &Appliance) -> f64 {
    appliance.web().metric(HELD).await
}

/// A kept session whose client has left.
async fn away(appliance: &Appliance, id: &str, filter: &str) {
    let mut link = Link::join(appliance.mqtt, &Connect::new(id).persistent()).await;
    link.subscribe(filter, 1).await;
    link.leave().await;
}

/// A message that begins with its number, and its size.
fn numbered(number: usize, size: usize) -> Vec<u8> {
    format!("{number:<size$}").into_bytes()
}

fn number(message: &Message) -> usize {
    message.text().trim().parse().unwrap()
}

/// What waited for a client, until there is no more.
async fn takes(appliance: &Appliance, id: &str) -> Vec<usize> {
    let (mut link, present) = Link::connect(appliance.mqtt, &Connect::new(id).persistent()).await;
    assert_eq!(present, Ok(true), "{id}");
    link.subscribe("last", 1).await;
    link.publish("last", b"").await;
    let taken = link.until("last").await.iter().map(number).collect();
    link.unsubscribe("last").await;
    link.leave().await; // from then on the store knows what it has
    taken
}

#[tokio::test]
async fn what_had_to_go_is_gone_after_a_start_too_although_others_still_have_it() {
    const MOST: usize = 10;
    let appliance = Home::new().set("DMX_MQTT_MAX_QUEUED_MESSAGES", MOST.to_string()).start().await;
    away(&appliance, "all", "ee/#").await;
    away(&appliance, "one", "ee/1").await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    for n in 0..16 {
        speaker.publish(if n < 8 { "ee/1" } else { "ee/2" }, &numbered(n, 10)).await;
    }
    let newest = Vec::from_iter(6..16);
    let lost = "dmx_broker_client_messages_lost_total{client=\"all\"}";
    assert_eq!(appliance.web().metric(lost).await, 6.0);
    let appliance = appliance.restart().await;
    assert_eq!(takes(&appliance, "all").await, newest);
    assert_eq!(takes(&appliance, "one").await, Vec::from_iter(0..8));
}

#[tokio::test]
async fn a_message_for_many_is_counted_once_and_given_back_with_the_last_of_them() {
    const SESSIONS: usize = 40;
    const MESSAGES: usize = 50;
    const BYTES: usize = 10_000;
    let appliance = Appliance::start().await;
    for n in 0..SESSIONS {
        away(&appliance, &format!("away-{n}"), if n % 2 == 0 { "news" } else { "news/#" }).await;
    }
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    for n in 0..MESSAGES {
        speaker.publish("news", &numbered(n, BYTES)).await;
    }
    let (one_copy, many) = ((MESSAGES * BYTES) as f64, held(&appliance).await);
    assert!((one_copy..one_copy * 1.4).contains(&many), "{many}");
    for n in 1..SESSIONS {
        let taken = takes(&appliance, &format!("away-{n}")).await;
        assert_eq!(taken, Vec::from_iter(0..MESSAGES));
    }
    let for_one = held(&appliance).await;
    assert!((one_copy..one_copy * 1.1).contains(&for_one), "{for_one}");
    let appliance = appliance.kill9().await.start().await;
    assert!(held(&appliance).await <= for_one * 1.1, "{}", held(&appliance).await);
    assert_eq!(takes(&appliance, "away-0").await.len(), MESSAGES);
    eventually("all is given back", async || (held(&appliance).await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn a_full_store_loses_the_oldest_of_a_queue_and_no_publisher_waits_for_ever() {
    const MOST: usize = 300_000;
    const MESSAGES: usize = 100;
    let appliance = Home::new().set("DMX_MQTT_MAX_QUEUED_BYTES", MOST.to_string()).start().await;
    away(&appliance, "one", "one").await;
    away(&appliance, "two", "two").await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    speaker.publish("one", &numbered(7, 1_000)).await;
    for n in 0..MESSAGES {
        speaker.publish("two", &numbered(n, 10_000)).await; // each is acknowledged
        assert!(held(&appliance).await <= MOST as f64);
    }
    let taken = takes(&appliance, "two").await;
    assert!(taken.len() > 25, "{taken:?}");
    assert_eq!(taken, Vec::from_iter(MESSAGES - taken.len()..MESSAGES), "none from the middle");
    let lost = "dmx_broker_client_messages_lost_total{client=\"two\"}";
    assert_eq!(appliance.web().metric(lost).await, (MESSAGES - taken.len()) as f64);
    let line = appliance.log.wait("the loss", |line| line["message"] == "messages_lost").await;
    assert!(line["why"].as_str().unwrap().contains("mqtt.max_queued_bytes"), "{line}");
    assert_eq!(takes(&appliance, "one").await, [7], "it was its own");
}

#[tokio::test]
async fn a_start_that_finds_more_than_may_wait_keeps_the_newest_and_a_device_what_it_has() {
    const MOST: usize = 200_000;
    const MESSAGES: usize = 30;
    let appliance = Appliance::start().await;
    let mut lamp = Link::join(appliance.mqtt, &Connect::new("esp").persistent()).await;
    lamp.retain("v1/devices/lamp/state", br#"{"online":true}"#).await;
    lamp.subscribe_all(&[("lamp", 1), ("both", 1)]).await;
    lamp.leave().await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other").persistent()).await;
    other.subscribe_all(&[("other", 1), ("both", 1)]).await;
    other.leave().await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    for n in 0..MESSAGES {
        let topic = ["lamp", "other", "both"][n % 3];
        speaker.publish(topic, &numbered(n, 10_000)).await;
    }
    let before = held(&appliance).await;
    assert!(before > (MESSAGES * 10_000) as f64, "{before}");
    let small = appliance.kill9().await.set("DMX_MQTT_MAX_QUEUED_BYTES", MOST.to_string());
    let appliance = small.start().await;
    assert!(held(&appliance).await <= MOST as f64, "{}", held(&appliance).await);
    let line = appliance.log.wait("what was done", |line| line["message"] == "queued_trimmed").await;
    assert!(line["why"].as_str().unwrap().contains("mqtt.max_queued_bytes"), "{line}");
    let ready = appliance.web().get("/readyz").await.json();
    assert_eq!(
        (&ready["ready"], ready["problems"][0]["code"].as_str()),
        (&true.into(), Some("MEMORY_FULL")),
        "{ready}"
    );
    let others = appliance.web().metric("dmx_broker_client_messages_lost_total{client=\"other\"}").await;
    let lamps = appliance.web().metric("dmx_broker_client_messages_lost_total{client=\"esp\"}").await;
    assert_eq!(others, (MESSAGES / 3 * 2) as f64, "nothing of the lamp's goes before that");
    let taken = takes(&appliance, "esp").await;
    let all: Vec<_> = (0..MESSAGES).filter(|n| n % 3 != 1).collect();
    assert_eq!(taken, all[lamps as usize..], "the newest");
    assert_eq!(takes(&appliance, "other").await, Vec::<usize>::new());
    eventually("all is given back", async || (held(&appliance).await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn what_clients_of_the_moment_never_answer_holds_no_memory() {
    const CLIENTS: usize = 4;
    const MESSAGES: usize = 60;
    const BYTES: usize = 500_000;
    let appliance = Appliance::start().await;
    let mut mute = Vec::new();
    for n in 0..CLIENTS {
        let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("mute-{n}"))).await;
        link.subscribe(&format!("to/{n}"), 1).await;
        link.acknowledge(false);
        mute.push(link);
    }
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    let before = appliance.memory_mib();
    for _ in 0..MESSAGES {
        for (n, link) in mute.iter_mut().enumerate() {
            speaker.publish(&format!("to/{n}"), &vec![b'x'; BYTES]).await;
            assert_eq!(link.message().await.text().len(), BYTES);
        }
    }
    let all = (CLIENTS * MESSAGES * BYTES) as u64 >> 20;
    let more = appliance.memory_mib().saturating_sub(before);
    assert!(more < all / 3, "{more} MiB more after {all} MiB");
}

#[tokio::test]
async fn a_client_that_never_answers_its_retained_messages_is_not_kept_for_ever_while_others_speak_to_it() {
    let appliance = Appliance::start().await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    for n in 0..200 {
        speaker.retain(&format!("kept/{n}"), b"1").await;
    }
    let mut mute = Link::join(appliance.mqtt, &Connect::new("mute")).await;
    mute.acknowledge(false);
    mute.subscribe_all(&[("live", 1), ("kept/#", 1)]).await;
    speaker.publish("live", &[b'x'; 100_000]).await;
    mute.closed().await;
    speaker.ping().await;
}
