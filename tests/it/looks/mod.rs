//! The lighting desk: universes, unified commands, fades, scenes, master and blackout (CONTRACT, sections 4 to 6).

mod acks;
mod blackout;
mod commands;
mod dark;
mod easings;
mod effect;
mod fades;
mod intake;
mod master;
mod scenes;
mod stays;
mod universes;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, StateWatcher, Web, eventually, fresh_id};

/// One level.
fn set(universe: u8, channel: u16, value: u8) -> Value {
    json!({"type": "dmx.set", "id": fresh_id(), "universe": universe, "channel": channel, "value": value})
}

/// Several levels of one universe.
fn patch(universe: u8, levels: &[(u16, u8)]) -> Value {
    let levels: Vec<_> = levels.iter().map(|(ch, val)| json!({"ch": ch, "val": val})).collect();
    json!({"type": "dmx.patch", "id": fresh_id(), "universe": universe, "patch": levels})
}

/// The same over a time, evenly.
fn fade(universe: u8, levels: &[(u16, u8)], ms: u64) -> Value {
    let mut fade = patch(universe, levels);
    fade["type"] = json!("dmx.fade");
    fade["durationMs"] = json!(ms);
    fade["easing"] = json!("linear");
    fade
}

/// A recall by name.
fn recall(name: &str) -> Value {
    json!({"type": "scene.recall", "id": fresh_id(), "name": name})
}

/// `POST /command`: the ack.
async fn ack(web: &Web, command: &Value) -> Value {
    let answer = web.post("/command", command.to_string()).await;
    assert_eq!(answer.status, 200, "also when it is refused: {answer:?}");
    let ack = answer.json();
    assert!(ack["ts"].as_u64().is_some_and(|ts| ts > 0), "{ack}");
    ack
}

/// A command that must be accepted, and is new.
async fn accepted(web: &Web, command: &Value) {
    let ack = ack(web, command).await;
    assert_eq!(ack, json!({"ack": command["id"], "accepted": true, "ts": ack["ts"]}), "{command}");
}

/// A command that must be refused for this reason; gives the places of the faults.
async fn refused(web: &Web, command: &Value, reason: &str) -> Vec<String> {
    refusal(&ack(web, command).await, reason)
}

/// The places of the faults in an ack that refuses for this reason.
fn refusal(ack: &Value, reason: &str) -> Vec<String> {
    assert_eq!((&ack["accepted"], &ack["reason"]), (&json!(false), &json!(reason)), "{ack}");
    let errors = ack["errors"].as_array().expect("errors");
    assert!(errors.iter().all(|error| error["msg"].as_str().is_some_and(|msg| !msg.is_empty())), "{ack}");
    errors.iter().map(|error| error["path"].as_str().expect("a path").to_owned()).collect()
}

/// `GET /state?sparse=1`: what is lit, by universe.
async fn lit(web: &Web) -> Value {
    let answer = web.get("/state?sparse=1").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["universesSparse"].clone()
}

/// A level, before master and blackout.
async fn level(web: &Web, universe: u8, channel: u16) -> u8 {
    let state = web.get("/state").await.json();
    let level = state["universes"][universe.to_string()][channel.to_string()].as_u64().expect("a known channel");
    u8::try_from(level).unwrap()
}

/// The lamp's levels, before master and blackout.
async fn lamp_levels(web: &Web) -> [u8; 3] {
    let state = web.get("/state").await.json();
    ["1", "2", "3"].map(|channel| u8::try_from(state["universes"]["0"][channel].as_u64().unwrap()).unwrap())
}

/// What the outputs send for a universe.
async fn frame(web: &Web, universe: u8) -> Vec<u8> {
    let answer = web.get(&format!("/universes/{universe}/frame")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.json()["frame"].clone()).expect("512 levels")
}

/// The `seq` that `GET /state` names.
async fn rev(web: &Web) -> u64 {
    let answer = web.get("/state").await;
    let tag = answer.header("etag").strip_prefix("W/\"rev-").and_then(|tag| tag.strip_suffix('"'));
    tag.and_then(|rev| rev.parse().ok()).unwrap_or_else(|| panic!("W/\"rev-<seq>\": {answer:?}"))
}

/// An answer that must be 200 and the desk.
fn desk_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    let desk = answer.json();
    let mut names: Vec<_> = desk.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["blackout", "fades", "master", "scene"], "{desk}");
    desk
}

/// `GET /desk`.
async fn desk(web: &Web) -> Value {
    desk_of(&web.get("/desk").await)
}

/// `POST /master` that must succeed.
async fn master(web: &Web, level: u8) {
    let desk = desk_of(&web.post("/master", json!({"level": level}).to_string()).await);
    assert_eq!(desk["master"], level, "{desk}");
}

/// `POST /blackout` that must succeed.
async fn blackout(web: &Web, on: bool) {
    let desk = desk_of(&web.post("/blackout", json!({"on": on}).to_string()).await);
    assert_eq!(desk["blackout"], on, "{desk}");
}

/// `GET /fades`.
async fn fades(web: &Web) -> Vec<Value> {
    let answer = web.get("/fades").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["fades"].as_array().expect("a list of fades").clone()
}

/// Waits until no fade runs.
async fn arrived(web: &Web) {
    eventually("the end of the fades", async || fades(web).await.is_empty().then_some(())).await;
}

/// `POST /scenes`: the scene as stored.
async fn add_scene(web: &Web, body: &Value) -> Value {
    let answer = web.post("/scenes", body.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// `GET /scenes`.
async fn scenes(web: &Web) -> Vec<Value> {
    let answer = web.get("/scenes").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().expect("a list of scenes").clone()
}

/// Names of the scenes, in order.
async fn names(web: &Web) -> Vec<String> {
    scenes(web).await.iter().map(|scene| scene["name"].as_str().expect("a name").to_owned()).collect()
}

/// `POST /scenes/{id}/recall` that must succeed; gives the desk.
async fn recall_scene(web: &Web, scene: &Value, body: &str) -> Value {
    desk_of(&web.post(&format!("/scenes/{}/recall", id_of(scene)), body.to_owned()).await)
}

fn id_of(scene: &Value) -> &str {
    scene["id"].as_str().expect("an id")
}

/// A request with a method and a JSON body.
async fn ask(web: &Web, method: Method, path: &str, body: &Value) -> Answer {
    web.send(web.request(method, path).header("content-type", "application/json").body(body.to_string())).await
}

/// Creates a project; gives its id.
async fn create_project(web: &Web, name: &str) -> String {
    let answer = web.post("/projects", json!({"name": name}).to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let list = answer.json();
    let mut projects = list["projects"].as_array().expect("a list of projects").iter();
    let made = projects.find(|project| project["name"] == name).expect("the new project");
    made["id"].as_str().expect("an id").to_owned()
}

/// Selects a project.
async fn select(web: &Web, project: &str) {
    let answer = web.post(&format!("/projects/{project}/select"), "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The retained state of the lamp.
async fn retained(broker: std::net::SocketAddr) -> Value {
    let late = StateWatcher::start(broker).await.last();
    assert!(late.retain);
    late.body
}
