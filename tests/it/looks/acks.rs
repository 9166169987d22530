//! Unified commands that are refused: every reason, the same at every door, and nothing has happened.

use std::time::Instant;

use serde_json::{Value, json};

use super::{accepted, ack, lit, patch, refusal, refused, set};
use crate::harness::{
    ACK, Appliance, CMD, Connect, Home, Link, UNIFIED, WsWatcher, colour, command, eventually, fresh_id,
};

/// CONTRACT, section 5: unified commands a second from one client to one universe.
const PER_SECOND: usize = 60;

/// Invalid bodies, with the reason and the places of their faults.
fn wrong() -> Vec<(Value, &'static str, Vec<&'static str>)> {
    let with = |mut command: Value, name: &str, value: Value| {
        command[name] = value;
        command
    };
    let failed = "VALIDATION_FAILED";
    let many = |count: u16| patch(0, &(1..=count).map(|channel| (channel, 9)).collect::<Vec<_>>());
    let fade = super::fade(0, &[(1, 9)], 100);
    let save = json!({"type": "scene.save", "id": fresh_id(), "name": "S", "snapshot": {"1": 9}});
    vec![
        (json!({"id": "x"}), failed, vec!["/type"]),
        (json!({"type": "dmx.blink", "id": "x"}), failed, vec!["/type"]),
        (json!({"type": "dmx.set", "id": "x"}), failed, vec!["/universe", "/channel", "/value"]),
        (with(set(0, 1, 9), "id", json!("")), failed, vec!["/id"]),
        (with(set(0, 1, 9), "id", json!("é".repeat(65))), failed, vec!["/id"]),
        (with(set(0, 1, 9), "id", json!(7)), failed, vec!["/id"]),
        (with(set(0, 1, 9), "universe", json!(64)), failed, vec!["/universe"]),
        (with(set(0, 1, 9), "universe", json!(-1)), failed, vec!["/universe"]),
        (with(set(0, 1, 9), "universe", json!("0")), failed, vec!["/universe"]),
        (with(set(0, 1, 9), "channel", json!(0)), failed, vec!["/channel"]),
        (with(set(0, 1, 9), "channel", json!(513)), failed, vec!["/channel"]),
        (with(set(0, 1, 9), "value", json!(1.5)), failed, vec!["/value"]),
        (with(set(0, 1, 9), "value", json!(null)), failed, vec!["/value"]),
        (with(set(0, 1, 9), "ts", json!(-1)), failed, vec!["/ts"]),
        (with(set(0, 1, 9), "src", json!("")), failed, vec!["/src"]),
        (with(set(0, 1, 9), "src", json!("x".repeat(65))), failed, vec!["/src"]),
        (with(set(0, 1, 9), "colour", json!("red")), failed, vec!["/colour"]),
        (patch(0, &[]), failed, vec!["/patch"]),
        (with(patch(0, &[]), "patch", json!({"1": 9})), failed, vec!["/patch"]),
        (
            with(patch(0, &[]), "patch", json!([{"ch": 1, "val": 9}, {"ch": 0, "val": "9", "x": 1}, 7])),
            failed,
            vec!["/patch/1/ch", "/patch/1/val", "/patch/1/x", "/patch/2"],
        ),
        (many(65), "PATCH_TOO_LARGE", vec!["/patch"]),
        (with(many(65), "type", json!("dmx.fade")), "PATCH_TOO_LARGE", vec!["/durationMs", "/patch"]),
        (with(fade.clone(), "durationMs", json!(-1)), failed, vec!["/durationMs"]),
        (with(fade.clone(), "durationMs", json!(86_400_001)), failed, vec!["/durationMs"]),
        (with(fade.clone(), "durationMs", json!(1.5)), failed, vec!["/durationMs"]),
        (with(fade, "easing", json!("bounce")), failed, vec!["/easing"]),
        (with(save.clone(), "name", json!("")), failed, vec!["/name"]),
        (
            with(save.clone(), "snapshot", json!({"1": 256, "2/7": 1.0, "3": 9})),
            failed,
            vec!["/snapshot/1", "/snapshot/2~17"],
        ),
        (with(save, "snapshot", json!([])), failed, vec!["/snapshot"]),
        (super::recall("nobody"), failed, vec!["/name"]),
        (with(super::recall("nobody"), "fadeMs", json!("1")), failed, vec!["/fadeMs"]),
        (json!({"type": "effect.apply", "id": "x", "effect": "chase"}), "NOT_SUPPORTED", vec!["/type"]),
        (json!({"type": "motor.move", "id": "x"}), "NOT_SUPPORTED", vec!["/type"]),
    ]
}

