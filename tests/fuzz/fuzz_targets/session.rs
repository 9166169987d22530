//! A session of the broker, packet by packet: whatever a client of 3.1, 3.1.1 or 5 sends, nothing panics or hangs, its
//! answers are MQTT, and the client beside it is served.
//!
//! The input is read as steps, so that most of what is sent is well-formed and reaches the session; a tail of any bytes
//! follows.

#![no_main]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use dmxd::access::{Access, AccessDeps};
use dmxd::broker::{self, Broker};
use dmxd::config::Config;
use dmxd::dmx::{ProjectId, Rig};
use dmxd::engine::{self, Engine};
use dmxd::fixtures::Types;
use dmxd::intake::{self, Intake};
use dmxd::kit::budget::Budget;
use dmxd::kit::health::Health;
use dmxd::kit::tasks::Tasks;
use dmxd::library;
use dmxd::metrics::Metrics;
use dmxd::store::Store;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

const TOPICS: [&str; 8] = ["a", "a/b", "b", "$SYS/x", "v1/devices/d/state", "v1/demo/rgb/cmd", "v1/demo/rgb/state", ""];
const FILTERS: [&str; 8] = ["a", "a/#", "+/b", "#", "$SYS/#", "$share/g/a/#", "$share/g/a", "a#"];

/// Properties as they stand on the wire: those of a message, and some that are not always right.
const PROPERTIES: [&[u8]; 16] = [
    &[],
    &[0x01, 1],
    &[0x01, 2],
    &[0x02, 0, 0, 0, 0],
    &[0x02, 0, 0, 0, 1],
    &[0x03, 0, 1, b'c'],
    &[0x08, 0, 1, b'r'],
    &[0x09, 0, 1, 0],
    &[0x23, 0, 1],
    &[0x23, 0, 2],
    &[0x23, 0, 17],
    &[0x26, 0, 1, b'k', 0, 1, b'v', 0x26, 0, 1, b'k', 0, 1, b'v'],
    &[0x0b, 1],
    &[0x1f, 0, 1, b'w'],
    &[0x11, 0, 0, 0, 1],
    &[0x11, 0xff, 0xff, 0xff, 0xff],
];

/// A broker that lives as long as the process.
struct Stage {
    runtime: Runtime,
    address: SocketAddr,
    _house: (Broker, Engine, Tasks, tempfile::TempDir),
}

static STAGE: OnceLock<Stage> = OnceLock::new();

fn stage() -> Stage {
    // libFuzzer's main does not, Rust's does: a socket that is gone is an error, not the end.
    // SAFETY: nothing else sets this signal's handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (address, house) = runtime.block_on(async {
        let data = tempfile::tempdir().unwrap();
        let (metrics, health, mut config) = (Metrics::new().unwrap(), Health::default(), Config::default());
        config.mqtt.bind = Ipv4Addr::LOCALHOST.into();
        config.mqtt.port = 0;
        config.mqtt.max_sessions = 4; // with four ids: sessions are evicted, too
        config.storage.data_dir = data.path().into();
        let opened = Store::open(&config.storage, &health, &metrics).unwrap();
        let project = ProjectId::default_project();
        let engine = engine::start(&config.engine, opened.store.clone(), 0, project, Rig::default(), &metrics).await;
        let mut tasks = Tasks::default();
        let deps = library::LibraryDeps {
            several: false,
            store: opened.store.clone(),
            engine: engine.handle.clone(),
            feed: engine.feed.clone(),
            reading: library::Reading { universes: config.engine.universes, types: Types::built_in() },
            health: health.clone(),
        };
        let library = library::start(deps, &mut tasks).await;
        let budget = Budget::new(&config, health.clone(), metrics.memory.clone());
        let deps = AccessDeps::of(&config, &opened.store, &budget, &health);
        let access = Access::open(deps).await;
        let deps = intake::IntakeDeps {
            settings: &config.engine,
            engine: engine.handle.clone(),
            library,
            access: access.clone(),
        };
        let intake = Intake::new(deps, &mut tasks);
        let listener = broker::bind(&config.mqtt).unwrap();
        let address = listener.local_addr().unwrap();
        let deps = broker::BrokerDeps {
            settings: config.mqtt,
            web_port: config.http.port,
            access,
            intake,
            feed: engine.feed.clone(),
            store: opened.store,
            budget,
            health,
            metrics,
        };
        let broker = broker::start(broker::Ports::default().and(listener, None), deps).await.unwrap();
        (address, (broker, engine, tasks, data))
    });
    Stage { runtime, address, _house: house }
}

