//! `dmx.fade`: how levels move, when, and what clients receive meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use super::{accepted, arrived, desk, fade, fades, level, lit, patch, retained, rev, select, set};
use crate::harness::{
    Appliance, BusyLoops, FakeOla, HEADROOM, Home, LATE, Mood, StateWatcher, WsWatcher, command, eventually, rgb_of,
};

/// A DMX frame at 44 Hz.
const FRAME: Duration = Duration::from_millis(23);

/// Longer than any test waits.
const AGES: u64 = 60_000;

/// One change of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub rev: u64,
    /// The server's clock, milliseconds.
    pub ts: u64,
    pub level: u8,
}

/// The changes of a channel from `rev` on, including that one, whether it moved the channel or not.
pub fn course(tablet: &WsWatcher, universe: u8, channel: u16, rev: u64) -> Vec<Point> {
    let updates = tablet.picture().updates;
    let of = |update: &Value| {
        let (at, ts) = (update["rev"].as_u64().unwrap(), update["ts"].as_u64().unwrap());
        let mut delta = update["delta"].as_array().unwrap().iter();
        let moved = delta.find(|change| update["universe"] == universe && change["ch"] == channel);
        (at, ts, moved.map(|change| u8::try_from(change["val"].as_u64().unwrap()).unwrap()))
    };
    let mut before = 0;
    let mut points = Vec::new();
    for (at, ts, level) in updates.iter().map(of) {
        before = level.unwrap_or(before);
        if at >= rev && (level.is_some() || at == rev) {
            points.push(Point { rev: at, ts, level: before });
        }
    }
    points
}

/// From each point to the next a channel has gone no further than time has, at this many levels a second. A step may have got
/// its time late, since the machine is shared: the one after it is then measured from the one before.
pub fn assert_steady(points: &[Point], levels_a_second: f64) {
    let is_jump = |from: &Point, to: &Point| {
        let time = Duration::from_millis(to.ts - from.ts + 2) + FRAME;
        f64::from(from.level.abs_diff(to.level)) > time.as_secs_f64() * levels_a_second + 1.0
    };
    for (n, pair) in points.windows(2).enumerate() {
        let before = &points[n.saturating_sub(1)];
        let jump = is_jump(&pair[0], &pair[1]) && is_jump(before, &pair[1]);
        assert!(!jump, "{:?} to {:?} among {points:?}", pair[0], pair[1]);
    }
}

#[tokio::test]
async fn a_fade_ends_on_its_target_and_in_its_time() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let over = Duration::from_millis(300);
    let mut late = Vec::new();
    for target in [255, 1, 200, 0, 77] {
        let begin = web.seq().await + 1;
        accepted(&web, &fade(5, &[(1, target)], 300)).await;
        arrived(&web).await;
        let end = rev(&web).await;
        tablet.wait("the last step", |picture| (*picture.revs.last()? >= end).then_some(())).await;
        let points = course(&tablet, 5, 1, begin);
        let (first, last) = (points.first().unwrap(), points.last().unwrap());
        assert_eq!((last.level, level(&web, 5, 1).await, last.rev), (target, target, end), "{points:?}");
        let took = Duration::from_millis(last.ts - first.ts);
        assert!(took + Duration::from_millis(2) >= over && took < over + LATE, "{took:?} for {over:?}");
        late.push(took.saturating_sub(over));
    }
    late.sort();
    println!("300 ms took so much longer: {late:?}");
    assert!(late[2] < FRAME * HEADROOM, "within a frame: {late:?}");
}

