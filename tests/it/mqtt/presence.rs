//! Who is there: devices by their topics, in `GET /devices`, on the WebSocket and in the metrics; and what dmxd says for
//! those that left without a word (issue 5).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{
    Appliance, CMD, Connect, HEADROOM, Home, Link, Message, STATE, WsWatcher, eventually, eventually_within,
    mosquitto_pub, mosquitto_sub, python,
};

const TOPIC: &str = "v1/devices/esp/state";
const ONLINE: &str = r#"{"online":true}"#;
const OFFLINE: &str = r#"{"online":false}"#;
/// A last word that differs from dmxd's.
const WILL: &str = r#"{"online":false,"by":"will"}"#;

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn presence(appliance: &Appliance) -> Value {
    let answer = appliance.web().get("/devices").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn one_of(appliance: &Appliance, list: &str, key: &str, id: &str) -> Option<Value> {
    presence(appliance).await[list].as_array().expect("a list").iter().find(|one| one[key] == id).cloned()
}

async fn device(appliance: &Appliance, id: &str) -> Option<Value> {
    one_of(appliance, "devices", "id", id).await
}

async fn client(appliance: &Appliance, id: &str) -> Option<Value> {
    one_of(appliance, "clients", "clientId", id).await
}

/// Waits until a device is online or not; gives it.
async fn shown(appliance: &Appliance, id: &str, online: bool) -> Value {
    eventually(&format!("{id} with online = {online}"), async || {
        device(appliance, id).await.filter(|device| device["online"] == online)
    })
    .await
}

async fn spoken_for(appliance: &Appliance) -> f64 {
    appliance.web().metric("dmx_devices_spoken_for_total").await
}

/// Subscribes to the device and a marker.
async fn witness(appliance: &Appliance) -> Link {
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("v1/devices/+/state", 1), ("marker", 1)]).await;
    assert_eq!(witness.message().await.topic, crate::harness::PRESENCE);
    witness
}

/// Everything the witness has received up to a marker. The marker's client takes over the id of one that has left, so
/// whatever was to be said for that one has been said.
async fn heard_after(appliance: &Appliance, witness: &mut Link, gone: &str) -> Vec<String> {
    let mut barrier = Link::join(appliance.mqtt, &Connect::new(gone)).await;
    barrier.publish("marker", b"").await;
    let heard = witness.until("marker").await;
    barrier.leave().await;
    heard.iter().map(Message::text).collect()
}

/// What a late subscriber finds.
async fn retained(appliance: &Appliance, topic: &str) -> Option<String> {
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[(topic, 1), ("marker/late", 1)]).await;
    late.publish("marker/late", b"").await;
    let found = late.until("marker/late").await;
    late.leave().await;
    found.first().map(Message::text)
}

#[tokio::test]
async fn a_device_is_listed_with_its_address_from_its_first_word_on() {
    let appliance = Appliance::start().await;
    assert_eq!(presence(&appliance).await, json!({"devices": [], "clients": [], "refused": []}));
    let before = now();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1").will(TOPIC, WILL, true)).await;
    let named = device(&appliance, "esp").await.expect("named by its will");
    let since = named["since"].as_u64().expect("Unix ms");
    assert!((before..=now()).contains(&since), "{named}");
    assert_eq!(named, json!({"id": "esp", "online": true, "since": since, "ip": "127.0.0.1", "clientId": "esp-1"}));
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    assert_eq!(device(&appliance, "esp").await, Some(named), "it was online already");
    esp.retain(TOPIC, br#"{"online":false,"battery":"low"}"#).await;
    let said = device(&appliance, "esp").await.unwrap();
    assert_eq!((&said["online"], said["ip"].as_str()), (&json!(false), Some("127.0.0.1")), "its word counts: {said}");
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    let web = appliance.web();
    assert_eq!((web.metric("dmx_devices_online").await, web.metric("dmx_devices_known").await), (1.0, 1.0));
    esp.retain("v1/devices/server/state", ONLINE.as_bytes()).await;
    esp.publish(&format!("v1/devices/{}/state", "x".repeat(129)), ONLINE.as_bytes()).await;
    assert_eq!(web.metric("dmx_devices_known").await, 1.0, "the server is none, nor is an id that is too long");
}

#[tokio::test]
async fn a_will_that_fires_is_the_last_word_of_a_device() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let connect = Connect::new("esp-1").will(TOPIC, WILL, true);
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    esp.reset();
    shown(&appliance, "esp", false).await;
    assert_eq!(heard_after(&appliance, &mut witness, "esp-1").await, [ONLINE, WILL], "[MQTT-3.1.2-8]");
    assert_eq!(retained(&appliance, TOPIC).await.as_deref(), Some(WILL));
    assert_eq!(spoken_for(&appliance).await, 0.0);
}

