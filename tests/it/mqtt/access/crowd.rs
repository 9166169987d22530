//! Two hundred devices with keys come back at once, as after a power cut.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{locked, make};
use crate::harness::{Connect5, HEADROOM, Link5, Message5};

const DEVICES: usize = 200;

#[tokio::test]
async fn two_hundred_devices_log_in_within_a_second() {
    let appliance = locked().start().await;
    let mut all = Vec::new();
    for n in 0..DEVICES {
        all.push(make(&appliance, &format!("lamp-{n}"), "device").await);
    }
    let connects: Vec<_> = all
        .iter()
        .map(|made| {
            let state = format!("v1/devices/{}/state", made.name);
            let will = Message5::new(&state, r#"{"online":false}"#).retained();
            Connect5::kept(&made.name, 3600).login(&made.name, &made.key).will(will)
        })
        .collect();
    for (round, times) in [(0, 1), (1, 2), (2, 2)] {
        let begun = Instant::now();
        let links = join_all(connects.iter().map(|connect| Link5::join(appliance.mqtt, connect))).await;
        let took = begun.elapsed();
        println!("round {round}: {DEVICES} logins in {took:?}");
        assert!(took < Duration::from_secs(1) * HEADROOM, "{took:?}");
        for link in links.into_iter().skip(usize::from(times > 1)) {
            link.reset();
        }
    }
}
