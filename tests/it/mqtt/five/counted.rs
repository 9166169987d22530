//! What MQTT 5 adds counts: properties in memory, shared filters, identifiers of one's own messages, who was refused.

use serde_json::{Value, json};

use crate::harness::{Appliance, Connect, Connect5, Home, Link, Link5, Message5, eventually, property};

/// Options byte: QoS 1, no local, retain as published.
const OF_BRIDGE: u8 = 0x0d;

async fn listed(appliance: &Appliance, list: &str, key: &str, id: &str) -> Option<Value> {
    let all = appliance.web().get("/devices").await.json();
    all[list].as_array().expect("a list").iter().find(|one| one[key] == id).cloned()
}

/// They wait for a client that does not answer its retained messages, as live ones do.
#[tokio::test]
async fn messages_of_properties_alone_are_too_much_for_who_does_not_read_them() {
    let appliance = Appliance::start().await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    for n in 0..200 {
        sender.publish(&Message5::new(&format!("kept/{n}"), "x").retained()).await;
    }
    let mut mute = Link5::join(appliance.mqtt, &Connect5::new("mute").with(property::receive_maximum(1))).await;
    mute.acknowledge(false);
    mute.subscribe("#", 1).await;
    let much = (0..14)
        .fold(Message5::new("live", "").qos(0), |message, _| message.with(property::user("k", &"x".repeat(60_000))));
    for _ in 0..12 {
        sender.publish(&much).await;
    }
    let (code, why) = mute.end().await.expect("a DISCONNECT");
    assert_eq!(code, 0x97, "{why:?}");
}

#[tokio::test]
async fn a_session_has_a_few_shared_filters() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("worker")).await;
    let filters: Vec<_> = (0..40).map(|n| format!("$share/{n}/#")).collect();
    let codes = link.subscribe_all(&filters.iter().map(|filter| (filter.as_str(), 1)).collect::<Vec<_>>(), &[]).await;
    assert_eq!(codes, [vec![1; 32], vec![0x97; 8]].concat());
    assert_eq!(link.unsubscribe(&[filters[3].as_str()]).await, [0]);
    assert_eq!(link.subscribe(&filters[39], 1).await, 1);
}

#[tokio::test]
async fn ones_own_message_does_not_name_the_filter_that_does_not_want_it() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("both")).await;
    link.subscribe_as("a/b", 1 | 4, 1).await;
    link.subscribe_as("a/#", 1, 2).await;
    link.say("a/b", "mine").await;
    assert_eq!(link.message().await.ids(), [2]);
    Link5::join(appliance.mqtt, &Connect5::new("other")).await.say("a/b", "yours").await;
    assert_eq!(link.message().await.ids(), [1, 2]);
}

#[tokio::test]
async fn a_retained_message_is_one_also_after_a_kill() {
    let appliance = Appliance::start().await;
    let mut sender = Link::join(appliance.mqtt, &Connect::new("sender")).await;
    for n in 0..150 {
        sender.publish_at(&format!("kept/{n}"), b"x", 2, true).await;
    }
    let connect = Connect::new("reader").persistent();
    let mut reader = Link::join(appliance.mqtt, &connect).await;
    reader.acknowledge(false);
    assert_eq!(reader.subscribe("kept/#", 2).await, 2);
    assert!(reader.message().await.retain);
    let appliance = appliance.kill9().await.start().await;
    let mut reader = Link::join(appliance.mqtt, &connect).await;
    reader.answer_all();
    let came = reader.messages().await;
    assert!(!came.is_empty() && came.iter().all(|message| message.retain), "{came:?}");
}

