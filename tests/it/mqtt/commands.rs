//! Commands over MQTT: when they are acknowledged, how they are refused, and who else receives them.

use serde_json::{Value, json};

use crate::harness::{
    ACK, Appliance, CMD, Connect, Link, Message, Packet, REJECTED, STATE, StateWatcher, UNIFIED, colour, command,
    encode, fresh_id, rgb_of,
};

#[tokio::test]
async fn the_puback_of_a_command_comes_after_its_light() {
    let appliance = Appliance::start().await;
    let mut link = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let web = appliance.web();
    for n in 1..=50 {
        link.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
        let state = web.state().await;
        assert_eq!((state["seq"].as_u64(), rgb_of(&state)), (Some(n.into()), colour(n)), "seen right after the PUBACK");
    }
}

#[tokio::test]
async fn a_refused_command_is_acknowledged_and_answered_on_rejected() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe(REJECTED, 1).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp/7")).await;
    let id = fresh_id();
    let body = json!({"cmdId": id, "src": "esp", "r": "1", "g": 1.5, "b": 3, "colour": "red"});

    esp.publish(CMD, body.to_string().as_bytes()).await;

    let message = listener.message().await;
    assert_eq!((message.qos, message.retain), (1, false));
    let rejected = message.json();
    let mut names: Vec<_> = rejected.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["clientId", "cmdId", "errors", "reason", "ts"], "{rejected}");
    assert_eq!(rejected["cmdId"], id);
    assert_eq!(rejected["clientId"], "esp/7");
    assert_eq!(rejected["reason"], "VALIDATION_FAILED");
    assert!(rejected["ts"].as_u64().is_some_and(|ts| ts > 0), "{rejected}");
    let errors = rejected["errors"].as_array().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error["path"].as_str().unwrap()).collect();
    for path in ["/r", "/g", "/colour"] {
        assert!(paths.contains(&path), "{path} in {rejected}");
    }
    assert_eq!(paths.len(), 3, "{rejected}");
    assert!(errors.iter().all(|error| error["msg"].as_str().is_some_and(|msg| !msg.is_empty())), "{rejected}");
    assert_eq!(appliance.web().seq().await, 0, "nothing else happened");
    appliance.assert_serves().await;
}

#[tokio::test]
async fn what_is_not_even_json_is_rejected_without_an_id() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe(REJECTED, 1).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for body in [b"{".as_slice(), b"", b"null", b"[]", b"\xff\xfe", b"42"] {
        esp.publish(CMD, body).await;
        let rejected = listener.message().await.json();
        assert_eq!(rejected["cmdId"], Value::Null, "{body:?}: {rejected}");
        assert_eq!(rejected["reason"], "VALIDATION_FAILED", "{body:?}: {rejected}");
        assert!(!rejected["errors"].as_array().unwrap().is_empty(), "{body:?}: {rejected}");
    }
    assert_eq!(appliance.web().seq().await, 0);
    assert_eq!(appliance.web().metric("dmx_broker_commands_rejected_total").await, 6.0);
}

#[tokio::test]
async fn a_command_on_the_other_ones_topic_is_told_where_it_belongs() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.subscribe_all(&[(REJECTED, 1), (ACK, 1)]).await;
    let patch = json!({"type": "dmx.patch", "id": "p-1", "universe": 0, "patch": [{"ch": 1, "val": 9}]});
    esp.publish(CMD, patch.to_string().as_bytes()).await;
    let rejected = esp.message().await.json();
    assert_eq!((&rejected["cmdId"], &rejected["reason"]), (&json!("p-1"), &json!("VALIDATION_FAILED")));
    let errors = rejected["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[0]["path"]), (1, &json!("/type")), "{rejected}");
    assert!(errors[0]["msg"].as_str().unwrap().contains("dmx/command"), "{rejected}");

    let mut lamp = command([1, 2, 3]);
    lamp["schema"] = json!("demo.rgb.cmd.v1");
    esp.publish(UNIFIED, lamp.to_string().as_bytes()).await;
    let ack = esp.message().await.json();
    assert_eq!((&ack["accepted"], &ack["errors"][0]["path"]), (&json!(false), &json!("/schema")), "{ack}");
    assert!(ack["errors"][0]["msg"].as_str().unwrap().contains("rgb/cmd"), "{ack}");
    let problem = appliance.web().post("/rgb", patch.to_string()).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("POST /command"), "{problem}");
    assert_eq!(appliance.web().seq().await, 0);
}

