//! Which of several commands stands: too fast, overtaken, held up (CONTRACT, section 5).

use serde_json::{Value, json};

use super::{accepted, ack, add_scene, desk, lamp_levels, level, refusal, refused, set};
use crate::harness::{ACK, Appliance, CMD, Connect, Home, Link, UNIFIED, Web, WsWatcher, command, fresh_id, patiently};

/// A command with the client's time.
fn at(ts: u64, mut command: Value) -> Value {
    command["ts"] = json!(ts);
    command
}

/// Some moment, Unix milliseconds.
const TEN: u64 = 1_800_000_010_000;

#[tokio::test]
async fn a_fader_that_is_too_fast_ends_where_it_was_let_go_and_every_ack_says_what_became_of_it() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let levels: Vec<Value> = (0..200).map(|n| set(3, 7, 56 + n)).collect();
    for level in &levels {
        tablet.send(level).await;
    }
    tablet.other(levels.len() - 1).await;
    let mut limited = 0;
    for body in &levels {
        let ack = tablet.ack(&body["id"]).await;
        if ack["accepted"] == false {
            refusal(&ack, "RATE_LIMITED");
            limited += 1;
        }
    }
    assert!(limited > 0, "200 at once are more than the limit");
    assert_eq!(tablet.ack(&levels[199]["id"]).await["accepted"], true, "the last one is done");
    assert_eq!(level(&web, 3, 7).await, 255);
}

#[tokio::test]
async fn two_faders_of_one_lamp_both_end_where_they_were_let_go() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    assert_eq!(esp.subscribe(ACK, 1).await, 1);
    let mut last = Vec::new();
    for n in 0..100 {
        let both = [set(0, 9, n + 100), set(0, 10, 200 - n)];
        for body in &both {
            esp.send_publish(UNIFIED, body.to_string().as_bytes(), false).await;
        }
        last = both.to_vec();
    }
    let mut acks = Vec::new();
    for _ in 0..200 {
        acks.push(esp.message_beside_acknowledgements().await.json());
    }
    for body in &last {
        assert!(acks.iter().any(|ack| ack["ack"] == body["id"] && ack["accepted"] == true), "{body}");
    }
    assert_eq!([level(&web, 0, 9).await, level(&web, 0, 10).await], [199, 101]);
}

#[tokio::test]
async fn a_level_that_was_overtaken_on_its_way_is_stale() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    accepted(&web, &at(TEN, set(0, 9, 1))).await;
    assert_eq!(refused(&web, &at(TEN - 1, set(0, 9, 2)), "STALE").await, [""]);
    assert_eq!(refused(&web, &at(TEN - 2_000, set(0, 9, 3)), "STALE").await, [""]);
    assert_eq!((level(&web, 0, 9).await, web.seq().await), (1, 1), "nothing has happened");
    accepted(&web, &at(TEN - 1, set(0, 10, 4))).await; // another channel
    let mut other = at(TEN - 1, set(0, 9, 5));
    other["src"] = json!("somebody else");
    accepted(&web, &other).await;
    accepted(&web, &set(0, 9, 6)).await; // without a time
    accepted(&web, &at(TEN - 2_001, set(0, 9, 7))).await; // from a clock that was set back
    accepted(&web, &at(TEN - 2_000, set(0, 9, 8))).await;
    assert_eq!(level(&web, 0, 9).await, 8);
}

#[tokio::test]
async fn of_a_patch_only_what_was_overtaken_is_left_out() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    accepted(&web, &at(TEN, set(0, 9, 1))).await;
    accepted(&web, &at(TEN - 5, super::patch(0, &[(9, 2), (10, 2)]))).await;
    assert_eq!([level(&web, 0, 9).await, level(&web, 0, 10).await], [1, 2]);
}

#[tokio::test]
async fn a_colour_that_was_overtaken_is_told_at_its_door_and_a_duplicate_stays_one() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let [old, new, late] = [[1, 1, 1], [2, 2, 2], [3, 3, 3]].map(command);
    web.accepted(&at(TEN - 10, old.clone())).await;
    web.accepted(&at(TEN, new)).await;
    let problem = web.post("/rgb", at(TEN - 1, late.clone()).to_string()).await.problem(409);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("STALE")), "{problem}");
    assert!(web.is_duplicate(&at(TEN - 10, old)).await, "one that was done is a duplicate, however old it is");
    assert_eq!(lamp_levels(&web).await, [2, 2, 2]);

    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    assert_eq!(listener.subscribe("v1/demo/rgb/rejected", 1).await, 1);
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(CMD, at(TEN, command([4, 4, 4])).to_string().as_bytes()).await;
    esp.publish(CMD, at(TEN - 1, late.clone()).to_string().as_bytes()).await;
    let rejected = listener.message().await.json();
    assert_eq!((&rejected["reason"], &rejected["cmdId"]), (&json!("STALE"), &late["cmdId"]), "{rejected}");
    assert_eq!(lamp_levels(&web).await, [4, 4, 4]);
}

