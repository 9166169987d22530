//! Fades: levels on their way. Pure; start, end and time alone say where a level is, so a late step never makes wrong
//! light.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wide::{Wide, bytes};
use super::{Channel, ChannelSet, CommandId, Source, UniverseId};

/// The longest fade: a sunrise may take a day.
pub const LONGEST_FADE: Duration = Duration::from_secs(24 * 60 * 60);

/// 16-bit steps of one 8-bit level: 255 × 257 = 65535.
const FINE: u16 = 257;

/// How a fade goes from 0 (start) to 1 (end).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Easing {
    /// Evenly.
    #[default]
    Linear,
    /// Gently at both ends: t²(3−2t).
    SCurve,
    /// Late: 2^(10(t−1)), 0 at t = 0.
    Expo,
}

impl Easing {
    /// The words on the wire, in the order of the type.
    pub const WORDS: [(&'static str, Self); 3] =
        [("linear", Self::Linear), ("s_curve", Self::SCurve), ("expo", Self::Expo)];

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::SCurve => "s_curve",
            Self::Expo => "expo",
        }
    }

    /// How much of the way is done at `t` of the time, both 0..=1.
    fn at(self, t: f64) -> f64 {
        match self {
            Self::Linear => t,
            Self::SCurve => t * t * (3.0 - 2.0 * t),
            Self::Expo if t <= 0.0 => 0.0,
            Self::Expo => (10.0 * (t - 1.0)).exp2(),
        }
    }
}

/// The way from one 16-bit value to another within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// On the steady clock.
    pub(super) start: Duration,
    pub(super) over: Duration,
    pub(super) easing: Easing,
}

impl Course {
    pub(super) fn is_over(&self, at: Duration) -> bool {
        at >= self.start + self.over
    }

    /// How much of the way is done, 0..=1.
    fn progress(&self, at: Duration) -> f64 {
        if self.is_over(at) {
            return 1.0;
        }
        let t = at.saturating_sub(self.start).as_secs_f64() / self.over.as_secs_f64();
        self.easing.at(t)
    }

    /// The value between two others at this time.
    pub(super) fn between(&self, from: u16, to: u16, at: Duration) -> u16 {
        between(from, to, self.progress(at))
    }
}

fn between(from: u16, to: u16, progress: f64) -> u16 {
    let (from, to) = (f64::from(from), f64::from(to));
    // towards the start, so that the end is reached at the end; between two u16 the cast loses nothing
    (from + ((to - from) * progress).trunc()) as u16
}

/// One channel on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moving {
    universe: UniverseId,
    channel: Channel,
    from: u16,
    /// The level shown when it began.
    seen: u8,
    to: u8,
}

impl Moving {
    fn fine(&self, progress: f64) -> u16 {
        between(self.from, fine(self.to), progress)
    }

    /// The level to show. A channel drops a level only once it has moved past it, so the last one comes at the end of the time.
    fn level(&self, progress: f64) -> u8 {
        let fine = self.fine(progress);
        if self.to > self.seen { self.seen.max(low(fine)) } else { self.seen.min(high(fine)) }
    }
}

/// Channels that carry one value together, on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WideMoving {
    universe: UniverseId,
    channels: Wide,
    /// In their own bits.
    from: u32,
    to: u32,
}

impl WideMoving {
    /// The levels to show, coarse first.
    fn levels(&self, progress: f64) -> impl Iterator<Item = (Channel, u8)> {
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        // as above: towards the start, and between two 24-bit values the cast loses nothing
        self.split((from + ((to - from) * progress).trunc()) as u32)
    }

    fn split(&self, value: u32) -> impl Iterator<Item = (Channel, u8)> {
        self.channels.iter().copied().zip(bytes(value, self.channels.len()))
    }

    fn has_any(&self, of: &Channels) -> bool {
        of.get(&self.universe).is_some_and(|set| self.channels.iter().any(|&channel| set.has(channel)))
    }
}

/// An 8-bit level in 16 bits.
fn fine(level: u8) -> u16 {
    u16::from(level) * FINE
}

/// The level at or below a 16-bit one.
fn low(fine: u16) -> u8 {
    u8::try_from(fine / FINE).unwrap_or(u8::MAX)
}

/// The level at or above a 16-bit one.
fn high(fine: u16) -> u8 {
    u8::try_from(fine.div_ceil(FINE)).unwrap_or(u8::MAX)
}

/// The shortest fade that goes on after a power cut: a shorter one would be over before the light is back.
const KEPT_FROM: Duration = Duration::from_secs(5);

