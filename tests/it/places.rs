//! No address takes all places: of connections, sessions, retained messages and memory each has a part, some are left to
//! devices that are known and to this machine, and `/readyz` names who has too much.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{
    Appliance, Connect, Home, Link, Message, encode, eventually, in_its_own_network, patiently, stream_from,
};

/// A stranger with too much, and others.
const FLOOD: [u8; 4] = [66, 67, 68, 69];
const OTHER: u8 = 7;
const LAMP: u8 = 8;

const ONLINE: &str = r#"{"online":true}"#;

fn at(n: u8) -> IpAddr {
    [192, 0, 2, n].into()
}

/// An appliance that machines with these addresses reach.
async fn among_others(settings: &[(&str, &str)]) -> Appliance {
    let status = tokio::process::Command::new("ip").args("addr add 192.0.2.1/24 dev lo".split(' ')).status();
    assert!(status.await.unwrap().success());
    let home = Home::new().set("DMX_HOST", "0.0.0.0").set("DMX_MQTT_BIND", "0.0.0.0");
    settings.iter().fold(home, |home, (name, value)| home.set(name, *value)).start().await
}

fn mqtt(appliance: &Appliance) -> SocketAddr {
    SocketAddr::new(at(1), appliance.mqtt.port())
}

async fn enters(appliance: &Appliance, from: IpAddr, connect: &Connect) -> (Link, Result<bool, u8>) {
    Link::connect_from(from, mqtt(appliance), connect).await
}

async fn joins(appliance: &Appliance, from: IpAddr, connect: &Connect) -> Link {
    let (link, answer) = enters(appliance, from, connect).await;
    assert!(answer.is_ok(), "{answer:?} for {connect:?} from {from}");
    link
}

/// Comes so many times with other names; gives those that were let in.
async fn floods(appliance: &Appliance, from: u8, times: u32, kept: bool) -> Vec<Link> {
    let mut links = Vec::new();
    for n in 0..times {
        let connect = Connect::new(&format!("flood-{from}-{n}"));
        let connect = if kept { connect.persistent() } else { connect };
        let (link, answer) = enters(appliance, at(from), &connect).await;
        match answer {
            Ok(_) if kept => link.leave().await,
            Ok(_) => links.push(link),
            Err(code) => assert_eq!(code, 3),
        }
    }
    links
}

/// The lamp's connection, with a will as lamps have one.
fn lamp() -> Connect {
    Connect::new("esp-7f").persistent().will("v1/devices/lamp/state", r#"{"online":false}"#, true)
}

/// A lamp that has been here before.
async fn known_lamp(appliance: &Appliance) {
    let mut link = joins(appliance, at(LAMP), &lamp()).await;
    link.retain("v1/devices/lamp/state", ONLINE.as_bytes()).await;
    link.subscribe("to/the/lamp", 1).await;
    link.leave().await;
}

/// Waits for a problem in `/readyz` with these words; gives its message.
async fn told(appliance: &Appliance, code: &str, words: &[&str]) -> String {
    eventually(&format!("{code} with {words:?}"), async || {
        let ready = appliance.web().get("/readyz").await.json();
        assert_eq!(ready["ready"], true, "it serves all the same");
        let messages = ready["problems"].as_array()?.iter().filter(|problem| problem["code"] == code);
        let mut messages = messages.filter_map(|problem| problem["message"].as_str());
        messages.find(|message| words.iter().all(|word| message.contains(word))).map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn one_address_does_not_take_all_seats() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_MQTT_MAX_CONNECTIONS", "40")]).await;
        known_lamp(&appliance).await;
        let mut links = floods(&appliance, FLOOD[0], 60, false).await;
        assert_eq!(links.len(), 10, "a quarter");
        told(&appliance, "PLACES_FULL", &["192.0.2.66 already has 10 of the 10 MQTT connections", LIMIT_OF_SEATS])
            .await;
        let refused =
            |line: &serde_json::Value| line["message"] == "mqtt_refused" && line.to_string().contains(LIMIT_OF_SEATS);
        appliance.log.wait("a line that names the limit", refused).await;
        for from in &FLOOD[1..] {
            links.extend(floods(&appliance, *from, 60, false).await);
        }
        // All that strangers may have is taken, by addresses that have much: one that has nothing gets a place of theirs.
        let _other = joins(&appliance, at(OTHER), &Connect::new("other")).await;
        told(&appliance, "PLACES_FULL", &["192.0.2.6", "made room for 192.0.2.7 (mqtt.max_connections)"]).await;
        let mut lamp = joins(&appliance, at(LAMP), &lamp()).await;
        lamp.ping().await;
        appliance.assert_serves().await;
        let ended = async || (appliance.web().metric("dmx_broker_clients").await <= 37.0).then_some(());
        eventually("not more than there are places", ended).await;
        drop(links);
        let left = async || (appliance.web().metric("dmx_broker_clients").await == 2.0).then_some(());
        eventually("the flood has gone", left).await;
        assert_eq!(floods(&appliance, FLOOD[0], 12, false).await.len(), 10, "all was given back");
    })
    .await;
}

/// What the log and `/readyz` name.
const LIMIT_OF_SEATS: &str = "(mqtt.max_connections, limits.per_address)";

#[tokio::test]
async fn a_lamp_behind_the_address_of_a_flood_still_comes_in() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_MQTT_MAX_CONNECTIONS", "40")]).await;
        known_lamp(&appliance).await;
        let mut links = floods(&appliance, LAMP, 20, false).await;
        assert_eq!(links.len(), 10);
        let _lamp = joins(&appliance, at(LAMP), &lamp()).await;
        links.pop().unwrap().ping().await; // there are places enough: nobody had to go for it
    })
    .await;
}