#[tokio::test]
async fn a_fade_goes_in_small_steps_and_each_is_one_change_everybody_is_told() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    accepted(&web, &fade(0, &[(1, 255), (2, 100)], 2000)).await;
    arrived(&web).await;
    tablet.wait_seq(rev(&web).await).await;
    tablet.picture().assert_gap_free();
    let points = course(&tablet, 0, 1, 1);
    let picture = tablet.picture();
    for ((state, _), point) in picture.states[1..].iter().zip(&points) {
        assert_eq!((state["seq"].as_u64(), state["r"].as_u64()), (Some(point.rev), Some(point.level.into())));
    }
    assert!(points.is_sorted_by_key(|point| point.level), "one way: {points:?}");
    // 44 a second for 2 s, the command itself and the end.
    let steps = points.len();
    assert!(steps <= 90 && steps > 88 / HEADROOM as usize, "{steps} steps");
    assert_steady(&points, 255.0 / 2.0);
    let most = 3; // ⌈255 ÷ (44 × 2)⌉
    let small = points.windows(2).filter(|pair| pair[1].level - pair[0].level <= most).count();
    assert!(small * 2 > steps, "{small} of {steps} steps are of at most {most} levels: {points:?}");
    assert_eq!(picture.lamp(), [255, 100, 0]);
    assert_eq!(rgb_of(&web.state().await), [255, 100, 0]);
}

#[tokio::test]
async fn the_retained_state_follows_at_20_a_second_and_has_the_end() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let watcher = StateWatcher::start(appliance.mqtt).await;
    accepted(&web, &fade(0, &[(1, 255), (2, 254), (3, 253)], 2000)).await;
    let seen = eventually("the end on MQTT", async || {
        let seen = watcher.seen();
        (seen.last().unwrap().rgb == [255, 254, 253]).then_some(seen)
    })
    .await;
    arrived(&web).await;
    let state = web.state().await;
    assert_eq!((&watcher.last().body, &retained(appliance.mqtt).await), (&state, &state));
    assert!(seen.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].rgb <= pair[1].rgb));
    let most = 20.0 * (Duration::from_secs(2) + LATE).as_secs_f64() + 3.0;
    assert!(seen.len() > 3 && (seen.len() as f64) < most, "{} states in 2 s", seen.len());
}

#[tokio::test]
async fn after_its_end_nothing_changes_any_more() {
    let ola = FakeOla::start(Mood::Ok).await;
    let appliance = Home::new().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", ola.url()).start().await;
    let web = appliance.web();
    accepted(&web, &fade(0, &[(1, 255), (2, 128)], 300)).await;
    ola.wait_light(1, [255, 128, 0]).await;
    arrived(&web).await;
    let (seq, posted) = (web.seq().await, ola.posted().len());
    let tablet = WsWatcher::start(appliance.http).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let after = ola.wait_posted(posted + 2).await; // refreshes, for more than a second
    assert!(after[posted..].iter().all(|posted| posted.lamp() == [255, 128, 0]));
    assert_eq!((web.seq().await, rev(&web).await), (seq, seq));
    assert_eq!((tablet.picture().revs.len(), watcher.seen().len()), (0, 1), "nothing was told");
    let shown: Vec<_> = after.iter().map(|posted| posted.lamp()).collect();
    assert!(shown.is_sorted(), "on its way it only went up: {shown:?}");
}

#[tokio::test]
async fn a_fade_of_no_time_is_at_once() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    accepted(&web, &fade(0, &[(1, 255), (7, 7)], 0)).await;
    assert_eq!((lit(&web).await, web.seq().await), (json!({"0": {"1": 255, "7": 7}}), 1));
    assert_eq!(fades(&web).await, Vec::<Value>::new());
    accepted(&web, &fade(0, &[(1, 255)], 1)).await; // one that goes nowhere
    assert_eq!((fades(&web).await.len(), web.seq().await), (0, 2));
    tablet.wait_seq(2).await;
    assert_eq!(tablet.picture().updates.len(), 2);
}

#[tokio::test]
async fn a_set_takes_its_channel_out_and_the_others_go_on() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    accepted(&web, &fade(0, &[(1, 255), (2, 255)], 8000)).await;
    let shows = async |channel: usize, least: u8| {
        tablet.wait("the fade to go on", |p| (p.universes[&0][channel - 1] >= least).then_some(())).await;
    };
    shows(1, 4).await;
    accepted(&web, &set(0, 1, 3)).await;
    let from = level(&web, 0, 2).await;
    shows(2, from + 5).await;
    assert_eq!(level(&web, 0, 1).await, 3, "it stays where it was set");
    assert_eq!(fades(&web).await[0]["channels"], 1);
    accepted(&web, &patch(0, &[(2, 2), (9, 9)])).await;
    assert_eq!(fades(&web).await, Vec::<Value>::new(), "nothing is left of it");
    tablet.desk("no fade", |desk| desk["fades"] == json!([])).await;
    web.accepted(&command([1, 2, 3])).await;
    assert_eq!(lit(&web).await, json!({"0": {"1": 1, "2": 2, "3": 3, "9": 9}}));
}

