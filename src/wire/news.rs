//! The words for a change at every door: one `state.update` for each universe that it touched.

use schemars::JsonSchema;
use serde::Serialize;

use crate::dmx::{Change, Channel, Levels, State, UniverseId, What};

/// The `type` of a `state.update`.
const UPDATE: &str = "state.update";

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
