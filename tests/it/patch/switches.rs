//! Another project, or a backup that comes back: its light and its patch reach the outputs together.

use std::time::Duration;

use serde_json::{Value, json};

use super::{body_of, fixture, frame, import, set};
use crate::harness::{Appliance, Home, Web, Widget, eventually};

/// Changes to and fro.
const ROUNDS: usize = 10;

/// Of a frame at 40 a second.
const SLOT: Duration = Duration::from_millis(25);

/// With a widget, several projects and backups, and master at half, so that each patch makes other frames of the same levels.
async fn start() -> (Widget, Appliance) {
    let home = Home::new().set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true");
    let widget = Widget::plugged_in(home.beside("widget"));
    let appliance = home.set("DMX_USB_ENABLED", "true").set("DMX_USB_PORT", widget.path()).start().await;
    assert_eq!(appliance.web().post("/master", json!({"level": 128}).to_string()).await.status, 200);
    (widget, appliance)
}

/// One head whose channels are these, with its light.
async fn light(web: &Web, names: [&str; 3], levels: [u8; 3]) {
    let show = json!({
        "version": "1.0",
        "universes": [{"id": "u", "name": "Main", "number": 0}],
        "fixtures": [fixture("fx", "u", 1, &names, 1)],
        "scenes": [],
    });
    import(web, &show).await;
    set(web, 0, &[(1, levels[0]), (2, levels[1]), (3, levels[2])]).await;
}

/// The first three channels of what is sent.
async fn sent(web: &Web) -> [u8; 3] {
    let frame = frame(web, 0).await;
    [frame[0], frame[1], frame[2]]
}

/// Waits until the widget shows a light, and the line is at rest: what comes then is sent at once.
async fn rests(widget: &Widget, light: [u8; 3]) {
    widget.shows(light).await;
    eventually("a line at rest", async || {
        let last = widget.frames().last()?.at;
        (last.elapsed() > 2 * SLOT).then_some(())
    })
    .await;
}

/// From that frame on the widget has received nothing but these.
fn assert_nothing_but(widget: &Widget, from: usize, whole: [[u8; 3]; 2]) {
    let frames = widget.frames();
    for frame in &frames[from..] {
        assert!(whole.contains(&frame.rgb()), "{:?} is neither of {whole:?}", frame.rgb());
    }
    assert!(frames.len() >= from + 2 * ROUNDS, "{} frames", frames.len() - from);
}

const FIRST: ([&str; 3], [u8; 3]) = (["Dimmer", "Pan", "Tilt"], [200, 100, 40]);
const SECOND: ([&str; 3], [u8; 3]) = (["Pan", "Dimmer", "Tilt"], [60, 180, 80]);

#[tokio::test]
async fn another_project_brings_its_light_and_its_patch_in_one_frame() {
    let (widget, appliance) = start().await;
    let web = appliance.web();
    light(&web, FIRST.0, FIRST.1).await;
    let first = sent(&web).await;
    let made = body_of(&web.post("/projects", json!({"name": "Other"}).to_string()).await, 201);
    let is_other = |project: &&Value| project["id"] != "default";
    let other = made["projects"].as_array().unwrap().iter().find(is_other).unwrap()["id"].as_str().unwrap();
    let select = async |id: &str| body_of(&web.post(&format!("/projects/{id}/select"), "").await, 200);
    select(other).await;
    light(&web, SECOND.0, SECOND.1).await;
    let second = sent(&web).await;
    assert_eq!((first, second), ([100, 100, 40], [60, 90, 80]));
    rests(&widget, second).await;
    let from = widget.frames().len();
    for _ in 0..ROUNDS {
        select("default").await;
        rests(&widget, first).await;
        select(other).await;
        rests(&widget, second).await;
    }
    assert_nothing_but(&widget, from, [first, second]);
}

#[tokio::test]
async fn a_backup_brings_its_light_and_its_patch_back_in_one_frame() {
    let (widget, appliance) = start().await;
    let web = appliance.web();
    let mut versions = Vec::new();
    for (names, levels) in [FIRST, SECOND] {
        light(&web, names, levels).await;
        let made = body_of(&web.post("/projects/default/backups", "{}").await, 201);
        versions.push((made["versionId"].clone(), sent(&web).await));
    }
    let [(_, first), (_, second)] = versions[..] else { unreachable!("two") };
    rests(&widget, second).await;
    let from = widget.frames().len();
    for _ in 0..ROUNDS {
        for (version, light) in &versions {
            let answer = web.post("/projects/default/restore", json!({"versionId": version}).to_string()).await;
            body_of(&answer, 200);
            rests(&widget, *light).await;
        }
    }
    assert_nothing_but(&widget, from, [first, second]);
}