#[tokio::test]
async fn a_command_of_the_lamp_takes_it_out_of_a_fade() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    accepted(&web, &fade(0, &[(1, 255), (4, 255)], AGES)).await;
    web.accepted(&command([7, 8, 9])).await;
    assert_eq!(fades(&web).await[0]["channels"], 1);
    eventually("the other channel to go on", async || (level(&web, 0, 4).await > 1).then_some(())).await;
    assert_eq!(rgb_of(&web.state().await), [7, 8, 9]);
}

#[tokio::test]
async fn a_new_fade_turns_around_where_the_channel_is() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    accepted(&web, &fade(3, &[(1, 255)], 1000)).await;
    tablet.wait("half the way", |p| p.universes.get(&3).is_some_and(|levels| levels[0] > 100).then_some(())).await;
    let back = fade(3, &[(1, 0)], 1000);
    accepted(&web, &back).await;
    let running = fades(&web).await;
    assert!(running.len() <= 1 && running.iter().all(|fade| fade["id"] == back["id"]), "{running:?}");
    arrived(&web).await;
    let end = rev(&web).await;
    tablet.wait("the end", |picture| (*picture.revs.last()? >= end).then_some(())).await;
    let points = course(&tablet, 3, 1, 1);
    assert_steady(&points, 255.0);
    let top = points.iter().map(|point| point.level).max().unwrap();
    let turn = points.iter().rposition(|point| point.level == top).unwrap();
    assert!(points[..turn].is_sorted_by_key(|point| point.level), "up: {points:?}");
    assert!(points[turn..].is_sorted_by(|a, b| a.level >= b.level), "and down: {points:?}");
    assert_eq!(points.last().unwrap().level, 0);
}

#[tokio::test]
async fn fades_are_listed_and_stop_where_they_are() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let mut slow = fade(0, &[(1, 255), (2, 255)], AGES);
    slow["easing"] = json!("s_curve");
    slow["src"] = json!("script");
    let far = fade(9, &[(1, 255)], 10_000);
    accepted(&web, &slow).await;
    accepted(&web, &far).await;
    let running = fades(&web).await;
    let expected = json!([
        {"id": slow["id"], "src": "script", "universes": [0], "channels": 2, "startedAt": running[0]["startedAt"],
            "durationMs": AGES, "easing": "s_curve"},
        {"id": far["id"], "src": "rest", "universes": [9], "channels": 1, "startedAt": running[1]["startedAt"],
            "durationMs": 10_000, "easing": "linear"},
    ]);
    assert_eq!(json!(running), expected);
    assert!(running.iter().all(|fade| fade["startedAt"].as_u64().is_some_and(|ms| ms > 0)));
    assert_eq!(desk(&web).await["fades"], expected);
    tablet.desk("both fades", |desk| desk["fades"] == expected).await;

    eventually("it to move", async || (level(&web, 9, 1).await > 3).then_some(())).await;
    let stopped = web.post("/fades/stop", "").await;
    assert_eq!(super::desk_of(&stopped)["fades"], json!([]));
    let (there, seq) = (lit(&web).await, rev(&web).await);
    assert!(level(&web, 9, 1).await < 255);
    tablet.desk("no fade", |desk| desk["fades"] == json!([])).await;
    let last = tablet.picture().updates.last().cloned().unwrap();
    assert_eq!((&last["rev"], &last["delta"]), (&json!(seq), &json!([])), "a stop is one change and moves nothing");
    super::desk_of(&web.post("/fades/stop", "").await);
    assert_eq!((lit(&web).await, rev(&web).await), (there.clone(), seq), "no fade, no change");

    let appliance = appliance.kill9().await.start().await;
    assert_eq!((lit(&appliance.web()).await, rev(&appliance.web()).await), (there, seq), "also after a kill");
}