/// A fade as it is stored beside its target levels. Times are milliseconds of the engine's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFade {
    id: String,
    by: String,
    /// Unix milliseconds.
    started_at: u64,
    start: u64,
    over: u64,
    easing: Easing,
    /// Universe, channel, from (16 bits), shown, to.
    channels: Vec<(u8, u16, u16, u8, u8)>,
    /// Universe, channels (coarse first), from and to in their own bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wide: Vec<(u8, Vec<u16>, u32, u32)>,
}

impl KeptFade {
    fn of(fade: &Fade) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let channel = |m: &Moving| (m.universe.index(), m.channel.number(), m.from, m.seen, m.to);
        let numbers = |channels: &Wide| channels.iter().map(|channel| channel.number()).collect();
        let wide = |m: &WideMoving| (m.universe.index(), numbers(&m.channels), m.from, m.to);
        Self {
            id: fade.id.to_string(),
            by: fade.source.as_str().to_owned(),
            started_at: fade.started_at,
            start: ms(fade.course.start),
            over: ms(fade.course.over),
            easing: fade.course.easing,
            channels: fade.moving.iter().map(channel).collect(),
            wide: fade.wide.iter().map(wide).collect(),
        }
    }

    /// The fade as it was; `None` for a value that dmxd does not write.
    fn fade(self) -> Option<Fade> {
        let course = Course {
            start: Duration::from_millis(self.start),
            over: Duration::from_millis(self.over).min(LONGEST_FADE),
            easing: self.easing,
        };
        let mut fade = Fade::new(CommandId::unified(&self.id)?, self.by.parse().ok()?, self.started_at, course);
        for (universe, channel, from, seen, to) in self.channels {
            let (universe, channel) = (UniverseId::new(universe)?, Channel::new(channel)?);
            fade.moving.push(Moving { universe, channel, from, seen, to });
        }
        for (universe, channels, from, to) in self.wide {
            let channels: Option<Vec<Channel>> = channels.into_iter().map(Channel::new).collect();
            let (universe, channels) = (UniverseId::new(universe)?, channels?.into());
            fade.wide.push(WideMoving { universe, channels, from, to });
        }
        Some(fade)
    }
}

/// A group of channels that move together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fade {
    /// The command that asked for it.
    pub id: CommandId,
    /// Who sent it.
    pub source: Source,
    /// Unix milliseconds.
    pub started_at: u64,
    pub(super) course: Course,
    moving: Vec<Moving>,
    wide: Vec<WideMoving>,
}

/// A channel taken out of its fade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Released {
    /// Where it is, in 16 bits.
    pub(super) fine: u16,
    /// Where it was going.
    pub(super) to: u8,
}

/// Channels by universe.
pub type Channels = BTreeMap<UniverseId, ChannelSet>;

/// The targets of channels, by universe.
pub(super) type Targets = BTreeMap<UniverseId, BTreeMap<Channel, u8>>;

/// A change of level that a step makes.
pub(super) type Moved = (UniverseId, Channel, u8);

/// All running fades, oldest first; a channel is in one at most (the latest takes precedence). Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fades(Arc<Vec<Arc<Fade>>>);

impl Fades {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Fade> {
        self.0.iter().map(|fade| &**fade)
    }

    /// Whether nothing has begun, changed or ended since this clone was made.
    pub(super) fn are_same(&self, clone: &Self) -> bool {
        Arc::ptr_eq(&self.0, &clone.0)
    }

    /// Those that a power cut must not jump to their end.
    pub(super) fn kept(&self) -> Vec<KeptFade> {
        self.iter().filter(|fade| fade.course.over >= KEPT_FROM).map(KeptFade::of).collect()
    }

    /// Those that were kept, unless they are over at this time or no longer lead to what `to` says.
    pub(super) fn resume(kept: Vec<KeptFade>, at: Duration, to: impl Fn(UniverseId, Channel) -> Option<u8>) -> Self {
        let mut fades = Self::default();
        for mut fade in kept.into_iter().filter_map(KeptFade::fade).filter(|fade| !fade.course.is_over(at)) {
            fade.moving.retain(|moving| to(moving.universe, moving.channel) == Some(moving.to));
            fade.wide
                .retain(|wide| wide.split(wide.to).all(|(channel, level)| to(wide.universe, channel) == Some(level)));
            fades.begin(fade);
        }
        fades
    }

    /// Where moving channels are going.
    pub(super) fn targets(&self) -> Targets {
        let mut targets = Targets::new();
        for moving in self.iter().flat_map(|fade| &fade.moving) {
            targets.entry(moving.universe).or_default().insert(moving.channel, moving.to);
        }
        for wide in self.iter().flat_map(|fade| &fade.wide) {
            targets.entry(wide.universe).or_default().extend(wide.split(wide.to));
        }
        targets
    }