#[tokio::test]
async fn a_will_that_is_not_retained_is_a_last_word_too() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1").will(TOPIC, WILL, false)).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    esp.reset();
    eventually("its end", async || client(&appliance, "esp-1").await.filter(|fares| fares["connected"] == false)).await;
    assert_eq!(device(&appliance, "esp").await.unwrap()["online"], true, "what is retained, as its sender wanted it");
    assert_eq!(heard_after(&appliance, &mut witness, "esp-1").await, [ONLINE, WILL], "dmxd adds nothing");
}

#[tokio::test]
async fn a_device_that_says_disconnect_without_a_word_is_spoken_for() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1").will(TOPIC, WILL, true)).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    assert_eq!(witness.message().await.text(), ONLINE);
    esp.leave().await;
    let word = witness.message().await;
    assert_eq!((word.text().as_str(), word.qos, word.retain), (OFFLINE, 1, false), "and no will: [MQTT-3.14.4-3]");
    let shown = shown(&appliance, "esp", false).await;
    assert_eq!(shown["clientId"], "esp-1");
    assert_eq!(heard_after(&appliance, &mut witness, "esp-1").await, Vec::<String>::new(), "once");
    assert_eq!(spoken_for(&appliance).await, 1.0);
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(retained(&appliance, TOPIC).await.as_deref(), Some(OFFLINE), "the store has it");
    assert_eq!(spoken_for(&appliance).await, 0.0, "it was said before the kill");
}

#[tokio::test]
async fn a_device_that_dies_without_a_will_is_spoken_for() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1")).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    esp.retain("v1/devices/second/state", ONLINE.as_bytes()).await;
    esp.reset();
    shown(&appliance, "esp", false).await;
    shown(&appliance, "second", false).await;
    let heard = heard_after(&appliance, &mut witness, "esp-1").await;
    assert_eq!(heard, [ONLINE, ONLINE, OFFLINE, OFFLINE], "after a reset, for each of its devices");

    // a will on another topic does not make it a device
    let silent = Connect::new("esp-2").keep_alive(1).will("farewell", "gone", false);
    let mut esp = Link::join(appliance.mqtt, &silent).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    assert_eq!(witness.message().await.text(), ONLINE);
    let limit = Duration::from_millis(1500) * HEADROOM; // [MQTT-3.1.2-24]
    eventually_within(limit, "the silent device goes", async || {
        device(&appliance, "esp").await.filter(|device| device["online"] == false)
    })
    .await;
    assert_eq!(heard_after(&appliance, &mut witness, "esp-2").await, [OFFLINE], "after its keep-alive");
    assert_eq!(spoken_for(&appliance).await, 3.0);
}

