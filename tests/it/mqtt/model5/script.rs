//! What may happen in a script: steps of clients of all versions, as a seed makes them up.

use proptest::prelude::*;
use proptest::sample::select;

use crate::harness::five::{Property, property};

/// Those who play; each has one version for the whole script.
pub const CLIENTS: [&str; 4] = ["one", "two", "three", "four"];
/// Subscribes to everything but `$…`, so that a step is over when it has received it; publishes for those who are away.
pub const WITNESS: usize = CLIENTS.len();
/// Seconds after which a test cannot tell that something has gone.
pub const LONG: u32 = 1000;

/// 3.1, 3.1.1 and 5; with the highest bit a bridge.
const LEVELS: [u8; 7] = [3, 4, 5, 5, 5, 0x83, 0x84];
/// `$q/…` is hidden from the witness, so nobody may match it.
const TOPICS: [&str; 5] = ["a", "a/b", "b", "a/b/c", "$q/a"];
const FILTERS: [&str; 9] = ["a", "a/b", "b", "a/#", "+/b", "+", "#", "$q/a", "$q/#"];
const SHARED: [&str; 3] = ["$share/g/a/#", "$share/g/a/b", "$share/h/#"];

/// A whole script.
#[derive(Clone, Debug)]
pub struct Script {
    /// Protocol levels of the clients.
    pub levels: [u8; CLIENTS.len()],
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// Of a client that is connected already: a take-over.
    Connect {
        who: usize,
        join: Join,
    },
    /// Whoever is away returns for it, to a session to be kept.
    Subscribe {
        who: usize,
        filter: &'static str,
        wants: Wants,
    },
    Unsubscribe {
        who: usize,
        filter: &'static str,
    },
    /// All at once. `again`: what is at QoS 2 is sent a second time before it is released.
    Publish {
        who: usize,
        words: Vec<Words>,
        again: bool,
    },
    /// With DISCONNECT; a client of MQTT 5 may say that its will is to be published, and change the life of its session.
    Leave {
        who: usize,
        with_will: bool,
        expiry: Option<u32>,
    },
    /// Without.
    Drop {
        who: usize,
    },
    /// Answers messages otherwise from now on.
    Behave {
        who: usize,
        manner: Manner,
    },
    /// A second passes: what was published with that life, and the session that was left with it, are gone.
    Pass {
        leaves: usize,
        with_will: bool,
        words: Vec<Words>,
    },
    Restart,
    Kill,
}

/// How a client answers messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each, to the end of its handshake.
    Whole,
    /// Those at QoS 2 with PUBREC, and no more.
    Half,
    Nothing,
}

/// What a CONNECT says. Versions before 5 take of it what they know.
#[derive(Clone, Debug)]
pub struct Join {
    pub clean: bool,
    pub expiry: u32,
    /// Receive Maximum; 0: none given.
    pub window: u16,
    /// Topic Alias Maximum.
    pub aliases: u16,
    /// It takes no big messages.
    pub limited: bool,
    pub will: Option<(Words, u32)>,
    pub manner: Manner,
}

impl Join {
    /// To a session that is kept.
    pub fn plain() -> Self {
        let (window, aliases, limited) = (0, 0, false);
        Self { clean: false, expiry: LONG, window, aliases, limited, will: None, manner: Manner::Whole }
    }
}

/// What is wanted of a filter. Versions before 5 know the QoS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    pub qos: u8,
    /// 0: none.
    pub id: u32,
    pub no_local: bool,
    pub as_published: bool,
    /// 0: retained messages always, 1: if it is new, 2: never.
    pub handling: u8,
}

/// A message; its text gets a number when it is sent, unless it is empty.
#[derive(Clone, Debug)]
pub struct Words {
    pub topic: &'static str,
    pub text: &'static str,
    pub qos: u8,
    pub retain: bool,
    /// What travels with it, bit by bit.
    pub carries: u8,
    pub expires: bool,
    pub alias: bool,
}

/// Larger than any packet a limited client takes.
pub const BIG: &str = "big";