#[tokio::test]
async fn every_fault_is_told_with_its_place_and_nothing_has_happened_at_any_door() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    assert_eq!(listener.subscribe(ACK, 1).await, 1);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let mut on_tablet = 0;
    for (body, reason, mut paths) in wrong() {
        paths.sort_unstable();
        let assert_refused = |ack: &Value, door: &str| {
            let mut told = refusal(ack, reason);
            told.sort();
            assert_eq!(told, paths, "{door}: {body}");
            let id = body["id"].as_str().filter(|id| id.chars().count() <= 64);
            assert_eq!(ack["ack"].as_str(), id, "{door}: {body}");
        };
        assert_refused(&ack(&web, &body).await, "REST");
        esp.publish(UNIFIED, body.to_string().as_bytes()).await;
        assert_refused(&listener.message().await.json(), "MQTT");
        // A message of no known type gets an err there, as before.
        if body["type"] != Value::Null && body["type"] != "dmx.blink" {
            tablet.send(&body).await;
            assert_refused(&tablet.other(on_tablet).await, "WebSocket");
            on_tablet += 1;
        }
    }
    assert_eq!((web.seq().await, lit(&web).await), (0, json!({"0": {}})));
    assert_eq!(super::scenes(&web).await, Vec::<Value>::new());
    let free = json!({"type": "dmx.set", "id": "x", "universe": 0, "channel": 1, "value": 1});
    accepted(&web, &free).await; // a refused id is not remembered
}

#[tokio::test]
async fn a_body_that_is_no_json_or_too_large_is_refused_by_its_status() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for body in ["", "{", "{\"type\":}", "\u{0}"] {
        web.post("/command", body).await.problem(400);
    }
    for body in ["[]", "7", "null", "\"dmx.set\""] {
        let answer = web.post("/command", body).await;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        refusal(&answer.json(), "VALIDATION_FAILED");
        assert_eq!(answer.json()["ack"], Value::Null);
    }
    let mut large = set(0, 1, 9);
    large["src"] = json!("x".repeat(64 * 1024));
    web.post("/command", large.to_string()).await.problem(413);
    assert_eq!(web.seq().await, 0);

    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    assert_eq!(listener.subscribe(ACK, 1).await, 1);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for body in [b"".as_slice(), b"{", b"\xff", b"[]"] {
        esp.publish(UNIFIED, body).await;
        let ack = listener.message().await.json();
        assert_eq!((&ack["ack"], &ack["accepted"]), (&Value::Null, &json!(false)), "{body:?}: {ack}");
        assert!(!refusal(&ack, "VALIDATION_FAILED").is_empty(), "{body:?}: {ack}");
    }
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_patch_has_64_different_channels_at_most() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let levels: Vec<(u16, u8)> = (1..=64).map(|channel| (channel, 9)).collect();
    accepted(&web, &patch(1, &levels)).await;
    accepted(&web, &patch(1, &[levels.clone(), levels.clone()].concat())).await;
    let more = [levels, vec![(65, 9)]].concat();
    assert_eq!(refused(&web, &patch(1, &more), "PATCH_TOO_LARGE").await, ["/patch"]);
    assert_eq!(web.seq().await, 2);
}

