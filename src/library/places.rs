//! Where fixtures are, and which types they have: what is asked of the patches that are there.

use std::collections::BTreeMap;

use super::error::PatchError;
use super::patch::{Known, Reading};
use super::view::View;
use crate::dmx::{Channel, FixtureId, Levels, Patch, State, TypeId, UniverseId};
use crate::wire::{ShowFile, free_place};

/// The first place for so many fixtures of a type, one behind the other, from a universe on.
pub(super) fn free(
    view: &View,
    reading: &Reading,
    of: (&TypeId, Option<&str>),
    count: u64,
    from: UniverseId,
) -> Result<(UniverseId, Channel), PatchError> {
    let types = Known(reading.types.clone());
    Ok(free_place(&view.show_read()?, &view.patch, of, count, from, &types)?)
}

/// What a fixture that was patched rests at, one set of levels for each universe, where the light is at 0.
pub(super) fn at_rest(view: &View, ids: &[FixtureId], state: &State) -> Vec<Patch> {
    let mut all: BTreeMap<UniverseId, Levels> = BTreeMap::new();
    for fixture in ids.iter().filter_map(|id| view.rig().fixture(id)) {
        let rests = view.rig().rests(fixture);
        let dark = |channel| state.frame(rests.universe).is_none_or(|frame| frame.get(channel) == 0);
        let levels = rests.levels.into_iter().filter(|(channel, _)| dark(*channel));
        all.entry(rests.universe).or_default().extend(levels);
    }
    let patches = all.into_iter().map(|(universe, levels)| Patch { universe, levels });
    patches.filter(|patch| !patch.levels.is_empty()).collect()
}

/// A fixture of this type in a show, with a mode that `has` says yes to, by its name.
pub(super) fn fixture_of_type(show: &[u8], id: &TypeId, has: impl Fn(Option<&str>) -> bool) -> Option<String> {
    // most shows do not name it at all, and need not be read
    String::from_utf8_lossy(show).contains(id.as_str()).then_some(())?;
    ShowFile::from_json(show, 0).ok()?.show.fixture_of_type(id, has)
}