#[tokio::test]
async fn a_device_that_says_offline_itself_is_not_spoken_over() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let sleeps = r#"{"online":false,"until":"tomorrow"}"#;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1")).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    esp.retain(TOPIC, sleeps.as_bytes()).await;
    esp.leave().await;
    assert_eq!(heard_after(&appliance, &mut witness, "esp-1").await, [ONLINE, sleeps]);
    let mut talker = Link::join(appliance.mqtt, &Connect::new("esp-2")).await;
    talker.retain(TOPIC, b"words of another kind").await;
    talker.leave().await;
    let heard = heard_after(&appliance, &mut witness, "esp-2").await;
    assert_eq!(heard, ["words of another kind"], "what does not say that it is online needs no other word");
    assert_eq!(spoken_for(&appliance).await, 0.0);
}

#[tokio::test]
async fn a_take_over_is_no_absence() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let connect = Connect::new("esp-1");
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    let first = device(&appliance, "esp").await;
    for _ in 0..20 {
        let mut next = Link::join(appliance.mqtt, &connect).await;
        next.retain(TOPIC, ONLINE.as_bytes()).await;
        esp.closed().await;
        esp = next;
    }
    esp.publish("marker", b"").await;
    let heard = witness.until("marker").await;
    assert!(heard.len() == 21 && heard.iter().all(|message| message.text() == ONLINE), "no false offline: {heard:?}");
    assert_eq!(device(&appliance, "esp").await, first, "online since the first connection");
    // A client that takes over and never publishes is the same client, and has left all the same.
    let last = Link::join(appliance.mqtt, &connect).await;
    last.leave().await;
    assert_eq!(heard_after(&appliance, &mut witness, "esp-1").await, [OFFLINE]);
}

#[tokio::test]
async fn a_device_that_reconnects_at_once_is_online_in_the_end() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    for round in 0..30 {
        // It leaves and returns without waiting for the broker: what dmxd says must not come after what it says.
        let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1")).await;
        esp.retain(TOPIC, ONLINE.as_bytes()).await;
        esp.send(&crate::harness::encode::DISCONNECT).await;
        let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1")).await;
        esp.retain(TOPIC, ONLINE.as_bytes()).await;
        esp.publish("marker", b"").await;
        let heard = witness.until("marker").await;
        assert_eq!(heard.last().map(Message::text).as_deref(), Some(ONLINE), "round {round}: {heard:?}");
        assert_eq!(device(&appliance, "esp").await.unwrap()["online"], true, "round {round}");
        esp.leave().await;
        heard_after(&appliance, &mut witness, "esp-1").await;
    }
}

#[tokio::test]
async fn the_client_that_publishes_there_later_takes_the_role_over() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut first = Link::join(appliance.mqtt, &Connect::new("first")).await;
    first.retain(TOPIC, ONLINE.as_bytes()).await;
    let mut second = Link::join(appliance.mqtt, &Connect::new("second")).await;
    second.retain(TOPIC, ONLINE.as_bytes()).await;
    first.leave().await;
    assert_eq!(heard_after(&appliance, &mut witness, "first").await, [ONLINE, ONLINE], "the second one stands for it");
    assert_eq!(device(&appliance, "esp").await.unwrap()["clientId"], "second");
    second.leave().await;
    assert_eq!(heard_after(&appliance, &mut witness, "second").await, [OFFLINE]);
}

#[tokio::test]
async fn a_client_that_never_published_there_is_never_spoken_for() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    listener.subscribe(TOPIC, 1).await;
    listener.publish("v1/devices/esp", ONLINE.as_bytes()).await;
    assert_eq!(presence(&appliance).await["devices"], json!([]), "a client that only subscribes is no device");
    let mut esp = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    listener.leave().await;
    // Nor does a client that names it as its will's topic and leaves politely.
    Link::join(appliance.mqtt, &Connect::new("named").will(TOPIC, WILL, true)).await.leave().await;
    assert_eq!(heard_after(&appliance, &mut witness, "named").await, [ONLINE]);
    assert_eq!(device(&appliance, "esp").await.unwrap()["online"], true);
    assert_eq!(spoken_for(&appliance).await, 0.0);
}

