//! How soon blackout is dark on an output that answers, whatever else waits (issue 7: 100 ms).

use std::time::{Duration, Instant};

use serde_json::json;

use super::{blackout, desk};
use crate::harness::{
    Appliance, BLACKOUT, CMD, Connect, FakeOla, HEADROOM, Home, LATE, Link, Message, Mood, Packet, Widget, WsWatcher,
    colour, command, encode, eventually, fresh_id,
};

/// Issue 7.
const DARK_WITHIN: Duration = Duration::from_millis(100);

/// Doors that request it, one after the other. One of them has to be dark in time, since the machine is shared.
const DOORS: [&str; 6] = ["REST", "WebSocket", "MQTT", "REST", "WebSocket", "MQTT"];

/// Clients, and commands that each has not seen acknowledged: 10,240 that wait.
const CLIENTS: u32 = 40;
const WINDOW: u32 = 256;

/// Many clients, each with commands of its own.
struct Crowd(Vec<(Link, Vec<u8>)>);

impl Crowd {
    /// Joins; what they are about to send is ready.
    async fn join(appliance: &Appliance) -> Self {
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let link = Link::join(appliance.mqtt, &Connect::new(&format!("crowd-{}", fresh_id()))).await;
            let publish = |n: u32| {
                let payload = command(colour(1 + client * WINDOW + n)).to_string().into_bytes();
                let pkid = u16::try_from(n + 1).unwrap();
                encode::publish(&Message { topic: CMD.into(), payload, qos: 1, retain: false, dup: false, pkid })
            };
            clients.push((link, (0..WINDOW).flat_map(publish).collect()));
        }
        Self(clients)
    }

    /// Sends everything at once.
    async fn send(&mut self) {
        for (link, bytes) in &mut self.0 {
            link.send(bytes).await;
        }
    }

    /// Waits until everything is acknowledged.
    async fn done(self) {
        for (mut link, _) in self.0 {
            for _ in 0..WINDOW {
                assert!(matches!(link.answer().await, Packet::PubAck(_)));
            }
        }
    }
}

/// Requests the dark by each door while 10,000 commands wait, and lifts it in between; `dark_since` gives when the output
/// went dark after a moment.
async fn black_out_a_crowd(
    appliance: &Appliance,
    what: &str,
    dark_since: impl Fn(Instant) -> Option<Instant>,
    is_lit: impl Fn() -> bool,
) {
    let web = appliance.web();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let mut crowd = Crowd::join(appliance).await;
    web.accepted(&command([255, 255, 255])).await;
    let all = web.metric("dmx_engine_processed_total").await + f64::from(CLIENTS * WINDOW);
    let waiting = async || all - web.metric("dmx_engine_processed_total").await;
    let mut times = Vec::new();
    crowd.send().await;
    for (n, door) in DOORS.into_iter().enumerate() {
        eventually("light", async || is_lit().then_some(())).await;
        // new each time, since one that receives thousands of changes has to be quick
        let tablet = WsWatcher::connect(appliance.http, "/ws", &[]).await.expect("the WebSocket opens");
        let before = waiting().await;
        let start = Instant::now();
        match door {
            "REST" => blackout(&web, true).await,
            "WebSocket" => tablet.send(&json!({"type": "blackout", "on": true})).await,
            _ => esp.publish(BLACKOUT, br#"{"on":true}"#).await,
        }
        let took = eventually(&format!("the dark by {door}"), async || dark_since(start)).await - start;
        let after = waiting().await;
        println!("{what} by {door}: dark after {took:?}; {before} commands waited before that and {after} after it");
        // However busy the machine is, blackout does not wait for what came before it.
        assert!(n > 0 || after * 2.0 > before, "{before} commands waited, and only {after} when it was dark");
        if after > 0.0 {
            times.push(took);
        }
        if n + 1 < DOORS.len() {
            blackout(&web, false).await;
        }
    }
    crowd.done().await;
    assert!(!is_lit(), "no command has lifted it");
    assert_eq!(desk(&web).await["blackout"], true);
    // beside five other programs the soonest was seen after 501 ms
    let seen_within = DARK_WITHIN * HEADROOM + LATE;
    assert!(times.iter().min() < Some(&seen_within), "{what}: dark after {times:?}");
}

// several workers: the peer's clock is this process, which has a crowd to serve
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_widget_is_dark_at_once_though_10_000_commands_wait_and_ola_is_a_black_hole() {
    let ola = FakeOla::start(Mood::BlackHole).await;
    let home = Home::new().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", ola.url());
    let widget = Widget::plugged_in(home.beside("widget"));
    let home = home.set("DMX_USB_ENABLED", "true").set("DMX_USB_PORT", widget.path());
    let appliance = home.start().await;
    let dark_since = |start| {
        let frames = widget.frames();
        let lit = frames.iter().rposition(|frame| frame.levels != [0; 512])?;
        frames.get(lit + 1).map(|frame| frame.at).filter(|at| *at > start)
    };
    let is_lit = || widget.frames().last().is_some_and(|frame| frame.levels != [0; 512]);
    black_out_a_crowd(&appliance, "a widget", dark_since, is_lit).await;
    widget.assert_well_framed();
}

// several workers: the peer's clock is this process, which has a crowd to serve
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn ola_is_dark_at_once_though_10_000_commands_wait() {
    let ola = FakeOla::start(Mood::Ok).await;
    let home = Home::new().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", ola.url());
    let appliance = home.start().await;
    let dark_since = |start| {
        let posted = ola.posted();
        let lit = posted.iter().rposition(|posted| posted.lamp() != [0; 3])?;
        posted.get(lit + 1).map(|posted| posted.at).filter(|at| *at > start)
    };
    let is_lit = || ola.posted().last().is_some_and(|posted| posted.lamp() != [0; 3]);
    black_out_a_crowd(&appliance, "OLA", dark_since, is_lit).await;
}
