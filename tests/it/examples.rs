//! The sketches of `image/examples` against the appliance: the very files that are flashed, on a simulated board.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{
    Appliance, CMD, Chip, Connect, FaultProxy, Link, STATE, Sketch, StateWatcher, Stranger, Weather, command,
    copy_folder, esphome, eventually, rgb_of,
};

/// What the button sends, one press after the other.
const FIRST: [u8; 3] = [255, 140, 40];
const SECOND: [u8; 3] = [255, 0, 0];

/// Presses and releases, with contacts that bounce.
const PRESS: &str = "4 0\n4 1\n4 0\n4 1\n4 0\n-1 60";
const RELEASE: &str = "4 1\n4 0\n4 1\n-1 60";

/// Waits until the retained presence of a device is this.
async fn presence(appliance: &Appliance, id: &str, online: bool) {
    let topic = format!("v1/devices/{id}/state");
    eventually(&format!("{topic} with online = {online}"), async || {
        let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
        late.subscribe_all(&[(&topic, 1), ("marker", 1)]).await;
        late.publish("marker", b"").await;
        let found = late.until("marker").await;
        late.leave().await;
        found.first().is_some_and(|message| message.json() == json!({ "online": online })).then_some(())
    })
    .await;
}

/// Receives each command.
async fn witness(appliance: &Appliance) -> Link {
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    assert_eq!(witness.subscribe(CMD, 1).await, 1);
    witness
}

async fn said(board: &Stranger, count: usize, end: &str) {
    eventually(&format!("{count} × {end:?}"), async || {
        (board.lines.all().iter().filter(|line| line.ends_with(end)).count() >= count).then_some(())
    })
    .await;
}

async fn press_of_a_button(chip: Chip) {
    let appliance = Appliance::start().await;
    appliance.web().accepted(&command([0; 3])).await; // a first state has no time yet
    let states = StateWatcher::start(appliance.mqtt).await;
    let mut witness = witness(&appliance).await;
    let mut button = Sketch::compile("button", chip).switch_on(appliance.mqtt);
    presence(&appliance, "button-1", true).await;

    let mut ids = Vec::new();
    for (seq, rgb) in [(2, FIRST), (3, SECOND)] {
        button.tell(PRESS).await;
        let seen = states.wait_seq(seq).await;
        assert_eq!((seen.rgb, seen.body["updatedBy"].as_str()), (rgb, Some("button-1")));
        let asked = witness.message().await;
        assert!(!asked.retain);
        let asked = asked.json();
        let id = asked["cmdId"].as_str().unwrap().to_owned();
        let [r, g, b] = rgb;
        let whole = json!({"schema": "demo.rgb.cmd.v1", "cmdId": id, "src": "button-1", "r": r, "g": g, "b": b});
        assert_eq!(asked, whole);
        said(&button, ids.len() + 1, "done").await;
        button.tell(RELEASE).await;
        ids.push(ulid::Ulid::from_string(&id).expect("a ULID"));
    }
    assert_ne!(ids[0].random(), ids[1].random());
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    assert!(ids.iter().all(|id| now.abs_diff(id.timestamp_ms()) < 60_000), "the appliance's time: {ids:?}");

    button.leave().await; // it has lost its power
    presence(&appliance, "button-1", false).await;
    assert_eq!(states.last().seq, 3, "a bounce or a release is no press");
    assert_eq!(appliance.web().metric("dmx_engine_deduped_total").await, 0.0, "nothing was sent twice");
}

#[tokio::test]
async fn a_press_of_an_esp32_button_is_one_command() {
    press_of_a_button(Chip::Esp32).await;
}

#[tokio::test]
async fn a_press_of_an_esp8266_button_is_one_command() {
    press_of_a_button(Chip::Esp8266).await;
}

