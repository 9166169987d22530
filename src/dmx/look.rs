//! A scene as light.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Channel, ChannelSet, Patch, UniverseId};

/// A scene as light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The scene's id.
    pub id: Arc<str>,
    /// Its name.
    pub name: String,
    /// Its own time.
    pub over: Duration,
    /// Universes of which it is the whole look.
    pub whole: Vec<UniverseId>,
    /// The levels that have a key, one patch a universe.
    pub keyed: Vec<Patch>,
}

impl Look {
    /// All its levels, one patch a universe.
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

    /// Whether there is no light in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.keyed.is_empty()
    }
}