/// Its devices may well be connected over there.
#[tokio::test]
async fn nobody_speaks_for_the_devices_of_a_bridge_that_is_gone() {
    const DEVICE: &str = "v1/devices/far/state";
    let appliance = Appliance::start().await;
    let mut five = Link5::join(appliance.mqtt, &Connect5::new("five")).await;
    five.subscribe("x", OF_BRIDGE).await;
    five.publish(&Message5::new(DEVICE, r#"{"online":true}"#).retained()).await;
    five.reset();
    eventually("its end", async || {
        listed(&appliance, "clients", "clientId", "five").await.filter(|it| it["connected"] == false)
    })
    .await;
    let mut old = Link::join(appliance.mqtt, &Connect::new("old").bridge().will("old/gone", "1", false)).await;
    old.retain("v1/devices/old/state", br#"{"online":true}"#).await;
    old.retain("$SYS/broker/connection/old/state", b"1").await;
    old.reset();
    eventually("its end", async || {
        listed(&appliance, "clients", "clientId", "old").await.filter(|it| it["connected"] == false)
    })
    .await;
    let old = listed(&appliance, "clients", "clientId", "old").await.expect("the bridge");
    assert_eq!(old["lastDisconnect"]["willPublished"], true, "its will is its own");
    for device in ["far", "old"] {
        assert_eq!(listed(&appliance, "devices", "id", device).await.expect("the device")["online"], true, "{device}");
    }
    let mut reader = Link::join(appliance.mqtt, &Connect::new("reader")).await;
    reader.subscribe("$SYS/broker/connection/#", 1).await;
    assert_eq!(reader.message().await.text(), "1", "as it may say at Mosquitto");
}

#[tokio::test]
async fn a_will_that_waits_for_its_delay_is_not_published_yet() {
    let appliance = Appliance::start().await;
    let will = Message5::new("v1/devices/esp/state", r#"{"online":false}"#).with(property::will_delay(100));
    let mut esp = Link5::join(appliance.mqtt, &Connect5::kept("esp", 600).will(will)).await;
    esp.publish(&Message5::new("v1/devices/esp/state", r#"{"online":true}"#).retained()).await;
    esp.reset();
    let gone = eventually("its end", async || {
        listed(&appliance, "clients", "clientId", "esp").await.filter(|it| it["connected"] == false)
    });
    assert_eq!(gone.await["lastDisconnect"]["willPublished"], false);
    assert_eq!(listed(&appliance, "devices", "id", "esp").await.expect("the device")["online"], true);
}

#[tokio::test]
async fn who_has_no_room_is_counted_each_time_and_who_has_no_name_by_the_reason() {
    let home = Home::new().set("DMX_MQTT_USERNAME", "stage").set("DMX_MQTT_PASSWORD", "secret");
    let appliance = home.start().await;
    for _ in 0..3 {
        let (_, welcome) = Link5::connect(appliance.mqtt, &Connect5::new("lamp")).await;
        assert_eq!(welcome.code, 0x87);
        let (_, welcome) = Link5::connect(appliance.mqtt, &Connect5::new("").login("stage", "wrong")).await;
        assert_eq!(welcome.code, 0x86);
    }
    Link5::connect(appliance.mqtt, &Connect5::new("")).await;
    let refused = appliance.web().get("/devices").await.json()["refused"].clone();
    let of = |why: &str, id: &Value| {
        let found = refused.as_array().unwrap().iter().find(|one| one["why"] == why && one["clientId"] == *id);
        found.map(|one| one["count"].clone())
    };
    assert_eq!(of("no user name, and one is needed", &json!("lamp")), Some(json!(3)), "{refused}");
    assert_eq!(of("wrong user name or password", &Value::Null), Some(json!(3)), "{refused}");
    assert_eq!(of("no user name, and one is needed", &Value::Null), Some(json!(1)), "{refused}");
}

#[tokio::test]
async fn a_payload_that_is_not_what_its_format_says_goes_nowhere() {
    let appliance = Appliance::start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("both")).await;
    link.subscribe("a", 2).await;
    for qos in [1, 2] {
        let mut message = Message5::new("a", "").qos(qos).with(property::payload_format(1));
        message.payload = vec![0xff];
        let (code, why) = link.publish(&message).await;
        assert!(code == 0x99 && why.is_some_and(|why| why.contains("UTF-8")), "{code:#x}");
    }
    assert_eq!(link.messages().await, []);
    link.publish(&Message5::new("a", "é").with(property::payload_format(1))).await;
    assert_eq!(link.message().await.text(), "é");
}
