//! Selecting: light, scenes, show and ids are swapped in one step, and everybody is told; nothing is reopened.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, create, fresh, list, mark, marked, select, several};
use crate::harness::{
    Appliance, CMD, Connect, Home, Ledger, Link, Load, Random, STATE, Shield, StateWatcher, Widget, WsWatcher,
    assert_gap_free, command, eventually, rgb_of,
};

/// Changes of project under load.
const SELECTS: u64 = 20;

/// A home with a widget and a shield that lights universe 1.
fn with_hardware() -> (Widget, Shield, Home) {
    let home = several(Home::new());
    let widget = Widget::plugged_in(home.beside("widget"));
    let shield = Shield::plugged_in(home.beside("shield"));
    let home = home.set("DMX_USB_ENABLED", "true").set("DMX_USB_PORT", widget.path());
    let home = home.set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", shield.path());
    (widget, shield, home.set("DMX_INPUT_UNIVERSE", "1"))
}

/// Levels of a universe's first three channels.
async fn first_levels(appliance: &Appliance, universe: u8) -> Value {
    let frame = appliance.web().get(&format!("/universes/{universe}/frame")).await.json();
    json!(frame["frame"].as_array().unwrap()[..3])
}

#[tokio::test]
async fn everybody_sees_the_other_project_in_one_step_and_nothing_is_opened_anew() {
    let (widget, shield, home) = with_hardware();
    let appliance = home.start().await;
    let web = appliance.web();
    let first = command([10, 20, 30]);
    web.accepted(&first).await;
    let early = WsWatcher::start(appliance.http).await;
    super::import(&web, "", &marked(1)).await;
    early.wait("its patch", |picture| picture.order.iter().any(|kind| kind == "patch").then_some(())).await;
    drop(early);
    appliance.log.wait("the input", |line| line["message"] == "input_connected").await;
    shield.levels(&[7, 8, 9]);
    eventually("universe 1", async || (first_levels(&appliance, 1).await == json!([7, 8, 9])).then_some(())).await;
    widget.shows([10, 20, 30]).await;
    let other = create(&web, json!({"name": "Other"})).await;

    let mqtt = StateWatcher::start(appliance.mqtt).await;
    let tablet = WsWatcher::start(appliance.http).await;
    tablet.wait("universe 1", |picture| picture.universes.contains_key(&1).then_some(())).await;
    let (greeting, seq) = (tablet.picture(), web.seq().await);
    let list = select(&web, &other).await;
    assert_eq!(super::ids(&list), ["default", &other]);

    let state = web.state().await;
    assert_eq!((state["seq"].as_u64(), rgb_of(&state)), (Some(seq + 1), [0; 3]));
    assert_eq!(state["updatedBy"], "init", "nobody has commanded this project's light");
    mqtt.wait_seq(seq + 1).await;
    assert_eq!(mqtt.last().body, state);
    assert_eq!(mqtt.seen().len(), 2, "the retained one, which universe 1 is nothing to, and the other project's");
    let late = StateWatcher::start(appliance.mqtt).await.last();
    assert!(late.retain);
    assert_eq!(late.body, state);

    // state, the whole of universe 0, the desk, and the end of universe 1.
    let picture = tablet
        .wait("the other project", |picture| (picture.order.len() >= greeting.order.len() + 4).then(|| picture.clone()))
        .await;
    let mut kinds = picture.order[greeting.order.len()..].to_vec();
    kinds.truncate(4); // a patch is told behind its light
    assert_eq!(kinds.remove(0), "state");
    kinds.sort();
    assert_eq!(kinds, ["desk", "state.update", "state.update"]);
    let (seen, _) = picture.states.last().unwrap();
    assert_eq!((seen["seq"].as_u64(), rgb_of(seen), &seen["ts"]), (Some(seq + 1), [0; 3], &state["ts"]));
    let fulls = &picture.fulls[greeting.fulls.len()..];
    let told = |full: &Value| (full["universe"].clone(), full["rev"].clone(), full["delta"].clone());
    assert_eq!(
        fulls.iter().map(told).collect::<Vec<_>>(),
        [0, 1].map(|universe| (json!(universe), json!(seq + 1), json!([]))),
        "an empty full update for the lamp that is dark, and for the universe that is gone"
    );
    assert_eq!(picture.revs, greeting.revs, "no partial update");
    assert!(picture.universes.values().all(|levels| *levels == [0; 512]));

    widget.shows([0; 3]).await;
    assert_eq!(first_levels(&appliance, 1).await, json!([0, 0, 0]));
    assert_eq!(mark(&web).await, None, "its own scenes and show: none");
    assert!(!web.is_duplicate(&first).await, "its own ids: none");
    assert_eq!(web.seq().await, seq + 2);

    select(&web, "default").await;
    assert_eq!((super::lamp(&appliance).await, mark(&web).await), ([10, 20, 30], Some(1)));
    assert_eq!(first_levels(&appliance, 1).await, json!([7, 8, 9]));
    widget.shows([10, 20, 30]).await;
    let back = tablet.wait("the first project again", |picture| {
        let full = picture.fulls.iter().rfind(|full| full["universe"] == 1)?;
        (full["rev"] == seq + 3).then(|| picture.clone())
    });
    let back = back.await;
    assert_eq!((back.lamp(), &back.universes[&1][..3]), ([10, 20, 30], &[7, 8, 9][..]));
    assert!(web.is_duplicate(&first).await);

    // One connection and one question all the time: neither driver nor client has noticed.
    let tape = widget.tape();
    assert_eq!((tape.asked, tape.closes), (1, 0));
    widget.assert_well_framed();
    assert_eq!(appliance.log.json().iter().filter(|line| line["message"] == "input_connected").count(), 1);
    assert_eq!(tablet.picture().ending, None);
    mqtt.wait_seq(seq + 3).await;
    assert_gap_free(&mqtt.seen()[1..]);
}

