//! The one canonical state and the pure step from one to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, Intensity, KeptDesk};
use super::fade::{Channels, Course, Fade, Fades, KeptFade, Targets};
use super::flash::Flashes;
use super::wide::value;
use super::{
    Act, Channel, ChannelSet, Command, FixtureId, Frame, Levels, Patch, Rgb, Rig, SceneId, Source, UniverseId,
};

/// Every level of every known universe, what stands over them, and which change made them so.
///
/// Cheap to clone: frames and fades are shared until one of them changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of the last published change; counted by the appliance alone, and never repeated.
    pub seq: u64,
    /// When that change was made, Unix milliseconds by the server's clock; may go back.
    pub ts: u64,
    /// Who sent the command behind it.
    pub updated_by: Source,
    universes: BTreeMap<UniverseId, Arc<Frame>>,
    fades: Fades,
    desk: Desk,
    rig: Rig,
    flashes: Flashes,
}

/// The time of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The server's clock, Unix milliseconds; may go back.
    pub ms: u64,
    /// Time since some fixed moment; never goes back.
    pub at: Duration,
}

/// One published change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new `seq`.
    pub seq: u64,
    /// The new `ts`.
    pub ts: u64,
    /// What it changed.
    pub what: What,
    /// Whether the lamp's state has to be published.
    pub lamp: Publish,
    /// Whether the desk changed.
    pub desk: bool,
}

/// What a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// By universe, the levels that changed; a universe that was commanded to what it shows already has none.
    Levels(Vec<(UniverseId, Levels)>),
    /// Another project, or other light for this one: everything is new.
    Whole {
        /// Universes that were known before and no longer are.
        gone: Vec<UniverseId>,
    },
}

/// Whether the lamp's state has to be published, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Publish {
    /// No: it is as it was.
    No,
    /// Soon: it is moving, and a later change may bring more.
    Later,
    /// At once.
    Now,
}

impl Change {
    /// Whether the lamp's state has to be published, now or with a later change.
    #[must_use]
    pub fn concerns_lamp(&self) -> bool {
        self.lamp > Publish::No
    }
}

impl Default for State {
    /// A first start: universe 0 known and dark.
    fn default() -> Self {
        Self::restore(0, 0, Source::init(), [])
    }
}

impl State {
    /// A state as it was stored, under an open desk.
    pub fn restore(
        seq: u64,
        ts: u64,
        updated_by: Source,
        frames: impl IntoIterator<Item = (UniverseId, Frame)>,
    ) -> Self {
        let desk = Desk::new(KeptDesk::default(), Intensity::default());
        Self {
            seq,
            ts,
            updated_by,
            universes: universes(frames),
            fades: Fades::default(),
            desk,
            rig: Rig::default(),
            flashes: Flashes::default(),
        }
    }

    /// The same without universes from this one on.
    #[must_use]
    pub fn within(mut self, universes: u8) -> Self {
        self.universes.retain(|id, _| id.index() < universes);
        self
    }

    /// The same with universes that it does not know.
    #[must_use]
    pub fn beside(mut self, others: impl IntoIterator<Item = (UniverseId, Frame)>) -> Self {
        for (id, frame) in others {
            self.universes.entry(id).or_insert_with(|| Arc::new(frame));
        }
        self
    }

    /// The same under another desk.
    #[must_use]
    pub fn under(self, desk: KeptDesk, intensity: Intensity) -> Self {
        Self { desk: Desk::new(desk, intensity), ..self }
    }

    /// The same over other fixtures.
    #[must_use]
    pub fn rigged(self, rig: Rig) -> Self {
        Self { rig, ..self }
    }

    /// The same with fades that were running at `at`: levels are where they were then, not where they were going.
    #[must_use]
    pub fn resuming(mut self, kept: Vec<KeptFade>, at: Duration) -> Self {
        let universes = &self.universes;
        self.fades = Fades::resume(kept, at, |universe, channel| Some(universes.get(&universe)?.get(channel)));
        let to = |universe, channel| universes.get(&universe).map_or(0, |frame: &Arc<Frame>| frame.get(channel));
        for (universe, channel, level) in self.fades.step(at, to) {
            if let Some(frame) = self.universes.get_mut(&universe) {
                Arc::make_mut(frame).set(&[(channel, level)]);
            }
        }
        self
    }

