//! Random scripts of clients, restarts and kills, compared with MQTT 3.1.1 in its plainest form.
//!
//! Each step settles before the next: every client receives exactly what the model says, then its pings are answered. What
//! dmxd publishes on its own topics, which `#` matches too, is tested elsewhere.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{Appliance, Connect, Link, eventually, eventually_within};

const CLIENTS: [&str; 3] = ["one", "two", "three"];
/// Subscribes to everything, so a step is over when it has received it; publishes for those who are away.
const WITNESS: &str = "witness";
const TOPICS: [&str; 4] = ["a", "a/b", "b", "a/b/c"];
const FILTERS: [&str; 7] = ["a", "a/#", "a/b", "+/b", "+", "#", "b"];

/// How long a client may take to receive what it should; less is enough while a failed script is being reduced.
const PATIENCE: Duration = Duration::from_secs(30);
const LESS_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
enum Step {
    /// Of a client that is connected already: a take-over.
    Connect {
        who: &'static str,
        clean: bool,
        will: Option<Words>,
    },
    /// Whoever is away returns for it, to a session to be kept.
    Subscribe {
        who: &'static str,
        filter: &'static str,
        qos: u8,
    },
    Unsubscribe {
        who: &'static str,
        filter: &'static str,
    },
    Publish {
        who: &'static str,
        words: Words,
    },
    /// With DISCONNECT.
    Leave {
        who: &'static str,
    },
    /// Without.
    Drop {
        who: &'static str,
    },
    Restart,
    Kill,
}

/// A message; its text gets a number when it is sent, unless it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    topic: String,
    text: String,
    qos: u8,
    retain: bool,
}

fn words() -> impl Strategy<Value = Words> {
    let text = prop_oneof![4 => Just("text"), 1 => Just("")];
    (prop::sample::select(&TOPICS[..]), text, 0..3_u8, any::<bool>()).prop_map(|(topic, text, qos, retain)| Words {
        topic: topic.into(),
        text: text.into(),
        qos,
        retain,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop::sample::select(&CLIENTS[..]);
    let filter = || prop::sample::select(&FILTERS[..]);
    let will = prop::option::of(words());
    prop_oneof![
        6 => (who(), prop::bool::weighted(0.3), will).prop_map(|(who, clean, will)| Step::Connect { who, clean, will }),
        8 => (who(), filter(), 0..3_u8).prop_map(|(who, filter, qos)| Step::Subscribe { who, filter, qos }),
        1 => (who(), filter()).prop_map(|(who, filter)| Step::Unsubscribe { who, filter }),
        12 => (who(), words()).prop_map(|(who, words)| Step::Publish { who, words }),
        2 => who().prop_map(|who| Step::Leave { who }),
        3 => who().prop_map(|who| Step::Drop { who }),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

/// Section 4.7 by levels.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            ([], []) | (["#"], _) => true, // also the parent level [MQTT-4.7.1-2]
            (["+", filter @ ..], [_, topic @ ..]) => levels(filter, topic), // [MQTT-4.7.1-3]
            ([first, filter @ ..], [level, topic @ ..]) => first == level && levels(filter, topic),
            _ => false,
        }
    }
    let split = |text| str::split(text, '/').collect::<Vec<_>>();
    let hidden = topic.starts_with('$') && filter.starts_with(['#', '+']); // [MQTT-4.7.2-1]
    !hidden && levels(&split(filter), &split(topic))
}

/// Sorted by topic only: messages of one topic keep their order [MQTT-4.6.0-6], different topics need not.
fn by_topic(mut messages: Vec<Words>) -> Vec<Words> {
    messages.sort_by(|one, other| one.topic.cmp(&other.topic));
    messages
}

#[derive(Default)]
struct Session {
    kept: bool,
    here: bool,
    will: Option<Words>,
    /// Filters and their granted QoS.
    filters: BTreeMap<String, u8>,
    /// What its client should receive; while that is away, what waits for it.
    due: Vec<Words>,
}

/// What a broker has to know.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<&'static str, Session>,
    retained: BTreeMap<String, Words>,
    /// Sessions without their client that got a message since the last settling.
    reached_away: BTreeSet<&'static str>,
    /// Messages kept for those since the appliance started.
    letters: u32,
}

impl Model {
    /// Gives whether a session is present.
    fn connect(&mut self, who: &'static str, clean: bool, will: Option<Words>) -> bool {
        let old = self.sessions.entry(who).or_default();
        let present = old.kept && !clean; // [MQTT-3.2.2-1], [MQTT-3.2.2-2], [MQTT-3.2.2-3]
        let last_will = old.will.take();
        if !present {
            self.sessions.remove(who); // [MQTT-3.1.2-6]
        }
        // At a take-over [MQTT-3.1.4-2] the old connection ends first, without a DISCONNECT.
        self.publish_all(last_will);
        let session = self.sessions.entry(who).or_default();
        (session.kept, session.here, session.will) = (!clean, true, will);
        present
    }

