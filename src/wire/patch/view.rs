//! The patch as clients are shown it: what the document says, and where that is on the wire.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::show::Show;
use super::bodies::{PatchUniverse, PatchedFixture};
use super::entry::{self, Entry};
use super::show_patch::{PatchWarning, ShowPatch};
use super::universes;
use crate::dmx::{CHANNELS, Fixture, FixtureId, Frame, State};

/// The patch.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "PatchView", description = "The patch of the active project.")]
pub struct PatchView {
    /// Its universes.
    #[schemars(with = "Vec<PatchUniverse>")]
    universes: Vec<Value>,
    /// Its fixtures.
    #[schemars(with = "Vec<PatchedFixture>")]
    fixtures: Vec<Value>,
    /// Its groups.
    groups: Vec<GroupView>,
    /// What of it is not as it seems; absent if all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    warnings: Vec<PatchWarning>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "PatchGroup", description = "A group of fixtures.")]
pub struct GroupView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Longest patch that is shown. A large show is shown in some MiB; one of nothing but odd channels would be in a hundred times its size.
const MAX_SHOWN: usize = 16 << 20;

/// Most channels that are shown of a fixture without a place: no fixture has more.
const MOST_CHANNELS: usize = CHANNELS;

/// A patch as it is shown, made once for all who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownPatch {
    /// A [`PatchView`] as JSON; `None`: it would be too long.
    document: Option<Bytes>,
    /// Where each fixture is in it.
    fixtures: HashMap<FixtureId, Range<usize>>,
    groups: Vec<GroupView>,
}