    /// The fades that a power cut must not jump to their end.
    #[must_use]
    pub fn kept_fades(&self) -> Vec<KeptFade> {
        self.fades.kept()
    }

    /// Whether the same fades run as in a clone made earlier.
    #[must_use]
    pub fn fades_as(&self, clone: &Self) -> bool {
        self.fades.are_same(&clone.fades)
    }

    /// Applies a command that is not a duplicate: levels or a fade to them, `seq` + 1, the new time and source.
    pub fn apply(&mut self, command: &Command, now: Now) -> Change {
        let patches = command.patches();
        let channels: Channels = patches.iter().fold(Channels::new(), |mut all, patch| {
            let set: ChannelSet = patch.levels.iter().map(|&(channel, _)| channel).collect();
            all.entry(patch.universe).or_insert(ChannelSet::NONE).add_all(&set);
            all
        });
        let desk_before = (self.desk.scene.clone(), self.fades.clone());
        let keeps_scene = match &command.act {
            Act::Recall { scene, whole: true, .. } => {
                self.desk.recall(Some(scene.clone()), channels.clone());
                true
            }
            Act::Set(_) | Act::Fade { .. } | Act::Fixtures { .. } | Act::Recall { .. } => self.keeps_scene(patches),
            Act::Save(look) => !self.is_in_effect(&look.id) || self.is_at(&look.patches()),
        };
        if !keeps_scene {
            self.desk.recall(None, Channels::new());
        }
        let universes = &self.universes;
        let seen = |universe, channel| universes.get(&universe).map_or(0, |frame| frame.get(channel));
        let released = self.fades.release(&channels, now.at, seen);
        let (over, easing) = command.way();
        let course = Course { start: now.at, over, easing };
        let mut fade = Fade::new(command.id.clone(), command.source.clone(), now.ms, course);
        let mut deltas: Vec<(UniverseId, Levels)> = Vec::new();
        for patch in patches {
            let frame = self.universes.entry(patch.universe).or_insert_with(|| Arc::new(Frame::DARK));
            let delta = if over.is_zero() {
                Arc::make_mut(frame).set(&patch.levels)
            } else {
                let layout = self.rig.layout(patch.universe);
                let jumps = |&(channel, _): &(Channel, u8)| layout.is_some_and(|layout| layout.snaps.has(channel));
                let (jumps, goes): (Levels, Vec<_>) = patch.levels.iter().copied().partition(jumps);
                let mut goes: BTreeMap<Channel, u8> = goes.into_iter().collect();
                for wide in layout.into_iter().flat_map(|layout| &layout.wides) {
                    let to: Option<Vec<u8>> = wide.iter().map(|channel| goes.get(channel).copied()).collect();
                    let Some(to) = to else { continue };
                    let from = wide.iter().map(|&channel| frame.get(channel));
                    fade.take_wide(patch.universe, wide, value(from), value(to));
                    wide.iter().for_each(|channel| _ = goes.remove(channel));
                }
                for (channel, to) in goes {
                    let released = released.get(&(patch.universe, channel));
                    fade.take(patch.universe, channel, frame.get(channel), released, to);
                }
                Arc::make_mut(frame).set(&jumps)
            };
            deltas.push((patch.universe, delta));
        }
        self.fades.begin(fade);
        self.updated_by = command.source.clone();
        let lamp = if patches.iter().any(|patch| patch.touches_lamp()) { Publish::Now } else { Publish::No };
        let desk = desk_before != (self.desk.scene.clone(), self.fades.clone());
        self.changed(What::Levels(deltas), lamp, desk, now.ms)
    }

    fn is_in_effect(&self, scene: &SceneId) -> bool {
        self.desk.scene.as_ref().is_some_and(|effect| effect.scene == *scene)
    }

    /// Whether the scene in effect stays in effect: none of its channels goes elsewhere.
    fn keeps_scene(&self, patches: &[Patch]) -> bool {
        let Some(scene) = &self.desk.scene else { return true };
        let targets = self.fades.targets();
        patches.iter().all(|patch| {
            let Some(channels) = scene.channels.get(&patch.universe) else { return true };
            let same = |&(channel, to): &(Channel, u8)| self.target(&targets, patch.universe, channel) == to;
            patch.levels.iter().filter(|(channel, _)| channels.has(*channel)).all(same)
        })
    }