    /// Takes channels out of their fades. `seen` gives the level shown.
    pub(super) fn release(
        &mut self,
        channels: &Channels,
        at: Duration,
        seen: impl Fn(UniverseId, Channel) -> u8,
    ) -> BTreeMap<(UniverseId, Channel), Released> {
        let mut released = BTreeMap::new();
        if self.0.is_empty() {
            return released;
        }
        let taken = |moving: &Moving| channels.get(&moving.universe).is_some_and(|set| set.has(moving.channel));
        let concerned =
            |fade: &Fade| fade.moving.iter().any(taken) || fade.wide.iter().any(|wide| wide.has_any(channels));
        if !self.iter().any(concerned) {
            return released;
        }
        let fades = Arc::make_mut(&mut self.0);
        for fade in fades.iter_mut().filter(|fade| concerned(fade)) {
            let fade = Arc::make_mut(fade);
            let progress = fade.course.progress(at);
            released.extend(fade.split(channels, &seen));
            fade.moving.retain(|moving| {
                if taken(moving) {
                    let now = Released { fine: moving.fine(progress), to: moving.to };
                    released.insert((moving.universe, moving.channel), now);
                }
                !taken(moving)
            });
        }
        fades.retain(|fade| !fade.is_empty());
        released
    }

    /// Begins a fade, if anything is to move.
    pub(super) fn begin(&mut self, fade: Fade) {
        if !fade.is_empty() {
            Arc::make_mut(&mut self.0).push(Arc::new(fade));
        }
    }

    /// The levels to show at this time, given the ones shown now in `seen`; ends fades that are over.
    pub(super) fn step(&mut self, at: Duration, seen: impl Fn(UniverseId, Channel) -> u8) -> Vec<Moved> {
        let mut moved = Vec::new();
        for fade in self.iter() {
            let progress = fade.course.progress(at);
            for moving in &fade.moving {
                let level = moving.level(progress);
                if level != seen(moving.universe, moving.channel) {
                    moved.push((moving.universe, moving.channel, level));
                }
            }
            for wide in &fade.wide {
                let levels = wide.levels(progress).filter(|&(channel, level)| level != seen(wide.universe, channel));
                moved.extend(levels.map(|(channel, level)| (wide.universe, channel, level)));
            }
        }
        if self.iter().any(|fade| fade.course.is_over(at)) {
            Arc::make_mut(&mut self.0).retain(|fade| !fade.course.is_over(at));
        }
        moved
    }

    /// Ends all fades; gives the channels that were moving.
    pub(super) fn stop(&mut self) -> Channels {
        std::mem::take(self).iter().fold(Channels::new(), |mut all, fade| {
            for (universe, channels) in fade.channels() {
                all.entry(universe).or_insert(ChannelSet::NONE).add_all(&channels);
            }
            all
        })
    }
}

impl Fade {
    pub(super) fn new(id: CommandId, source: Source, started_at: u64, course: Course) -> Self {
        Self { id, source, started_at, course, moving: Vec::new(), wide: Vec::new() }
    }

    /// Adds a channel that now shows `seen` (`released`: its exact place, if it was moving).
    pub(super) fn take(
        &mut self,
        universe: UniverseId,
        channel: Channel,
        seen: u8,
        released: Option<&Released>,
        to: u8,
    ) {
        if seen != to {
            let from = released.map_or(fine(seen), |released| released.fine);
            self.moving.push(Moving { universe, channel, from, seen, to });
        }
    }

    /// Adds channels that carry one value together, which goes from one to another.
    pub(super) fn take_wide(&mut self, universe: UniverseId, channels: &Wide, from: u32, to: u32) {
        if from != to {
            self.wide.push(WideMoving { universe, channels: channels.clone(), from, to });
        }
    }

    /// Values of which a channel is taken come apart; gives what is taken. Each other channel of theirs goes on for itself. `seen`
    /// gives the level shown.
    fn split(
        &mut self,
        channels: &Channels,
        seen: impl Fn(UniverseId, Channel) -> u8,
    ) -> Vec<((UniverseId, Channel), Released)> {
        let mut released = Vec::new();
        let (apart, whole) = std::mem::take(&mut self.wide).into_iter().partition(|wide| wide.has_any(channels));
        self.wide = whole;
        let apart: Vec<WideMoving> = apart;
        for wide in apart {
            let universe = wide.universe;
            for (n, ((channel, from), (_, to))) in wide.split(wide.from).zip(wide.split(wide.to)).enumerate() {
                let seen = seen(universe, channel);
                if channels.get(&universe).is_some_and(|set| set.has(channel)) {
                    released.push(((universe, channel), Released { fine: fine(seen), to }));
                } else if seen != to {
                    // the coarse level is still on its way; finer ones were anywhere
                    let from = fine(if n == 0 { from } else { seen });
                    self.moving.push(Moving { universe, channel, from, seen, to });
                }
            }
        }
        released
    }

