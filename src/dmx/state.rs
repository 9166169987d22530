//! The one canonical state and the pure step from one to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Command, Frame, Levels, Rgb, Source, UniverseId};

/// The `schema` of a state.
pub const STATE_SCHEMA: &str = "demo.rgb.state.v1";

/// Every level of every known universe, and which change made it so.
///
/// Cheap to clone: frames are shared until one of them changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of the last published change; the appliance's own, it never repeats.
    pub seq: u64,
    /// When that change was made, Unix milliseconds by the server's clock; may go back.
    pub ts: u64,
    /// Who asked for it.
    pub updated_by: Source,
    universes: BTreeMap<UniverseId, Arc<Frame>>,
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
}

/// What a change changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A command: levels of one universe.
    Levels {
        /// Where.
        universe: UniverseId,
        /// The levels that differ from before; empty when the same was asked again.
        delta: Levels,
        /// Whether the lamp was commanded.
        lamp: bool,
    },
    /// Another project, or another light of this one: everything is new.
    Whole {
        /// Universes that were known before and are not any more.
        gone: Vec<UniverseId>,
    },
}

impl Change {
    /// Whether the lamp's state has to be told.
    #[must_use]
    pub fn concerns_lamp(&self) -> bool {
        match self.what {
            What::Levels { lamp, .. } => lamp,
            What::Whole { .. } => true,
        }
    }
}

impl Default for State {
    /// A first start: universe 0 known and dark.
    fn default() -> Self {
        Self::restore(0, 0, Source::init(), [])
    }
}

impl State {
    /// A state as it was stored.
    pub fn restore(
        seq: u64,
        ts: u64,
        updated_by: Source,
        frames: impl IntoIterator<Item = (UniverseId, Frame)>,
    ) -> Self {
        let mut universes: BTreeMap<_, _> = frames.into_iter().map(|(id, frame)| (id, Arc::new(frame))).collect();
        universes.entry(UniverseId::LAMP).or_insert_with(|| Arc::new(Frame::DARK));
        Self { seq, ts, updated_by, universes }
    }

    /// Takes a command that is no duplicate: levels, `seq` + 1, the new `ts` (Unix milliseconds) and source.
    pub fn apply(&mut self, command: &Command, now_ms: u64) -> Change {
        let frame = self.universes.entry(command.patch.universe).or_insert_with(|| Arc::new(Frame::DARK));
        let delta = Arc::make_mut(frame).set(&command.patch.levels);
        self.seq += 1;
        self.ts = now_ms;
        self.updated_by = command.source.clone();
        let what = What::Levels { universe: command.patch.universe, delta, lamp: command.patch.touches_lamp() };
        Change { seq: self.seq, ts: now_ms, what }
    }

    /// Takes another light as a whole, and whoever asked for that one last (`None`: as before). `seq` goes on.
    pub fn replace(
        &mut self,
        frames: impl IntoIterator<Item = (UniverseId, Frame)>,
        updated_by: Option<Source>,
        now_ms: u64,
    ) -> Change {
        let by = updated_by.unwrap_or_else(|| self.updated_by.clone());
        let after = Self::restore(self.seq + 1, now_ms, by, frames);
        let gone = self.universes.keys().filter(|id| !after.universes.contains_key(id)).copied().collect();
        *self = after;
        Change { seq: self.seq, ts: now_ms, what: What::Whole { gone } }
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

    /// The levels of one universe as they are sent to the outputs; dark when nobody has commanded it yet.
    #[must_use]
    pub fn light(&self, universe: UniverseId) -> Arc<Frame> {
        self.universes.get(&universe).cloned().unwrap_or_else(|| Arc::new(Frame::DARK))
    }

    /// The lamp's colour.
    #[must_use]
    pub fn lamp(&self) -> Rgb {
        self.frame(UniverseId::LAMP).map(Frame::rgb).unwrap_or_default()
    }

    /// The state as MQTT and `GET /rgb` show it.
    #[must_use]
    pub fn document(&self) -> RgbState {
        let Rgb { r, g, b } = self.lamp();
        RgbState {
            schema: STATE_SCHEMA,
            r,
            g,
            b,
            seq: self.seq,
            updated_by: self.updated_by.as_str().into(),
            ts: self.ts,
        }
    }
}

/// `demo.rgb.state.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, title = "demo.rgb.state.v1", description = "The one canonical colour of the lamp.")]
pub struct RgbState {
    /// Which shape this is.
    #[schemars(extend("const" = STATE_SCHEMA))]
    pub schema: &'static str,
    /// Red.
    pub r: u8,
    /// Green.
    pub g: u8,
    /// Blue.
    pub b: u8,
    /// Number of the change; grows by 1 with each. Order by this, not by `ts`.
    pub seq: u64,
    /// The `src` of the last accepted command; `init` on a first start.
    #[schemars(length(min = 1, max = 64))]
    pub updated_by: String,
    /// The server's clock at the change, Unix milliseconds; may go back.
    pub ts: u64,
}

/// What stands over the levels: grand master and blackout, the scene in effect, running fades.
///
/// The controls that move these come with the looks; until then the master is full and nothing runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Desk {
    /// Grand master, 0..=255.
    pub master: u8,
    /// Whether everything is held dark.
    pub blackout: bool,
    /// Id of the scene in effect.
    pub scene: Option<String>,
    /// Running fades.
    pub fades: Vec<serde_json::Value>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { master: 255, blackout: false, scene: None, fades: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::{Channel, CommandId, Patch};
    use proptest::prelude::*;

    fn command(universe: u8, levels: Levels) -> Command {
        let id: CommandId = "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF".parse().unwrap();
        Command {
            id,
            source: "t".parse().unwrap(),
            patch: Patch { universe: UniverseId::new(universe).unwrap(), levels },
        }
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
                let change = state.apply(&command(universe, levels), n as u64);
                prop_assert_eq!(change.seq, n as u64 + 1);
                let mut replayed = Frame::from(before);
                let What::Levels { delta, .. } = change.what else { panic!("a command changes levels") };
                replayed.set(&delta);
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
        let change = state.apply(&dark, 5);
        let what = What::Levels { universe: UniverseId::LAMP, delta: Vec::new(), lamp: true };
        assert_eq!(change, Change { seq: 1, ts: 5, what });
        assert_eq!(state.document().updated_by, "t");
    }

    #[test]
    fn another_light_goes_on_counting_and_names_the_universes_that_are_gone() {
        let mut state = State::default();
        state.apply(&command(3, vec![(Channel::new(1).unwrap(), 9)]), 5);
        let [one, three] = [1, 3].map(|index| UniverseId::new(index).unwrap());
        let change = state.replace([(one, Frame::DARK)], None, 6);
        assert_eq!(change, Change { seq: 2, ts: 6, what: What::Whole { gone: vec![three] } });
        assert_eq!(state.universes().map(|(id, _)| id).collect::<Vec<_>>(), [UniverseId::LAMP, one]);
        assert_eq!((state.seq, state.updated_by.as_str()), (2, "t"));
    }
}
