//! What moves fixtures, and what master and blackout do with them.

use reqwest::Method;
use serde_json::{Value, json};

use super::{body_of, frame, import, lit, set};
use crate::harness::{
    ACK, Appliance, Connect, Home, Link, StateWatcher, UNIFIED, Web, WsWatcher, command, fresh_id, rgb_of,
};

/// A rig: at universe 0 a PAR whose first channel is its dimmer, at universe 1 a head (pan, tilt and dimmer of 16 bits) and a lamp of
/// which nothing is known.
fn rig() -> Value {
    let fixture = |id: &str, universe: &str, address: u16, count: usize, kind: Value, groups: Value| {
        let channels: Vec<_> =
            (0..count).map(|n| json!({"id": format!("{id}-{n}"), "number": n + 1, "name": "?", "value": 0})).collect();
        json!({"id": id, "name": id, "universeId": universe, "dmxAddress": address, "channelCount": count,
            "fixtureType": "x", "type": kind, "groups": groups, "channels": channels})
    };
    json!({
        "version": "1.0",
        "universes": [{"id": "a", "name": "A", "number": 0}, {"id": "b", "name": "B", "number": 1}],
        "groups": [{"id": "all", "name": "All"}],
        "fixtures": [
            fixture("par", "a", 1, 7, json!("par-7"), json!(["all"])),
            fixture("head", "b", 1, 13, json!("moving-head"), json!(["all"])),
            fixture("odd", "b", 101, 2, Value::Null, json!([])),
        ],
    })
}

/// Channels of the head, from 1.
const PAN: usize = 1;
const TILT: usize = 3;
const DIMMER: usize = 6;
const SHUTTER: usize = 8;
const HEAD_RED: usize = 9;

fn wide(frame: &[u8], coarse: usize) -> u16 {
    u16::from_be_bytes([frame[coarse - 1], frame[coarse]])
}

fn fixture_set(targets: &[&str], values: &Value) -> Value {
    json!({"type": "fixture.set", "id": fresh_id(), "targets": targets, "values": values})
}

async fn ack(web: &Web, command: &Value) -> Value {
    body_of(&web.post("/command", command.to_string()).await, 200)
}

async fn moved(web: &Web, targets: &[&str], values: Value) {
    let ack = ack(web, &fixture_set(targets, &values)).await;
    assert_eq!(ack["accepted"], true, "{ack}");
}

async fn blackout(web: &Web, on: bool) {
    assert_eq!(web.post("/blackout", json!({"on": on}).to_string()).await.status, 200);
}

#[tokio::test]
async fn blackout_and_master_touch_intensity_alone_and_no_head_moves() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &rig()).await;
    moved(&web, &["all"], json!({"intensity": 1, "color": "#ff8000"})).await;
    moved(&web, &["head"], json!({"pan": 0.25, "tilt": 0.75, "shutter": 1})).await;
    set(&web, 1, &[(101, 200), (300, 100)]).await;
    let open = [frame(&web, 0).await, frame(&web, 1).await];
    assert_eq!((wide(&open[1], PAN), wide(&open[1], TILT), wide(&open[1], DIMMER)), (16_384, 49_151, 65_535));
    assert_eq!(open[0][..7], [255, 255, 128, 0, 0, 0, 0]);

    assert_eq!(web.post("/master", json!({"level": 128}).to_string()).await.status, 200);
    let half = [frame(&web, 0).await, frame(&web, 1).await];
    assert_eq!(half[0][..7], [128, 255, 128, 0, 0, 0, 0], "a fixture with intensity keeps its colour");
    assert_eq!(wide(&half[1], DIMMER), 32_896, "128/255 of 16 bits, not of each byte");
    assert_eq!((wide(&half[1], PAN), half[1][SHUTTER - 1]), (16_384, 255));
    assert_eq!((half[1][100], half[1][299]), (100, 50), "what is not known is dimmed, as what is not patched");

    blackout(&web, true).await;
    let dark = [frame(&web, 0).await, frame(&web, 1).await];
    assert_eq!(dark[0][..7], [0, 255, 128, 0, 0, 0, 0]);
    let mut expected = open[1].clone();
    (expected[DIMMER - 1], expected[DIMMER], expected[100], expected[299]) = (0, 0, 0, 0);
    assert_eq!(dark[1], expected, "nothing else of it");

    blackout(&web, false).await;
    assert_eq!(web.post("/master", json!({"level": 255}).to_string()).await.status, 200);
    assert_eq!([frame(&web, 0).await, frame(&web, 1).await], open);
}

