//! Shows of the predecessor: their looks name fixtures, and so do looks that are captured here.

use serde_json::{Value, json};

use super::{body_of, capture, frame, import, lit, patch, recall, set, show};
use crate::harness::{Appliance, Home};

/// What `scene-warm` lights.
fn warm() -> Value {
    json!({"0": {"1": 200, "2": 120, "3": 40, "10": 99}, "1": {"20": 77}})
}

#[tokio::test]
async fn a_look_of_the_predecessor_is_light_where_its_fixtures_are() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let stored = import(&web, &show()).await;
    assert_eq!(stored["fixtures"], show()["fixtures"], "a show that dmxd reads stays as it was");
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await, warm());

    // After a kill the patch is there before anybody asks, and nothing was published for it.
    let seq = web.seq().await;
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    assert_eq!(web.seq().await, seq);
    set(&web, 0, &[(1, 0), (10, 0)]).await;
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await, warm());
}

#[tokio::test]
async fn universes_by_number_and_ids_that_are_numbers_are_read_too() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut old = show();
    old["universes"] = json!({"0": {"name": "Main"}, "1": {"name": "Rig"}});
    for (n, universe) in [json!(0), json!("0"), json!(1)].into_iter().enumerate() {
        old["fixtures"][n]["universeId"] = universe;
    }
    old["fixtures"][2]["dmxAddress"] = json!("20");
    import(&web, &old).await;
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await, warm());
}

#[tokio::test]
async fn a_captured_look_names_the_channels_of_fixtures_also_dark_ones_and_the_rest_by_number() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &show()).await;
    recall(&web, "scene-warm").await;
    set(&web, 0, &[(100, 5)]).await;
    set(&web, 1, &[(7, 6)]).await;
    let scene = capture(&web, &json!({"name": "Here"})).await;
    let mut expected = json!({"fx-par-0": 200, "fx-par-1": 120, "fx-par-2": 40, "fx-dim-0": 99, "100": 5, "1/7": 6});
    for n in 0..8 {
        expected[format!("fx-head-{n}")] = json!(if n == 0 { 77 } else { 0 });
    }
    for n in 1..4 {
        expected[format!("fx-dim-{n}")] = json!(0);
    }
    assert_eq!(scene["channelValues"], expected);
    assert_eq!(scene["universes"], json!([0, 1]));

    let before = lit(&web).await;
    set(&web, 0, &[(2, 0), (11, 9), (101, 9)]).await;
    set(&web, 1, &[(21, 9)]).await;
    recall(&web, scene["id"].as_str().unwrap()).await;
    assert_eq!(lit(&web).await, before, "a recall is complete");
}

