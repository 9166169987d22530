//! Two ways through the broker: exact filters past the router, wildcards through it. Nobody can tell which.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Appliance, Connect, Link, Message, encode, eventually};

async fn join(broker: SocketAddr, id: &str) -> Link {
    Link::join(broker, &Connect::new(id)).await
}

#[tokio::test]
async fn the_router_is_asked_for_wildcards_and_given_what_they_want_and_nothing_else() {
    let appliance = Appliance::start().await;
    let mut exact = join(appliance.mqtt, "exact").await;
    exact.subscribe_all(&[("a", 1), ("a/b", 1), ("$x", 1)]).await;
    for topic in ["a", "a/b", "$x", "unheard"] {
        exact.publish(topic, b"x").await;
    }
    for topic in ["a", "a/b", "$x"] {
        assert_eq!(exact.message().await.topic, topic);
    }
    let knows = async |filters: f64, topics: f64| {
        eventually(&format!("{filters} filters and {topics} topics"), async || {
            let web = appliance.web();
            let known = (web.metric("dmx_broker_filters").await, web.metric("dmx_broker_topics").await - 1.0); // the guardian's
            (known == (filters, topics)).then_some(())
        })
        .await;
    };
    let mut wildcard = join(appliance.mqtt, "wildcard").await;
    wildcard.subscribe_all(&[("w/#", 1), ("a", 1)]).await;
    for topic in ["a", "a/b", "w/1", "w/2", "unheard"] {
        exact.publish(topic, b"x").await;
    }
    wildcard.until("w/2").await;
    knows(1.0, 2.0).await;
}

#[tokio::test]
async fn overlapping_ways_bring_one_copy_at_the_highest_qos() {
    let appliance = Appliance::start().await;
    let mut speaker = join(appliance.mqtt, "speaker").await;
    for (filters, expected) in [
        (&[("a/b", 0), ("a/#", 2), ("a/+", 1)][..], 2),
        (&[("a/b", 2), ("a/#", 0)], 2),
        (&[("a/#", 0), ("+/b", 1), ("#", 0)], 1),
        (&[("a/b", 1), ("c", 2)], 1),
    ] {
        let mut link = join(appliance.mqtt, "link").await;
        link.answer_all();
        link.subscribe_all(filters).await;
        link.messages().await; // those that `#` finds
        for n in 0..50 {
            speaker.publish_at("a/b", &[n], 2, false).await;
        }
        let heard = link.messages().await;
        let heard: Vec<_> = heard.iter().map(|message| (message.payload[0], message.qos)).collect();
        assert_eq!(heard, Vec::from_iter((0..50).map(|n| (n, expected))), "{filters:?}");
        link.leave().await;
    }
}

/// Publishes numbers until it is told to stop, without waiting for answers to each; says how many.
async fn count(broker: SocketAddr, topic: &'static str, over: Arc<AtomicBool>) -> u32 {
    let mut speaker = join(broker, "speaker").await;
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..20 {
            speaker.send_publish(topic, n.to_string().as_bytes(), false).await;
            n += 1;
        }
        for _ in 0..20 {
            speaker.answer().await;
        }
    }
    n
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_keeps_its_order_while_its_way_changes_again_and_again() {
    let appliance = Appliance::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut link = join(appliance.mqtt, "link").await;
    link.subscribe("t/+", 1).await;
    let counting = tokio::spawn(count(appliance.mqtt, "t/x", over.clone()));
    let mut heard = vec![link.message().await];
    for _ in 0..60 {
        // From one wildcard to the table, back to another wildcard, and to the first.
        link.subscribe("t/x", 0).await;
        link.subscribe("t/#", 1).await;
        link.unsubscribe("t/+").await;
        link.unsubscribe("t/x").await;
        link.subscribe("t/+", 0).await;
        link.unsubscribe("t/#").await;
        heard.extend(link.messages().await);
    }
    over.store(true, Ordering::Relaxed);
    let said = counting.await.unwrap();
    while heard.len() < said as usize {
        heard.push(link.message().await);
    }
    heard.extend(link.messages().await);
    let numbers: Vec<u32> = heard.iter().map(|message| message.text().parse().unwrap()).collect();
    let wrong = numbers.windows(2).position(|two| two[0] + 1 != two[1]);
    assert_eq!(wrong.map(|at| &numbers[at..numbers.len().min(at + 5)]), None, "none missing, none twice, in order");
    println!("{said} messages");
    assert!(said > 1_000, "there was traffic: {said}");
}

/// The middle of many relays from one client to another.
async fn relay(from: &mut Link, to: &mut Link, topic: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        from.send_publish(topic, b"x", false).await;
        assert_eq!(to.message().await.topic, topic);
        times.push(begun.elapsed());
        from.answer().await;
    }
    times.sort();
    times[100]
}

#[tokio::test]
async fn ten_thousand_filters_of_strangers_delay_nobody() {
    let appliance = Appliance::start().await;
    let mut from = join(appliance.mqtt, "from").await;
    let mut to = join(appliance.mqtt, "to").await;
    to.subscribe_all(&[("exact", 1), ("wild/+", 1)]).await;
    let mut before = Vec::new();
    for topic in ["exact", "wild/x"] {
        before.push(relay(&mut from, &mut to, topic).await);
    }
    let mut strangers = Vec::new();
    for n in 0..40 {
        let mut stranger = join(appliance.mqtt, &format!("stranger-{n}")).await;
        let names: Vec<_> = (0..250).map(|m| format!("strange/{n}/+/{m}")).collect();
        let filters: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        assert!(stranger.subscribe_all(&filters).await.iter().all(|code| *code == 1));
        strangers.push(stranger);
    }
    for (topic, before) in ["exact", "wild/x"].into_iter().zip(before) {
        let after = relay(&mut from, &mut to, topic).await;
        println!("{topic}: {before:?} before, {after:?} after");
        assert!(after < before * 2 + Duration::from_micros(500), "{topic}: {before:?} before, {after:?} after");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_through_the_taps_loses_nothing() {
    const SPEAKERS: usize = 40;
    const MESSAGES: usize = 2_000;
    let appliance = Appliance::start().await;
    let mut hears = Vec::new();
    for filter in ["flood/#", "flood/+", "+/+"] {
        let mut link = join(appliance.mqtt, filter).await;
        link.subscribe(filter, 0).await;
        hears.push(tokio::spawn(async move {
            let mut next = BTreeMap::new();
            for _ in 0..SPEAKERS * MESSAGES {
                let Message { topic, payload, .. } = link.message().await;
                let expected = next.entry(topic).or_insert(0_u32);
                assert_eq!(payload, expected.to_be_bytes(), "none missing, in order");
                *expected += 1;
            }
        }));
    }
    let begun = Instant::now();
    for speaker in 0..SPEAKERS {
        let topic = format!("flood/{speaker}");
        let mut speaker = join(appliance.mqtt, &topic).await;
        tokio::spawn(async move {
            for n in (0..MESSAGES as u32).step_by(100) {
                let burst = (n..n + 100).flat_map(|n| {
                    let (topic, payload) = (topic.clone(), n.to_be_bytes().to_vec());
                    encode::publish(&Message { topic, payload, qos: 0, retain: false, dup: false, pkid: 0 })
                });
                speaker.send(&burst.collect::<Vec<_>>()).await;
            }
            speaker.ping().await;
        });
    }
    for hears in hears {
        hears.await.unwrap();
    }
    println!("{} messages to three took {:?}", SPEAKERS * MESSAGES, begun.elapsed());
    assert_eq!(appliance.web().metric("dmx_broker_messages_dropped_total").await, 0.0);
}
