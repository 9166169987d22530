//! The words for a change at every door: one `state.update` for each universe that it touched.

use schemars::JsonSchema;
use serde::Serialize;

use crate::dmx::{CHANNELS, Change, Channel, Levels, State, UniverseId, What};

/// The `type` of a `state.update`.
const UPDATE: &str = "state.update";

/// Channels of one message, at most: one takes up to 21 bytes, and rumqttc takes 10 KiB unless it is told otherwise.
const TOGETHER: usize = 470;

/// A `state.update`: levels of one universe, before master and blackout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "state.update", description = "Levels of one universe, before master and blackout.")]
pub struct StateUpdate {
    /// `state.update`.
    #[serde(rename = "type")]
    #[schemars(extend("const" = UPDATE))]
    kind: &'static str,
    /// `seq` of the change.
    pub rev: u64,
    /// Its time, Unix milliseconds.
    pub ts: u64,
    /// Which universe, 0..=63.
    #[schemars(range(max = 63))]
    pub universe: u8,
    /// Channels and their levels.
    pub delta: Vec<ChannelLevel>,
    /// Whether channels that are not named are at 0; otherwise they are unchanged.
    pub full: bool,
}

/// A channel's level in a `state.update`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "ChannelLevel", description = "A channel's level.")]
pub struct ChannelLevel {
    /// 1..=512.
    #[schemars(range(min = 1, max = 512))]
    pub ch: u16,
    /// 0..=255.
    pub val: u8,
}

impl StateUpdate {
    fn new(
        (rev, ts): (u64, u64),
        universe: UniverseId,
        levels: impl IntoIterator<Item = (Channel, u8)>,
        full: bool,
    ) -> Self {
        let delta = levels.into_iter().map(|(channel, val)| ChannelLevel { ch: channel.number(), val }).collect();
        Self { kind: UPDATE, rev, ts, universe: universe.index(), delta, full }
    }

    /// Every known universe in full.
    pub fn all(state: &State) -> impl Iterator<Item = Self> + '_ {
        let at = (state.seq, state.ts);
        state.universes().map(move |(universe, frame)| Self::new(at, universe, frame.lit(), true))
    }

    /// For those who take no large message: itself, or two that say the same. Neither of them is full, so nobody who applies
    /// the first sees channels of the second go dark.
    #[must_use]
    pub fn in_parts(self) -> Vec<Self> {
        if self.delta.len() <= TOGETHER {
            return vec![self];
        }
        let unnamed = |ch: &u16| self.full && !self.delta.iter().any(|level| level.ch == *ch);
        let dark = (0..CHANNELS).filter_map(Channel::at).map(Channel::number).filter(unnamed);
        let all: Vec<_> = self.delta.iter().copied().chain(dark.map(|ch| ChannelLevel { ch, val: 0 })).collect();
        all.chunks(TOGETHER).map(|part| Self { delta: part.to_vec(), full: false, ..self.clone() }).collect()
    }

    /// The part that a change concerns; `state` is the one after it. Universes that are gone are full and empty.
    #[must_use]
    pub fn of(change: &Change, state: &State) -> Vec<Self> {
        let at = (change.seq, change.ts);
        match &change.what {
            What::Levels(deltas) => {
                let update =
                    |(universe, delta): &(UniverseId, Levels)| Self::new(at, *universe, delta.iter().copied(), false);
                deltas.iter().map(update).collect()
            }
            What::Whole { gone } => {
                Self::all(state).chain(gone.iter().map(|&universe| Self::new(at, universe, [], true))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(lit: u16, full: bool) -> StateUpdate {
        let levels = (1..=lit).map(|number| (Channel::new(number).unwrap(), 255));
        StateUpdate::new((u64::MAX, 1_795_981_144_098), UniverseId::new(63).unwrap(), levels, full)
    }

    #[test]
    fn a_small_update_is_told_as_it_is() {
        for full in [false, true] {
            assert_eq!(update(470, full).in_parts(), [update(470, full)]);
        }
    }

    #[test]
    fn parts_of_a_large_update_fit_and_say_the_same_together() {
        for (lit, full, named) in [(512, false, 512), (471, false, 471), (512, true, 512), (471, true, 512)] {
            let whole = update(lit, full);
            let parts = whole.clone().in_parts();
            assert_eq!(parts.len(), 2);
            let told: Vec<_> = parts.iter().flat_map(|part| part.delta.clone()).collect();
            let expected = |ch| ChannelLevel { ch, val: if ch <= lit { 255 } else { 0 } };
            assert_eq!(told, (1..=named).map(expected).collect::<Vec<_>>(), "{lit} {full}");
            for part in parts {
                assert!(serde_json::to_vec(&part).unwrap().len() < 10_100);
                assert!(!part.full && part.rev == whole.rev && part.ts == whole.ts && part.universe == 63);
            }
        }
    }
}