#[tokio::test]
async fn sessions_of_strangers_that_are_away_go_first() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_MQTT_MAX_SESSIONS", "40")]).await;
        known_lamp(&appliance).await;
        let other = Connect::new("other").persistent();
        joins(&appliance, at(OTHER), &other).await.leave().await;
        for from in FLOOD {
            floods(&appliance, from, 30, true).await;
        }
        assert!(appliance.web().metric("dmx_broker_sessions").await <= 40.0);
        told(&appliance, "PLACES_FULL", &["192.0.2.69", "MQTT sessions", "(mqtt.max_sessions)"]).await;
        appliance
            .log
            .wait("a line that names the limit", |line| {
                line["message"] == "session_evicted" && line.to_string().contains("mqtt.max_sessions")
            })
            .await;
        let (link, present) = enters(&appliance, at(LAMP), &lamp()).await;
        assert_eq!(present, Ok(true), "the lamp's");
        drop(link);
        assert_eq!(
            enters(&appliance, at(OTHER), &other).await.1,
            Ok(true),
            "and that of one who has no more than it needs"
        );
    })
    .await;
}

#[tokio::test]
async fn one_address_does_not_fill_what_is_retained() {
    in_its_own_network(async || {
        let appliance =
            among_others(&[("DMX_MQTT_MAX_RETAINED", "40"), ("DMX_MQTT_MAX_RETAINED_BYTES", "400000")]).await;
        known_lamp(&appliance).await;
        let before = appliance.web().metric("dmx_broker_retained").await;
        let retained = async || appliance.web().metric("dmx_broker_retained").await - before;
        for (from, most) in [(FLOOD[0], 10.0), (FLOOD[1], 20.0), (FLOOD[2], 30.0), (FLOOD[3], 35.0)] {
            let mut link = joins(&appliance, at(from), &Connect::new(&format!("flood-{from}"))).await;
            for n in 0..15 {
                link.retain(&format!("flood/{from}/{n}"), b"x").await;
            }
            assert_eq!(retained().await, most, "seven eighths are for strangers");
        }
        told(&appliance, "PLACES_FULL", &["192.0.2.69", "retained messages", "(mqtt.max_retained)"]).await;
        appliance
            .log
            .wait("a line that names the limit", |line| line.to_string().contains("(mqtt.max_retained, "))
            .await;
        let mut one = joins(&appliance, at(FLOOD[0]), &Connect::new("one")).await;
        one.retain("flood/66/0", b"what it has already may be another").await;
        one.retain("flood/66/1", b"").await;
        one.retain("flood/66/new", b"what it took back is free").await;
        assert_eq!(retained().await, 35.0);
        let mut lamp = joins(&appliance, at(LAMP), &lamp()).await;
        lamp.retain("lamp/colour", b"red").await;
        lamp.retain("v1/devices/lamp/state", ONLINE.as_bytes()).await;
        assert_eq!(retained().await, 36.0, "some are left for the lamp");
        // bytes are another limit
        let mut other = joins(&appliance, at(OTHER), &Connect::new("other")).await;
        other.retain("flood/66/2", &[b'x'; 90_000]).await;
        other.retain("flood/66/3", &[b'x'; 90_000]).await;
        told(&appliance, "MEMORY_FULL", &["192.0.2.7", "retained messages", "mqtt.max_retained_bytes"]).await;
        assert!(appliance.web().metric("dmx_broker_retained_bytes").await < 100_000.0);
    })
    .await;
}

