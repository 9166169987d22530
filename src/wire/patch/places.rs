//! Which channels are taken, and by whom.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::entry::Entry;
use super::read::KnownTypes;
use super::show_patch::ShowPatch;
use crate::dmx::{CHANNELS, Channel, FixtureId, UniverseId};

/// A fixture's place, and what it is: two that are the same may share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occupant {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) first: Channel,
    pub(super) channels: u16,
    /// Type and mode, or what the predecessor calls it.
    pub(super) make: (Option<String>, String),
}

/// Every fixture that has a place, by universe.
#[derive(Default)]
pub(super) struct Places(BTreeMap<UniverseId, Vec<Occupant>>);

impl Places {
    /// Of all fixtures but one.
    pub(super) fn of(patch: &ShowPatch, fixtures: &[Value], but: Option<&FixtureId>, types: &impl KnownTypes) -> Self {
        let entries = fixtures.iter().filter_map(Value::as_object).map(Entry);
        let mut makes = HashMap::new();
        for entry in entries {
            if let Some(id) = entry.id() {
                makes.entry(id).or_insert_with(|| make(entry.0, types));
            }
        }
        let mut places = Self::default();
        for fixture in patch.rig().fixtures().iter().filter(|fixture| Some(&fixture.id) != but) {
            places.0.entry(fixture.universe).or_default().push(Occupant {
                id: fixture.id.to_string(),
                name: fixture.name.to_string(),
                first: fixture.first,
                channels: fixture.channels,
                make: makes.get(&fixture.id).cloned().unwrap_or_default(),
            });
        }
        places
    }

    /// Whether a fixture may be there: nothing is in its way but what is the same at the same place.
    pub(super) fn check(&self, universe: UniverseId, wanted: &Occupant) -> Result<(), String> {
        let (first, last) = wanted.span();
        if last > CHANNELS {
            return Err(format!(
                "{} ({}) does not fit: its channels {first} to {last} go beyond {CHANNELS} of universe {universe}",
                wanted.name, wanted.id
            ));
        }
        let overlaps = |other: &&Occupant| other.span().0 <= last && first <= other.span().1;
        let others = self.0.get(&universe).into_iter().flatten();
        let same = |other: &Occupant| (other.first, &other.make) == (wanted.first, &wanted.make);
        match others.filter(overlaps).find(|other| !same(other)) {
            None => Ok(()),
            Some(other) => Err(format!(
                "{} ({}) would take channels {first} to {last} of universe {universe}, where {} ({}) has {} to {}",
                wanted.name,
                wanted.id,
                other.name,
                other.id,
                other.span().0,
                other.span().1
            )),
        }
    }

    /// The first free run of so many channels, from this universe on.
    pub(super) fn free(&self, from: UniverseId, universes: u8, channels: usize) -> Option<(UniverseId, Channel)> {
        (from.index()..universes).filter_map(UniverseId::new).find_map(|universe| {
            let mut taken: Vec<_> = self.0.get(&universe).into_iter().flatten().map(Occupant::span).collect();
            taken.sort_unstable();
            let mut next = 1;
            for (first, last) in taken {
                if next + channels <= first {
                    break;
                }
                next = next.max(last + 1);
            }
            let fits = next + channels - 1 <= CHANNELS;
            fits.then(|| Some((universe, Channel::new(u16::try_from(next).ok()?)?))).flatten()
        })
    }
}

impl Occupant {
    /// Its first and last channel.
    fn span(&self) -> (usize, usize) {
        let first = usize::from(self.first.number());
        (first, first + usize::from(self.channels.max(1)) - 1)
    }
}

/// What a fixture is: type and mode, the first one by its name; without a type what the predecessor calls it.
pub(super) fn make(fixture: &Map<String, Value>, types: &impl KnownTypes) -> (Option<String>, String) {
    let entry = Entry(fixture);
    let Some(written) = entry.type_text() else {
        let called = fixture.get("fixtureType").and_then(Value::as_str).unwrap_or_default();
        return (None, format!("{called} with {} channels", entry.channels().len()));
    };
    let known = written.parse().ok().and_then(|id| types.of(&id));
    let mode = known.as_ref().and_then(|known| Some(known.mode(entry.mode())?.name.as_str()));
    (Some(written.to_owned()), mode.or(entry.mode()).unwrap_or_default().to_owned())
}
