//! The state against a small model: one record per channel, computed anew at each step by the formulas of CONTRACT and LIGHT.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::StateUpdate;
use crate::dmx::{
    Act, Change, Channel, Command, Easing, Fixture, Frame, Intensity, KeptDesk, Kind, Now, Parameter, Patch, ProjectId,
    Publish, Rig, Source, State, UniverseId,
};

/// Universes and channels that scripts use: few, so that they collide. In universe 1 only channels 1 and 2 carry intensity. In
/// universe 2 a fixture with intensity of 16 bits, a shutter and pan of 16 bits has channels 1 to 5.
const UNIVERSES: u8 = 3;
const CHANNELS: u16 = 6;

#[derive(Clone, Debug)]
enum Step {
    Move {
        universe: u8,
        levels: Vec<(u16, u8)>,
        ms: u64,
        easing: Easing,
        scene: bool,
    },
    Master(u8),
    Blackout {
        on: bool,
        ms: u64,
    },
    StopFades,
    /// This many steps of the 44 Hz grid.
    Pass(u32),
    Replace(Vec<(u16, u8)>),
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    let levels =
        || prop::collection::btree_map(1..=CHANNELS, any::<u8>(), 1..6).prop_map(|all| all.into_iter().collect());
    let ms = || prop_oneof![Just(0), 1u64..60, 60u64..3_000];
    let easing = prop::sample::select(vec![Easing::Linear, Easing::SCurve, Easing::Expo]);
    let step = prop_oneof![
        6 => (0..UNIVERSES, levels(), ms(), easing, any::<bool>())
            .prop_map(|(universe, levels, ms, easing, scene)| {
                let easing = if scene { Easing::Linear } else { easing }; // as scenes are recalled
                Step::Move { universe, levels, ms, easing, scene }
            }),
        2 => any::<u8>().prop_map(Step::Master),
        2 => (any::<bool>(), ms()).prop_map(|(on, ms)| Step::Blackout { on, ms }),
        1 => Just(Step::StopFades),
        8 => (1u32..60).prop_map(Step::Pass),
        1 => levels().prop_map(Step::Replace),
    ];
    prop::collection::vec(step, 1..40)
}

/// A moving value: from, to, start, time, curve.
#[derive(Clone, Copy)]
struct Way(f64, f64, u64, u64, Easing);

impl Way {
    /// Its place at a time in microseconds; whole 16-bit steps, of which the last comes at the end.
    fn at(self, now: u64) -> f64 {
        let Self(from, to, start, over, easing) = self;
        if now >= start + over {
            return to;
        }
        // in seconds, as a quotient of other units may round to another side of a step
        let [since, over] = [now - start, over].map(|us| Duration::from_micros(us).as_secs_f64());
        let t = since / over;
        let done = match easing {
            Easing::Linear => t,
            Easing::SCurve => t.powi(2) * (3.0 - 2.0 * t),
            Easing::Expo if t == 0.0 => 0.0,
            Easing::Expo => 2f64.powf(10.0 * (t - 1.0)),
        };
        from + ((to - from) * done).trunc()
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    seen: u8,
    /// And the value shown when it began.
    way: Option<(Way, u8)>,
}

/// Two channels on their way as one value of 16 bits.
#[derive(Clone, Copy)]
struct Pair(u16, u16, Way);

const PATCHED: u8 = 2;
const PAIRS: [(u16, u16); 2] = [(1, 2), (4, 5)];
const SHUTTER: u16 = 3;

impl Pair {
    /// Its channels with their levels at a time.
    fn levels(&self, now: u64) -> [(u16, u8); 2] {
        let [high, low] = (self.2.at(now) as u16).to_be_bytes();
        [(self.0, high), (self.1, low)]
    }

