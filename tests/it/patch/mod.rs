//! The patch: fixtures of a show, and the looks that name their channels (CONTRACT, section 11).

mod edits;
mod lamps;
mod light;
mod reads;
mod rest;
mod shows;
mod switches;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Web, fresh_id};

/// A request with a method and a JSON body.
async fn ask(web: &Web, method: Method, path: &str, body: &Value) -> Answer {
    web.send(web.request(method, path).header("content-type", "application/json").body(body.to_string())).await
}

/// An answer that must have this status, as JSON.
fn body_of(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.json()
}

/// A fixture as the predecessor's app writes it; `counted_from`: that app writes the numbers of channels both ways.
fn fixture(id: &str, universe: &str, address: u16, names: &[&str], counted_from: usize) -> Value {
    let channel = |(n, name): (usize, &&str)| json!({"id": format!("{id}-{n}"), "number": n + counted_from, "name": name, "value": 0});
    let channels: Vec<_> = names.iter().enumerate().map(channel).collect();
    json!({"id": id, "name": id, "universeId": universe, "dmxAddress": address, "channelCount": names.len(),
        "fixtureType": "generic", "channels": channels})
}

/// The show of issue 20.
fn show() -> Value {
    let head = ["Pan", "Tilt", "Dimmer", "Shutter", "Colour", "Gobo", "Speed", "Reset"];
    json!({
        "version": "1.0",
        "universes": [{"id": "u-main", "name": "Main", "number": 0}, {"id": "u-rig", "name": "Rig", "number": 1}],
        "fixtures": [
            fixture("fx-par", "u-main", 1, &["Red", "Green", "Blue"], 1),
            fixture("fx-dim", "u-main", 10, &["Dimmer 1", "Dimmer 2", "Dimmer 3", "Dimmer 4"], 1),
            fixture("fx-head", "u-rig", 20, &head, 1),
        ],
        "scenes": [{"id": "scene-warm", "name": "Warm", "timestamp": 1,
            "channelValues": {"fx-par-0": 200, "fx-par-1": 120, "fx-par-2": 40, "fx-dim-0": 99, "fx-head-0": 77}}],
    })
}

/// Takes a show; gives what is stored.
async fn import(web: &Web, show: &Value) -> Value {
    body_of(&web.post("/import", show.to_string()).await, 200)
}

/// What is lit, by universe.
async fn lit(web: &Web) -> Value {
    body_of(&web.get("/state?sparse=1").await, 200)["universesSparse"].clone()
}

/// What the outputs send for a universe.
async fn frame(web: &Web, universe: u8) -> Vec<u8> {
    let answer = web.get(&format!("/universes/{universe}/frame")).await;
    serde_json::from_value(body_of(&answer, 200)["frame"].clone()).expect("512 levels")
}

/// Recalls a scene by its id.
async fn recall(web: &Web, scene: &str) {
    body_of(&web.post(&format!("/scenes/{scene}/recall"), "").await, 200);
}

/// Captures the light as a scene.
async fn capture(web: &Web, body: &Value) -> Value {
    body_of(&web.post("/scenes", body.to_string()).await, 201)
}

/// Sets levels of one universe.
async fn set(web: &Web, universe: u8, levels: &[(u16, u8)]) {
    let levels: Vec<_> = levels.iter().map(|(ch, val)| json!({"ch": ch, "val": val})).collect();
    let body = json!({"type": "dmx.patch", "id": fresh_id(), "universe": universe, "patch": levels});
    let ack = body_of(&web.post("/command", body.to_string()).await, 200);
    assert_eq!(ack["accepted"], true, "{ack}");
}

/// `GET /patch`.
async fn patch(web: &Web) -> Value {
    body_of(&web.get("/patch").await, 200)
}

/// `POST /patch/fixtures` that must succeed: the new ones.
async fn add(web: &Web, body: &Value) -> Vec<Value> {
    let answer = web.post("/patch/fixtures", body.to_string()).await;
    body_of(&answer, 201)["fixtures"].as_array().expect("fixtures").clone()
}

/// A field of each item.
fn each(list: &[Value], name: &str) -> Vec<Value> {
    list.iter().map(|item| item[name].clone()).collect()
}