    fn subscribe(&mut self, who: &str, filter: &str, qos: u8) {
        let Some(session) = self.sessions.get_mut(who) else { return };
        session.filters.insert(filter.into(), qos); // in place of an older one [MQTT-3.8.4-3]
        for kept in self.retained.values().filter(|kept| matches(filter, &kept.topic)) {
            // [MQTT-3.3.1-6], [MQTT-3.3.1-8], [MQTT-3.8.4-6]
            session.due.push(Words { qos: kept.qos.min(qos), retain: true, ..kept.clone() });
        }
    }

    fn unsubscribe(&mut self, who: &str, filter: &str) {
        if let Some(session) = self.sessions.get_mut(who) {
            session.filters.remove(filter); // [MQTT-3.10.4-1], [MQTT-3.10.4-2]
        }
    }

    fn publish(&mut self, words: &Words) {
        if words.retain && words.text.is_empty() {
            self.retained.remove(&words.topic); // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
        } else if words.retain {
            self.retained.insert(words.topic.clone(), words.clone()); // [MQTT-3.3.1-5], [MQTT-3.3.1-7]
        } // else [MQTT-3.3.1-12]
        for (who, session) in &mut self.sessions {
            let matching = session.filters.iter().filter(|(filter, _)| matches(filter, &words.topic));
            // One copy at the highest QoS of overlapping filters [MQTT-3.3.5-1].
            let Some(granted) = matching.map(|(_, qos)| *qos).max() else { continue };
            let qos = words.qos.min(granted);
            if !session.here {
                self.reached_away.insert(who);
                if qos == 0 {
                    continue;
                }
                self.letters += 1; // [MQTT-3.1.2-5]
            }
            session.due.push(Words { qos, retain: false, ..words.clone() }); // [MQTT-3.3.1-9]
        }
    }

    fn publish_all(&mut self, words: impl IntoIterator<Item = Words>) {
        words.into_iter().for_each(|words| self.publish(&words));
    }

    /// A client sends DISCONNECT, which withdraws its will [MQTT-3.1.2-10].
    fn leave(&mut self, who: &str) {
        self.gone(who);
    }

    /// A connection is lost, which is what the will is for [MQTT-3.1.2-8].
    fn lose(&mut self, who: &str) {
        let will = self.gone(who);
        self.publish_all(will);
    }

    /// The appliance ends: dmxd publishes no will for that.
    fn stop(&mut self) {
        for who in CLIENTS.into_iter().chain([WITNESS]) {
            self.gone(who);
        }
        self.letters = 0;
    }

    fn gone(&mut self, who: &str) -> Option<Words> {
        let session = self.sessions.get_mut(who)?;
        session.here = false;
        let will = session.will.take();
        if !session.kept {
            self.sessions.remove(who);
        }
        will
    }

    fn here(&self) -> usize {
        self.sessions.values().filter(|session| session.here).count()
    }
}

/// The appliance and its clients, beside their model.
struct World {
    appliance: Option<Appliance>,
    links: BTreeMap<&'static str, Link>,
    model: Model,
    said: u32,
    heard: u32,
    patience: Duration,
}

impl World {
    async fn begin(patience: Duration) -> Self {
        let appliance = Some(Appliance::start().await);
        let (links, model) = (BTreeMap::new(), Model::default());
        let mut world = Self { appliance, links, model, said: 0, heard: 0, patience };
        world.witness().await;
        world
    }

    async fn witness(&mut self) {
        self.connect(WITNESS, true, None).await;
        self.subscribe(WITNESS, "#", 2).await;
    }

    fn appliance(&self) -> &Appliance {
        self.appliance.as_ref().unwrap()
    }

