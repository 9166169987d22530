//! Shared subscriptions: each message goes to one member of a group.

use std::collections::BTreeSet;

use crate::harness::{Appliance, Connect, Connect5, Link, Link5, Message5};

async fn member(appliance: &Appliance, id: &str, filter: &str, qos: u8) -> Link5 {
    let mut link = Link5::join(appliance.mqtt, &Connect5::kept(id, 600)).await;
    assert_eq!(link.subscribe(filter, qos).await, qos);
    link
}

async fn sender(appliance: &Appliance) -> Link5 {
    Link5::join(appliance.mqtt, &Connect5::new("sender")).await
}

async fn back(appliance: &Appliance, id: &str) -> Link5 {
    Link5::join(appliance.mqtt, &Connect5::kept(id, 600)).await
}

fn numbers(range: std::ops::Range<u32>) -> BTreeSet<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn each_message_goes_to_one_of_a_group_in_turn_whatever_its_version() {
    let appliance = Appliance::start().await;
    let mut a = member(&appliance, "a", "$share/g/x/+", 1).await;
    let mut b = member(&appliance, "b", "$share/g/x/+", 1).await;
    let mut old = Link::join(appliance.mqtt, &Connect::new("old")).await;
    assert_eq!(old.subscribe("$share/g/x/+", 1).await, 1);
    let mut other = member(&appliance, "other", "$share/h/x/+", 1).await;
    let mut sender = sender(&appliance).await;
    for n in 0..30 {
        sender.say("x/1", &n.to_string()).await;
    }
    let (a, b) = (a.texts().await, b.texts().await);
    let old: Vec<_> = old.messages().await.iter().map(|message| message.text()).collect();
    assert_eq!((a.len(), b.len(), old.len()), (10, 10, 10), "they take turns");
    let all: BTreeSet<_> = a.into_iter().chain(b).chain(old).collect();
    assert_eq!(all, numbers(0..30));
    assert_eq!(other.texts().await.into_iter().collect::<BTreeSet<_>>(), numbers(0..30), "each group has all");
}

#[tokio::test]
async fn each_member_has_its_own_qos_and_identifier() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    for filter in ["$share/g/x", "$share/g/#"] {
        let mut link = member(&appliance, "a", filter, 1).await;
        link.subscribe_as(filter, 2, 9).await;
        for qos in 0..=2 {
            sender.publish(&Message5::new("x", "x").qos(qos)).await;
            let came = link.message().await;
            assert_eq!((came.qos, came.ids()), (qos, vec![9]));
        }
        link.subscribe(filter, 0).await;
        sender.publish(&Message5::new("x", "x").qos(2)).await;
        let came = link.message().await;
        assert_eq!((came.qos, came.ids()), (0, vec![]));
        assert_eq!(link.unsubscribe(&[filter, filter]).await[0], 0);
        assert_eq!(sender.publish(&Message5::new("x", "x")).await.0, 0x10, "nobody is left");
        assert_eq!(link.messages().await, []);
    }
}

#[tokio::test]
async fn a_group_is_given_nothing_that_was_retained_before() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    sender.publish(&Message5::new("x", "kept").retained()).await;
    let mut link = member(&appliance, "a", "$share/g/#", 1).await;
    assert_eq!(link.messages().await, [], "section 4.8.2");
    sender.publish(&Message5::new("x", "live").retained()).await;
    let came = link.message().await;
    assert_eq!((came.text().as_str(), came.retain), ("live", false));
    link.subscribe("$share/g/#", 1 | 8).await;
    sender.publish(&Message5::new("x", "as published").retained()).await;
    assert!(link.message().await.retain);
}

