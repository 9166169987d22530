//! The appliance and its clients, beside their model: plays a script and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::client::Client;
use super::due::{Life, Said};
use super::expected::{Joined, Model, Reach};
use super::script::{BIG, CLIENTS, Join, LONG, Manner, Script, Step, WITNESS, Wants, Words};
use crate::harness::five::{Connect5, Message5, property};
use crate::harness::{Appliance, eventually, eventually_within};

/// Bytes of the largest packet that a limited client takes; with all its properties any message but a big one fits.
const LIMIT: u32 = 300;
/// How many messages dmxd leaves unanswered with a client that names no Receive Maximum.
const WINDOW: usize = 100;
/// What a message was published with that lasts a second, to see when that is over.
const PROBE: &str = "$settle/probe";

pub struct World {
    appliance: Option<Appliance>,
    levels: Vec<u8>,
    clients: BTreeMap<usize, Client>,
    /// What clients that are away have answered with PUBREC only.
    received: BTreeMap<usize, BTreeSet<u16>>,
    model: Model,
    said: u32,
    heard: u32,
    patience: Duration,
}

fn name(who: usize) -> &'static str {
    CLIENTS.get(who).copied().unwrap_or("witness")
}

impl World {
    /// Plays a whole script; gives how many messages were received.
    pub async fn play(script: &Script, patience: Duration) -> u32 {
        let levels = script.levels.iter().copied().chain([5]).collect();
        let (clients, received, model) = Default::default();
        let appliance = Some(Appliance::start().await);
        let mut world = Self { appliance, levels, clients, received, model, said: 0, heard: 0, patience };
        world.witness().await;
        for step in &script.steps {
            Box::pin(world.take(step)).await; // a debug build has it all on the stack
            world.settle().await;
        }
        Box::pin(world.end()).await
    }

    async fn witness(&mut self) {
        self.connect(WITNESS, &Join { clean: true, expiry: 0, ..Join::plain() }).await;
        let wants = Wants { qos: 2, id: 7, no_local: false, as_published: true, handling: 2 };
        self.subscribe(WITNESS, "#", wants).await;
    }

