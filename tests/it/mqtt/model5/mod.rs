//! Random scripts of clients of MQTT 3.1, 3.1.1 and 5 and of bridges, compared with what the standard lets each receive.
//!
//! Each step settles before the next. What dmxd publishes on its own topics, which `#` matches too, is tested elsewhere.

mod client;
mod due;
mod expected;
mod script;
mod world;

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::script::{Join, Script, Step, Wants, Words, script};
use self::world::World;
use crate::harness::Random;

/// Scripts in a normal run; `DMXD_LONG_SCRIPTS` sets the number of the long one.
const SCRIPTS: u64 = 16;
const LONG_SCRIPTS: u64 = 300;

/// How long a client may take to receive what it should; less is enough while a failed script is being reduced.
const PATIENCE: Duration = Duration::from_secs(30);
const LESS_PATIENCE: Duration = Duration::from_secs(2);

/// Prints the script of a failed test, even if the test is ended from outside.
struct Printed<'a>(&'a Script, u64);

impl Drop for Printed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("DMXD_TEST_SEED={} begins with this script: {:#?}", self.1, self.0);
        }
    }
}

/// Plays the script of this seed; one that fails is reduced.
fn play(seed: u64) {
    let config = Config {
        cases: 1,
        failure_persistence: None, // a script is printed whole
        max_shrink_iters: 100,
        max_shrink_time: 60_000, // ms; below the patience of nextest
        ..Config::default()
    };
    let bytes: Vec<_> = [seed; 4].into_iter().flat_map(u64::to_le_bytes).collect();
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let patience = Cell::new(PATIENCE);
    let result = runner.run(&script(), |script| {
        let printed = Printed(&script, seed);
        let limit = patience.replace(LESS_PATIENCE);
        let begin = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let heard = runtime.block_on(World::play(printed.0, limit));
        println!("{seed}: {} steps, {heard} messages heard, {:?}", script.steps.len(), begin.elapsed());
        patience.set(limit);
        Ok(())
    });
    if let Err(error) = result {
        panic!("DMXD_TEST_SEED={seed} begins with this script: {error}");
    }
}

fn play_all(first: u64, scripts: u64) {
    println!("DMXD_TEST_SEED={first}, {scripts} scripts");
    (0..scripts).for_each(|n| play(first.wrapping_add(n)));
}

#[test]
fn clients_of_all_versions_receive_what_the_model_says() {
    play_all(1, SCRIPTS); // the same ones every time: the long run looks for others
}

#[test]
#[ignore = "minutes: run by tests/long/run"]
fn hundreds_of_scripts_go_as_the_model_says() {
    let scripts = std::env::var("DMXD_LONG_SCRIPTS").ok().and_then(|text| text.parse().ok());
    play_all(Random::seed(), scripts.unwrap_or(LONG_SCRIPTS));
}

/// What a script has found once.
async fn goes_right(steps: Vec<Step>) {
    World::play(&Script { levels: [5; 4], steps }, PATIENCE).await;
}

fn subscribe(filter: &'static str, id: u32, no_local: bool, as_published: bool) -> Step {
    let wants = Wants { qos: 2, id, no_local, as_published, handling: 2 };
    Step::Subscribe { who: 0, filter, wants }
}

fn publish(who: usize, qos: u8) -> Step {
    let words = Words { topic: "a", text: "text", qos, retain: true, carries: 0, expires: false, alias: false };
    Step::Publish { who, words: vec![words], again: false }
}

#[tokio::test]
async fn a_session_whose_life_ends_with_its_connection_is_not_there_after_a_kill() {
    let connect = |expiry| Step::Connect { who: 0, join: Join { expiry, ..Join::plain() } };
    goes_right(vec![connect(script::LONG), subscribe("a", 1, false, false), connect(0), Step::Kill, connect(0)]).await;
}

#[tokio::test]
async fn what_does_not_want_its_own_messages_lends_them_neither_identifier_nor_retain_flag() {
    goes_right(vec![subscribe("#", 1, false, false), subscribe("a/#", 2, true, true), publish(0, 1)]).await;
}