fuzz_target!(|bytes: &[u8]| {
    let stage = STAGE.get_or_init(stage);
    stage.runtime.block_on(async {
        timeout(PATIENCE, run(stage.address, bytes)).await.expect("a session or its neighbour hangs");
    });
});

async fn run(broker: SocketAddr, bytes: &[u8]) {
    let mut script = bytes.iter().copied();
    let mut next = move || script.next();
    let mut wire = Vec::new();
    let mut v5 = connect(&mut wire, next().unwrap_or_default(), next().unwrap_or_default());
    let mut socket = TcpStream::connect(broker).await.unwrap();
    while let Some(step) = next() {
        let what = next().unwrap_or_default();
        let qos = what >> 4 & 3;
        let pkid = [0, what & 7];
        match step % 16 {
            0..=3 => {
                let mut body = text(TOPICS[usize::from(what & 7)]);
                if qos > 0 {
                    body.extend(pkid);
                }
                properties(&mut body, v5, &mut next);
                body.extend(std::iter::repeat_n(b'x', usize::from(next().unwrap_or_default())));
                packet(&mut wire, 0x30 | what >> 4, &body); // DUP, QoS and RETAIN as they come
            }
            4..=6 => {
                let mut body = vec![0, 1];
                if v5 {
                    body.extend([&[0][..], &[2, 0x0b, 5]][usize::from(what >> 3 & 1)]);
                }
                body.extend(text(FILTERS[usize::from(what & 7)]));
                body.push(if v5 { next().unwrap_or_default() & 0x3f } else { qos });
                packet(&mut wire, 0x82, &body);
            }
            7 => {
                let mut body = vec![0, 2];
                body.extend(v5.then_some(0));
                body.extend(text(FILTERS[usize::from(what & 7)]));
                packet(&mut wire, 0xa2, &body);
            }
            ack @ 8..=11 => {
                let mut body = pkid.to_vec();
                if v5 && what & 8 != 0 {
                    body.push([0, 0x10, 0x83, 0x92][usize::from(what >> 6)]);
                    properties(&mut body, what & 16 != 0, &mut next);
                }
                packet(&mut wire, [0x40, 0x50, 0x62, 0x70][usize::from(ack - 8)], &body);
            }
            12 => packet(&mut wire, 0xc0, &[]),
            // The same or another client comes; this connection breaks off.
            13 => {
                finish(&mut socket, &wire, false).await;
                wire.clear();
                v5 = connect(&mut wire, what, next().unwrap_or_default());
                socket = TcpStream::connect(broker).await.unwrap();
            }
            14 => {
                let mut body = Vec::new();
                if v5 && what & 1 != 0 {
                    body.push([0, 4, 0x81, 0x8e][usize::from(what >> 6)]);
                    properties(&mut body, what & 2 != 0, &mut next);
                }
                packet(&mut wire, 0xe0, &body);
            }
            _ => wire.extend(std::iter::from_fn(&mut next).take(usize::from(what))),
        }
    }
    finish(&mut socket, &wire, true).await;
    // The neighbour.
    let mut wire = Vec::new();
    packet(&mut wire, 0x10, &[&[0, 4], &b"MQTT"[..], &[4, 2, 0, 60, 0, 1, b'n']].concat());
    packet(&mut wire, 0xc0, &[]);
    loop {
        let mut neighbour = TcpStream::connect(broker).await.unwrap();
        neighbour.write_all(&wire).await.unwrap();
        let mut answer = [0; 6];
        if neighbour.read_exact(&mut answer).await.is_ok() {
            return assert_eq!(answer, [0x20, 2, 0, 0, 0xd0, 0]);
        }
        // refused for lack of room, as long as the connections that broke off above are not noticed
        assert_eq!(answer[..4], [0x20, 2, 0, 3]);
        tokio::task::yield_now().await;
    }
}

