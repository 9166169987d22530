//! The serial input: what a SparkFun DMX shield writes becomes commands.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{input, problem, said};
use crate::harness::{Appliance, Home, Shield, StateWatcher, assert_gap_free, command, eventually, rgb_of};

/// A home whose shield is plugged in.
fn with_shield() -> (Shield, Home) {
    let home = Home::new();
    let shield = Shield::plugged_in(home.beside("shield"));
    let home = home.set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", shield.path());
    (shield, home)
}

/// Starts and waits until the input listens for the n-th time.
async fn listening(home: Home) -> Appliance {
    let appliance = home.start().await;
    listens(&appliance, 1).await;
    appliance
}

async fn listens(appliance: &Appliance, times: usize) {
    eventually("the input", async || (said(appliance, "input_connected") >= times).then_some(())).await;
}

async fn shows(appliance: &Appliance, rgb: [u8; 3]) -> Value {
    eventually(&format!("the colour {rgb:?}"), async || {
        Some(appliance.web().state().await).filter(|state| rgb_of(state) == rgb)
    })
    .await
}

#[tokio::test]
async fn three_channels_are_one_command_without_a_colour_in_between() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let colours: Vec<[u8; 3]> = (1..=20).map(|n| [n, 100 + n, 200 + n]).collect();
    for &rgb in &colours {
        shield.levels(&rgb);
        shows(&appliance, rgb).await;
    }
    watcher.wait_seq(20).await;
    let seen = watcher.seen();
    assert_gap_free(&seen);
    assert_eq!(seen.iter().skip(1).map(|seen| seen.rgb).collect::<Vec<_>>(), colours);
    assert_eq!(seen.last().unwrap().body["updatedBy"], "dmx-input");
    // It is counted when the engine has answered, which may be after others have seen the light.
    eventually("all to be counted", async || {
        (appliance.web().metric("dmx_input_commands_total").await == 20.0).then_some(())
    })
    .await;
    assert_eq!(appliance.web().metric("dmx_input_readings_total").await, 60.0);
}

#[tokio::test]
async fn what_does_not_change_is_not_submitted_again() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    shield.levels(&[1, 2, 3]);
    shows(&appliance, [1, 2, 3]).await;
    // A shield repeats its levels all the time.
    for _ in 0..100 {
        shield.levels(&[1, 2, 3]);
    }
    shield.levels(&[4, 5, 6]);
    assert_eq!(shows(&appliance, [4, 5, 6]).await["seq"], 2);
    // Nor does it fight with somebody who has set another colour meanwhile.
    appliance.web().accepted(&command([99, 98, 97])).await;
    for _ in 0..100 {
        shield.levels(&[4, 5, 6]);
    }
    let read = 3.0 * 202.0;
    eventually("all lines to be read", async || {
        (appliance.web().metric("dmx_input_readings_total").await >= read).then_some(())
    })
    .await;
    shield.levels(&[7, 8, 9]);
    assert_eq!(shows(&appliance, [7, 8, 9]).await["seq"], 4);
}

#[tokio::test]
async fn a_colour_that_the_lamp_has_already_is_not_submitted() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    shield.levels(&[1, 2, 3]);
    eventually("the lines to be read", async || {
        (appliance.web().metric("dmx_input_readings_total").await >= 3.0).then_some(())
    })
    .await;
    shield.levels(&[4, 5, 6]);
    assert_eq!(shows(&appliance, [4, 5, 6]).await["seq"], 2);
}

