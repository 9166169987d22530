//! A dying card: damaged files, a full or read-only folder, a wrong clock. The light goes on; `/readyz` says what is wrong.

use std::path::{Path, PathBuf};

use dmxd::config;
use dmxd::kit::health::Health;
use dmxd::metrics::Metrics;
use dmxd::store::{Batch, Store, Tree};
use serde_json::Value;

use crate::harness::{
    Appliance, CMD, Card, Connect, Damage, Home, Link, Random, Shim, colour, command, data_files, eventually, index_of,
    rgb_of,
};

/// Problems with the data folder that `/readyz` may report.
const CODES: [&str; 4] = ["STORAGE", "DATABASE", "JOURNAL", "SNAPSHOT"];

/// Commands before the damage.
const COMMANDS: u32 = 40;

fn about_storage(problems: &[String]) -> bool {
    problems.iter().any(|code| CODES.iter().any(|word| code.contains(word)))
}

#[tokio::test]
async fn a_file_with_one_wrong_bit_does_not_stop_it() {
    damage_each_file(Damage::BitFlip, 3).await;
}

#[tokio::test]
async fn a_file_full_of_wrong_bits_does_not_stop_it() {
    damage_each_file(Damage::ManyFlips, 1).await;
}

#[tokio::test]
async fn a_file_whose_first_page_is_zeros_does_not_stop_it() {
    damage_each_file(Damage::FirstPage, 1).await;
}

#[tokio::test]
async fn a_file_with_a_page_of_zeros_does_not_stop_it() {
    damage_each_file(Damage::AnyPage, 3).await;
}

#[tokio::test]
async fn a_file_that_lost_its_second_half_does_not_stop_it() {
    damage_each_file(Damage::HalfLength, 1).await;
}

#[tokio::test]
async fn a_file_that_lost_everything_does_not_stop_it() {
    damage_each_file(Damage::Empty, 1).await;
}

#[tokio::test]
async fn a_file_of_nuls_does_not_stop_it() {
    damage_each_file(Damage::AllNul, 1).await;
}

/// After a clean stop the light is stored more than once: no single damaged file may change it.
pub async fn damage_each_file(damage: Damage, times: usize) {
    let mut random = Random::new();
    let stopped = stopped_home().await;
    let files = data_files(&stopped.home.data());
    assert!(!files.is_empty(), "something is kept");
    for file in &files {
        for _ in 0..times {
            let home = Home::copy_of(&stopped.home.data());
            damage.apply(&home.data().join(file), &mut random);
            assert_lives(home, &stopped, damage, file).await;
        }
    }
}

/// A data folder after some commands and a clean stop.
pub struct Stopped {
    pub home: Home,
    pub state: Value,
    pub commands: Vec<Value>,
}

