//! The patch of a show as light: its fixtures, and what its channels are called in scenes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::scene_key;
use crate::dmx::{Channel, Fixture, Kind, Rig, UniverseId};

/// The patch of a show as light.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShowPatch {
    /// Universes that may be commanded: those from 0 on.
    universes: u8,
    rig: Rig,
    /// The scene keys of each fixture's channels, in the order of the rig.
    keys: Vec<Vec<Arc<str>>>,
    channels: HashMap<Arc<str>, (UniverseId, Channel)>,
    /// Where channels rest that are neither intensity nor colour, and do not rest at 0.
    rests: BTreeMap<UniverseId, BTreeMap<Channel, u8>>,
    /// Whether the type of each fixture is known, in the order of the rig.
    typed: Vec<bool>,
    warnings: Vec<PatchWarning>,
}

/// A fixture with the ids of its channels, and whether its type is known.
pub(super) type Placed = (Fixture, Vec<String>, bool);

/// What of a patch is not as its document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "PatchWarning", description = "What of the patch is not as it seems.")]
pub struct PatchWarning {
    /// The fixture's id; absent if it has none, or if this is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixture: Option<String>,
    /// What is wrong, and with what effect.
    pub message: String,
}

impl ShowPatch {
    /// Without a fixture.
    #[must_use]
    pub fn none(universes: u8) -> Self {
        Self { universes, ..Self::default() }
    }

    /// Of fixtures, each with the ids of its channels. An id that stands twice, or that a channel of another place has as its
    /// number, is no key: such a channel goes by its number.
    pub(super) fn new(universes: u8, fixtures: Vec<Placed>, warnings: Vec<PatchWarning>) -> Self {
        let mut patch = Self { universes, warnings, ..Self::default() };
        let mut placed = Vec::with_capacity(fixtures.len());
        for (fixture, ids, typed) in fixtures {
            let keys = (0..fixture.channels).zip(ids).filter_map(|(place, id)| {
                let channel = fixture.channel(place)?;
                Some(patch.take_channel(id, fixture.universe, channel))
            });
            let keys = keys.collect();
            patch.keys.push(keys);
            patch.typed.push(typed);
            placed.push(fixture);
        }
        patch.rig = Rig::new(placed);
        patch.rests = rests(&patch.rig);
        patch
    }

    /// The scene key of a channel with this id.
    fn take_channel(&mut self, id: String, universe: UniverseId, channel: Channel) -> Arc<str> {
        let id: Arc<str> = id.into();
        if scene_key::channel(&id).is_some() || self.channels.contains_key(&id) {
            return scene_key::key(universe, channel).into();
        }
        self.channels.insert(id.clone(), (universe, channel));
        id
    }

    /// The fixtures that have a place.
    #[must_use]
    pub fn rig(&self) -> &Rig {
        &self.rig
    }

    /// What is not as the document says.
    #[must_use]
    pub fn warnings(&self) -> &[PatchWarning] {
        &self.warnings
    }

    /// Universes that may be commanded: those from 0 on.
    #[must_use]
    pub fn universes(&self) -> u8 {
        self.universes
    }

    /// The channel that a scene key names.
    #[must_use]
    pub fn channel(&self, key: &str) -> Option<(UniverseId, Channel)> {
        let known = scene_key::channel(key).or_else(|| self.channels.get(key).copied());
        known.filter(|(universe, _)| universe.index() < self.universes)
    }

    /// Every fixture with the scene keys of its channels.
    pub fn fixtures(&self) -> impl Iterator<Item = (&Arc<Fixture>, &[Arc<str>])> {
        self.rig.fixtures().iter().zip(self.keys.iter().map(Vec::as_slice))
    }

    /// The fixtures whose type is known. Of others, the names of their channels say what they do, which is a guess.
    pub fn typed(&self) -> impl Iterator<Item = &Arc<Fixture>> {
        self.rig.fixtures().iter().zip(&self.typed).filter(|(_, typed)| **typed).map(|(fixture, _)| fixture)
    }

    /// Where channels of a universe rest that are neither intensity nor colour, and do not rest at 0.
    pub fn rests(&self, universe: UniverseId) -> impl Iterator<Item = (Channel, u8)> + '_ {
        self.rests.get(&universe).into_iter().flatten().map(|(&channel, &level)| (channel, level))
    }
}

fn rests(rig: &Rig) -> BTreeMap<UniverseId, BTreeMap<Channel, u8>> {
    let mut all: BTreeMap<UniverseId, BTreeMap<Channel, u8>> = BTreeMap::new();
    for fixture in rig.fixtures() {
        let other = |kind: Kind| kind != Kind::Intensity && !kind.mixes();
        let others = fixture.parameters.iter().filter(|parameter| other(parameter.kind));
        let channels: Vec<Channel> = others.flat_map(|parameter| fixture.channels_of(parameter)).collect();
        let resting = rig.rests(fixture).levels.into_iter().filter(|(channel, _)| channels.contains(channel));
        for (channel, level) in resting {
            all.entry(fixture.universe).or_default().insert(channel, level);
        }
    }
    all
}
