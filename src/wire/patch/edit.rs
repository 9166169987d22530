//! Edits of the patch: new fixtures, other fields, groups. Pure: a show in, a show out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::document;
use super::super::fields::Body;
use super::super::refusal::{Faults, FieldError, Reason, Refusal, pointer};
use super::super::scene::Scene;
use super::super::show::Show;
use super::bodies::{FIELDS, GROUP, NEW};
use super::entry::{self, Entry, ON_MQTT};
use super::naming::Taken;
use super::places::{Occupant, Places, make};
use super::read::{KnownTypes, show_patch};
use super::show_patch::ShowPatch;
use super::universes;
use crate::dmx::{Channel, FixtureId, FixtureType, Mode, TypeId, UniverseId};

/// Most groups.
const MAX_GROUPS: usize = 500;

/// Why another fixture has no topic.
const OF_LAMPS: &str = "is for lamps of type mqtt-rgb";

/// One edit of the patch.
#[derive(Clone, Debug, PartialEq)]
pub enum PatchEdit {
    /// New fixtures, one behind the other.
    Add(Map<String, Value>),
    /// Fields of a fixture; `null` removes one.
    Change {
        /// Which.
        id: FixtureId,
        /// The new values.
        fields: Map<String, Value>,
    },
    /// Takes a fixture out.
    Delete {
        /// Which.
        id: FixtureId,
    },
    /// All groups.
    Groups(Vec<Value>),
}

/// Why a patch was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPatched {
    /// There is no such fixture.
    #[error("there is no fixture {0}")]
    NoFixture(FixtureId),
    /// The faults of the body.
    #[error("{0}")]
    Refused(Refusal),
    /// The place is taken, or there is none.
    #[error("{0}")]
    Conflict(String),
}

impl PatchEdit {
    /// Reads a body of `POST /patch/fixtures`.
    ///
    /// # Errors
    /// Every fault that shows without the patch.
    pub fn add(body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::Add(checked(body, &NEW)?))
    }

    /// Reads a body of `PATCH /patch/fixtures/{id}`.
    ///
    /// # Errors
    /// Every fault that shows without the patch.
    pub fn change(id: FixtureId, body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::Change { id, fields: checked(body, &FIELDS)? })
    }

    /// Reads a body of `PUT /patch/groups`.
    ///
    /// # Errors
    /// Every fault that shows without the patch.
    pub fn groups(body: &[u8]) -> Result<Self, Refusal> {
        let Value::Array(list) = document::value(body, document::SCENES_DEPTH)? else {
            return Err(Refusal::whole(Reason::ValidationFailed, "must be a list of groups"));
        };
        let mut faults = Faults::default();
        if list.len() > MAX_GROUPS {
            faults.add("", format!("must have at most {MAX_GROUPS} groups"));
        }
        let mut ids = HashSet::new();
        for (n, group) in list.iter().enumerate() {
            let at = pointer("", &n.to_string());
            match group.as_object() {
                Some(fields) => GROUP.check::<&Value>(&fields, &at, &mut faults),
                None => faults.add(&at, "must be a group: an object"),
            }
            if group.get("id").and_then(Value::as_str).is_some_and(|id| !ids.insert(id)) {
                faults.add(pointer(&at, "id"), "is the id of another group too");
            }
        }
        drop(ids);
        faults.or_refuse(list).map(Self::Groups)
    }

    /// Edits a show; gives the ids of the fixtures that are new or changed.
    ///
    /// # Errors
    /// There is no such fixture, no such type, no such place; then the show is of no use any more.
    pub fn apply(
        self,
        show: &mut Show,
        scenes: &[Scene],
        universes: u8,
        types: &impl KnownTypes,
    ) -> Result<Vec<FixtureId>, NotPatched> {
        let before = show_patch(show, universes, types);
        let mut editor = Editor { show, scenes, before, universes, types };
        let edited = match self {
            Self::Add(fields) => editor.add(&fields)?,
            Self::Change { id, fields } => editor.change(&id, fields)?,
            Self::Delete { id } => {
                let at = editor.position(&id)?;
                editor.show.edit_list("fixtures", |list| list.remove(at));
                Vec::new()
            }
            Self::Groups(groups) => {
                editor.groups(groups)?;
                Vec::new()
            }
        };
        Ok(edited)
    }
}