#[tokio::test]
async fn case_spacing_line_ends_and_junk_do_not_matter() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    let web = appliance.web();
    let mut seq = 0;
    for (text, rgb) in [
        ("DMX: read value from channel 1: 11\r\n", [11, 0, 0]),
        ("dmx: READ Value From CHANNEL 2: 12\n", [11, 12, 0]),
        ("  DMX:   read  value from\tchannel  3 :  13  \r\n", [11, 12, 13]),
        ("DMX:read value from channel 1:21\r\r\n", [21, 12, 13]),
        ("[I][boot] hello\r\n\r\n\0\0DMX: read value from channel 2: 22\r\n", [21, 22, 13]),
        ("garbage\u{7f}\u{fffd}\r\nDMX: read value from channel 3: 023\r\n", [21, 22, 23]),
    ] {
        shield.say(text);
        seq += 1;
        let state = shows(&appliance, rgb).await;
        assert_eq!(state["seq"], seq, "{text:?}");
    }
    // None of these says a level of ours.
    for text in [
        "DMX: read value from channel 0: 1\r\n",
        "DMX: read value from channel 513: 1\r\n",
        "DMX: read value from channel 1: 256\r\n",
        "DMX: read value from channel 1: -1\r\n",
        "DMX: read value from channel 1: 1.5\r\n",
        "DMX: read value from channel 1:\r\n",
        "DMX: read value from channel : 1\r\n",
        "DMX: read value from channel 4: 77\r\n",
        "DMX: read value from channel 512: 77\r\n",
        "DMX: wrote value to channel 1: 77\r\n",
    ] {
        shield.say(text);
    }
    // Longer than any line.
    shield.say(&"x".repeat(3000));
    shield.say("\r\n");
    shield.levels(&[31, 32, 33]);
    assert_eq!(shows(&appliance, [31, 32, 33]).await["seq"], seq + 1);
    assert!(web.metric("dmx_input_ignored_lines_total").await >= 5.0);
}

#[tokio::test]
async fn a_line_with_a_long_pause_in_it_is_read() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    shield.say("DMX: read value from chan");
    // The length of the pause is the test's input.
    let start = Instant::now();
    eventually("the end of the pause", async || (start.elapsed() > Duration::from_millis(1500)).then_some(())).await;
    shield.say("nel 2: 99\r\n");
    assert_eq!(shows(&appliance, [0, 99, 0]).await["seq"], 1);
    for piece in "DMX: read value from channel 1: 98\r\n".chars() {
        shield.say(&piece.to_string());
        appliance.web().get("/healthz").await; // byte by byte
    }
    assert_eq!(shows(&appliance, [98, 99, 0]).await["seq"], 2);
}

#[tokio::test]
async fn a_channel_that_was_not_seen_keeps_the_lamps_value() {
    let (mut shield, home) = with_shield();
    let appliance = listening(home).await;
    appliance.web().accepted(&command([10, 20, 30])).await;
    shield.say("DMX: read value from channel 2: 99\r\n");
    assert_eq!(shows(&appliance, [10, 99, 30]).await["seq"], 2);
    appliance.web().accepted(&command([40, 50, 60])).await;
    shield.say("DMX: read value from channel 3: 77\r\n");
    assert_eq!(rgb_of(&shows(&appliance, [40, 99, 77]).await), [40, 99, 77], "channel 2 was seen");
    // Since the port was opened, that is.
    shield.unplug();
    shield.plug();
    listens(&appliance, 2).await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    shield.say("DMX: read value from channel 1: 88\r\n");
    shows(&appliance, [88, 2, 3]).await;
}

#[tokio::test]
async fn unplugged_and_plugged_in_again_it_goes_on() {
    let (mut shield, home) = with_shield();
    let appliance = listening(home).await;
    let web = appliance.web();
    shield.levels(&[1, 2, 3]);
    shows(&appliance, [1, 2, 3]).await;
    let up = input(&web).await;
    assert_eq!((&up["enabled"], &up["connected"], &up["universe"]), (&json!(true), &json!(true), &json!(0)), "{up}");
    assert!(up["target"].as_str().is_some_and(|target| target.contains("shield")), "{up}");
    assert_eq!(problem(&web, "INPUT_DOWN").await, None);
    shield.say("DMX: read value from channel 1: 1"); // a line that never ends
    shield.unplug();
    let down = eventually("the input to be down", async || Some(input(&web).await).filter(|i| i["connected"] == false));
    let down = down.await;
    assert!(down["lastError"].is_string() && down["lastErrorAt"].is_u64(), "{down}");
    let advice = eventually("the problem", async || problem(&web, "INPUT_DOWN").await).await;
    assert!(advice.contains("input"), "{advice}");
    assert_eq!(web.metric("dmx_input_connected").await, 0.0);
    shield.plug();
    listens(&appliance, 2).await;
    shield.say("00\r\n"); // not the rest of the line before
    shield.levels(&[4, 5, 6]);
    assert_eq!(shows(&appliance, [4, 5, 6]).await["seq"], 2);
    eventually("the end of the problem", async || problem(&web, "INPUT_DOWN").await.is_none().then_some(())).await;
    assert_eq!(input(&web).await["reconnects"], 1);
    assert_eq!(web.metric("dmx_input_reconnects_total").await, 1.0);
    assert!((1..=2).contains(&said(&appliance, "input_error")), "once per change of condition");
}