/// Makes a data folder with everything in it: state, ids, retained messages.
pub async fn stopped_home() -> Stopped {
    let mut appliance = Appliance::start().await;
    let mut commands = Vec::new();
    for n in 1..=COMMANDS {
        let body = command(colour(n));
        appliance.web().accepted(&body).await;
        commands.push(body);
        if n == COMMANDS / 2 {
            appliance = appliance.restart().await; // so that there is an older generation of everything
        }
    }
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.retain("kept", b"message").await;
    let state = appliance.web().state().await;
    let (status, home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    Stopped { home, state, commands }
}

/// It starts, its light is right, it reports what is wrong, and it serves and keeps what comes.
pub async fn assert_lives(home: Home, stopped: &Stopped, damage: Damage, file: &Path) {
    let place = format!("{damage:?} of {}", file.display());
    let appliance = home.start().await;
    let web = appliance.web();
    let ready = web.get("/readyz").await;
    assert_eq!(ready.status, 200, "{place}: {ready:?}");
    let problems = web.problems().await;
    let reported = about_storage(&problems);
    let state = web.state().await;
    println!("{place}: seq {} problems {problems:?}", state["seq"]);
    assert_eq!(rgb_of(&state), rgb_of(&stopped.state), "{place}: the light");
    // the code of the first admin is no part of the store: it is made anew, and that loses nothing
    if damage.is_total() && !file.starts_with("access") {
        assert!(reported, "{place}: nothing is said about it");
    }
    let (seq, before) = (state["seq"].as_u64().unwrap(), stopped.state["seq"].as_u64().unwrap());
    if reported {
        assert!(seq >= before, "{place}: seq never repeats");
    } else {
        assert_eq!(state, stopped.state, "{place}: without a report nothing may have changed");
        assert!(web.is_duplicate(stopped.commands.last().unwrap()).await, "{place}: nor may an id be forgotten");
    }
    appliance.assert_serves().await;
    let state = web.state().await;
    let appliance = appliance.kill9().await.start().await;
    let again = appliance.web().state().await;
    assert_eq!(rgb_of(&again), rgb_of(&state), "{place}: what came after the damage is kept");
    assert!(again["seq"].as_u64() >= state["seq"].as_u64(), "{place}: seq never repeats");
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_pile_does_not_grow() {
    let stopped = stopped_home().await;
    let mut home = stopped.home;
    for _ in 0..5 {
        let mut random = Random::new();
        for file in data_files(&home.data()) {
            if !file.to_string_lossy().contains(".bad-") {
                Damage::ManyFlips.apply(&home.data().join(file), &mut random);
            }
        }
        let appliance = home.start().await; // everything at once is damaged
        assert!(about_storage(&appliance.web().problems().await));
        appliance.assert_serves().await;
        home = appliance.terminate().await.1;
    }
    let aside = std::fs::read_dir(home.data()).unwrap();
    let aside: Vec<PathBuf> = aside.map(|entry| entry.unwrap().path()).collect();
    let databases = aside.iter().filter(|path| path.to_string_lossy().contains("db.bad-")).count();
    assert!((1..=3).contains(&databases), "at most three are kept: {aside:?}");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_made_means_ram() {
    let home = Home::new();
    let file = home.beside("a-file");
    std::fs::write(&file, b"in the way").unwrap();
    let appliance = home.set("DMX_DATA_DIR", file.join("data")).start().await;
    assert!(about_storage(&appliance.web().problems().await));
    assert_eq!(appliance.web().get("/readyz").await.status, 200);
    appliance.assert_serves().await;
    assert!(appliance.web().is_duplicate(&sent_twice(&appliance).await).await, "ids are remembered in RAM, too");
}

async fn sent_twice(appliance: &Appliance) -> Value {
    let body = command([1, 1, 1]);
    appliance.web().accepted(&body).await;
    body
}

#[tokio::test]
async fn a_card_that_is_full_for_a_while_costs_no_command() {
    card_fails_for_a_while(Card::Full).await;
}

#[tokio::test]
async fn a_card_that_is_read_only_for_a_while_costs_no_command() {
    card_fails_for_a_while(Card::ReadOnly).await;
}

async fn card_fails_for_a_while(card: Card) {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    let web = appliance.web();
    for n in 1..=10 {
        web.accepted(&command(colour(n))).await;
    }
    assert_eq!(web.problems().await, Vec::<String>::new());

    shim.card(card);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for n in 11..=30 {
        esp.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
    }
    eventually("it is said", async || about_storage(&web.problems().await).then_some(())).await;
    assert_eq!(web.get("/readyz").await.status, 200, "it serves");
    assert_eq!(index_of(rgb_of(&web.state().await)), 30);

    shim.card(Card::Sound);
    eventually("the report is taken back", async || (!about_storage(&web.problems().await)).then_some(())).await;
    let last = command(colour(31));
    web.accepted(&last).await;
    let appliance = appliance.kill9().await.start().await;
    let state = appliance.web().state().await;
    assert_eq!((state["seq"].as_u64(), index_of(rgb_of(&state))), (Some(31), 31), "what came meanwhile is kept, too");
    assert!(appliance.web().is_duplicate(&last).await);
}

#[tokio::test]
async fn a_card_that_is_read_only_from_the_start_means_ram_with_the_old_light() {
    for card in [Card::ReadOnly, Card::Full] {
        let shim = Shim::new();
        let appliance = shim.under(Home::new()).start().await;
        let first = command([1, 2, 3]);
        appliance.web().accepted(&first).await;
        let (_, home) = appliance.terminate().await;
        shim.card(card);
        let appliance = home.start().await;
        let state = appliance.web().state().await;
        assert_eq!(rgb_of(&state), [1, 2, 3], "{card:?}");
        assert!(about_storage(&appliance.web().problems().await), "{card:?}");
        assert!(appliance.web().is_duplicate(&first).await, "{card:?}");
        appliance.assert_serves().await;
    }
}

#[tokio::test]
async fn a_start_on_a_card_that_became_read_only_gives_no_number_twice() {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    shim.card(Card::ReadOnly);
    let mut highest = 0;
    for n in 1..=20 {
        highest = appliance.web().accepted(&command(colour(n))).await;
    }
    let appliance = appliance.kill9().await.start().await;
    let seq = appliance.web().seq().await;
    assert!(seq > highest, "{seq} after {highest}: nobody could note what was in memory only");
    assert!(about_storage(&appliance.web().problems().await));
}

#[tokio::test]
async fn a_card_whose_syncs_hang_delays_no_command() {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    let web = appliance.web();
    web.accepted(&command([1, 1, 1])).await;
    shim.card(Card::Hanging);
    let start = std::time::Instant::now();
    for n in 1..=200 {
        web.accepted(&command(colour(n))).await;
    }
    println!("200 commands beside a hanging sync: {:?}", start.elapsed());
    shim.card(Card::Sound);
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().seq().await, 201);
}

/// Seconds of a year.
const YEAR: i64 = 365 * 24 * 3600;

#[tokio::test]
async fn the_clock_may_go_back_a_year() {
    let shim = Shim::new();
    let appliance = shim.under(Home::new()).start().await;
    let first = command([1, 2, 3]);
    appliance.web().accepted(&first).await;
    let ts = appliance.web().state().await["ts"].as_i64().unwrap();

    shim.shift_clock(-YEAR); // while it runs
    let second = command([4, 5, 6]);
    assert_eq!(appliance.web().accepted(&second).await, 2);
    let state = appliance.web().state().await;
    assert!(state["ts"].as_i64().unwrap() < ts - YEAR / 2 * 1000, "the server's clock, whatever it says: {state}");
    assert!(appliance.web().is_duplicate(&first).await);

    shim.shift_clock(-2 * YEAR); // and between two runs
    let appliance = appliance.restart().await;
    assert_eq!(appliance.web().state().await, state);
    for body in [&first, &second] {
        assert!(appliance.web().is_duplicate(body).await, "ids from the future are remembered");
    }
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().accepted(&command([7, 8, 9])).await, 3);
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());

    shim.shift_clock(0); // and forward again
    let appliance = appliance.restart().await;
    assert_eq!(appliance.web().accepted(&command([1, 1, 1])).await, 4);
}

#[tokio::test]
async fn what_another_build_stored_is_one_line_in_the_log_and_one_problem() {
    let home = Home::new();
    let settings = config::Storage { data_dir: home.data(), ..config::Storage::default() };
    let store = Store::open(&settings, &Health::default(), &Metrics::new().unwrap()).unwrap().store;
    let mut batch = Batch::default();
    for topic in ["a", "b", "c"] {
        batch.put(Tree::Retained, topic, "\u{9}later");
    }
    store.commit(batch, || {}).await;
    store.close().await;
    let appliance = home.start().await;
    let logged = appliance.log.wait("the line", |line| line["message"] == "stored_format_unknown").await;
    let why = logged["why"].as_str().unwrap();
    assert!(why.starts_with("a has format 9, which this dmxd does not know: "), "{why}");
    let lines: Vec<_> = appliance.log.all().into_iter().filter(|line| line.contains("stored_format_unknown")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0].matches(r#""message":"#).count(), 1, "{lines:?}");
    assert_eq!(appliance.web().problems().await, ["STORED_FORMAT_UNKNOWN"]);
    appliance.terminate().await;
}
