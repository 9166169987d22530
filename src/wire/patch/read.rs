//! Reads a show's document as a patch.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::show::Show;
use super::entry::{self, Entry};
use super::show_patch::{PatchWarning, Placed, ShowPatch};
use super::universes::Universes;
use crate::dmx::{CHANNELS, Channel, Fixture, FixtureId, FixtureType, Parameter, TypeId, UNIVERSES, UniverseId};

/// Most fixtures that light up. A large stage has some hundreds; a thousand is what the figures are measured with.
pub const MAX_FIXTURES: usize = 2000;

/// Most channels of all fixtures together: each of the contract's universes twice, for fixtures that share places.
const MAX_CHANNELS: usize = 2 * UNIVERSES * CHANNELS;

/// Most warnings that are told one by one.
const MAX_WARNINGS: usize = 100;

/// What is known of fixture types.
pub trait KnownTypes {
    /// The type with this id.
    fn of(&self, id: &TypeId) -> Option<Arc<FixtureType>>;

    /// What channels with these names do.
    fn named(&self, names: &[&str]) -> Vec<Parameter>;
}

/// The patch of a show.
#[must_use]
pub fn show_patch(show: &Show, universes: u8, types: &impl KnownTypes) -> ShowPatch {
    let mut reader = Reader {
        types,
        universes,
        numbers: Universes::of(show.fields()),
        modes: HashMap::new(),
        names: HashMap::new(),
        taken: HashSet::new(),
        topics: HashSet::new(),
        channels: 0,
        owners: BTreeMap::new(),
        placed: Vec::new(),
        warnings: Vec::new(),
    };
    for fixture in show.list("fixtures") {
        let Some(fields) = fixture.as_object() else {
            reader.warn(None, "a fixture is no object, so it is left out");
            continue;
        };
        let entry = Entry(fields);
        if let Err(why) = reader.place(entry) {
            reader.warn(Some(entry), format!("{why}, so it does not light up"));
        }
    }
    reader.finish()
}

/// What a mode does, and how many channels it takes.
#[derive(Clone)]
struct Does {
    parameters: Arc<[Parameter]>,
    channels: u16,
}

struct Reader<'a, T> {
    types: &'a T,
    universes: u8,
    numbers: Universes,
    /// By type and mode.
    modes: HashMap<(&'a str, Option<&'a str>), Option<Does>>,
    /// By the names of channels.
    names: HashMap<Vec<&'a str>, Arc<[Parameter]>>,
    /// Ids of fixtures so far.
    taken: HashSet<FixtureId>,
    /// Topics of lamps so far.
    topics: HashSet<String>,
    /// Channels so far.
    channels: usize,
    /// Which fixture had each channel first, by its place in `placed`.
    owners: BTreeMap<UniverseId, Vec<Option<usize>>>,
    placed: Vec<Placed>,
    warnings: Vec<PatchWarning>,
}

impl<'a, T: KnownTypes> Reader<'a, T> {
    /// Gives a fixture its place; else why it has none.
    fn place(&mut self, entry: Entry<'a>) -> Result<(), String> {
        let id = entry.id().ok_or("it has no id of 1 to 128 characters")?;
        if self.taken.contains(&id) {
            return Err("another fixture before it has its id".to_owned());
        }
        let (universe, first) = self.spot(entry)?;
        let (Does { parameters, channels }, typed) = self.does(entry, first)?;
        if self.placed.len() >= MAX_FIXTURES {
            return Err(format!("there are {MAX_FIXTURES} fixtures before it, the most"));
        }
        self.channels += usize::from(channels);
        if self.channels > MAX_CHANNELS {
            return Err(format!("fixtures have {MAX_CHANNELS} channels before it, the most"));
        }
        let topic = self.topic(entry);
        let name = match entry.name() {
            "" => id.as_str().into(),
            name => name.into(),
        };
        let groups = entry.groups().map(Arc::from).collect();
        let ids = channel_ids(entry, &id, channels);
        let fixture = Fixture { id: id.clone(), name, universe, first, channels, parameters, groups, topic };
        self.look_for_overlap(entry, &fixture);
        self.taken.insert(id);
        self.placed.push((fixture, ids, typed));
        Ok(())
    }

    /// Universe and first channel.
    fn spot(&self, entry: Entry<'a>) -> Result<(UniverseId, Channel), String> {
        let id = entry.universe().ok_or("it has no universeId")?;
        let number = self.numbers.number(&id).ok_or_else(|| format!("its universe {id} is not in the show"))?;
        let number = number.ok_or_else(|| format!("its universe {id} has no number"))?;
        let known = u8::try_from(number).ok().and_then(UniverseId::new).filter(|id| id.index() < self.universes);
        let last = self.universes.saturating_sub(1);
        let universe = known.ok_or_else(|| {
            format!("its universe has the number {number}, and there are 0 to {last} (engine.universes)")
        })?;
        let first = entry.address().ok_or_else(|| format!("its dmxAddress is not from 1 to {CHANNELS}"))?;
        Ok((universe, first))
    }