    /// Whether all these levels are reached, or on their way.
    #[must_use]
    pub fn is_at(&self, patches: &[Patch]) -> bool {
        let targets = self.fades.targets();
        patches
            .iter()
            .all(|patch| patch.levels.iter().all(|&(channel, to)| self.target(&targets, patch.universe, channel) == to))
    }

    /// Where a channel is going, or is.
    fn target(&self, targets: &Targets, universe: UniverseId, channel: Channel) -> u8 {
        let here = || self.frame(universe).map_or(0, |frame| frame.get(channel));
        targets.get(&universe).and_then(|levels| levels.get(&channel)).copied().unwrap_or_else(here)
    }

    /// Moves whatever is on its way; nothing when no level moved.
    pub fn step(&mut self, now: Now) -> Option<Change> {
        let fades = self.fades.len();
        let universes = &self.universes;
        let seen = |universe, channel| universes.get(&universe).map_or(0, |frame| frame.get(channel));
        let moved = self.fades.step(now.at, seen);
        let desk = fades != self.fades.len();
        let light = self.lamp_light();
        let dimmed = self.desk.step(now.at) | self.flashes.step(now.at);
        if moved.is_empty() && !dimmed && !desk {
            return None;
        }
        let mut by_universe: BTreeMap<UniverseId, Levels> = BTreeMap::new();
        for (universe, channel, level) in moved {
            by_universe.entry(universe).or_default().push((channel, level));
        }
        for (universe, levels) in &by_universe {
            if let Some(frame) = self.universes.get_mut(universe) {
                Arc::make_mut(frame).set(levels);
            }
        }
        let lamp = match self.lamp_light() != light {
            false => Publish::No,
            true if self.desk.is_moving() || self.lamp_is_on_its_way() => Publish::Later,
            true => Publish::Now,
        };
        Some(self.changed(What::Levels(by_universe.into_iter().collect()), lamp, desk, now.ms))
    }