#[tokio::test]
async fn a_press_whose_answer_was_lost_is_repeated_under_its_id_and_moves_the_light_once() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let proxy = FaultProxy::start(appliance.mqtt).await;
    // CONNACK, SUBACK, the retained state and one byte of the answer to the press get through. Every later state is longer
    // than this first one, so none gets through whole.
    let state = appliance.web().get("/rgb").await.text.len() + 2 + STATE.len() + 2;
    let greeting = 4 + 5 + 1 + if state > 127 { 2 } else { 1 } + state;
    proxy.set(Weather::CutAnswer(greeting + 1));
    let mut button = Sketch::compile("button", Chip::Esp32).switch_on(proxy.address);
    presence(&appliance, "button-1", true).await;

    button.tell(PRESS).await;
    let first = witness.message().await.json();
    let other = command([1, 2, 3]);
    appliance.web().accepted(&other).await; // so that the retained state no longer reflects the press
    proxy.set(Weather::Pass);
    assert_eq!(witness.message().await.json(), first, "the same id, in all its parts");
    eventually("the duplicate", async || {
        (appliance.web().metric("dmx_engine_deduped_total").await >= 1.0).then_some(())
    })
    .await;
    let state = appliance.web().state().await;
    assert_eq!((rgb_of(&state), &state["seq"]), ([1, 2, 3], &json!(2)), "the light was not moved again");
}

#[tokio::test]
async fn a_press_while_the_network_is_away_arrives_later_or_is_given_up_after_ten_seconds() {
    let appliance = Appliance::start().await;
    let states = StateWatcher::start(appliance.mqtt).await;
    let proxy = FaultProxy::start(appliance.mqtt).await;
    let mut button = Sketch::compile("button", Chip::Esp8266).switch_on_fast(proxy.address, 10);
    said(&button, 1, "connected").await;

    proxy.set(Weather::CutRequest(0));
    button.tell(PRESS).await;
    said(&button, 1, "given up").await;
    proxy.set(Weather::Pass);
    said(&button, 2, "connected").await;
    button.tell(RELEASE).await;
    proxy.set(Weather::CutRequest(0));
    eventually("an attempt in vain", async || {
        button.lines.all().ends_with(&["no connection".to_owned()]).then_some(())
    })
    .await;
    button.tell(PRESS).await;
    proxy.set(Weather::Pass);
    let seen = states.wait_seq(1).await;
    assert_eq!(seen.rgb, SECOND, "the first press is forgotten");
    said(&button, 1, "done").await;
}

/// What the three channels show.
fn shown(lamp: &Stranger, pins: [u8; 3]) -> Vec<Option<u8>> {
    let lines = lamp.lines.all();
    let level = |pin| lines.iter().rev().find_map(|line| line.strip_prefix(&format!("pwm {pin} "))?.parse().ok());
    pins.map(level).to_vec()
}

async fn shows(lamp: &Stranger, pins: [u8; 3], rgb: [u8; 3]) {
    eventually(&format!("{rgb:?} on the lamp"), async || (shown(lamp, pins) == rgb.map(Some)).then_some(())).await;
}

async fn light_of_a_lamp(chip: Chip, pins: [u8; 3]) {
    let appliance = Appliance::start().await;
    appliance.web().accepted(&command([9, 80, 255])).await;
    let sketch = Sketch::compile("lamp", chip);
    let lamp = sketch.switch_on(appliance.mqtt);
    shows(&lamp, pins, [9, 80, 255]).await;
    presence(&appliance, "lamp-1", true).await;

    // the longest name that a command may come from, with something in it that only looks like a key
    let mut long = command([3, 2, 1]);
    long["src"] = Value::from(format!("\"r\":7{}", "\u{1}".repeat(59)));
    appliance.web().accepted(&long).await;
    shows(&lamp, pins, [3, 2, 1]).await;

    lamp.kill9().await;
    presence(&appliance, "lamp-1", false).await;
    let lamp = sketch.switch_on(appliance.mqtt);
    shows(&lamp, pins, [3, 2, 1]).await;
    presence(&appliance, "lamp-1", true).await;
    let range = lamp.lines.all().contains(&"range 255".to_owned());
    assert_eq!(range, chip == Chip::Esp8266, "levels are bytes on either core");
}

#[tokio::test]
async fn an_esp32_lamp_shows_the_light_and_says_whether_it_is_there() {
    light_of_a_lamp(Chip::Esp32, [25, 26, 27]).await;
}

