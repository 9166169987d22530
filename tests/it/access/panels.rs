//! Panels: a page's token does exactly what the panel has, and nothing beside it.

use reqwest::Method;
use serde_json::json;

use super::{ADMIN, ask, locked, panel, scene};
use crate::harness::{Appliance, Ending, WsWatcher, command};

async fn stage() -> Appliance {
    let appliance = locked().start().await;
    scene(&appliance, "warm", "Warm").await;
    scene(&appliance, "cold", "Cold").await;
    appliance
}

async fn watch(appliance: &Appliance, secret: &str) -> WsWatcher {
    WsWatcher::connect(appliance.http, &format!("/ws?token={secret}"), &[]).await.expect("a WebSocket")
}

#[tokio::test]
async fn a_panel_does_what_it_has_by_rest_and_by_websocket_and_nothing_else() {
    let appliance = stage().await;
    let web = appliance.web();
    let (_, bar) = panel(&appliance, json!({"name": "Bar", "looks": ["warm"], "blackout": true})).await;
    let socket = watch(&appliance, &bar).await;
    let rest =
        async |path: &str, body: serde_json::Value| ask(&web, Some(&bar), Method::POST, path, Some(&body)).await.status;
    assert_eq!(rest("/scenes/warm/recall", json!({})).await, 200);
    assert_eq!(rest("/scenes/cold/recall", json!({})).await, 403);
    assert_eq!(rest("/blackout", json!({"on": true})).await, 200);
    assert_eq!(rest("/blackout", json!({"on": false})).await, 403, "it makes dark only");
    assert_eq!(rest("/master", json!({"level": 1})).await, 403);
    assert_eq!(rest("/rgb", command([1, 2, 3])).await, 403);
    assert_eq!(rest("/fades/stop", json!({})).await, 403);
    let unified = |id: &str, name: &str| json!({"type": "scene.recall", "id": id, "name": name});
    let ack = async |message: serde_json::Value| {
        socket.send(&message).await;
        socket.ack(&message["id"]).await
    };
    assert_eq!(ack(unified("1", "Warm")).await["accepted"], true);
    let refused = ack(unified("2", "Cold")).await;
    assert_eq!((&refused["accepted"], &refused["reason"]), (&json!(false), &json!("FORBIDDEN")));
    assert_eq!(ack(unified("3", "Nothing")).await["reason"], "FORBIDDEN", "it does not learn which scenes there are");
    assert_eq!(
        ack(json!({"type": "dmx.set", "id": "4", "universe": 0, "channel": 1, "value": 9})).await["reason"],
        "FORBIDDEN"
    );
    let save = json!({"type": "scene.save", "id": "5", "name": "Warm", "snapshot": {"1": 0}});
    assert_eq!(ack(save).await["reason"], "FORBIDDEN");
    assert_eq!(rest("/command", unified("6", "Warm")).await, 200);
}

#[tokio::test]
async fn a_panels_websocket_carries_its_desk_alone() {
    let appliance = stage().await;
    let (id, bar) =
        panel(&appliance, json!({"name": "Bar", "looks": ["warm"], "master": true, "blackout": "both"})).await;
    let socket = watch(&appliance, &bar).await;
    let recall = async |scene: &str| {
        let path = format!("/scenes/{scene}/recall");
        ask(&appliance.web(), Some(ADMIN), Method::POST, &path, Some(&json!({}))).await
    };
    recall("cold").await;
    recall("warm").await;
    socket.desk("its own look", |desk| desk["scene"] == "warm").await;
    socket.send(&json!({"type": "master", "level": 100})).await;
    socket.desk("its master", |desk| desk["master"] == 100).await;
    recall("cold").await;
    socket.desk("no look of its own", |desk| desk["scene"].is_null() && desk["master"] == 100).await;
    let picture = socket.picture();
    assert!(picture.order.iter().all(|kind| kind == "desk"), "{:?}", picture.order);
    assert!(picture.desks.iter().all(|desk| desk["scene"] != "cold"), "{:?}", picture.desks);
    recall("cold").await;
    let desk = ask(&appliance.web(), Some(&bar), Method::GET, "/desk", None).await.json();
    assert!(desk["scene"].is_null() && desk["fades"] == json!([]), "{desk}");
    let me = ask(&appliance.web(), Some(&bar), Method::GET, "/me", None).await.json();
    assert_eq!(me["panel"]["scenes"], json!([{"id": "warm", "name": "Warm"}]));
    assert_eq!((&me["kind"], &me["role"]), (&json!("panel"), &json!(null)));

    let path = format!("/panels/{id}");
    let renewed = ask(&appliance.web(), Some(ADMIN), Method::PATCH, &path, Some(&json!({"renew": true}))).await;
    let new = renewed.json()["url"].as_str().unwrap().strip_prefix("/panel/").unwrap().to_owned();
    assert_eq!(socket.ending().await, Ending::Closed(4401));
    ask(&appliance.web(), Some(&bar), Method::GET, "/desk", None).await.problem(401);
    let socket = watch(&appliance, &new).await;
    assert_eq!(ask(&appliance.web(), Some(ADMIN), Method::DELETE, &path, None).await.status, 204);
    assert_eq!(socket.ending().await, Ending::Closed(4401));
    let log = appliance.log.all().join("\n");
    assert!(!log.contains(&bar) && !log.contains(&new), "no panel's secret is in the log");
}