    /// The state once everything moving has arrived: this is what is stored.
    #[must_use]
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        for (universe, levels) in self.fades.targets() {
            if let Some(frame) = settled.universes.get_mut(&universe) {
                let levels: Levels = levels.into_iter().collect();
                Arc::make_mut(frame).set(&levels);
            }
        }
        settled.fades = Fades::default();
        settled
    }

    /// Whether anything moves.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        !self.fades.is_empty() || self.desk.is_moving() || !self.flashes.is_empty()
    }

    fn lamp_is_on_its_way(&self) -> bool {
        self.fades.iter().any(|fade| fade.moves_lamp())
    }

    /// Ends all fades where they are, and with them the scene they were leading to; nothing when none runs.
    pub fn stop_fades(&mut self, now: Now) -> Option<(Change, Vec<(UniverseId, Levels)>)> {
        if self.fades.is_empty() {
            return None;
        }
        let lamp = if self.lamp_is_on_its_way() { Publish::Now } else { Publish::No };
        let stopped = self.fades.stop();
        let hits = |scene: &super::InEffect| {
            stopped.iter().any(|(universe, set)| {
                scene.channels.get(universe).is_some_and(|channels| set.iter().any(|channel| channels.has(channel)))
            })
        };
        if self.desk.scene.as_ref().is_some_and(|scene| hits(scene)) {
            self.desk.scene = None;
        }
        let frames = stopped.iter().filter_map(|(&universe, set)| Some((universe, set, self.frame(universe)?)));
        let levels = frames.map(|(universe, set, frame)| (universe, set.iter().map(|c| (c, frame.get(c))).collect()));
        let levels = levels.collect();
        let none = stopped.keys().map(|&universe| (universe, Levels::new())).collect();
        Some((self.changed(What::Levels(none), lamp, true, now.ms), levels))
    }

    /// Moves the grand master.
    pub fn set_master(&mut self, level: u8, now: Now) -> Change {
        let before = self.lamp_light();
        self.desk.master = level;
        self.desk_changed(before, now)
    }

    /// Goes dark or comes back, at once or over a time.
    pub fn black_out(&mut self, on: bool, over: Duration, now: Now) -> Change {
        let before = self.lamp_light();
        self.desk.black_out(on, over, now.at);
        self.desk_changed(before, now)
    }

    /// Takes a scene out of effect; nothing when it was not in effect.
    pub fn end_scene(&mut self, scene: &SceneId, now: Now) -> Option<Change> {
        self.desk.scene.take_if(|effect| effect.scene == *scene)?;
        Some(self.changed(What::Levels(Vec::new()), Publish::No, true, now.ms))
    }

    /// The fixtures that are patched.
    #[must_use]
    pub fn rig(&self) -> &Rig {
        &self.rig
    }

    /// Takes another patch. What master and blackout touch may be something else then, which is no change of the state: levels, desk and
    /// lamp are as they were, unless something flashed at the lamp that does not any more.
    pub fn take_rig(&mut self, rig: Rig, now: Now) -> Option<Change> {
        let before = self.lamp_light();
        self.rig = rig;
        self.flashes.keep(|id| self.rig.fixture(id).map(|fixture| fixture.lit()));
        (self.lamp_light() != before).then(|| self.changed(What::Levels(Vec::new()), Publish::Now, false, now.ms))
    }

    /// Fixtures that have moved since an earlier patch take their levels along, or where those are going; channels that nobody has any
    /// more go to 0. Gives what was set, nothing when nobody has moved.
    pub fn take_along(&mut self, before: &Rig, now: Now) -> Option<(Change, Vec<Patch>)> {
        let settled = self.settled();
        let mut moved: BTreeMap<UniverseId, BTreeMap<Channel, u8>> = BTreeMap::new();
        let mut left: BTreeMap<UniverseId, ChannelSet> = BTreeMap::new();
        for fixture in self.rig.fixtures() {
            let Some(was) = before.fixture(&fixture.id).filter(|was| fixture.has_moved_from(was)) else { continue };
            for place in 0..fixture.channels {
                let (Some(from), Some(to)) = (was.channel(place), fixture.channel(place)) else { continue };
                let level = settled.frame(was.universe).map_or(0, |frame| frame.get(from));
                moved.entry(fixture.universe).or_default().insert(to, level);
                left.entry(was.universe).or_insert(ChannelSet::NONE).add(from);
            }
        }
        for (universe, mut set) in left {
            if let Some(layout) = self.rig.layout(universe) {
                set.remove_all(&layout.patched);
            }
            moved.entry(universe).or_default().extend(set.iter().map(|channel| (channel, 0)));
        }
        let patch = |(universe, levels): (_, BTreeMap<_, _>)| Patch { universe, levels: levels.into_iter().collect() };
        let moved: Vec<Patch> = moved.into_iter().map(patch).filter(|patch| !patch.levels.is_empty()).collect();
        (!moved.is_empty()).then(|| (self.set_levels(&moved, now), moved))
    }

    /// Sets levels that no command asks for, at once.
    fn set_levels(&mut self, patches: &[Patch], now: Now) -> Change {
        let ends_scene = !self.keeps_scene(patches);
        if ends_scene {
            self.desk.recall(None, Channels::new());
        }
        let set = |patch: &Patch| patch.levels.iter().map(|&(channel, _)| channel).collect();
        let channels: Channels = patches.iter().map(|patch| (patch.universe, set(patch))).collect();
        let fades = self.fades.clone();
        let universes = &self.universes;
        let seen = |universe, channel| universes.get(&universe).map_or(0, |frame| frame.get(channel));
        self.fades.release(&channels, now.at, seen);
        let mut deltas = Vec::new();
        for Patch { universe, levels } in patches {
            let frame = self.universes.entry(*universe).or_insert_with(|| Arc::new(Frame::DARK));
            deltas.push((*universe, Arc::make_mut(frame).set(levels)));
        }
        let lamp = if patches.iter().any(Patch::touches_lamp) { Publish::Now } else { Publish::No };
        let desk = ends_scene || !fades.are_same(&self.fades);
        self.changed(What::Levels(deltas), lamp, desk, now.ms)
    }

    /// Lays channels at rest that are at 0 and not on their way; gives what was laid, nothing when none was.
    pub fn lay_at_rest(&mut self, rests: &[Patch], now: Now) -> Option<(Change, Vec<Patch>)> {
        let targets = self.fades.targets();
        let moves = |universe, channel| targets.get(&universe).is_some_and(|levels| levels.contains_key(&channel));
        let dark = |universe, channel| self.frame(universe).is_none_or(|frame| frame.get(channel) == 0);
        let laid = rests.iter().map(|&Patch { universe, ref levels }| {
            let free =
                |&&(channel, level): &&(Channel, u8)| level > 0 && dark(universe, channel) && !moves(universe, channel);
            Patch { universe, levels: levels.iter().filter(free).copied().collect() }
        });
        let laid: Vec<Patch> = laid.filter(|patch| !patch.levels.is_empty()).collect();
        if laid.is_empty() {
            return None;
        }
        Some((self.set_levels(&laid, now), laid))
    }

    /// Shows a fixture to somebody who looks for it, for a while; nothing when there is none.
    pub fn flash(&mut self, fixture: &FixtureId, now: Now) -> Option<Change> {
        let levels = self.rig.fixture(fixture)?.lit();
        let before = self.lamp_light();
        self.flashes.begin(fixture.clone(), levels, now.at);
        let lamp = if self.lamp_light() == before { Publish::No } else { Publish::Now };
        Some(self.changed(What::Levels(Vec::new()), lamp, false, now.ms))
    }

    fn desk_changed(&mut self, lamp_before: Rgb, now: Now) -> Change {
        let lamp = if self.lamp_light() == lamp_before { Publish::No } else { Publish::Now };
        self.changed(What::Levels(Vec::new()), lamp, true, now.ms)
    }

    /// Takes other light as a whole, the fixtures under it, and who last commanded it (`None`: as before). `seq` goes on;
    /// fades end, master and blackout stay.
    pub fn replace(
        &mut self,
        frames: impl IntoIterator<Item = (UniverseId, Frame)>,
        updated_by: Option<Source>,
        rig: Rig,
        now: Now,
    ) -> Change {
        let after = universes(frames);
        let gone = self.universes.keys().filter(|id| !after.contains_key(id)).copied().collect();
        self.universes = after;
        self.rig = rig;
        self.fades = Fades::default();
        self.flashes.clear();
        self.desk.recall(None, Channels::new());
        if let Some(by) = updated_by {
            self.updated_by = by;
        }
        self.changed(What::Whole { gone }, Publish::Now, true, now.ms)
    }

    fn changed(&mut self, what: What, lamp: Publish, desk: bool, ms: u64) -> Change {
        self.seq += 1;
        self.ts = ms;
        Change { seq: self.seq, ts: ms, what, lamp, desk }
    }

    /// The known universes with their levels.
    pub fn universes(&self) -> impl Iterator<Item = (UniverseId, &Frame)> {
        self.universes.iter().map(|(&id, frame)| (id, &**frame))
    }

    /// The levels of one universe, when it is known.
    #[must_use]
    pub fn frame(&self, universe: UniverseId) -> Option<&Frame> {
        self.universes.get(&universe).map(|frame| &**frame)
    }

    /// One universe as the outputs send it: its levels under flashes, master and blackout; dark if nobody has commanded it yet.
    #[must_use]
    pub fn light(&self, universe: UniverseId) -> Arc<Frame> {
        let levels = self.under_flashes(universe);
        match levels {
            None => Arc::new(Frame::DARK),
            Some(levels) if self.desk.is_open() => levels,
            Some(levels) => Arc::new(self.desk.light(universe, &levels, self.rig.layout(universe))),
        }
    }

    /// The levels of a universe under what flashes there.
    fn under_flashes(&self, universe: UniverseId) -> Option<Arc<Frame>> {
        let levels = self.universes.get(&universe);
        match self.flashes.over(universe, levels.map_or(&Frame::DARK, |frame| frame)) {
            Some(flashing) => Some(Arc::new(flashing)),
            None => levels.cloned(),
        }
    }

    /// The lamp's levels.
    #[must_use]
    pub fn lamp(&self) -> Rgb {
        self.frame(UniverseId::LAMP).map(Frame::rgb).unwrap_or_default()
    }

    /// The lamp's light: its levels under flashes, master and blackout, whatever is patched there.
    #[must_use]
    pub fn lamp_light(&self) -> Rgb {
        let Rgb { r, g, b } = self.under_flashes(UniverseId::LAMP).map(|frame| frame.rgb()).unwrap_or_default();
        let [r, g, b] = [r, g, b].map(|level| self.desk.dimmed(level));
        Rgb { r, g, b }
    }

    /// What stands over the levels.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// All running fades, oldest first.
    pub fn fades(&self) -> impl ExactSizeIterator<Item = &Fade> {
        self.fades.iter()
    }
}

