//! MQTT over WebSocket, at `/mqtt` of the web port (CONTRACT section 10).

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::harness::{
    Appliance, CMD, Connect, HEADROOM, Home, Link, MqttSocket, STATE, WayByWeb, command, encode, eventually,
    mqtt_socket, node, patiently, python, raw_http,
};

/// CONNACK of a new session.
const WELCOME: [u8; 4] = [0x20, 2, 0, 0];

const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "mqtt");

async fn socket(appliance: &Appliance) -> MqttSocket {
    mqtt_socket(appliance.http, &[PROTOCOL]).await.expect("it opens").0
}

async fn send(socket: &mut MqttSocket, message: Message) {
    patiently("the appliance to read", socket.send(message)).await.unwrap();
}

/// Content of the next binary frames, so many bytes.
async fn bytes(socket: &mut MqttSocket, count: usize) -> Vec<u8> {
    let mut content = Vec::new();
    while content.len() < count {
        match patiently("a frame", socket.next()).await.unwrap().unwrap() {
            Message::Binary(bytes) => content.extend_from_slice(&bytes),
            other => panic!("{other:?}"),
        }
    }
    content
}

/// The code with which the appliance closes; `None`: it does not say any.
async fn close_code(socket: &mut MqttSocket) -> Option<u16> {
    loop {
        match patiently("the end", socket.next()).await {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

#[tokio::test]
async fn mqtt_js_publishes_and_takes_a_retained_message_of_900_kb() {
    let appliance = Appliance::start().await;
    let first = node("mqtt_web.mjs", appliance.http, &["4", "big", "900000"]).succeed().await;
    assert_eq!(first, ["connected", "live 900000", "published", "closed", "left"]);
    let second = node("mqtt_web.mjs", appliance.http, &["4", "big", "10"]).succeed().await;
    assert_eq!(second[..2], ["connected", "retained 900000"], "{second:?}");
    assert_eq!(appliance.web().metric("dmx_broker_protocol_errors_total").await, 0.0);
}

#[tokio::test]
async fn paho_publishes_and_takes_a_retained_message_of_900_kb() {
    let appliance = Appliance::start().await;
    let run = async || python("web_session.py", appliance.http, &["big", "900000"]).succeed().await;
    assert_eq!(run().await, ["connected 0", "live 900000", "disconnected 0"]);
    assert_eq!(run().await, ["connected 0", "retained 900000", "live 900000", "disconnected 0"]);
}

/// As mqtt.js sends it, and as one message in parts.
#[tokio::test]
async fn a_connect_may_come_in_nine_frames() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("in-parts").encode();
    for continued in [false, true] {
        let mut socket = socket(&appliance).await;
        let parts: Vec<_> = connect.chunks(connect.len().div_ceil(9)).collect();
        for (n, part) in parts.iter().enumerate() {
            let kind = if continued && n > 0 { Data::Continue } else { Data::Binary };
            let last = !continued || n + 1 == parts.len();
            send(&mut socket, Message::Frame(Frame::message(part.to_vec(), OpCode::Data(kind), last))).await;
            if !last {
                send(&mut socket, Message::Ping(vec![n as u8].into())).await; // between the parts of a message
                let pong = patiently("a pong", socket.next()).await.unwrap().unwrap();
                assert_eq!(pong, Message::Pong(vec![n as u8].into()));
            }
        }
        assert_eq!(bytes(&mut socket, 4).await, WELCOME);
    }
}

#[tokio::test]
async fn several_packets_may_come_in_one_frame() {
    let appliance = Appliance::start().await;
    let mut socket = socket(&appliance).await;
    let ping = &encode::PING;
    let all = [&Connect::new("at-once").encode()[..], &encode::subscribe(7, &[("a", 1)]), ping, ping].concat();
    send(&mut socket, Message::binary(all)).await;
    let answers = [&WELCOME[..], &[0x90, 3, 0, 7, 1], &[0xd0, 0], &[0xd0, 0]].concat();
    assert_eq!(bytes(&mut socket, answers.len()).await, answers);
}

#[tokio::test]
async fn devices_shows_where_it_comes_from() {
    let appliance = Appliance::start().await;
    let mut socket = socket(&appliance).await;
    send(&mut socket, Message::binary(Connect::new("tablet").encode())).await;
    assert_eq!(bytes(&mut socket, 4).await, WELCOME);
    let MaybeTlsStream::Plain(raw) = socket.get_ref() else { panic!("no TLS") };
    let from = raw.local_addr().unwrap().to_string();
    eventually("it is shown", async || {
        let devices = appliance.web().get("/devices").await.json();
        let clients = devices["clients"].as_array()?;
        clients.iter().any(|client| client["clientId"] == "tablet" && client["peer"] == from.as_str()).then_some(())
    })
    .await;
}

/// What works over TCP works here, whatever the frames.
#[tokio::test]
async fn it_is_the_same_broker() {
    let appliance = Appliance::start().await;
    let mut lamp = Link::join(appliance.mqtt, &Connect::new("lamp")).await;
    lamp.subscribe(STATE, 1).await;
    for frame in [1, 3, 4096] {
        let way = WayByWeb::open(appliance.http, frame).await;
        let mut tablet = Link::join(way.address, &Connect::new("tablet").will("gone", "yes", false)).await;
        lamp.subscribe("gone", 1).await;
        tablet.subscribe(STATE, 1).await;
        let before = tablet.message().await.json()["seq"].as_u64().unwrap();
        tablet.publish(CMD, command([frame as u8, 2, 3]).to_string().as_bytes()).await;
        let after = tablet.message().await.json();
        assert_eq!((after["seq"].as_u64(), after["g"].as_u64()), (Some(before + 1), Some(2)));
        tablet.publish_at("q/2", b"twice", 2, true).await;
        drop(tablet);
        lamp.until("gone").await;
    }
    lamp.leave().await;
}

#[tokio::test]
async fn a_text_frame_is_told_so_and_fires_the_will() {
    let appliance = Appliance::start().await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe("gone", 1).await;
    let mut one = socket(&appliance).await;
    send(&mut one, Message::binary(Connect::new("one").will("gone", "one", false).encode())).await;
    assert_eq!(bytes(&mut one, 4).await, WELCOME);
    send(&mut one, Message::text("x".repeat(100_000))).await;
    assert_eq!(close_code(&mut one).await, Some(1003));
    assert_eq!(witness.message().await.text(), "one");
    let mut other = socket(&appliance).await;
    send(&mut other, Message::text("CONNECT")).await;
    assert_eq!(close_code(&mut other).await, Some(1003), "before CONNECT as well");
    let told = appliance.log.wait("the reason", |line| line["message"] == "mqtt_refused").await;
    assert!(told["why"].as_str().unwrap().contains("text frame"), "{told}");
}

#[tokio::test]
async fn goodbye_is_answered_and_a_disconnect_closes() {
    let appliance = Appliance::start().await;
    let mut one = socket(&appliance).await;
    send(&mut one, Message::binary(Connect::new("one").encode())).await;
    assert_eq!(bytes(&mut one, 4).await, WELCOME);
    patiently("the close", one.close(None)).await.unwrap();
    assert_eq!(close_code(&mut one).await, None, "answered as it came");
    let mut other = socket(&appliance).await;
    send(&mut other, Message::binary([&Connect::new("other").encode()[..], &encode::DISCONNECT].concat())).await;
    assert_eq!(bytes(&mut other, 4).await, WELCOME);
    assert_eq!(close_code(&mut other).await, Some(1001));
    for (id, why) in [("one", "closed by the client"), ("other", "disconnect")] {
        let end = appliance.log.wait("the end", |line| line["message"] == "mqtt_disconnect" && line["clientId"] == id);
        assert_eq!(end.await["why"], why);
    }
}

#[tokio::test]
async fn the_sub_protocol_is_needed_and_echoed() {
    let appliance = Appliance::start().await;
    for (offered, chosen) in [
        (&["mqtt"][..], Ok("mqtt")),
        (&["mqttv3.1"], Ok("mqttv3.1")),
        (&["mqttv3.1, mqtt"], Ok("mqtt")),
        (&["chat,mqtt"], Ok("mqtt")),
        (&["chat"], Err(400)),
        (&["MQTT"], Err(400)),
        (&[], Err(400)),
    ] {
        let headers: Vec<_> = offered.iter().map(|offered| ("sec-websocket-protocol", *offered)).collect();
        // tungstenite itself insists on one that it offered
        let answer = mqtt_socket(appliance.http, &headers).await.map(|(_, protocol)| protocol);
        assert_eq!(answer, chosen.map(str::to_owned), "{offered:?}");
    }
    let handshake = format!(
        "GET /mqtt HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        appliance.http
    );
    let (status, answer) = raw_http(appliance.http, format!("{handshake}\r\n").as_bytes()).await;
    assert!(status == 400 && answer.contains("sub-protocol mqtt (MQTT 3.1.1, section 6)"), "{answer}");
    appliance.web().get("/mqtt").await.problem(426);
}

#[tokio::test]
async fn foreign_pages_and_names_are_refused() {
    let appliance = Appliance::start().await;
    let open = async |name, value: &str| mqtt_socket(appliance.http, &[PROTOCOL, (name, value)]).await.map(drop);
    for origin in ["https://evil.example", "null", "http://203.0.113.9", "http://127.0.0.1.nip.io"] {
        assert_eq!(open("origin", origin).await, Err(403), "{origin}");
    }
    let own = format!("http://{}", appliance.http);
    for origin in [own.as_str(), "http://tablet.local:5173", "http://192.168.1.20:3000", "https://homeassistant.local"]
    {
        assert_eq!(open("origin", origin).await, Ok(()), "{origin}");
    }
    let strict = Home::new().set("DMX_ALLOW_ORIGINS", "https://desk.example").start().await;
    assert_eq!(mqtt_socket(strict.http, &[PROTOCOL, ("origin", "http://tablet.local")]).await.map(drop), Err(403));
    // paho names the address that it connects to as its origin
    let paho = python("web_session.py", strict.http, &["small", "1"]).succeed().await;
    assert_eq!(paho, ["connected 0", "live 1", "disconnected 0"]);
    assert_eq!(open("host", "rebound.evil.example").await, Err(421));
    assert_eq!(open("host", "dmx.local").await, Ok(()));
}

#[tokio::test]
async fn the_login_is_that_of_the_mqtt_port() {
    let home = Home::new().set("DMX_MQTT_USERNAME", "stage").set("DMX_MQTT_PASSWORD", "secret");
    let appliance = home.set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "web-key").start().await;
    let way = WayByWeb::open(appliance.http, 100).await;
    assert_eq!(Link::connect(way.address, &Connect::new("a")).await.1, Err(5));
    assert_eq!(Link::connect(way.address, &Connect::new("a").login("stage", "secret")).await.1, Ok(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_does_not_read_is_disconnected_and_nobody_else_waits() {
    const MESSAGES: usize = 6_000; // 12 MB
    let appliance = Appliance::start().await;
    let mut deaf = socket(&appliance).await;
    let hello = [&Connect::new("deaf").encode()[..], &encode::subscribe(1, &[("loud", 0)])].concat();
    send(&mut deaf, Message::binary(hello)).await;
    assert_eq!(bytes(&mut deaf, 9).await[..4], WELCOME);
    let way = WayByWeb::open(appliance.http, 16_384).await;
    let mut other = Link::join(way.address, &Connect::new("other")).await;
    other.subscribe("loud", 1).await;
    let hears = tokio::spawn(async move {
        for n in 0..MESSAGES {
            assert_eq!(other.message().await.text()[..8], format!("{n:08}"), "in order, none missing");
        }
    });
    let mut speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
    let before = appliance.memory_mib();
    for n in 0..MESSAGES {
        speaker.publish("loud", format!("{n:08}{}", "x".repeat(2_000)).as_bytes()).await;
    }
    hears.await.unwrap();
    let log = appliance.log.wait("its end", |line| line["message"] == "mqtt_disconnect" && line["clientId"] == "deaf");
    let line = log.await;
    let why = line["why"].as_str().unwrap();
    assert!(why.contains("too slow") || why.contains("took"), "{why}");
    let peak = appliance.peak_memory_mib();
    assert!(peak < before + 24, "{before} MiB before, {peak} MiB at the most");
}

/// Half a packet of 900 kB is held for its address; the next one from there finds no room.
#[tokio::test]
async fn half_packets_are_paid_for_by_their_address() {
    let appliance = Home::new().set("DMX_LIMITS_MEMORY", "16").start().await;
    let half = {
        let whole = encode::publish(&crate::harness::Message {
            topic: "big".into(),
            payload: vec![b'x'; 900_000],
            qos: 0,
            retain: false,
            dup: false,
            pkid: 0,
        });
        whole[..800_000].to_vec()
    };
    let held = async || appliance.web().metric("dmx_memory_held_bytes{kind=\"packets\"}").await;
    let mut halves = Vec::new();
    for n in 0..6 {
        let mut socket = socket(&appliance).await;
        send(&mut socket, Message::binary(Connect::new(&format!("half-{n}")).encode())).await;
        assert_eq!(bytes(&mut socket, 4).await, WELCOME);
        // one frame of which the end does not come
        let mut frame = vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0];
        frame.extend_from_slice(&half);
        let MaybeTlsStream::Plain(raw) = socket.get_mut() else { panic!("no TLS") };
        // Err: it was thrown out already
        let _ = patiently("the appliance to read", tokio::io::AsyncWriteExt::write_all(raw, &frame)).await;
        halves.push(socket);
    }
    let full = appliance.log.wait("the limit", |line| {
        line["message"] == "mqtt_disconnect" && line["why"].as_str().is_some_and(|why| why.contains("limits.memory"))
    });
    full.await;
    assert!((1.0..4.2e6).contains(&held().await), "at most a quarter of 16 MB: {}", held().await);
    assert_eq!(appliance.web().problems().await, ["MEMORY_FULL"]);
    drop(halves);
    eventually("all of it is given back", async || (held().await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn a_silent_socket_has_the_time_of_the_mqtt_port_and_its_places_come_back() {
    let home = Home::new().set("DMX_MQTT_CONNECT_TIMEOUT_SECONDS", "1").set("DMX_HTTP_MAX_CONNECTIONS", "8");
    let appliance = home.start().await;
    let begun = Instant::now();
    let mut silent = socket(&appliance).await;
    assert_eq!(close_code(&mut silent).await, Some(1001));
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) * HEADROOM, "{took:?}");
    let told = appliance.log.wait("the reason", |line| line["message"] == "mqtt_refused").await;
    assert!(told["why"].as_str().unwrap().contains("mqtt.connect_timeout_seconds"), "{told}");
    // six of eight places are for WebSockets, of which one address has a quarter
    let mut open = Vec::new();
    let refused = loop {
        match mqtt_socket(appliance.http, &[PROTOCOL]).await {
            Ok((mut socket, _)) => {
                send(&mut socket, Message::binary(Connect::new(&format!("c{}", open.len())).encode())).await;
                assert_eq!(bytes(&mut socket, 4).await, WELCOME);
                open.push(socket);
            }
            Err(status) => break status,
        }
    };
    assert_eq!((refused, open.is_empty()), (503, false));
    drop(open);
    eventually("places", async || mqtt_socket(appliance.http, &[PROTOCOL]).await.ok()).await;
}

#[tokio::test]
async fn the_stop_is_a_close_without_a_word_of_mqtt_and_nothing_waits_for_it() {
    let appliance = Appliance::start().await;
    let mut tablet = socket(&appliance).await;
    send(&mut tablet, Message::binary([&Connect::new("t").will("w", "x", false).encode()[..], &encode::PING].concat()))
        .await;
    assert_eq!(bytes(&mut tablet, 6).await, [&WELCOME[..], &[0xd0, 0]].concat());
    let log = appliance.log.clone();
    let stopped = appliance.terminate();
    let (code, (status, _)) = tokio::join!(close_code(&mut tablet), stopped);
    assert!(status.success() && matches!(code, Some(1001) | None), "{status} {code:?}");
    let late = log.find(|line: &Value| line["message"].as_str().is_some_and(|said| said.contains("late")));
    assert!(late.is_none(), "{late:?}");
}
