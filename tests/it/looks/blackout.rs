//! Blackout: by every door, over all light, lifted without a trace.

use std::time::Duration;

use serde_json::{Value, json};

use super::{accepted, add_scene, blackout, desk, frame, lit, patch, recall_scene, retained, rev, set};
use crate::harness::{
    Appliance, BLACKOUT, CMD, Connect, Home, LATE, Link, Picture, REJECTED, StateWatcher, WsWatcher, assert_gap_free,
    command, eventually, rgb_of,
};

/// Requests it by this door, and waits until it is done.
async fn order(appliance: &Appliance, tablet: &WsWatcher, door: &str, on: bool) {
    let body = json!({"on": on});
    match door {
        "REST" => blackout(&appliance.web(), on).await,
        "WebSocket" => tablet.send(&json!({"type": "blackout", "on": on})).await,
        _ => {
            let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
            esp.publish(BLACKOUT, body.to_string().as_bytes()).await;
            assert_eq!(desk(&appliance.web()).await["blackout"], on, "done when it is acknowledged");
        }
    }
    tablet.desk(&format!("blackout by {door}: {on}"), |desk| desk["blackout"] == on).await;
}

#[tokio::test]
async fn every_door_takes_all_light_away_and_gives_the_exact_colour_back() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([12, 34, 56])).await;
    accepted(&web, &patch(9, &[(1, 91), (512, 92)])).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let (levels, full) = (lit(&web).await, [frame(&web, 0).await, frame(&web, 9).await]);
    for door in ["REST", "WebSocket", "MQTT"] {
        let seq = web.seq().await;
        order(&appliance, &tablet, door, true).await;
        let state = web.state().await;
        assert_eq!((rgb_of(&state), &state["seq"]), ([0; 3], &json!(seq + 1)), "{door}");
        assert_eq!(state["updatedBy"], "rest", "no command was accepted");
        assert_eq!([frame(&web, 0).await, frame(&web, 9).await], [[0; 512]; 2], "{door}");
        assert_eq!((lit(&web).await, rev(&web).await), (levels.clone(), seq + 1), "{door}: levels are as they were");
        assert_eq!((watcher.wait_seq(seq + 1).await.body, retained(appliance.mqtt).await), (state.clone(), state));
        let late = WsWatcher::start(appliance.http).await.picture();
        assert_eq!((rgb_of(&late.states[0].0), late.lamp()), ([0; 3], [12, 34, 56]), "{door}: state is light");
        assert_eq!(late.desk.unwrap()["blackout"], true);

        order(&appliance, &tablet, door, false).await;
        let state = web.state().await;
        assert_eq!((rgb_of(&state), &state["seq"]), ([12, 34, 56], &json!(seq + 2)), "{door}");
        assert_eq!([frame(&web, 0).await, frame(&web, 9).await], full, "{door}");
        assert_eq!(watcher.wait_seq(seq + 2).await.body, state);
    }
    let seen = watcher.seen();
    assert_gap_free(&seen[1..]); // the retained one is older than a change that did not concern the lamp
    let colours: Vec<_> = seen.iter().map(|seen| seen.rgb).collect();
    let [dark, lit] = [[0; 3], [12, 34, 56]];
    assert_eq!(colours, [lit, dark, lit, dark, lit, dark, lit], "an ESP lamp sees the dark and then its colour");
    let on_ws: Vec<_> = tablet.picture().states.iter().map(|(state, _)| rgb_of(state)).collect();
    assert_eq!(on_ws, colours);
    assert_eq!(tablet.picture().others, Vec::<Value>::new());
}

