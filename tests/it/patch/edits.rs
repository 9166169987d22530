//! Edits of the patch: new fixtures, moves, groups, free places, and what is in the way.

use reqwest::Method;
use serde_json::{Value, json};

use super::{add, ask, body_of, capture, each, frame, import, lit, patch, recall, set, show};
use crate::harness::{Appliance, StateWatcher, Web, WsWatcher, eventually, rgb_of};

fn pars(count: u8, address: u16) -> Value {
    json!({"type": "par-7", "universe": 0, "address": address, "count": count, "name": "PAR"})
}

/// A refusal's detail.
fn detail(problem: &Value) -> String {
    problem["detail"].as_str().unwrap().to_owned()
}

async fn conflict(web: &Web, method: Method, path: &str, body: &Value, named: [&str; 2]) {
    let detail = detail(&ask(web, method, path, body).await.problem(409));
    assert!(named.iter().all(|name| detail.contains(name)), "{named:?} in {detail}");
}

#[tokio::test]
async fn twelve_pars_are_patched_at_once_and_stand_in_the_show_as_the_predecessor_writes_them() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    assert_eq!(patch(&web).await, json!({"universes": [], "fixtures": [], "groups": []}));
    let mut order = pars(12, 1);
    order["groups"] = json!(["front"]);
    let new = add(&web, &order).await;
    assert_eq!(new.len(), 12);
    assert_eq!((&new[0]["name"], &new[11]["name"]), (&json!("PAR 1"), &json!("PAR 12")));
    assert_eq!((&new[0]["footprint"], &new[11]["footprint"]), (&json!([1, 7]), &json!([78, 84])));
    let kinds = each(new[0]["channels"].as_array().unwrap(), "kind");
    assert_eq!(kinds, ["intensity", "red", "green", "blue", "white", "strobe", "macro"]);

    let now = patch(&web).await;
    assert_eq!(now["fixtures"], json!(new));
    assert_eq!(now["groups"], json!([{"id": "front", "name": "front"}]));
    assert_eq!(now["universes"], json!([{"id": "u-0", "name": "Universe 0", "number": 0}]));
    assert_eq!(now.get("warnings"), None);
    let stored = body_of(&web.get("/export").await, 200)["fixtures"][1].clone();
    let first = json!({"id": "par-2-0", "number": 1, "name": "Dimmer", "value": 0});
    assert_eq!(stored["channels"][0], first);
    let fields = ["id", "universeId", "dmxAddress", "channelCount", "type", "groups"];
    let stored: Vec<_> = fields.iter().map(|name| stored[name].clone()).collect();
    assert_eq!(json!(stored), json!(["par-2", "u-0", 8, 7, "par-7", ["front"]]));

    // Names and ids go on, and everything is there after a kill.
    let more = add(&web, &json!({"type": "par-7", "universe": 0, "address": 85, "count": 2, "name": "PAR"})).await;
    assert_eq!(each(&more, "id"), ["par-13", "par-14"]);
    let before = patch(&web).await;
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(patch(&appliance.web()).await, before);
}

#[tokio::test]
async fn what_is_in_the_way_is_named_and_nothing_is_patched_then() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add(&web, &pars(2, 1)).await;
    let before = patch(&web).await;
    let at = "/patch/fixtures";
    conflict(
        &web,
        Method::POST,
        at,
        &json!({"type": "rgb", "universe": 0, "address": 14, "name": "Wash"}),
        ["Wash", "PAR 2"],
    )
    .await;
    conflict(
        &web,
        Method::POST,
        at,
        &json!({"type": "rgb", "universe": 0, "address": 506, "count": 3, "name": "W"}),
        ["W 3", "512"],
    )
    .await;
    conflict(&web, Method::PATCH, "/patch/fixtures/par-2", &json!({"address": 5}), ["PAR 2", "PAR 1"]).await;
    for (body, path) in [
        (json!({"type": "nothing", "universe": 0, "address": 1}), "/type"),
        (json!({"type": "rgb", "mode": "nothing", "universe": 0, "address": 1}), "/mode"),
        (json!({"type": "rgb", "universe": 64, "address": 1}), "/universe"),
        (json!({"type": "rgb", "universe": 0, "address": 513}), "/address"),
        (json!({"type": "rgb", "universe": 0, "address": 100, "count": 129}), "/count"),
        (json!({"type": "rgb", "universe": 0, "address": 100, "groups": ["par-1"]}), "/groups/0"),
        (json!({"type": "rgb", "universe": 0, "address": 100, "name": " "}), "/name"),
        (json!({"type": "mqtt-rgb", "universe": 0, "address": 100, "count": 2, "topic": "x"}), "/topic"),
    ] {
        let problem = web.post(at, body.to_string()).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], path, "{problem}");
    }
    assert_eq!(patch(&web).await, before);

    // The same at the same place is meant: two lamps on one address.
    let twin = add(&web, &json!({"type": "par-7", "universe": 0, "address": 8, "name": "Twin"})).await;
    assert_eq!(twin[0]["footprint"], json!([8, 14]));
    assert_eq!(patch(&web).await.get("warnings"), None);
}

