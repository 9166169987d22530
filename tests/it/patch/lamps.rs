//! Lamps on MQTT that are patched as fixtures: six of them have six colours.

use reqwest::Method;
use serde_json::{Value, json};

use super::{add, ask, body_of, import, patch, set};
use crate::harness::{Appliance, Connect, Link, Message, Web, eventually, fresh_id};

fn topic(id: &str) -> String {
    format!("v1/demo/lamps/{id}/state")
}

/// Lamps one behind the other from channel 11 of universe 2.
fn show(lamps: &[&str]) -> Value {
    let fixture = |(n, id): (usize, &&str)| {
        let channels: Vec<_> =
            (0..3).map(|at| json!({"id": format!("{id}-{at}"), "number": at + 1, "name": "?"})).collect();
        json!({"id": format!("fx-{id}"), "name": id, "universeId": "u", "dmxAddress": 11 + 3 * n, "channelCount": 3,
            "fixtureType": "mqtt-rgb", "type": "mqtt-rgb", "topic": id, "channels": channels})
    };
    let fixtures: Vec<_> = lamps.iter().enumerate().map(fixture).collect();
    json!({"version": "1.0", "universes": [{"id": "u", "name": "U", "number": 2}], "fixtures": fixtures, "scenes": []})
}

async fn colour(web: &Web, fixture: &str, colour: &str) {
    let order = json!({"type": "fixture.set", "id": fresh_id(), "targets": [fixture], "values": {"color": colour}});
    let ack = body_of(&web.post("/command", order.to_string()).await, 200);
    assert_eq!(ack["accepted"], true, "{ack}");
}

/// The colour in a state.
fn rgb(message: &Message) -> [u64; 3] {
    let state = message.json();
    assert_eq!(state["schema"], "demo.rgb.state.v1", "{state}");
    ["r", "g", "b"].map(|part| state[part].as_u64().expect("a level"))
}

/// The retained state of a lamp, if there is one.
async fn retained(appliance: &Appliance, id: &str) -> Option<[u64; 3]> {
    let mut link = Link::join(appliance.mqtt, &Connect::new("looks")).await;
    link.subscribe(&topic(id), 1).await;
    link.messages().await.first().map(rgb)
}

#[tokio::test]
async fn each_lamp_has_its_own_colour_under_master_and_blackout_and_after_a_kill() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &show(&["bar", "door"])).await;
    let mut bar = Link::join(appliance.mqtt, &Connect::new("bar")).await;
    bar.subscribe(&topic("bar"), 1).await;
    assert_eq!(rgb(&bar.message().await), [0; 3]);
    colour(&web, "fx-door", "#0000ff").await;
    colour(&web, "fx-bar", "#ff8000").await;
    assert_eq!(rgb(&bar.message().await), [255, 128, 0], "the other lamp is none of its business");
    assert_eq!(web.post("/master", json!({"level": 128}).to_string()).await.status, 200);
    assert_eq!(rgb(&bar.message().await), [128, 64, 0]);
    assert_eq!(web.post("/blackout", json!({"on": true}).to_string()).await.status, 200);
    assert_eq!(rgb(&bar.message().await), [0; 3]);
    assert_eq!(retained(&appliance, "door").await, Some([0; 3]));
    assert_eq!(web.post("/blackout", json!({"on": false}).to_string()).await.status, 200);
    assert_eq!(rgb(&bar.message().await), [128, 64, 0]);
    set(&web, 2, &[(11, 0)]).await;
    assert_eq!(rgb(&bar.message().await), [0, 64, 0], "its channels are channels like all others");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(retained(&appliance, "bar").await, Some([0, 64, 0]));
    assert_eq!(retained(&appliance, "door").await, Some([0, 0, 128]));
}

