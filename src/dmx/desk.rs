//! What stands over the levels: grand master, blackout, the scene in effect. None of it is ever written into levels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fade::{Channels, Course};
use super::rig::Layout;
use super::wide::{bytes, value};
use super::{Channel, ChannelSet, Easing, Frame, SceneId, UniverseId};

/// How much light is left without blackout: all of it.
const FULL: u16 = u16::MAX;

/// Which channels carry intensity, by universe, and so follow master and blackout. In a universe that is not listed, the
/// patch says which, and all do that are not patched. The lamp always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intensity(Arc<BTreeMap<UniverseId, ChannelSet>>);

impl Intensity {
    /// Of the listed universes only these channels (and the lamp's).
    pub fn only(channels: impl IntoIterator<Item = (UniverseId, ChannelSet)>) -> Self {
        let mut by_universe = BTreeMap::new();
        for (universe, set) in channels {
            by_universe.entry(universe).or_insert(ChannelSet::NONE).add_all(&set);
        }
        if let Some(lamp) = by_universe.get_mut(&UniverseId::LAMP) {
            lamp.add_all(&Channel::LAMP.into_iter().collect());
        }
        Self(Arc::new(by_universe))
    }

    fn lists(&self, universe: UniverseId) -> bool {
        self.0.contains_key(&universe)
    }

    /// What was listed counts; else what is patched there says it.
    fn of<'a>(&'a self, universe: UniverseId, layout: Option<&'a Layout>) -> &'a ChannelSet {
        self.0.get(&universe).or(layout.map(|layout| &layout.dims)).unwrap_or(&ChannelSet::ALL)
    }
}

/// A scene that was recalled and none of whose channels has been commanded elsewhere since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InEffect {
    /// Its id.
    pub scene: SceneId,
    /// Its channels.
    pub channels: BTreeMap<UniverseId, ChannelSet>,
}

/// Master, blackout and the scene in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    /// Grand master, 0..=255.
    pub(super) master: u8,
    /// Whether everything is dark, or on the way there.
    pub(super) blackout: bool,
    /// How much of the light blackout leaves at the moment.
    left: u16,
    /// The way to dark or back, and where it began.
    course: Option<(Course, u16)>,
    pub(super) scene: Option<Arc<InEffect>>,
    intensity: Intensity,
}

/// The part of a desk that survives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDesk {
    /// Grand master, 0..=255.
    pub master: u8,
    /// Whether everything is dark.
    pub blackout: bool,
    /// The scene in effect.
    pub scene: Option<Arc<InEffect>>,
}

impl Default for KeptDesk {
    fn default() -> Self {
        Self { master: u8::MAX, blackout: false, scene: None }
    }
}

impl Desk {
    pub(super) fn new(kept: KeptDesk, intensity: Intensity) -> Self {
        let KeptDesk { master, blackout, scene } = kept;
        Self { master, blackout, left: end(blackout), course: None, scene, intensity }
    }

    /// The part that survives a restart.
    #[must_use]
    pub fn kept(&self) -> KeptDesk {
        KeptDesk { master: self.master, blackout: self.blackout, scene: self.scene.clone() }
    }

    /// The scene in effect.
    #[must_use]
    pub fn scene_in_effect(&self) -> Option<&Arc<InEffect>> {
        self.scene.as_ref()
    }

    /// Whether blackout is on its way.
    pub(super) fn is_moving(&self) -> bool {
        self.course.is_some()
    }

    /// Goes dark or comes back, at once or over a time from where it is now.
    pub(super) fn black_out(&mut self, on: bool, over: Duration, at: Duration) {
        self.step(at);
        self.blackout = on;
        self.course = None;
        if over.is_zero() || self.left == end(on) {
            self.left = end(on);
        } else {
            self.course = Some((Course { start: at, over, easing: Easing::Linear }, self.left));
        }
    }

    /// Moves blackout along its way; true if it moved.
    pub(super) fn step(&mut self, at: Duration) -> bool {
        let Some((course, from)) = self.course else { return false };
        let left = course.between(from, end(self.blackout), at);
        if course.is_over(at) {
            self.course = None;
        }
        std::mem::replace(&mut self.left, left) != left
    }

