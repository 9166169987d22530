//! What no client should send: the next command works, and nobody else notices.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{
    Appliance, CMD, Connect, HEADROOM, Home, Link, Message, REJECTED, Random, StateWatcher, WsWatcher, assert_gap_free,
    command, encode, fresh_id, patiently, raw_http,
};

#[tokio::test]
async fn garbage_on_the_mqtt_port() {
    let appliance = Appliance::start().await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    let mut random = Random::new();
    for length in [1, 2, 10, 100, 10_000] {
        for _ in 0..20 {
            // at once, and from a client that has connected properly
            let mut stranger = Link::open(appliance.mqtt).await;
            stranger.send_into_the_void(&noise(&mut random, length)).await;
            stranger.reset();
            let mut client = Link::join(appliance.mqtt, &Connect::new("noise")).await;
            client.send_into_the_void(&noise(&mut random, length)).await;
            client.reset();
        }
    }
    let (status, _) = raw_http(appliance.mqtt, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(status, 400);
    appliance.assert_serves().await;
    assert_gap_free(&watcher.seen());
}

#[tokio::test]
async fn garbage_on_the_web_port() {
    let appliance = Appliance::start().await;
    let mut random = Random::new();
    for length in [1, 10, 1000, 100_000] {
        for _ in 0..10 {
            send_and_leave(appliance.http, &noise(&mut random, length)).await;
        }
    }
    send_and_leave(appliance.http, &Connect::new("lost").encode()).await;
    let many_headers = format!("GET /rgb HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    send_and_leave(appliance.http, many_headers.as_bytes()).await;
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "x".repeat(100_000));
    let (status, _) = raw_http(appliance.http, long_path.as_bytes()).await;
    assert!(status == 0 || (400..500).contains(&status), "{status}");
    appliance.assert_serves().await;
}

#[tokio::test]
async fn hostile_bodies_at_the_command_topic() {
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    let objects = r#"{"a":"#.repeat(30_000);
    let digits = format!(r#"{{"cmdId":"{}","src":"t","r":{},"g":1,"b":1}}"#, fresh_id(), "9".repeat(5000));
    let exponent = format!(r#"{{"cmdId":"{}","src":"t","r":1e999999999,"g":1,"b":1}}"#, fresh_id());
    let fields: String = (0..10_000).map(|n| format!(r#""f{n}":0,"#)).collect();
    let many_fields = format!(r#"{{{fields}"r":1}}"#);
    let bodies: [&[u8]; 14] = [
        deep.as_bytes(),
        closed.as_bytes(),
        objects.as_bytes(),
        digits.as_bytes(),
        exponent.as_bytes(),
        many_fields.as_bytes(),
        b"\xff\xfe\x00",
        b"{\"cmdId\":\"\xed\xa0\x80\"}",
        b"\"\\ud800\"",
        b"null",
        b"-0",
        b"true",
        b"\0\0\0\0",
        b"\xef\xbb\xbf{}",
    ];
    for body in bodies {
        esp.publish(CMD, body).await;
        esp.ping().await;
    }
    assert_eq!(appliance.web().seq().await, 0);
    assert_eq!(appliance.web().metric("dmx_broker_commands_rejected_total").await, 14.0);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn hostile_bodies_at_rest() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert!((400..500).contains(&web.post("/rgb", deep.clone()).await.status));
    let nested = format!(r#"{{"cmdId":"{}","src":"t","r":{deep},"g":1,"b":1}}"#, fresh_id());
    web.post("/rgb", nested).await.problem(422);
    web.post("/rgb", vec![0xFF; 1000]).await.problem(400);
    web.post("/rgb", vec![0; 1000]).await.problem(400);
    assert_eq!(web.seq().await, 0);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn a_megabyte_where_a_command_belongs() {
    let appliance = Appliance::start().await;
    let megabyte = vec![b'x'; 1_000_000];
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe("big", 0).await;
    for topic in [CMD, "big"] {
        let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
        let mut packet = vec![0, topic.len() as u8];
        packet.extend(topic.as_bytes());
        packet.extend(&megabyte);
        esp.send_into_the_void(&encode::packet(0x30, &packet)).await;
        esp.reset();
    }
    appliance.web().post("/rgb", megabyte.clone()).await.problem(413);
    let tablet = WsWatcher::start(appliance.http).await;
    tablet.send_raw(tokio_tungstenite::tungstenite::Message::text("x".repeat(1_000_000))).await;
    assert_eq!(appliance.web().seq().await, 0);
    appliance.assert_serves().await;
}

#[tokio::test]
async fn half_a_connect_and_half_a_publish_block_nobody() {
    let appliance = Appliance::start().await;
    let (mut lorises, mut half_requests) = (Vec::new(), Vec::new());
    for n in 0..50 {
        let mut loris = Link::open(appliance.mqtt).await;
        let bytes = Connect::new("loris").encode();
        loris.send(&bytes[..n % bytes.len()]).await;
        lorises.push(loris);
        let mut half = Link::join(appliance.mqtt, &Connect::new(&format!("half-{n}"))).await;
        half.send(&[0x32, 0x80, 0x10, 0x00, 0x01, b'a', 0x00]).await; // the start of a PUBLISH of 2 kB
        lorises.push(half);
        let mut web = TcpStream::connect(appliance.http).await.unwrap();
        web.write_all(b"POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").await.unwrap();
        half_requests.push(web);
    }
    appliance.assert_serves().await;
}

#[tokio::test]
async fn more_half_open_sockets_than_may_wait_keep_nobody_out_for_long() {
    let home = Home::new().set("DMX_MQTT_MAX_PENDING", "8").set("DMX_MQTT_CONNECT_TIMEOUT_SECONDS", "1");
    let appliance = home.start().await;
    let mut lorises = Vec::new();
    for _ in 0..50 {
        lorises.push(Link::open(appliance.mqtt).await);
    }
    crate::harness::eventually("an honest client gets in", async || {
        let mut link = Link::open(appliance.mqtt).await;
        link.send_into_the_void(&Connect::new("honest").encode()).await;
        link.read().await
    })
    .await;
    appliance.assert_serves().await;
}

#[tokio::test]
async fn clients_that_vanish_in_the_middle_of_everything() {
    let appliance = Appliance::start().await;
    let watcher = StateWatcher::start(appliance.mqtt).await;
    for n in 0..50 {
        let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
        esp.offer_publish(CMD, command([n, n, n]).to_string().as_bytes()).await;
        esp.reset();
        send_and_leave(appliance.http, b"POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").await;
        drop(WsWatcher::connect(appliance.http, "/ws", &[]).await);
    }
    appliance.assert_serves().await;
    let seq = appliance.web().seq().await;
    watcher.wait_seq(seq).await;
    assert_gap_free(&watcher.seen());
}

fn noise(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// Sends and closes, whatever the other side does.
async fn send_and_leave(address: SocketAddr, bytes: &[u8]) {
    let mut stream = patiently("a TCP connection", TcpStream::connect(address)).await.unwrap();
    let _ = patiently("it to be read or refused", stream.write_all(bytes)).await;
}

/// How long anybody else may have to wait for an answer while a client floods.
const QUICK: Duration = Duration::from_millis(200);

/// Far more than an appliance with a few hundred retained messages needs.
const MOST_MEMORY_MIB: u64 = 150;

#[tokio::test]
async fn one_subscribe_with_thousands_of_filters_costs_neither_memory_nor_time() {
    const ASKED: usize = 20_000;
    let appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    for n in 0..300 {
        esp.retain(&format!("kept/{n}"), b"x").await;
    }
    let mut greedy = Link::join(appliance.mqtt, &Connect::new("greedy")).await;
    let asking = tokio::spawn(async move {
        let codes = greedy.subscribe_all(&vec![("#", 0); ASKED]).await;
        greedy.ping().await; // everything that was to be sent is sent
        codes
    });
    let mut slowest = Duration::ZERO;
    let mut posts = 0;
    while posts < 20 || !asking.is_finished() {
        let start = Instant::now();
        appliance.web().accepted(&command([1, 2, 3])).await;
        slowest = slowest.max(start.elapsed());
        posts += 1;
    }
    let codes = asking.await.unwrap();
    assert!(codes[..10_000].iter().all(|&code| code == 0), "as many are granted as a session may have");
    assert!(codes[10_000..].iter().all(|&code| code == 0x80), "the rest is refused");
    println!("peak {} MiB, slowest of {posts} posts {slowest:?}", appliance.peak_memory_mib());
    assert!(slowest < QUICK * HEADROOM, "{slowest:?}");
    assert!(appliance.peak_memory_mib() < MOST_MEMORY_MIB, "{} MiB", appliance.peak_memory_mib());

    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe_all(&[("kept/#", 1), ("marker", 1)]).await;
    listener.publish("marker", b"").await;
    let topics: HashSet<_> = listener.until("marker").await.into_iter().map(|message| message.topic).collect();
    assert_eq!(topics.len(), 300, "an honest subscriber gets them all");
}

#[tokio::test]
async fn a_flood_of_wrong_commands_silences_neither_the_doors_nor_the_log() {
    const SENT: u32 = 30_000;
    let appliance = Appliance::start().await;
    let mut listener = Link::join(appliance.mqtt, &Connect::new("listener")).await;
    listener.subscribe(REJECTED, 1).await;
    let mut flooder = Link::join(appliance.mqtt, &Connect::new("flooder")).await;
    let start = Instant::now();
    let flooding = tokio::spawn(async move {
        let wrong = Message { topic: CMD.into(), payload: b"{}".into(), qos: 0, retain: false, dup: false, pkid: 0 };
        let batch = encode::publish(&wrong).repeat(100);
        for _ in 0..SENT / 100 {
            flooder.send(&batch).await;
        }
        flooder
    });
    let rejected = listener.message().await.json();
    assert_eq!((&rejected["clientId"], &rejected["cmdId"]), (&"flooder".into(), &Value::Null));
    listener.reset();
    let tablet = WsWatcher::start(appliance.http).await;
    // all the time until the last of them is refused
    patiently("every refusal to be counted", async {
        while appliance.web().metric("dmx_broker_commands_rejected_total").await < f64::from(SENT) {
            appliance.assert_serves().await;
            let posted = Instant::now();
            let seq = appliance.web().accepted(&command([1, 2, 3])).await;
            tablet.wait_seq(seq).await;
            assert!(posted.elapsed() < QUICK * HEADROOM, "{:?}", posted.elapsed());
        }
    })
    .await;
    let _flooder = patiently("the end of the flood", flooding).await.unwrap();
    let lines = appliance.log.json().iter().filter(|line| line["message"] == "command_rejected").count();
    let most = start.elapsed().as_secs() as usize + 2;
    println!("{SENT} wrong commands, {lines} lines in {:?}", start.elapsed());
    assert!((1..=most).contains(&lines), "{lines} lines about {SENT} commands in {:?}", start.elapsed());
    appliance.assert_serves().await;
}
