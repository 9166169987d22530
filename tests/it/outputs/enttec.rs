//! The widget on a named port: what is on the wire, when, and what happens when the line is bad.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{
    REFRESH, all_counted, assert_only_refreshes_repeat, assert_paced, connected, errors, light, metric, on_port,
    output, problem, said, with_widget,
};
use crate::harness::{
    CMD, Connect, HEADROOM, Home, LATE, Link, Manner, ReceivedFrame, Widget, WsWatcher, assert_apart, colour, command,
    eventually, eventually_within, fresh_id, index_of,
};

#[tokio::test]
async fn a_frame_is_these_518_bytes() {
    let (widget, home) = with_widget();
    let appliance = home.start().await;
    light(&appliance, &widget, [1, 0x7E, 0xE7]).await;
    let mut frame = vec![0x7E, 6, 0x01, 0x02, 0, 1, 0x7E, 0xE7];
    frame.resize(5 + 512, 0);
    frame.push(0xE7);
    let bytes = widget.tape().bytes;
    assert!(bytes.windows(frame.len()).any(|window| window == frame), "{bytes:02X?}");
    widget.assert_well_framed();
}

#[tokio::test]
async fn it_is_asked_once_and_says_where_it_is() {
    let (widget, home) = with_widget();
    let path = widget.path().to_str().unwrap().to_owned();
    let appliance = home.start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    let line = appliance.log.wait("output_connected", |line| line["message"] == "output_connected").await;
    assert_eq!((&line["output"], line["level"].as_str()), (&json!("enttec"), Some("INFO")), "{line}");
    assert!(line["to"].as_str().is_some_and(|to| to.contains(&path)), "{line}");
    let shown = connected(&appliance.web(), "enttec", true).await;
    assert_eq!((&shown["enabled"], &shown["universe"], &shown["lastError"]), (&json!(true), &json!(0), &json!(null)));
    assert!(shown["target"].as_str().is_some_and(|target| target.contains(&path)), "{shown}");
    assert_eq!(widget.tape().asked, 1);
    assert_eq!(said(&appliance, "usb_silent") + said(&appliance, "usb_error"), 0);
}

#[tokio::test]
async fn the_output_mode_alone_switches_it_on_and_null_switches_nothing_off() {
    for (mode, switch) in [("enttec", "false"), ("null", "true")] {
        let home = Home::new();
        let widget = Widget::plugged_in(home.beside("widget"));
        let home = on_port(home, widget.path()).set("OUTPUT_MODE", mode).set("DMX_USB_ENABLED", switch);
        light(&home.start().await, &widget, [1, 2, 3]).await;
    }
}

#[tokio::test]
async fn an_output_that_is_off_is_listed_and_touches_nothing() {
    let home = Home::new();
    let widget = Widget::plugged_in(home.beside("widget"));
    let appliance = home.set("DMX_USB_PORT", widget.path()).start().await;
    let shown = output(&appliance.web(), "enttec").await;
    assert_eq!((&shown["enabled"], &shown["connected"]), (&json!(false), &json!(false)), "{shown}");
    appliance.web().send(appliance.web().request(Method::POST, "/usb/reconnect")).await.problem(404);
    assert_eq!(problem(&appliance.web(), "OUTPUT_DOWN").await, None);
    appliance.assert_serves().await;
    assert_eq!(widget.tape().bytes, b"");
}

#[tokio::test]
async fn the_restored_state_is_sent_at_once() {
    let (mut widget, home) = with_widget();
    let appliance = home.start().await;
    light(&appliance, &widget, [11, 22, 33]).await;
    let home = appliance.kill9().await;
    widget.unplug();
    widget.plug();
    let before = widget.frames().len();
    let start = Instant::now();
    let appliance = home.start().await;
    let first = widget.taken(before + 1).await[before].clone();
    assert_eq!(first.rgb(), [11, 22, 33], "no dark frame before it");
    println!("on the wire after {:?}", first.at - start);
    assert_eq!(appliance.web().seq().await, 1, "without a command");
    widget.assert_well_framed();
}