/// Asks for a path on a connection that stays open; gives it with the status.
async fn asks(appliance: &Appliance, from: IpAddr, path: &str, more: &str) -> (TcpStream, String) {
    let to = SocketAddr::new(at(1), appliance.http.port());
    let mut stream = stream_from(from, to).await;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{more}\r\n");
    let _ = patiently("the web to read", stream.write_all(head.as_bytes())).await; // it may have closed
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match patiently("an answer", stream.read(&mut chunk)).await {
            Ok(0) | Err(_) => return (stream, String::new()),
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().to_owned();
    (stream, status)
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn one_address_does_not_shut_the_web() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_HTTP_MAX_CONNECTIONS", "32")]).await;
        let mut open = Vec::new();
        for _ in 0..8 {
            let (stream, status) = asks(&appliance, at(FLOOD[0]), "/rgb", "").await;
            assert_eq!(status, "200");
            open.push(stream);
        }
        assert_eq!(asks(&appliance, at(FLOOD[0]), "/rgb", "").await.1, "503", "a quarter");
        assert_eq!(asks(&appliance, at(FLOOD[0]), "/healthz", "").await.1, "200");
        told(&appliance, "PLACES_FULL", &["192.0.2.66 already has 8 of the 8 web connections", "http.max_connections"])
            .await;
        for from in &FLOOD[1..] {
            for _ in 0..8 {
                open.push(asks(&appliance, at(*from), "/rgb", "").await.0);
            }
        }
        assert_eq!(asks(&appliance, at(OTHER), "/rgb", "").await.1, "200", "the newest of the greediest goes");
        told(&appliance, "PLACES_FULL", &["web connections", "made room for 192.0.2.7 (http.max_connections)"]).await;
        // silent ones take no more than those that ask
        for _ in 0..100 {
            open.push(stream_from(at(FLOOD[0]), SocketAddr::new(at(1), appliance.http.port())).await);
        }
        assert_eq!(asks(&appliance, at(LAMP), "/healthz", "").await.1, "200");
        assert_eq!(asks(&appliance, at(LAMP), "/rgb", "").await.1, "200");
        drop(open);
        eventually("the places are free again", async || {
            (asks(&appliance, at(FLOOD[0]), "/rgb", "").await.1 == "200").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn websockets_do_not_shut_the_web() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_HTTP_MAX_CONNECTIONS", "32")]).await;
        let mut open = Vec::new();
        for from in FLOOD {
            for _ in 0..10 {
                let (stream, status) = asks(&appliance, at(from), "/ws", UPGRADE).await;
                if status == "101" {
                    open.push(stream);
                }
            }
        }
        assert!(open.len() >= 18, "{}", open.len());
        told(&appliance, "PLACES_FULL", &["192.0.2.69", "WebSockets", "http.max_connections"]).await;
        let (tablet, status) = asks(&appliance, at(OTHER), "/ws", UPGRADE).await;
        assert_eq!(status, "101", "one of those that have many goes");
        for from in [OTHER, LAMP, LAMP + 1] {
            assert_eq!(asks(&appliance, at(from), "/rgb", "").await.1, "200");
        }
        drop(tablet);
    })
    .await;
}

#[tokio::test]
async fn one_address_does_not_take_all_subscriptions() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_LIMITS_MEMORY", "16")]).await;
        let held = async || appliance.web().metric("dmx_memory_held_bytes{kind=\"subscriptions\"}").await;
        let filters = |of: u8| (0..200).map(|n| format!("of/{of}/{n}/+")).collect::<Vec<_>>();
        let mut links = Vec::new();
        for from in FLOOD {
            let mut link = joins(&appliance, at(from), &Connect::new(&format!("flood-{from}"))).await;
            let filters = filters(from);
            let wanted: Vec<_> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
            let granted = link.subscribe_all(&wanted).await.into_iter().filter(|code| *code == 0).count();
            assert!((1..=145).contains(&granted) && (from == FLOOD[3] || granted > 140), "{granted} from {from}");
            assert_eq!(link.subscribe_all(&wanted[..granted]).await, vec![0; granted], "what it has it may have again");
            links.push(link);
        }
        assert!(held().await <= 3.5 * 1024.0 * 1024.0);
        told(&appliance, "MEMORY_FULL", &["192.0.2.69", "subscriptions", "limits.memory"]).await;
        appliance
            .log
            .wait("a line that names the limit", |line| {
                line["message"] == "subscription_refused" && line.to_string().contains("limits.memory")
            })
            .await;
        known_lamp(&appliance).await;
        let mut lamp = joins(&appliance, at(LAMP), &lamp()).await;
        assert_eq!(lamp.subscribe("to/the/lamp/#", 1).await, 1);
        let mut here = Link::join(appliance.mqtt, &Connect::new("here")).await;
        assert_eq!(here.subscribe("here/#", 1).await, 1);
        here.leave().await;
        let first = &mut links[0];
        for filter in &filters(FLOOD[0])[..50] {
            first.unsubscribe(filter).await;
        }
        assert_eq!(first.subscribe("of/66/more/+", 0).await, 0, "what it gave back is free");
        drop(links);
        eventually("only the lamp's are left", async || (held().await < 10_000.0).then_some(())).await;
    })
    .await;
}

