//! Power cuts: only what was synced is left. The light is one that was true shortly before, the ids belong to
//! it, and `seq` jumps beyond every number that was ever seen.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    CMD, Connect, Home, Link, Random, Shim, StateWatcher, Web, assert_gap_free, colour, command, eventually, fresh_id,
    index_of, rgb_of,
};

/// The setting `storage.flush_ms` of these tests: shorter than the default, so that a short load spans many.
const FLUSH: Duration = Duration::from_millis(200);

/// What a loaded machine may add before a sync is made.
const MARGIN: Duration = Duration::from_millis(800);

/// A command each 5 ms.
const PACE: Duration = Duration::from_millis(5);

/// Cuts in a normal run; tests/long makes more.
const CUTS: usize = 3;

#[tokio::test]
async fn a_power_cut_leaves_a_light_that_was_true_shortly_before() {
    power_cuts(CUTS).await;
}

/// Cuts the power at random moments under load, again and again on the same card.
pub async fn power_cuts(cuts: usize) {
    let mut random = Random::new();
    let shim = Shim::new();
    let mut home = shim.under(Home::new()).set("DMX_STORAGE_FLUSH_MS", FLUSH.as_millis().to_string());
    for cut in 0..cuts {
        let commands = u32::try_from(100 + random.below(500)).unwrap();
        println!("cut {cut}: after {commands} commands");
        let base = u32::try_from(cut).unwrap() * 1000;
        // every other time in the middle of a clean stop, with its last sync, snapshot and checkpoint
        let stop_ms = (cut % 2 == 1).then(|| random.below(100));
        home = one_cut(&shim, home, base, commands, stop_ms).await;
    }
}

/// One load and one cut, at once or so many milliseconds after SIGTERM; `base` keeps the colours of all rounds apart.
async fn one_cut(shim: &Shim, home: Home, base: u32, commands: u32, stop_ms: Option<u64>) -> Home {
    let appliance = home.start().await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let mut pace = tokio::time::interval(PACE); // the load's own rhythm; nothing is waited for
    let mut sent = Vec::new();
    for n in 0..commands {
        pace.tick().await;
        let body = command(colour(base + n + 1));
        esp.publish(CMD, body.to_string().as_bytes()).await;
        sent.push(body);
    }
    let cut_at = Instant::now();
    let home = match stop_ms {
        None => appliance.kill9().await,
        Some(ms) => appliance.kill9_while_stopping(ms).await,
    };
    shim.cut_power(&home);
    let seen = watcher.into_all().await;
    assert_gap_free(&seen);

    let appliance = home.start().await;
    let web = appliance.web();
    let state = web.state().await;
    let seq = state["seq"].as_u64().unwrap();
    let highest = seen.last().unwrap().seq;
    let clean = stop_ms.is_some() && seq == highest; // the stop was done before the cut
    assert!(seq > highest || clean, "seq {seq} does not repeat what was seen ({highest})");
    // which of the states seen is it? `sent[n]` made `seen[n + 1]`
    let position = seen.iter().rposition(|seen| seen.rgb == rgb_of(&state)).expect("a state that was true once");
    if let Some(lost) = seen.get(position + 1) {
        assert!(!clean, "a clean stop loses nothing");
        let age = cut_at.duration_since(lost.at);
        println!("lost {} of {commands} changes, the oldest {age:?} old", seen.len() - 1 - position);
        assert!(age < FLUSH + MARGIN, "a change {age:?} before the cut is lost");
    }
    for (n, body) in sent.iter().enumerate() {
        let number = index_of(rgb_of(body));
        let expected = n < position;
        assert_eq!(web.is_duplicate(body).await, expected, "command {number} of {commands}, light of {position}");
    }
    assert_eq!(appliance.web().get("/readyz").await.status, 200);
    let seq = appliance.web().seq().await;
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().seq().await, seq, "a kill -9 on the same boot makes no jump");
    appliance.terminate().await.1
}