    /// What it does from this channel on, and how many it takes: as many as it lists, and no fewer than its type has. Names are
    /// read of what fits alone: a fixture may list thousands. True: its type is known.
    fn does(&mut self, entry: Entry<'a>, first: Channel) -> Result<(Does, bool), String> {
        let listed = match entry.channels().len() {
            0 => entry.channel_count().unwrap_or(0),
            count => u16::try_from(count).unwrap_or(u16::MAX),
        };
        let known = self.of_type(entry);
        let channels = known.as_ref().map_or(0, |does| does.channels).max(listed);
        if channels == 0 {
            return Err("it has no channels".to_owned());
        }
        if usize::from(first.number() - 1) + usize::from(channels) > CHANNELS {
            return Err(format!("its {channels} channels from {} on do not fit into a universe", first.number()));
        }
        let typed = known.is_some();
        let parameters = known.map(|does| does.parameters).unwrap_or_else(|| self.of_names(entry));
        Ok((Does { parameters, channels }, typed))
    }

    fn of_type(&mut self, entry: Entry<'a>) -> Option<Does> {
        let (written, mode) = (entry.type_text()?, entry.mode());
        let types = self.types;
        let of = || {
            let of_type = types.of(&written.parse().ok()?)?;
            let mode = of_type.mode(mode)?;
            let channels = u16::try_from(mode.channels.len()).ok()?;
            Some(Does { parameters: mode.parameters.clone().into(), channels })
        };
        let known = self.modes.entry((written, mode)).or_insert_with(of).clone();
        if known.is_none() {
            let of_mode = mode.map(|mode| format!(" with the mode {mode}")).unwrap_or_default();
            let why = "so the names of its channels say what they do";
            self.warn(Some(entry), format!("its type {written}{of_mode} is not known here, {why}"));
        }
        known
    }

    fn of_names(&mut self, entry: Entry<'a>) -> Arc<[Parameter]> {
        let names: Vec<&str> = entry.channels().iter().map(entry::channel_name).collect();
        let types = self.types;
        self.names.entry(names).or_insert_with_key(|names| types.named(names).into()).clone()
    }

    /// Where a lamp listens: one topic, one lamp.
    fn topic(&mut self, entry: Entry<'a>) -> Option<Arc<str>> {
        let topic = entry.listens_to()?;
        if topic.parse::<TypeId>().is_err() {
            let which = if entry.topic().is_some() { "topic" } else { "id, for want of a topic," };
            self.warn(Some(entry), format!("its {which} is no id of letters, digits, - and _, so no lamp hears it"));
            return None;
        }
        if !self.topics.insert(topic.clone()) {
            self.warn(Some(entry), "another fixture before it has its topic, so no lamp hears it");
            return None;
        }
        Some(topic.into())
    }

    /// Two fixtures at one place are meant if they are the same; else somebody wants to know.
    fn look_for_overlap(&mut self, entry: Entry<'a>, fixture: &Fixture) {
        let owners = self.owners.entry(fixture.universe).or_insert_with(|| vec![None; CHANNELS]);
        let begins = usize::from(fixture.first.number() - 1);
        let mut hit = None;
        for owner in owners.iter_mut().skip(begins).take(fixture.channels.into()) {
            hit = hit.or(*owner);
            owner.get_or_insert(self.placed.len());
        }
        let Some((other, ..)) = hit.and_then(|hit| self.placed.get(hit)) else { return };
        let same = (other.first, other.channels) == (fixture.first, fixture.channels)
            && other.parameters == fixture.parameters;
        if !same {
            let message = format!("it shares channels with {} ({})", other.name, other.id);
            self.warn(Some(entry), message);
        }
    }

    fn warn(&mut self, fixture: Option<Entry<'_>>, message: impl Into<String>) {
        let fixture = fixture.and_then(|entry| entry.0.get("id").and_then(entry::text));
        let fixture = fixture.map(|id| id.chars().take(128).collect());
        self.warnings.push(PatchWarning { fixture, message: message.into() });
    }

    fn finish(mut self) -> ShowPatch {
        let more = self.warnings.len().saturating_sub(MAX_WARNINGS);
        if more > 0 {
            self.warnings.truncate(MAX_WARNINGS);
            self.warnings.push(PatchWarning { fixture: None, message: format!("and {more} warnings more") });
        }
        ShowPatch::new(self.universes, self.placed, self.warnings)
    }
}

/// The ids of a fixture's channels: as written, else by its own id.
fn channel_ids(entry: Entry<'_>, fixture: &FixtureId, channels: u16) -> Vec<String> {
    let mut written = entry.channels().iter().map(entry::channel_id);
    let short = |id: &String| id.parse::<FixtureId>().is_ok();
    (0..channels)
        .map(|place| written.next().flatten().filter(short).unwrap_or_else(|| format!("{fixture}-{place}")))
        .collect()
}
