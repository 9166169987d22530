//! Projects, scenes and shows (CONTRACT, section 6).

pub mod crash;
mod disk_full;
mod documents;
mod large;
mod predecessor;
mod rest;
mod secrets;
mod select;
mod tags;
mod two_clients;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Appliance, Home, StateWatcher, Web, rgb_of};

/// Scenes of a marked show.
const SCENES: u64 = 20;

/// Fixtures of a marked show.
const FIXTURES: u64 = 200;

/// A home where there may be several projects.
fn several(home: Home) -> Home {
    home.set("DMX_PROJECTS_ENABLED", "true")
}

/// An appliance with several projects and nothing in them.
async fn fresh() -> Appliance {
    several(Home::new()).start().await
}

/// A JSON body with any method.
async fn ask(web: &Web, method: Method, path: &str, body: &Value) -> Answer {
    web.send(asking(web, method, path, body)).await
}

fn asking(web: &Web, method: Method, path: &str, body: &Value) -> reqwest::RequestBuilder {
    web.request(method, path).header("content-type", "application/json").body(body.to_string())
}

/// An answer that must have this status, as JSON.
fn body_of(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    answer.json()
}

/// `GET /projects`.
async fn list(web: &Web) -> Value {
    body_of(&web.get("/projects").await, 200)
}

/// Ids in the order of a list.
fn ids(list: &Value) -> Vec<String> {
    let projects = list["projects"].as_array().expect("a list of projects");
    projects.iter().map(|project| project["id"].as_str().expect("an id").to_owned()).collect()
}

/// One project of a list.
fn project<'a>(list: &'a Value, id: &str) -> &'a Value {
    let projects = list["projects"].as_array().expect("a list of projects");
    projects.iter().find(|project| project["id"] == id).unwrap_or_else(|| panic!("no {id} in {list}"))
}

/// Creates a project; gives its id.
async fn create(web: &Web, body: Value) -> String {
    let before = ids(&list(web).await);
    let after = body_of(&web.post("/projects", body.to_string()).await, 201);
    let new: Vec<_> = ids(&after).into_iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(new.len(), 1, "one more than {before:?}: {after}");
    new.into_iter().next().unwrap()
}

/// Selects a project; gives the list in the answer.
async fn select(web: &Web, id: &str) -> Value {
    let answer = web.post(&format!("/projects/{id}/select"), "").await;
    let list = body_of(&answer, 200);
    assert_eq!(list["activeId"], id, "{list}");
    list
}

/// `GET /scenes`.
async fn scenes(web: &Web) -> Value {
    body_of(&web.get("/scenes").await, 200)
}

/// `GET /export` without the time, which differs every time.
async fn export(web: &Web) -> Value {
    without_time(body_of(&web.get("/export").await, 200))
}

fn without_time(mut export: Value) -> Value {
    let time = export.as_object_mut().expect("an object").remove("exportedAt");
    assert!(time.is_some_and(|time| time.is_u64()), "exportedAt in {export}");
    export
}

/// `POST /import` that must succeed; gives what is stored, without the time.
async fn import(web: &Web, query: &str, file: &Value) -> Value {
    without_time(body_of(&web.post(&format!("/import{query}"), file.to_string()).await, 200))
}

/// A show every part of which carries a mark.
fn marked(mark: u64) -> Value {
    let scene = |n| {
        json!({"id": format!("s{n}"), "name": format!("Scene {n}"), "channelValues": {"1": mark % 256, "2/7": n},
            "timestamp": 1_700_000_000_000_u64 + mark, "mark": mark})
    };
    let fixture = |n| json!({"id": n, "mark": mark, "name": format!("Fixture {n}"), "layout": "x".repeat(100)});
    json!({
        "version": "2.1",
        "universes": [],
        "fixtures": (0..FIXTURES).map(fixture).collect::<Vec<_>>(),
        "scenes": (0..SCENES).map(scene).collect::<Vec<_>>(),
        "effects": [], "stepperMotors": [], "servos": [], "midiMappings": [],
        "customLayout": {"mark": mark},
        "mark": mark
    })
}

/// The mark of the active project's documents, which must all carry the same; `None`: there are none.
async fn mark(web: &Web) -> Option<u64> {
    let (scenes, export) = (scenes(web).await, export(web).await);
    assert_eq!(export["scenes"], scenes, "/export has the scenes of /scenes");
    let mark = export.get("mark").and_then(Value::as_u64);
    let expected = mark.map_or_else(nothing, marked);
    assert_eq!(export, expected, "every part of the show has the same mark");
    mark
}

/// The export of a project that has nothing.
fn nothing() -> Value {
    json!({"version": "1.0", "universes": [], "fixtures": [], "scenes": [], "effects": [], "stepperMotors": [],
        "servos": [], "midiMappings": [], "customLayout": null})
}

/// The lamp, from REST and from MQTT's retained message.
async fn lamp(appliance: &Appliance) -> [u8; 3] {
    let state = appliance.web().state().await;
    let retained = StateWatcher::start(appliance.mqtt).await.last();
    assert!(retained.retain);
    assert_eq!(retained.body, state, "the retained state is the state");
    rgb_of(&state)
}