#[tokio::test]
async fn a_named_port_that_stays_mute_is_used_with_one_warning() {
    let home = Home::new();
    let widget = Widget::plugged_in(home.beside("widget")).with(Manner::Mute);
    let appliance = on_port(home, widget.path()).start().await;
    let start = Instant::now();
    light(&appliance, &widget, [1, 2, 3]).await;
    // it was asked before the doors were open, or a little later
    assert!(start.elapsed() < Duration::from_millis(300) * HEADROOM, "{:?}", start.elapsed());
    widget.taken(4).await;
    let line = appliance.log.wait("the warning", |line| line["message"] == "usb_silent").await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!((said(&appliance, "usb_silent"), said(&appliance, "usb_error")), (1, 0));
    assert_eq!(widget.tape().asked, 1);
    connected(&appliance.web(), "enttec", true).await;
    widget.assert_well_framed();
}

#[tokio::test]
async fn a_thousand_changes_at_once_end_on_the_last() {
    const CHANGES: u32 = 1000;
    let (widget, home) = with_widget();
    let appliance = home.set("DMX_USB_FPS", "40").start().await;
    light(&appliance, &widget, colour(0x10_0000)).await;
    let wheel = WsWatcher::start(appliance.http).await;
    let start = Instant::now();
    for n in 1..=CHANGES {
        let [r, g, b] = colour(n);
        wheel.send(&json!({"type": "set", "cmdId": fresh_id(), "src": "test", "r": r, "g": g, "b": b})).await;
    }
    wheel.wait_seq(u64::from(CHANGES) + 1).await;
    let took = start.elapsed();
    widget.shows(colour(CHANGES)).await;
    let frames = widget.frames();
    println!("{CHANGES} changes in {took:?}, {} frames", frames.len());
    assert_paced(&frames, 40);
    assert_only_refreshes_repeat(&frames);
    let mut indices: Vec<_> = frames.iter().map(|frame| index_of(frame.rgb())).collect();
    indices.retain(|&index| (1..=CHANGES).contains(&index));
    assert!(indices.is_sorted(), "never an older frame after a newer one: {indices:?}");
    indices.dedup(); // refreshes
    widget.assert_well_framed();

    let web = appliance.web();
    let skipped = web.metric("dmx_output_skipped_total{output=\"enttec\",reason=\"rate\"}").await;
    let changed = indices.len() as f64;
    assert_eq!(skipped, f64::from(CHANGES) - changed, "each change was sent or counted as overtaken");
}

#[tokio::test]
async fn the_rate_is_a_setting() {
    let (widget, home) = with_widget();
    let appliance = home.set("DMX_USB_FPS", "5").start().await;
    light(&appliance, &widget, colour(1)).await;
    let mut producer = Link::join(appliance.mqtt, &Connect::new("producer")).await;
    let start = Instant::now();
    let mut n = 1;
    while start.elapsed() < Duration::from_secs(1) {
        n += 1;
        producer.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
    }
    widget.shows(colour(n)).await;
    assert_paced(&widget.frames(), 5);
    assert!(widget.frames().len() >= 4, "it also uses its rate: {:?}", widget.frames().len());
}

#[tokio::test]
async fn a_static_light_is_refreshed_once_a_second() {
    refreshes(6).await;
}

/// Leaves the light unchanged for this many seconds.
pub async fn refreshes(seconds: u64) {
    let (widget, home) = with_widget();
    let appliance = home.start().await;
    light(&appliance, &widget, [1, 2, 3]).await;
    let first = widget.frames().last().unwrap().clone();
    let watch = Duration::from_secs(seconds) + Duration::from_millis(500);
    let watched = async || (first.at.elapsed() > watch).then(|| widget.frames());
    let all = eventually_within(watch * 2, "the end of the watch", watched).await;
    let is_watched = |frame: &ReceivedFrame| frame.at > first.at && frame.at - first.at <= watch;
    let refreshes: Vec<_> = all.into_iter().filter(is_watched).collect();
    assert!(refreshes.iter().all(|frame| frame.levels == first.levels));
    let times: Vec<_> = std::iter::once(&first).chain(&refreshes).map(|frame| frame.at).collect();
    assert_apart(times.iter().copied(), REFRESH);
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] < REFRESH + LATE, "{:?}", pair[1] - pair[0]);
    }
    assert!(first.at + watch - times[times.len() - 1] < REFRESH + LATE, "the last one came {times:?}");
    // the same colour again changes the state, not the light
    let before = widget.frames().len();
    for _ in 0..20 {
        appliance.web().accepted(&command([1, 2, 3])).await;
    }
    assert_only_refreshes_repeat(&widget.frames()[before - 1..]);
    widget.assert_well_framed();
}