#[tokio::test]
async fn an_esp8266_lamp_shows_the_light_and_says_whether_it_is_there() {
    light_of_a_lamp(Chip::Esp8266, [14, 12, 13]).await;
}

#[tokio::test]
async fn a_lamp_that_is_patched_has_a_colour_of_its_own() {
    const PINS: [u8; 3] = [25, 26, 27];
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([9, 80, 255])).await;
    let lamp = json!({"type": "mqtt-rgb", "universe": 1, "address": 1, "name": "Bar", "topic": "lamp-1"});
    let made = web.post("/patch/fixtures", lamp.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let lamp = Sketch::compile_with("lamp", Chip::Esp32, &["OWN_COLOUR"]).switch_on(appliance.mqtt);
    shows(&lamp, PINS, [0; 3]).await;
    let target = made.json()["fixtures"][0]["id"].clone();
    let order = json!({"type": "fixture.set", "id": "1", "targets": [target], "values": {"color": "#ff8000"}});
    assert_eq!(web.post("/command", order.to_string()).await.json()["accepted"], true);
    shows(&lamp, PINS, [255, 128, 0]).await;
}

#[tokio::test]
async fn a_lamp_without_its_appliance_keeps_its_light_and_tries_again_after_growing_pauses() {
    const PINS: [u8; 3] = [25, 26, 27];
    let appliance = Appliance::start().await;
    appliance.web().accepted(&command([9, 8, 7])).await;
    let proxy = FaultProxy::start(appliance.mqtt).await;
    let lamp = Sketch::compile("lamp", Chip::Esp32).switch_on_fast(proxy.address, 50);
    shows(&lamp, PINS, [9, 8, 7]).await;

    let tries = || -> Vec<u32> {
        lamp.complaints().all().iter().filter_map(|line| line.strip_prefix("try ")?.parse().ok()).collect()
    };
    let before = tries().len(); // more than one on a loaded machine: time runs fast
    proxy.set(Weather::CutRequest(0));
    appliance.web().accepted(&command([6, 5, 4])).await;
    eventually("eight attempts", async || (tries().len() >= before + 8).then_some(())).await;
    assert_eq!(shown(&lamp, PINS), [9, 8, 7].map(Some));
    let tries = tries().split_off(before);
    let words = lamp.complaints().all();
    proxy.set(Weather::Pass);
    shows(&lamp, PINS, [6, 5, 4]).await;

    let waits = words.iter().filter(|line| *line == "no CONNACK in 2 s").count();
    assert!(waits >= 7, "no attempt holds the loop up for longer: {words:?}");
    // From attempt to attempt: 2 s for the CONNACK, and a pause of between half and all of a length that doubles.
    let gaps: Vec<u32> = tries.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    for (gap, pause) in gaps.iter().zip([500, 1000, 2000, 4000, 8000, 8000, 8000]) {
        assert!(*gap >= 2000 + pause, "{gap} ms, not {pause}: {gaps:?}");
    }
}

#[tokio::test]
async fn esphome_makes_of_the_lamp_s_file_a_program_with_the_presence_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("image/examples"), folder.path());
    esphome(folder.path(), &["compile", "--only-generate", "lamp.yaml"]).succeed().await;
    let source = std::fs::read_to_string(folder.path().join(".esphome/build/lamp-2/src/main.cpp")).unwrap();

    let source = source.replace(r"\042", "'");
    for (message, online) in [("birth_message", true), ("last_will", false), ("shutdown_message", false)] {
        let start = source.find(&format!("set_{message}(")).expect(message);
        let words: Vec<&str> = source[start..].lines().skip(1).take(4).map(str::trim).collect();
        let payload = format!(r#".payload = "{{'online':{online}}}","#);
        assert_eq!(
            words,
            [r#".topic = "v1/devices/lamp-2/state","#, &payload, ".qos = 1,", ".retain = true,"],
            "{message}"
        );
    }
    assert!(source.contains(STATE) && source.contains(CMD));
}
