//! Light out and light in (CONTRACT, section 8).

pub mod enttec;
mod frames;
mod input;
mod stop;
mod usb;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, HEADROOM, Home, LATE, ReceivedFrame, Web, Widget, command, eventually};

/// A change is on an idle wire within a slot of 25 ms, plus what a loaded machine needs.
const SOON: Duration = Duration::from_millis(100 * HEADROOM as u64);

/// An unchanged frame is sent again after this long.
const REFRESH: Duration = Duration::from_secs(1);

/// A home whose widget is plugged in under a path of its own.
fn with_widget() -> (Widget, Home) {
    let home = Home::new();
    let widget = Widget::plugged_in(home.beside("widget"));
    let home = on_port(home, widget.path());
    (widget, home)
}

/// The USB output on an explicit port.
fn on_port(home: Home, port: &Path) -> Home {
    home.set("DMX_USB_ENABLED", "true").set("DMX_USB_PORT", port)
}

/// An output as `GET /outputs` shows it.
async fn output(web: &Web, name: &str) -> Value {
    listed(web, "outputs", name).await
}

/// The input as `GET /outputs` shows it.
async fn input(web: &Web) -> Value {
    listed(web, "inputs", "input").await
}

async fn listed(web: &Web, list: &str, name: &str) -> Value {
    let answer = web.get("/outputs").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let ports = body[list].as_array().unwrap_or_else(|| panic!("{list} in {body}"));
    let found = ports.iter().find(|port| port["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {body}")).clone()
}

/// Waits until an output is connected, or is not.
async fn connected(web: &Web, name: &str, wanted: bool) -> Value {
    eventually(&format!("{name} connected: {wanted}"), async || {
        Some(output(web, name).await).filter(|output| output["connected"] == wanted)
    })
    .await
}

/// A metric of one output.
async fn metric(web: &Web, name: &str, output: &str) -> f64 {
    web.metric(&format!("dmx_output_{name}{{output=\"{output}\"}}")).await
}

/// The error metric of one output and kind.
async fn errors(web: &Web, output: &str, kind: &str) -> f64 {
    // labels may come in either order
    let text = web.get("/metrics").await.text;
    let is = |line: &&str| {
        line.starts_with("dmx_output_errors_total{")
            && line.contains(&format!("output=\"{output}\""))
            && line.contains(&format!("kind=\"{kind}\""))
    };
    let line = text.lines().find(is).unwrap_or_else(|| panic!("errors of kind {kind} of {output}"));
    line.rsplit(' ').next().unwrap().parse().expect("a number")
}

/// How often the log contains this.
fn said(appliance: &Appliance, message: &str) -> usize {
    appliance.log.json().iter().filter(|line| line["message"] == message).count()
}

/// The problem with this code in `/readyz`, which is 200 all the same.
async fn problem(web: &Web, code: &str) -> Option<String> {
    let answer = web.get("/readyz").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let problems = answer.json()["problems"].as_array().expect("a list of problems").clone();
    let found = problems.into_iter().find(|problem| problem["code"] == code)?;
    Some(found["message"].as_str().expect("a message").to_owned())
}

/// Lights the lamp and waits until the widget shows it.
async fn light(appliance: &Appliance, widget: &Widget, rgb: [u8; 3]) {
    appliance.web().accepted(&command(rgb)).await;
    widget.shows(rgb).await;
}

/// Waits until every frame that the widget has received is counted, with all that is counted of a frame: a frame is on the
/// wire before it is in the metrics.
async fn all_counted(web: &Web, widget: &Widget, output: &str) {
    eventually("every frame to be counted", async || {
        (metric(web, "frames_total", output).await == widget.frames().len() as f64).then_some(())
    })
    .await;
}

/// Frames keep the pace: no stretch of time has more of them than it allows. How densely they leave is tested under
/// paused time, with the runner; here the first of a stretch may have been read late, and the rest in time.
fn assert_paced(frames: &[ReceivedFrame], fps: u32) {
    for (n, first) in frames.iter().enumerate() {
        for (m, last) in frames.iter().enumerate().skip(n) {
            let allowed = (last.at - first.at + LATE).as_secs_f64() * f64::from(fps) + 3.0;
            let count = (m - n + 1) as f64;
            assert!(count <= allowed, "{count} frames in {:?} at {fps} fps", last.at - first.at);
        }
    }
}

/// Nothing is sent twice within a second, or what is left of one if the first was read late.
fn assert_only_refreshes_repeat(frames: &[ReceivedFrame]) {
    for pair in frames.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap + LATE > REFRESH || pair[0].levels != pair[1].levels, "the same frame again after {gap:?}");
    }
}