#[tokio::test]
async fn a_half_sent_packet_that_stands_still_makes_room() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_LIMITS_MEMORY", "16")]).await;
        let large =
            Message { topic: "a".into(), payload: vec![b'x'; 250_000], qos: 1, retain: false, dup: false, pkid: 7 };
        let large = encode::publish(&large);
        let mut links = Vec::new();
        for n in 0..8 {
            let mut link = joins(&appliance, at(OTHER), &Connect::new(&format!("half-{n}"))).await;
            link.send_into_the_void(&large[..large.len() - 1]).await;
            links.push(link);
        }
        told(&appliance, "MEMORY_FULL", &["192.0.2.7", "MQTT packets that are still arriving", "limits.memory"]).await;
        let held = async || appliance.web().metric("dmx_memory_held_bytes{kind=\"packets\"}").await;
        assert!((1.0..=1024.0 * 1024.0).contains(&held().await), "a quarter of four megabytes");
        // another program on the same machine; those before it need two seconds to count as stalled
        eventually("a whole packet", async || {
            let mut whole = joins(&appliance, at(OTHER), &Connect::new("whole")).await;
            whole.send_into_the_void(&large).await;
            matches!(patiently("an answer or the end", whole.read()).await, Some(crate::harness::Packet::PubAck(7)))
                .then_some(())
        })
        .await;
        told(&appliance, "MEMORY_FULL", &["one that stood still made room for 192.0.2.7"]).await;
        drop(links);
        eventually("all is given back", async || (held().await == 0.0).then_some(())).await;
    })
    .await;
}

const QUEUED: &str = "dmx_memory_held_bytes{kind=\"queued\"}";