    fn appliance(&self) -> &Appliance {
        self.appliance.as_ref().unwrap()
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Connect { who, join } => self.connect(*who, join).await,
            Step::Subscribe { who, filter, wants } => self.subscribes(*who, filter, *wants).await,
            Step::Unsubscribe { who, filter } => self.unsubscribe(*who, filter).await,
            Step::Publish { who, words, again } => self.publish(*who, words, *again, LONG).await,
            Step::Leave { who, with_will, expiry } => self.leave(*who, *with_will, *expiry).await,
            Step::Drop { who } => self.lose(*who).await,
            Step::Behave { who, manner } => self.behave(*who, *manner).await,
            Step::Pass { leaves, with_will, words } => self.pass(*leaves, *with_will, words).await,
            Step::Restart => {
                let appliance = self.appliance.take().unwrap();
                let appliance = appliance.restart().await;
                self.started(appliance, false).await;
            }
            Step::Kill => {
                // the store writes in order: once this is stored, so is everything before it
                let marker = Message5::new("$settle/kill", "").retained();
                self.clients.get_mut(&WITNESS).unwrap().publish(vec![(marker, false)], false).await;
                let home = self.appliance.take().unwrap().kill9().await;
                self.started(home.start().await, true).await;
            }
        }
    }

    async fn started(&mut self, appliance: Appliance, killed: bool) {
        self.appliance = Some(appliance);
        for (who, client) in std::mem::take(&mut self.clients) {
            self.received.insert(who, client.received);
        }
        self.model.stop(killed);
        self.witness().await;
    }

    async fn connect(&mut self, who: usize, join: &Join) {
        let (level, now) = (self.levels[who], Instant::now());
        let is_five = level == 5;
        let will = join.will.as_ref();
        let will = will.map(|(words, delay)| (self.said(who, words, LONG), if is_five { *delay } else { 0 }));
        let expiry = if is_five { join.expiry } else { if join.clean { 0 } else { u32::MAX } };
        let window = if is_five && join.window > 0 { join.window.into() } else { WINDOW };
        let limited = is_five && join.limited;
        let mut connect = Connect5 { clean: join.clean, ..Connect5::new(name(who)) };
        connect.properties = [
            (expiry > 0).then(|| property::session_expiry(expiry)),
            (join.window > 0).then(|| property::receive_maximum(join.window)),
            (join.aliases > 0).then(|| property::topic_alias_maximum(join.aliases)),
            limited.then(|| property::maximum_packet(LIMIT)),
        ]
        .into_iter()
        .flatten()
        .filter(|_| is_five)
        .collect();
        connect.will = will.as_ref().map(|(said, delay)| match delay {
            0 => said.message(),
            delay => said.message().with(property::will_delay(*delay)),
        });
        let joined = Joined { level, clean: join.clean, expiry, window, limited, will };
        let present = self.model.connect(who, joined, now);
        let mut old = self.clients.remove(&who);
        let received = self.received.remove(&who).or(old.as_mut().map(|old| std::mem::take(&mut old.received)));
        let received = received.filter(|_| present).unwrap_or_default();
        let manner = if self.model.shares(who).is_some() { Manner::Whole } else { join.manner };
        let broker = (self.appliance().mqtt, self.patience);
        let (client, was_present) = Client::connect(broker, level, &connect, (manner, received)).await;
        assert_eq!(was_present, present && level & 0x7f != 3, "{}: session present", name(who)); // 3.1 cannot say it
        self.clients.insert(who, client);
        if let Some(mut old) = old {
            assert_eq!(old.closed().await, is_five.then_some(0x8E), "{}: taken over", name(who));
        }
    }

    async fn subscribes(&mut self, who: usize, filter: &str, wants: Wants) {
        let is_shared = filter.starts_with("$share");
        let shared = self.model.shares(who);
        let others = if is_shared { self.model.has_filters(who) } else { shared.is_some() } && shared != Some(filter);
        if others || (is_shared && self.levels[who] & 0x80 != 0) {
            // It could not be known which subscription a message is for, and a kill takes copies for a group from a session
            // that gets the same messages by others. No bridge shares.
            return;
        }
        if self.clients.contains_key(&who) {
            self.behave(who, Manner::Whole).await;
        } else {
            self.connect(who, &Join::plain()).await;
        }
        self.settle().await;
        self.subscribe(who, filter, Wants { no_local: wants.no_local && !is_shared, ..wants }).await; // [MQTT-3.8.3-4]
    }

    async fn subscribe(&mut self, who: usize, filter: &str, wants: Wants) {
        self.model.subscribe(who, filter, wants, Instant::now());
        let code = self.clients.get_mut(&who).unwrap().subscribe(filter, wants).await;
        assert_eq!(code, wants.qos, "{}: {filter}", name(who));
    }

    async fn unsubscribe(&mut self, who: usize, filter: &str) {
        if !self.clients.contains_key(&who) {
            return;
        }
        self.behave(who, Manner::Whole).await;
        self.settle().await;
        let was = self.model.unsubscribe(who, filter);
        let codes = self.clients.get_mut(&who).unwrap().unsubscribe(filter).await;
        let code = if was { 0 } else { 0x11 };
        assert_eq!(codes, if self.levels[who] == 5 { vec![code] } else { vec![] }, "{}: {filter}", name(who));
    }

    fn said(&mut self, from: usize, words: &Words, seconds: u32) -> Said {
        self.said += 1;
        let number = self.said;
        let text = match words.text {
            "" => String::new(),
            BIG => format!("{BIG} {number} {:.<300}", ""),
            text => format!("{text} {number}"),
        };
        let is_five = self.levels[from] == 5;
        let life = Life { seconds, earliest: Instant::now(), latest: None, run: self.model.run };
        let carried = if is_five { words.carried() } else { Vec::new() };
        let life = (is_five && (words.expires || seconds < LONG)).then_some(life);
        Said {
            from,
            run: self.model.run,
            topic: words.topic,
            text,
            qos: words.qos,
            retain: words.retain,
            carried,
            life,
        }
    }

    async fn publish(&mut self, who: usize, words: &[Words], again: bool, seconds: u32) {
        let who = if self.clients.contains_key(&who) { who } else { WITNESS };
        let (mut messages, mut expected) = (Vec::new(), Vec::new());
        for words in words {
            let said = self.said(who, words, seconds);
            let reach = self.model.publish(&said, Instant::now());
            messages.push((said.message(), words.alias));
            expected.push((reach, words.qos > 0 && self.levels[who] == 5, words.retain));
        }
        let codes = self.clients.get_mut(&who).unwrap().publish(messages, again).await;
        for (at, (code, (reach, has_code, retain))) in codes.into_iter().zip(expected).enumerate() {
            let right = match (code, reach) {
                (None, _) => !has_code,
                (Some(0), reach) => has_code && (reach != Reach::Nobody || retain),
                (Some(0x10), reach) => has_code && reach != Reach::Somebody,
                _ => false,
            };
            assert!(right, "{}: {code:?} for {:?}, which reached {reach:?}", name(who), words[at]);
        }
    }

    async fn leave(&mut self, who: usize, with_will: bool, expiry: Option<u32>) {
        let Some(mut client) = self.clients.remove(&who) else { return };
        let is_five = self.levels[who] == 5;
        let with_will = with_will && is_five;
        let expiry = expiry.filter(|_| is_five && self.model.is_kept(who)); // [MQTT-3.14.2-2]
        self.model.leave(who, with_will, expiry, Instant::now());
        self.received.insert(who, std::mem::take(&mut client.received));
        client.leave(with_will, expiry).await;
        self.one_less().await;
    }

    async fn lose(&mut self, who: usize) {
        let Some(mut client) = self.clients.remove(&who) else { return };
        client.ping().await; // what it has answered has arrived
        self.received.insert(who, std::mem::take(&mut client.received));
        self.model.lose(who, Instant::now());
        client.reset();
        self.one_less().await;
    }

    /// The broker knows that a client has left.
    async fn one_less(&self) {
        let here = self.model.here() as f64;
        let known = async || (self.appliance().web().metric("dmx_broker_clients").await == here).then_some(());
        eventually("the broker to miss a client", known).await;
    }

    async fn behave(&mut self, who: usize, manner: Manner) {
        let Some(client) = self.clients.get_mut(&who) else { return };
        if manner != Manner::Whole && self.model.shares(who).is_some() {
            return; // it cannot be known which messages of a group wait for it
        }
        client.behave(manner).await;
        if manner != Manner::Nothing {
            self.model.answered(who);
        }
    }

    async fn pass(&mut self, leaves: usize, with_will: bool, words: &[Words]) {
        for who in 0..CLIENTS.len() {
            self.behave(who, Manner::Whole).await;
        }
        self.settle().await;
        if self.levels[leaves] == 5 && self.model.is_kept(leaves) {
            self.leave(leaves, with_will, Some(1)).await;
        }
        self.publish(WITNESS, words, false, 1).await;
        self.settle().await;
        let witness = self.clients.get_mut(&WITNESS).unwrap();
        let probe = Message5::new(PROBE, "probe").retained().with(property::message_expiry(1));
        witness.publish(vec![(probe, false)], false).await;
        let wants = Wants { qos: 0, id: 0, no_local: false, as_published: false, handling: 0 };
        eventually("a second to pass", async || {
            witness.subscribe(PROBE, wants).await;
            witness.ping().await;
            let before = witness.held.len();
            witness.held.retain(|heard| heard.message.topic != PROBE);
            (witness.held.len() == before).then_some(())
        })
        .await;
        self.model.end_sessions(Instant::now());
        for who in 0..=WITNESS {
            self.listen(who).await;
        }
        self.model.forget_short();
    }

    /// Everybody receives what they should and nothing else.
    async fn settle(&mut self) {
        for who in 0..=WITNESS {
            self.hear(who).await;
        }
        if !self.model.groups_have_all(false) {
            let all = self.patience;
            eventually_within(all, &format!("a member of each group to hear: {:?}", self.model), async || {
                for who in 0..=WITNESS {
                    self.listen(who).await;
                }
                self.model.groups_have_all(false).then_some(())
            })
            .await;
        }
        self.model.settled(Instant::now());
    }

    async fn hear(&mut self, who: usize) {
        let what = format!("{} to hear {:?}", name(who), self.model.missing());
        eventually_within(self.patience, &what, async || {
            self.listen(who).await;
            let Some(client) = self.clients.get(&who) else { return Some(()) };
            let is_whole = client.manner != Manner::Whole || client.received.is_empty();
            let all = self.model.has_all(who, client.unanswered()) && client.is_released() && is_whole;
            all.then_some(())
        })
        .await;
        // the first answered ping has brought the last PUBREL, and this one brings the broker our PUBCOMP [MQTT-4.3.3-2]
        self.listen(who).await;
    }

    /// Tells the model what has come.
    async fn listen(&mut self, who: usize) {
        let Some(client) = self.clients.get_mut(&who) else { return };
        client.ping().await;
        for heard in client.held.drain(..) {
            if let Err(error) = self.model.hear(who, &heard) {
                panic!("{}: {error}", name(who));
            }
            self.heard += 1;
        }
    }

    /// Everybody returns for what waits, and receives one last message behind whatever is left.
    async fn end(mut self) -> u32 {
        for who in 0..CLIENTS.len() {
            if self.clients.contains_key(&who) {
                self.behave(who, Manner::Whole).await;
            } else {
                self.connect(who, &Join::plain()).await;
            }
            self.settle().await;
        }
        assert!(self.model.groups_have_all(true), "a group never got something: {:?}", self.model);
        let wants = Wants { qos: 2, id: 0, no_local: false, as_published: false, handling: 2 };
        for who in 0..CLIENTS.len() {
            self.subscribe(who, "end", wants).await;
        }
        let words =
            Words { topic: "end", text: "end", qos: 2, retain: false, carries: 0, expires: false, alias: false };
        self.publish(WITNESS, &[words], false, LONG).await;
        self.settle().await;
        self.heard
    }
}