impl ShownPatch {
    /// The patch of a show.
    #[must_use]
    pub fn of(show: &Show, patch: &ShowPatch) -> Self {
        let groups = groups(show);
        let (mut text, mut fixtures) = (br#"{"universes":"#.to_vec(), HashMap::new());
        text.extend(json_of(&universes_shown(show)));
        text.extend(br#","fixtures":["#);
        for (n, (id, fixture)) in all(show, patch).enumerate() {
            if n > 0 {
                text.push(b',');
            }
            let begins = text.len();
            text.extend(json_of(&fixture));
            if text.len() > MAX_SHOWN {
                return Self { document: None, fixtures: HashMap::new(), groups };
            }
            if let Some(id) = id {
                fixtures.entry(id).or_insert(begins..text.len());
            }
        }
        text.extend(br#"],"groups":"#);
        text.extend(json_of(&groups));
        if !patch.warnings().is_empty() {
            text.extend(br#","warnings":"#);
            text.extend(json_of(&patch.warnings()));
        }
        text.push(b'}');
        text.shrink_to_fit();
        Self { document: Some(text.into()), fixtures, groups }
    }

    /// All of it: a [`PatchView`] as JSON; `None`: it is too long to be shown.
    #[must_use]
    pub fn document(&self) -> Option<&Bytes> {
        self.document.as_ref()
    }

    /// A fixture as JSON; `None`: there is none, or the patch is too long to be shown.
    #[must_use]
    pub fn fixture(&self, id: &FixtureId) -> Option<Bytes> {
        Some(self.document.as_ref()?.slice(self.fixtures.get(id)?.clone()))
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[GroupView] {
        &self.groups
    }
}

fn json_of(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default() // JSON values never fail to serialise
}

fn universes_shown(show: &Show) -> Vec<Value> {
    let universes = universes::all(show.fields()).into_iter().map(|(id, number, fields)| {
        let mut shown = fields.cloned().unwrap_or_default();
        shown.insert("id".to_owned(), id.into());
        put(&mut shown, "number", number.map(Value::from));
        Value::Object(shown)
    });
    universes.collect()
}

/// A fixture as it is shown, with what it does now, before master and blackout.
///
/// # Errors
/// It is no JSON object.
pub fn live_fixture(
    shown: &[u8],
    patch: &ShowPatch,
    id: &FixtureId,
    state: &State,
) -> Result<Value, serde_json::Error> {
    let mut shown: Map<String, Value> = serde_json::from_slice(shown)?;
    if let Some(fixture) = patch.rig().fixture(id) {
        let frame = state.frame(fixture.universe).unwrap_or(&Frame::DARK);
        let parts = fixture.parts(frame).into_iter();
        let values: Map<String, Value> = parts.map(|(kind, part)| (kind.word().to_owned(), json!(part))).collect();
        shown.insert("values".to_owned(), values.into());
        let colour = fixture.colour(frame).map(|it| format!("#{:02x}{:02x}{:02x}", it.r, it.g, it.b));
        put(&mut shown, "color", colour.map(Value::from));
    }
    Ok(Value::Object(shown))
}

/// The groups of a show: those it lists, then those that only fixtures name.
fn groups(show: &Show) -> Vec<GroupView> {
    let listed = show.list("groups").iter().filter_map(|group| {
        let id = entry::text(group.get("id")?)?;
        let name = group.get("name").and_then(Value::as_str).unwrap_or(&id).to_owned();
        Some(GroupView { id, name })
    });
    let fixtures = show.list("fixtures").iter().filter_map(Value::as_object);
    let named = fixtures.flat_map(|fixture| Entry(fixture).groups());
    let mut seen = HashSet::new();
    let all = listed.chain(named.map(|id| GroupView { name: id.clone(), id }));
    all.filter(|group| seen.insert(group.id.clone())).collect()
}

/// Every fixture, one by one: all of them as values are many times as large as their text.
fn all(show: &Show, patch: &ShowPatch) -> impl Iterator<Item = (Option<FixtureId>, Map<String, Value>)> {
    let mut placed: HashMap<&FixtureId, &Fixture> =
        patch.rig().fixtures().iter().map(|fixture| (&fixture.id, &**fixture)).collect();
    let fixtures = show.list("fixtures").iter().filter_map(Value::as_object);
    fixtures.map(move |fields| {
        let id = Entry(fields).id();
        // of two with one id, the first has the place
        let place = id.as_ref().and_then(|id| placed.remove(id));
        (id, shown(Entry(fields), place))
    })
}

/// A fixture as shown: fields that dmxd knows have the form that its schema says, or are left out.
fn shown(entry: Entry<'_>, place: Option<&Fixture>) -> Map<String, Value> {
    let others = entry.0.iter().filter(|(name, _)| *name != "channels");
    let mut shown: Map<String, Value> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    let id = entry.0.get("id").and_then(entry::text).unwrap_or_default();
    let name = if entry.name().is_empty() { id.as_str() } else { entry.name() };
    shown.insert("name".to_owned(), name.into());
    put(&mut shown, "universeId", entry.universe().map(Value::from));
    put(&mut shown, "universe", place.map(|it| it.universe.index().into()));
    put(&mut shown, "dmxAddress", entry.address().map(|it| it.number().into()));
    put(&mut shown, "channelCount", place.map(|it| it.channels).or_else(|| entry.channel_count()).map(Value::from));
    put(&mut shown, "footprint", place.map(|it| json!([it.first.number(), it.last().number()])));
    put(&mut shown, "type", entry.type_text().map(Value::from));
    put(&mut shown, "mode", entry.mode().map(Value::from));
    let topic = place.and_then(|it| it.topic.as_deref()).or(entry.topic());
    put(&mut shown, "topic", topic.map(Value::from));
    let groups: Vec<String> = entry.groups().collect();
    put(&mut shown, "groups", (!groups.is_empty()).then(|| groups.into()));
    shown.insert("channels".to_owned(), channels(entry, &id, place).into());
    shown.insert("id".to_owned(), id.into());
    shown
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
}

/// The channels of a fixture with what they do.
fn channels(entry: Entry<'_>, fixture: &str, place: Option<&Fixture>) -> Vec<Value> {
    let count = place.map_or(entry.channels().len().min(MOST_CHANNELS), |it| it.channels.into());
    let mut does = HashMap::new();
    for parameter in place.iter().flat_map(|it| it.parameters.iter()) {
        for (n, &at) in parameter.places.iter().enumerate() {
            does.insert(usize::from(at), (parameter.kind.word(), n > 0));
        }
    }
    let channel = |n: usize| {
        let written = entry.channels().get(n);
        let mut shown = written.and_then(Value::as_object).cloned().unwrap_or_default();
        let id = written.and_then(entry::channel_id).filter(|id| id.parse::<FixtureId>().is_ok());
        shown.insert("id".to_owned(), id.unwrap_or_else(|| format!("{fixture}-{n}")).into());
        shown.insert("name".to_owned(), written.map(entry::channel_name).unwrap_or_default().into());
        let (kind, fine) = does.get(&n).copied().unwrap_or(("other", false));
        put(&mut shown, "kind", place.map(|_| kind.into()));
        put(&mut shown, "fine", (place.is_some() && fine).then_some(Value::Bool(true)));
        Value::Object(shown)
    };
    (0..count).map(channel).collect()
}