#[tokio::test]
async fn a_fixture_is_moved_renamed_made_another_and_taken_out_and_keeps_its_looks() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut own = show();
    own["fixtures"][0]["channels"][0]["id"] = json!("red");
    own["scenes"][0]["channelValues"] =
        json!({"red": 200, "fx-par-1": 120, "fx-par-2": 40, "fx-dim-0": 99, "fx-head-0": 77});
    import(&web, &own).await;
    recall(&web, "scene-warm").await;
    let change = async |body: Value| body_of(&ask(&web, Method::PATCH, "/patch/fixtures/fx-par", &body).await, 200);
    let moved = change(json!({"universe": 3, "address": 100, "name": "Left"})).await;
    assert_eq!(
        (&moved["footprint"], &moved["universe"], &moved["name"]),
        (&json!([100, 102]), &json!(3), &json!("Left"))
    );
    let at_its_place = json!({"0": {"10": 99}, "1": {"20": 77}, "3": {"100": 200, "101": 120, "102": 40}});
    assert_eq!(lit(&web).await, at_its_place, "its light goes with it, and nothing stays where nobody is");
    set(&web, 3, &[(100, 0), (101, 0), (102, 0)]).await;
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await, json!({"0": {"10": 99}, "1": {"20": 77}, "3": {"100": 200, "101": 120, "102": 40}}));

    let typed = change(json!({"type": "rgbw"})).await;
    assert_eq!(each(typed["channels"].as_array().unwrap(), "id"), ["red", "fx-par-1", "fx-par-2", "fx-par-3"]);
    assert_eq!(typed["footprint"], json!([100, 103]));
    let wider = change(json!({"mode": "8 bit with dimmer"})).await;
    assert_eq!((&wider["mode"], &wider["footprint"]), (&json!("8 bit with dimmer"), &json!([100, 104])));
    let other = change(json!({"type": "rgb"})).await;
    assert_eq!((other.get("mode"), &other["footprint"]), (None, &json!([100, 102])), "the mode was of the other type");
    let grouped = change(json!({"groups": ["a", "b"]})).await;
    assert_eq!(grouped["groups"], json!(["a", "b"]));
    assert_eq!(change(json!({"groups": null})).await.get("groups"), None);

    let answer = ask(&web, Method::DELETE, "/patch/fixtures/fx-par", &Value::Null).await;
    assert_eq!(each(body_of(&answer, 200)["fixtures"].as_array().unwrap(), "id"), ["fx-dim", "fx-head"]);
    for (method, body) in
        [(Method::DELETE, Value::Null), (Method::GET, Value::Null), (Method::PATCH, json!({"name": "x"}))]
    {
        ask(&web, method, "/patch/fixtures/fx-par", &body).await.problem(404);
    }
    ask(&web, Method::POST, "/patch/fixtures/fx-par/flash", &Value::Null).await.problem(404);
}