#[tokio::test]
async fn the_end_of_a_fade_arrives_and_a_lamp_that_was_away_has_its_present_value() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &show(&["bar"])).await;
    let connect = Connect::new("bar").persistent();
    let mut bar = Link::join(appliance.mqtt, &connect).await;
    bar.subscribe(&topic("bar"), 1).await;
    assert_eq!(rgb(&bar.message().await), [0; 3]);
    let order = json!({"type": "fixture.set", "id": fresh_id(), "targets": ["fx-bar"],
        "values": {"color": "#ff00ff"}, "durationMs": 400});
    assert_eq!(web.post("/command", order.to_string()).await.json()["accepted"], true);
    let mut seen = vec![[0; 3]];
    while seen.last() != Some(&[255, 0, 255]) {
        seen.push(rgb(&bar.message().await));
    }
    assert!(seen.is_sorted() && seen.len() <= 12, "at most 20 a second: {seen:?}");
    bar.leave().await;
    for level in ["#010101", "#020202", "#030303"] {
        colour(&web, "fx-bar", level).await;
    }
    let appliance = appliance.kill9().await.start().await;
    let mut bar = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(rgb(&bar.message().await), [3; 3], "and no queue of old ones");
    assert_eq!(bar.messages().await.len(), 0);
}

#[tokio::test]
async fn the_topics_of_lamps_are_dmxds_alone_and_go_with_their_lamp() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    import(&web, &show(&["bar", "door"])).await;
    let mut watch = Link::join(appliance.mqtt, &Connect::new("watch")).await;
    watch.subscribe("v1/demo/lamps/#", 1).await;
    colour(&web, "fx-door", "#00ff00").await;
    while rgb(&watch.message().await) != [0, 255, 0] {}
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for id in ["bar", "nobody"] {
        other.retain(&topic(id), br#"{"r":9}"#).await;
    }
    assert_eq!((retained(&appliance, "bar").await, retained(&appliance, "nobody").await), (Some([0; 3]), None));
    // the bar goes, and the door moves to where the bar was, with its light
    import(&web, &show(&["door"])).await;
    let gone = watch.message().await;
    assert_eq!((gone.topic.as_str(), gone.payload.as_slice()), (topic("bar").as_str(), b"".as_slice()));
    assert_eq!((retained(&appliance, "bar").await, retained(&appliance, "door").await), (None, Some([0, 255, 0])));
}

#[tokio::test]
async fn a_lamp_without_a_topic_listens_to_its_id_and_two_never_share_one() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut bare = show(&["bar", "door"]);
    for fixture in bare["fixtures"].as_array_mut().unwrap() {
        fixture.as_object_mut().unwrap().remove("topic");
    }
    bare["fixtures"][1]["id"] = json!("the door");
    import(&web, &bare).await;
    let is_there = async || (retained(&appliance, "fx-bar").await == Some([0; 3])).then_some(());
    eventually("its light", is_there).await;
    let now = patch(&web).await;
    assert_eq!((&now["fixtures"][0]["topic"], now["fixtures"][1].get("topic")), (&json!("fx-bar"), None));
    assert_eq!(now["warnings"][0]["fixture"], "the door");

    let change = async |id: &str, body: Value| ask(&web, Method::PATCH, &format!("/patch/fixtures/{id}"), &body).await;
    add(&web, &json!({"type": "rgb", "universe": 3, "address": 1, "name": "Wash"})).await;
    body_of(&change("wash", json!({"type": "mqtt-rgb"})).await, 200);
    colour(&web, "wash", "#0000ff").await;
    // lamps are told a moment later
    let is_blue = async || (retained(&appliance, "wash").await == Some([0, 0, 255])).then_some(());
    eventually("its colour", is_blue).await;

    let named = |problem: Value| {
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("wash") && detail.contains("bar"), "{detail}");
    };
    named(change("fx-bar", json!({"topic": "wash"})).await.problem(409));
    let twin = json!({"type": "mqtt-rgb", "universe": 4, "address": 1, "name": "Bar", "topic": "wash"});
    named(web.post("/patch/fixtures", twin.to_string()).await.problem(409));
    assert_eq!(change("wash", json!({"topic": "wash"})).await.status, 200, "it is its own");

    let other = json!({"type": "rgb", "universe": 5, "address": 1, "topic": "x"});
    let refused = [
        web.post("/patch/fixtures", other.to_string()).await.problem(422),
        change("wash", json!({"type": "rgb", "topic": "x"})).await.problem(422),
    ];
    assert!(refused.iter().all(|problem| problem["errors"][0]["path"] == "/topic"), "{refused:?}");
    assert_eq!(body_of(&change("wash", json!({"type": "rgb"})).await, 200).get("topic"), None);
}