    fn is_empty(&self) -> bool {
        self.moving.is_empty() && self.wide.is_empty()
    }

    /// Its time.
    #[must_use]
    pub fn over(&self) -> Duration {
        self.course.over
    }

    /// Its curve.
    #[must_use]
    pub fn easing(&self) -> Easing {
        self.course.easing
    }

    /// Its moving channels.
    #[must_use]
    pub fn channels(&self) -> Channels {
        let mut channels = Channels::new();
        for moving in &self.moving {
            channels.entry(moving.universe).or_insert(ChannelSet::NONE).add(moving.channel);
        }
        for wide in &self.wide {
            let set = channels.entry(wide.universe).or_insert(ChannelSet::NONE);
            wide.channels.iter().for_each(|&channel| set.add(channel));
        }
        channels
    }

    /// Whether a channel of the lamp is among them.
    pub(super) fn moves_lamp(&self) -> bool {
        let of_lamp = |universe, channel: &Channel| universe == UniverseId::LAMP && Channel::LAMP.contains(channel);
        self.moving.iter().any(|moving| of_lamp(moving.universe, &moving.channel))
            || self.wide.iter().any(|wide| wide.channels.iter().any(|channel| of_lamp(wide.universe, channel)))
    }

    /// How many channels it moves.
    #[must_use]
    pub fn count(&self) -> usize {
        self.moving.len() + self.wide.iter().map(|wide| wide.channels.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn course(ms: u64, easing: Easing) -> Course {
        Course { start: Duration::from_secs(1), over: Duration::from_millis(ms), easing }
    }

    #[test]
    fn the_curves_begin_at_0_and_end_at_1_and_never_turn_back() {
        for (word, easing) in Easing::WORDS {
            assert_eq!((easing.at(0.0), easing.at(1.0)), (0.0, 1.0), "{word}");
            let points: Vec<f64> = (0..=1000).map(|n| easing.at(f64::from(n) / 1000.0)).collect();
            assert!(points.is_sorted(), "{word}");
        }
        assert_eq!(Easing::SCurve.at(0.25), 0.15625);
        assert_eq!(Easing::Expo.at(0.5), 0.03125);
    }

    proptest! {
        #[test]
        fn a_level_goes_one_way_ends_at_its_time_and_not_before(
            seen in any::<u8>(), to in any::<u8>(), ms in 1u64..20_000, easing in prop::sample::select(&Easing::WORDS[..]),
        ) {
            prop_assume!(seen != to);
            let course = course(ms, easing.1);
            let channel = Channel::new(1).unwrap();
            let moving = Moving { universe: UniverseId::LAMP, channel, from: fine(seen), seen, to };
            let level = |at: Duration| moving.level(course.progress(at));
            let end = course.start + course.over;
            let levels: Vec<u8> = (0..=100).map(|n| level(course.start + course.over * n / 100)).collect();
            prop_assert_eq!(levels[0], seen);
            prop_assert_eq!(levels[100], to);
            prop_assert_eq!(level(end + Duration::from_secs(9)), to);
            let one_way = if to > seen { levels.is_sorted() } else { levels.iter().rev().is_sorted() };
            prop_assert!(one_way, "{:?}", levels);
            prop_assert!(to.abs_diff(level(end - Duration::from_micros(500))) > 0 || ms < 50, "the last level comes last");
        }

        #[test]
        fn a_linear_step_is_no_longer_than_it_must_be(seen in any::<u8>(), to in any::<u8>(), ms in 100u64..20_000, phase in 0u64..22) {
            prop_assume!(seen != to);
            let course = course(ms, Easing::Linear);
            let channel = Channel::new(1).unwrap();
            let moving = Moving { universe: UniverseId::LAMP, channel, from: fine(seen), seen, to };
            let range = f64::from(seen.abs_diff(to));
            let most = (range / (44.0 * ms as f64 / 1000.0)).ceil() as u8;
            let mut last = seen;
            for n in 0..=(ms * 44 / 1000 + 1) {
                let at = course.start + Duration::from_millis(phase) + Duration::from_nanos(n * 1_000_000_000 / 44);
                let level = moving.level(course.progress(at));
                prop_assert!(last.abs_diff(level) <= most.max(1), "{last} to {level}, at most {most}");
                last = level;
            }
        }
    }
}