#[tokio::test]
async fn of_two_editors_of_the_patch_the_second_is_told_and_a_look_is_no_edit_of_it() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let read = web.get("/patch").await.header("etag").to_owned();
    capture(&web, &json!({"name": "Dark"})).await;
    assert_eq!(web.get("/patch").await.header("etag"), read);
    let unchanged = web.request(Method::GET, "/patch").header("if-none-match", &read);
    assert_eq!(web.send(unchanged).await.status, 304);
    let expecting = |method, path: &str, body: &Value, tag: &str| {
        let request = web.request(method, path).header("content-type", "application/json").header("if-match", tag);
        request.body(body.to_string())
    };
    let first = web.send(expecting(Method::POST, "/patch/fixtures", &pars(1, 1), &read)).await;
    assert_eq!(first.status, 201);
    for (method, path, body) in [
        (Method::POST, "/patch/fixtures", pars(1, 100)),
        (Method::PATCH, "/patch/fixtures/par", json!({"name": "x"})),
        (Method::DELETE, "/patch/fixtures/par", Value::Null),
        (Method::PUT, "/patch/groups", json!([])),
    ] {
        let answer = web.send(expecting(method, path, &body, &read)).await;
        answer.problem(412);
        assert_eq!(answer.header("etag"), first.header("etag"));
    }
    let now = web.get("/patch").await.header("etag").to_owned();
    assert_eq!(now, first.header("etag"));
    assert_eq!(
        web.send(expecting(Method::PATCH, "/patch/fixtures/par", &json!({"name": "x"}), &now)).await.status,
        200
    );
}

#[tokio::test]
async fn groups_are_replaced_with_who_is_in_them() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add(&web, &pars(3, 1)).await;
    let put = async |body: Value| ask(&web, Method::PUT, "/patch/groups", &body).await;
    let all = body_of(
        &put(json!([{"name": "Front of house", "fixtures": ["par-1", "par-3"]}, {"id": "b", "name": "B"}])).await,
        200,
    );
    assert_eq!(all, json!([{"id": "front-of-house", "name": "Front of house"}, {"id": "b", "name": "B"}]));
    let groups = each(patch(&web).await["fixtures"].as_array().unwrap(), "groups");
    assert_eq!(json!(groups), json!([["front-of-house"], null, ["front-of-house"]]));
    body_of(&put(json!([{"id": "b", "name": "B", "fixtures": ["par-2"]}])).await, 200);
    let groups = each(patch(&web).await["fixtures"].as_array().unwrap(), "groups");
    assert_eq!(json!(groups), json!([null, ["b"], null]));
    for body in [
        json!([{"id": "par-1", "name": "x"}]),
        json!([{"id": "a", "name": "x"}, {"id": "a", "name": "y"}]),
        json!([{"id": "a", "name": "x", "fixtures": ["nobody"]}]),
        json!([{"id": "a"}]),
        json!({"groups": []}),
    ] {
        put(body).await.problem(422);
    }
}

#[tokio::test]
async fn the_next_free_place_is_the_first_that_is_wide_enough() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let free = async |query: &str| {
        let place = body_of(&web.get(&format!("/patch/free?{query}")).await, 200);
        (place["universe"].as_u64().unwrap(), place["address"].as_u64().unwrap())
    };
    assert_eq!(free("type=par-7").await, (0, 1));
    add(&web, &pars(2, 4)).await;
    assert_eq!(free("type=rgb").await, (0, 1));
    assert_eq!(free("type=rgbw").await, (0, 18));
    assert_eq!(free("type=par-7&count=70").await, (0, 18));
    assert_eq!(free("type=par-7&count=71").await, (1, 1));
    assert_eq!(free("type=rgb&count=1&universe=5").await, (5, 1));
    assert_eq!(free("type=rgb&mode=8%20bit%20with%20dimmer").await, (0, 18));
    web.get("/patch/free?type=par-7&count=128").await.problem(409);
    for query in ["", "type=nothing", "type=rgb&mode=x", "type=rgb&count=0", "type=rgb&universe=64", "type=rgb&count=x"]
    {
        web.get(&format!("/patch/free?{query}")).await.problem(422);
    }
}

#[tokio::test]
async fn a_new_head_looks_to_the_middle_and_a_look_from_before_it_turns_it_to_no_end_stop() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    set(&web, 0, &[(1, 10), (200, 20)]).await;
    let before = capture(&web, &json!({"name": "Before"})).await;
    let head = add(&web, &json!({"type": "moving-head", "universe": 0, "address": 101})).await;
    let channels = head[0]["channels"].as_array().unwrap();
    assert_eq!(head[0]["id"], "moving-head-1");
    assert_eq!(json!([&channels[0]["kind"], &channels[1]["kind"], &channels[1]["fine"]]), json!(["pan", "pan", true]));
    let at_rest = json!({"1": 10, "200": 20, "101": 128, "103": 128, "108": 255});
    assert_eq!(lit(&web).await["0"], at_rest);
    let live = body_of(&web.get("/patch/fixtures/moving-head-1").await, 200);
    assert_eq!((live["values"]["shutter"].as_f64(), live["values"]["intensity"].as_f64()), (Some(1.0), Some(0.0)));
    assert!((live["values"]["pan"].as_f64().unwrap() - 0.5).abs() < 0.001, "{live}");
    assert_eq!(live["color"], "#000000");

    set(&web, 0, &[(1, 0), (101, 7), (106, 200), (109, 9), (300, 30)]).await;
    recall(&web, before["id"].as_str().unwrap()).await;
    assert_eq!(lit(&web).await["0"], at_rest, "its light is dark, and it stands at rest");
}