    /// Its channels with the levels at both ends.
    fn ends(&self) -> [(u16, u8, u8); 2] {
        let [from, to] = [self.2.0, self.2.1].map(|end| (end as u16).to_be_bytes());
        [(self.0, from[0], to[0]), (self.1, from[1], to[1])]
    }
}

/// The patch of universe 2.
fn rig() -> Rig {
    let wide = |kind, coarse: u16| Parameter { places: vec![coarse, coarse + 1], ..Parameter::plain(kind, coarse) };
    let parameters = [wide(Kind::Intensity, 0), Parameter::plain(Kind::Shutter, SHUTTER - 1), wide(Kind::Pan, 3)];
    Rig::new(vec![Fixture {
        id: "head".parse().unwrap(),
        name: "Head".into(),
        universe: UniverseId::new(PATCHED).unwrap(),
        first: Channel::new(1).unwrap(),
        channels: 5,
        parameters: parameters.into(),
        groups: Vec::new(),
        topic: None,
    }])
}

struct Model {
    slots: BTreeMap<(u8, u16), Slot>,
    pairs: Vec<Pair>,
    master: u8,
    blackout: bool,
    left: f64,
    way: Option<Way>,
    scene: Option<Vec<(u8, u16)>>,
    seq: u64,
}

impl Model {
    fn slot(&mut self, universe: u8, channel: u16) -> &mut Slot {
        self.slots.entry((universe, channel)).or_default()
    }

    fn target(&self, at: (u8, u16)) -> u8 {
        let pair = self.pairs.iter().flat_map(Pair::ends).find(|(channel, ..)| (PATCHED, *channel) == at);
        if let Some((.., to)) = pair {
            return to;
        }
        let slot = self.slots.get(&at).copied().unwrap_or_default();
        slot.way.map_or(slot.seen, |(Way(_, to, ..), _)| (to / 257.0) as u8)
    }

    fn go(&mut self, universe: u8, levels: &[(u16, u8)], ms: u64, easing: Easing, scene: bool, now: u64) {
        self.seq += 1;
        if scene {
            self.scene = Some(levels.iter().map(|&(channel, _)| (universe, channel)).collect());
        } else if let Some(channels) = &self.scene {
            let elsewhere = |&(channel, to): &(u16, u8)| {
                channels.contains(&(universe, channel)) && self.target((universe, channel)) != to
            };
            if levels.iter().any(elsewhere) {
                self.scene = None;
            }
        }
        let together = self.pair_up(universe, levels, ms, easing, now);
        for &(channel, to) in levels.iter().filter(|(channel, _)| !together.contains(channel)) {
            let ms = if (universe, channel) == (PATCHED, SHUTTER) { 0 } else { ms };
            let slot = self.slot(universe, channel);
            let from = slot.way.map_or(f64::from(slot.seen) * 257.0, |(way, _)| way.at(now));
            slot.way = None;
            if ms == 0 {
                slot.seen = to;
            } else if to != slot.seen {
                slot.way = Some((Way(from, f64::from(to) * 257.0, now, ms * 1000, easing), slot.seen));
            }
        }
    }

    /// Takes these channels out of pairs, and makes pairs of those that go together; gives them.
    fn pair_up(&mut self, universe: u8, levels: &[(u16, u8)], ms: u64, easing: Easing, now: u64) -> Vec<u16> {
        let mut together = Vec::new();
        if universe != PATCHED {
            return together;
        }
        let named = |channel: u16| levels.iter().find(|(named, _)| *named == channel).map(|(_, to)| *to);
        for pair in std::mem::take(&mut self.pairs) {
            if named(pair.0).or(named(pair.1)).is_none() {
                self.pairs.push(pair);
                continue;
            }
            let Way(.., start, over, easing) = pair.2;
            for (channel, from, to) in pair.ends() {
                let seen = self.slot(universe, channel).seen;
                let from = f64::from(if channel == pair.0 { from } else { seen }) * 257.0;
                // one that is named begins where it is, another one goes on
                self.slot(universe, channel).way = match named(channel) {
                    Some(_) => Some((Way(f64::from(seen) * 257.0, f64::from(seen) * 257.0, now, 0, easing), seen)),
                    None => (seen != to).then_some((Way(from, f64::from(to) * 257.0, start, over, easing), seen)),
                };
            }
        }
        for (coarse, fine) in PAIRS.into_iter().filter(|_| ms > 0) {
            let (Some(high), Some(low)) = (named(coarse), named(fine)) else { continue };
            together.extend([coarse, fine]);
            let [from, to] = [[coarse, fine].map(|channel| self.slot(universe, channel).seen), [high, low]]
                .map(|[high, low]| f64::from(high) * 256.0 + f64::from(low));
            [coarse, fine].into_iter().for_each(|channel| self.slot(universe, channel).way = None);
            if from != to {
                self.pairs.push(Pair(coarse, fine, Way(from, to, now, ms * 1000, easing)));
            }
        }
        together
    }

