//! What holds at every door: one id is one command, one order for all, a refusal changes nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{
    Appliance, CMD, Connect, Ledger, Link, Load, StateWatcher, WsWatcher, assert_gap_free, colour, command,
    command_with, fresh_id, index_of, rgb_of,
};

fn set_of(body: &Value) -> Value {
    let mut set = body.clone();
    set["type"] = json!("set");
    set
}

#[tokio::test]
async fn an_id_has_one_effect_through_all_doors_and_over_restarts() {
    let appliance = Appliance::start().await;
    let id = fresh_id();
    let first = command_with(&id, [1, 2, 3]);
    let again = command_with(&id, [9, 9, 9]);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(CMD, first.to_string().as_bytes()).await;

    esp.publish(CMD, again.to_string().as_bytes()).await; // acknowledged too
    assert!(appliance.web().is_duplicate(&again).await);
    let tablet = WsWatcher::start(appliance.http).await;
    tablet.send(&set_of(&again)).await;
    tablet.send(&set_of(&command([4, 4, 4]))).await;
    assert_eq!(tablet.wait_seq(2).await["seq"], 2, "the duplicate took no number");
    let picture = tablet.picture();
    picture.assert_gap_free();
    assert_eq!(picture.states.len(), 2, "the greeting and one change");
    assert_eq!(picture.others, Vec::<Value>::new(), "a duplicate is no error");
    assert_eq!(appliance.web().metric("dmx_engine_deduped_total").await, 3.0);

    let appliance = appliance.restart().await;
    assert!(appliance.web().is_duplicate(&again).await, "also after a restart");
    let appliance = appliance.kill9().await.start().await;
    assert!(appliance.web().is_duplicate(&again).await, "also after a kill");
    let state = appliance.web().state().await;
    assert_eq!((state["seq"].as_u64(), rgb_of(&state)), (Some(2), [4, 4, 4]));
}

#[tokio::test]
async fn a_first_start_has_the_time_of_the_start_and_keeps_it() {
    let now = || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let before = now();
    let appliance = Appliance::start().await;
    let state = appliance.web().state().await;
    let ts = state["ts"].as_u64().expect("an integer");
    assert!((before..=now()).contains(&ts), "{state}");
    let retained = StateWatcher::start(appliance.mqtt).await;
    assert_eq!(retained.wait_seq(0).await.body["ts"], ts);
    let levels = appliance.web().get("/state").await.json();
    assert_eq!(levels["ts"], ts, "{levels}");
    let appliance = appliance.kill9().await.start().await;
    assert_eq!(appliance.web().state().await, state, "what was published survives");
}

#[tokio::test]
async fn an_id_is_forgotten_after_its_time() {
    let home = crate::harness::Home::new().set("DMX_CMD_DEDUPE_TTL_SECONDS", "1");
    let appliance = home.start().await;
    let body = command([1, 2, 3]);
    appliance.web().accepted(&body).await;
    crate::harness::eventually("the id counts as new", async || {
        (!appliance.web().is_duplicate(&body).await).then_some(())
    })
    .await;
    assert_eq!(appliance.web().seq().await, 2);
}

#[tokio::test]
async fn the_oldest_ids_are_forgotten_beyond_the_capacity() {
    let appliance = crate::harness::Home::new().set("DMX_CMD_DEDUPE_CAPACITY", "10").start().await;
    let bodies: Vec<_> = (0..11).map(|n| command(colour(n))).collect();
    for body in &bodies {
        appliance.web().accepted(body).await;
    }
    assert!(appliance.web().is_duplicate(&bodies[10]).await);
    assert!(appliance.web().is_duplicate(&bodies[1]).await, "the tenth from the end is remembered");
    assert!(!appliance.web().is_duplicate(&bodies[0]).await, "the eleventh is not");
}

