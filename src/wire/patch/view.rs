//! The patch as clients are shown it: what the document says, and where that is on the wire.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::show::Show;
use super::bodies::{PatchUniverse, PatchedFixture};
use super::entry::{self, Entry};
use super::show_patch::{PatchWarning, ShowPatch};
use super::universes;
use crate::dmx::{Fixture, FixtureId, Frame, State};

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

impl PatchView {
    /// The patch of a show.
    #[must_use]
    pub fn of(show: &Show, patch: &ShowPatch) -> Self {
        let universes = universes::all(show.fields()).into_iter().map(|(id, number, fields)| {
            let mut shown = fields.cloned().unwrap_or_default();
            shown.insert("id".to_owned(), id.into());
            put(&mut shown, "number", number.map(Value::from));
            Value::Object(shown)
        });
        Self {
            universes: universes.collect(),
            fixtures: all(show, patch).into_iter().map(|(_, fixture)| Value::Object(fixture)).collect(),
            groups: groups(show),
            warnings: patch.warnings().to_vec(),
        }
    }
}

/// Some fixtures, in the order of the show.
#[must_use]
pub fn fixtures_shown(show: &Show, patch: &ShowPatch, ids: &[FixtureId]) -> Vec<Value> {
    let wanted: HashSet<&FixtureId> = ids.iter().collect();
    let all = all(show, patch).into_iter();
    all.filter(|(id, _)| id.as_ref().is_some_and(|id| wanted.contains(id))).map(|(_, it)| Value::Object(it)).collect()
}

/// A fixture with what it does now, before master and blackout; `None`: there is none.
#[must_use]
pub fn live_fixture(show: &Show, patch: &ShowPatch, id: &FixtureId, state: &State) -> Option<Value> {
    let (_, mut shown) = all(show, patch).into_iter().find(|(known, _)| known.as_ref() == Some(id))?;
    if let Some(fixture) = patch.rig().fixture(id) {
        let frame = state.frame(fixture.universe).unwrap_or(&Frame::DARK);
        let parts = fixture.parts(frame).into_iter();
        let values: Map<String, Value> = parts.map(|(kind, part)| (kind.word().to_owned(), json!(part))).collect();
        shown.insert("values".to_owned(), values.into());
        let colour = fixture.colour(frame).map(|it| format!("#{:02x}{:02x}{:02x}", it.r, it.g, it.b));
        put(&mut shown, "color", colour.map(Value::from));
    }
    Some(Value::Object(shown))
}

/// The groups of a show: those it lists, then those that only fixtures name.
#[must_use]
pub fn groups(show: &Show) -> Vec<GroupView> {
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

fn all(show: &Show, patch: &ShowPatch) -> Vec<(Option<FixtureId>, Map<String, Value>)> {
    let mut placed: HashMap<&FixtureId, (&Fixture, _)> =
        patch.fixtures().map(|(fixture, keys)| (&fixture.id, (&**fixture, keys))).collect();
    let fixtures = show.list("fixtures").iter().filter_map(Value::as_object);
    fixtures
        .map(|fields| {
            let id = Entry(fields).id();
            // of two with one id, the first has the place
            let place = id.as_ref().and_then(|id| placed.remove(id)).map(|(fixture, _)| fixture);
            (id, shown(Entry(fields), place))
        })
        .collect()
}

/// A fixture as shown: fields that dmxd knows have the form that its schema says, or are left out.
fn shown(entry: Entry<'_>, place: Option<&Fixture>) -> Map<String, Value> {
    let mut shown = entry.0.clone();
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
    put(&mut shown, "topic", entry.topic().map(Value::from));
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
    let count = place.map_or(entry.channels().len(), |it| it.channels.into());
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
