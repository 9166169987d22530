//! Where fixtures are, and which types they have: what is asked of the patches that are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{EditError, PatchError};
use super::patch::{Known, Reading};
use super::view::View;
use crate::dmx::{Channel, Fixture, Levels, Patch, TypeId, UniverseId};
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
    if view.damaged {
        return Err(EditError::Damaged.into());
    }
    Ok(free_place(&view.patch, of, count, from, &types)?)
}

/// Where fixtures rest that were not there before, or were elsewhere or something else: a head looks to the middle, a shutter is
/// open. Of fixtures without a type nobody knows: a show of the predecessor changes no light.
pub(super) fn rests(before: &View, after: &View) -> Vec<Patch> {
    let is_new = |fixture: &&Arc<Fixture>| {
        before.rig().fixture(&fixture.id).is_none_or(|was| {
            (was.universe, was.first, &was.parameters) != (fixture.universe, fixture.first, &fixture.parameters)
        })
    };
    let mut all: BTreeMap<UniverseId, Levels> = BTreeMap::new();
    for fixture in after.patch.typed().filter(is_new) {
        let rests = after.rig().rests(fixture);
        all.entry(rests.universe).or_default().extend(rests.levels);
    }
    all.into_iter().map(|(universe, levels)| Patch { universe, levels }).collect()
}

/// A fixture of this type in a show, with a mode that `has` says yes to, by its name.
pub(super) fn fixture_of_type(show: &[u8], id: &TypeId, has: impl Fn(Option<&str>) -> bool) -> Option<String> {
    // most shows do not name it at all, and need not be read
    String::from_utf8_lossy(show).contains(id.as_str()).then_some(())?;
    ShowFile::from_json(show, 0).ok()?.show.fixture_of_type(id, has)
}
