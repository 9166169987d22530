//! Each cell of the table of rights in docs/wire.md: topic × verb × role.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};

use reqwest::Method;
use serde_json::json;

use super::{KEY, Made, boss, locked, make};
use crate::harness::{Appliance, Connect5, Home, Link5, Message5, command, fresh_id};

/// Rows of the table: topics, who reads, who publishes.
fn table() -> Vec<(Vec<String>, String, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/wire.md")).unwrap();
    let part = page.split_once("## Rights over MQTT").unwrap().1.split_once("\n## ").unwrap().0;
    let rows = part.lines().filter(|line| line.starts_with("| ")).skip(2);
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        let topics = cells[0].split(", ").map(|topic| match topic.trim_matches('`') {
            "v1/devices/<client id>/…" => "v1/devices/lamp/state".to_owned(),
            "v1/devices/<another>/…" => "v1/devices/other/state".to_owned(),
            "<prefix>/lamps/<client id>/…" => "v1/demo/lamps/lamp/state".to_owned(),
            "<prefix>/lamps/<another>/…" => "v1/demo/lamps/other/state".to_owned(),
            "$SYS/…" => "$SYS/broker/uptime".to_owned(),
            "every other topic" => "home/door".to_owned(),
            topic => topic.replace("<prefix>", "v1/demo"),
        });
        (topics.collect(), cells[1].clone(), cells[2].clone())
    };
    let rows: Vec<_> = rows.map(row).collect();
    assert_eq!(rows.len(), 8, "{rows:?}");
    rows
}

/// Whether a cell of the table names a role, or one before it.
fn has(cell: &str, role: &str) -> bool {
    let order = ["view", "operate", "edit", "admin"];
    let named: Vec<_> = cell.split(", ").collect();
    match order.iter().position(|known| *known == role) {
        Some(at) => order[..=at].iter().any(|known| named.contains(known)),
        None => named.contains(&role),
    }
}

/// Somebody with a role; without a login for `devices`.
struct Actor {
    role: &'static str,
    made: Option<Made>,
}

impl Actor {
    /// Its client; a device has only one client id.
    fn connect(&self, client: &str) -> Connect5 {
        match &self.made {
            Some(made) => made.five(if self.role == "device" { "lamp" } else { client }),
            None => Connect5::new("lamp"),
        }
    }
}

async fn actors(appliance: &Appliance) -> Vec<Actor> {
    let mut all = Vec::new();
    for role in ["view", "operate", "edit", "admin"] {
        all.push(Actor { role, made: Some(make(appliance, role, role).await) });
    }
    all
}

/// The appliance with an actor of each role. A device takes the client id `lamp` from everybody else, so it is apart.
async fn stages() -> Vec<(Appliance, Vec<Actor>)> {
    let chain = with_lamps().await;
    let in_chain = actors(&chain).await;
    let device = with_lamps().await;
    let lamp = Actor { role: "device", made: Some(make(&device, "lamp", "device").await) };
    let open = lamps(locked().set("DMX_MQTT_ANONYMOUS", "devices").start().await).await;
    let unnamed = Actor { role: "device", made: None };
    vec![(chain, in_chain), (device, vec![lamp]), (open, vec![unnamed])]
}

async fn with_lamps() -> Appliance {
    lamps(locked().start().await).await
}