#[tokio::test]
async fn the_blackout_topic_goes_with_the_prefix_and_is_never_kept() {
    let appliance = Home::new().set("DMX_TOPIC_PREFIX", "hall/7").start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(BLACKOUT, br#"{"on":true}"#).await;
    assert_eq!(desk(&appliance.web()).await["blackout"], false, "that is a plain topic here");
    esp.retain("hall/7/blackout/cmd", br#"{"on":true}"#).await;
    assert_eq!((desk(&appliance.web()).await["blackout"].clone(), appliance.web().seq().await), (json!(true), 1));
    esp.publish("hall/7/blackout/cmd", br#"{"on":false}"#).await;
    let appliance = appliance.restart().await;
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[("hall/7/blackout/cmd", 1), ("marker", 1)]).await;
    late.publish("marker", b"").await;
    assert_eq!(late.until("marker").await, []);
    assert_eq!(desk(&appliance.web()).await["blackout"], false);
}

#[tokio::test]
async fn what_is_commanded_in_the_dark_is_heard_and_shows_when_it_is_lifted() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([1, 2, 3])).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    blackout(&web, true).await;
    let seq = web.seq().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(CMD, command([40, 50, 60]).to_string().as_bytes()).await;
    accepted(&web, &patch(0, &[(2, 55), (9, 9)])).await;
    accepted(&web, &set(8, 1, 80)).await;
    let scene = add_scene(&web, &json!({"name": "S", "channelValues": {"3": 66}})).await;
    assert_eq!(recall_scene(&web, &scene, "").await["blackout"], true, "a recall does not lift it");
    let state = web.state().await;
    assert_eq!((rgb_of(&state), &state["seq"]), ([0; 3], &json!(seq + 4)), "each has its number and no light");
    assert_eq!(lit(&web).await, json!({"0": {"1": 40, "2": 55, "3": 66, "9": 9}, "8": {"1": 80}}));
    assert_eq!([frame(&web, 0).await, frame(&web, 8).await], [[0; 512]; 2]);
    blackout(&web, false).await;
    assert_eq!(rgb_of(&web.state().await), [40, 55, 66]);
    assert_eq!((frame(&web, 0).await[8], frame(&web, 8).await[0]), (9, 80));
    watcher.wait_seq(seq + 5).await;
    let seen: Vec<_> = watcher.seen().iter().map(|seen| seen.rgb).collect();
    assert_eq!((seen.first(), seen.last()), (Some(&[1, 2, 3]), Some(&[40, 55, 66])));
    assert!(seen[1..seen.len() - 1].iter().all(|rgb| *rgb == [0; 3]), "dark all the time: {seen:?}");
}

#[tokio::test]
async fn a_blackout_over_a_time_goes_down_and_comes_back() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([255, 100, 1])).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let levels = lit(&web).await;
    let over = Duration::from_millis(800);
    for (on, end) in [(true, [0; 3]), (false, [255, 100, 1])] {
        let seq = web.seq().await;
        let body = json!({"on": on, "fadeMs": 800});
        assert_eq!(super::desk_of(&web.post("/blackout", body.to_string()).await)["blackout"], on, "at once in desk");
        let told = |picture: &Picture| {
            let mut states: Vec<_> = picture.states.iter().map(|(state, _)| state.clone()).collect();
            states.retain(|state| state["seq"].as_u64() > Some(seq));
            (states.last().map(rgb_of)? == end).then_some(states)
        };
        let states = tablet.wait("its end", told).await;
        let colours: Vec<_> = states.iter().map(rgb_of).collect();
        assert!(colours.len() > 4, "step by step: {colours:?}");
        let ordered = if on { colours.is_sorted_by(|a, b| a[0] >= b[0]) } else { colours.is_sorted_by_key(|c| c[0]) };
        assert!(ordered, "one way: {colours:?}");
        let ts = |state: &Value| state["ts"].as_u64().unwrap();
        // from the first visible step to the last: one frame less, or as late as a shared machine makes it
        let took = Duration::from_millis(ts(&states[states.len() - 1]) - ts(&states[0]));
        assert!(took > over / 2 && took < over + LATE, "{took:?}");
        eventually("the same everywhere", async || {
            // Its last steps may be too small to show: `seq` goes on, and the lamp's state is not published again.
            let (state, kept) = (web.state().await, retained(appliance.mqtt).await);
            (kept == watcher.last().body && rgb_of(&kept) == end && rgb_of(&state) == end).then_some(())
        })
        .await;
        assert_eq!(lit(&web).await, levels);
    }
    // One that is lifted on its way turns around where it is, and an immediate one overrides one on its way.
    web.post("/blackout", json!({"on": true, "fadeMs": 60_000}).to_string()).await;
    tablet.wait("it to move", |picture| (picture.states.last()?.0["r"].as_u64()? < 255).then_some(())).await;
    blackout(&web, true).await;
    assert_eq!(rgb_of(&web.state().await), [0; 3]);
    web.post("/blackout", json!({"on": false, "fadeMs": 86_400_000}).to_string()).await;
    assert_eq!(rgb_of(&web.state().await), [0; 3], "from where it is");
    blackout(&web, false).await;
    assert_eq!(rgb_of(&web.state().await), [255, 100, 1]);
}

