//! Unified commands that are accepted: their acks, their one change, their one effect.

use serde_json::{Value, json};

use super::{accepted, ack, lit, patch, set};
use crate::harness::{
    ACK, Appliance, Connect, Link, Message, UNIFIED, UPDATES, WsWatcher, command_with, eventually, fresh_id,
};

/// A client that subscribes to acks.
async fn listener(appliance: &Appliance) -> Link {
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    assert_eq!(listener.subscribe(ACK, 1).await, 1);
    listener
}

/// The next ack; `of` is its id.
async fn next_ack(listener: &mut Link, of: &Value) -> Value {
    let message = listener.message().await;
    assert_eq!((message.topic.as_str(), message.qos, message.retain), (ACK, 1, false));
    let ack = message.json();
    assert_eq!(ack["ack"], *of, "{ack}");
    ack
}

fn taken(ack: &Value) -> bool {
    *ack == json!({"ack": ack["ack"], "accepted": true, "ts": ack["ts"]})
}

fn duplicate(ack: &Value) -> bool {
    *ack == json!({"ack": ack["ack"], "accepted": true, "duplicate": true, "ts": ack["ts"]})
}

#[tokio::test]
async fn each_door_acks_and_is_the_source_of_a_command_that_names_none() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let mut acks = listener(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let by = async |name: &str| assert_eq!(web.state().await["updatedBy"], name);

    accepted(&web, &set(0, 1, 1)).await;
    by("rest").await;
    let command = set(0, 1, 2);
    tablet.send(&command).await;
    assert!(taken(&tablet.ack(&command["id"]).await));
    by("ws").await;
    let command = set(0, 1, 3);
    esp.publish(UNIFIED, command.to_string().as_bytes()).await;
    by("mqtt").await; // seen right after the PUBACK
    assert!(taken(&next_ack(&mut acks, &command["id"]).await));
    for (id, src) in [("x".to_owned(), "script"), ("é".repeat(64), "desk 2"), (fresh_id().to_lowercase(), "s")] {
        let command =
            json!({"type": "dmx.set", "id": id, "universe": 0, "channel": 1, "value": 4, "ts": 0, "src": src});
        accepted(&web, &command).await;
        by(src).await;
    }
    assert_eq!(web.seq().await, 6);
    assert_eq!(tablet.picture().others.len(), 1, "an ack is for the one who asked");
}

#[tokio::test]
async fn a_patch_is_one_change() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let tablet = WsWatcher::start(appliance.http).await;
    let levels: Vec<(u16, u8)> = (100..164).map(|channel| (channel, (channel - 60) as u8)).collect();
    accepted(&web, &patch(2, &levels)).await;
    accepted(&web, &patch(2, &levels)).await;
    let updates = tablet.wait("two changes", |p| (p.updates.len() == 2).then(|| p.updates.clone())).await;
    let delta: Vec<_> = levels.iter().map(|(ch, val)| json!({"ch": ch, "val": val})).collect();
    assert_eq!((&updates[0]["rev"], &updates[0]["delta"]), (&json!(1), &json!(delta)));
    assert_eq!((&updates[1]["rev"], &updates[1]["delta"]), (&json!(2), &json!([])), "the same again is a change, too");
    let last = patch(3, &[(1, 1), (2, 2), (1, 3)]);
    accepted(&web, &last).await;
    let clamped =
        json!({"type": "dmx.patch", "id": "c", "universe": 3, "patch": [{"ch": 4, "val": 300}, {"ch": 2, "val": -1}]});
    accepted(&web, &clamped).await;
    assert_eq!(lit(&web).await["3"], json!({"1": 3, "4": 255}), "the last one wins; levels are clamped");
    assert_eq!(web.seq().await, 4);
}

