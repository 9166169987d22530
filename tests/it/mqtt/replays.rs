//! The rest of a retained replay belongs to the session: it goes on after a reconnect, and after kill -9 (CONTRACT, section 10).

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Appliance, Connect, Link, Message, Packet, encode};

const TOPICS: usize = 400;
/// After so many the connection ends.
const CUT: usize = 60;

fn topic(n: usize) -> String {
    format!("many/{n:04}")
}

async fn filled(qos: u8) -> Appliance {
    let appliance = Appliance::start().await;
    let mut writer = Link::join(appliance.mqtt, &Connect::new("writer")).await;
    let mut bytes = Vec::new();
    for n in 0..TOPICS {
        let pkid = u16::try_from(n + 1).unwrap();
        let message =
            Message { topic: topic(n), payload: b"0".into(), qos: qos.min(1), retain: true, dup: false, pkid };
        bytes.extend(encode::publish(&message));
    }
    writer.send(&bytes).await;
    for n in 0..TOPICS {
        assert_eq!(writer.answer().await, Packet::PubAck(u16::try_from(n + 1).unwrap()));
    }
    appliance
}

fn esp() -> Connect {
    Connect::new("esp").persistent()
}

/// Values by topic, none of which was followed by an older one.
#[derive(Default)]
struct Newest(BTreeMap<String, u32>);

impl Newest {
    fn add(&mut self, message: &Message) {
        let value = message.text().parse().unwrap();
        let before = self.0.insert(message.topic.clone(), value);
        assert!(before.is_none_or(|before| before <= value), "{value} after {before:?} on {}", message.topic);
    }
}

async fn goes_on(kill: bool) {
    let mut appliance = filled(1).await;
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    link.subscribe("many/#", 1).await;
    let mut newest = Newest::default();
    for _ in 0..CUT {
        newest.add(&link.message().await);
    }
    if kill {
        appliance = appliance.kill9().await.start().await;
    } else {
        link.reset();
    }
    // one that came, one that is to come, one that is deleted
    let mut writer = Link::join(appliance.mqtt, &Connect::new("writer")).await;
    for n in [0, TOPICS - 1] {
        writer.retain(&topic(n), b"1").await;
    }
    writer.retain(&topic(TOPICS - 2), b"").await;
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    let done = |newest: &Newest| {
        let value = |n| newest.0.get(&topic(n)).copied();
        value(0) == Some(1) && value(TOPICS - 1) == Some(1) && newest.0.len() == TOPICS - 1
    };
    while !done(&newest) {
        let message = link.message().await;
        if !message.payload.is_empty() {
            newest.add(&message);
        }
    }
    link.messages().await;
    link.reset();
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    assert_eq!(link.messages().await, [], "it has come to its end");
}

#[tokio::test]
async fn the_rest_goes_on_after_a_reconnect() {
    goes_on(false).await;
}

#[tokio::test]
async fn the_rest_goes_on_after_kill_9() {
    goes_on(true).await;
}

#[tokio::test]
async fn at_qos_2_each_comes_exactly_once_over_kills() {
    let appliance = Appliance::start().await;
    let mut writer = Link::join(appliance.mqtt, &Connect::new("writer")).await;
    for n in 0..TOPICS / 2 {
        writer.publish_at(&topic(n), b"0", 2, true).await;
    }
    let (mut appliance, mut came, mut unreleased) = (appliance, Vec::new(), BTreeSet::new());
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    link.subscribe("many/#", 2).await;
    let mut released = 0;
    while released < TOPICS / 2 {
        match link.next().await {
            Packet::Publish(message) => {
                // what is sent again under an id that was not released is known [MQTT-4.3.3-2]
                if unreleased.insert(message.pkid) {
                    came.push(message.topic);
                    if came.len() % CUT == 0 {
                        appliance = appliance.kill9().await.start().await;
                        link = Link::join(appliance.mqtt, &esp()).await;
                        continue;
                    }
                }
                link.send(&encode::pubrec(message.pkid)).await;
            }
            Packet::PubRel(pkid) => {
                released += usize::from(unreleased.remove(&pkid));
                link.send(&encode::pubcomp(pkid)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    link.ping().await;
    assert_eq!(came, (0..TOPICS / 2).map(topic).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn an_unsubscribe_ends_it() {
    let appliance = filled(1).await;
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    link.acknowledge(false);
    link.subscribe("many/#", 1).await;
    link.unsubscribe("many/#").await;
    let appliance = appliance.kill9().await.start().await;
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    assert_eq!(link.messages().await, []);
}

#[tokio::test]
async fn at_qos_0_all_of_them_come_without_a_word_of_the_client() {
    let appliance = filled(1).await;
    let mut link = Link::join(appliance.mqtt, &esp()).await;
    link.subscribe("many/#", 0).await;
    for n in 0..TOPICS {
        assert_eq!(link.message().await.topic, topic(n));
    }
}
