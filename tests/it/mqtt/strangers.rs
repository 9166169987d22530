//! mosquitto's clients, Python's paho, mqtt.js, CircuitPython's MiniMQTT and MicroPython's umqtt against the broker.

use serde_json::{Value, json};

use crate::harness::{
    Appliance, CMD, Connect, Home, Link, STATE, eventually, fresh_id, mosquitto_pub, mosquitto_sub, node, python,
    rgb_of, umqtt_board,
};

#[tokio::test]
async fn a_late_mosquitto_sub_gets_the_state_that_a_mosquitto_pub_made() {
    let appliance = Appliance::start().await;
    let body = json!({"schema": "demo.rgb.cmd.v1", "cmdId": fresh_id(), "src": "esp", "r": 64, "g": 32, "b": 128});
    mosquitto_pub(appliance.mqtt, &["-q", "1", "-t", CMD, "-m", &body.to_string()]).succeed().await;

    let late = mosquitto_sub(appliance.mqtt, &["-q", "1", "-t", STATE, "-C", "1", "-W", "20", "-F", "%q %r %p"]);
    let lines = late.succeed().await;

    let (flags, state) = lines[0].split_at(4);
    assert_eq!(flags, "1 1 ", "QoS 1 and the retain flag");
    let state: Value = serde_json::from_str(state).unwrap();
    let ts = state["ts"].as_u64().expect("an integer ts");
    let expected =
        json!({"schema": "demo.rgb.state.v1", "r": 64, "g": 32, "b": 128, "seq": 1, "updatedBy": "esp", "ts": ts});
    assert_eq!(state, expected, "nothing more, nothing less");
    assert_eq!(appliance.web().state().await, expected, "REST says the same");
}