    fn pass(&mut self, now: u64) {
        let mut moved = false;
        for pair in self.pairs.clone() {
            for (channel, level) in pair.levels(now) {
                moved |= std::mem::replace(&mut self.slot(PATCHED, channel).seen, level) != level;
            }
        }
        self.pairs.retain(|Pair(_, _, way)| now < way.2 + way.3);
        for slot in self.slots.values_mut() {
            let Some((way, began)) = slot.way else { continue };
            let level = way.at(now) / 257.0;
            let level = if way.1 > f64::from(began) * 257.0 { level.floor() as u8 } else { level.ceil() as u8 };
            let level = if way.1 > f64::from(began) * 257.0 { level.max(began) } else { level.min(began) };
            moved |= std::mem::replace(&mut slot.seen, level) != level;
            if now >= way.2 + way.3 {
                slot.way = None;
            }
        }
        if let Some(way) = self.way {
            moved |= std::mem::replace(&mut self.left, way.at(now)) != self.left;
            if now >= way.2 + way.3 {
                self.way = None;
            }
        }
        self.seq += u64::from(moved);
    }

    fn black_out(&mut self, on: bool, ms: u64, now: u64) {
        self.seq += 1;
        self.left = self.way.map_or(self.left, |way| way.at(now));
        let end = if on { 0.0 } else { 65_535.0 };
        self.blackout = on;
        self.way = (ms > 0 && self.left != end).then_some(Way(self.left, end, now, ms * 1000, Easing::Linear));
        if self.way.is_none() {
            self.left = end;
        }
    }

    fn stop(&mut self) {
        let mut stopped: Vec<_> = self.slots.iter().filter(|(_, slot)| slot.way.is_some()).map(|(&at, _)| at).collect();
        stopped.extend(self.pairs.drain(..).flat_map(|Pair(coarse, fine, _)| [(PATCHED, coarse), (PATCHED, fine)]));
        if stopped.is_empty() {
            return;
        }
        self.seq += 1;
        if self.scene.as_ref().is_some_and(|channels| channels.iter().any(|at| stopped.contains(at))) {
            self.scene = None;
        }
        self.slots.values_mut().for_each(|slot| slot.way = None);
    }