#[tokio::test]
async fn what_is_no_order_is_refused_and_nothing_has_changed() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([1, 2, 3])).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    assert_eq!(listener.subscribe(REJECTED, 1).await, 1);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let mut errs = 0;
    for (body, path) in [
        (json!({}), "/on"),
        (json!({"on": 1}), "/on"),
        (json!({"on": "true"}), "/on"),
        (json!({"on": null}), "/on"),
        (json!({"on": true, "off": true}), "/off"),
        (json!({"on": true, "fadeMs": -1}), "/fadeMs"),
        (json!({"on": true, "fadeMs": "1"}), "/fadeMs"),
        (json!({"on": true, "fadeMs": 1.5}), "/fadeMs"),
        (json!({"on": true, "fadeMs": 86_400_001}), "/fadeMs"),
    ] {
        let problem = web.post("/blackout", body.to_string()).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], path, "{body}: {problem}");
        esp.publish(BLACKOUT, body.to_string().as_bytes()).await;
        let rejected = listener.message().await.json();
        let told = (&rejected["cmdId"], &rejected["clientId"], &rejected["reason"], &rejected["errors"][0]["path"]);
        assert_eq!(told, (&Value::Null, &json!("esp"), &json!("VALIDATION_FAILED"), &json!(path)), "{body}");
        let mut message = body.clone();
        message["type"] = json!("blackout");
        tablet.send(&message).await;
        let err = tablet.other(errs).await;
        assert_eq!((&err["type"], &err["code"]), (&json!("err"), &json!("VALIDATION_FAILED")), "{body}: {err}");
        errs += 1;
    }
    for body in ["[]", "true", "null"] {
        web.post("/blackout", body).await.problem(422);
        web.post("/master", body).await.problem(422);
        esp.publish(BLACKOUT, body.as_bytes()).await;
        assert_eq!(listener.message().await.json()["reason"], "VALIDATION_FAILED", "{body}");
    }
    for (body, path) in [
        (json!({}), "/level"),
        (json!({"level": 256}), "/level"),
        (json!({"level": -1}), "/level"),
        (json!({"level": 1.5}), "/level"),
        (json!({"level": "1"}), "/level"),
        (json!({"level": 1, "fadeMs": 1}), "/fadeMs"),
    ] {
        let problem = web.post("/master", body.to_string()).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], path, "{body}: {problem}");
        let mut message = body.clone();
        message["type"] = json!("master");
        tablet.send(&message).await;
        assert_eq!(tablet.other(errs).await["code"], "VALIDATION_FAILED", "{body}");
        errs += 1;
    }
    for path in ["/blackout", "/master"] {
        web.post(path, "{").await.problem(400);
        web.post(path, "").await.problem(400);
        web.post(path, format!(r#"{{"x":"{}"}}"#, "x".repeat(64 * 1024))).await.problem(413);
    }
    esp.publish(BLACKOUT, b"{").await;
    assert_eq!(listener.message().await.json()["reason"], "VALIDATION_FAILED");
    let open = json!({"master": 255, "blackout": false, "scene": null, "fades": []});
    assert_eq!((desk(&web).await, web.seq().await), (open, 1));
    assert_eq!(tablet.picture().desks.len(), 1, "only the greeting's");
}

#[tokio::test]
async fn the_same_order_again_keeps_the_dark() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([1, 2, 3])).await;
    let tablet = WsWatcher::start(appliance.http).await;
    for on in [true, true, false, false] {
        blackout(&web, on).await;
        assert_eq!(rgb_of(&web.state().await), if on { [0; 3] } else { [1, 2, 3] });
    }
    eventually("four desks", async || (tablet.picture().desks.len() == 5).then_some(())).await;
    assert_eq!(web.seq().await, 5);
}