/// Sends what is left, and reads every answer to the end of the connection, or leaves without reading.
async fn finish(socket: &mut TcpStream, wire: &[u8], reads: bool) {
    let _ = socket.write_all(wire).await; // the broker may have closed
    if !reads {
        return;
    }
    let _ = socket.shutdown().await;
    let mut answers = Vec::new();
    let _ = socket.read_to_end(&mut answers).await; // Err: closed with bytes unread
    let mut rest = &answers[..];
    while let Some((kind, length, head)) = header(rest) {
        assert!(matches!(kind >> 4, 2..=7 | 9 | 11 | 13 | 14), "no packet of a server: {kind:#x}");
        let Some(after) = rest.get(head + length..) else { return };
        rest = after;
    }
}

/// First byte, remaining length and length of a packet's head.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let mut length = 0;
    for (at, byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((*kind, length, at + 2));
        }
    }
    None
}

/// One of four ids, kept or not, with a will or without, of any version, which `how` says with what MQTT 5 has beside; whether
/// it is that.
fn connect(wire: &mut Vec<u8>, what: u8, how: u8) -> bool {
    let (clean, will, v5) = (what & 4 == 0, what & 8 != 0, how & 3 > 1);
    let flags = u8::from(clean) << 1 | if will { 0x04 | 0x20 | what & 0x10 >> 1 } else { 0 };
    let (name, level) = [("MQIsdp", 3), ("MQTT", 4), ("MQTT", 5), ("MQTT", 5)][usize::from(how & 3)];
    let mut body = text(name);
    body.extend([level, flags, 0, 60]);
    if v5 {
        let mut block = Vec::new();
        let all: [&[u8]; 6] =
            [&[0x11, 0, 0, 0, 60], &[0x21, 0, 1], &[0x22, 0, 2], &[0x27, 0, 0, 0, 40], &[0x17, 0], &[0x15, 0, 1, b'm']];
        let wanted = all.iter().enumerate().filter(|(at, _)| how & 4 << at != 0);
        wanted.for_each(|(_, property)| block.extend_from_slice(property));
        body.push(block.len() as u8);
        body.extend(block);
    }
    body.extend(text(["f0", "f1", "f2", "f3"][usize::from(what & 3)]));
    if will {
        if v5 {
            body.extend([&[0][..], &[5, 0x18, 0, 0, 0, 1]][usize::from(what >> 5 & 1)]);
        }
        body.extend(text("v1/devices/d/state"));
        body.extend(text("{\"online\":false}"));
    }
    packet(wire, 0x10, &body);
    v5
}

/// Up to three properties, where there are any.
fn properties(body: &mut Vec<u8>, any: bool, next: &mut impl FnMut() -> Option<u8>) {
    if !any {
        return;
    }
    let (mut block, count) = (Vec::new(), next().unwrap_or_default() & 3);
    for _ in 0..count {
        block.extend_from_slice(PROPERTIES[usize::from(next().unwrap_or_default() & 15)]);
    }
    body.push(block.len() as u8);
    body.extend(block);
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn packet(wire: &mut Vec<u8>, kind: u8, body: &[u8]) {
    wire.push(kind);
    let mut rest = body.len();
    loop {
        let byte = (rest & 0x7f) as u8;
        rest >>= 7;
        wire.push(byte | if rest > 0 { 0x80 } else { 0 });
        if rest == 0 {
            break;
        }
    }
    wire.extend_from_slice(body);
}