/// The same with two lamps that are patched, at channels 8 to 10 of universe 1.
async fn lamps(appliance: Appliance) -> Appliance {
    let web = appliance.web();
    for id in ["lamp", "other"] {
        let body = json!({"type": "mqtt-rgb", "universe": 1, "address": 8, "topic": id}).to_string();
        let asked = web.request(Method::POST, "/patch/fixtures").header("content-type", "application/json");
        let made = web.send(asked.header("x-api-key", KEY).body(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    appliance
}

/// What is said on a topic so that it is valid there.
fn payload(topic: &str) -> String {
    match topic {
        "v1/demo/rgb/cmd" => command([1, 2, 3]).to_string(),
        "v1/demo/blackout/cmd" => r#"{"on":false}"#.into(),
        "dmx/command" => {
            format!(r#"{{"type":"dmx.set","id":"{}","universe":1,"channel":7,"value":9}}"#, fresh_id())
        }
        _ => "forged".into(),
    }
}

#[tokio::test]
async fn a_role_publishes_what_the_table_says_live_retained_and_as_a_will() {
    for (appliance, actors) in Box::pin(stages()).await {
        let mut listener = boss(&appliance).await;
        listener.subscribe_all(&[("#", 1), ("$SYS/#", 1)], &[]).await;
        for actor in &actors {
            let mut link = Link5::join(appliance.mqtt, &actor.connect("lamp")).await;
            for (topics, _, publish) in table() {
                for topic in topics {
                    let (who, may) = (actor.role, has(&publish, actor.role));
                    let text = payload(&topic);
                    listener.messages().await;
                    for message in [Message5::new(&topic, &text), Message5::new(&topic, &text).retained()] {
                        let (code, why) = link.publish(&message).await;
                        assert_eq!(code >= 0x80, !may, "{who} publishes {topic}: {code:#x} {why:?}");
                        assert!(may || (code == 0x87 && why.is_some()), "{who} {topic}: {code:#x} {why:?}");
                    }
                    link.publish(&Message5::new(&topic, &text).qos(0)).await;
                    assert_eq!(link.publish(&Message5::new(&topic, &text).qos(2)).await.0 < 0x80, may, "{who} {topic}");
                    let heard = listener.messages().await;
                    let count = heard.iter().filter(|message| message.topic == topic && message.text() == text).count();
                    assert_eq!(count, if may { 4 } else { 0 }, "{who} {topic}: {heard:?}");
                    let mut late = Link5::join(appliance.mqtt, &Connect5::new("late").login("any", KEY)).await;
                    late.subscribe(&topic, 1).await;
                    let kept = late.messages().await.iter().any(|message| message.text() == text);
                    assert_eq!(kept, may && !topic.ends_with("cmd") && topic != "dmx/command", "{who} {topic}");
                    late.leave().await;
                    if may {
                        link.publish(&Message5::new(&topic, "").retained()).await;
                    }
                }
            }
            link.leave().await;
            for (topics, _, publish) in table() {
                for topic in topics {
                    listener.messages().await;
                    let (text, may) = (payload(&topic), has(&publish, actor.role));
                    let will = actor.connect("lamp").will(Message5::new(&topic, &text));
                    let (link, welcome) = Link5::connect(appliance.mqtt, &will).await;
                    if welcome.code == 0 {
                        link.leave_with(4, &[]).await;
                    }
                    assert!(welcome.code == 0 || (!may && welcome.code == 0x87), "{} {topic}: {welcome:?}", actor.role);
                    let heard = listener.messages().await;
                    let is_heard = heard.iter().any(|message| message.topic == topic && message.text() == text);
                    assert_eq!(is_heard, may, "{} has a will on {topic}: {heard:?}", actor.role);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_role_is_given_what_the_table_says_live_retained_and_by_exact_filters() {
    for (appliance, actors) in Box::pin(stages()).await {
        for actor in &actors {
            Box::pin(given(&appliance, actor)).await; // a test's stack is small
        }
    }
}

async fn given(appliance: &Appliance, actor: &Actor) {
    let may = |topic: &str| {
        table().iter().any(|(topics, read, _)| topics.iter().any(|t| t == topic) && has(read, actor.role))
    };
    let all: Vec<String> = table().into_iter().flat_map(|(topics, ..)| topics).collect();
    let allowed: BTreeSet<String> = all.iter().filter(|topic| may(topic)).cloned().collect();
    Box::pin(given_exactly(appliance, actor, &all, &allowed)).await;
    Box::pin(given_live(appliance, actor, allowed)).await;
    Box::pin(given_retained(appliance, actor)).await;
}

async fn given_exactly(appliance: &Appliance, actor: &Actor, all: &[String], allowed: &BTreeSet<String>) {
    let mut exact = Link5::join(appliance.mqtt, &actor.connect("exact")).await;
    for topic in all {
        let (code, may) = (exact.subscribe(topic, 1).await, allowed.contains(topic));
        assert_eq!(code, if may { 1 } else { 0x87 }, "{} subscribes to {topic}", actor.role);
        let shared = exact.subscribe(&format!("$share/g/{topic}"), 1).await;
        assert_eq!(shared < 0x80, may, "{} shares {topic}", actor.role);
    }
    let all_of_it = exact.subscribe("$share/g/#", 1).await;
    assert_eq!(all_of_it < 0x80, actor.role != "device", "{}", actor.role);
    assert_eq!(exact.subscribe("$SYS/#", 0).await < 0x80, actor.role != "device");
    exact.leave().await;
}

async fn given_live(appliance: &Appliance, actor: &Actor, allowed: BTreeSet<String>) {
    let mut boss = boss(appliance).await;
    let mut link = Link5::join(appliance.mqtt, &actor.connect("wild")).await;
    assert_eq!(link.subscribe("#", 1).await, 1, "{}", actor.role);
    link.messages().await;
    Box::pin(say_all(&mut boss)).await;
    let marker = if actor.role == "device" { "v1/devices/lamp/marker" } else { "marker" };
    boss.say(marker, "").await;
    let mut heard = BTreeSet::new();
    loop {
        let topic = link.message_beside_acks().await.topic;
        if topic == marker {
            break;
        }
        heard.insert(topic);
    }
    let expected: BTreeSet<_> = allowed.into_iter().filter(|topic| !topic.starts_with('$')).collect();
    // the presence of the server does not change while it runs
    heard.insert("v1/devices/server/state".into());
    assert_eq!(heard, expected, "live, to {}", actor.role);
    link.leave().await;
    boss.leave().await;
}

async fn given_retained(appliance: &Appliance, actor: &Actor) {
    let mut late = Link5::join(appliance.mqtt, &actor.connect("late")).await;
    late.subscribe("#", 1).await;
    let kept: BTreeSet<_> = late.messages().await.into_iter().map(|message| message.topic).collect();
    let retained =
        ["v1/demo/rgb/state", "v1/demo/lamps/lamp/state", "v1/devices/server/state", "v1/devices/lamp/state"];
    let mut expected: BTreeSet<String> = retained.map(str::to_owned).into();
    if actor.role != "device" {
        let more = ["v1/demo/lamps/other/state", "v1/devices/other/state", "home/door"];
        expected.extend(more.map(str::to_owned));
    }
    assert_eq!(kept, expected, "retained, to {}", actor.role);
    late.leave().await;
}

/// Something on every topic, and something retained on those that are anybody's.
async fn say_all(boss: &mut Link5) {
    for (topics, _, publish) in table() {
        for topic in topics.iter().filter(|_| publish != "only dmxd") {
            boss.publish(&Message5::new(topic, &payload(topic)).retained()).await;
        }
    }
    boss.publish(&Message5::new("v1/demo/rgb/cmd", "no command")).await;
    Box::pin(light_lamps(boss)).await;
}

/// Another light of both lamps, until they were told.
async fn light_lamps(boss: &mut Link5) {
    static TIMES: AtomicU8 = AtomicU8::new(0);
    let value = TIMES.fetch_add(1, Ordering::Relaxed) + 1;
    let lit = json!({"type": "dmx.set", "id": fresh_id(), "universe": 1, "channel": 8, "value": value});
    boss.subscribe("v1/demo/lamps/+/state", 1).await;
    boss.messages().await;
    boss.say("dmx/command", &lit.to_string()).await;
    for _ in 0..2 {
        boss.message().await; // lamps are told a moment later
    }
    boss.unsubscribe(&["v1/demo/lamps/+/state"]).await;
}

#[tokio::test]
async fn an_earlier_version_is_acknowledged_what_it_may_not_say_and_told_0x80() {
    use crate::harness::{Connect, Link};
    let appliance = locked().start().await;
    let lamp = make(&appliance, "lamp", "device").await;
    let mut listener = boss(&appliance).await;
    listener.subscribe("#", 1).await;
    listener.messages().await;
    let before = metric(&appliance).await;
    // MQTT 3.1 has no code for a refusal, so the grant is QoS 0, and nothing comes
    for (connect, refused) in [(Connect::new("lamp"), 0x80), (Connect::new("lamp").v3(), 0)] {
        let mut link = Link::join(appliance.mqtt, &connect.login("lamp", &lamp.key)).await;
        for qos in 0..=2 {
            link.publish_at("v1/devices/other/state", b"forged", qos, true).await;
        }
        assert_eq!(link.subscribe_all(&[("home/door", 1), ("#", 1), ("home/#", 2)]).await, [refused, 1, refused]);
        link.leave().await;
    }
    assert_eq!(metric(&appliance).await - before, 6.0, "counted");
    assert!(listener.messages().await.iter().all(|message| message.text() != "forged"));
    let told = |line: &serde_json::Value| line.to_string().contains("publish_denied") && line["clientId"] == "lamp";
    appliance.log.wait("a line that names the client", told).await;
}

async fn metric(appliance: &Appliance) -> f64 {
    let web = appliance.web();
    let answer = web.send(web.request(reqwest::Method::GET, "/metrics").header("x-api-key", KEY)).await;
    let line = answer.text.lines().find_map(|line| line.strip_prefix("dmx_broker_publishes_denied_total "));
    line.expect("the metric").parse().unwrap()
}

#[tokio::test]
async fn in_audit_mode_nothing_is_asked() {
    let appliance = Home::new().start().await;
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("x").login("any", "thing")).await;
    assert_eq!(link.subscribe_all(&[("#", 1), ("$share/g/#", 1), ("$SYS/#", 0)], &[]).await, [1, 1, 0]);
    for topic in ["v1/devices/other/state", "home/door", "v1/demo/rgb/cmd"] {
        assert!(link.publish(&Message5::new(topic, &payload(topic))).await.0 < 0x80, "{topic}");
    }
}