/// The first place for so many fixtures of a type, one behind the other, from a universe on.
///
/// # Errors
/// There is no such type or mode, or no such place.
pub fn free_place(
    patch: &ShowPatch,
    (of_type, mode): (&TypeId, Option<&str>),
    count: u64,
    from: UniverseId,
    types: &impl KnownTypes,
) -> Result<(UniverseId, Channel), NotPatched> {
    let known = known(types, of_type.as_str(), mode, ["?type", "?mode"])?;
    let channels =
        known.mode(mode).map_or(0, |mode| mode.channels.len()) * usize::try_from(count).unwrap_or(usize::MAX);
    let places = Places::of(patch, &[], None, types); // what is there does not matter, only that it is
    places.free(from, patch.universes(), channels).ok_or_else(|| {
        NotPatched::Conflict(format!(
            "no universe from {from} on has {channels} free channels one behind the other; ask for fewer fixtures"
        ))
    })
}

struct Editor<'a, T> {
    show: &'a mut Show,
    scenes: &'a [Scene],
    /// The patch before the edit.
    before: ShowPatch,
    universes: u8,
    types: &'a T,
}

impl<T: KnownTypes> Editor<'_, T> {
    fn add(&mut self, order: &Map<String, Value>) -> Result<Vec<FixtureId>, NotPatched> {
        let text = |name: &str| order.get(name).and_then(Value::as_str);
        let (type_id, mode_name) = (text("type").unwrap_or_default(), text("mode"));
        let known = known(self.types, type_id, mode_name, ["/type", "/mode"])?;
        let mode = known.mode(mode_name).ok_or_else(|| fault("/mode", "is no mode of this type"))?;
        if text("topic").is_some() && count(order) > 1 {
            return Err(fault("/topic", "is for one fixture; several get their ids").into());
        }
        if text("topic").is_some() && type_id != ON_MQTT {
            return Err(fault("/topic", OF_LAMPS).into());
        }
        let universe = self.universe(order.get("universe"))?;
        let first = order.get("address").and_then(entry::number).unwrap_or(1);
        let channels = u16::try_from(mode.channels.len()).unwrap_or(u16::MAX);
        let mut taken = self.taken();
        let made = taken.next(text("name"), (&known.name, type_id), count(order));
        let places = Places::of(&self.before, self.show.list("fixtures"), None, self.types);
        let universe_id = self.universe_id(universe);
        let (mut new, mut ids) = (Vec::new(), Vec::new());
        for (n, (name, id)) in (0..).zip(&made) {
            let mut fixture = fixture(id, name, mode, type_id, &universe_id);
            fixture.extend(mode_name.map(|mode| ("mode".to_owned(), mode.into())));
            if let Some(groups) = order.get("groups").filter(|groups| !groups.is_null()) {
                fixture.insert("groups".to_owned(), groups.clone());
            }
            if type_id == ON_MQTT {
                fixture.insert("topic".to_owned(), text("topic").unwrap_or(id).into());
            }
            let address = u16::try_from(u64::from(first) + u64::from(channels) * n).ok();
            let Some(first) = address.and_then(Channel::new) else {
                return Err(NotPatched::Conflict(format!("{name} ({id}) does not fit into universe {universe}")));
            };
            fixture.insert("dmxAddress".to_owned(), first.number().into());
            let make = make(&fixture, self.types);
            let wanted = Occupant { id: id.clone(), name: name.clone(), first, channels, make };
            places.check(universe, &wanted).map_err(NotPatched::Conflict)?;
            new.push(Value::Object(fixture));
            ids.extend(id.parse::<FixtureId>());
        }
        self.name_groups(order.get("groups"))?;
        self.show.edit_list("fixtures", |list| list.extend(new));
        self.all_lit(&ids)?;
        self.own_topics(&ids)?;
        Ok(ids)
    }

    fn change(&mut self, id: &FixtureId, fields: Map<String, Value>) -> Result<Vec<FixtureId>, NotPatched> {
        let at = self.position(id)?;
        let fixtures = self.show.list("fixtures");
        let before = fixtures.get(at).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut after = before.clone();
        let remade = ["type", "mode"].iter().any(|name| fields.contains_key(*name));
        let names_topic = fields.get("topic").is_some_and(|topic| !topic.is_null());
        let retopics = remade || fields.contains_key("topic");
        let moved = ["universe", "address"].iter().any(|name| fields.contains_key(*name));
        self.name_groups(fields.get("groups"))?;
        for (name, value) in fields {
            match name.as_str() {
                "universe" => {
                    let universe = self.universe(Some(&value))?;
                    after.insert("universeId".to_owned(), self.universe_id(universe).into());
                }
                "address" => drop(after.insert("dmxAddress".to_owned(), value)),
                _ if value.is_null() => drop(after.remove(&name)),
                "type" => {
                    after.remove("mode"); // of the earlier type; its own comes after it, if at all
                    after.insert(name, value);
                }
                _ => drop(after.insert(name, value)),
            }
        }
        if Entry(&after).type_text() != Some(ON_MQTT) {
            if names_topic {
                return Err(fault("/topic", OF_LAMPS).into());
            }
            if remade {
                after.remove("topic"); // of the lamp that it was
            }
        }
        if remade {
            self.remake(id, &before, &mut after)?;
        }
        self.show.edit_list("fixtures", |list| {
            if let Some(fixture) = list.get_mut(at) {
                *fixture = Value::Object(after.clone());
            }
        });
        if moved || remade {
            self.fits(id, &after)?;
        }
        let ids = vec![id.clone()];
        if retopics {
            self.own_topics(&ids)?;
        }
        Ok(ids)
    }

    /// Gives a fixture the channels of its type; those at the same place keep their ids, so scenes keep their levels.
    fn remake(
        &self,
        id: &FixtureId,
        before: &Map<String, Value>,
        after: &mut Map<String, Value>,
    ) -> Result<(), NotPatched> {
        let written = Entry(after);
        let Some(type_id) = written.type_text() else {
            return Err(fault("/mode", "is of a type, and this fixture has none").into());
        };
        let known = known(self.types, type_id, written.mode(), ["/type", "/mode"])?;
        let mode = known.mode(written.mode()).ok_or_else(|| fault("/mode", "is no mode of this type"))?;
        let of_type = Entry(before).type_text();
        if of_type.is_none() || before.get("fixtureType").and_then(Value::as_str) == of_type {
            let type_id = type_id.to_owned();
            after.insert("fixtureType".to_owned(), type_id.into());
        }
        let mut ids = Entry(before).channels().iter().map(entry::channel_id);
        let channels = channels(mode, |n| ids.next().flatten().unwrap_or_else(|| format!("{id}-{n}")));
        after.insert("channelCount".to_owned(), channels.len().into());
        after.insert("channels".to_owned(), channels.into());
        Ok(())
    }

    /// Whether a fixture that was moved or made another has its place.
    fn fits(&self, id: &FixtureId, after: &Map<String, Value>) -> Result<(), NotPatched> {
        let now = show_patch(self.show, self.universes, self.types);
        let Some(fixture) = now.rig().fixture(id) else {
            let why = now.warnings().iter().find(|warning| warning.fixture.as_deref() == Some(id.as_str()));
            let why = why.map_or("it has no place", |warning| warning.message.as_str());
            return Err(NotPatched::Conflict(format!("{id}: {why}")));
        };
        let wanted = Occupant {
            id: id.to_string(),
            name: fixture.name.to_string(),
            first: fixture.first,
            channels: fixture.channels,
            make: make(after, self.types),
        };
        let places = Places::of(&self.before, self.show.list("fixtures"), Some(id), self.types);
        places.check(fixture.universe, &wanted).map_err(NotPatched::Conflict)
    }

    /// Whether these fixtures light up.
    fn all_lit(&self, ids: &[FixtureId]) -> Result<(), NotPatched> {
        let now = show_patch(self.show, self.universes, self.types);
        match ids.iter().find(|id| now.rig().fixture(id).is_none()) {
            None => Ok(()),
            Some(id) => {
                let warned = now.warnings().iter().find(|warning| warning.fixture.as_deref() == Some(id.as_str()));
                let why = warned.map_or("there are too many fixtures", |warning| warning.message.as_str());
                Err(NotPatched::Conflict(format!("{id}: {why}")))
            }
        }
    }

    /// Whether no other lamp listens to the topics of these.
    fn own_topics(&self, ids: &[FixtureId]) -> Result<(), NotPatched> {
        let fixtures = self.show.list("fixtures").iter().filter_map(Value::as_object).map(Entry);
        let lamps = fixtures.filter_map(|entry| Some((entry.listens_to()?, entry)));
        let is_mine = |(_, entry): &(String, Entry<'_>)| entry.id().is_some_and(|id| ids.contains(&id));
        let (mine, others): (Vec<_>, Vec<_>) = lamps.partition(is_mine);
        let mut taken: HashMap<String, Entry<'_>> = others.into_iter().collect();
        for (topic, entry) in mine {
            if let Some(other) = taken.insert(topic.clone(), entry) {
                let [this, other] = [entry, other]
                    .map(|it| format!("{} ({})", it.name(), it.id().map_or_else(String::new, |id| id.to_string())));
                return Err(NotPatched::Conflict(format!("{this} would have the topic {topic}, which {other} has")));
            }
        }
        Ok(())
    }

    fn position(&self, id: &FixtureId) -> Result<usize, NotPatched> {
        let is = |fixture: &Value| fixture.as_object().is_some_and(|fields| Entry(fields).id().as_ref() == Some(id));
        self.show.list("fixtures").iter().position(is).ok_or_else(|| NotPatched::NoFixture(id.clone()))
    }

    fn universe(&self, index: Option<&Value>) -> Result<UniverseId, NotPatched> {
        let index = index.and_then(Value::as_u64).and_then(|index| u8::try_from(index).ok());
        let known = index.and_then(UniverseId::new).filter(|id| id.index() < self.universes);
        let last = self.universes.saturating_sub(1);
        known.ok_or_else(|| fault("/universe", format!("must be 0 to {last} (engine.universes)")).into())
    }

    /// The id of the universe with that index, which is made if the show has none.
    fn universe_id(&mut self, universe: UniverseId) -> String {
        let all = universes::all(self.show.fields());
        let number = u16::from(universe.index());
        if let Some((id, ..)) = all.iter().find(|(_, known, _)| *known == Some(number)) {
            return id.clone();
        }
        let taken: HashSet<String> = all.into_iter().map(|(id, ..)| id).collect();
        let mut ids = std::iter::once(format!("u-{number}")).chain((2..).map(|n: u32| format!("u-{number}-{n}")));
        let id = ids.find(|id| !taken.contains(id)).unwrap_or_default();
        self.show.add_universe(number, json!({"id": id, "name": format!("Universe {number}"), "number": number}));
        id
    }

    /// Makes the groups that a list names and that are not there yet.
    fn name_groups(&mut self, named: Option<&Value>) -> Result<(), NotPatched> {
        let known: HashSet<String> = self.show.list("groups").iter().filter_map(group_id).collect();
        for (n, id) in named.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some(id) = id.as_str() else { continue };
            if known.contains(id) {
                continue;
            }
            if id.parse().is_ok_and(|id| self.position(&id).is_ok()) {
                return Err(fault(&format!("/groups/{n}"), "is the id of a fixture").into());
            }
            if self.show.list("groups").len() >= MAX_GROUPS {
                return Err(
                    fault(&format!("/groups/{n}"), format!("would be one more than {MAX_GROUPS} groups")).into()
                );
            }
            let is_new = !self.show.list("groups").iter().any(|group| group_id(group).as_deref() == Some(id));
            if is_new {
                self.show.edit_list("groups", |list| list.push(json!({"id": id, "name": id})));
            }
        }
        Ok(())
    }

    fn groups(&mut self, groups: Vec<Value>) -> Result<(), NotPatched> {
        let fixtures: HashSet<String> =
            self.show.list("fixtures").iter().filter_map(|fixture| entry::text(fixture.get("id")?)).collect();
        let given = groups.iter().filter_map(group_id).collect::<HashSet<_>>();
        let mut taken = Taken { names: HashSet::new(), ids: fixtures.union(&given).cloned().collect() };
        let (mut list, mut members) = (Vec::new(), HashMap::new());
        for (n, group) in groups.into_iter().enumerate() {
            let name = group.get("name").and_then(Value::as_str).unwrap_or_default();
            let id = group_id(&group).unwrap_or_else(|| taken.id(name));
            if fixtures.contains(&id) {
                return Err(fault(&format!("/{n}/id"), "is the id of a fixture").into());
            }
            if let Some(of) = group.get("fixtures").and_then(Value::as_array) {
                let of: HashSet<String> = of.iter().filter_map(entry::text).collect();
                if let Some(nobody) = of.iter().find(|id| !fixtures.contains(*id)) {
                    return Err(fault(&format!("/{n}/fixtures"), format!("names {nobody}, which is no fixture")).into());
                }
                members.insert(id.clone(), of);
            }
            list.push(json!({"id": id, "name": name}));
        }
        let kept: Vec<String> = list.iter().filter_map(group_id).collect();
        self.show.edit_list("fixtures", |fixtures| {
            fixtures.iter_mut().filter_map(Value::as_object_mut).for_each(|it| regroup(it, &kept, &members));
        });
        self.show.edit_list("groups", |groups| *groups = list);
        Ok(())
    }

    fn taken(&self) -> Taken {
        let fixtures = self.show.list("fixtures").iter().filter_map(Value::as_object).map(Entry);
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        for fixture in fixtures {
            names.insert(fixture.name().to_owned());
            ids.extend(fixture.0.get("id").and_then(entry::text));
        }
        ids.extend(self.show.list("groups").iter().filter_map(group_id));
        // of fixtures that were deleted: looks must not drive another one in their place
        ids.extend(self.scenes.iter().flat_map(Scene::keys).filter_map(fixture_of).map(str::to_owned));
        Taken { names, ids }
    }
}

