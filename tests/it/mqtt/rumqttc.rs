//! Rust's rumqttc in MQTT 5, with its defaults: it takes 10 KiB at most.

use std::collections::BTreeMap;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet, Publish, PublishProperties, SubscribeProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde_json::{Value, json};

use crate::harness::{Appliance, CMD, STATE, UPDATES, command, fresh_id, patiently, rgb_of};

/// Its client and its connection, connected.
async fn joined(appliance: &Appliance, options: impl FnOnce(&mut MqttOptions)) -> (AsyncClient, EventLoop) {
    let mut all = MqttOptions::new("rumqttc", appliance.mqtt.ip().to_string(), appliance.mqtt.port());
    all.set_keep_alive(Duration::from_secs(30));
    options(&mut all);
    let (client, mut connection) = AsyncClient::new(all, 10);
    match next(&mut connection).await {
        Packet::ConnAck(connack) => assert_eq!(connack.code, ConnectReturnCode::Success),
        other => panic!("{other:?}"),
    }
    (client, connection)
}

async fn next(connection: &mut EventLoop) -> Packet {
    loop {
        if let Event::Incoming(packet) = patiently("an event of rumqttc", connection.poll()).await.expect("it stays") {
            return packet;
        }
    }
}

async fn message(connection: &mut EventLoop) -> Publish {
    patiently("a message", async {
        loop {
            if let Packet::Publish(publish) = next(connection).await {
                return publish;
            }
        }
    })
    .await
}

#[tokio::test]
async fn rumqttc_with_its_defaults_commands_the_light_and_hears_all_that_is_ours() {
    let appliance = Appliance::start().await;
    let (client, mut connection) = joined(&appliance, |_| {}).await;
    for (id, filter) in (1..).zip([STATE, "v1/#"]) {
        let properties = SubscribeProperties { id: Some(id), user_properties: Vec::new() };
        client.subscribe_with_properties(filter, QoS::AtLeastOnce, properties).await.unwrap();
    }
    // The retained state comes for each of the filters.
    let mut states = 0;
    while states < 2 {
        let retained = message(&mut connection).await;
        assert!(retained.retain, "{retained:?}");
        states += usize::from(retained.topic == STATE);
    }

    client.publish(CMD, QoS::AtLeastOnce, false, command([9, 8, 7]).to_string()).await.unwrap();
    let state = loop {
        let heard = message(&mut connection).await;
        if heard.topic == STATE {
            break heard;
        }
    };
    assert_eq!(rgb_of(&serde_json::from_slice(&state.payload).unwrap()), [9, 8, 7]);
    assert_eq!((state.retain, state.qos), (false, QoS::AtLeastOnce));
    let mut identifiers = state.properties.expect("properties").subscription_identifiers;
    identifiers.sort_unstable();
    assert_eq!(identifiers, [1, 2], "one copy with both");
}

/// Sets all channels of universe 0, a patch at a time.
async fn set_all(appliance: &Appliance, val: u8) {
    for n in 0..8 {
        let patch: Vec<_> = (1..=64).map(|ch| json!({"ch": n * 64 + ch, "val": val})).collect();
        let body = json!({"type": "dmx.patch", "id": fresh_id(), "universe": 0, "patch": patch});
        let answer = appliance.web().post("/command", body.to_string()).await;
        assert_eq!(answer.json()["accepted"], true, "{answer:?}");
    }
}

#[tokio::test]
async fn rumqttc_with_its_defaults_hears_a_whole_universe_change() {
    let appliance = Appliance::start().await;
    let (client, mut connection) = joined(&appliance, |_| {}).await;
    set_all(&appliance, 211).await;
    assert_eq!(appliance.web().post("/scenes", r#"{"id": "big", "name": "Big"}"#).await.status, 201);
    set_all(&appliance, 0).await;
    client.subscribe(UPDATES, QoS::AtLeastOnce).await.unwrap();
    while !matches!(next(&mut connection).await, Packet::SubAck(_)) {}

    assert_eq!(appliance.web().post("/scenes/big/recall", r#"{"fadeMs": 0}"#).await.status, 200);
    let mut told = BTreeMap::new();
    while told.len() < 512 {
        let update: Value = serde_json::from_slice(&message(&mut connection).await.payload).unwrap();
        assert_eq!(update["full"], false);
        for level in update["delta"].as_array().unwrap() {
            told.insert(level["ch"].as_u64().unwrap(), level["val"].as_u64().unwrap());
        }
    }
    assert!(told.values().all(|val| *val == 211));
}

#[tokio::test]
async fn rumqttc_gets_its_own_properties_back_and_takes_aliases() {
    let appliance = Appliance::start().await;
    let (client, mut connection) = joined(&appliance, |options| {
        options.set_topic_alias_max(Some(3));
    })
    .await;
    client.subscribe("stage/#", QoS::ExactlyOnce).await.unwrap();
    while !matches!(next(&mut connection).await, Packet::SubAck(_)) {}

    // It hands on a message as it came, without the topic that its alias stands for.
    let mut aliases = BTreeMap::new();
    for n in 0..20 {
        let sent = PublishProperties {
            payload_format_indicator: Some(1),
            response_topic: Some("stage/answer".into()),
            correlation_data: Some(vec![0, 255].into()),
            user_properties: vec![("a".into(), n.to_string()), ("a".into(), "again".into())],
            content_type: Some("text/plain".into()),
            ..PublishProperties::default()
        };
        let topic = format!("stage/{}", n % 4);
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][n % 3];
        client.publish_with_properties(&topic, qos, false, n.to_string(), sent.clone()).await.unwrap();

        let heard = message(&mut connection).await;
        let mut properties = heard.properties.expect("properties");
        let mut named = heard.topic;
        if let Some(alias) = properties.topic_alias.take() {
            if named.is_empty() {
                named = aliases.get(&alias).cloned().expect("an alias that was given");
            }
            aliases.insert(alias, named.clone());
        }
        assert_eq!((named, heard.payload, heard.qos), (topic.into(), n.to_string().into(), qos));
        assert_eq!(properties, sent);
    }
    assert_eq!(aliases.len(), 3, "as many as it takes");
}
