//! What goes over the wire to OLA: whole bodies, one connection, the pace, the refresh, the login.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{at_once, down, errors, metric, sending_to};
use crate::harness::{Appliance, FakeOla, Mood, Shows, assert_apart, burst, command, drag, eventually, index_of};

#[tokio::test]
async fn a_frame_is_the_form_that_ola_reads() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).set("DMX_OLA_UNIVERSE", "42").start().await;
    appliance.web().accepted(&command([255, 10, 0])).await;
    let posted = ola.wait_light(42, [255, 10, 0]).await;
    assert_eq!(posted.body, format!("u=42&d=255,10,0{}", ",0".repeat(509)));
    assert_eq!(posted.head.lines().next(), Some("POST /set_dmx HTTP/1.1"));
    assert_eq!(posted.header("content-type"), "application/x-www-form-urlencoded");
}

#[tokio::test]
async fn all_frames_go_over_one_connection_one_after_the_other() {
    // slower than the pace: the next frame is due before the answer
    let ola = FakeOla::start(Mood::Slow(Duration::from_millis(60))).await;
    let appliance = sending_to(&ola.url()).start().await;
    drag(&appliance, Duration::from_millis(1500)).await;
    let posted = ola.wait_posted(20).await;
    assert!(posted.iter().all(|posted| posted.connection == 0), "{} connections", ola.connections());
    assert!(posted.iter().all(|posted| posted.in_flight == 1));
}

#[tokio::test]
async fn two_universes_do_not_wait_for_each_other() {
    let ola = FakeOla::start(Mood::BlackHole).await;
    let appliance = sending_to(&ola.url()).set("DMX_OLA_UNIVERSES", "1:2").start().await;
    let posted = ola.wait_ended(2).await;
    assert_ne!(posted[0].frame().0, posted[1].frame().0);
    assert!(posted[1].at < posted[0].ended.unwrap(), "both are in the air at the same time");
    ola.turn(Mood::Ok);
    appliance.web().accepted(&command([5, 5, 5])).await;
    ola.wait_light(1, [5, 5, 5]).await;
    ola.wait_light(2, [0, 0, 0]).await;
    assert!(ola.posted().iter().all(|posted| posted.in_flight == 1), "one request in flight for each universe");
}

#[tokio::test]
async fn a_drag_keeps_the_pace_and_ends_on_its_last_colour() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).start().await;
    let before = ola.wait_posted(1).await.len();
    let start = Instant::now();
    let last = drag(&appliance, Duration::from_secs(3)).await;
    let end = at_once(ola.wait_light(1, last)).await.at;
    let posted = ola.posted();
    let frames = posted.len() - before;
    let most = 44.0 * (end - start).as_secs_f64() + 2.0;
    assert!(frames > 30 && frames as f64 <= most, "{frames} frames, {most:.1} at the most");
    let mut shown: Vec<_> = posted.iter().map(|posted| index_of(posted.lamp())).filter(|&index| index > 0).collect();
    shown.dedup(); // refreshes
    let skipped = appliance.web().metric("dmx_output_skipped_total{output=\"ola\",reason=\"rate\"}").await;
    let (changes, shown) = (f64::from(index_of(last)), shown.len() as f64);
    assert_eq!(skipped, changes - shown, "each of {changes} changes was sent or counted as overtaken");
}

#[tokio::test]
async fn a_burst_ends_on_its_last_colour() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    ola.wait_light(1, [1, 2, 3]).await; // the next refresh is a second away
    let last = burst(&appliance, 1000).await;
    at_once(ola.wait_light(1, last)).await;
    assert!(ola.posted().len() < 300, "{} frames", ola.posted().len());
}

#[tokio::test]
async fn one_frame_a_second_is_a_legal_pace() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).set("DMX_OLA_FPS", "1").start().await;
    ola.wait_posted(1).await;
    let last = drag(&appliance, Duration::from_millis(2200)).await;
    ola.wait_light(1, last).await;
    let posted = ola.posted();
    assert!(posted.len() >= 3, "it also uses its pace: {posted:?}");
    assert_apart(posted.iter().map(|posted| posted.at), Duration::from_secs(1));
}