#[tokio::test]
async fn unplugged_and_plugged_in_again_it_comes_back_without_a_restart() {
    let (mut widget, home) = with_widget();
    let appliance = home.start().await;
    let web = appliance.web();
    light(&appliance, &widget, [1, 2, 3]).await;
    assert_eq!(connected(&web, "enttec", true).await["reconnects"], 0);
    for round in 1..=2 {
        widget.unplug();
        let down = connected(&web, "enttec", false).await;
        assert!(down["lastError"].as_str().is_some_and(|text| !text.is_empty()), "{down}");
        assert!(down["lastErrorAt"].as_u64().is_some_and(|at| at > 1_600_000_000_000), "{down}");
        assert!(down["errors"].as_u64().is_some_and(|errors| errors >= round), "{down}");
        let advice = eventually("the problem", async || problem(&web, "OUTPUT_DOWN").await).await;
        assert!(advice.contains("enttec"), "{advice}");
        assert_eq!(metric(&web, "connected", "enttec").await, 0.0);
        // nobody waits for it
        let rgb = [round as u8, 9, 9];
        appliance.web().accepted(&command(rgb)).await;
        let before = widget.frames().len();
        widget.plug();
        let first = widget.taken(before + 1).await[before].clone();
        assert_eq!(first.rgb(), rgb, "the first frame is the newest light");
        let up = connected(&web, "enttec", true).await;
        assert_eq!(up["reconnects"], round, "{up}");
        assert!(up["lastError"].is_string(), "what went wrong stays readable: {up}");
        eventually("the end of the problem", async || problem(&web, "OUTPUT_DOWN").await.is_none().then_some(())).await;
        assert_eq!(metric(&web, "connected", "enttec").await, 1.0);
        assert_eq!(metric(&web, "reconnects_total", "enttec").await, round as f64);
    }
    let at_most = 4; // the break of the line and the absence, twice
    assert!((2..=at_most).contains(&said(&appliance, "usb_error")), "once per change of condition");
    widget.assert_well_framed();
}

#[tokio::test]
async fn a_widget_that_takes_nothing_delays_no_command_and_loses_one_frame_only() {
    let (widget, home) = with_widget();
    let appliance = home.start().await;
    let web = appliance.web();
    light(&appliance, &widget, [1, 2, 3]).await;
    let before = widget.tape();
    widget.stall_after(200); // in the middle of a frame
    let mut slowest = Duration::ZERO;
    let mut n = 0;
    eventually("the stall to be noticed", async || {
        n += 1;
        let start = Instant::now();
        web.accepted(&command(colour(n))).await;
        slowest = slowest.max(start.elapsed());
        (output(&web, "enttec").await["connected"] == false).then_some(())
    })
    .await;
    println!("{n} commands beside the stall, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_millis(100) * HEADROOM, "{slowest:?}");
    assert!(errors(&web, "enttec", "timeout").await >= 1.0);
    widget.go_on();
    web.accepted(&command(colour(n + 1))).await;
    widget.shows(colour(n + 1)).await;
    connected(&web, "enttec", true).await;

    let tape = widget.tape();
    let indices: Vec<_> = tape.frames[before.frames.len()..].iter().map(|frame| index_of(frame.rgb())).collect();
    assert!(indices.is_sorted(), "nothing old after something new: {indices:?}");
    // Its buffered bytes were cut in one place. It then received the question, which it would otherwise have taken for the rest of
    // that frame, and with it the frames after it.
    assert!(tape.faults.iter().all(|fault| fault.contains("ends in 00")), "{:?}", tape.faults);
    assert!(tape.faults.len() <= 1, "{:?}", tape.faults);
    assert!(tape.asked > before.asked, "it heard the question");
    assert_eq!(said(&appliance, "usb_silent"), 0);
}

#[tokio::test]
async fn a_port_that_is_in_use_is_left_to_its_user() {
    let (widget, home) = with_widget();
    let first = home.start().await;
    light(&first, &widget, [1, 2, 3]).await;
    let second = on_port(Home::new(), widget.path()).start().await;
    let web = second.web();
    let shown = eventually("the refusal", async || {
        Some(output(&web, "enttec").await).filter(|output| output["lastError"].is_string())
    })
    .await;
    assert_eq!(shown["connected"], false);
    let text = shown["lastError"].as_str().unwrap();
    assert!(text.contains("another program"), "{text}");
    let advice = problem(&web, "OUTPUT_DOWN").await.expect("a problem");
    assert!(advice.contains("another program"), "{advice}");
    assert!(errors(&web, "enttec", "open").await >= 1.0);
    second.web().accepted(&command([200, 0, 0])).await;
    let answer = web.send(web.request(Method::POST, "/usb/reconnect")).await.problem(502);
    assert!(answer["detail"].as_str().is_some_and(|text| text.contains("another program")), "{answer}");

    light(&first, &widget, [4, 5, 6]).await;
    assert!(widget.frames().iter().all(|frame| frame.rgb() != [200, 0, 0]));
    assert_eq!(widget.tape().asked, 1, "the second one did not even ask");
    widget.assert_well_framed();
    assert_eq!(second.terminate().await.0.code(), Some(0));
    light(&first, &widget, [7, 8, 9]).await;
    assert!(first.terminate().await.0.success());
}

#[tokio::test]
async fn a_person_can_have_it_opened_anew() {
    let (mut widget, home) = with_widget();
    let path = widget.path().to_str().unwrap().to_owned();
    let appliance = home.start().await;
    let web = appliance.web();
    let reconnect = async || web.send(web.request(Method::POST, "/usb/reconnect")).await;
    light(&appliance, &widget, [1, 2, 3]).await;
    let frames = widget.frames().len();
    let answer = reconnect().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"port": path})));
    widget.taken(frames + 1).await;
    // It is asked once per open, and whoever opens it has closed it before: the line is exclusive. The close itself is over
    // before a slow reader looks.
    assert_eq!(widget.tape().asked, 2, "it was closed and opened");
    widget.shows([1, 2, 3]).await;

    widget.unplug();
    let gone = reconnect().await.problem(404);
    assert!(gone["detail"].as_str().is_some_and(|text| text.contains(&path)), "{gone}");
    widget.plug();
    let answer = reconnect().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"port": path})));
    light(&appliance, &widget, [4, 5, 6]).await;
    widget.assert_well_framed();
}

