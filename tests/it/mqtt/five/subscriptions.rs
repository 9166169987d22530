//! Subscription identifiers and options.

use crate::harness::{Appliance, Connect, Connect5, Link, Link5, Message5, STATE, property};

const NO_LOCAL: u8 = 4;
const AS_PUBLISHED: u8 = 8;
const IF_NEW: u8 = 16;
const NEVER: u8 = 32;

async fn client(appliance: &Appliance, id: &str) -> Link5 {
    Link5::join(appliance.mqtt, &Connect5::new(id)).await
}

/// Topic, payload, QoS and identifiers of what has come.
async fn came(link: &mut Link5) -> Vec<(String, u8, Vec<u32>)> {
    link.messages().await.iter().map(|message| (message.text(), message.qos, message.ids())).collect()
}

fn one(text: &str, qos: u8, ids: &[u32]) -> (String, u8, Vec<u32>) {
    (text.into(), qos, ids.into())
}

#[tokio::test]
async fn one_copy_of_a_message_has_the_identifiers_of_all_subscriptions_that_it_matches() {
    let appliance = Appliance::start().await;
    let (mut link, mut sender) = (client(&appliance, "a").await, client(&appliance, "sender").await);
    link.subscribe_as("x/1", 0, 1).await;
    link.subscribe_as("x/+", 1, 268_435_455).await;
    link.subscribe_as("x/#", 2, 3).await;
    link.subscribe("#", 0).await; // without one
    link.messages().await;
    for (topic, ids) in [("x/1", &[1, 3, 268_435_455][..]), ("x/2", &[3, 268_435_455]), ("x", &[3]), ("y", &[])] {
        sender.publish(&Message5::new(topic, topic).qos(2)).await;
        let qos = if ids.is_empty() { 0 } else { 2 };
        assert_eq!(came(&mut link).await, [one(topic, qos, ids)]);
    }
    link.subscribe_all(&[("two/1", 1), ("two/+", 1)], &[property::subscription_id(7)]).await;
    sender.say("two/1", "x").await;
    assert_eq!(came(&mut link).await, [one("x", 1, &[7])], "each identifier once");
}

#[tokio::test]
async fn a_subscription_has_the_identifier_and_options_that_it_was_given_last() {
    let appliance = Appliance::start().await;
    let (mut link, mut sender) = (client(&appliance, "a").await, client(&appliance, "sender").await);
    for filter in ["x", "w/#"] {
        let topic = filter.replace('#', "1");
        link.subscribe_as(filter, 1, 1).await;
        link.subscribe_as(filter, 2, 2).await;
        sender.publish(&Message5::new(&topic, "2").qos(2)).await;
        assert_eq!(came(&mut link).await, [one("2", 2, &[2])]);
        link.subscribe(filter, NO_LOCAL).await;
        sender.say(&topic, "none").await;
        link.say(&topic, "own").await;
        assert_eq!(came(&mut link).await, [one("none", 0, &[])]);
        assert_eq!(link.unsubscribe(&[filter, filter, "unknown"]).await[2], 0x11);
        sender.say(&topic, "nobody").await;
        assert_eq!(came(&mut link).await, []);
    }
}

#[tokio::test]
async fn identifiers_and_options_survive_a_kill() {
    let appliance = Appliance::start().await;
    let connect = Connect5::kept("a", 60);
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe_as("x/1", 1, 1).await;
    link.subscribe_as("x/#", 1 | NO_LOCAL | AS_PUBLISHED, 300_000).await;
    link.leave().await;
    let mut sender = client(&appliance, "sender").await;
    sender.publish(&Message5::new("x/1", "before").retained()).await;
    let appliance = appliance.kill9().await.start().await;
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    let waited = link.message().await;
    assert_eq!((waited.text().as_str(), waited.retain, waited.ids()), ("before", true, vec![1, 300_000]));
    let mut sender = client(&appliance, "sender").await;
    sender.publish(&Message5::new("x/2", "after").retained()).await;
    let next = link.message().await;
    assert_eq!((next.text().as_str(), next.retain, next.ids()), ("after", true, vec![300_000]));
    link.say("x/3", "own").await;
    assert_eq!(link.messages().await, []);
}

#[tokio::test]
async fn a_retained_message_comes_by_the_subscription_that_brings_it() {
    let appliance = Appliance::start().await;
    let (mut link, mut sender) = (client(&appliance, "a").await, client(&appliance, "sender").await);
    sender.publish(&Message5::new("x/1", "kept").retained()).await;
    link.subscribe_as("x/1", 1, 1).await;
    link.subscribe_as("x/+", 0, 2).await;
    link.subscribe_as("x/#", 1, 3).await;
    let all = [one("kept", 1, &[1]), one("kept", 0, &[2]), one("kept", 1, &[3])];
    assert_eq!(came(&mut link).await, all);
}