#[tokio::test]
async fn a_static_light_is_one_frame_a_second() {
    static_light(5).await;
}

/// A light that stands still for this many seconds: one frame a second, all alike, as `GET /outputs` counts them.
pub async fn static_light(seconds: usize) {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).start().await;
    appliance.web().accepted(&command([30, 60, 90])).await;
    ola.wait_light(1, [30, 60, 90]).await;
    let (first, start) = (ola.posted().len() - 1, Instant::now());
    let posted = loop {
        let seen = ola.posted().len();
        let posted = ola.wait_posted(seen + 1).await;
        if start.elapsed() >= Duration::from_secs(seconds as u64) {
            break posted;
        }
    };
    let refreshes = &posted[first..];
    assert!(refreshes.iter().all(|posted| posted.lamp() == [30, 60, 90]));
    assert_apart(refreshes.iter().map(|posted| posted.at), Duration::from_secs(1));
    for pair in refreshes.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap < Duration::from_millis(2000), "in time for OLA, which forgets after 2.5 s: {gap:?}");
    }
    // a frame counts once its answer is there
    eventually("all of them to be counted", async || {
        (metric(&appliance, "frames_total").await == ola.posted().len() as f64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_shown_is_read_back_and_two_strange_answers_in_a_row_are_told() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).set("DMX_OLA_UNIVERSES", "1:2").start().await;
    let overruled = async || {
        let body = appliance.web().get("/readyz").await.json();
        let problems = body["problems"].as_array().expect("a list of problems").clone();
        let of_it = |problem: &Value| problem["code"] == "OUTPUT_OVERRULED";
        problems
            .iter()
            .filter(|problem| of_it(problem))
            .map(|p| p["message"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let read_back = async |times: usize| {
        let before = ola.read_back();
        eventually("it to be read back", async || (ola.read_back() >= before + times).then_some(())).await;
    };
    appliance.web().accepted(&command([5, 6, 7])).await;
    ola.wait_light(1, [5, 6, 7]).await;
    read_back(6).await;
    assert_eq!(overruled().await, Vec::<String>::new());
    // short, because that is what the other one has sent; the rest is dark
    ola.shows(Shows::Others("5,6".to_owned()));
    let told = eventually("both to be told", async || Some(overruled().await).filter(|told| told.len() == 2)).await;
    assert!(told[0].starts_with("ola: ") && told[1].starts_with("ola-1: "), "{told:?}");
    ola.shows(Shows::Ours);
    eventually("the end of it", async || overruled().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_answer_that_tells_nothing_holds_up_no_light() {
    for silent in [Shows::Nothing, Shows::Endless] {
        let ola = FakeOla::start(Mood::Ok).await;
        ola.shows(silent);
        let appliance = sending_to(&ola.url()).start().await;
        eventually("it to be read back", async || (ola.read_back() > 0).then_some(())).await;
        let frames = ola.posted().len();
        let last = drag(&appliance, Duration::from_millis(500)).await;
        at_once(ola.wait_light(1, last)).await;
        assert!(ola.posted().len() > frames + 5, "{} frames", ola.posted().len() - frames);
        let problems = appliance.web().get("/readyz").await.json()["problems"].clone();
        assert_eq!((problems, ola.read_back()), (json!([]), 1), "it is not asked again soon");
    }
}

#[tokio::test]
async fn the_list_of_outputs_tells_how_each_fares() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).set("DMX_OLA_UNIVERSES", "1:2").start().await;
    appliance.web().accepted(&command([5, 6, 7])).await;
    let posted = ola.wait_light(1, [5, 6, 7]).await;
    let well = eventually("both work", async || {
        let frames = ola.posted().iter().filter(|posted| posted.frame().0 == 1).count();
        let [lamp, second] = [output(&appliance, "ola").await, output(&appliance, "ola-1").await];
        (lamp["connected"] == true && second["connected"] == true && lamp["framesSent"] == frames)
            .then_some([lamp, second])
    });
    let [lamp, second] = well.await;
    assert_eq!([&lamp["universe"], &second["universe"]], [0, 1]);
    assert_eq!(lamp["target"], format!("{} universe 1", ola.url()));
    assert_eq!([&lamp["enabled"], &lamp["errors"], &lamp["lastError"]], [&json!(true), &json!(0), &Value::Null]);
    assert_eq!(output(&appliance, "enttec").await["enabled"], false, "those that are switched off are listed");
    let frame = appliance.web().get("/universes/0/frame").await.json();
    assert_eq!(frame["frame"], json!(posted.frame().1), "what is sent is what REST shows");

    ola.turn(Mood::Says("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into()));
    let ill = eventually("it is down", async || {
        Some(output(&appliance, "ola").await).filter(|output| output["connected"] == false)
    });
    let ill = ill.await;
    assert!(ill["lastError"].as_str().unwrap().contains("patch universe 1 in OLA first"), "{ill}");
    assert!(ill["errors"].as_u64() >= Some(1) && ill["lastErrorAt"].as_u64() > Some(1_700_000_000_000), "{ill}");
    ola.turn(Mood::Ok);
    eventually("it is back", async || (output(&appliance, "ola").await["reconnects"] == 1).then_some(())).await;
}

/// One of `GET /outputs`.
async fn output(appliance: &Appliance, name: &str) -> Value {
    let list = appliance.web().get("/outputs").await.json();
    let mut outputs = list["outputs"].as_array().expect("a list of outputs").iter();
    outputs.find(|output| output["name"] == name).unwrap_or_else(|| panic!("{name} in {list}")).clone()
}

#[tokio::test]
async fn a_login_in_the_address_is_used_and_never_shown() {
    let ola = FakeOla::start(Mood::Ok).await;
    let url = format!("http://someone:s3cret@{}/set_dmx", ola.address);
    let appliance = sending_to(&url).start().await;
    let posted = ola.wait_posted(1).await;
    assert_eq!(posted[0].header("authorization"), "Basic c29tZW9uZTpzM2NyZXQ=");
    nowhere_in(&appliance).await;
    for mood in [Mood::Says("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".into()), Mood::BlackHole] {
        ola.turn(mood);
        eventually("down", async || down(&appliance.web()).await.pop()).await;
        nowhere_in(&appliance).await;
        ola.turn(Mood::Ok);
        eventually("up", async || down(&appliance.web()).await.is_empty().then_some(())).await;
    }
    drop(ola);
    eventually("nobody there", async || down(&appliance.web()).await.pop()).await;
    nowhere_in(&appliance).await;
}

async fn nowhere_in(appliance: &Appliance) {
    for path in ["/readyz", "/outputs", "/metrics"] {
        let text = appliance.web().get(path).await.text;
        assert!(!text.contains("s3cret") && !text.contains("someone"), "{path}: {text}");
    }
    for line in appliance.log.all().into_iter().chain(appliance.stderr.all()) {
        assert!(!line.contains("s3cret") && !line.contains("someone"), "{line}");
    }
}

#[tokio::test]
async fn the_metrics_of_the_output_move() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = sending_to(&ola.url()).start().await;
    ola.wait_posted(1).await;
    let at_least = async |name: &str, least: f64| {
        eventually(name, async || (metric(&appliance, name).await >= least).then_some(())).await;
    };
    // The rate is that of the last second: later is too late to look.
    tokio::join!(drag(&appliance, Duration::from_millis(2500)), at_least("fps", 5.0));
    at_least("frames_total", 10.0).await;
    at_least("latency_seconds_count", 10.0).await;
    assert_eq!(metric(&appliance, "connected").await, 1.0);
    assert_eq!(metric(&appliance, "reconnects_total").await, 0.0);
    ola.turn(Mood::BlackHole);
    eventually("a time-out", async || (errors(&appliance, "timeout").await >= 1.0).then_some(())).await;
    assert_eq!(metric(&appliance, "connected").await, 0.0);
    assert_eq!(metric(&appliance, "fps").await, 0.0);
    ola.turn(Mood::Ok);
    at_least("reconnects_total", 1.0).await;
    assert_eq!(metric(&appliance, "connected").await, 1.0);
}