    fn light(&self, universe: u8, channel: u16) -> u8 {
        let level = self.slots.get(&(universe, channel)).map_or(0, |slot| slot.seen);
        let seen = |channel| self.slots.get(&(universe, channel)).map_or(0, |slot: &Slot| slot.seen);
        match (universe, channel) {
            (1, 3..) | (PATCHED, 3..=5) => return level,
            (PATCHED, 1 | 2) => {
                let value = f64::from(seen(1)) * 256.0 + f64::from(seen(2));
                let [high, low] =
                    ((value * f64::from(self.master) / 255.0 * self.left / 65_535.0).round() as u16).to_be_bytes();
                return if channel == 1 { high } else { low };
            }
            _ => {}
        }
        (f64::from(level) * f64::from(self.master) / 255.0 * self.left / 65_535.0).round() as u8
    }
}

fn patch(universe: u8, levels: &[(u16, u8)]) -> Patch {
    let levels = levels.iter().map(|&(channel, level)| (Channel::new(channel).unwrap(), level)).collect();
    Patch { universe: UniverseId::new(universe).unwrap(), levels }
}

fn command(n: usize, patch: Patch, ms: u64, easing: Easing, scene: bool) -> Command {
    let (id, over) = (ulid::Ulid::from(n as u128), Duration::from_millis(ms));
    let act = if scene {
        let project = ProjectId::default_project();
        Act::Recall { scene: id.into(), project, rig: rig(), levels: vec![patch], whole: true, over }
    } else {
        Act::levels(patch, over, easing)
    };
    Command { id: id.into(), source: "t".parse().unwrap(), by: None, act }
}

/// What a client knows that only receives deltas.
fn hear(picture: &mut BTreeMap<(u8, u16), u8>, change: &Change, state: &State) {
    for update in StateUpdate::of(change, state) {
        if update.full {
            picture.retain(|(universe, _), _| *universe != update.universe);
        }
        for level in update.delta {
            picture.insert((update.universe, level.ch), level.val);
        }
    }
}

proptest! {
    #[test]
    fn frames_desk_and_numbers_are_those_of_the_model(script in script()) {
        let one = UniverseId::new(1).unwrap();
        let intensity = Intensity::only([(one, "1-2".parse().unwrap())]);
        let mut state = State::restore(0, 0, Source::init(), []).under(KeptDesk::default(), intensity);
        state.take_rig(rig(), Now::default());
        let mut model = Model {
            slots: BTreeMap::new(), pairs: Vec::new(), master: 255, blackout: false, left: 65_535.0, way: None, scene: None, seq: 0,
        };
        let (mut tick, mut picture) = (0u64, BTreeMap::new());
        // Commands come between two steps of the grid.
        let at = |tick: u64, between: bool| tick * 1_000_000 / 44 + u64::from(between) * 7_000;
        let time = |us: u64| Now { ms: us / 1000, at: Duration::from_micros(us) };
        for (n, step) in script.into_iter().enumerate() {
            let now = at(tick, true);
            let lamp = state.lamp_light();
            let changes: Vec<Change> = match step {
                Step::Move { universe, levels, ms, easing, scene } => {
                    model.go(universe, &levels, ms, easing, scene, now);
                    vec![state.apply(&command(n, patch(universe, &levels), ms, easing, scene), time(now))]
                }
                Step::Master(level) => {
                    (model.master, model.seq) = (level, model.seq + 1);
                    vec![state.set_master(level, time(now))]
                }
                Step::Blackout { on, ms } => {
                    model.black_out(on, ms, now);
                    vec![state.black_out(on, Duration::from_millis(ms), time(now))]
                }
                Step::StopFades => {
                    model.stop();
                    state.stop_fades(time(now)).into_iter().map(|(change, _)| change).collect()
                }
                Step::Replace(levels) => {
                    model.slots.clear();
                    model.pairs.clear();
                    model.seq += 1;
                    model.scene = None;
                    for &(channel, level) in &levels {
                        model.slot(0, channel).seen = level;
                    }
                    let mut frame = Frame::DARK;
                    frame.set(&patch(0, &levels).levels);
                    let rig = state.rig().clone();
                    vec![state.replace([(UniverseId::LAMP, frame)], None, rig, time(now))]
                }
                Step::Pass(steps) => {
                    let mut changes = Vec::new();
                    for _ in 0..steps {
                        tick += 1;
                        model.pass(at(tick, false));
                        changes.extend(state.step(time(at(tick, false))));
                    }
                    changes
                }
            };
            for change in &changes {
                hear(&mut picture, change, &state);
            }
            let told = changes.iter().any(|change| change.lamp > Publish::No);
            prop_assert!(told || state.lamp_light() == lamp, "another light of the lamp is told");
            prop_assert_eq!(state.seq, model.seq);
            prop_assert_eq!(state.desk().kept().master, model.master);
            prop_assert_eq!(state.desk().kept().blackout, model.blackout);
            prop_assert_eq!(state.desk().kept().scene.is_some(), model.scene.is_some());
            prop_assert_eq!(state.is_moving(), model.way.is_some() || !model.pairs.is_empty() || model.slots.values().any(|slot| slot.way.is_some()));
            for universe in 0..UNIVERSES {
                let id = UniverseId::new(universe).unwrap();
                let light = state.light(id);
                for number in 1..=CHANNELS {
                    let channel = Channel::new(number).unwrap();
                    let level = state.frame(id).map_or(0, |frame| frame.get(channel));
                    let expected = model.slots.get(&(universe, number)).map_or(0, |slot| slot.seen);
                    prop_assert_eq!(level, expected, "{} of {}, step {}", number, universe, n);
                    prop_assert_eq!(light.get(channel), model.light(universe, number));
                    prop_assert_eq!(picture.get(&(universe, number)).copied().unwrap_or(0), level, "deltas add up");
                }
            }
        }
        // Whatever moves arrives where a copy that skips the way is at once.
        let settled = state.settled();
        while state.is_moving() {
            tick += 1;
            model.pass(at(tick, false));
            let lamp = state.lamp_light();
            let change = state.step(time(at(tick, false)));
            prop_assert_eq!(change.is_some_and(|change| change.lamp > Publish::No), state.lamp_light() != lamp);
        }
        for (id, frame) in state.universes() {
            prop_assert_eq!(settled.frame(id), Some(frame));
        }
        prop_assert_eq!(state.seq, model.seq);
        for (&(universe, number), slot) in &model.slots {
            let level = state.frame(UniverseId::new(universe).unwrap()).map_or(0, |frame| frame.get(Channel::new(number).unwrap()));
            prop_assert_eq!(level, slot.seen);
        }
    }
}