#[tokio::test]
async fn ids_are_the_projects_own_also_after_kill_and_restart() {
    let mut appliance = fresh().await;
    let [both, ours, theirs] = [1, 2, 3].map(|n| command([n, n, n]));
    let other = create(&appliance.web(), json!({"name": "B"})).await;
    appliance.web().accepted(&both).await;
    appliance.web().accepted(&ours).await;
    select(&appliance.web(), &other).await;
    assert_eq!(appliance.web().accepted(&both).await, 4, "new in B");
    appliance.web().accepted(&theirs).await;
    let mut seq = 5;
    for round in 0..4 {
        let active = list(&appliance.web()).await["activeId"].clone();
        appliance = if round % 2 == 0 { appliance.kill9().await.start().await } else { appliance.restart().await };
        let web = appliance.web();
        assert_eq!(list(&web).await["activeId"], active, "the selection is kept");
        for id in ["default", &other] {
            select(&web, id).await;
            seq += 1;
            let (own, lamp) = if id == "default" { (&ours, [2; 3]) } else { (&theirs, [3; 3]) };
            assert_eq!(super::lamp(&appliance).await, lamp);
            assert!(web.is_duplicate(&both).await, "{id}, round {round}");
            assert!(web.is_duplicate(own).await, "{id}, round {round}");
            assert_eq!(web.seq().await, seq);
        }
    }
    // what belongs to the other is new here
    assert!(!appliance.web().is_duplicate(&ours).await);
}

#[tokio::test]
async fn selecting_the_active_project_again_changes_nothing_but_the_number() {
    let appliance = fresh().await;
    let web = appliance.web();
    let first = command([1, 2, 3]);
    web.accepted(&first).await;
    super::import(&web, "", &marked(1)).await;
    let (before, exported) = (web.state().await, super::export(&web).await);
    select(&web, "default").await;
    let after = web.state().await;
    assert_eq!((after["seq"].as_u64(), rgb_of(&after)), (Some(2), [1, 2, 3]));
    assert_eq!((&after["updatedBy"], super::export(&web).await), (&before["updatedBy"], exported));
    assert!(web.is_duplicate(&first).await);
    web.post("/projects/nobody/select", "").await.problem(404);
    assert_eq!(web.state().await, after, "what is refused changes nothing");
}