#[tokio::test]
async fn a_fixture_at_the_lamps_place_leaves_the_lamp_right_and_dark_in_blackout() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &rig()).await;
    web.accepted(&command([200, 100, 50])).await;
    assert_eq!(rgb_of(&web.state().await), [200, 100, 50]);
    blackout(&web, true).await;
    assert_eq!(rgb_of(&web.state().await), [0; 3], "whatever is patched there");
    assert_eq!(frame(&web, 0).await[..3], [0, 100, 50], "channel 1 is a dimmer, the others are colours under it");
    // after a kill the first frame is the same
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    assert_eq!(frame(&web, 0).await[..3], [0, 100, 50]);
    assert_eq!(rgb_of(&web.state().await), [0; 3]);
}

#[tokio::test]
async fn who_has_set_master_channels_goes_by_them() {
    let appliance = Home::new().set("DMX_ENGINE_MASTER_CHANNELS", "1:1-2").start().await;
    let web = appliance.web();
    import(&web, &rig()).await;
    moved(&web, &["all"], json!({"intensity": 1})).await;
    moved(&web, &["head"], json!({"pan": 1})).await;
    blackout(&web, true).await;
    let head = frame(&web, 1).await;
    assert_eq!((wide(&head, PAN), wide(&head, DIMMER)), (0, 65_535));
}

#[tokio::test]
async fn a_fixture_is_moved_through_every_door_and_a_wrong_order_is_told_at_it() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &rig()).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let mut acks = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    acks.subscribe(ACK, 1).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;

    let command = fixture_set(&["par"], &json!({"intensity": 0.5, "red": 1}));
    assert_eq!(ack(&web, &command).await["accepted"], true);
    assert_eq!(ack(&web, &command).await["duplicate"], true);
    assert_eq!(lit(&web).await["0"], json!({"1": 128, "2": 255}));
    let command = fixture_set(&["par", "all"], &json!({"color": "#0000ff"}));
    tablet.send(&command).await;
    assert_eq!(tablet.ack(&command["id"]).await["accepted"], true);
    assert_eq!(lit(&web).await["0"], json!({"1": 128, "4": 255}), "red is part of the colour, intensity is not");
    assert_eq!(frame(&web, 1).await[HEAD_RED + 1], 255, "all of the group");
    let command = fixture_set(&["par"], &json!({"white": 0.2}));
    esp.publish(UNIFIED, command.to_string().as_bytes()).await;
    assert_eq!(acks.message().await.json()["accepted"], true);
    assert_eq!(lit(&web).await["0"], json!({"1": 128, "4": 255, "5": 51}));

    let seq = web.seq().await;
    for (targets, values, paths) in [
        (&["nobody", "par"][..], json!({"red": 1}), vec!["/targets/0"]),
        (&["par"], json!({"pan": 1, "red": 1}), vec!["/values/pan"]),
        (&["odd"], json!({"color": "#ffffff"}), vec!["/values/color"]),
        (&["par"], json!({}), vec!["/values"]),
        (
            &["par"],
            json!({"red": 1.01, "color": "red", "laser": 1}),
            vec!["/values/laser", "/values/color", "/values/red"],
        ),
        (&[], json!({"red": 1}), vec!["/targets"]),
    ] {
        let refused = ack(&web, &fixture_set(targets, &values)).await;
        assert_eq!(
            (&refused["accepted"], &refused["reason"]),
            (&json!(false), &json!("VALIDATION_FAILED")),
            "{refused}"
        );
        let mut found: Vec<_> =
            refused["errors"].as_array().unwrap().iter().map(|error| error["path"].as_str().unwrap()).collect();
        found.sort_unstable();
        let mut paths = paths;
        paths.sort_unstable();
        assert_eq!(found, paths, "{refused}");
    }
    assert_eq!(web.seq().await, seq, "nothing has changed");
    // a kind that one target has is enough
    moved(&web, &["all"], json!({"pan": 1})).await;
}

