//! Whole suites of a stranger's clients: the scenarios of the Eclipse interoperability suites by paho-mqtt, and others by mqtt.js.
//! The scripts in `tests/it/strangers` say what they check, and run as well against other brokers.

use std::time::Duration;

use crate::harness::{Appliance, mqtt_js, python};

/// The longest scenarios wait for keep-alives and expiries of a few seconds; all of a script run side by side.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn paho_finds_all_of_mqtt_3_1_1_that_the_eclipse_suite_asks_for() {
    let appliance = Appliance::start().await;
    let without = ["-three_point_one_and_three_point_one_point_one_hear_each_other"];
    python("paho_v3.py", appliance.mqtt, &without).holds(15, LIMIT).await;
    appliance.assert_serves().await;
}

#[tokio::test]
async fn mqtt_js_is_served_in_mqtt_3_1_1() {
    let appliance = Appliance::start().await;
    mqtt_js(&format!("mqtt://{}", appliance.mqtt), 4).holds(5, LIMIT).await;
}
