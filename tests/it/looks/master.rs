//! The grand master: over intensity, never in levels.

use serde_json::{Value, json};

use super::{accepted, desk, frame, lit, master, patch, retained, set};
use crate::harness::{Appliance, Home, StateWatcher, WsWatcher, command, rgb_of};

/// A level under a master, give or take one.
fn assert_scaled(lit: &[u8], levels: &[u8], master: u8) {
    for (lit, level) in lit.iter().zip(levels) {
        let exact = f64::from(*level) * f64::from(master) / 255.0;
        assert!((f64::from(*lit) - exact).abs() < 1.0, "{lit} is {level} at {master}");
    }
}

#[tokio::test]
async fn a_master_scales_all_light_and_full_gives_back_the_exact_frame() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([255, 101, 3])).await;
    let levels: Vec<_> = (1..=64_u16).map(|channel| (channel, (channel * 4 - 1) as u8)).collect();
    accepted(&web, &patch(3, &levels)).await;
    let (tablet, watcher) = (WsWatcher::start(appliance.http).await, StateWatcher::start(appliance.mqtt).await);
    let (known, whole) = (lit(&web).await, [frame(&web, 0).await, frame(&web, 3).await]);
    for (n, level) in (1..).zip([128, 1, 0, 254, 255, 255]) {
        master(&web, level).await;
        let state = web.state().await;
        assert_eq!(state["seq"], 2 + n, "one change each, also when it is the same");
        for (frame, whole) in [frame(&web, 0).await, frame(&web, 3).await].iter().zip(&whole) {
            assert_scaled(frame, whole, level);
            assert_eq!(level == 255, frame == whole, "{level}");
            assert!(level > 0 || frame.iter().all(|&level| level == 0), "nothing is left at 0");
        }
        assert_eq!(rgb_of(&state)[..], frame(&web, 0).await[..3], "the lamp's light is what is sent");
        assert_eq!(lit(&web).await, known, "levels are as they were");
        tablet.desk("the master", |desk| desk["master"] == level).await;
        assert_eq!(retained(appliance.mqtt).await["r"], state["r"]);
    }
    let told: Vec<_> = watcher.wait_seq(7).await.rgb.into();
    assert_eq!(told, [255, 101, 3]);
    tablet.send(&json!({"type": "master", "level": 128})).await;
    tablet.desk("the master by WebSocket", |desk| desk["master"] == 128).await;
    assert_eq!(tablet.picture().others, Vec::<Value>::new(), "the broadcast is the answer");
    accepted(&web, &set(3, 64, 100)).await;
    assert_scaled(&frame(&web, 3).await[63..64], &[100], 128);
}

#[tokio::test]
async fn only_intensity_follows_when_the_settings_say_which_channels_are() {
    let list = json!(["1:1-2", "1:10", "2:", "0:9"]).to_string();
    let appliance = Home::new().set("DMX_ENGINE_MASTER_CHANNELS", list).start().await;
    let web = appliance.web();
    for universe in 0..4 {
        accepted(&web, &patch(universe, &[(1, 200), (2, 200), (3, 200), (9, 200), (10, 200), (512, 200)])).await;
    }
    let sent = async || {
        let mut sent = Vec::new();
        for universe in 0..4 {
            let frame = frame(&web, universe).await;
            sent.push([1, 2, 3, 9, 10, 512].map(|channel| frame[channel - 1]));
        }
        sent
    };
    let expected = |dim: u8| {
        vec![
            [dim, dim, dim, dim, 200, 200], // the lamp carries intensity whatever the settings say
            [dim, dim, 200, 200, dim, 200],
            [200; 6],
            [dim; 6], // in a universe that is not listed, all channels do
        ]
    };
    super::blackout(&web, true).await;
    assert_eq!(sent().await, expected(0));
    super::blackout(&web, false).await;
    master(&web, 51).await;
    assert_eq!(sent().await, expected(40));
    master(&web, 255).await;
    assert_eq!(sent().await, expected(200));
}

#[tokio::test]
async fn master_blackout_and_fade_stand_over_one_another() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    master(&web, 128).await;
    accepted(&web, &super::fade(0, &[(1, 250), (2, 100)], 600)).await;
    tablet.wait("it to move", |picture| (picture.lamp()[0] > 0).then_some(())).await;
    super::blackout(&web, true).await;
    let dark = web.seq().await;
    super::arrived(&web).await;
    let end = web.state().await;
    assert_eq!((rgb_of(&end), super::lamp_levels(&web).await), ([0; 3], [250, 100, 0]), "it went on in the dark");
    let last = end["seq"].as_u64().unwrap();
    // Light that does not change is not sent, but the levels are.
    tablet.wait("the last step", |picture| picture.revs.last().filter(|&&rev| rev >= last).map(drop)).await;
    let picture = tablet.picture();
    let after = picture.states.iter().filter(|(state, _)| state["seq"].as_u64() > Some(dark));
    assert!(after.clone().all(|(state, _)| rgb_of(state) == [0; 3]), "no light came through");
    super::blackout(&web, false).await;
    assert_scaled(&rgb_of(&web.state().await), &[250, 100, 0], 128);
    master(&web, 255).await;
    assert_eq!((rgb_of(&web.state().await), desk(&web).await["master"].clone()), ([250, 100, 0], json!(255)));
}
