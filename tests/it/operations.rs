//! What an operator has: logs, metrics, systemd (CONTRACT section 9).

use std::time::Duration;

use serde_json::Value;
use tokio::net::UnixDatagram;

use crate::harness::{Appliance, CMD, Connect, Home, Link, command_with, fresh_id, patiently};

#[tokio::test]
async fn every_line_of_the_log_is_one_json_object() {
    let appliance = Appliance::start().await;
    let id = fresh_id();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp\n{}")).await;
    esp.publish(CMD, command_with(&id, [1, 2, 3]).to_string().as_bytes()).await;
    esp.publish(CMD, b"{\n\"broken").await;
    esp.reset();
    let accepted = appliance.log.wait("the accepted command", |line| line["cmdId"] == id.as_str()).await;
    assert_eq!((&accepted["seq"], &accepted["src"]), (&1.into(), &"test".into()), "{accepted}");
    assert!(accepted["latencyUs"].as_u64().is_some(), "{accepted}");
    let mut appliance = appliance;
    appliance.signal(rustix::process::Signal::TERM);
    appliance.ended().await;
    for line in appliance.log.all() {
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "message"] {
            assert!(entry[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {line}");
        }
    }
}

#[tokio::test]
async fn the_bootstrap_says_publish_state_at_each_start() {
    let appliance = Appliance::start().await;
    appliance.log.wait("publish_state", |line| line["message"] == "publish_state").await;
    let appliance = appliance.restart().await;
    appliance.log.wait("publish_state again", |line| line["message"] == "publish_state").await;
}

#[tokio::test]
async fn the_log_level_is_a_setting_in_any_case() {
    for level in ["WARNING", "warn"] {
        let home = Home::new().set("DMX_LOG_LEVEL", level);
        // Without the info line that names free ports, this one ends by itself.
        let ended = home.set("DMX_HOST", "203.0.113.1").run_to_its_end().await; // TEST-NET-3: nobody's own address
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let quiet = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] != "INFO");
        assert!(ended.stdout.lines().all(quiet), "{level}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn the_metrics_of_the_contract_are_there_without_labels() {
    let appliance = Appliance::start().await;
    let text = appliance.web().get("/metrics").await;
    assert_eq!(text.status, 200);
    assert!(text.header("content-type").starts_with("text/plain"), "{}", text.header("content-type"));
    for name in [
        "dmx_engine_processed_total",
        "dmx_engine_deduped_total",
        "dmx_engine_dropped_total",
        "dmx_engine_queue_depth",
        "dmx_engine_last_latency_ms",
        "dmx_ws_clients",
        "dmx_engine_apply_seconds_count",
        "dmx_ws_broadcast_seconds_count",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(appliance.web().metric(name).await >= 0.0, "{name}");
    }
    assert_eq!(appliance.web().metric("dmx_mqtt_connected").await, 1.0, "the embedded broker serves");
    let before = appliance.web().metric("dmx_engine_processed_total").await;
    appliance.assert_serves().await;
    assert_eq!(appliance.web().metric("dmx_engine_processed_total").await, before + 1.0);
    assert_eq!(appliance.web().metric("dmx_engine_apply_seconds_count").await, before + 1.0);
    assert!(appliance.web().metric("dmx_engine_last_latency_ms").await > 0.0);
    assert!(appliance.web().metric("dmx_broker_messages_received_total").await >= 1.0);
    assert!(appliance.web().metric("dmx_broker_retained").await >= 2.0, "state and presence");
}

#[tokio::test]
async fn systemd_is_told_ready_watchdog_and_stopping() {
    let home = Home::new();
    let path = home.beside("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let home = home.set("NOTIFY_SOCKET", &path).set("WATCHDOG_USEC", "400000");
    let mut appliance = home.start().await;
    let mut told = Vec::new();
    hear(&systemd, &mut told, "READY=1").await;
    for _ in 0..3 {
        told.clear();
        hear(&systemd, &mut told, "WATCHDOG=1").await;
    }
    told.clear();
    appliance.signal(rustix::process::Signal::TERM);
    hear(&systemd, &mut told, "STOPPING=1").await;
    assert_eq!(appliance.ended().await.code(), Some(0));
}

#[tokio::test]
async fn systemd_is_not_told_ready_before_the_doors_are_open() {
    let home = Home::new();
    let path = home.beside("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    let home = home.set("NOTIFY_SOCKET", &path).set("DMX_HOST", "203.0.113.1");
    assert_eq!(home.run_to_its_end().await.code, Some(1), "this door cannot be opened");
    let mut buffer = [0; 256];
    while let Ok(length) = systemd.try_recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(!text.contains("READY=1"), "{text}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_delays_no_command() {
    // The harness reads stdout; here an unread pipe takes its place.
    let home = Home::new().set("DMX_LOG_LEVEL", "trace");
    let appliance = home.start().await;
    appliance.log.stop_reading();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for n in 0..2000_u32 {
        let body = command_with(&fresh_id(), crate::harness::colour(n));
        // Far below the harness's patience, far above a command's time.
        let body = body.to_string();
        tokio::time::timeout(Duration::from_secs(5), esp.publish(CMD, body.as_bytes()))
            .await
            .expect("the pipe delays nobody");
    }
    assert_eq!(appliance.web().seq().await, 2000);
}

/// Reads notifications until one contains this line.
async fn hear(systemd: &UnixDatagram, told: &mut Vec<String>, line: &str) {
    let mut buffer = [0; 256];
    while !told.iter().any(|text| text.lines().any(|each| each == line)) {
        let length = patiently(line, systemd.recv(&mut buffer)).await.unwrap();
        told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
}
