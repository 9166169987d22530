//! What others have subscribed to costs nobody anything: ten thousand filters that do not match, of clients that are there and
//! of clients that have left.

use std::time::{Duration, Instant};

use crate::harness::{Appliance, Connect, Home, Link, Packet};

/// Filters of each kind of client, half of them wildcards.
const FILTERS: usize = 5_000;

/// Messages of a block, and blocks: those with strangers and those without take turns, so other work affects both.
const BLOCK: usize = 20;
const BLOCKS: usize = 10;

/// What strangers may add to the median, besides as much again: a scan of 5,000 took a millisecond, optimised.
const MORE: Duration = Duration::from_micros(100);

/// What they may add to the processor time of 2,000 messages, besides half as much again: 6 of the system's ticks.
const MORE_WORK: Duration = Duration::from_millis(60);
const MESSAGES: usize = 2_000;

/// One house: who speaks, who has the topic as an exact filter, and who has it by a wildcard.
struct House {
    appliance: Appliance,
    speaker: Link,
    exact: Link,
    wild: Link,
    strangers: Vec<Link>,
    /// How long messages took.
    took: [Vec<Duration>; 2],
}

impl House {
    async fn new() -> Self {
        let appliance = Home::new().set("DMX_LIMITS_MEMORY", "512").start().await;
        let mut exact = Link::join(appliance.mqtt, &Connect::new("exact")).await;
        exact.subscribe("house/exact", 1).await;
        let mut wild = Link::join(appliance.mqtt, &Connect::new("wild")).await;
        wild.subscribe("house/wild/+", 1).await;
        let speaker = Link::join(appliance.mqtt, &Connect::new("speaker")).await;
        Self { appliance, speaker, exact, wild, strangers: Vec::new(), took: Default::default() }
    }

    /// A stranger with filters that no message of the house matches.
    async fn stranger(&self, name: &str, kept: bool) -> Link {
        let connect = Connect::new(name);
        let connect = if kept { connect.persistent() } else { connect };
        let mut link = Link::join(self.appliance.mqtt, &connect).await;
        let filters: Vec<String> = (0..FILTERS)
            .map(|n| match n % 4 {
                0 => format!("house/{name}/+/{n}"),
                1 => format!("+/{name}/{n}/#"),
                _ => format!("house/{name}/{n}"),
            })
            .collect();
        for some in filters.chunks(500) {
            let asked: Vec<_> = some.iter().map(|filter| (filter.as_str(), 1)).collect();
            assert_eq!(link.subscribe_all(&asked).await, vec![1; some.len()]);
        }
        link
    }

    /// Ten thousand filters of those who are there and of those who are away, and the traces of those who have gone.
    async fn fill(&mut self) {
        self.stranger("gone", false).await.leave().await;
        self.stranger("away", true).await.leave().await;
        let here = self.stranger("here", false).await;
        self.strangers.push(here);
        let known = self.appliance.web().metric("dmx_broker_subscriptions").await;
        assert_eq!(known, (2 * FILTERS + 2) as f64);
    }

    async fn block(&mut self) {
        for n in 0..BLOCK {
            for (way, topic) in ["house/exact", "house/wild/1"].into_iter().enumerate() {
                let begun = Instant::now();
                let pkid = self.speaker.send_publish(topic, n.to_string().as_bytes(), false).await;
                let hears = if way == 0 { &mut self.exact } else { &mut self.wild };
                assert_eq!(hears.message().await.text(), n.to_string());
                self.took[way].push(begun.elapsed());
                assert_eq!(self.speaker.answer().await, Packet::PubAck(pkid));
            }
        }
    }

    /// Processor time of messages that nobody wants, each on a topic of its own.
    async fn work(&mut self) -> Duration {
        let before = self.appliance.processor_time();
        for n in 0..MESSAGES {
            self.speaker.publish(&format!("house/nobody/{}", n % 100), b"x").await;
        }
        self.appliance.processor_time() - before
    }

    fn median(&mut self, way: usize) -> Duration {
        self.took[way].sort();
        self.took[way][self.took[way].len() / 2]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_foreign_filters_make_no_message_slower() {
    let (mut full, mut empty) = (House::new().await, House::new().await);
    full.fill().await;
    for _ in 0..BLOCKS {
        empty.block().await;
        full.block().await;
    }
    for (way, name) in ["exact", "wildcard"].into_iter().enumerate() {
        let (with, without) = (full.median(way), empty.median(way));
        println!("{name}: {with:?} with the strangers, {without:?} without");
        assert!(with <= without * 2 + MORE, "{name}: {with:?} with the strangers, {without:?} without");
    }
    let (without, with) = (empty.work().await, full.work().await);
    println!("{MESSAGES} messages that nobody wants: {with:?} with the strangers, {without:?} without");
    assert!(with <= without * 3 / 2 + MORE_WORK, "{with:?} with the strangers, {without:?} without");
}
