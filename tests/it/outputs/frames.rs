//! `GET /universes/{u}/frame`: what the outputs are sent now.

use serde_json::json;

use super::{light, with_widget};
use crate::harness::{Appliance, Shield, command};

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
