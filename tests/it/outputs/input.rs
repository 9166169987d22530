//! The serial input: what a SparkFun DMX shield writes becomes commands.

use std::time::{Duration, Instant};

use reqwest::Method;
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
    // it is counted once the engine has answered, which may be after others have seen the light
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
    // none of these gives a level of ours
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
    // the length of the pause is the test's input
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
    assert_eq!(rgb_of(&shows(&appliance, [40, 50, 77]).await), [40, 50, 77], "nor does one that has not moved");
    // since the port was opened, that is
    shield.unplug();
    shield.plug();
    listens(&appliance, 2).await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    shield.say("DMX: read value from channel 1: 88\r\n");
    shows(&appliance, [88, 2, 3]).await;
}

#[tokio::test]
async fn a_channel_that_flickers_takes_no_other_back_and_ends_no_scene() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    let web = appliance.web();
    shield.levels(&[100, 150, 200]);
    shows(&appliance, [100, 150, 200]).await;
    let scene = json!({"id": "s", "name": "Stage", "channelValues": {"2": 20, "3": 30, "9": 90}, "timestamp": 1});
    let stored = web.send(web.request(Method::PUT, "/scenes").body(json!([scene]).to_string())).await;
    assert_eq!(stored.status, 200, "{stored:?}");
    let recalled = web.send(web.request(Method::POST, "/scenes/s/recall")).await;
    assert_eq!(recalled.json()["scene"], "s", "{recalled:?}");
    for (n, level) in [101, 100, 101, 100].into_iter().enumerate() {
        shield.levels(&[level, 150, 200]);
        let state = shows(&appliance, [level, 20, 30]).await;
        assert_eq!((&state["seq"], &state["updatedBy"]), (&json!(3 + n), &json!("dmx-input")), "one command each");
    }
    assert_eq!(web.get("/desk").await.json()["scene"], "s");
    // nor does it take them out of a fade
    let fade =
        json!({"type": "dmx.fade", "id": "f", "universe": 0, "patch": [{"ch": 2, "val": 255}], "durationMs": 600_000});
    assert_eq!(web.send(web.request(Method::POST, "/command").body(fade.to_string())).await.json()["accepted"], true);
    shield.levels(&[90, 150, 200]);
    eventually("the fader", async || (web.state().await["r"] == 90).then_some(())).await;
    assert_eq!(web.get("/fades").await.json()["fades"][0]["channels"], 1);
}

#[tokio::test]
async fn a_dead_band_keeps_noise_quiet_and_where_a_fader_rests_is_sent() {
    for universe in ["0", "2"] {
        let (shield, home) = with_shield();
        let home = home.set("DMX_INPUT_DEAD_BAND", "2").set("DMX_INPUT_UNIVERSE", universe);
        let appliance = listening(home).await;
        let web = appliance.web();
        let path = format!("/universes/{universe}/frame");
        let frame = async |levels: [u8; 3]| {
            eventually(&format!("{levels:?} on universe {universe}"), async || {
                (web.get(&path).await.json()["frame"].as_array().unwrap()[..3] == levels.map(Value::from)).then_some(())
            })
            .await;
        };
        shield.levels(&[100, 150, 200]);
        frame([100, 150, 200]).await;
        // in one piece, so that nothing in it comes to rest however late this machine is
        let noise = |level: u8| format!("DMX: read value from channel 1: {level}\r\n");
        let text: String = (0..300).map(|n| noise([98, 101, 102, 99, 101, 100][n % 6])).collect();
        shield.say(&text);
        eventually("the noise to be read", async || {
            (web.metric("dmx_input_readings_total").await >= 303.0).then_some(())
        })
        .await;
        assert_eq!(web.seq().await, 1, "within the dead band nothing is said");
        shield.levels(&[103, 150, 200]);
        frame([103, 150, 200]).await;
        assert_eq!(web.seq().await, 2, "beyond it at once");
        // Where it comes to rest, even if the console then falls silent.
        let start = Instant::now();
        shield.levels(&[104, 149, 200]);
        frame([104, 149, 200]).await;
        assert!(start.elapsed() >= Duration::from_millis(190), "{:?}", start.elapsed());
        assert_eq!(web.seq().await, 3);
    }
}

#[tokio::test]
async fn colours_of_a_log_do_not_matter() {
    let (shield, home) = with_shield();
    let appliance = listening(home).await;
    // as ESP-IDF writes a line: the colour of its level, and the end of that behind it
    for (channel, level) in [(1, 11), (2, 12), (3, 13)] {
        shield.say(&format!("\x1b[0;32mI (5{channel}) DMX: read value from channel {channel}: {level}\x1b[0m\r\n"));
    }
    shows(&appliance, [11, 12, 13]).await;
    assert_eq!(appliance.web().metric("dmx_input_ignored_lines_total").await, 0.0);
}

#[tokio::test]
async fn noise_without_line_ends_is_counted_and_told_until_a_line_is_read() {
    let (mut shield, home) = with_shield();
    let appliance = listening(home).await;
    let web = appliance.web();
    let noise = "\u{7f}~x\u{0}".repeat(100);
    let start = Instant::now();
    let advice = eventually("the problem", async || {
        shield.say(&noise);
        problem(&web, "INPUT_UNREADABLE").await
    })
    .await;
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(advice.contains("input.baudrate"), "{advice}");
    assert!(web.metric("dmx_input_ignored_lines_total").await >= 2.0);
    assert_eq!((said(&appliance, "input_unreadable"), problem(&web, "INPUT_DOWN").await), (1, None));
    shield.say("\r\n");
    shield.levels(&[1, 2, 3]);
    shows(&appliance, [1, 2, 3]).await;
    assert_eq!(problem(&web, "INPUT_UNREADABLE").await, None);
    shield.unplug();
    eventually("it to be down", async || problem(&web, "INPUT_DOWN").await).await;
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
    // A channel not seen since the port was opened keeps its level there, too.
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
