//! The scene in effect: from its recall until a channel of it goes elsewhere, on REST and on the WebSocket.

use reqwest::Method;
use serde_json::{Value, json};

use super::{accepted, add_scene, ask, desk, fade, id_of, patch, recall, recall_scene, select, set};
use crate::harness::{Appliance, Home, Web, WsWatcher, command};

/// Two scenes: one that names channels, and the whole of universes 0 and 1.
async fn two(web: &Web) -> [Value; 2] {
    accepted(web, &set(1, 1, 0)).await;
    let keys = add_scene(web, &json!({"id": "keys", "name": "Keys", "channelValues": {"1": 10, "1/5": 50}})).await;
    let whole = add_scene(web, &json!({"id": "whole", "name": "Whole"})).await;
    [keys, whole]
}

/// Waits until the WebSocket has the scene that REST has; gives it.
async fn in_effect(web: &Web, tablet: &WsWatcher) -> Value {
    let scene = desk(web).await["scene"].clone();
    tablet.desk(&format!("the scene {scene}"), |desk| desk["scene"] == scene).await;
    scene
}

#[tokio::test]
async fn a_scene_is_in_effect_until_a_channel_of_it_goes_elsewhere() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let [keys, whole] = two(&web).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null);
    for (stays, goes) in [
        (set(0, 1, 10), set(0, 1, 11)),
        (set(0, 2, 99), set(1, 5, 49)),
        (patch(1, &[(5, 50), (6, 60)]), patch(1, &[(6, 61), (5, 51)])),
        (set(9, 1, 1), fade(0, &[(1, 200)], 60_000)),
        (fade(0, &[(7, 7)], 60_000), command([11, 0, 0])),
    ] {
        let told = tablet.picture().desks.len();
        recall_scene(&web, &keys, "").await;
        assert_eq!(in_effect(&web, &tablet).await, "keys");
        accepted(&web, &stays).await;
        assert_eq!(in_effect(&web, &tablet).await, "keys", "after {stays}");
        if goes.get("cmdId").is_some() {
            web.accepted(&goes).await;
        } else {
            accepted(&web, &goes).await
        }
        assert_eq!(in_effect(&web, &tablet).await, Value::Null, "after {goes}");
        assert!(tablet.picture().desks.len() >= told + 2, "both were told");
    }
    recall_scene(&web, &keys, "").await;
    recall_scene(&web, &whole, "").await;
    assert_eq!(in_effect(&web, &tablet).await, "whole", "the last one recalled");
    accepted(&web, &set(1, 512, 1)).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null, "each channel of its universes is its");
    accepted(&web, &recall("Keys")).await;
    assert_eq!(in_effect(&web, &tablet).await, "keys", "by command, too");
    super::master(&web, 3).await;
    super::blackout(&web, true).await;
    assert_eq!(in_effect(&web, &tablet).await, "keys", "master and blackout move no level");
}

#[tokio::test]
async fn a_scene_on_its_way_is_in_effect_and_is_not_when_it_is_stopped() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let [keys, _] = two(&web).await;
    recall_scene(&web, &keys, r#"{"fadeMs":60000}"#).await;
    let told = tablet.desk("the scene on its way", |desk| desk["scene"] == "keys").await;
    assert_eq!(told["fades"][0]["durationMs"], 60_000, "in one message");
    accepted(&web, &set(0, 1, 10)).await;
    assert_eq!(in_effect(&web, &tablet).await, "keys", "that is where it goes");
    web.post("/fades/stop", "").await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null, "the other channel will not arrive");
    recall_scene(&web, &keys, r#"{"fadeMs":100}"#).await;
    super::arrived(&web).await;
    assert_eq!(in_effect(&web, &tablet).await, "keys");
    web.post("/fades/stop", "").await;
    assert_eq!(in_effect(&web, &tablet).await, "keys", "it has arrived");
}

#[tokio::test]
async fn a_scene_that_becomes_another_one_or_none_is_not_in_effect() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let [keys, whole] = two(&web).await;
    let path = |scene: &Value| format!("/scenes/{}", id_of(scene));
    recall_scene(&web, &keys, "").await;
    let seq = web.seq().await;
    ask(&web, Method::PATCH, &path(&keys), &json!({"name": "K", "favorite": true, "position": 1, "fadeMs": 9})).await;
    assert_eq!((in_effect(&web, &tablet).await, web.seq().await), (json!("keys"), seq), "the light is the same");
    ask(&web, Method::PATCH, &path(&keys), &json!({"channelValues": {"1": 11}})).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null, "the light is another one");
    assert_eq!(super::level(&web, 0, 1).await, 10, "and it stays");
    recall_scene(&web, &whole, "").await;
    ask(&web, Method::DELETE, &path(&whole), &json!({})).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null, "deleted");
    recall_scene(&web, &keys, r#"{"fadeMs":0}"#).await;
    assert_eq!(in_effect(&web, &tablet).await, "keys");
    ask(&web, Method::PUT, "/scenes", &json!([])).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null, "replaced");
}

#[tokio::test]
async fn the_scene_in_effect_is_the_same_after_a_stop_and_after_a_kill_and_ends_with_its_project() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "true").start().await;
    let [keys, _] = two(&appliance.web()).await;
    recall_scene(&appliance.web(), &keys, "").await;
    let before = desk(&appliance.web()).await;
    let appliance = appliance.restart().await;
    assert_eq!(desk(&appliance.web()).await, before);
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    assert_eq!((desk(&web).await, in_effect(&web, &tablet).await), (before, json!("keys")));
    accepted(&web, &set(1, 5, 50)).await;
    assert_eq!(in_effect(&web, &tablet).await, "keys", "its channels are known");
    accepted(&web, &set(1, 5, 51)).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null);
    recall_scene(&web, &keys, "").await;
    let other = super::create_project(&web, "Other").await;
    select(&web, &other).await;
    assert_eq!(in_effect(&web, &tablet).await, Value::Null, "it is no scene of this project");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(desk(&appliance.web()).await["scene"], Value::Null);
}
