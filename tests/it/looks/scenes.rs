//! Scenes: captured, kept, recalled as light, edited and deleted.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    accepted, add_scene, arrived, ask, desk, fade, fades, frame, id_of, lit, names, patch, recall, recall_scene,
    refused, scenes, set,
};
use crate::harness::{Appliance, Web, WsWatcher, command, eventually, fresh_id, rgb_of};

/// Lights three universes, and darkens one of them again.
async fn light(web: &Web) -> Value {
    web.accepted(&command([10, 0, 30])).await;
    accepted(web, &patch(2, &[(7, 70), (512, 51)])).await;
    accepted(web, &set(4, 1, 1)).await;
    accepted(web, &set(4, 1, 0)).await;
    json!({"0": {"1": 10, "3": 30}, "2": {"7": 70, "512": 51}, "4": {}})
}

/// The least that a scene of `POST /scenes` needs.
fn named(name: &str) -> Value {
    json!({"name": name})
}

#[tokio::test]
async fn a_captured_scene_is_what_is_lit_before_master_and_blackout() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    light(&web).await;
    super::master(&web, 100).await;
    super::blackout(&web, true).await;
    let seq = web.seq().await;
    let body = json!({"name": "Evening", "tags": ["act 1"], "favorite": true, "fadeMs": 5, "x": {"kept": [1.5, null]}});
    let scene = add_scene(&web, &body).await;
    let mut expected = body;
    expected["id"] = scene["id"].clone();
    expected["timestamp"] = scene["timestamp"].clone();
    expected["channelValues"] = json!({"1": 10, "3": 30, "2/7": 70, "2/512": 51});
    expected["universes"] = json!([0, 2, 4]);
    assert_eq!(scene, expected);
    assert!(scene["timestamp"].as_u64().is_some_and(|ms| ms > 0), "{scene}");
    assert_eq!(scenes(&web).await, std::slice::from_ref(&scene));
    assert_eq!(web.seq().await, seq, "to look at light is no change of it");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(scenes(&appliance.web()).await, [scene]);
}

#[tokio::test]
async fn a_capture_takes_where_a_fade_goes_and_not_where_it_is() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    accepted(&web, &patch(0, &[(1, 200), (9, 90)])).await;
    accepted(&web, &fade(0, &[(1, 0), (2, 250)], 3_600_000)).await;
    accepted(&web, &fade(3, &[(7, 70)], 3_600_000)).await;
    let goes = (json!({"2": 250, "9": 90, "3/7": 70}), json!([0, 3]));
    let kept = |scene: &Value| (scene["channelValues"].clone(), scene["universes"].clone());
    let scene = add_scene(&web, &named("Evening")).await;
    assert_eq!(kept(&scene), goes, "half-way light is nobody's look");
    // The same for a scene that is captured again.
    let other = add_scene(&web, &json!({"name": "Other", "channelValues": {"5": 5}, "fadeMs": 7})).await;
    let path = format!("/scenes/{}/capture", id_of(&other));
    let answer = web.send(web.request(Method::POST, &path)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let anew = answer.json();
    assert_eq!((kept(&anew), &anew["name"], &anew["fadeMs"]), (goes, &json!("Other"), &json!(7)));
    assert_eq!(fades(&web).await.len(), 2, "to look at light stops nothing");
    web.send(web.request(Method::POST, "/scenes/nobody/capture")).await.problem(404);
}

