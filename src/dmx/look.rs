//! A scene as light.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Channel, ChannelSet, Patch, SceneId, UniverseId};

/// A scene as light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its id.
    pub id: SceneId,
    /// Its name.
    pub name: String,
    /// The scene's own fade time.
    pub over: Duration,
    /// Universes that it sets completely.
    pub whole: Vec<UniverseId>,
    /// The levels that are named, one patch per universe.
    pub keyed: Vec<Patch>,
}

impl Look {
    /// All its levels, one patch per universe.
    #[must_use]
    pub fn patches(&self) -> Vec<Patch> {
        let mut frames: BTreeMap<UniverseId, BTreeMap<Channel, u8>> = BTreeMap::new();
        for &universe in &self.whole {
            frames.insert(universe, ChannelSet::ALL.iter().map(|channel| (channel, 0)).collect());
        }
        for patch in &self.keyed {
            frames.entry(patch.universe).or_default().extend(patch.levels.iter().copied());
        }
        let patch = |(universe, levels): (_, BTreeMap<_, _>)| Patch { universe, levels: levels.into_iter().collect() };
        frames.into_iter().map(patch).collect()
    }

    /// Whether it holds no light.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.keyed.is_empty()
    }
}