#[tokio::test]
async fn a_power_cut_after_a_clean_stop_loses_nothing_and_makes_no_jump() {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    let last = command([1, 2, 3]);
    appliance.web().accepted(&command([9, 9, 9])).await;
    appliance.web().accepted(&last).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("kept", b"message").await;
    let state = appliance.web().state().await;
    let (_, home) = appliance.terminate().await;
    shim.cut_power(&home);
    let appliance = home.start().await;
    assert_eq!(appliance.web().state().await, state);
    assert!(appliance.web().is_duplicate(&last).await);
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("kept", 1).await;
    assert_eq!(late.message().await.text(), "message");
}

#[tokio::test]
async fn a_new_boot_without_a_cut_file_makes_no_jump_after_a_clean_stop() {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    let (_, home) = appliance.terminate().await;
    shim.new_boot();
    let appliance = home.start().await;
    assert_eq!(appliance.web().seq().await, 1);
}

#[tokio::test]
async fn a_power_cut_at_the_first_start_leaves_it_startable() {
    let shim = Shim::new();
    let mut home = shim.under(Home::new());
    let mut random = Random::new();
    for _ in 0..CUTS {
        home = home.kill_at_start(random.below(60)).await;
        shim.cut_power(&home);
    }
    let appliance = home.start().await;
    assert_eq!(rgb_of(&appliance.web().state().await), [0, 0, 0]);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_number_that_a_second_cut_took_back_is_not_given_again() {
    let shim = Shim::new();
    let mut home = shim.under(Home::new());
    let mut highest = 0;
    for n in 1..=5 {
        let appliance = home.start().await;
        let state = appliance.web().state().await;
        let seq = state["seq"].as_u64().unwrap();
        assert!(n == 1 || seq > highest, "start {n}: {seq} after {highest} was seen");
        highest = appliance.web().accepted(&command(colour(n))).await;
        home = appliance.kill9().await; // mostly before the command was synced
        shim.cut_power(&home);
    }
}

#[tokio::test]
async fn a_number_that_was_shown_after_a_cut_outlives_the_kill_that_follows() {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    let home = appliance.kill9().await;
    shim.cut_power(&home);
    let appliance = home.start().await;
    let shown = appliance.web().seq().await;
    assert!(shown > 1, "it has jumped");
    let appliance = appliance.kill9().await.start().await; // no power cut: the same boot
    assert_eq!(appliance.web().seq().await, shown, "seq went back");
}

#[tokio::test]
async fn a_power_cut_in_a_long_fade_comes_up_at_its_place_and_goes_on() {
    const SUNRISE_MS: u64 = 60_000;
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).set("DMX_STORAGE_FLUSH_MS", FLUSH.as_millis().to_string()).start().await;
    let levels: Vec<_> = (1..=3).map(|ch| json!({"ch": ch, "val": 255})).collect();
    let fade = json!({"type": "dmx.fade", "id": fresh_id(), "universe": 0, "patch": levels, "durationMs": SUNRISE_MS, "easing": "linear"});
    assert_eq!(appliance.web().post("/command", fade.to_string()).await.json()["accepted"], true);
    let red = async |web: &Web| web.state().await["r"].as_u64().unwrap();
    let web = appliance.web();
    eventually("the sun to rise", async || (red(&web).await >= 16).then_some(())).await;
    let (before, seq) = (red(&web).await, web.seq().await);
    let home = appliance.kill9().await;
    shim.cut_power(&home);

    let appliance = home.start().await;
    let web = appliance.web();
    let place = red(&web).await;
    println!("cut at {before}, back at {place}");
    // A start takes a while, in which it continues; the last level would be 255.
    assert!((1..before + 60).contains(&place), "cut at {before}, back at {place}");
    assert!(web.seq().await > seq);
    let fades = web.get("/fades").await.json()["fades"].clone();
    assert_eq!((&fades[0]["id"], &fades[0]["durationMs"]), (&fade["id"], &json!(SUNRISE_MS)));
    eventually("it to go on", async || (red(&web).await > place + 3).then_some(())).await;
    assert!(red(&web).await < 255);

    // Whoever takes over the channel then has it, even after the next cut.
    web.accepted(&command([9, 8, 7])).await;
    let home = appliance.terminate().await.1;
    shim.cut_power(&home);
    let appliance = home.start().await;
    assert_eq!(rgb_of(&appliance.web().state().await), [9, 8, 7]);
    assert_eq!(appliance.web().get("/fades").await.json()["fades"], json!([]));
}