#[tokio::test]
async fn a_plain_subscription_beside_a_shared_one_brings_a_copy_of_its_own() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    for plain in ["x", "+"] {
        let mut link = Link5::join(appliance.mqtt, &Connect5::kept("a", 600).clean()).await;
        link.subscribe_as(plain, 1, 1).await;
        link.subscribe_as("$share/g/x", 1, 2).await;
        sender.say("x", "x").await;
        let mut ids: Vec<_> = link.messages().await.iter().map(Message5::ids).collect();
        ids.sort();
        assert_eq!(ids, [[1], [2]]);
        link.leave().await;
        sender.say("x", "x").await;
        let mut link = back(&appliance, "a").await;
        let mut ids: Vec<_> = link.messages().await.iter().map(Message5::ids).collect();
        ids.sort();
        assert_eq!(ids, [[1]], "one is kept while it is away");
        link.leave().await;
    }
}

#[tokio::test]
async fn members_that_are_away_keep_messages_only_when_nobody_is_there() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    let filter = "$share/g/x";
    let mut here = member(&appliance, "here", filter, 1).await;
    member(&appliance, "away", filter, 1).await.leave().await;
    for n in 0..4 {
        sender.say("x", &n.to_string()).await;
    }
    assert_eq!(here.texts().await, ["0", "1", "2", "3"]);
    here.leave().await;
    for n in 4..8 {
        sender.say("x", &n.to_string()).await;
    }
    sender.publish(&Message5::new("x", "lost").qos(0)).await;
    let appliance = appliance.kill9().await.start().await;
    let mut all = BTreeSet::new();
    for id in ["here", "away"] {
        let came = back(&appliance, id).await.texts().await;
        assert_eq!(came.len(), 2, "they took turns");
        all.extend(came);
    }
    assert_eq!(all, numbers(4..8));
    let mut sender = self::sender(&appliance).await;
    let mut here = back(&appliance, "here").await;
    sender.say("x", "on").await;
    assert_eq!(here.message().await.text(), "on", "the group is there after a kill");
}

#[tokio::test]
async fn what_waits_for_a_member_keeps_its_identifier_over_a_kill() {
    let appliance = Appliance::start().await;
    let mut link = member(&appliance, "a", "$share/g/x", 1).await;
    link.subscribe_as("$share/g/x", 1, 7).await;
    link.subscribe_as("y", 1, 8).await;
    link.leave().await;
    let mut sender = sender(&appliance).await;
    sender.say("x", "1").await;
    sender.say("y", "2").await;
    let appliance = appliance.kill9().await.start().await;
    let mut link = back(&appliance, "a").await;
    let came: Vec<_> = link.messages().await.iter().map(|message| (message.text(), message.ids())).collect();
    assert_eq!(came, [("1".to_owned(), vec![7]), ("2".to_owned(), vec![8])]);
}

#[tokio::test]
async fn what_a_member_has_not_answered_goes_to_another_when_its_session_ends() {
    let appliance = Appliance::start().await;
    let mut sender = sender(&appliance).await;
    let filter = "$share/g/+";
    let mut first = member(&appliance, "first", filter, 2).await;
    first.acknowledge(false);
    for n in 0..3 {
        sender.say("x", &n.to_string()).await;
    }
    sender.publish(&Message5::new("x", "exactly once").qos(2)).await;
    assert_eq!(first.messages().await.len(), 4);
    drop(first); // three at QoS 1 are unanswered; the last may not come to two clients (section 4.8.2)
    let mut second = member(&appliance, "second", filter, 2).await;
    assert_eq!(second.messages().await, [], "as long as the session is kept, they are its own");
    Link5::join(appliance.mqtt, &Connect5::new("first")).await.leave().await;
    assert_eq!(second.texts().await, ["0", "1", "2"]);
    second.leave().await;

    // what waits, at QoS 2 as well
    sender.publish(&Message5::new("x", "3").qos(2)).await;
    sender.say("x", "4").await;
    let mut third = member(&appliance, "third", filter, 2).await;
    Link5::join(appliance.mqtt, &Connect5::new("second")).await.leave().await;
    let came: Vec<_> = third.messages().await.iter().map(|message| (message.text(), message.qos)).collect();
    assert_eq!(came, [("3".to_owned(), 2), ("4".to_owned(), 1)]);
}
