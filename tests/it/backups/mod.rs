//! Backups over REST (CONTRACT section 6): made, listed, restored in one step, and refused without a trace.
//!
//! When automatic ones are due is tested with the schedule (`src/backup`), since the shortest interval is a minute.

mod alone;
mod bucket;
mod damage;
mod folder;
mod hidden;
mod keys;
pub mod kills;
mod medium;
mod names;
mod order;
mod restores;
mod safety;
mod strange;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Answer, Appliance, Home, Web, colour, command, index_of, rgb_of};

const KEY: &str = "DMX_CLOUD_BACKUP_ENCRYPTION_KEY";
const OLD_KEYS: &str = "DMX_CLOUD_BACKUP_OLD_KEYS";

/// With several projects and local backups.
fn home() -> Home {
    Home::new().set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true")
}

/// Everything of the active project that a restore replaces.
#[derive(Clone, Debug, PartialEq)]
struct Whole {
    state: Value,
    scenes: Value,
    show: Value,
}

impl Whole {
    async fn of(web: &Web) -> Self {
        let mut show = web.get("/export").await.json();
        show.as_object_mut().expect("a show").remove("exportedAt");
        Self { state: web.state().await, scenes: web.get("/scenes").await.json(), show }
    }
}

/// Makes light, scenes and show carry one number; `ballast` pads the show to a size.
async fn mark(web: &Web, number: u32, ballast: usize) {
    let show = json!({
        "version": "1.0", "universes": [], "fixtures": [{"id": "lampa", "more": {"ž": [1.0, null]}}],
        "scenes": [{"id": "s", "name": format!("scéna {number}"), "channelValues": {"1": 5, "2/7": 6}, "timestamp": 1}],
        "effects": [], "stepperMotors": [], "servos": [], "midiMappings": [], "customLayout": null,
        "mark": number, "ballast": "x".repeat(ballast)
    });
    let imported = web.post("/import", show.to_string()).await;
    assert_eq!(imported.status, 200, "{:.500}", imported.text);
    web.accepted(&command(colour(number))).await;
}

/// The numbers that light, scenes and show carry.
async fn marks(web: &Web) -> [u32; 3] {
    let Whole { state, scenes, show } = Whole::of(web).await;
    let name = scenes[0]["name"].as_str().expect("a scene with a name");
    let scene = name.rsplit(' ').next().unwrap().parse().expect("a number in the scene's name");
    [index_of(rgb_of(&state)), scene, u32::try_from(show["mark"].as_u64().expect("a mark")).unwrap()]
}

/// Makes a backup of a project; gives its record.
async fn made(web: &Web, project: &str, label: &str) -> Value {
    let answer = web.post(&format!("/projects/{project}/backups"), json!({"label": label}).to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// Requests a restore.
async fn restore(web: &Web, project: &str, version: &str) -> Answer {
    web.post(&format!("/projects/{project}/restore"), json!({"versionId": version}).to_string()).await
}

/// A restore that must succeed.
async fn restored(web: &Web, version: &str) {
    let answer = restore(web, "default", version).await;
    assert_eq!((answer.status, &answer.text[..]), (200, r#"{"status":"ok"}"#), "{answer:?}");
}

/// The versions of a project.
async fn versions(web: &Web, project: &str) -> Vec<Value> {
    let answer = web.get(&format!("/projects/{project}/backups")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["projectId"], project, "{body}");
    body["versions"].as_array().expect("a list").clone()
}

fn id_of(version: &Value) -> String {
    version["versionId"].as_str().expect("an id").to_owned()
}

/// The folder of local backups of the first project.
fn folder(appliance: &Appliance) -> PathBuf {
    appliance.data().join("backups/default")
}

/// Gives the first project's versions these file names and contents, as if they had always been there.
fn place(folder: &Path, files: &[(&str, &[u8])]) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// A snapshot as a predecessor wrote it, with this colour.
fn snapshot(red: u8) -> Vec<u8> {
    json!({"project": null, "state": {"r": red, "g": 2, "b": 3}, "version": "1.2"}).to_string().into_bytes()
}