#[tokio::test]
async fn a_flash_shows_a_fixture_and_then_everything_is_as_before() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add(&web, &pars(2, 1)).await;
    set(&web, 0, &[(1, 10), (2, 20)]).await;
    let (levels, before) = (lit(&web).await, frame(&web, 0).await);
    let until = body_of(&web.post("/patch/fixtures/par-2/flash", "").await, 200)["until"].as_u64().unwrap();
    assert!(until > 1_700_000_000_000);
    let flashing = frame(&web, 0).await;
    assert!(flashing[7] == 255 && flashing[8..12].contains(&255), "bright and white: {flashing:?}");
    assert_eq!(flashing[..7], before[..7], "the other one is as it was");
    assert_eq!(lit(&web).await, levels, "a flash is no level");
    eventually("the end of the flash", async || (frame(&web, 0).await == before).then_some(())).await;
}

#[tokio::test]
async fn a_flash_at_the_lamp_is_told_and_taken_back_also_when_the_patch_changes_meanwhile() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add(&web, &pars(1, 1)).await;
    set(&web, 0, &[(1, 10), (2, 20)]).await;
    let before = rgb_of(&web.state().await);
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let agreed = async |wanted: &dyn Fn([u8; 3]) -> bool| {
        eventually("the lamp's retained state and /rgb", async || {
            let (told, asked) = (watcher.last().rgb, rgb_of(&web.state().await));
            (told == asked && wanted(told)).then_some(())
        })
        .await;
    };
    for edited in [false, true] {
        body_of(&web.post("/patch/fixtures/par/flash", "").await, 200);
        agreed(&|rgb| rgb != before).await;
        if edited {
            let moved = ask(&web, Method::PATCH, "/patch/fixtures/par", &json!({"address": 100})).await;
            body_of(&moved, 200);
        }
        // one that has moved has taken its light along
        agreed(&|rgb| rgb == if edited { [0; 3] } else { before }).await;
    }
}

#[tokio::test]
async fn the_id_of_a_fixture_that_a_look_names_is_not_given_to_another() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let spot = json!({"type": "dimmer", "universe": 0, "address": 1, "name": "Spot"});
    assert_eq!(add(&web, &spot).await[0]["id"], "spot");
    set(&web, 0, &[(1, 200)]).await;
    let look = capture(&web, &json!({"name": "Lit", "only": ["spot"]})).await;
    assert_eq!(ask(&web, Method::DELETE, "/patch/fixtures/spot", &Value::Null).await.status, 200);
    let head = add(&web, &json!({"type": "moving-head", "universe": 1, "address": 1, "name": "Spot"})).await;
    assert_ne!(head[0]["id"], "spot");
    let before = lit(&web).await;
    let path = format!("/scenes/{}/recall", look["id"].as_str().unwrap());
    web.post(&path, "").await.problem(422);
    assert_eq!(lit(&web).await, before, "its fixture is gone, and no other has its levels");
    // once no look names it, it is free
    assert_eq!(ask(&web, Method::PUT, "/scenes", &json!([])).await.status, 200);
    assert_eq!(add(&web, &json!({"type": "rgb", "universe": 2, "address": 1, "name": "Spot"})).await[0]["id"], "spot");
}