/// Sessions of one address that are away, each with a topic of its own, and large messages for all of them.
async fn floods_queues(appliance: &Appliance, from: u8, sessions: u32) {
    for n in 0..sessions {
        let mut link = joins(appliance, at(from), &Connect::new(&format!("away-{from}-{n}")).persistent()).await;
        link.subscribe(&format!("flood/{from}/{n}"), 1).await;
        link.leave().await;
    }
    let mut speaker = joins(appliance, at(from), &Connect::new(&format!("speaker-{from}"))).await;
    for n in 0..10 * sessions {
        speaker.publish(&format!("flood/{from}/{}", n % sessions), &[b'x'; 10_000]).await;
    }
}

#[tokio::test]
async fn strangers_with_much_that_waits_take_no_lamps_queue() {
    const MOST: f64 = 1_000_000.0;
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_MQTT_MAX_QUEUED_BYTES", "1000000")]).await;
        let held = async || appliance.web().metric(QUEUED).await;
        known_lamp(&appliance).await;
        let mut house = Link::join(appliance.mqtt, &Connect::new("house")).await;
        house.publish("to/the/lamp", b"0").await;
        floods_queues(&appliance, FLOOD[0], 10).await;
        assert!((200_000.0..=MOST / 4.0 + 10_000.0).contains(&held().await), "a quarter, not {}", held().await);
        told(
            &appliance,
            "MEMORY_FULL",
            &[
                "192.0.2.66 already uses 24",
                "of the 245 kB allowed for",
                "queued MQTT messages",
                "mqtt.max_queued_bytes",
            ],
        )
        .await;
        // One that has little, and those that have much.
        let other = Connect::new("other").persistent();
        let mut link = joins(&appliance, at(OTHER), &other).await;
        link.subscribe("to/the/other", 1).await;
        link.leave().await;
        house.publish("to/the/other", b"first").await;
        for from in &FLOOD[1..] {
            floods_queues(&appliance, *from, 10).await;
        }
        assert!(
            (MOST * 0.8..=MOST * 7.0 / 8.0).contains(&held().await),
            "what strangers may have, not {}",
            held().await
        );
        for n in 1..20 {
            house.publish("to/the/lamp", format!("{n:<20000}").as_bytes()).await;
            assert!(held().await <= MOST, "{}", held().await);
        }
        told(&appliance, "MEMORY_FULL", &["192.0.2.6", "one of its sessions made room for 192.0.2.8"]).await;
        house.publish("to/the/other", b"second").await;
        let evicted = |line: &serde_json::Value| line["message"] == "session_evicted";
        let line = appliance.log.wait("a line that names the limit", evicted).await;
        assert!(line["why"].as_str().unwrap().contains("mqtt.max_queued_bytes"), "{line}");
        let lost = appliance.web().get("/metrics").await.text;
        assert!(lost.contains("dmx_broker_client_messages_lost_total{client=\"away-6"), "counted by client");
        // The house's messages are all there, over a kill too.
        let appliance = appliance.kill9().await.start().await;
        assert!(appliance.web().metric(QUEUED).await <= MOST);
        let mut lamp = joins(&appliance, at(LAMP), &lamp()).await;
        for n in 0..20 {
            assert_eq!(lamp.message().await.text().trim(), n.to_string());
        }
        let mut other = joins(&appliance, at(OTHER), &other).await;
        for text in ["first", "second"] {
            assert_eq!(other.message().await.text(), text, "of one who has no more than it needs");
        }
    })
    .await;
}