#[tokio::test]
async fn six_requests_that_are_not_waited_for_end_on_the_last_one() {
    let appliance = Appliance::start().await;
    for round in 0..60 {
        let requests = (0..6).map(|n| {
            let (web, body) = (Web::new(appliance.http), at(TEN + round * 100 + n, command([n as u8 + 1, 0, 0])));
            tokio::spawn(async move { web.post("/rgb", body.to_string()).await.status })
        });
        for request in requests.collect::<Vec<_>>() {
            let status = patiently("an answer", request).await.unwrap();
            assert!([202, 409].contains(&status), "{status}");
        }
        assert_eq!(lamp_levels(&appliance.web()).await, [6, 0, 0], "round {round}");
    }
}

#[tokio::test]
async fn what_a_dead_radio_held_up_is_late_but_a_blackout_is_better_late_than_never() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    tablet.send(&at(TEN, json!({"type": "ping"}))).await;
    assert_eq!(tablet.other(0).await, json!({"type": "pong", "ts": TEN}));
    let [old, young] = [TEN - 3_500, TEN - 1_000];
    let late = at(old, set(0, 9, 1));
    tablet.send(&late).await;
    assert_eq!(refusal(&tablet.ack(&late["id"]).await, "LATE"), [""]);
    let in_time = at(young, set(0, 9, 2));
    tablet.send(&in_time).await;
    assert_eq!(tablet.ack(&in_time["id"]).await["accepted"], true);
    for (n, message) in [
        json!({"type": "set", "cmdId": fresh_id(), "src": "t", "r": 9, "g": 9, "b": 9}),
        json!({"type": "master", "level": 0}),
        json!({"type": "blackout", "on": false}),
    ]
    .into_iter()
    .enumerate()
    {
        tablet.send(&at(old, message.clone())).await;
        let err = tablet.other(3 + n).await;
        assert_eq!((&err["type"], &err["code"]), (&json!("err"), &json!("LATE")), "{message}: {err}");
    }
    tablet.send(&at(old, json!({"type": "blackout", "on": true}))).await;
    tablet.desk("the blackout", |desk| desk["blackout"] == true).await;
    assert_eq!((lamp_levels(&web).await, level(&web, 0, 9).await), ([0, 0, 0], 2));
    assert_eq!(desk(&web).await["master"], 255);
}

#[tokio::test]
async fn without_a_ping_that_tells_the_clock_or_with_the_limit_off_nothing_is_late() {
    for (limit, pings) in [("3000", false), ("0", true)] {
        let appliance = Home::new().set("DMX_ENGINE_MAX_AGE_MS", limit).start().await;
        let tablet = WsWatcher::start(appliance.http).await;
        if pings {
            tablet.send(&at(TEN, json!({"type": "ping"}))).await;
            tablet.other(0).await;
        }
        let old = at(TEN - 60_000, set(0, 9, 1));
        tablet.send(&old).await;
        assert_eq!(tablet.ack(&old["id"]).await["accepted"], true, "{limit}, {pings}");
    }
}

#[tokio::test]
async fn a_look_that_is_recalled_too_often_ends_on_the_last_one() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for (name, value) in [("A", 1), ("B", 2)] {
        accepted(&web, &set(0, 9, value)).await;
        add_scene(&web, &json!({"name": name})).await;
    }
    let tablet = WsWatcher::start(appliance.http).await;
    let recalls: Vec<Value> = (0..101).map(|n| super::recall(if n % 2 == 0 { "A" } else { "B" })).collect();
    for recall in &recalls {
        tablet.send(recall).await;
    }
    assert_eq!(tablet.ack(&recalls[100]["id"]).await["accepted"], true);
    tablet.other(recalls.len() - 1).await;
    assert_eq!(level(&web, 0, 9).await, 1, "A was the last one");
    assert_eq!(ack(&web, &set(0, 1, 0)).await["accepted"], true);
}