fn universes(frames: impl IntoIterator<Item = (UniverseId, Frame)>) -> BTreeMap<UniverseId, Arc<Frame>> {
    let mut universes: BTreeMap<_, _> = frames.into_iter().map(|(id, frame)| (id, Arc::new(frame))).collect();
    universes.entry(UniverseId::LAMP).or_insert_with(|| Arc::new(Frame::DARK));
    universes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::CommandId;
    use proptest::prelude::*;

    fn command(universe: u8, levels: Levels) -> Command {
        let id: CommandId = "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF".parse().unwrap();
        Command::set(id, "t".parse().unwrap(), Patch { universe: UniverseId::new(universe).unwrap(), levels })
    }

    fn now(ms: u64) -> Now {
        Now { ms, at: Duration::from_millis(ms) }
    }

    fn levels() -> impl Strategy<Value = Levels> {
        prop::collection::vec(((1u16..=512).prop_map(|n| Channel::new(n).unwrap()), any::<u8>()), 0..20)
    }

    proptest! {
        #[test]
        fn the_state_is_what_a_plain_table_of_levels_says(script in prop::collection::vec((0u8..64, levels()), 1..40)) {
            let mut state = State::default();
            let mut table = vec![[0u8; 512]; 64];
            for (n, (universe, levels)) in script.into_iter().enumerate() {
                let before = table[usize::from(universe)];
                for (channel, level) in &levels {
                    table[usize::from(universe)][channel.index()] = *level;
                }
                let change = state.apply(&command(universe, levels), now(n as u64));
                prop_assert_eq!(change.seq, n as u64 + 1);
                let mut replayed = Frame::from(before);
                let What::Levels(deltas) = change.what else { panic!("a command changes levels") };
                replayed.set(&deltas[0].1);
                prop_assert_eq!(replayed.levels(), &table[usize::from(universe)], "a delta leads from frame to frame");
            }
            for (id, frame) in state.universes() {
                prop_assert_eq!(frame.levels(), &table[usize::from(id.index())]);
            }
            prop_assert_eq!(state.lamp(), Frame::from(table[0]).rgb(), "the lamp and universe 0 agree");
        }
    }

    #[test]
    fn the_same_colour_again_is_a_change_without_a_delta() {
        let mut state = State::default();
        let dark = command(0, Rgb::default().levels());
        let change = state.apply(&dark, now(5));
        let what = What::Levels(vec![(UniverseId::LAMP, Vec::new())]);
        assert_eq!(change, Change { seq: 1, ts: 5, what, lamp: Publish::Now, desk: false });
        assert_eq!(state.updated_by.as_str(), "t");
    }

    #[test]
    fn another_light_goes_on_counting_and_names_the_universes_that_are_gone() {
        let mut state = State::default();
        state.apply(&command(3, vec![(Channel::new(1).unwrap(), 9)]), now(5));
        let [one, three] = [1, 3].map(|index| UniverseId::new(index).unwrap());
        let change = state.replace([(one, Frame::DARK)], None, Rig::default(), now(6));
        let what = What::Whole { gone: vec![three] };
        assert_eq!(change, Change { seq: 2, ts: 6, what, lamp: Publish::Now, desk: true });
        assert_eq!(state.universes().map(|(id, _)| id).collect::<Vec<_>>(), [UniverseId::LAMP, one]);
        assert_eq!((state.seq, state.updated_by.as_str()), (2, "t"));
    }
}
