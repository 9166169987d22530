//! What rests elsewhere than at 0 is laid at rest in one step with the patch that brings it.

use serde_json::{Value, json};

use super::{add, body_of, import, lit, set};
use crate::harness::{Appliance, Home};

/// Heads of a type that dmxd knows, 20 channels apart in universe 1.
fn heads(ids: &[&str]) -> Value {
    let head = |(n, id): (usize, &&str)| json!({"id": id, "name": id, "universeId": "u", "dmxAddress": 1 + 20 * n, "type": "moving-head"});
    let fixtures: Vec<_> = ids.iter().enumerate().map(head).collect();
    json!({"version": "1.0", "universes": [{"id": "u", "name": "U", "number": 1}], "fixtures": fixtures, "scenes": []})
}

#[tokio::test]
async fn an_import_lays_new_heads_at_rest_and_moves_none_that_was_there() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    set(&web, 1, &[(3, 9)]).await;
    let seq = web.seq().await;
    import(&web, &heads(&["left"])).await;
    assert_eq!(lit(&web).await["1"], json!({"1": 128, "3": 9, "8": 255}), "what was lit stays");
    assert_eq!(web.seq().await, seq + 1, "one change");
    set(&web, 1, &[(1, 0), (8, 0)]).await;
    import(&web, &heads(&["left", "right"])).await;
    assert_eq!(lit(&web).await["1"], json!({"3": 9, "21": 128, "23": 128, "28": 255}));
    let seq = web.seq().await;
    import(&web, &heads(&["left", "right"])).await;
    assert_eq!(web.seq().await, seq);
    let before = lit(&web).await;
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(lit(&appliance.web()).await, before);
}

#[tokio::test]
async fn a_head_that_gets_another_name_stays_where_it_looks() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add(&web, &json!({"type": "moving-head", "universe": 0, "address": 1})).await;
    set(&web, 0, &[(1, 0)]).await;
    let before = lit(&web).await;
    let renamed =
        super::ask(&web, reqwest::Method::PATCH, "/patch/fixtures/moving-head-1", &json!({"name": "x"})).await;
    body_of(&renamed, 200);
    assert_eq!(lit(&web).await, before);
}

#[tokio::test]
async fn a_channel_that_is_on_its_way_is_not_laid_at_rest() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let fade = json!({"type": "dmx.fade", "id": crate::harness::fresh_id(), "universe": 0,
        "patch": [{"ch": 1, "val": 200}], "durationMs": 60_000});
    assert_eq!(body_of(&web.post("/command", fade.to_string()).await, 200)["accepted"], true);
    add(&web, &json!({"type": "moving-head", "universe": 0, "address": 1})).await;
    let lit = lit(&web).await;
    assert_eq!((&lit["0"]["3"], &lit["0"]["8"]), (&json!(128), &json!(255)));
    assert!(lit["0"]["1"].as_u64().unwrap_or_default() < 128, "{lit}");
    assert_eq!(web.get("/fades").await.json()["fades"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_project_from_a_template_has_its_heads_at_rest() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "true").start().await;
    let web = appliance.web();
    import(&web, &heads(&["left"])).await;
    let listed =
        body_of(&web.post("/projects", json!({"name": "Next", "templateId": "default"}).to_string()).await, 201);
    let id = listed["projects"].as_array().unwrap().iter().find(|it| it["name"] == "Next").unwrap()["id"].clone();
    body_of(&web.post(&format!("/projects/{}/select", id.as_str().unwrap()), "").await, 200);
    assert_eq!(lit(&web).await["1"], json!({"1": 128, "3": 128, "8": 255}));
}