    async fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Connect { who, clean, will } => self.connect(who, clean, will).await,
            Step::Subscribe { who, filter, qos } => {
                if !self.links.contains_key(who) {
                    self.connect(who, false, None).await;
                }
                self.subscribe(who, filter, qos).await;
            }
            Step::Unsubscribe { who, filter } => {
                if let Some(link) = self.links.get_mut(who) {
                    link.unsubscribe(filter).await;
                    self.model.unsubscribe(who, filter);
                }
            }
            Step::Publish { who, words } => self.publish(who, words).await,
            Step::Leave { who } => {
                if let Some(link) = self.links.remove(who) {
                    link.leave().await;
                    self.model.leave(who);
                    self.one_less().await;
                }
            }
            Step::Drop { who } => {
                if let Some(link) = self.links.remove(who) {
                    link.reset();
                    self.model.lose(who);
                    self.one_less().await;
                }
            }
            Step::Restart => {
                let appliance = self.appliance.take().unwrap();
                self.started(appliance.restart().await).await;
            }
            Step::Kill => {
                // the store writes in order: once this is stored, so is everything before it
                self.links.get_mut(WITNESS).unwrap().retain("$settle/kill", b"").await;
                let home = self.appliance.take().unwrap().kill9().await;
                self.started(home.start().await).await;
            }
        }
    }

    async fn connect(&mut self, who: &'static str, clean: bool, will: Option<Words>) {
        let will = will.map(|will| self.numbered(will));
        let mut connect = Connect::new(who);
        if !clean {
            connect = connect.persistent();
        }
        if let Some(Words { topic, text, qos, retain }) = &will {
            connect = connect.will(topic, text, *retain).will_qos(*qos);
        }
        let present = self.model.connect(who, clean, will);
        let (mut link, answer) = Link::connect(self.appliance().mqtt, &connect).await;
        assert_eq!(answer, Ok(present), "{who}");
        link.answer_all();
        if let Some(mut old) = self.links.insert(who, link) {
            old.closed().await;
        }
        if !clean && !present {
            self.subscribe(who, &format!("$settle/{who}"), 1).await;
        }
    }

    async fn subscribe(&mut self, who: &'static str, filter: &str, qos: u8) {
        let Some(link) = self.links.get_mut(who) else { return };
        assert_eq!(link.subscribe(filter, qos).await, qos, "{who}: {filter}"); // [MQTT-3.8.4-5]
        self.model.subscribe(who, filter, qos);
    }

    async fn publish(&mut self, who: &'static str, words: Words) {
        let words = self.numbered(words);
        let who = if self.links.contains_key(who) { who } else { WITNESS };
        let Words { topic, text, qos, retain } = &words;
        self.links.get_mut(who).unwrap().publish_at(topic, text.as_bytes(), *qos, *retain).await;
        self.model.publish(&words);
    }

    fn numbered(&mut self, words: Words) -> Words {
        self.said += 1;
        let text = if words.text.is_empty() { words.text } else { format!("{} {}", words.text, self.said) };
        Words { text, ..words }
    }

    /// The broker knows that a client has left.
    async fn one_less(&self) {
        let here = self.model.here() as f64;
        let known = async || (self.appliance().web().metric("dmx_broker_clients").await == here).then_some(());
        eventually("the broker to miss a client", known).await;
    }

    async fn started(&mut self, appliance: Appliance) {
        self.appliance = Some(appliance);
        self.links.clear();
        self.model.stop();
        self.witness().await;
    }

    /// Everybody receives what they should and nothing else; what waits for absent clients is stored.
    async fn settle(&mut self) {
        self.hear(WITNESS).await;
        for who in CLIENTS {
            self.hear(who).await;
        }
        let reached = std::mem::take(&mut self.model.reached_away);
        for who in &reached {
            // nothing shows of a message at QoS 0, but this one comes after it
            let words = Words { topic: format!("$settle/{who}"), text: "settled".into(), qos: 1, retain: false };
            self.publish(WITNESS, words).await;
        }
        self.model.reached_away.clear();
        if !reached.is_empty() {
            let letters = f64::from(self.model.letters);
            let stored = async || {
                (self.appliance().web().metric("dmx_broker_letters_stored_total").await == letters).then_some(())
            };
            eventually_within(self.patience, &format!("{letters} letters to be stored"), stored).await;
        }
    }

    async fn hear(&mut self, who: &'static str) {
        let Some(link) = self.links.get_mut(who) else { return };
        let due = std::mem::take(&mut self.model.sessions.get_mut(who).unwrap().due);
        let mut heard = Vec::new();
        let what = format!("{who} to hear {due:?}");
        eventually_within(self.patience, &what, async || {
            for message in link.messages().await.into_iter().filter(|message| !message.topic.starts_with("v1/")) {
                assert!(!message.dup, "{who}: all before was acknowledged: {message:?}");
                let text = message.text();
                heard.push(Words { topic: message.topic, text, qos: message.qos, retain: message.retain });
            }
            (heard.len() >= due.len()).then_some(())
        })
        .await;
        self.heard += due.len() as u32;
        assert_eq!(by_topic(heard), by_topic(due), "{who}: left is what it heard, right what it should");
        // the first answered ping has brought the last PUBREL, and this one brings the broker our PUBCOMP [MQTT-4.3.3-2]
        link.ping().await;
    }

    /// Everybody returns for what waits, and receives one last message behind whatever is left.
    async fn end(mut self) -> u32 {
        for who in CLIENTS {
            if !self.links.contains_key(who) {
                self.connect(who, false, None).await;
            }
            self.settle().await;
            self.subscribe(who, "end", 2).await;
        }
        let words = Words { topic: "end".into(), text: "end".into(), qos: 2, retain: false };
        self.publish(WITNESS, words).await;
        self.settle().await;
        self.heard
    }
}

/// Prints the script of a failed test, even if the test is ended from outside.
struct Script<'a>(&'a [Step]);

impl Drop for Script<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the script was {:#?}", self.0);
        }
    }
}

#[test]
fn the_broker_is_as_the_model_says() {
    let config = Config {
        cases: 12,
        failure_persistence: None, // a script is printed whole
        max_shrink_iters: 100,
        max_shrink_time: 60_000, // ms; below the patience of nextest
        ..Config::default()
    };
    let patience = Cell::new(PATIENCE);
    let mut runner = TestRunner::new(config);
    let result = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        let script = Script(&steps);
        let limit = patience.replace(LESS_PATIENCE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let heard = runtime.block_on(async {
            let mut world = World::begin(limit).await;
            for step in script.0 {
                world.take(step).await;
                world.settle().await;
            }
            world.end().await
        });
        println!("{} steps, {heard} messages heard", steps.len());
        patience.set(limit);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