#[tokio::test]
async fn in_a_fade_16_bits_go_as_one_and_a_shutter_jumps_at_its_start() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &rig()).await;
    let mut order = fixture_set(&["head"], &json!({"intensity": 1, "shutter": 1}));
    order["durationMs"] = json!(600);
    assert_eq!(ack(&web, &order).await["accepted"], true);
    let mut seen = Vec::new();
    loop {
        let head = frame(&web, 1).await;
        assert_eq!(head[SHUTTER - 1], 255, "from the start");
        seen.push(wide(&head, DIMMER));
        if seen.last() == Some(&u16::MAX) {
            break;
        }
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(seen.iter().any(|value| value % 257 != 0), "between two levels of 8 bits: {seen:?}");
    // as it is stored, too
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(wide(&frame(&appliance.web(), 1).await, DIMMER), u16::MAX);
}

#[tokio::test]
async fn orders_for_fixtures_of_another_project_do_nothing() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "true").start().await;
    let web = appliance.web();
    import(&web, &rig()).await;
    let listed = body_of(&web.post("/projects", json!({"name": "Other"}).to_string()).await, 201);
    let other = listed["projects"].as_array().unwrap().iter().find(|project| project["id"] != "default").unwrap();
    let select = async |id: &str| assert_eq!(web.post(&format!("/projects/{id}/select"), "").await.status, 200);
    moved(&web, &["par"], json!({"intensity": 1, "red": 1})).await;
    blackout(&web, true).await;
    assert_eq!(frame(&web, 0).await[..2], [0, 255]);
    select(other["id"].as_str().unwrap()).await;
    let refused = ack(&web, &fixture_set(&["par"], &json!({"red": 1}))).await;
    assert_eq!(refused["errors"][0]["path"], "/targets/0", "{refused}");
    set(&web, 0, &[(2, 9)]).await;
    assert_eq!(frame(&web, 0).await[..2], [0, 0], "without a patch all channels are dark");
    select("default").await;
    assert_eq!(frame(&web, 0).await[..2], [0, 255], "and with it light and patch come back together");
}

#[tokio::test]
async fn in_blackout_a_fixture_without_anything_to_dim_closes_and_its_head_stays() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let names = ["Pan", "Tilt", "Shutter", "Gobo", "Speed", "Colour wheel"];
    let channels: Vec<_> = (0..6).map(|n| json!({"id": format!("s-{n}"), "number": n + 1, "name": names[n]})).collect();
    let scanner = json!({"id": "s", "name": "Scanner", "universeId": "a", "dmxAddress": 11, "channelCount": 6,
        "fixtureType": "x", "channels": channels});
    import(
        &web,
        &json!({"version": "1.0", "universes": [{"id": "a", "name": "A", "number": 0}], "fixtures": [scanner]}),
    )
    .await;
    let levels: Vec<(u16, u8)> = (11..17).zip([128, 100, 255, 40, 9, 70]).collect();
    set(&web, 0, &levels).await;
    assert_eq!(web.post("/master", json!({"level": 128}).to_string()).await.status, 200);
    assert_eq!(frame(&web, 0).await[10..16], [128, 100, 255, 40, 9, 70], "half a shutter is another shutter");
    blackout(&web, true).await;
    assert_eq!(frame(&web, 0).await[10..16], [128, 100, 0, 0, 9, 0]);
    blackout(&web, false).await;
    assert_eq!(frame(&web, 0).await[10..16], [128, 100, 255, 40, 9, 70]);
}

