//! What a publisher was told lasts: for kept sessions, connected or away, over kills at any moment, and stored once for all.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use dmxd::config;
use dmxd::kit::health::Health;
use dmxd::metrics::Metrics;
use dmxd::store::{Batch, Store, Tree};

use crate::harness::{Appliance, Connect, Home, Link, Message, Packet, Random, encode, patiently};

fn qos_2(topic: &str, payload: &str, pkid: u16, dup: bool) -> Vec<u8> {
    encode::publish(&Message { topic: topic.into(), payload: payload.into(), qos: 2, retain: false, dup, pkid })
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}

fn numbers(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

async fn some(link: &mut Link, count: usize) -> Vec<Message> {
    let mut some = Vec::new();
    while some.len() < count {
        some.push(link.message().await);
    }
    some
}

/// With room for what these tests let wait.
async fn roomy() -> Appliance {
    Home::new().set("DMX_MQTT_MAX_QUEUED_MESSAGES", "1000").start().await
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

#[tokio::test]
async fn a_connected_subscriber_that_does_not_acknowledge_loses_nothing_at_a_kill() {
    let appliance = Appliance::start().await;
    let connect = Connect::new("esp").persistent();
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(esp.subscribe_all(&[("exact", 1), ("wild/+", 1)]).await, [1, 1]);
    esp.acknowledge(false);
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..150 {
        other.publish(if n % 2 == 0 { "exact" } else { "wild/x" }, n.to_string().as_bytes()).await;
    }
    assert_eq!(some(&mut esp, 100).await.len(), 100, "as many as may be unanswered");
    let appliance = appliance.kill9().await.start().await;
    let (mut esp, present) = Link::connect(appliance.mqtt, &connect).await;
    assert_eq!(present, Ok(true));
    let again = some(&mut esp, 150).await;
    let mut found: Vec<usize> = again.iter().map(|message| message.text().parse().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, Vec::from_iter(0..150));
    assert!(again[0].dup, "it may have been sent before [MQTT-3.3.1-1]");
    esp.ping().await;
    esp.leave().await;
    let appliance = appliance.kill9().await.start().await;
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    assert_eq!(esp.messages().await, [], "what was acknowledged does not come again");
}

/// Publisher and subscribers of QoS 2 are kept sessions; the process is killed at any moment of their handshakes.
#[tokio::test]
async fn qos_2_messages_come_exactly_once_however_often_the_process_is_killed() {
    const ROUNDS: u16 = 12;
    const EACH: u16 = 10;
    let mut random = Random::new();
    let mut appliance = roomy().await;
    for who in ["here", "away"] {
        let mut link = Link::join(appliance.mqtt, &Connect::new(who).persistent()).await;
        link.subscribe("news/#", 2).await;
        link.leave().await;
    }
    let mut sends = Sends::default();
    let mut here = Hears::default();
    for round in 0..ROUNDS {
        let (mut publisher, _) = Link::connect(appliance.mqtt, &Connect::new("publisher").persistent()).await;
        let mut listener = Link::join(appliance.mqtt, &Connect::new("here").persistent()).await;
        listener.acknowledge(false);
        for pkid in round * EACH + 1..=(round + 1) * EACH {
            sends.open.insert(pkid, false);
        }
        sends.begin(&mut publisher).await;
        // So many packets of either side are answered before the end.
        for _ in 0..random.below(3 * u64::from(EACH)) {
            tokio::select! {
                packet = publisher.next() => sends.answer(&mut publisher, packet).await,
                packet = listener.next() => here.answer(&mut listener, packet).await,
            }
            if sends.open.is_empty() {
                break;
            }
        }
        appliance = appliance.kill9().await.start().await;
    }
    let (mut publisher, _) = Link::connect(appliance.mqtt, &Connect::new("publisher").persistent()).await;
    sends.begin(&mut publisher).await;
    while !sends.open.is_empty() {
        let packet = publisher.next().await;
        sends.answer(&mut publisher, packet).await;
    }
    let expected = Vec::from_iter(1..=usize::from(ROUNDS * EACH));
    for (who, mut hears) in [("here", here), ("away", Hears::default())] {
        let mut link = Link::join(appliance.mqtt, &Connect::new(who).persistent()).await;
        link.acknowledge(false);
        patiently("all of it", async {
            while hears.heard.len() < expected.len() || !hears.taken.is_empty() {
                let packet = link.next().await;
                hears.answer(&mut link, packet).await;
            }
        })
        .await;
        hears.heard.sort_unstable();
        assert_eq!(hears.heard, expected, "{who}");
        assert_eq!(link.messages().await, [], "{who}");
    }
}

/// What a publisher has not finished: whether the broker has said PUBREC.
#[derive(Default)]
struct Sends {
    open: BTreeMap<u16, bool>,
    begun: HashSet<u16>,
}

impl Sends {
    /// What a client does when it is connected [MQTT-4.4.0-1].
    async fn begin(&mut self, link: &mut Link) {
        for (pkid, received) in &self.open {
            let dup = !self.begun.insert(*pkid);
            let packet = if *received { encode::pubrel(*pkid) } else { qos_2("news/x", &pkid.to_string(), *pkid, dup) };
            link.send_into_the_void(&packet).await;
        }
    }

    async fn answer(&mut self, link: &mut Link, packet: Packet) {
        match packet {
            Packet::PubRec(pkid) => {
                self.open.insert(pkid, true);
                link.send_into_the_void(&encode::pubrel(pkid)).await;
            }
            Packet::PubComp(pkid) => drop(self.open.remove(&pkid)),
            other => panic!("{other:?}"),
        }
    }
}

/// What a subscriber has heard, as its session knows it.
#[derive(Default)]
struct Hears {
    heard: Vec<usize>,
    taken: HashSet<u16>,
}

impl Hears {
    async fn answer(&mut self, link: &mut Link, packet: Packet) {
        match packet {
            Packet::Publish(message) => {
                if self.taken.insert(message.pkid) {
                    self.heard.push(message.text().parse().unwrap());
                } else {
                    assert!(message.dup, "{message:?}");
                }
                link.send_into_the_void(&encode::pubrec(message.pkid)).await;
            }
            Packet::PubRel(pkid) => {
                self.taken.remove(&pkid);
                link.send_into_the_void(&encode::pubcomp(pkid)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The first moment after a promise: nothing that comes later may be needed for it.
#[tokio::test]
async fn a_message_is_stored_when_its_publisher_is_answered() {
    let mut appliance = Appliance::start().await;
    let connect = Connect::new("away").persistent();
    let mut away = Link::join(appliance.mqtt, &connect).await;
    away.subscribe("news", 2).await;
    away.leave().await;
    for n in 1..=5_u16 {
        let mut other = Link::join(appliance.mqtt, &Connect::new("other").persistent()).await;
        other.send(&qos_2("news", &n.to_string(), n, false)).await;
        assert_eq!(other.answer().await, Packet::PubRec(n));
        appliance = appliance.kill9().await.start().await;
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        other.retain("news", format!("retained {n}").as_bytes()).await;
        appliance = appliance.kill9().await.start().await;
    }
    let mut away = Link::join(appliance.mqtt, &connect).await;
    away.answer_all();
    let expected: Vec<_> = (1..=5).flat_map(|n| [n.to_string(), format!("retained {n}")]).collect();
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        if let Packet::Publish(message) = away.next().await {
            heard.push(message.text());
        }
    }
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn many_absent_sessions_share_one_copy_in_memory_and_on_the_card() {
    const SESSIONS: usize = 100;
    const MESSAGES: usize = 200;
    let appliance = roomy().await;
    for n in 0..SESSIONS {
        let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("away-{n}")).persistent()).await;
        link.subscribe(if n % 2 == 0 { "news" } else { "news/#" }, 1).await;
        link.leave().await;
    }
    let before = appliance.memory_mib();
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for n in 0..MESSAGES {
        let mut payload = n.to_string();
        payload.push_str(&" ".repeat(4_000));
        other.publish("news", payload.as_bytes()).await;
    }
    // A copy for each session would be 80 MB in either place.
    let (grown, disk) = (appliance.memory_mib() - before, size(&appliance.data()) >> 20);
    assert!(grown < 25 && disk < 16, "{grown} MiB of memory, {disk} MiB on the card");
    let appliance = appliance.kill9().await.start().await;
    let after = appliance.peak_memory_mib();
    assert!(after < before + 40, "the start took {after} MiB, {before} before");
    for n in [0, 1, SESSIONS - 1] {
        let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("away-{n}")).persistent()).await;
        let heard: Vec<_> =
            some(&mut link, MESSAGES).await.iter().map(|message| message.text().trim().to_owned()).collect();
        assert_eq!(heard, numbers(0..MESSAGES), "away-{n}");
        link.ping().await;
        assert_eq!(link.messages().await, [], "away-{n}");
    }
}

#[tokio::test]
async fn a_stop_that_is_cut_short_loses_nothing_that_waits() {
    for after_ms in [0, 1, 3, 10, 30, 100] {
        let appliance = roomy().await;
        let connects = ["here", "away"].map(|who| Connect::new(who).persistent());
        let mut here = Link::join(appliance.mqtt, &connects[0]).await;
        let mut away = Link::join(appliance.mqtt, &connects[1]).await;
        here.acknowledge(false);
        here.subscribe("news", 1).await;
        away.subscribe("news", 1).await;
        away.leave().await;
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        for n in 0..300 {
            other.publish("news", n.to_string().as_bytes()).await;
        }
        let appliance = appliance.kill9_while_stopping(after_ms).await.start().await;
        for connect in &connects {
            let (mut link, present) = Link::connect(appliance.mqtt, connect).await;
            assert_eq!(present, Ok(true));
            assert_eq!(texts(&some(&mut link, 300).await), numbers(0..300), "{after_ms} ms, {connect:?}");
        }
    }
}

#[tokio::test]
async fn who_has_a_message_does_not_get_it_again_because_others_still_need_it() {
    let appliance = Appliance::start().await;
    let connects = ["one", "two", "three"].map(|who| Connect::new(who).persistent());
    let mut links = Vec::new();
    for connect in &connects {
        let mut link = Link::join(appliance.mqtt, connect).await;
        link.subscribe("news/+", 1).await;
        links.push(link);
    }
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    links[2].acknowledge(false);
    for n in 0..20 {
        other.publish("news/x", n.to_string().as_bytes()).await;
    }
    for link in &mut links {
        assert_eq!(texts(&some(link, 20).await), numbers(0..20));
    }
    links.remove(1).leave().await; // it said all it had to say
    links[0].ping().await;
    other.retain("other", b"the store writes in order: once this is there, so is what was acknowledged").await;
    // One that was thrown away meanwhile takes nothing with it.
    Link::join(appliance.mqtt, &Connect::new("one")).await.leave().await;
    let appliance = appliance.kill9().await.start().await;
    let (mut one, present) = Link::connect(appliance.mqtt, &connects[0]).await;
    assert_eq!(present, Ok(false));
    assert_eq!(one.messages().await, []);
    let mut two = Link::join(appliance.mqtt, &connects[1]).await;
    assert_eq!(two.messages().await, []);
    let mut three = Link::join(appliance.mqtt, &connects[2]).await;
    assert_eq!(texts(&some(&mut three, 20).await), numbers(0..20));
    three.ping().await;
    // When the last one has it, it is gone, and with it nothing else.
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    other.publish("news/x", b"last").await;
    three.leave().await;
    let appliance = appliance.kill9().await.start().await;
    let mut two = Link::join(appliance.mqtt, &connects[1]).await;
    assert_eq!(texts(&some(&mut two, 1).await), ["last"]);
}

/// A session of the first format has no number, and letters of its own with their payloads.
#[tokio::test]
async fn what_an_earlier_dmxd_stored_for_a_session_is_still_delivered_before_what_is_new() {
    let home = Home::new();
    let settings = config::Storage { data_dir: home.data(), ..config::Storage::default() };
    let store = Store::open(&settings, &Health::default(), &Metrics::new().unwrap()).unwrap().store;
    let mut batch = Batch::default();
    batch.put(Tree::Sessions, "esp", r#"{"v":1,"filters":[["news",1]],"connected":false,"since":1750000000000}"#);
    for (number, awaited, pkid, text) in [(1_u64, 1_u8, 7_u16, "old 1"), (2, 0, 0, "old 2")] {
        let key = [b"esp\0\0".as_slice(), &number.to_be_bytes()].concat();
        let value = [&[1, awaited][..], &pkid.to_be_bytes(), &[1], &[0, 4], b"news", text.as_bytes()].concat();
        batch.put(Tree::Letters, key, value);
    }
    store.commit(batch, || {}).await;
    store.close().await;
    drop(store);
    let mut appliance = home.start().await;
    for new in ["new 1", "new 2"] {
        let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
        other.publish("news", new.as_bytes()).await;
        appliance = appliance.kill9().await.start().await;
    }
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    let (mut esp, present) = Link::connect(appliance.mqtt, &Connect::new("esp").persistent()).await;
    assert_eq!(present, Ok(true));
    let all = some(&mut esp, 4).await;
    assert_eq!(texts(&all), ["old 1", "old 2", "new 1", "new 2"]);
    assert_eq!((all[0].pkid, all[0].dup, all[1].dup), (7, true, false));
    esp.ping().await;
    esp.leave().await;
    let appliance = appliance.kill9().await.start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").persistent()).await;
    assert_eq!(esp.messages().await, []);
}
