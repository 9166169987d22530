//! What people's clients do works as it comes: hundreds of filters, large messages, long queues.

use crate::harness::{Appliance, Connect, Home, Link, encode, eventually, node, python};

/// Home Assistant: hundreds of topics in one SUBSCRIBE.
#[tokio::test]
async fn paho_subscribes_to_five_hundred_topics_at_once_and_has_them_after_a_kill() {
    let appliance = Appliance::start().await;
    let topics: Vec<_> = (0..500).map(|n| format!("homeassistant/sensor/{n}/state")).collect();
    let arguments: Vec<_> = ["home", "home/+/light"].into_iter().chain(topics.iter().map(String::as_str)).collect();
    let home = python("session.py", appliance.mqtt, &arguments);
    let subscribed = home.lines.wait_count(1).await;
    assert_eq!(subscribed, [format!("subscribed{}", " 1".repeat(501))]);
    let appliance = appliance.kill9().await.start().await;
    home.leave().await;
    let home = python("session.py", appliance.mqtt, &arguments);
    assert_eq!(home.lines.wait_count(1).await, ["resumed"]);
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    let published: Vec<_> = topics.iter().map(String::as_str).chain(["home/x/light"]).collect();
    for topic in &published {
        speaker.publish(topic, b"on").await;
    }
    let lines = home.lines.wait_count(502).await;
    assert_eq!(lines.len(), 502);
    let heard: Vec<_> = home.lines.json().iter().map(|line| line["topic"].as_str().unwrap().to_owned()).collect();
    assert_eq!(heard, published, "in order, none twice");
}

#[tokio::test]
async fn mqtt_js_that_publishes_what_zigbee2mqtt_does_stays_connected() {
    const BYTES: usize = 300_000;
    let appliance = Appliance::start().await;
    let mut live = Link::join(appliance.mqtt, &Connect::new("live")).await;
    live.subscribe("zigbee2mqtt/#", 1).await;
    let bridge = node("bridge.mjs", appliance.mqtt, &["zigbee2mqtt/bridge/devices", &BYTES.to_string()]);
    assert_eq!(bridge.lines.wait_count(2).await, ["connected", "published"]);
    assert_eq!(live.message().await.payload.len(), BYTES);
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("zigbee2mqtt/bridge/devices", 1).await;
    let retained = late.message().await;
    assert!(retained.retain && retained.payload == [b'x'; BYTES], "{} bytes", retained.payload.len());
    assert_eq!(bridge.lines.all().len(), 2, "it was connected once");
    bridge.leave().await;
}

/// A packet of 1 MiB is the largest by default: its topic and two lengths are in it.
fn largest(topic: &str, fill: u8) -> Vec<u8> {
    vec![fill; (1 << 20) - 2 - topic.len() - 2]
}

#[tokio::test]
async fn the_largest_message_reaches_everybody_and_waits_for_who_is_away() {
    let appliance = Appliance::start().await;
    let (mut near, mut wild) = (
        Link::join(appliance.mqtt, &Connect::new("near")).await,
        Link::join(appliance.mqtt, &Connect::new("wild")).await,
    );
    near.subscribe("large", 1).await;
    wild.subscribe("+", 1).await;
    let away = Connect::new("away").persistent();
    let mut leaves = Link::join(appliance.mqtt, &away).await;
    leaves.subscribe("large", 1).await;
    leaves.leave().await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    speaker.publish("large", b"small").await;
    speaker.retain("large", &largest("large", b'a')).await;
    for link in [&mut near, &mut wild] {
        assert_eq!(link.message().await.text(), "small");
        assert_eq!(link.message().await.payload, largest("large", b'a'));
    }
    let appliance = appliance.kill9().await.start().await;
    let mut back = Link::join(appliance.mqtt, &away).await;
    assert_eq!(back.message().await.text(), "small", "nothing older went for it");
    assert_eq!(back.message().await.payload, largest("large", b'a'));
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("large", 1).await;
    assert_eq!(late.message().await.payload, largest("large", b'a'));
    // One byte more than the limit ends the connection, with the setting in the log.
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    let mut more = largest("large", b'b');
    more.push(b'b');
    speaker.offer_publish("large", &more).await;
    speaker.closed().await;
    let ends = |line: &serde_json::Value| line["message"] == "mqtt_disconnect" && line["clientId"] == "speaker";
    let line = appliance.log.wait("the end of the speaker", ends).await;
    assert!(line["why"].as_str().unwrap().contains("mqtt.max_packet_bytes"), "{line}");
    appliance.assert_serves().await;
}