/// The groups of a fixture once there are only these, some of which have exactly these members.
fn regroup(fixture: &mut Map<String, Value>, kept: &[String], members: &HashMap<String, HashSet<String>>) {
    let Some(id) = fixture.get("id").and_then(entry::text) else { return };
    let before: Vec<String> = Entry(fixture).groups().collect();
    let is_in = |group: &&String| members.get(*group).map_or_else(|| before.contains(*group), |of| of.contains(&id));
    let after: Vec<String> = kept.iter().filter(is_in).cloned().collect();
    if after.is_empty() {
        fixture.remove("groups");
    } else {
        fixture.insert("groups".to_owned(), after.into());
    }
}

/// The fixture that the key of a channel names.
fn fixture_of(key: &str) -> Option<&str> {
    let (fixture, place) = key.rsplit_once('-')?;
    (!place.is_empty() && place.bytes().all(|c| c.is_ascii_digit())).then_some(fixture)
}

fn group_id(group: &Value) -> Option<String> {
    entry::text(group.get("id")?)
}

fn count(order: &Map<String, Value>) -> usize {
    order.get("count").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
}

/// A new fixture, but for its address.
fn fixture(id: &str, name: &str, mode: &Mode, type_id: &str, universe: &str) -> Map<String, Value> {
    let channels = channels(mode, |n| format!("{id}-{n}"));
    let fields = [
        ("id", id.into()),
        ("name", name.into()),
        ("universeId", universe.into()),
        ("channelCount", channels.len().into()),
        ("fixtureType", type_id.into()),
        ("channels", channels.into()),
        ("type", type_id.into()),
    ];
    fields.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect()
}

