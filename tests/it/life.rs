//! Start, stop, kill: what was acknowledged or seen is never lost, and `seq` continues without a gap.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tokio::net::{TcpListener, UnixDatagram};

use crate::harness::{
    Appliance, CMD, Card, Connect, HEADROOM, Home, Ledger, Link, Load, PRESENCE, Random, STATE, Seen, Shim,
    StateWatcher, WsWatcher, assert_gap_free, command, eventually, patiently, rgb_of,
};

/// DESIGN: the drain after SIGTERM takes less than 2 s.
const DRAIN: Duration = Duration::from_secs(2);

/// Kills in a normal run; tests/long makes hundreds.
const KILLS: usize = 8;

/// Commands of one round: enough for hundreds of writes in flight.
const COMMANDS: usize = 600;

#[tokio::test]
async fn kill_9_under_load_loses_nothing_that_anybody_saw() {
    crash_rounds(KILLS).await;
}

/// Kills the appliance at random moments under load, again and again on the same data.
pub async fn crash_rounds(rounds: usize) {
    let mut random = Random::new();
    let mut home = Home::new();
    for round in 0..rounds {
        let kill_after = usize::try_from(random.below(400)).unwrap();
        println!("round {round}: kill after {kill_after} acknowledged commands");
        let appliance = home.start().await;
        let before = appliance.web().seq().await;
        let (ledger, load, watcher) = loaded(&appliance).await;
        ledger.wait_acked(kill_after).await;
        let left = appliance.kill9().await;
        load.join().await;
        let seen = watcher.into_all().await;

        let appliance = left.start().await;
        assert_nothing_lost(&appliance, &ledger, &seen, before).await;
        home = appliance.kill9().await;
    }
}

/// A watcher from now on and producers at work.
async fn loaded(appliance: &Appliance) -> (Ledger, Load, StateWatcher) {
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let ledger = Ledger::new(COMMANDS);
    let load = Load::start(appliance, &ledger, 4).await;
    (ledger, load, watcher)
}

/// After a new start: the light is that of every acknowledged command and every state seen, and of nothing else.
async fn assert_nothing_lost(appliance: &Appliance, ledger: &Ledger, seen: &[Seen], before: u64) {
    assert_gap_free(seen);
    let state = appliance.web().state().await;
    let seq = state["seq"].as_u64().unwrap();
    let retained = StateWatcher::start(appliance.mqtt).await.last();
    assert!(retained.retain);
    assert_eq!(retained.body, state, "the retained state is the state");
    let last = seen.last().unwrap();
    assert!(seq >= last.seq, "MQTT has shown {}, now it is {seq}", last.seq);
    if seq == last.seq {
        assert_eq!(state, last.body, "the same change is the same state");
    }
    let told = ledger.seqs().into_values().max().unwrap_or(0);
    assert!(seq >= told, "REST has said {told}, now it is {seq}");

    // Each command that had an effect is a duplicate now; the others are applied by this question.
    let acked = ledger.acked();
    let mut applied = 0;
    let mut has_last_colour = seq == before;
    for (number, command) in ledger.sent().iter().enumerate() {
        if appliance.web().is_duplicate(command).await {
            applied += 1;
            has_last_colour |= rgb_of(command) == rgb_of(&state);
        } else {
            assert!(!acked.contains(&number), "command {number} was acknowledged and is forgotten");
        }
    }
    assert_eq!(
        seq - before,
        applied,
        "as many changes as remembered ids: no effect without its id, no id without effect"
    );
    assert!(has_last_colour, "the light is that of a command that was applied");
}

#[tokio::test]
async fn a_sigterm_under_load_loses_nothing() {
    for _ in 0..3 {
        let appliance = Appliance::start().await;
        let (ledger, load, watcher) = loaded(&appliance).await;
        ledger.wait_acked(200).await;
        let start = Instant::now();
        let (status, home) = appliance.terminate().await;
        let took = start.elapsed();
        assert_eq!(status.code(), Some(0));
        assert!(took < DRAIN * HEADROOM, "{took:?}");
        load.join().await;
        let seen = watcher.into_all().await;
        let appliance = home.start().await;
        assert_nothing_lost(&appliance, &ledger, &seen, 0).await;
    }
}

