//! The broker over a long time: its memory, whatever ids, topics and filters strangers invent, and the patience it has with silence.

use std::time::Duration;

use crate::harness::{Connect, Home, Link};

/// Cycles of connect, subscribe, publish, drop; `DMXD_LONG_CYCLES` sets another number.
const CYCLES: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: run by tests/long/run"]
async fn changing_ids_topics_and_filters_stop_costing_memory() {
    let cycles = std::env::var("DMXD_LONG_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(CYCLES);
    // small limits, so that they are reached many times
    let home = Home::new()
        .set("DMX_MQTT_MAX_SESSIONS", "500")
        .set("DMX_MQTT_MAX_DEVICES", "100")
        .set("DMX_MQTT_MAX_RETAINED", "200");
    let appliance = home.start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe("witness", 1).await;
    let mut peaks = Vec::new();
    for n in 0..cycles {
        let connect = Connect::new(&format!("stranger-{n}"));
        let mut link = Link::join(appliance.mqtt, &if n % 3 == 0 { connect.persistent() } else { connect }).await;
        link.subscribe(&format!("strange/{n}/+"), 1).await;
        link.send_publish(&format!("v1/devices/{n}/state"), br#"{"online":true}"#, n % 7 == 0).await;
        if n % 2 == 0 {
            link.leave().await
        } else {
            link.reset()
        }
        if n % 1_000 == 999 {
            witness.publish("witness", n.to_string().as_bytes()).await;
            assert_eq!(witness.message().await.text(), n.to_string(), "nobody loses a message");
        }
        if n % (cycles / 10) == cycles / 10 - 1 {
            peaks.push(appliance.peak_memory_mib());
            println!("after {} cycles: peak {} MiB", n + 1, peaks.last().unwrap());
        }
    }
    println!(
        "{}",
        appliance
            .web()
            .get("/metrics")
            .await
            .text
            .lines()
            .filter(|line| line.starts_with("dmx_broker"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    let (half, end) = (peaks[peaks.len() / 2], peaks[peaks.len() - 1]);
    assert!(end <= half + half / 10, "still growing: {peaks:?}");
    appliance.assert_serves().await;
}

/// What dmxd suggests to who has no keep-alive is 60 s, of which half as much again may pass for who took it.
const SILENCE: Duration = Duration::from_secs(100);

#[tokio::test]
#[ignore = "minutes: run by tests/long/run"]
async fn a_client_without_a_keep_alive_is_not_held_to_the_one_that_was_suggested() {
    let appliance = Home::new().start().await;
    let mut links = Vec::new();
    for level in [4, 5] {
        let connect = Connect::new(&format!("level-{level}")).level(level).keep_alive(0);
        links.push(Link::join(appliance.mqtt, &connect).await);
    }
    // paho takes no notice of Server Keep Alive; the time is what this is about
    tokio::time::sleep(SILENCE).await;
    for mut link in links {
        link.ping().await;
    }
}