#[tokio::test]
async fn a_captured_scene_gives_back_the_exact_frame() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let levels = light(&web).await;
    let captured = add_scene(&web, &named("Evening")).await;
    let frames = [frame(&web, 0).await, frame(&web, 2).await, frame(&web, 4).await];
    let tablet = WsWatcher::start(appliance.http).await;
    let change = async || {
        web.accepted(&command([200, 201, 202])).await;
        accepted(&web, &patch(2, &[(7, 1), (8, 88)])).await;
        accepted(&web, &patch(4, &[(1, 41), (512, 42)])).await;
    };
    let back = async |door: &str| {
        assert_eq!(lit(&web).await, levels, "{door}: what was lit meanwhile is dark");
        assert_eq!([frame(&web, 0).await, frame(&web, 2).await, frame(&web, 4).await], frames, "{door}");
        assert_eq!(rgb_of(&web.state().await), [10, 0, 30], "{door}");
    };
    change().await;
    let seq = web.seq().await;
    let desk = recall_scene(&web, &captured, "").await;
    assert_eq!((&desk["scene"], web.seq().await), (&captured["id"], seq + 1), "one recall is one change");
    back("POST /scenes/{id}/recall").await;
    tablet.wait_seq(seq + 1).await;
    let picture = tablet.picture();
    assert_eq!((picture.lamp(), picture.universes[&2].to_vec(), picture.universes[&4]), {
        ([10, 0, 30], frames[1].clone(), [0; 512])
    });
    change().await;
    accepted(&web, &recall("Evening")).await;
    back("scene.recall by name").await;
    change().await;
    accepted(&web, &recall(id_of(&captured))).await;
    back("scene.recall by id").await;
    change().await;
    recall_scene(&web, &captured, r#"{"fadeMs":1000}"#).await;
    let between = |state: &Value| state["r"].as_u64().is_some_and(|r| r > 10 && r < 200);
    tablet.wait("it on its way", |p| p.states.iter().any(|(state, _)| between(state)).then_some(())).await;
    arrived(&web).await;
    back("with a fade").await;
}

