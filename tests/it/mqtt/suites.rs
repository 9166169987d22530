//! Whole suites of a stranger's clients: the scenarios of the Eclipse interoperability suites by paho-mqtt, and others by mqtt.js and
//! aiomqtt. The scripts in `tests/it/strangers` say what they check, and run as well against other brokers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::harness::{Appliance, aiomqtt, mqtt_js, python};

/// The longest scenarios wait for keep-alives and expiries of a few seconds; all of a script run side by side.
const LIMIT: Duration = Duration::from_secs(60);

/// Scenarios of each script.
const PAHO_3: usize = 16;
const PAHO_5: usize = 38;
const MQTT_JS: usize = 5;

/// Over WebSocket.
const BY_WEB: &[&str] = &["+websockets"];

async fn paho(script: &str, door: SocketAddr, how: &[&str], count: usize, appliance: &Appliance) {
    python(script, door, how).holds(count, LIMIT).await;
    appliance.assert_serves().await;
}

#[tokio::test]
async fn paho_finds_all_of_mqtt_3_1_1_that_the_eclipse_suite_asks_for() {
    let appliance = Appliance::start().await;
    paho("paho_v3.py", appliance.mqtt, &[], PAHO_3, &appliance).await;
}

#[tokio::test]
async fn paho_finds_all_of_mqtt_5_that_the_eclipse_suite_asks_for() {
    let appliance = Appliance::start().await;
    paho("paho_v5.py", appliance.mqtt, &[], PAHO_5, &appliance).await;
}

#[tokio::test]
async fn paho_finds_the_same_over_websocket() {
    let appliance = Appliance::start().await;
    paho("paho_v3.py", appliance.http, BY_WEB, PAHO_3, &appliance).await;
    paho("paho_v5.py", appliance.http, BY_WEB, PAHO_5, &appliance).await;
}

#[tokio::test]
async fn mqtt_js_is_served_in_both_versions_over_tcp_and_websocket() {
    let appliance = Appliance::start().await;
    for version in [4, 5] {
        mqtt_js(&format!("mqtt://{}", appliance.mqtt), version).holds(MQTT_JS, LIMIT).await;
        mqtt_js(&format!("ws://{}/mqtt", appliance.http), version).holds(MQTT_JS, LIMIT).await;
    }
}

#[tokio::test]
async fn home_assistant_gets_every_message_once_with_the_identifiers_of_its_filters() {
    let appliance = Appliance::start().await;
    python("home_assistant.py", appliance.mqtt, &[]).holds(1, LIMIT).await;
}

#[tokio::test]
async fn aiomqtt_is_served_both_ways_and_told_why_it_lost_its_place() {
    let appliance = Appliance::start().await;
    aiomqtt("aiomqtt_both_ways.py", appliance.mqtt).holds(3, LIMIT).await;
}