#[tokio::test]
async fn levels_are_clamped() {
    let appliance = Appliance::start().await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let body = json!({"cmdId": fresh_id(), "src": "esp", "r": 300, "g": -5, "b": u64::MAX});
    esp.publish(CMD, body.to_string().as_bytes()).await;
    assert_eq!(watcher.wait_seq(1).await.rgb, [255, 0, 255]);
}

#[tokio::test]
async fn a_retained_command_is_applied_once_and_never_kept() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let body = command([1, 2, 3]);
    esp.retain(CMD, body.to_string().as_bytes()).await;
    assert_eq!(appliance.web().seq().await, 1, "applied");
    assert_eq!(appliance.web().metric("dmx_broker_retained_commands_total").await, 1.0, "counted");
    let warned = |line: &Value| line["level"] == "WARN" && line.to_string().contains("retain");
    appliance.log.wait("a warning about the retained command", warned).await;

    let appliance = appliance.restart().await;
    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe_all(&[(CMD, 1), ("marker", 1)]).await;
    late.publish("marker", b"").await;
    assert_eq!(late.until("marker").await, [], "never kept");
    assert_eq!(appliance.web().seq().await, 1, "not applied again");
}

#[tokio::test]
async fn a_command_is_routed_on_to_who_listens_on_its_topic() {
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("v1/demo/+/cmd", 1).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let body = command([1, 2, 3]).to_string();
    esp.publish(CMD, body.as_bytes()).await;
    let heard = listener.message().await;
    assert_eq!((heard.topic.as_str(), heard.text(), heard.retain), (CMD, body, false));
}

#[tokio::test]
async fn a_command_at_qos_0_and_at_qos_2_moves_the_light_as_well() {
    let appliance = Appliance::start().await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let at = |qos, pkid, rgb| {
        let payload = command(rgb).to_string().into_bytes();
        encode::publish(&Message { topic: CMD.into(), payload, qos, retain: false, dup: false, pkid })
    };
    esp.send(&at(0, 0, [1, 0, 0])).await;
    assert_eq!(watcher.wait_seq(1).await.rgb, [1, 0, 0]);

    esp.send(&at(2, 9, [2, 0, 0])).await;
    assert_eq!(esp.answer().await, Packet::PubRec(9));
    esp.send(&encode::pubrel(9)).await;
    assert_eq!(esp.answer().await, Packet::PubComp(9));
    assert_eq!(rgb_of(&appliance.web().state().await), [2, 0, 0], "done when the handshake is");
    assert_eq!(watcher.wait_seq(2).await.rgb, [2, 0, 0]);
}

#[tokio::test]
async fn the_topic_prefix_is_a_setting() {
    let appliance = crate::harness::Home::new().set("DMX_TOPIC_PREFIX", "hall/7").start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(CMD, command([1, 1, 1]).to_string().as_bytes()).await;
    assert_eq!(appliance.web().seq().await, 0, "the default topic is a plain one now");
    esp.publish("hall/7/rgb/cmd", command([2, 2, 2]).to_string().as_bytes()).await;
    assert_eq!(appliance.web().seq().await, 1);
    esp.subscribe_all(&[("hall/7/rgb/state", 1), (STATE, 1)]).await;
    let state = esp.message().await;
    assert_eq!((state.topic.as_str(), rgb_of(&state.json())), ("hall/7/rgb/state", [2, 2, 2]));
}