#[tokio::test]
async fn devices_that_the_last_run_left_online_are_offline_until_they_come_back() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1").will(TOPIC, WILL, true)).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    esp.retain("v1/devices/asleep/state", WILL.as_bytes()).await;
    let before = now();
    // neither kill -9 nor a clean stop is the end of a device
    let appliance = appliance.kill9().await.start().await;
    let mut expected = json!([
        {"id": "asleep", "online": false, "since": 0},
        {"id": "esp", "online": false, "since": 0},
    ]);
    let devices = presence(&appliance).await["devices"].clone();
    for (found, expected) in devices.as_array().unwrap().iter().zip(expected.as_array_mut().unwrap()) {
        let since = found["since"].as_u64().unwrap();
        assert!((before..=now()).contains(&since), "since the start: {found}");
        expected["since"] = json!(since);
    }
    assert_eq!(devices, expected);
    assert_eq!(retained(&appliance, TOPIC).await.as_deref(), Some(OFFLINE));
    assert_eq!(retained(&appliance, "v1/devices/asleep/state").await.as_deref(), Some(WILL));
    assert_eq!(spoken_for(&appliance).await, 1.0);

    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1").will(TOPIC, WILL, true)).await;
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    assert_eq!(device(&appliance, "esp").await.unwrap()["online"], true, "it came back");
    let appliance = appliance.restart().await;
    assert_eq!(device(&appliance, "esp").await.unwrap()["online"], false);
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(spoken_for(&appliance).await, 0.0, "what was said at a start is in the store");
    assert_eq!(retained(&appliance, TOPIC).await.as_deref(), Some(OFFLINE));
}