#[tokio::test]
async fn absent_at_boot_it_is_read_as_soon_as_it_is_there() {
    let home = Home::new();
    let mut shield = Shield::absent(home.beside("shield"));
    let home = home.set("DMX_INPUT_ENABLED", "true").set("DMX_INPUT_PORT", shield.path());
    let appliance = home.start().await;
    let advice = eventually("the problem", async || problem(&appliance.web(), "INPUT_DOWN").await).await;
    assert!(advice.contains("plugged in"), "{advice}");
    appliance.log.wait("the warning", |line| line["message"] == "input_error").await;
    assert_eq!(said(&appliance, "input_error"), 1);
    shield.plug();
    listens(&appliance, 1).await;
    shield.levels(&[1, 2, 3]);
    shows(&appliance, [1, 2, 3]).await;
}

#[tokio::test]
async fn source_and_number_of_channels_are_settings() {
    let (shield, home) = with_shield();
    let appliance = listening(home.set("DMX_INPUT_SRC", "foh-desk").set("DMX_INPUT_CHANNELS", "1")).await;
    shield.say("DMX: read value from channel 2: 9\r\nDMX: read value from channel 3: 9\r\n");
    shield.say("DMX: read value from channel 1: 5\r\n");
    let state = shows(&appliance, [5, 0, 0]).await;
    assert_eq!((&state["seq"], &state["updatedBy"]), (&json!(1), &json!("foh-desk")));
}

#[tokio::test]
async fn more_than_three_channels_count_as_three() {
    let (shield, home) = with_shield();
    let appliance = listening(home.set("DMX_INPUT_CHANNELS", "512")).await;
    shield.levels(&[1, 2, 3, 4, 5]);
    assert_eq!(shows(&appliance, [1, 2, 3]).await["seq"], 1);
    let frame = appliance.web().get("/universes/0/frame").await.json();
    assert_eq!(frame["frame"][3], 0, "channel 4 is not of the lamp");
}

#[tokio::test]
async fn another_universe_is_patched_and_the_lamp_is_left_alone() {
    let (shield, home) = with_shield();
    let appliance = listening(home.set("DMX_INPUT_UNIVERSE", "2")).await;
    let web = appliance.web();
    web.accepted(&command([9, 9, 9])).await;
    shield.levels(&[1, 2, 3]);
    let mut frame = vec![0; 512];
    frame[..3].copy_from_slice(&[1, 2, 3]);
    eventually("the patch", async || {
        let answer = web.get("/universes/2/frame").await;
        (answer.json() == json!({"universe": 2, "frame": frame})).then_some(())
    })
    .await;
    assert_eq!(web.seq().await, 2, "one command");
    assert_eq!(rgb_of(&web.state().await), [9, 9, 9]);
    assert_eq!(input(&web).await["universe"], 2);
    // A channel that was not seen since the port was opened keeps its level there, too.
    shield.say("DMX: read value from channel 2: 200\r\n");
    eventually("the second patch", async || {
        let frame = web.get("/universes/2/frame").await.json()["frame"].clone();
        (frame[0] == 1 && frame[1] == 200 && frame[2] == 3).then_some(())
    })
    .await;
    assert_eq!(web.seq().await, 3);
}

#[tokio::test]
async fn an_input_without_a_port_is_a_warning_and_one_that_is_off_is_listed() {
    let appliance = Home::new().set("DMX_INPUT_ENABLED", "true").start().await;
    let line = appliance.log.wait("the warning", |line| line["message"] == "input_error").await;
    assert_eq!(line["level"], "WARN", "{line}");
    let advice = problem(&appliance.web(), "INPUT_DOWN").await.expect("a problem");
    assert!(advice.contains("DMX_INPUT_PORT"), "{advice}");
    assert_eq!(input(&appliance.web()).await["connected"], false);
    appliance.assert_serves().await;

    let appliance = Appliance::start().await;
    let shown = input(&appliance.web()).await;
    assert_eq!((&shown["enabled"], &shown["connected"]), (&json!(false), &json!(false)), "{shown}");
    assert_eq!(problem(&appliance.web(), "INPUT_DOWN").await, None);
}