#[tokio::test]
async fn many_producers_make_one_order_without_a_gap() {
    let appliance = Appliance::start().await;
    let mqtt = StateWatcher::start(appliance.mqtt).await;
    let ws = WsWatcher::start(appliance.http).await;
    let ledger = Ledger::new(2000);

    Load::start(&appliance, &ledger, 4).await.join().await;

    mqtt.wait_seq(2000).await;
    ws.wait_seq(2000).await;
    let seen = mqtt.seen();
    assert_gap_free(&seen);
    assert_eq!((seen.first().unwrap().seq, seen.last().unwrap().seq), (0, 2000));
    ws.picture().assert_gap_free();
    let mut numbers: Vec<_> = seen[1..].iter().map(|seen| index_of(seen.rgb)).collect();
    let order = numbers.clone();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>(), "each command once");
    let on_ws: Vec<_> = ws.picture().states[1..].iter().map(|(state, _)| index_of(rgb_of(state))).collect();
    assert_eq!(on_ws, order, "the same order on the WebSocket");
    for (number, seq) in ledger.seqs() {
        assert_eq!(order[usize::try_from(seq).unwrap() - 1] as usize, number, "REST said the same seq");
    }
    assert_eq!(ledger.acked().len(), 2000);
    let (last, state) = (seen.last().unwrap(), appliance.web().state().await);
    assert_eq!((last.body.clone(), ws.picture().lamp()), (state, last.rgb), "all doors agree");
}

#[tokio::test]
async fn every_door_tells_the_same_state() {
    let appliance = Appliance::start().await;
    let mqtt = StateWatcher::start(appliance.mqtt).await;
    let ws = WsWatcher::start(appliance.http).await;
    let body = command([1, 2, 3]);
    appliance.web().accepted(&body).await;
    let state = appliance.web().state().await;
    let seen = mqtt.wait_seq(1).await;
    assert_eq!(seen.body, state);
    assert_eq!((seen.qos, seen.retain), (1, false), "live messages carry no retain flag");
    let on_ws = ws.wait_seq(1).await;
    for field in ["r", "g", "b", "seq", "ts"] {
        assert_eq!(on_ws[field], state[field], "{field}");
    }
}

#[tokio::test]
async fn a_wrong_body_changes_nothing_at_any_door_and_its_id_stays_free() {
    let appliance = Appliance::start().await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let id = fresh_id();
    let wrong = [
        ("r", json!("1")),
        ("g", json!(1.5)),
        ("b", json!(null)),
        ("cmdId", json!("x")),
        ("cmdId", json!(null)),
        ("src", json!("")),
        ("src", json!(1)),
        ("ts", json!(0)),
        ("schema", json!("demo.rgb.state.v1")),
        ("extra", json!(true)),
        ("seq", json!(7)),
    ];
    for (n, (name, value)) in wrong.into_iter().enumerate() {
        let mut body = command_with(&id, [200, 200, 200]);
        body[name] = value;
        esp.publish(CMD, body.to_string().as_bytes()).await;
        appliance.web().post("/rgb", body.to_string()).await.problem(422);
        tablet.send(&set_of(&body)).await;
        assert_eq!(tablet.other(n).await["type"], "err", "{body}");
    }
    assert_eq!(appliance.web().state().await["seq"], 0);
    assert_eq!(watcher.seen().len(), 1, "nothing was published");
    assert_eq!(appliance.web().accepted(&command_with(&id, [1, 2, 3])).await, 1, "a refused id is not remembered");
}

/// Which of three ids a memory for two still knows, asked at once or after `pause` on the appliance.
async fn known_of_three(asked: usize, pause: impl AsyncFnOnce(Appliance) -> Appliance) -> bool {
    let appliance = crate::harness::Home::new().set("DMX_CMD_DEDUPE_CAPACITY", "2").start().await;
    let web = appliance.web();
    let [a, b, c] = [1, 2, 3].map(|n| command(colour(n)));
    web.accepted(&a).await;
    web.accepted(&b).await;
    assert!(web.is_duplicate(&a).await);
    web.accepted(&c).await;
    let appliance = pause(appliance).await;
    appliance.web().is_duplicate([&a, &b, &c][asked]).await
}

#[tokio::test]
async fn the_ids_that_are_known_are_the_same_before_and_after_a_restart() {
    for asked in 0..3 {
        let before = known_of_three(asked, async |appliance| appliance).await;
        let stopped = known_of_three(asked, async |appliance: Appliance| appliance.restart().await).await;
        let killed = known_of_three(asked, async |appliance: Appliance| appliance.kill9().await.start().await).await;
        assert_eq!([stopped, killed], [before, before], "id {asked}: after a stop and after a kill, as before");
        assert!(before || asked < 2, "the newest is known");
    }
}