#[tokio::test]
async fn retained_messages_come_as_the_subscription_asks() {
    let appliance = Appliance::start().await;
    let (mut link, mut sender) = (client(&appliance, "a").await, client(&appliance, "sender").await);
    for topic in ["x", "w/1"] {
        sender.publish(&Message5::new(topic, topic).retained()).await;
    }
    for (filter, topic) in [("x", "x"), ("w/#", "w/1")] {
        for (options, comes) in [(NEVER, false), (IF_NEW, false), (0, true), (0, true), (IF_NEW, false), (NEVER, false)]
        {
            link.subscribe(filter, 1 | options).await;
            let expected = if comes { vec![topic] } else { Vec::new() };
            assert_eq!(link.texts().await, expected, "{filter} {options}");
        }
        assert_eq!(link.unsubscribe(&[filter]).await, [0]);
        link.subscribe(filter, IF_NEW).await;
        assert_eq!(link.texts().await, [topic], "new again");
    }
}

#[tokio::test]
async fn retain_flags_are_kept_where_the_subscription_asks_for_it() {
    let appliance = Appliance::start().await;
    let mut sender = client(&appliance, "sender").await;
    for (id, filter) in [("exact", "x"), ("wild", "+")] {
        let mut link = client(&appliance, id).await;
        let mut plain = client(&appliance, "plain").await;
        link.subscribe(filter, 1 | AS_PUBLISHED | NEVER).await;
        plain.subscribe(filter, 1 | NEVER).await;
        for qos in 0..=2 {
            for retain in [true, false] {
                sender.publish(&Message5 { retain, ..Message5::new("x", "x").qos(qos) }).await;
                assert_eq!((link.message().await.retain, plain.message().await.retain), (retain, false), "{id}");
            }
        }
    }
    // what is retained comes as retained, whatever the option says
    let mut late = client(&appliance, "late").await;
    late.subscribe("x", AS_PUBLISHED).await;
    assert!(late.message().await.retain);
}

#[tokio::test]
async fn a_clients_own_messages_do_not_come_back_where_it_asks_for_that() {
    let appliance = Appliance::start().await;
    let connect = Connect5::kept("a", 60);
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe_as("x", 1 | NO_LOCAL, 1).await;
    link.subscribe_as("w/#", 1 | NO_LOCAL, 2).await;
    link.subscribe_as("w/both/+", 0, 3).await;
    let mut other = Link::join(appliance.mqtt, &Connect::new("other")).await;
    for topic in ["x", "w/1"] {
        for retain in [false, true] {
            link.publish(&Message5 { retain, ..Message5::new(topic, "own") }).await;
        }
        other.publish(topic, b"another's").await;
    }
    link.say("w/both/1", "own").await;
    let expected = [one("another's", 1, &[1]), one("another's", 1, &[2]), one("own", 0, &[3])];
    assert_eq!(came(&mut link).await, expected);
}

#[tokio::test]
async fn each_filter_has_an_answer_of_its_own() {
    let appliance = Appliance::start().await;
    let mut link = client(&appliance, "a").await;
    let bad = ["a#", "a/#/b", "+a", "", "$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a"];
    let mut filters: Vec<_> = bad.map(|filter| (filter, 1)).into();
    filters.push(("good", 2));
    let codes = link.subscribe_all(&filters, &[]).await;
    assert_eq!(codes, [[0x8f; 9].as_slice(), &[2]].concat());
    let codes = link.unsubscribe(&["good", "good", "a#", "$share/g/unknown"]).await;
    assert_eq!((codes[0], &codes[2..]), (0, &[0x11, 0x11][..]));
    let mut old = Link::join(appliance.mqtt, &Connect::new("old")).await;
    assert_eq!(old.subscribe_all(&[("a#", 1), ("good", 1)]).await, [0x80, 1]);
}

#[tokio::test]
async fn the_state_comes_with_identifiers_as_anything_else() {
    let appliance = Appliance::start().await;
    let mut link = client(&appliance, "a").await;
    link.subscribe_as(STATE, 1, 5).await;
    let kept = link.message().await;
    assert_eq!((kept.retain, kept.ids()), (true, vec![5]));
    appliance.assert_serves().await;
    let live = link.message().await;
    assert_eq!((live.retain, live.ids()), (false, vec![5]));
}