#[tokio::test]
async fn the_last_will_of_a_killed_paho_device_is_its_retained_presence() {
    let appliance = Appliance::start().await;
    let device = python("device.py", appliance.mqtt, &["esp-1"]);
    device.lines.wait_count(1).await;
    let presence = ["-q", "1", "-t", "v1/devices/esp-1/state", "-C", "1", "-W", "20", "-F", "%r %p"];
    assert_eq!(mosquitto_sub(appliance.mqtt, &presence).succeed().await, [r#"1 {"online":true}"#]);

    device.kill9().await;

    eventually("the retained offline", async || {
        let lines = mosquitto_sub(appliance.mqtt, &presence).succeed().await;
        (lines == [r#"1 {"online":false}"#]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_paho_device_that_leaves_politely_is_spoken_for() {
    let appliance = Appliance::start().await;
    let device = python("device.py", appliance.mqtt, &["esp-2"]);
    device.lines.wait_count(1).await;
    device.leave().await;
    let presence = ["-q", "1", "-t", "v1/devices/esp-2/state", "-C", "1", "-W", "20", "-F", "%r %p"];
    eventually("the retained offline", async || {
        let lines = mosquitto_sub(appliance.mqtt, &presence).succeed().await;
        (lines == [r#"1 {"online":false}"#]).then_some(())
    })
    .await;
    assert_eq!(appliance.web().metric("dmx_devices_spoken_for_total").await, 1.0, "its will has nothing to do with it");
}

#[tokio::test]
async fn a_paho_subscriber_that_was_away_finds_the_latest_state_and_every_queued_message() {
    let appliance = Appliance::start().await;
    let arguments = ["paho-away", STATE, "plain/#"];
    let subscriber = python("session.py", appliance.mqtt, &arguments);
    let first = subscriber.lines.wait_count(2).await; // "subscribed" and the retained state
    assert!(first.iter().any(|line| line == "subscribed 1 1"), "{first:?}");
    subscriber.leave().await;

    for n in 1..=20_u8 {
        appliance.web().accepted(&crate::harness::command([n, n, n])).await;
        let payload = format!("message {n}");
        mosquitto_pub(appliance.mqtt, &["-q", "1", "-t", "plain/x", "-m", &payload]).succeed().await;
    }

    let back = python("session.py", appliance.mqtt, &arguments);
    let messages = eventually("the latest state and twenty messages", async || {
        let messages = back.lines.json();
        let plain = messages.iter().filter(|m| m["topic"] == "plain/x").count();
        let latest = messages.iter().filter(|m| m["topic"] == STATE).filter_map(payload).next_back();
        (plain == 20 && latest.is_some_and(|state| rgb_of(&state) == [20; 3])).then_some(messages)
    })
    .await;
    assert!(back.lines.all().contains(&"resumed".to_owned()), "the session was present: {:?}", back.lines.all());
    let plain: Vec<_> = messages.iter().filter(|m| m["topic"] == "plain/x").map(|m| m["payload"].clone()).collect();
    assert_eq!(plain, (1..=20).map(|n| Value::from(format!("message {n}"))).collect::<Vec<_>>(), "in order, once each");
}

#[tokio::test]
async fn an_mqtt_js_controller_sees_the_light_that_it_asked_for() {
    let appliance = Appliance::start().await;
    let id = fresh_id();
    let lines = node("sketch.mjs", appliance.mqtt, &[&id, "9", "8", "7"]).succeed().await;
    let states: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(states.first().unwrap()["seq"], 0, "first the retained state");
    assert_eq!(rgb_of(states.last().unwrap()), [9, 8, 7]);
    assert_eq!(states.last().unwrap()["updatedBy"], "sketch");
}

#[tokio::test]
async fn a_circuitpython_board_that_lost_its_power_finds_what_it_missed() {
    let appliance = Appliance::start().await;
    let presence = async |word: &str| {
        let topic = ["-q", "1", "-t", "v1/devices/board-1/state", "-C", "1", "-W", "20", "-F", "%r %p"];
        eventually(&format!("the board's {word}"), async || {
            let lines = mosquitto_sub(appliance.mqtt, &topic).succeed().await;
            (lines == [format!("1 {word}")]).then_some(())
        })
        .await;
    };
    let command = async |rgb| appliance.web().accepted(&crate::harness::command(rgb)).await;
    let lights = |messages: &[Value]| {
        let states = messages.iter().filter(|message| message["topic"] == STATE).filter_map(payload);
        states.map(|state| rgb_of(&state)).collect::<Vec<_>>()
    };

    let board = python("board.py", appliance.mqtt, &["board-1", STATE, "news/#"]);
    board.lines.wait_count(2).await; // "online" and the retained state
    presence(r#"{"online":true}"#).await;
    command([9, 8, 7]).await;
    let seen = board.lines.wait_count(3).await;
    assert!(seen.contains(&"online".to_owned()), "{seen:?}");
    assert_eq!(lights(&board.lines.json()), [[0, 0, 0], [9, 8, 7]]);

    board.kill9().await;
    presence(r#"{"online":false}"#).await; // its last will
    for n in 0..3_u8 {
        command([n, n, n]).await;
        mosquitto_pub(appliance.mqtt, &["-q", "1", "-t", "news/x", "-m", &n.to_string()]).succeed().await;
    }

    let board = python("board.py", appliance.mqtt, &["board-1"]); // subscribes to nothing: its session is still there
    board.lines.wait_count(5).await;
    presence(r#"{"online":true}"#).await;
    let lines = board.leave().await;
    let messages: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lights(&messages), [[2, 2, 2]], "the present light, once");
    let news: Vec<_> = messages.iter().filter(|m| m["topic"] == "news/x").map(|m| m["payload"].clone()).collect();
    assert_eq!(news, ["0", "1", "2"]);
}

#[tokio::test]
async fn a_micropython_board_whose_socket_ends_comes_back_to_its_session() {
    let appliance = Appliance::start().await;
    let publish = async |text| mosquitto_pub(appliance.mqtt, &["-q", "1", "-t", "news/x", "-m", text]).succeed().await;
    let presence = ["-q", "1", "-t", "v1/devices/board-2/state", "-C", "1", "-W", "20", "-F", "%r %p"];

    let mut board = umqtt_board(appliance.mqtt, &["board-2", "news/#"]);
    assert_eq!(board.lines.wait_count(1).await, ["online"]);
    assert_eq!(mosquitto_sub(appliance.mqtt, &presence).succeed().await, [r#"1 {"online":true}"#]);
    publish("while it is there").await;
    board.lines.wait_count(2).await;

    board.tell("cut").await;
    board.lines.wait_count(3).await;
    publish("after its socket ended").await;
    board.lines.wait_count(4).await;
    let news = |lines: &Value| lines["payload"].clone();
    assert_eq!(
        board.lines.json().iter().map(news).collect::<Vec<_>>(),
        ["while it is there", "after its socket ended"]
    );
    // It connects again and no more, as umqtt.robust does: its will stands until it says otherwise.
    assert_eq!(mosquitto_sub(appliance.mqtt, &presence).succeed().await, [r#"1 {"online":false}"#]);
    board.leave().await;
}

#[tokio::test]
async fn a_paho_refused_at_a_full_house_comes_back_in_the_version_it_had() {
    let appliance = Home::new().set("DMX_MQTT_MAX_CONNECTIONS", "3").start().await;
    for version in [4, 5] {
        let mut guests = Vec::new();
        for n in 0..3 {
            guests.push(Link::join(appliance.mqtt, &Connect::new(&format!("guest-{n}"))).await);
        }
        let patient = python("patient.py", appliance.mqtt, &["patient", &version.to_string()]);
        let refused = patient.lines.wait_count(2).await;
        for guest in guests {
            guest.leave().await;
        }
        let lines = patient.succeed().await;
        assert_eq!(lines.last().unwrap(), "in");
        // code 1 would make paho ask for MQTT 3.1 until its process ends
        assert!(lines[..lines.len() - 1].iter().all(|line| line == &refused[0]), "{lines:?}");
        assert!(["refused: Server unavailable", "refused: Quota exceeded"].contains(&refused[0].as_str()), "{lines:?}");
    }
}

fn payload(message: &Value) -> Option<Value> {
    serde_json::from_str(message["payload"].as_str()?).ok()
}