#[tokio::test]
async fn hundreds_of_them_are_and_a_subscriber_that_was_away_hears_of_each() {
    const DEVICES: usize = 200;
    let appliance = Home::new().set("DMX_MQTT_MAX_QUEUED_MESSAGES", "1000").start().await;
    let connect = Connect::new("kept").persistent();
    let mut kept = Link::join(appliance.mqtt, &connect).await;
    kept.subscribe("v1/devices/+/state", 1).await;
    kept.leave().await;
    let mut gateway = Link::join(appliance.mqtt, &Connect::new("gateway")).await;
    for n in 0..DEVICES {
        gateway.retain(&format!("v1/devices/esp-{n}/state"), ONLINE.as_bytes()).await;
    }
    let appliance = appliance.kill9().await.start().await;
    let devices = presence(&appliance).await["devices"].as_array().unwrap().clone();
    assert_eq!(devices.iter().filter(|device| device["online"] == false).count(), DEVICES);
    assert_eq!(spoken_for(&appliance).await, DEVICES as f64);
    let (mut kept, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    kept.subscribe("marker", 1).await;
    kept.publish("marker", b"").await;
    let heard = kept.until("marker").await;
    let last: BTreeMap<_, _> = heard.iter().map(|message| (message.topic.as_str(), message.text())).collect();
    let devices = last.iter().filter(|(topic, _)| topic.contains("/esp-"));
    assert!(devices.clone().all(|(_, text)| text == OFFLINE) && devices.count() == DEVICES, "{last:?}");
}

#[tokio::test]
async fn a_deleted_word_takes_a_device_off_the_list() {
    let appliance = Appliance::start().await;
    mosquitto_pub(appliance.mqtt, &["-q", "1", "-r", "-t", TOPIC, "-m", ONLINE]).succeed().await;
    shown(&appliance, "esp", false).await; // mosquitto_pub has left: dmxd spoke for it
    let kept = mosquitto_sub(appliance.mqtt, &["-q", "1", "-t", TOPIC, "-C", "1", "-W", "20", "-F", "%q %r %p"]);
    assert_eq!(kept.succeed().await, [format!("1 1 {OFFLINE}")]);
    mosquitto_pub(appliance.mqtt, &["-q", "1", "-r", "-n", "-t", TOPIC]).succeed().await;
    assert_eq!(device(&appliance, "esp").await, None);
    assert_eq!(retained(&appliance, TOPIC).await, None, "and nobody put it back");
    assert_eq!(appliance.web().metric("dmx_devices_known").await, 0.0);
}

#[tokio::test]
async fn how_a_client_fares_can_be_read() {
    let appliance = Appliance::start().await;
    let before = now();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1").keep_alive(60).will("w", "x", false)).await;
    esp.subscribe("chatter", 0).await;
    esp.publish(CMD, b"nonsense").await;
    esp.publish(STATE, b"forged").await;
    esp.publish(STATE, b"forged").await;
    let fares = client(&appliance, "esp-1").await.expect("it is connected");
    let time = |fares: &Value, field: &str| fares[field].as_u64().expect("Unix ms");
    assert!((before..=now()).contains(&time(&fares, "since")) && time(&fares, "lastSeen") >= time(&fares, "since"));
    assert!(fares["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{fares}");
    assert_eq!(
        (&fares["connected"], &fares["connections"], &fares["rejected"], &fares["denied"], &fares["lastDisconnect"]),
        (&json!(true), &json!(1), &json!(1), &json!(2), &Value::Null)
    );
    eventually("messages a second in both directions", async || {
        for _ in 0..20 {
            esp.publish("chatter", b"x").await;
            assert_eq!(esp.message().await.topic, "chatter");
        }
        let fares = client(&appliance, "esp-1").await.unwrap();
        (fares["messagesIn"].as_f64() > Some(0.0) && fares["messagesOut"].as_f64() > Some(0.0)).then_some(())
    })
    .await;
    eventually("quiet again", async || {
        let fares = client(&appliance, "esp-1").await.unwrap();
        (fares["messagesIn"] == 0.0 && fares["messagesOut"] == 0.0).then_some(())
    })
    .await;

    esp.send(&[0xF0, 0x00]).await;
    esp.closed().await;
    let fares =
        eventually("its end", async || client(&appliance, "esp-1").await.filter(|fares| fares["connected"] == false))
            .await;
    let end = &fares["lastDisconnect"];
    assert!(end["why"].as_str().unwrap().starts_with("protocol: "), "{end}");
    assert_eq!((&end["willPublished"], &end["at"]), (&json!(true), &fares["since"]));
    Link::join(appliance.mqtt, &Connect::new("esp-1")).await.leave().await;
    let fares = eventually("the next end", async || {
        client(&appliance, "esp-1").await.filter(|fares| fares["lastDisconnect"]["why"] == "disconnect")
    })
    .await;
    assert_eq!((&fares["connections"], &fares["lastDisconnect"]["willPublished"]), (&json!(2), &json!(false)));
}

#[tokio::test]
async fn websocket_clients_hear_what_rest_shows_at_most_once_a_second() {
    let appliance = Appliance::start().await;
    let tablet = WsWatcher::start(appliance.http).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1")).await;
    for round in 0..100 {
        let word = if round % 2 == 0 { ONLINE } else { OFFLINE };
        esp.retain(&format!("v1/devices/esp-{}/state", round % 10), word.as_bytes()).await;
    }
    esp.retain(TOPIC, ONLINE.as_bytes()).await;
    let rest = presence(&appliance).await["devices"].clone();
    assert_eq!(rest.as_array().unwrap().len(), 11);
    let newest = json!({"type": "devices", "devices": rest});
    tablet.wait("the newest list", |picture| picture.devices.iter().find(|(list, _)| *list == newest).cloned()).await;
    let lists = tablet.picture().devices;
    assert_eq!(lists.last().map(|(list, _)| list), Some(&newest), "and nothing behind it");
    // The first change is published at once, those of the following second together. A late reader may see two close together.
    let took = lists.last().unwrap().1.duration_since(lists[0].1).as_secs();
    assert!(lists.len() as u64 <= took + 3, "{} lists in {took} s", lists.len());
    let late = WsWatcher::start(appliance.http).await;
    assert_eq!(late.picture().devices[0].0, newest, "a newcomer gets the present one");
    esp.leave().await;
    tablet
        .wait("all of them offline", |picture| {
            let devices = picture.devices.last()?.0["devices"].as_array()?.clone();
            devices.iter().all(|device| device["online"] == false).then_some(())
        })
        .await;
}

#[tokio::test]
async fn more_devices_than_allowed_forget_those_longest_offline() {
    let appliance = Home::new().set("DMX_MQTT_MAX_DEVICES", "2").start().await;
    let ids = async || {
        let list = presence(&appliance).await["devices"].as_array().unwrap().clone();
        list.iter().map(|device| device["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp-1")).await;
    for (id, word) in [("a", OFFLINE), ("b", ONLINE), ("c", ONLINE), ("d", ONLINE)] {
        esp.retain(&format!("v1/devices/{id}/state"), word.as_bytes()).await;
    }
    assert_eq!(ids().await, ["b", "c"], "a made room for c, nobody for d");
    assert_eq!(appliance.web().metric("dmx_devices_forgotten_total").await, 2.0);
    appliance
        .log
        .wait("a line", |line| line["message"].as_str().is_some_and(|m| m.starts_with("device_forgotten")))
        .await;
    assert_eq!(retained(&appliance, "v1/devices/d/state").await.as_deref(), Some(ONLINE), "its message is kept");
}

#[tokio::test]
async fn a_killed_paho_device_is_shown_offline_by_its_will() {
    let appliance = Appliance::start().await;
    let paho = python("device.py", appliance.mqtt, &["esp"]);
    paho.lines.wait_count(1).await;
    assert_eq!(device(&appliance, "esp").await.unwrap()["online"], true);
    paho.kill9().await;
    shown(&appliance, "esp", false).await;
    let fares =
        eventually("its end", async || client(&appliance, "esp").await.filter(|fares| fares["connected"] == false))
            .await;
    assert_eq!(fares["lastDisconnect"]["willPublished"], true, "{fares}");
    assert_eq!(spoken_for(&appliance).await, 0.0);
}

/// In the words that the log has, whatever version it speaks; until it gets in.
#[tokio::test]
async fn who_is_not_let_in_is_listed_with_the_reason_until_it_gets_in() {
    let home = Home::new().set("DMX_MQTT_USERNAME", "stage").set("DMX_MQTT_PASSWORD", "secret");
    let appliance = home.start().await;
    let (_, answer) = Link::connect(appliance.mqtt, &Connect::new("lamp").login("stage", "wrong")).await;
    assert_eq!(answer, Err(4));
    let button = mosquitto_sub(appliance.mqtt, &["-V", "5", "-i", "button", "-u", "stage", "-P", "no", "-t", "a"]);
    eventually("the button", async || one_of(&appliance, "refused", "clientId", "button").await).await;
    button.kill9().await;
    let lamp = one_of(&appliance, "refused", "clientId", "lamp").await.expect("the lamp");
    assert_eq!(
        (&lamp["why"], &lamp["address"], &lamp["count"]),
        (&json!("wrong user name or password"), &json!("127.0.0.1"), &json!(1))
    );
    assert!(lamp["at"].as_u64().unwrap().abs_diff(now()) < 60_000, "{lamp}");
    let mut browser = Link::open(appliance.mqtt).await;
    browser.send(b"GET / HTTP/1.1\r\n\r\n").await;
    let is_browser = |one: &Value| one["clientId"].is_null() && one["why"].as_str().unwrap().contains("HTTP");
    eventually("the browser", async || {
        presence(&appliance).await["refused"].as_array().unwrap().iter().any(is_browser).then_some(())
    })
    .await;
    Link::join(appliance.mqtt, &Connect::new("lamp").login("stage", "secret")).await;
    assert_eq!(one_of(&appliance, "refused", "clientId", "lamp").await, None);
}
