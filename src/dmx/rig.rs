//! The patch as light: which channels belong to fixtures, and what master, blackout and fades do with them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::wide::Wide;
use super::{Channel, ChannelSet, Fixture, FixtureId, Kind, Patch, UniverseId};

/// What one universe's channels do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Channels that master and blackout touch.
    pub(super) dims: ChannelSet,
    /// Channels that blackout takes to 0 at its end, and the master leaves alone: of fixtures that have nothing to dim.
    pub(super) closes: ChannelSet,
    /// Channels that jump at the start of a fade.
    pub(super) snaps: ChannelSet,
    /// Values of more than 8 bits.
    pub(super) wides: BTreeSet<Wide>,
    /// Channels of fixtures.
    pub(super) patched: ChannelSet,
    /// Where patched channels rest, if not at 0.
    pub(super) rests: BTreeMap<Channel, u8>,
}

/// The fixtures of the active project, with places. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rig(Arc<Inner>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Inner {
    fixtures: Vec<Arc<Fixture>>,
    by_id: HashMap<FixtureId, usize>,
    by_group: HashMap<Arc<str>, Vec<usize>>,
    layouts: BTreeMap<UniverseId, Layout>,
}

impl Rig {
    /// Of these fixtures; of two with one id the first counts.
    #[must_use]
    pub fn new(fixtures: Vec<Fixture>) -> Self {
        let mut inner = Inner::default();
        for fixture in fixtures {
            if inner.by_id.contains_key(&fixture.id) {
                continue;
            }
            inner.layouts.entry(fixture.universe).or_insert_with(Layout::unpatched).take(&fixture);
            let at = inner.fixtures.len();
            inner.by_id.insert(fixture.id.clone(), at);
            for group in &fixture.groups {
                let members = inner.by_group.entry(group.clone()).or_default();
                if members.last() != Some(&at) {
                    members.push(at);
                }
            }
            inner.fixtures.push(Arc::new(fixture));
        }
        Self(Arc::new(inner))
    }

    /// Whether this is a clone of the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether nothing is patched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.fixtures.is_empty()
    }

    /// All fixtures, in the order of the patch.
    #[must_use]
    pub fn fixtures(&self) -> &[Arc<Fixture>] {
        &self.0.fixtures
    }

    /// The fixture with this id.
    #[must_use]
    pub fn fixture(&self, id: &FixtureId) -> Option<&Arc<Fixture>> {
        self.0.fixtures.get(*self.0.by_id.get(id)?)
    }

    /// The fixtures that these targets name, each once and in the order of the patch; and the places of targets that are neither a fixture
    /// nor a group with one. The work is bounded by the patch, however often a target is named.
    #[must_use]
    pub fn targets<'a>(&self, targets: impl IntoIterator<Item = &'a str>) -> (Vec<Arc<Fixture>>, Vec<usize>) {
        let (mut found, mut known, mut missing) = (BTreeSet::new(), HashMap::new(), Vec::new());
        for (n, target) in targets.into_iter().enumerate() {
            let is_there = *known.entry(target).or_insert_with(|| {
                if let Some(&at) = target.parse::<FixtureId>().ok().and_then(|id| self.0.by_id.get(&id)) {
                    found.insert(at);
                    return true;
                }
                let members = self.0.by_group.get(target);
                found.extend(members.into_iter().flatten());
                members.is_some()
            });
            if !is_there {
                missing.push(n);
            }
        }
        (found.into_iter().filter_map(|at| self.0.fixtures.get(at).cloned()).collect(), missing)
    }

    /// Where patched channels rest that do not rest at 0, by universe.
    #[must_use]
    pub fn rests(&self, of: &Fixture) -> Patch {
        let layout = self.0.layouts.get(&of.universe);
        let channels = (0..of.channels).filter_map(|place| of.channel(place));
        let rest = |channel| Some((channel, *layout?.rests.get(&channel)?));
        Patch { universe: of.universe, levels: channels.filter_map(rest).collect() }
    }

    pub(super) fn layout(&self, universe: UniverseId) -> Option<&Layout> {
        self.0.layouts.get(&universe)
    }
}

impl Layout {
    fn unpatched() -> Self {
        Self {
            dims: ChannelSet::ALL,
            closes: ChannelSet::NONE,
            snaps: ChannelSet::NONE,
            wides: BTreeSet::new(),
            patched: ChannelSet::NONE,
            rests: BTreeMap::new(),
        }
    }

    fn take(&mut self, fixture: &Fixture) {
        let own: ChannelSet = (0..fixture.channels).filter_map(|place| fixture.channel(place)).collect();
        let of = |kind: fn(Kind) -> bool| {
            let of_kind = fixture.parameters.iter().filter(|parameter| kind(parameter.kind));
            of_kind.flat_map(|parameter| fixture.channels_of(parameter)).collect::<ChannelSet>()
        };
        let (intensity, mixing) = (of(|kind| kind == Kind::Intensity), of(Kind::mixes));
        let is_known = fixture.parameters.iter().any(|parameter| parameter.kind != Kind::Other);
        self.dims.remove_all(&own);
        self.closes.remove_all(&own);
        if let Some(dimmed) = [intensity, mixing].into_iter().find(|set| *set != ChannelSet::NONE) {
            self.dims.add_all(&dimmed);
        } else if is_known {
            self.closes.add_all(&of(|kind| !kind.stays()));
        } else {
            self.dims.add_all(&own);
        }
        self.patched.add_all(&own);
        self.snaps.remove_all(&own);
        for parameter in fixture.parameters.iter() {
            let channels: Vec<Channel> = fixture.channels_of(parameter).collect();
            if parameter.kind.snaps() {
                channels.iter().for_each(|&channel| self.snaps.add(channel));
            }
            for (n, &channel) in channels.iter().rev().enumerate() {
                let [level, ..] = (parameter.default >> (8 * n)).to_le_bytes();
                if level > 0 {
                    self.rests.insert(channel, level);
                }
            }
            if channels.len() > 1 && !parameter.kind.snaps() {
                self.wides.insert(channels.into());
            }
        }
    }
}
