//! `GET /universes/{u}/frame`: what the outputs are sending now.

use reqwest::Method;
use serde_json::json;

use super::{light, problem, with_widget};
use crate::harness::{Appliance, Shield, command, eventually, fresh_id};

#[tokio::test]
async fn a_frame_is_512_integers_and_every_universe_has_one() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([1, 200, 255])).await;
    for (universe, lamp) in [(0, [1, 200, 255]), (1, [0; 3]), (63, [0; 3])] {
        let answer = web.get(&format!("/universes/{universe}/frame")).await;
        let mut frame = vec![0; 512];
        frame[..3].copy_from_slice(&lamp);
        assert_eq!((answer.status, answer.json()), (200, json!({"universe": universe, "frame": frame})));
    }
}

#[tokio::test]
async fn a_universe_that_cannot_be_is_not_found() {
    let appliance = Appliance::start().await;
    for universe in ["64", "x", "-1", "0x1", "1.0", "256", "99999999999999999999", "%00", ""] {
        appliance.web().get(&format!("/universes/{universe}/frame")).await.problem(404);
    }
    appliance.web().get("/universes").await.problem(404);
    appliance.web().get("/universes/0").await.problem(404);
    appliance.web().post("/universes/0/frame", "{}").await.problem(405);
}

#[tokio::test]
async fn the_frame_is_what_the_widget_has() {
    let (widget, home) = with_widget();
    let appliance = home.start().await;
    light(&appliance, &widget, [5, 6, 7]).await;
    let frame = appliance.web().get("/universes/0/frame").await.json()["frame"].clone();
    assert_eq!(frame, json!(widget.frames().last().unwrap().levels));
}

#[tokio::test]
async fn the_widget_carries_the_universe_of_the_settings() {
    let (widget, home) = with_widget();
    let shield = Shield::plugged_in(home.beside("shield"));
    let home = home.set("DMX_USB_UNIVERSE", "1").set("DMX_INPUT_UNIVERSE", "1");
    let home = home.set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", shield.path());
    let appliance = home.start().await;
    appliance.log.wait("the input", |line| line["message"] == "input_connected").await;
    appliance.web().accepted(&command([99, 99, 99])).await;
    shield.levels(&[1, 2, 3]);
    widget.shows([1, 2, 3]).await;
    assert!(widget.frames().iter().all(|frame| frame.rgb() != [99, 99, 99]), "that was universe 0");
    assert_eq!(super::output(&appliance.web(), "enttec").await["universe"], 1);
}

#[tokio::test]
async fn light_on_a_universe_that_no_output_carries_is_told() {
    let (widget, home) = with_widget();
    let appliance = home.set("DMX_USB_UNIVERSE", "1").start().await;
    let web = appliance.web();
    let set = async |universe: u8, channel: u16, value: u8| {
        let id = fresh_id();
        let body = json!({"type": "dmx.set", "id": id, "universe": universe, "channel": channel, "value": value});
        let answer = web.send(web.request(Method::POST, "/command").body(body.to_string())).await;
        assert_eq!(answer.json()["accepted"], true, "{answer:?}");
    };
    let told = async |words: &str| {
        eventually(&format!("{words} to be told"), async || {
            problem(&web, "UNIVERSE_NOT_SENT").await.filter(|told| told.contains(words)).map(drop)
        })
        .await;
    };
    web.accepted(&command([1, 2, 3])).await; // except for the lamp, which gets its light by MQTT
    set(1, 9, 99).await;
    eventually("the frame", async || widget.frames().last().is_some_and(|frame| frame.levels[8] == 99).then_some(()))
        .await;
    set(3, 7, 70).await;
    told("universe 3 has light").await;
    set(0, 4, 1).await;
    told("universes 0, 3 have light").await;
    assert!(problem(&web, "UNIVERSE_NOT_SENT").await.unwrap().contains("ola.universes"));
    set(3, 7, 0).await;
    told("universe 0 has light").await;
    set(0, 4, 0).await;
    eventually("all to be sent", async || problem(&web, "UNIVERSE_NOT_SENT").await.is_none().then_some(())).await;
}
