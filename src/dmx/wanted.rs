//! What somebody wants of fixtures, and the levels that give it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Channel, Kind, Patch, Rgb, Rig, UniverseId};

/// What is wanted of fixtures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// A colour, spread over what emitters each has.
    pub colour: Option<Rgb>,
    /// Kinds and their part of full, 0..=1. They count more than the colour.
    pub parts: Vec<(Kind, f64)>,
}

/// Why fixtures cannot give what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The target at this place is neither a fixture nor a group with one.
    NoTarget(usize),
    /// No target has this kind.
    NoKind(Kind),
    /// No target has a colour.
    NoColour,
    /// Nothing is wanted.
    Nothing,
}

impl Rig {
    /// The levels that give what is wanted of fixtures and groups, one patch per universe. A fixture without a kind leaves it
    /// to those that have it.
    ///
    /// # Errors
    /// All that cannot be met.
    pub fn levels(&self, targets: &[String], wanted: &Wanted) -> Result<Vec<Patch>, Vec<Unmet>> {
        let (fixtures, missing) = self.targets(targets.iter().map(String::as_str));
        let mut unmet: Vec<_> = missing.into_iter().map(Unmet::NoTarget).collect();
        let mut levels: BTreeMap<UniverseId, BTreeMap<Channel, u8>> = BTreeMap::new();
        let mut met = BTreeSet::new();
        let mut is_coloured = wanted.colour.is_none();
        for fixture in &fixtures {
            let universe = levels.entry(fixture.universe).or_default();
            if let Some(colour) = wanted.colour {
                let coloured = fixture.coloured(colour);
                is_coloured |= fixture.has_colour();
                universe.extend(coloured);
            }
            for &(kind, part) in &wanted.parts {
                if fixture.has(kind) {
                    met.insert(kind);
                    universe.extend(fixture.set(kind, part));
                }
            }
        }
        if *wanted == Wanted::default() {
            unmet.push(Unmet::Nothing);
        }
        if !fixtures.is_empty() {
            unmet.extend((!is_coloured).then_some(Unmet::NoColour));
            let missing = wanted.parts.iter().map(|(kind, _)| *kind).filter(|kind| !met.contains(kind));
            unmet.extend(missing.map(Unmet::NoKind));
        }
        if !unmet.is_empty() {
            return Err(unmet);
        }
        let patch = |(universe, levels): (_, BTreeMap<_, _>)| Patch { universe, levels: levels.into_iter().collect() };
        Ok(levels.into_iter().map(patch).filter(|patch| !patch.levels.is_empty()).collect())
    }
}