/// More retained bytes than may wait for a client, read slowly and answered by nobody.
#[tokio::test]
async fn retained_messages_come_as_fast_as_their_reader_takes_them() {
    const MESSAGES: usize = 60;
    let appliance = Appliance::start().await;
    let mut writer = Link::join(appliance.mqtt, &Connect::new("writer")).await;
    for n in 0..MESSAGES {
        writer.retain(&format!("large/{n:02}"), &vec![b'x'; 200_000]).await;
    }
    for qos in [0, 1] {
        let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
        late.subscribe("large/#", qos).await;
        // It does not read until a silent client is missed: after 1.5 s, and a laggard has one.
        let mut silent = Link::join(appliance.mqtt, &Connect::new("silent").keep_alive(1)).await;
        silent.closed().await;
        for n in 0..MESSAGES {
            let message = late.message().await;
            assert_eq!((message.topic, message.payload.len()), (format!("large/{n:02}"), 200_000));
        }
    }
    assert_eq!(appliance.web().metric("dmx_broker_laggards_total").await, 0.0);
}

#[tokio::test]
async fn hundreds_of_retained_messages_need_no_answers() {
    let appliance = Appliance::start().await;
    let mut writer = Link::join(appliance.mqtt, &Connect::new("writer")).await;
    for n in 0..300 {
        writer.retain(&format!("many/{n:03}"), b"x").await;
    }
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("many/#", 0).await;
    for n in 0..300 {
        assert_eq!(late.message().await.topic, format!("many/{n:03}"));
    }
}

/// A session with thousands of filters: each further one is written alone.
#[tokio::test]
async fn thousands_of_filters_one_by_one_cost_the_card_what_they_are() {
    const FILTERS: usize = 2_000;
    let appliance = Appliance::start().await;
    let connect = Connect::new("collector").persistent();
    let mut link = Link::join(appliance.mqtt, &connect).await;
    let before = appliance.web().metric("dmx_store_journal_bytes_total").await;
    for n in 0..FILTERS {
        link.send(&encode::subscribe(7, &[(&format!("some/topic/of/length/{n}"), 1)])).await;
    }
    for _ in 0..FILTERS {
        link.answer().await;
    }
    let bytes = appliance.web().metric("dmx_store_journal_bytes_total").await - before;
    println!("{FILTERS} filters: {bytes} bytes in the journal");
    assert!(bytes < FILTERS as f64 * 4_096.0 * 2.0, "{bytes}: a page for each, now and then two");
    link.unsubscribe("some/topic/of/length/7").await;
    let appliance = appliance.kill9().await.start().await;
    let (mut link, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    assert_eq!(appliance.web().metric("dmx_broker_subscriptions").await, FILTERS as f64 - 1.0);
    link.publish("some/topic/of/length/7", b"x").await;
    link.publish("some/topic/of/length/1999", b"x").await;
    assert_eq!(link.message().await.topic, "some/topic/of/length/1999");
}

#[tokio::test]
async fn ten_thousand_filters_of_one_session_are_quickly_there_and_gone() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("all").persistent()).await;
    let names: Vec<_> = (0..10_001).map(|n| format!("{n}/{}", if n % 2 == 0 { "+" } else { "x" })).collect();
    let filters: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let granted = link.subscribe_all(&filters).await;
    assert_eq!(granted[..10_000], [1; 10_000]);
    assert_eq!(granted[10_000], 0x80);
    for n in [0, 9_999] {
        link.publish(&format!("{n}/x"), b"x").await;
        assert_eq!(link.message().await.topic, format!("{n}/x"));
    }
    link.send(&encode::unsubscribe(9, &names.iter().map(String::as_str).collect::<Vec<_>>())).await;
    link.answer().await;
    assert_eq!(appliance.web().metric("dmx_broker_subscriptions").await, 0.0);
    link.leave().await;
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().metric("dmx_broker_subscriptions").await, 0.0, "nothing is left in the store");
}

#[tokio::test]
async fn what_a_full_queue_loses_is_counted_by_client_with_the_setting_in_the_log() {
    let appliance = Home::new().set("DMX_MQTT_MAX_QUEUED_MESSAGES", "2").start().await;
    let away = Connect::new("away").persistent();
    let mut leaves = Link::join(appliance.mqtt, &away).await;
    leaves.subscribe("news/+", 1).await;
    leaves.leave().await;
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    for n in 0..5 {
        speaker.publish(&format!("news/{n}"), b"x").await;
    }
    eventually("three to be counted", async || {
        let metrics = appliance.web().get("/metrics").await.text;
        let counted = ["{client=\"away\"} 3\n", "dmx_broker_messages_lost_total{filter=\"news/+\"} 3\n"];
        counted.iter().all(|line| metrics.contains(line)).then_some(())
    })
    .await;
    let lost = |line: &serde_json::Value| line["message"] == "messages_lost" && line["clientId"] == "away";
    let line = appliance.log.wait("the loss", lost).await;
    assert!(line["why"].as_str().unwrap().contains("mqtt.max_queued_messages"), "{line}");
}