#[tokio::test]
async fn an_id_counts_once_by_every_door_and_over_restarts() {
    let mut appliance = Appliance::start().await;
    let (id, lamp) = (json!("one"), fresh_id());
    let again = |value: u8| json!({"type": "dmx.set", "id": id, "universe": 4, "channel": 1, "value": value});
    accepted(&appliance.web(), &again(1)).await;
    appliance.web().accepted(&command_with(&lamp, [1, 2, 3])).await;
    for round in 0..3 {
        let web = appliance.web();
        assert!(duplicate(&ack(&web, &again(9)).await), "REST, round {round}");
        let tablet = WsWatcher::start(appliance.http).await;
        tablet.send(&again(9)).await;
        assert!(duplicate(&tablet.ack(&id).await), "WebSocket, round {round}");
        let mut acks = listener(&appliance).await;
        let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
        esp.publish(UNIFIED, again(9).to_string().as_bytes()).await;
        assert!(duplicate(&next_ack(&mut acks, &id).await), "MQTT, round {round}");
        let of_lamp = json!({"type": "dmx.set", "id": lamp, "universe": 0, "channel": 1, "value": 9});
        assert!(duplicate(&ack(&web, &of_lamp).await), "a ULID is one id at the lamp's door and at this one");
        assert_eq!(lit(&web).await, json!({"0": {"1": 1, "2": 2, "3": 3}, "4": {"1": 1}}));
        assert_eq!(web.seq().await, 2, "round {round}");
        appliance = if round == 0 { appliance.restart().await } else { appliance.kill9().await.start().await };
    }
}

#[tokio::test]
async fn a_ulid_that_was_a_unified_commands_is_a_duplicate_at_the_lamps_door() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let command = set(0, 1, 1);
    accepted(&web, &command).await;
    assert!(web.is_duplicate(&command_with(command["id"].as_str().unwrap(), [9, 9, 9])).await);
}

#[tokio::test]
async fn a_retained_unified_command_is_applied_once_and_never_kept() {
    let appliance = Appliance::start().await;
    let mut acks = listener(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let command = set(1, 1, 1);
    esp.retain(UNIFIED, command.to_string().as_bytes()).await;
    assert!(taken(&next_ack(&mut acks, &command["id"]).await));
    assert_eq!(appliance.web().metric("dmx_broker_retained_commands_total").await, 1.0);

    let appliance = appliance.restart().await;
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[(UNIFIED, 1), ("marker", 1)]).await;
    late.publish("marker", b"").await;
    assert_eq!(late.until("marker").await, Vec::<Message>::new(), "never kept");
    assert_eq!(appliance.web().seq().await, 1, "not applied again");
}

#[tokio::test]
async fn nobody_else_speaks_where_the_answers_are() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe_all(&[("dmx/#", 1), ("marker", 1)]).await;
    let mut forger = Link::join(appliance.mqtt, &Connect::new("forger")).await;
    for topic in [ACK, UPDATES] {
        forger.publish(topic, b"{}").await; // acknowledged
        forger.retain(topic, b"{}").await;
    }
    forger.publish("marker", b"").await;
    assert_eq!(listener.until("marker").await, Vec::<Message>::new());
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[("dmx/#", 1), ("marker", 1)]).await;
    late.publish("marker", b"").await;
    assert_eq!(late.until("marker").await, Vec::<Message>::new());
    // What is published there is live, and kept for nobody.
    accepted(&appliance.web(), &set(1, 1, 1)).await;
    assert_eq!(late.message().await.topic, UPDATES);
}

#[tokio::test]
async fn commands_of_one_client_happen_and_are_acked_in_their_order() {
    let appliance = Appliance::start().await;
    let mut acks = listener(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let tablet = WsWatcher::start(appliance.http).await;
    let commands: Vec<_> = (0..60).map(|n| set(1, 1, n + 1)).collect();
    for command in &commands {
        esp.send_publish(UNIFIED, command.to_string().as_bytes(), false).await;
    }
    for command in &commands {
        assert!(taken(&next_ack(&mut acks, &command["id"]).await));
    }
    let seen = tablet.wait("60 changes", |p| (p.updates.len() == 60).then(|| p.updates.clone())).await;
    let levels: Vec<_> = seen.iter().map(|update| update["delta"][0]["val"].as_u64().unwrap()).collect();
    assert_eq!(levels, (1..=60).collect::<Vec<_>>());
    tablet.wait("gap-free revs", |p| (p.revs == (1..=60).collect::<Vec<_>>()).then_some(())).await;
    eventually("all counted", async || {
        (appliance.web().metric("dmx_engine_processed_total").await == 60.0).then_some(())
    })
    .await;
}