#[tokio::test]
async fn one_who_was_away_finds_the_selected_projects_light() {
    let appliance = fresh().await;
    let web = appliance.web();
    web.accepted(&command([1, 2, 3])).await;
    let other = create(&web, json!({"name": "B", "templateId": "default"})).await;
    web.accepted(&command([4, 5, 6])).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").persistent()).await;
    esp.subscribe(STATE, 1).await;
    esp.message().await;
    esp.leave().await;
    select(&web, &other).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").persistent()).await;
    let found = esp.message().await.json();
    assert_eq!((rgb_of(&found), &found), ([1, 2, 3], &web.state().await));
    // And its commands go to the selected project.
    let body = command([7, 7, 7]);
    esp.publish(CMD, body.to_string().as_bytes()).await;
    select(&web, "default").await;
    assert_eq!(rgb_of(&web.state().await), [4, 5, 6]);
    assert!(!web.is_duplicate(&body).await);
}

#[tokio::test]
async fn documents_go_to_the_project_that_is_selected() {
    let appliance = fresh().await;
    let web = appliance.web();
    let other = create(&web, json!({"name": "B"})).await;
    let scene = |level: u8| json!([{"id": "a", "name": "A", "channelValues": {"1": level}, "timestamp": 1}]);
    for (n, id) in [other.as_str(), "default", &other, "default"].into_iter().zip([1, 2, 3, 4]).map(|(id, n)| (n, id)) {
        select(&web, id).await;
        ask(&web, Method::PUT, "/scenes", &scene(n)).await;
        super::import(&web, "?mode=merge", &json!({"fixtures": [], "x": n})).await;
    }
    for (id, n) in [("default", 4), (&other, 3)] {
        select(&web, id).await;
        assert_eq!((super::scenes(&web).await, &super::export(&web).await["x"]), (scene(n), &json!(n)));
    }
}

#[tokio::test]
async fn commands_while_projects_change_belong_to_one_project_each() {
    let appliance = fresh().await;
    let web = appliance.web();
    let other = create(&web, json!({"name": "B"})).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let ledger = Ledger::new(1000);
    let load = Load::start(&appliance, &ledger, 4).await;
    let mut random = Random::new();
    let mut acked = 0;
    for n in 0..SELECTS {
        acked += 10 + usize::try_from(random.below(30)).unwrap();
        ledger.wait_acked(acked).await;
        select(&web, if n % 2 == 0 { &other } else { "default" }).await; // the last one is `default`
    }
    load.join().await;
    let sent = ledger.sent();
    assert_eq!(ledger.acked().len(), sent.len(), "every command was acknowledged");
    let seq = sent.len() as u64 + SELECTS;
    let last = watcher.wait_seq(seq).await;
    assert_eq!((last.seq, &last.body), (seq, &web.state().await), "one number for each command and each select");
    assert_gap_free(&watcher.seen());

    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    let mut ours = Vec::new();
    for body in &sent {
        ours.push(web.is_duplicate(body).await);
    }
    select(&web, &other).await;
    for (body, ours) in sent.iter().zip(&ours) {
        assert_ne!(web.is_duplicate(body).await, *ours, "in one of the two projects: {body}");
    }
    let count = ours.iter().filter(|ours| **ours).count();
    println!("{count} of {} commands came to the first project", sent.len());
    assert!(count > 0 && count < sent.len());
}

#[tokio::test]
async fn who_hears_of_another_light_finds_the_documents_that_belong_to_it() {
    let appliance = fresh().await;
    let web = appliance.web();
    let other = create(&web, json!({"name": "B"})).await;
    for (id, n) in [(other.as_str(), 2), ("default", 1)] {
        select(&web, id).await;
        web.accepted(&command([n, n, n])).await;
        super::import(&web, "", &marked(n.into())).await;
    }
    let tablet = WsWatcher::start(appliance.http).await;
    for (id, n) in [(other.as_str(), 2), ("default", 1)].into_iter().cycle().take(30) {
        let (asked, path) = (appliance.web(), format!("/projects/{id}/select"));
        let selecting = tokio::spawn(async move { asked.post(&path, "").await.status });
        tablet.wait("the other light", |picture| (picture.lamp() == [n; 3]).then_some(())).await;
        let (scenes, projects) = (super::scenes(&web).await, list(&web).await);
        assert_eq!((&scenes[0]["mark"], &projects["activeId"]), (&json!(n), &json!(id)));
        assert_eq!(selecting.await.unwrap(), 200);
    }
}
