//! Light out through OLA (CONTRACT section 8): with the real olad, and with a peer that misbehaves on command.

mod olad;
pub mod peer;
mod trouble;

use std::future::Future;
use std::time::{Duration, Instant};

use crate::harness::{Appliance, Home, Web};

/// Sooner than the next refresh would bring it.
const AT_ONCE: Duration = Duration::from_millis(900);

/// A home that sends to an address.
fn sending_to(url: &str) -> Home {
    Home::new().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", url)
}

/// Messages of the outputs that are down.
async fn down(web: &Web) -> Vec<String> {
    let answer = web.get("/readyz").await;
    assert_eq!(answer.status, 200, "an output is no reason not to serve: {answer:?}");
    let body = answer.json();
    let problems = body["problems"].as_array().expect("a list of problems").iter();
    let down = problems.filter(|problem| problem["code"] == "OUTPUT_DOWN");
    down.map(|problem| problem["message"].as_str().expect("a message").to_owned()).collect()
}

/// `dmx_output_<name>` of output `ola`.
async fn metric(appliance: &Appliance, name: &str) -> f64 {
    appliance.web().metric(&format!("dmx_output_{name}{{output=\"ola\"}}")).await
}

/// Errors of one kind of output `ola`.
async fn errors(appliance: &Appliance, kind: &str) -> f64 {
    appliance.web().metric(&format!("dmx_output_errors_total{{kind=\"{kind}\",output=\"ola\"}}")).await
}

/// How often the log contains this.
fn said(appliance: &Appliance, message: &str) -> usize {
    appliance.log.json().iter().filter(|line| line["message"] == message).count()
}

/// Waits for something that must not be left to the refresh.
async fn at_once<T>(what: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let seen = what.await;
    assert!(start.elapsed() < AT_ONCE, "it came after {:?} only", start.elapsed());
    seen
}