#[tokio::test]
async fn a_recall_takes_the_time_it_names_or_else_the_scenes_own() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let slow = json!({"name": "Slow", "channelValues": {"1": 255, "2/1": 255}, "fadeMs": 60_000});
    let slow = add_scene(&web, &slow).await;
    let quick = add_scene(&web, &json!({"name": "Quick", "channelValues": {"1": 9, "2/1": 9}, "fadeMs": 0})).await;
    let running = async || {
        let fades = fades(&web).await;
        fades.iter().map(|fade| fade["durationMs"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let with = |name: &str, ms: u64| {
        let mut command = recall(name);
        command["fadeMs"] = json!(ms);
        command
    };
    let desk = recall_scene(&web, &slow, "").await;
    assert_eq!((running().await, desk["fades"][0]["durationMs"].as_u64()), (vec![60_000], Some(60_000)), "its own");
    assert_eq!((&desk["fades"][0]["universes"], &desk["fades"][0]["channels"]), (&json!([0, 2]), &json!(2)));
    recall_scene(&web, &quick, "{}").await;
    assert_eq!(
        (running().await, lit(&web).await),
        (vec![], json!({"0": {"1": 9}, "2": {"1": 9}})),
        "its own, which is none"
    );
    accepted(&web, &recall("Slow")).await;
    assert_eq!(running().await, [60_000]);
    recall_scene(&web, &slow, r#"{"fadeMs":null}"#).await;
    assert_eq!(running().await, [60_000]);
    accepted(&web, &patch(2, &[(1, 99)])).await;
    recall_scene(&web, &quick, r#"{"fadeMs":50000}"#).await;
    assert_eq!(running().await, [50_000]);
    accepted(&web, &with("Quick", 40_000)).await;
    assert_eq!(running().await, [40_000]);
    accepted(&web, &with("Slow", 0)).await;
    assert_eq!((running().await, lit(&web).await), (vec![], json!({"0": {"1": 255}, "2": {"1": 255}})));
}

#[tokio::test]
async fn what_is_saved_by_a_command_is_recalled_by_one_and_moves_nothing_else() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let save = |snapshot: Value| json!({"type": "scene.save", "id": fresh_id(), "name": "Look", "snapshot": snapshot});
    accepted(&web, &save(json!({"1": 11, "2/7": 27, "head.pan": 5}))).await;
    assert_eq!(web.seq().await, 1, "an accepted command is one change");
    let first = scenes(&web).await.remove(0);
    assert_eq!(first["channelValues"], json!({"1": 11, "2/7": 27, "head.pan": 5}));
    accepted(&web, &patch(2, &[(7, 1), (8, 8)])).await;
    accepted(&web, &set(0, 2, 2)).await;
    accepted(&web, &recall("Look")).await;
    assert_eq!(lit(&web).await, json!({"0": {"1": 11, "2": 2}, "2": {"7": 27, "8": 8}}), "only its own channels");
    assert_eq!(web.seq().await, 4);

    let again = save(json!({"1": 0, "3": 33}));
    accepted(&web, &again).await;
    let second = scenes(&web).await;
    assert_eq!((second.len(), &second[0]["id"]), (1, &first["id"]), "the same name is the same scene");
    accepted(&web, &recall("Look")).await;
    assert_eq!(lit(&web).await, json!({"0": {"2": 2, "3": 33}, "2": {"7": 27, "8": 8}}));
    let ack = super::ack(&web, &again).await;
    assert_eq!((&ack["duplicate"], web.seq().await), (&json!(true), 6), "{ack}");

    let captured = add_scene(&web, &named("Whole")).await;
    accepted(&web, &json!({"type": "scene.save", "id": "w", "name": "Whole", "snapshot": {"9": 9}})).await;
    accepted(&web, &recall("Whole")).await;
    assert_eq!(lit(&web).await, json!({"0": {"2": 2, "3": 33, "9": 9}, "2": {"7": 27, "8": 8}}), "{captured}");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(names(&appliance.web()).await, ["Look", "Whole"]);
}

#[tokio::test]
async fn a_predecessors_scenes_leave_what_they_do_not_name_as_it_is() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let list = json!([
        {"id": "1", "name": "Warm", "channelValues": {"1": 255, "2": 0, "fixture-1": 7}, "timestamp": 1, "favorite": null},
        {"id": "2", "name": "Far", "channelValues": {"2/512": 9, "64/1": 9, "0": 9, "513": 9, "2/x": 9}, "timestamp": 1},
    ]);
    assert_eq!(ask(&web, Method::PUT, "/scenes", &list).await.json(), list);
    web.accepted(&command([1, 2, 3])).await;
    accepted(&web, &set(0, 9, 9)).await;
    accepted(&web, &recall("Warm")).await;
    assert_eq!(lit(&web).await, json!({"0": {"1": 255, "3": 3, "9": 9}}));
    accepted(&web, &recall("Far")).await;
    assert_eq!(lit(&web).await, json!({"0": {"1": 255, "3": 3, "9": 9}, "2": {"512": 9}}));
    assert_eq!(json!(scenes(&web).await), list, "as they were, unknown keys with them");
}

#[tokio::test]
async fn fields_of_a_scene_are_changed_one_by_one() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for name in ["A", "B", "C"] {
        add_scene(&web, &json!({"id": name, "name": name, "channelValues": {"1": 1}, "timestamp": 1, "more": [1]}))
            .await;
    }
    let seq = web.seq().await;
    let change = async |id: &str, body: Value| {
        let answer = ask(&web, Method::PATCH, &format!("/scenes/{id}"), &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let body =
        json!({"name": "Á", "tags": ["x", "y"], "favorite": true, "fadeMs": 1500, "description": "d", "own": {"a": 1}});
    let changed = change("A", body.clone()).await;
    let mut expected = body;
    for (name, value) in
        [("id", json!("A")), ("channelValues", json!({"1": 1})), ("timestamp", json!(1)), ("more", json!([1]))]
    {
        expected[name] = value;
    }
    assert_eq!(changed, expected);
    assert_eq!(scenes(&web).await[0], expected);
    let less =
        change("A", json!({"tags": null, "favorite": null, "fadeMs": null, "description": null, "own": null})).await;
    assert_eq!(less, json!({"id": "A", "name": "Á", "channelValues": {"1": 1}, "timestamp": 1, "more": [1]}));
    assert_eq!(change("A", json!({})).await, less);

    change("C", json!({"position": 0})).await;
    assert_eq!(names(&web).await, ["C", "Á", "B"]);
    change("C", json!({"position": 1, "name": "c"})).await;
    assert_eq!(names(&web).await, ["Á", "c", "B"]);
    change("A", json!({"position": 99})).await;
    assert_eq!(names(&web).await, ["c", "B", "Á"]);
    assert!(scenes(&web).await.iter().all(|scene| scene.get("position").is_none()), "a place is no field");
    assert_eq!(web.seq().await, seq, "no light has changed");
    change("B", json!({"channelValues": {"2": 2}})).await;
    let before = scenes(&web).await;
    let appliance = appliance.restart().await;
    assert_eq!(scenes(&appliance.web()).await, before);
    accepted(&appliance.web(), &recall("B")).await;
    assert_eq!(lit(&appliance.web()).await, json!({"0": {"2": 2}}));
}

#[tokio::test]
async fn a_deleted_scene_is_gone_and_its_light_stays() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let [a, b] = [named("A"), named("B")];
    accepted(&web, &set(0, 1, 9)).await;
    let (a, b) = (add_scene(&web, &a).await, add_scene(&web, &b).await);
    recall_scene(&web, &a, "").await;
    let answer = web.send(web.request(Method::DELETE, &format!("/scenes/{}", id_of(&a)))).await;
    assert_eq!((answer.status, answer.json()), (200, json!([b])));
    assert_eq!((lit(&web).await, names(&web).await), (json!({"0": {"1": 9}}), vec!["B".to_owned()]));
    web.send(web.request(Method::DELETE, &format!("/scenes/{}", id_of(&a)))).await.problem(404);
    web.post(&format!("/scenes/{}/recall", id_of(&a)), "").await.problem(404);
    assert_eq!(refused(&web, &recall("A"), "VALIDATION_FAILED").await, ["/name"]);
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(names(&appliance.web()).await, ["B"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_scene_is_told_and_nothing_has_changed() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add_scene(&web, &json!({"id": "A", "name": "A", "channelValues": {"1": 1}, "timestamp": 1})).await;
    let before = scenes(&web).await;
    let values = json!({"1": 1});
    for (method, path, body, wrong) in [
        (Method::POST, "/scenes", json!({}), "/name"),
        (Method::POST, "/scenes", json!({"name": ""}), "/name"),
        (Method::POST, "/scenes", json!({"name": 7}), "/name"),
        (Method::POST, "/scenes", json!({"name": "x", "id": "A", "channelValues": values}), "/id"),
        (Method::POST, "/scenes", json!({"name": "x", "id": ""}), "/id"),
        (Method::POST, "/scenes", json!({"name": "x", "channelValues": {"1": 256}}), "/channelValues/1"),
        (Method::POST, "/scenes", json!({"name": "x", "channelValues": [1]}), "/channelValues"),
        (Method::POST, "/scenes", json!({"name": "x", "tags": "x"}), "/tags"),
        (Method::POST, "/scenes", json!({"name": "x", "universes": [64], "channelValues": values}), "/universes/0"),
        (Method::POST, "/scenes", json!([]), ""),
        (Method::PATCH, "/scenes/A", json!({"id": "B"}), "/id"),
        (Method::PATCH, "/scenes/A", json!({"name": null}), "/name"),
        (Method::PATCH, "/scenes/A", json!({"channelValues": null}), "/channelValues"),
        (Method::PATCH, "/scenes/A", json!({"channelValues": {"2/7": "1"}}), "/channelValues/2~17"),
        (Method::PATCH, "/scenes/A", json!({"favorite": "yes"}), "/favorite"),
        (Method::PATCH, "/scenes/A", json!({"fadeMs": -1}), "/fadeMs"),
        (Method::PATCH, "/scenes/A", json!({"position": -1}), "/position"),
        (Method::PATCH, "/scenes/A", json!({"position": "0"}), "/position"),
        (Method::POST, "/scenes/A/recall", json!({"fadeMs": -1}), "/fadeMs"),
        (Method::POST, "/scenes/A/recall", json!({"fadeMs": "1"}), "/fadeMs"),
        (Method::POST, "/scenes/A/recall", json!({"fadeMs": 86_400_001}), "/fadeMs"),
        (Method::POST, "/scenes/A/recall", json!({"over": 1}), "/over"),
    ] {
        let problem = ask(&web, method.clone(), path, &body).await.problem(422);
        let paths: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
        assert_eq!(paths, [wrong], "{method} {path} {body}: {problem}");
    }
    for (method, path) in [(Method::POST, "/scenes"), (Method::PATCH, "/scenes/A"), (Method::POST, "/scenes/A/recall")]
    {
        let broken = web.request(method.clone(), path).header("content-type", "application/json").body("{");
        web.send(broken).await.problem(400);
        // A scene may have a level for each channel of all universes, and a recall of it may have a time.
        let large = json!({"name": "x".repeat(64 * 1024)});
        let status = if path.ends_with("recall") { 413 } else { 422 };
        ask(&web, method, path, &large).await.problem(status);
    }
    for (method, path) in
        [(Method::PATCH, "/scenes/B"), (Method::POST, "/scenes/B/recall"), (Method::DELETE, "/scenes/B")]
    {
        ask(&web, method, path, &json!({})).await.problem(404);
    }
    assert_eq!((scenes(&web).await, web.seq().await, lit(&web).await), (before, 0, json!({"0": {}})));
    assert_eq!(desk(&web).await["scene"], Value::Null);
}

#[tokio::test]
async fn two_looks_of_one_name_and_blank_ones_are_not_made_one_by_one_but_lists_may_hold_them() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let look = |id: &str, name: &str, level: u8| json!({"id": id, "name": name, "channelValues": {"1": level}, "timestamp": 1});
    let list = json!([look("a", "Red", 1), look("b", "Red", 2), look("c", " ", 3), look("d", "Blue", 4)]);
    assert_eq!(ask(&web, Method::PUT, "/scenes", &list).await.json(), list, "a list is kept as it is");
    for (method, path, name) in [
        (Method::POST, "/scenes", "Red"),
        (Method::POST, "/scenes", " Blue "),
        (Method::POST, "/scenes", "\u{a0}\t"),
        (Method::PATCH, "/scenes/d", "Red"),
        (Method::PATCH, "/scenes/d", "  "),
    ] {
        let problem = ask(&web, method.clone(), path, &json!({"name": name, "fadeMs": 5})).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], "/name", "{method} {name:?}: {problem}");
    }
    assert_eq!(Value::from(scenes(&web).await), list);
    // Existing ones may be edited, and keep their names.
    for (path, body) in [
        ("/scenes/a", json!({"favorite": true})),
        ("/scenes/b", json!({"name": "Red", "fadeMs": 0})),
        ("/scenes/d", json!({"name": "Blue "})),
        ("/scenes/c", json!({"favorite": true})),
    ] {
        assert_eq!(ask(&web, Method::PATCH, path, &body).await.status, 200, "{path} {body}");
    }
    accepted(&web, &recall("Red")).await;
    assert_eq!(lit(&web).await, json!({"0": {"1": 1}}), "a name recalls the first");
    let save = json!({"type": "scene.save", "id": fresh_id(), "name": "Red", "snapshot": {"1": 9}});
    accepted(&web, &save).await;
    assert_eq!(scenes(&web).await.len(), 4, "a command saves over the first");
}

#[tokio::test]
async fn a_recall_during_a_fade_starts_where_the_light_is_and_has_the_last_word() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let values = json!({"1": 0, "2/1": 200});
    let scene = add_scene(&web, &json!({"name": "S", "channelValues": values})).await;
    accepted(&web, &fade(0, &[(1, 255), (2, 255)], 10_000)).await;
    let half = async |least: u8| {
        tablet.wait("the fade to go on", |picture| (picture.lamp()[0] >= least).then_some(())).await;
    };
    half(5).await;
    recall_scene(&web, &scene, "").await;
    let levels = lit(&web).await;
    assert_eq!((&levels["0"]["1"], &levels["2"]["1"]), (&Value::Null, &json!(200)));
    let left = fades(&web).await;
    assert_eq!((left.len(), &left[0]["channels"]), (1, &json!(1)), "channel 2 is not the scene's: {left:?}");

    let seq = super::rev(&web).await + 1;
    accepted(&web, &fade(0, &[(1, 255)], 1000)).await;
    half(100).await;
    recall_scene(&web, &scene, r#"{"fadeMs":500}"#).await;
    eventually("its end", async || (super::level(&web, 0, 1).await == 0).then_some(())).await;
    web.post("/fades/stop", "").await;
    let end = super::rev(&web).await;
    tablet.wait("the end", |picture| (*picture.revs.last()? >= end).then_some(())).await;
    let points = super::fades::course(&tablet, 0, 1, seq);
    super::fades::assert_steady(&points, 510.0);
    assert!(points.iter().any(|point| point.level >= 100), "{points:?}");
}