#[tokio::test]
async fn sigint_is_a_clean_stop_as_well() {
    let mut appliance = Appliance::start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    appliance.signal(Signal::INT);
    assert_eq!(appliance.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_stop_waits_for_no_client() {
    let appliance = Appliance::start().await;
    let mut deaf = Link::join(appliance.mqtt, &Connect::new("deaf")).await;
    deaf.subscribe("#", 1).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let mut half = Link::open(appliance.http).await;
    half.send(b"POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").await;
    let start = Instant::now();
    let (status, _home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() < DRAIN * HEADROOM, "{:?}", start.elapsed());
    tablet.ending().await;
    deaf.closed().await;
}

#[tokio::test]
async fn a_second_signal_ends_a_stop_that_hangs() {
    let shim = Shim::new();
    let home = shim.under(Home::new());
    let path = home.beside("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let mut appliance = home.set("NOTIFY_SOCKET", &path).start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    shim.card(Card::Hanging); // the last flush does not return
    appliance.signal(Signal::TERM);
    let mut buffer = [0; 256];
    patiently("the stop to begin", async {
        loop {
            let length = systemd.recv(&mut buffer).await.unwrap();
            if buffer[..length].starts_with(b"STOPPING=1") {
                return;
            }
        }
    })
    .await;
    assert!(appliance.is_alive(), "the stop hangs at the card");
    let start = Instant::now();
    appliance.signal(Signal::TERM);
    appliance.ended().await;
    // "at once": before the drain's own deadline could have ended it
    assert!(start.elapsed() < DRAIN / 2, "{:?}", start.elapsed());
    shim.card(Card::Sound);
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().seq().await, 1, "it is a kill, and a kill loses nothing");
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_one_message() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for variable in ["DMX_PORT", "DMX_MQTT_PORT"] {
        let ended = Home::new().set(variable, &port).run_to_its_end().await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let naming: Vec<_> = ended.stderr.lines().filter(|line| line.contains(&port)).collect();
        assert_eq!(naming.len(), 1, "one message: {}", ended.stderr);
        let message = naming[0].to_lowercase();
        assert!(message.contains("in use"), "{message}");
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn two_on_one_data_folder_is_refused() {
    let appliance = Appliance::start().await;
    let second = Home::new().set("DMX_DATA_DIR", appliance.data()).run_to_its_end().await;
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(&*appliance.data().to_string_lossy()), "it names the folder: {}", second.stderr);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn presence_is_true_while_it_serves_and_false_after_a_clean_stop() {
    let appliance = Appliance::start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe(PRESENCE, 1).await;
    let online = witness.message().await;
    assert_eq!((online.text().as_str(), online.retain, online.qos), (r#"{"online":true}"#, true, 1));
    let (status, home) = {
        let stopping = tokio::spawn(appliance.terminate());
        assert_eq!(witness.message().await.text(), r#"{"online":false}"#, "said before the doors close");
        stopping.await.unwrap()
    };
    assert_eq!(status.code(), Some(0));
    let appliance = home.start().await;
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe(PRESENCE, 1).await;
    assert_eq!(late.message().await.text(), r#"{"online":true}"#, "and true again after the next start");
}

#[tokio::test]
async fn the_state_is_published_again_at_each_start_and_seq_goes_on() {
    let mut appliance = Appliance::start().await;
    for round in 1..=3 {
        appliance.web().accepted(&command([round, 2, 3])).await;
        let before = appliance.web().state().await;
        appliance = if round == 2 { appliance.kill9().await.start().await } else { appliance.restart().await };
        let watcher = StateWatcher::start(appliance.mqtt).await;
        let retained = watcher.last();
        assert!(retained.retain);
        assert_eq!(retained.body, before, "also its ts and updatedBy");
        assert_eq!(retained.seq, u64::from(round));
        assert_eq!(appliance.web().state().await, before);
        assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_kill_while_it_starts_for_the_first_time_leaves_it_startable() {
    let mut random = Random::new();
    for _ in 0..KILLS {
        let home = Home::new();
        let home = home.kill_at_start(random.below(60)).await;
        let appliance = home.start().await;
        assert_eq!(appliance.web().seq().await, 0);
        appliance.assert_serves().await;
    }
}

#[tokio::test]
async fn an_acknowledged_command_survives_the_kill_that_follows_at_once() {
    let mut home = Home::new();
    for seq in 1..=KILLS as u64 {
        let appliance = home.start().await;
        let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
        let body = command(crate::harness::colour(u32::try_from(seq).unwrap()));
        esp.publish(CMD, body.to_string().as_bytes()).await;
        home = appliance.kill9().await;
        let appliance = home.start().await;
        let state: Value = appliance.web().state().await;
        assert_eq!((state["seq"].as_u64(), rgb_of(&state)), (Some(seq), rgb_of(&body)));
        let topic =
            eventually("the retained state", async || Some(StateWatcher::start(appliance.mqtt).await.last())).await;
        assert_eq!(topic.body, state, "{STATE}");
        home = appliance.kill9().await;
    }
}