#[tokio::test]
async fn the_metrics_of_the_output_move() {
    let (mut widget, home) = with_widget();
    let appliance = home.start().await;
    let web = appliance.web();
    light(&appliance, &widget, [1, 2, 3]).await;
    connected(&web, "enttec", true).await;
    all_counted(&web, &widget, "enttec").await;
    let frames = metric(&web, "frames_total", "enttec").await;
    assert!(frames >= 1.0);
    let slow = metric(&web, "latency_seconds_count", "enttec").await;
    for n in 1..=10 {
        light(&appliance, &widget, colour(n)).await;
    }
    all_counted(&web, &widget, "enttec").await;
    assert!(metric(&web, "frames_total", "enttec").await >= frames + 10.0);
    assert_eq!(metric(&web, "latency_seconds_count", "enttec").await, slow + 10.0, "refreshes have no latency");
    let identical = "dmx_output_skipped_total{output=\"enttec\",reason=\"identical\"}";
    let before = web.metric(identical).await;
    for _ in 0..5 {
        web.accepted(&command(colour(10))).await;
    }
    eventually("the skipped ones", async || (web.metric(identical).await == before + 5.0).then_some(())).await;
    let fps = eventually("a rate", async || Some(metric(&web, "fps", "enttec").await).filter(|&fps| fps > 0.0)).await;
    assert!(fps <= 41.0, "{fps}");
    let shown = output(&web, "enttec").await;
    assert!(shown["framesSent"].as_u64().is_some_and(|sent| sent >= 11) && shown["fps"].is_number(), "{shown}");
    widget.unplug();
    connected(&web, "enttec", false).await;
    let kinds = ["absent", "open", "write", "timeout", "answer"];
    let mut total = 0.0;
    for kind in kinds {
        total += errors(&web, "enttec", kind).await;
    }
    assert!(total >= 1.0);
    assert_eq!(metric(&web, "fps", "enttec").await, 0.0);
}

#[tokio::test]
async fn a_long_absence_is_one_line_in_the_log() {
    let home = Home::new();
    let widget = Widget::absent(home.beside("widget"));
    let appliance = on_port(home, widget.path()).start().await;
    eventually("several tries", async || (errors(&appliance.web(), "enttec", "absent").await >= 4.0).then_some(()))
        .await;
    assert_eq!(said(&appliance, "usb_error"), 1);
    let line = appliance.log.find(|line| line["message"] == "usb_error").unwrap();
    assert_eq!(line["level"], "WARN", "{line}");
}