    /// Whether levels are sent as they are.
    pub(super) fn is_open(&self) -> bool {
        self.master == u8::MAX && self.left == FULL
    }

    /// A level under master and blackout.
    pub(super) fn dimmed(&self, level: u8) -> u8 {
        u8::try_from(self.part(level.into())).unwrap_or(u8::MAX) // at most `level`
    }

    /// A value of at most 24 bits under master and blackout.
    fn part(&self, value: u32) -> u32 {
        const WHOLE: u64 = u8::MAX as u64 * FULL as u64;
        let part = u64::from(value) * u64::from(self.master) * u64::from(self.left);
        u32::try_from((part + WHOLE / 2) / WHOLE).unwrap_or(u32::MAX) // at most `value`
    }

    /// A frame under master and blackout.
    pub(super) fn light(&self, universe: UniverseId, levels: &Frame, layout: Option<&Layout>) -> Frame {
        let intensity = self.intensity.of(universe, layout);
        let dimmed: [u8; 256] = std::array::from_fn(|level| self.dimmed(u8::try_from(level).unwrap_or(u8::MAX)));
        let mut light = levels.map(|channel, level| match dimmed.get(usize::from(level)) {
            Some(&dimmed) if intensity.has(channel) => dimmed,
            _ => level,
        });
        if let Some(layout) = layout.filter(|_| self.dimmed(u8::MAX) == 0 && !self.intensity.lists(universe)) {
            light = light.map(|channel, level| if layout.closes.has(channel) { 0 } else { level });
        }
        for wide in layout.into_iter().flat_map(|layout| &layout.wides) {
            if wide.iter().all(|&channel| intensity.has(channel)) {
                let whole = self.part(value(wide.iter().map(|&channel| levels.get(channel))));
                let parts: Vec<_> = wide.iter().copied().zip(bytes(whole, wide.len())).collect();
                light.set(&parts);
            }
        }
        light
    }

    /// Puts another scene in effect, or none.
    pub(super) fn recall(&mut self, scene: Option<SceneId>, channels: Channels) {
        self.scene = scene.map(|scene| Arc::new(InEffect { scene, channels }));
    }
}

fn end(blackout: bool) -> u16 {
    if blackout { 0 } else { FULL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn desk(master: u8) -> Desk {
        Desk::new(KeptDesk { master, ..KeptDesk::default() }, Intensity::default())
    }

    proptest! {
        #[test]
        fn a_master_is_a_part_of_each_level_and_full_is_all_of_it(master in any::<u8>(), level in any::<u8>()) {
            let exact = f64::from(level) * f64::from(master) / 255.0;
            prop_assert!((f64::from(desk(master).dimmed(level)) - exact).abs() <= 0.5);
            prop_assert_eq!(desk(255).dimmed(level), level);
        }

        #[test]
        fn blackout_fades_out_and_back_from_where_it_is(turn in 0u64..1000) {
            let mut desk = desk(255);
            let ms = Duration::from_millis;
            desk.black_out(true, ms(1000), ms(0));
            desk.step(ms(turn));
            let there = desk.left;
            desk.black_out(false, ms(500), ms(turn));
            prop_assert_eq!(desk.left, there, "no jump");
            desk.step(ms(turn + 500));
            prop_assert!(desk.is_open() && !desk.is_moving());
            desk.black_out(true, Duration::ZERO, ms(9000));
            prop_assert_eq!(desk.dimmed(255), 0);
        }
    }

    #[test]
    fn only_intensity_follows_the_master_and_the_lamp_is_intensity() {
        let [one, two] = [1, 2].map(|n| UniverseId::new(n).unwrap());
        let intensity = Intensity::only([(UniverseId::LAMP, "10".parse().unwrap()), (one, "1-2".parse().unwrap())]);
        let desk = Desk::new(KeptDesk { blackout: true, ..KeptDesk::default() }, intensity);
        let full = Frame::from([255; 512]);
        let lit =
            |universe| desk.light(universe, &full, None).lit().map(|(channel, _)| channel.number()).collect::<Vec<_>>();
        assert_eq!(lit(UniverseId::LAMP)[..7], [4, 5, 6, 7, 8, 9, 11]);
        assert_eq!(lit(one)[0], 3);
        assert!(lit(two).is_empty());
    }
}