impl Words {
    /// Its properties that travel, in an order of their own.
    pub fn carried(&self) -> Vec<Property> {
        let all = [
            property::user("name", "value"),
            property::payload_format(1),
            property::content_type("text/plain"),
            property::response_topic("answer/here"),
            property::correlation_data(&[0, 1, 255][..]),
            property::user("name", "another"),
        ];
        all.into_iter()
            .enumerate()
            .filter(|(bit, _)| self.carries >> bit & 1 == 1)
            .map(|(_, property)| property)
            .collect()
    }
}

fn words() -> impl Strategy<Value = Words> {
    let text = prop_oneof![8 => Just("text"), 2 => Just(""), 1 => Just(BIG)];
    let carries = prop_oneof![2 => Just(0), 1 => 0..64_u8];
    let flags = (any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.6));
    (select(&TOPICS[..]), text, 0..3_u8, carries, flags).prop_map(
        |(topic, text, qos, carries, (retain, expires, alias))| Words {
            topic,
            text,
            qos,
            retain,
            carries,
            expires,
            alias,
        },
    )
}

/// A will comes after everything else, so the witness must see it.
fn will() -> impl Strategy<Value = (Words, u32)> {
    let words = words().prop_filter("hidden", |words| !words.topic.starts_with('$'));
    (words, prop_oneof![8 => Just(0), 6 => Just(LONG), 1 => Just(1)])
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![6 => Just(Manner::Whole), 1 => Just(Manner::Half), 2 => Just(Manner::Nothing)]
}

fn join() -> impl Strategy<Value = Join> {
    let expiry = select(&[0, LONG, u32::MAX, LONG][..]);
    let limits = (select(&[0, 1, 2, 3][..]), select(&[0, 1, 3][..]), prop::bool::weighted(0.2));
    (prop::bool::weighted(0.25), expiry, limits, prop::option::of(will()), manner()).prop_map(
        |(clean, expiry, (window, aliases, limited), will, manner)| Join {
            clean,
            expiry,
            window,
            aliases,
            limited,
            will,
            manner,
        },
    )
}

fn wants() -> impl Strategy<Value = Wants> {
    let handling = prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2)];
    (0..3_u8, 0..4_u32, prop::bool::weighted(0.3), prop::bool::weighted(0.4), handling)
        .prop_map(|(qos, id, no_local, as_published, handling)| Wants { qos, id, no_local, as_published, handling })
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..CLIENTS.len();
    let filter = || prop_oneof![4 => select(&FILTERS[..]), 1 => select(&SHARED[..])];
    let expiry = prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(LONG))];
    let some = |most| prop::collection::vec(words(), 1..most);
    prop_oneof![
        12 => (who(), join()).prop_map(|(who, join)| Step::Connect { who, join }),
        18 => (who(), filter(), wants()).prop_map(|(who, filter, wants)| Step::Subscribe { who, filter, wants }),
        4 => (who(), filter()).prop_map(|(who, filter)| Step::Unsubscribe { who, filter }),
        24 => (who(), some(6), any::<bool>()).prop_map(|(who, words, again)| Step::Publish { who, words, again }),
        4 => (who(), any::<bool>(), expiry)
            .prop_map(|(who, with_will, expiry)| Step::Leave { who, with_will, expiry }),
        6 => who().prop_map(|who| Step::Drop { who }),
        6 => (who(), manner()).prop_map(|(who, manner)| Step::Behave { who, manner }),
        1 => (who(), any::<bool>(), some(4))
            .prop_map(|(leaves, with_will, words)| Step::Pass { leaves, with_will, words }),
        2 => Just(Step::Restart),
        2 => Just(Step::Kill),
    ]
}

pub fn script() -> impl Strategy<Value = Script> {
    let level = || select(&LEVELS[..]);
    let levels = [level(), level(), level(), level()];
    (levels, prop::collection::vec(step(), 1..60)).prop_map(|(levels, steps)| Script { levels, steps })
}