/// The channels of a mode as the predecessor's app writes them.
fn channels(mode: &Mode, mut id: impl FnMut(usize) -> String) -> Vec<Value> {
    let channel = |(n, name): (usize, &String)| json!({"id": id(n), "number": n + 1, "name": name, "value": 0});
    mode.channels.iter().enumerate().map(channel).collect()
}

/// A type, and that it has this mode.
fn known(
    types: &impl KnownTypes,
    id: &str,
    mode: Option<&str>,
    [at_type, at_mode]: [&str; 2],
) -> Result<Arc<FixtureType>, NotPatched> {
    let known = id.parse().ok().and_then(|id| types.of(&id));
    let known = known.ok_or_else(|| fault(at_type, "is no fixture type: GET /fixture-types lists them"))?;
    if known.mode(mode).is_none() {
        let modes: Vec<_> = known.modes.iter().take(20).map(|mode| format!("{:?}", mode.name)).collect();
        return Err(fault(at_mode, format!("is no mode of this type, which has {}", modes.join(", "))).into());
    }
    Ok(known)
}

/// An object that a table describes.
fn checked(body: &[u8], of: &Body) -> Result<Map<String, Value>, Refusal> {
    of.read(body)?;
    document::object(body)
}

fn fault(path: &str, msg: impl Into<String>) -> Refusal {
    let errors = vec![FieldError { path: path.to_owned(), msg: msg.into() }];
    Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors }
}

impl From<Refusal> for NotPatched {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