#[tokio::test]
async fn a_client_has_60_commands_a_second_for_each_universe_and_the_lamps_doors_have_no_limit() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let other = WsWatcher::start(appliance.http).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    assert_eq!(esp.subscribe(ACK, 1).await, 1);
    let mut universe = 0;
    let id = eventually("more than the limit within a second", async || {
        // universes of its own each time: a budget that was used is not full
        universe += 2;
        let (before, start) = (tablet.picture().others.len(), Instant::now());
        let mut free = Vec::new();
        for n in 0..2 * PER_SECOND {
            tablet.send(&set(universe, 9, 1)).await;
            if n < 50 {
                let [mine, theirs] = [set(universe + 1, 9, 1), set(universe, 9, 1)];
                tablet.send(&mine).await;
                other.send(&theirs).await;
                free.push([mine, theirs]);
            }
        }
        tablet.other(before + 2 * PER_SECOND + 50 - 1).await;
        for [mine, theirs] in free {
            assert_eq!(tablet.ack(&mine["id"]).await["accepted"], true, "another universe has its own limit");
            assert_eq!(other.ack(&theirs["id"]).await["accepted"], true, "another client has its own limit");
        }
        accepted(&web, &set(universe, 9, 1)).await;
        esp.publish(UNIFIED, set(universe, 9, 1).to_string().as_bytes()).await;
        assert_eq!(esp.message().await.json()["accepted"], true);
        let acks = tablet.picture().others[before..].to_vec();
        let (taken, limited): (Vec<_>, Vec<_>) = acks.into_iter().partition(|ack| ack["accepted"] == true);
        let most = PER_SECOND + (start.elapsed().as_secs_f64() * PER_SECOND as f64).ceil() as usize;
        assert!(taken.len() - 50 <= most, "{} taken, {most} at the most", taken.len() - 50);
        limited.iter().for_each(|ack| drop(refusal(ack, "RATE_LIMITED")));
        Some(limited.first()?["ack"].clone())
    })
    .await;

    let before = web.seq().await;
    for n in 0..2 * PER_SECOND as u32 {
        let [r, g, b] = colour(n);
        tablet.send(&json!({"type": "set", "cmdId": fresh_id(), "src": "t", "r": r, "g": g, "b": b})).await;
        esp.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
        web.accepted(&command(colour(n))).await;
    }
    tablet.wait_seq(before + 6 * PER_SECOND as u64).await;

    // A refused id is not remembered, and the limit is over after a second.
    let again = json!({"type": "dmx.set", "id": id, "universe": 0, "channel": 9, "value": 1});
    let answer = eventually("room for one more", async || {
        let before = tablet.picture().others.len();
        tablet.send(&again).await;
        Some(tablet.other(before).await).filter(|ack| ack["accepted"] == true)
    })
    .await;
    assert_eq!(answer.get("duplicate"), None, "{answer}");
}

#[tokio::test]
async fn a_drag_that_a_full_queue_drops_is_told_so_and_whoever_can_wait_waits() {
    let appliance = Home::new().set("DMX_QUEUE_SIZE", "1").start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let (mut universe, mut taken) = (0, 0);
    // Whether a queue of one is full when a command comes is chance: it is repeated as often as necessary.
    let dropped = eventually("a command that was dropped", async || {
        let before = tablet.picture().others.len();
        universe += 1; // its own limit
        for n in 1..60 {
            let mut drag = set(universe, 1, n);
            drag["src"] = json!("ui-tablet");
            tablet.send(&drag).await;
        }
        tablet.other(before + 58).await;
        let acks = tablet.picture().others[before..].to_vec();
        let (yes, no): (Vec<_>, Vec<_>) = acks.into_iter().partition(|ack| ack["accepted"] == true);
        no.iter().for_each(|ack| drop(refusal(ack, "QUEUE_FULL")));
        taken += yes.len() as u64;
        assert_eq!(web.seq().await, taken, "what was taken has happened, what was dropped has not");
        assert_eq!(super::level(&web, universe, 1).await, 59, "the newest is never dropped");
        (!no.is_empty()).then_some(no)
    })
    .await;
    assert_eq!(web.metric("dmx_engine_dropped_total").await, dropped.len() as f64);
    let again = json!({"type": "dmx.set", "id": dropped[0]["ack"], "universe": 0, "channel": 5, "value": 5});
    accepted(&web, &again).await; // its id was not remembered

    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    assert_eq!(esp.subscribe(ACK, 1).await, 1);
    for n in 1..60 {
        let command = set(0, 9, n);
        esp.send_publish(UNIFIED, command.to_string().as_bytes(), false).await;
    }
    for _ in 1..60 {
        assert_eq!(esp.message_beside_acknowledgements().await.json()["accepted"], true);
    }
    assert_eq!(super::level(&web, 0, 9).await, 59);
}