/// An appliance with a lamp and a far universe on their way, and the highest number published before `pause`.
async fn interrupted(pause: impl AsyncFnOnce(Appliance) -> Home) {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    web.accepted(&command([200, 100, 50])).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    accepted(&web, &fade(0, &[(1, 0), (2, 255)], 20_000)).await;
    accepted(&web, &fade(7, &[(512, 255)], 10_000)).await;
    tablet.wait("both on their way", |p| (p.universes.get(&7)?[511] > 3).then_some(())).await;
    let home = pause(appliance).await;
    tablet.ending().await;
    let told = tablet.picture().revs.last().copied().unwrap();
    let told = told.max(watcher.into_all().await.last().unwrap().seq);

    let appliance = home.start().await;
    let web = appliance.web();
    let state = web.state().await;
    assert_eq!(rgb_of(&state), [0, 255, 50], "at its target");
    assert_eq!(lit(&web).await, json!({"0": {"2": 255, "3": 50}, "7": {"512": 255}}));
    assert!(state["seq"].as_u64().unwrap() > told, "{state} after {told}");
    assert_eq!((fades(&web).await.len(), retained(appliance.mqtt).await), (0, state.clone()));
    assert_eq!(web.accepted(&command([1, 2, 3])).await, state["seq"].as_u64().unwrap() + 1);
    let again = appliance.restart().await;
    assert_eq!(again.web().seq().await, state["seq"].as_u64().unwrap() + 1, "nothing was moving this time");
}

#[tokio::test]
async fn a_stop_in_the_middle_ends_a_fade_at_its_target() {
    interrupted(async |appliance: Appliance| {
        let (status, home) = appliance.terminate().await;
        assert_eq!(status.code(), Some(0));
        home
    })
    .await;
}

#[tokio::test]
async fn a_kill_in_the_middle_ends_a_fade_at_its_target() {
    interrupted(async |appliance: Appliance| appliance.kill9().await).await;
}

#[tokio::test]
async fn another_project_has_none_of_the_fades_and_the_first_one_is_at_their_end() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "true").start().await;
    let web = appliance.web();
    let other = super::create_project(&web, "Other").await;
    let tablet = WsWatcher::start(appliance.http).await;
    accepted(&web, &fade(0, &[(1, 255), (2, 80)], AGES)).await;
    tablet.wait("it to move", |picture| (picture.lamp()[0] > 0).then_some(())).await;
    select(&web, &other).await;
    let (state, seq) = (web.state().await, rev(&web).await);
    assert_eq!((rgb_of(&state), fades(&web).await.len()), ([0, 0, 0], 0));
    tablet.desk("no fade", |desk| desk["fades"] == json!([])).await;
    web.accepted(&command([1, 2, 3])).await;
    assert_eq!(web.seq().await, seq + 1, "no step came in between");
    select(&web, "default").await;
    assert_eq!(rgb_of(&web.state().await), [255, 80, 0], "what is kept of a fade is where it goes");
    assert_eq!((web.seq().await, fades(&web).await.len()), (seq + 2, 0));
    let last = tablet.wait("the light of the first", |picture| {
        let (state, _) = picture.states.last()?;
        (state["seq"] == seq + 2 && picture.lamp() == [255, 80, 0]).then(|| state.clone())
    });
    assert_eq!(rgb_of(&last.await), [255, 80, 0]);
}

#[tokio::test]
async fn a_fade_beside_busy_programs_ends_in_its_time_and_loses_no_step_it_made() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let _load = BusyLoops::start(2);
    let levels: Vec<_> = (1..=64).map(|channel| (channel, 255)).collect();
    accepted(&web, &fade(0, &levels, 2000)).await;
    arrived(&web).await;
    tablet.wait_seq(rev(&web).await).await;
    tablet.picture().assert_gap_free();
    let points = course(&tablet, 0, 64, 1);
    assert_steady(&points, 255.0 / 2.0);
    let took = Duration::from_millis(points.last().unwrap().ts - points[0].ts);
    println!("2 s took {took:?} in {} steps beside two busy loops", points.len());
    assert!(took + Duration::from_millis(2) >= Duration::from_secs(2) && took < Duration::from_secs(2) + LATE);
    assert_eq!(tablet.picture().universes[&0][..65], [&[255; 64][..], &[0]].concat());
}
