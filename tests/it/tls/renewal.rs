//! A new certificate while connections live on.

use super::{Secure, home, under};
use crate::harness::{command, eventually, in_its_own_network, mosquitto_sub};

#[tokio::test]
async fn a_new_address_brings_a_new_certificate_and_open_connections_stay() {
    in_its_own_network(async || {
        let secure = Secure::start(home()).await;
        let before = secure.leaf().await;
        assert!(!under(&before, "Subject Alternative Name").contains("10.77.0.5"));
        let listener = mosquitto_sub(secure.mqtts, &["--cafile", secure.ca(), "-t", "v1/demo/rgb/state", "-C", "2"]);
        listener.lines.wait_count(1).await;
        let added = std::process::Command::new("ip").args(["address", "add", "10.77.0.5/24", "dev", "lo"]).status();
        assert!(added.unwrap().success());
        eventually("a certificate with the new address", async || {
            under(&secure.leaf().await, "Subject Alternative Name").contains("10.77.0.5").then_some(())
        })
        .await;
        let leaf = secure.leaf().await;
        let serial = |leaf: &str| under(leaf, "Serial Number").to_owned();
        assert_ne!(serial(&before), serial(&leaf));
        let log = &secure.appliance.log;
        assert!(log.find(|line| line["why"] == "names or addresses have changed").is_some());
        secure.appliance.web().accepted(&command([7, 8, 9])).await;
        listener.succeed().await; // the same connection
        assert!(log.find(|line| line["message"] == "mqtt_disconnect" && line["why"] != "disconnect").is_none());
    })
    .await;
}
