//! Master and blackout belong to the appliance: no restart, project or restore moves them.

use serde_json::{Value, json};

use super::{accepted, blackout, create_project, desk, frame, lit, master, patch, retained, rev, select};
use crate::harness::{Appliance, Home, StateWatcher, Web, Widget, WsWatcher, command, rgb_of};

/// Goes dark, under half a master, and so it is on the widget: no light is on its way any more.
async fn dark(web: &Web, widget: &Widget) {
    web.accepted(&command([200, 100, 50])).await;
    accepted(web, &patch(4, &[(1, 40)])).await;
    master(web, 128).await;
    widget.shows([100, 50, 25]).await;
    blackout(web, true).await;
    widget.shows([0; 3]).await;
}

/// Still dark; the levels are these, and come back unchanged.
async fn assert_dark(web: &Web, levels: &Value) {
    let desk = desk(web).await;
    assert_eq!((&desk["master"], &desk["blackout"]), (&json!(128), &json!(true)), "{desk}");
    assert_eq!(rgb_of(&web.state().await), [0; 3]);
    assert_eq!([frame(web, 0).await, frame(web, 4).await], [[0; 512]; 2]);
    assert_eq!(lit(web).await, *levels);
}

/// A home whose widget is plugged in.
fn with_widget() -> (Widget, Home) {
    let home = Home::new();
    let widget = Widget::plugged_in(home.beside("widget"));
    let home = home.set("DMX_USB_ENABLED", "true").set("DMX_USB_PORT", widget.path());
    (widget, home)
}

/// No light got through.
fn assert_stayed_dark(widget: &Widget, from: usize) {
    let frames = widget.frames();
    assert!(frames.len() > from, "it was sent something");
    assert!(frames[from..].iter().all(|frame| frame.rgb() == [0; 3]), "{:?}", frames[from..].iter().map(|f| f.rgb()));
}

#[tokio::test]
async fn they_are_the_same_after_a_stop_and_after_a_kill_and_no_light_flashes_at_the_start() {
    let (mut widget, home) = with_widget();
    let mut appliance = home.start().await;
    dark(&appliance.web(), &widget).await;
    let levels = json!({"0": {"1": 200, "2": 100, "3": 50}, "4": {"1": 40}});
    let state = appliance.web().state().await;
    for killed in [false, true] {
        let home = if killed { appliance.kill9().await } else { appliance.terminate().await.1 };
        widget.unplug();
        let from = widget.frames().len();
        widget.plug();
        appliance = home.start().await;
        let web = appliance.web();
        assert_dark(&web, &levels).await;
        assert_eq!((web.state().await, retained(appliance.mqtt).await), (state.clone(), state.clone()));
        assert_eq!(rev(&web).await, 4);
        let picture = WsWatcher::start(appliance.http).await.picture();
        assert_eq!((rgb_of(&picture.states[0].0), picture.lamp()), ([0; 3], [200, 100, 50]));
        widget.taken(from + 1).await;
        assert_stayed_dark(&widget, from);
    }
    blackout(&appliance.web(), false).await;
    master(&appliance.web(), 255).await;
    widget.shows([200, 100, 50]).await;
    assert_eq!((rgb_of(&appliance.web().state().await), frame(&appliance.web(), 4).await[0]), ([200, 100, 50], 40));
}

#[tokio::test]
async fn a_blackout_on_its_way_is_at_its_end_after_a_kill() {
    for on in [true, false] {
        let appliance = Appliance::start().await;
        let web = appliance.web();
        web.accepted(&command([200, 100, 50])).await;
        blackout(&web, !on).await;
        let watcher = StateWatcher::start(appliance.mqtt).await;
        web.post("/blackout", json!({"on": on, "fadeMs": 30_000}).to_string()).await;
        watcher.wait_seq(web.seq().await + 3).await;
        let home = appliance.kill9().await;
        let told = watcher.into_all().await.last().unwrap().seq;
        let appliance = home.start().await;
        let state = appliance.web().state().await;
        assert_eq!(rgb_of(&state), if on { [0; 3] } else { [200, 100, 50] }, "on: {on}");
        assert!(state["seq"].as_u64().unwrap() > told, "{state} after {told}");
    }
}

#[tokio::test]
async fn another_project_and_a_restore_stay_in_the_dark() {
    let (widget, home) = with_widget();
    let home = home.set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true");
    let appliance = home.start().await;
    let web = appliance.web();
    let other = create_project(&web, "Other").await;
    select(&web, &other).await;
    web.accepted(&command([7, 8, 9])).await;
    select(&web, "default").await;
    web.accepted(&command([1, 1, 1])).await;
    let backup = web.post("/projects/default/backups", "{}").await;
    assert_eq!(backup.status, 201, "{backup:?}");
    let version = backup.json()["versionId"].clone();
    dark(&web, &widget).await;
    let from = widget.frames().len();
    let watcher = StateWatcher::start(appliance.mqtt).await;

    select(&web, &other).await;
    assert_dark(&web, &json!({"0": {"1": 7, "2": 8, "3": 9}})).await;
    select(&web, "default").await;
    assert_dark(&web, &json!({"0": {"1": 200, "2": 100, "3": 50}, "4": {"1": 40}})).await;
    let restored = web.post("/projects/default/restore", json!({"versionId": version}).to_string()).await;
    assert_eq!(restored.status, 200, "{restored:?}");
    assert_dark(&web, &json!({"0": {"1": 1, "2": 1, "3": 1}})).await;
    watcher.wait_seq(web.seq().await).await;
    assert!(watcher.seen().iter().all(|seen| seen.rgb == [0; 3]), "an ESP lamp saw no light");
    widget.taken(from + 1).await;
    assert_stayed_dark(&widget, from);
    let appliance = appliance.kill9().await.start().await;
    assert_dark(&appliance.web(), &json!({"0": {"1": 1, "2": 1, "3": 1}})).await;
    blackout(&appliance.web(), false).await;
    master(&appliance.web(), 255).await;
    assert_eq!(rgb_of(&appliance.web().state().await), [1, 1, 1]);
}