#[tokio::test]
async fn an_import_of_an_app_that_does_not_know_types_and_groups_keeps_them() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    add(&web, &json!({"type": "mqtt-rgb", "universe": 1, "address": 1, "name": "Lamp", "groups": ["lamps"]})).await;
    let mode = "8 bit with dimmer";
    add(&web, &json!({"type": "rgb", "mode": mode, "universe": 0, "address": 1, "name": "Wash", "groups": ["lamps"]}))
        .await;
    let named = json!([{"id": "lamps", "name": "All lamps"}]);
    body_of(&ask(&web, Method::PUT, "/patch/groups", &named).await, 200);
    let before = patch(&web).await;
    assert_eq!((&before["fixtures"][0]["topic"], &before["fixtures"][1]["mode"]), (&json!("lamp"), &json!(mode)));
    let mut old = body_of(&web.get("/export").await, 200);
    old.as_object_mut().unwrap().remove("groups");
    for fixture in old["fixtures"].as_array_mut().unwrap() {
        for ours in ["type", "mode", "groups", "topic"] {
            fixture.as_object_mut().unwrap().remove(ours);
        }
    }
    old["fixtures"][1]["dmxAddress"] = json!(40);
    import(&web, &old).await;
    let after = patch(&web).await;
    let mut expected = before;
    expected["fixtures"][1]["dmxAddress"] = json!(40);
    expected["fixtures"][1]["footprint"] = json!([40, 43]);
    assert_eq!(after, expected);

    // another type comes without the mode of the earlier one
    old["fixtures"][1]["type"] = json!("rgbw");
    import(&web, &old).await;
    let wash = patch(&web).await["fixtures"][1].clone();
    assert_eq!((wash.get("mode"), &wash["footprint"]), (None, &json!([40, 43])));
}

#[tokio::test]
async fn what_cannot_be_placed_is_kept_and_named() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut odd = show();
    odd["fixtures"][0]["universeId"] = json!("u-gone");
    odd["fixtures"][1]["dmxAddress"] = json!(511);
    odd["fixtures"][2]["type"] = json!("nobodys-head");
    odd["fixtures"].as_array_mut().unwrap().push(json!({"name": "without id", "channels": 7}));
    odd["fixtures"].as_array_mut().unwrap().push(json!(5));
    let stored = import(&web, &odd).await;
    assert_eq!(stored["fixtures"], odd["fixtures"]);
    let now = patch(&web).await;
    let warned = each(now["warnings"].as_array().unwrap(), "fixture");
    assert_eq!(json!(warned), json!(["fx-par", "fx-dim", "fx-head", null, null]));
    let fixtures = now["fixtures"].as_array().unwrap();
    assert_eq!(json!(each(fixtures, "footprint")), json!([null, null, [20, 27], null]));
    recall(&web, "scene-warm").await;
    assert_eq!(lit(&web).await, json!({"0": {}, "1": {"20": 77}}));
    let mended = ask(&web, Method::PATCH, "/patch/fixtures/fx-par", &json!({"universe": 0})).await;
    assert_eq!(body_of(&mended, 200)["footprint"], json!([1, 3]));
}

#[tokio::test]
async fn pages_hear_of_another_patch_and_of_no_other_edit() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let told = |seen: &crate::harness::Picture| {
        let patches = seen.others.iter().filter(|message| message["type"] == "patch");
        patches.map(|message| message["etag"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    capture(&web, &json!({"name": "Dark"})).await;
    add(&web, &pars(1, 1)).await;
    let tag = web.get("/patch").await.header("etag").to_owned();
    let all = tablet.wait("the new patch", |seen| Some(told(seen)).filter(|told| told.last() == Some(&tag))).await;
    assert_eq!(all.len(), 1, "a look is no patch: {all:?}");
}

#[tokio::test]
async fn one_fixture_more_than_there_may_be_is_refused_and_none_of_an_order_is_patched() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let fixture =
        |n: usize| json!({"id": format!("f{n}"), "universeId": n / 512, "dmxAddress": n % 512 + 1, "channelCount": 1});
    let universes: Value = (0..4).map(|n| json!({"id": n, "name": n.to_string(), "number": n})).collect();
    let fixtures: Vec<_> = (0..1_999).map(fixture).collect();
    import(&web, &json!({"version": "1.0", "universes": universes, "fixtures": fixtures, "scenes": []})).await;
    let order = |count: u8| json!({"type": "dimmer", "universe": 9, "address": 1, "count": count, "name": "More"});
    let refused = web.post("/patch/fixtures", order(2).to_string()).await.problem(409);
    assert!(detail(&refused).contains("2000 fixtures"), "{refused}");
    assert_eq!(patch(&web).await["fixtures"].as_array().unwrap().len(), 1_999);
    assert_eq!(add(&web, &order(1)).await.len(), 1);
}