#[tokio::test]
async fn a_capture_of_some_fixtures_recalls_them_alone() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut grouped = show();
    grouped["groups"] = json!([{"id": "front", "name": "Front"}]);
    for n in [0, 2] {
        grouped["fixtures"][n]["groups"] = json!(["front"]);
    }
    import(&web, &grouped).await;
    recall(&web, "scene-warm").await;
    let scene = capture(&web, &json!({"name": "Front", "only": ["front", "fx-par"]})).await;
    assert_eq!(scene.get("universes"), None);
    assert_eq!(scene.get("only"), None, "how it was captured is nothing of the look");
    let keys: Vec<_> = scene["channelValues"].as_object().unwrap().keys().cloned().collect();
    let mut expected: Vec<_> =
        (0..8).map(|n| format!("fx-head-{n}")).chain((0..3).map(|n| format!("fx-par-{n}"))).collect();
    expected.sort();
    assert_eq!(keys, expected);
    set(&web, 0, &[(1, 1), (10, 10)]).await;
    recall(&web, scene["id"].as_str().unwrap()).await;
    assert_eq!(lit(&web).await, json!({"0": {"1": 200, "2": 120, "3": 40, "10": 10}, "1": {"20": 77}}));

    // The same into a look that is there: the others stay in it.
    let path = "/scenes/scene-warm/capture";
    set(&web, 0, &[(1, 201)]).await;
    let answer = web.post(path, json!({"only": ["fx-par"]}).to_string()).await;
    let mut expected = body_of(&web.get("/export").await, 200)["scenes"][0]["channelValues"].clone();
    let all = json!({"fx-par-0": 201, "fx-par-1": 120, "fx-par-2": 40, "fx-dim-0": 99, "fx-head-0": 77});
    assert_eq!((&body_of(&answer, 200)["channelValues"], &expected), (&all, &all));
    // however it named those channels
    expected["1"] = json!(5);
    expected["1/1"] = json!(6);
    let named =
        super::ask(&web, reqwest::Method::PATCH, "/scenes/scene-warm", &json!({"channelValues": expected})).await;
    body_of(&named, 200);
    let answer = web.post(path, json!({"only": ["fx-par"]}).to_string()).await;
    let mut expected = all;
    expected["1/1"] = json!(6);
    assert_eq!(body_of(&answer, 200)["channelValues"], expected);
    let answer = body_of(&web.post(path, "").await, 200);
    assert_eq!((&answer["channelValues"]["fx-dim-0"], &answer["universes"]), (&json!(10), &json!([0, 1])));
    set(&web, 0, &[(10, 11)]).await;
    let answer = body_of(&web.post(path, json!({"only": ["fx-dim"]}).to_string()).await, 200);
    assert_eq!(
        (&answer["channelValues"]["fx-dim-0"], &answer["universes"]),
        (&json!(11), &json!([0, 1])),
        "still whole"
    );

    for (body, at) in [
        (json!({"name": "x", "only": ["fx-par", "nobody"]}), "/only/1"),
        (json!({"name": "x", "only": []}), "/only"),
        (json!({"name": "x", "only": ["fx-par"], "channelValues": {"1": 1}}), "/only"),
    ] {
        let problem = web.post("/scenes", body.to_string()).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], at, "{problem}");
    }
    web.post(path, json!({"only": ["nobody"]}).to_string()).await.problem(422);
}

#[tokio::test]
async fn a_fixture_that_moves_keeps_its_looks() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &show()).await;
    let mut moved = show();
    moved["fixtures"][0]["dmxAddress"] = json!(50);
    moved["fixtures"][1]["universeId"] = json!("u-rig");
    import(&web, &moved).await;
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await, json!({"0": {"50": 200, "51": 120, "52": 40}, "1": {"10": 99, "20": 77}}));
}

#[tokio::test]
async fn a_patch_decides_what_the_master_touches_from_its_import_on_and_in_its_project_alone() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "true").start().await;
    let web = appliance.web();
    set(&web, 1, &[(20, 77), (22, 255)]).await;
    body_of(&web.post("/blackout", r#"{"on":true}"#).await, 200);
    assert_eq!(frame(&web, 1).await[19], 0, "an unpatched channel goes dark");
    import(&web, &show()).await;
    let other = body_of(&web.post("/projects", r#"{"name":"Other"}"#).await, 201);
    let other = other["projects"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    body_of(&web.post(&format!("/projects/{other}/select"), "").await, 200);
    set(&web, 1, &[(20, 33)]).await;
    assert_eq!(frame(&web, 1).await[19], 0, "nothing is patched here");
    assert_eq!(body_of(&web.get("/export").await, 200)["fixtures"], json!([]));
    body_of(&web.post("/projects/default/select", "").await, 200);
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await["1"], json!({"20": 77, "22": 255}));
}

#[tokio::test]
async fn a_fixture_has_the_channels_that_it_lists_shares_are_told_and_a_number_is_no_name_of_a_channel() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut odd = show();
    odd["fixtures"][0]["channels"][0]["id"] = json!("7");
    odd["fixtures"][1]["dmxAddress"] = json!(3);
    odd["fixtures"][1]["type"] = json!("rgb");
    import(&web, &odd).await;
    let now = patch(&web).await;
    assert_eq!(now["fixtures"][1]["footprint"], json!([3, 6]), "four are listed, and its type has three");
    let warned = &now["warnings"];
    assert_eq!((warned.as_array().unwrap().len(), &warned[0]["fixture"]), (1, &json!("fx-dim")), "{warned}");
    assert!(warned[0]["message"].as_str().unwrap().contains("fx-par"), "{warned}");
    set(&web, 0, &[(1, 50), (7, 60)]).await;
    let values = capture(&web, &json!({"name": "Here"})).await["channelValues"].clone();
    assert_eq!((&values["1"], &values["7"]), (&json!(50), &json!(60)));
}