/// What a client has not answered is in the store, too.
#[tokio::test]
async fn a_stranger_that_answers_nothing_takes_no_lamps_queue() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_MQTT_MAX_QUEUED_BYTES", "1000000")]).await;
        known_lamp(&appliance).await;
        let mut links = Vec::new();
        for n in 0..10 {
            let mut link = joins(&appliance, at(FLOOD[0]), &Connect::new(&format!("mute-{n}")).persistent()).await;
            link.subscribe(&format!("flood/{n}"), 1).await;
            link.acknowledge(false);
            links.push(link);
        }
        let mut speaker = joins(&appliance, at(FLOOD[0]), &Connect::new("speaker")).await;
        for n in 0..200 {
            speaker.publish(&format!("flood/{}", n % 10), &[b'x'; 20_000]).await;
        }
        let ends = |line: &serde_json::Value| {
            line["message"] == "mqtt_disconnect"
                && line["clientId"].as_str().is_some_and(|id| id.starts_with("mute"))
                && line["why"].as_str().is_some_and(|why| why.contains("mqtt.max_queued_bytes"))
        };
        appliance.log.wait("the end of one that answers nothing", ends).await;
        let mut house = Link::join(appliance.mqtt, &Connect::new("house")).await;
        for n in 0..20 {
            house.publish("to/the/lamp", format!("{n:<20000}").as_bytes()).await;
        }
        let mut lamp = joins(&appliance, at(LAMP), &lamp()).await;
        for n in 0..20 {
            assert_eq!(lamp.message().await.text().trim(), n.to_string());
        }
        lamp.ping().await;
        drop(links);
    })
    .await;
}

/// What a connected client has in any case, it has not when it is away.
#[tokio::test]
async fn strangers_that_answered_nothing_and_left_leave_room_for_others() {
    const MOST: f64 = 4.0 * 1024.0 * 1024.0;
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_LIMITS_MEMORY", "16")]).await;
        let mut speaker = joins(&appliance, at(FLOOD[1]), &Connect::new("speaker")).await;
        for n in 0..20 {
            let mut link = joins(&appliance, at(FLOOD[0]), &Connect::new(&format!("mute-{n}")).persistent()).await;
            let topic = format!("flood/{n}");
            link.subscribe(&topic, 1).await;
            link.acknowledge(false);
            speaker.publish(&topic, &[b'x'; 60_000]).await;
            speaker.publish(&topic, &[b'x'; 900_000]).await;
            link.reset();
        }
        let gone = async || (appliance.web().metric("dmx_broker_clients").await == 1.0).then_some(());
        eventually("they have left", gone).await;
        let left = queued(&appliance).await;
        assert!(left <= MOST / 4.0 + 1_000.0, "a quarter, not {left}");
        let mut other = joins(&appliance, at(OTHER), &Connect::new("other")).await;
        assert_eq!(other.subscribe("other/+", 1).await, 1);
        let lost = appliance.web().get("/metrics").await.text;
        assert!(lost.contains("dmx_broker_client_messages_lost_total{client=\"mute-1"), "counted by client");
        let appliance = appliance.kill9().await.start().await;
        assert!(queued(&appliance).await <= MOST / 4.0 + 1_000.0, "the store has no more either");
    })
    .await;
}

async fn queued(appliance: &Appliance) -> f64 {
    appliance.web().metric(QUEUED).await
}

#[tokio::test]
async fn one_address_does_not_fill_the_store_with_wills() {
    in_its_own_network(async || {
        let appliance = among_others(&[("DMX_LIMITS_MEMORY", "16")]).await;
        let will = "x".repeat(60_000);
        let with_will = |n: u8| Connect::new(&format!("will-{n}")).will("wills", &will, false);
        let mut links = Vec::new();
        for n in 0..4 {
            links.push(joins(&appliance, at(FLOOD[0]), &with_will(n)).await);
        }
        assert_eq!(enters(&appliance, at(FLOOD[0]), &with_will(4)).await.1, Err(3), "a quarter of 1 MiB");
        told(&appliance, "MEMORY_FULL", &["192.0.2.66 already uses", "last wills", "limits.memory"]).await;
        joins(&appliance, at(FLOOD[0]), &Connect::new("none")).await.ping().await;
        let _lamp = joins(&appliance, at(LAMP), &lamp()).await;
        links[0] = joins(&appliance, at(FLOOD[0]), &with_will(0)).await; // its own place
        links.pop().unwrap().leave().await;
        let _other = joins(&appliance, at(FLOOD[0]), &with_will(5)).await;
        let appliance = appliance.kill9().await.start().await;
        let held = appliance.web().metric("dmx_memory_held_bytes{kind=\"wills\"}").await;
        assert!(held > 240_000.0, "they still wait: {held}");
    })
    .await;
}