#[tokio::test]
async fn a_flash_at_the_lamp_ends_for_everybody_also_when_its_fixture_goes() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let made = body_of(&web.post("/patch/fixtures", r#"{"type":"rgb","universe":0,"address":1}"#).await, 201);
    let id = made["fixtures"][0]["id"].as_str().unwrap().to_owned();
    let at = format!("/patch/fixtures/{id}");
    assert_eq!(web.post(&format!("{at}/flash"), "").await.status, 200);
    assert_eq!(rgb_of(&web.state().await), [255; 3]);
    let changed = async |method, body: Value| {
        let asked = web.request(method, &at).header("content-type", "application/json").body(body.to_string());
        web.send(asked).await.status
    };
    assert_eq!(changed(Method::PATCH, json!({"name": "Door"})).await, 200);
    assert_eq!(rgb_of(&web.state().await), [255; 3], "another name ends nothing");
    assert!(changed(Method::DELETE, json!({})).await < 300);
    let state = web.state().await;
    assert_eq!(rgb_of(&state), [0; 3]);
    let seq = state["seq"].as_u64().unwrap();
    assert_eq!(watcher.wait_seq(seq).await.rgb, [0; 3], "what is retained is what is there");
}

#[tokio::test]
async fn however_often_a_group_is_named_it_is_looked_up_once() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for universe in 0..4 {
        let many = json!({"type": "rgb", "universe": universe, "address": 1, "count": 128, "groups": ["all"]});
        body_of(&web.post("/patch/fixtures", many.to_string()).await, 201);
    }
    let targets = vec!["all"; 2_000];
    moved(&web, &targets, json!({"color": "#010203"})).await;
    assert_eq!(frame(&web, 3).await[381..384], [1, 2, 3]);
    let refused = ack(&web, &fixture_set(&vec!["all"; 2_001], &json!({"red": 1}))).await;
    assert_eq!(refused["errors"][0]["path"], "/targets", "{refused}");
}

#[tokio::test]
async fn a_fixture_that_moves_takes_its_light_along_and_a_neighbour_keeps_its_own() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for (address, name) in [(1, "Left"), (8, "Right")] {
        let par = json!({"type": "par-7", "universe": 0, "address": address, "name": name});
        body_of(&web.post("/patch/fixtures", par.to_string()).await, 201);
    }
    moved(&web, &["left"], json!({"intensity": 1, "red": 1})).await;
    moved(&web, &["right"], json!({"intensity": 1, "blue": 1})).await;
    let mut order = fixture_set(&["left"], &json!({"green": 0.2}));
    order["durationMs"] = json!(60_000);
    assert_eq!(ack(&web, &order).await["accepted"], true);
    let seq = web.seq().await;
    let place = async |body: Value| {
        let asked = web.request(Method::PATCH, "/patch/fixtures/left").header("content-type", "application/json");
        body_of(&web.send(asked.body(body.to_string())).await, 200)
    };
    place(json!({"address": 100})).await;
    let whole = json!({"0": {"8": 255, "11": 255, "100": 255, "101": 255, "102": 51}});
    assert_eq!(lit(&web).await, whole, "and it is where its fade went");
    assert!(web.seq().await > seq, "which is a change that everybody hears of");
    assert_eq!(rgb_of(&web.state().await), [0; 3], "the lamp has lost what stood on its channels");
    place(json!({"universe": 2, "address": 1})).await;
    let elsewhere = json!({"0": {"8": 255, "11": 255}, "2": {"1": 255, "2": 255, "3": 51}});
    assert_eq!(lit(&web).await, elsewhere);
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(lit(&appliance.web()).await, elsewhere, "as it is stored");
}
