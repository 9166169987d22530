//! Edits of single scenes: a new one, other fields, another place in the list, a deletion. Pure.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::document::TEXT_CHARS;
use super::fields::{Body, FADE_MS, Field, Form, Kind, described};
use super::patch::ShowPatch;
use super::refusal::Faults;
use super::scene::{self, MAX_SCENES};
use super::scene_key::{channel, key};
use super::{FieldError, Reason, Refusal, Scene, document};
use crate::dmx::{Channel, ChannelSet, Fixture, FixtureId, SCENE_ID_CHARS, SceneId, State, UniverseId};

/// One edit of the list of scenes.
#[derive(Clone, Debug, PartialEq)]
pub enum SceneEdit {
    /// A new scene at the end.
    Add(Scene),
    /// Fields of a scene, checked together with those it has.
    Change {
        /// Which scene.
        id: SceneId,
        /// The new values; `null` removes a field.
        fields: Map<String, Value>,
        /// Its new place, from 0.
        position: Option<usize>,
    },
    /// Captures light into a scene that is there.
    Capture {
        /// Which.
        id: SceneId,
        /// What was captured.
        fields: Map<String, Value>,
        /// The places that were captured; `None`: all light.
        replaces: Option<Places>,
    },
    /// Deletes a scene.
    Delete {
        /// Which.
        id: SceneId,
    },
    /// Levels under a name: for the scene with that name, else for a new one.
    Save {
        /// The name.
        name: String,
        /// Scene keys and levels.
        levels: Vec<(String, u8)>,
        /// Id of a new one.
        id: SceneId,
    },
}

/// Why a list of scenes was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEdited {
    /// There is no such scene.
    #[error("there is no scene {0}")]
    NoScene(SceneId),
    /// The faults of the scene as it would be.
    #[error("{0}")]
    Refused(Refusal),
}

impl SceneEdit {
    /// Reads a body of `POST /scenes`; `id` is for a scene without one. A scene without `channelValues` is captured from `light`.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn add(body: &[u8], light: Captured<'_>, id: &SceneId, now_ms: u64) -> Result<Self, Refusal> {
        let mut fields = document::object_within(body, document::SCENES_DEPTH)?;
        let mut faults = Faults::default();
        NEW.check::<&Value>(&&fields, "", &mut faults);
        if fields.contains_key("position") {
            faults.add("/position", "is for a scene that is there: a new one comes last");
        }
        let absent = |name| fields.get(name).is_none_or(Value::is_null);
        let (no_id, no_levels) = (absent("id"), absent("channelValues"));
        let only = light.only(fields.remove("only").as_ref(), &mut faults);
        if only.is_some() && !no_levels {
            faults.add("/only", "is for a capture: with channelValues there is none");
        }
        if no_id {
            fields.insert("id".into(), id.as_str().into());
        }
        if no_levels {
            fields.extend(light.capture(only));
        }
        let fields = faults.or_refuse(fields)?;
        let mut faults = Faults::default();
        match Scene::from_fields(fields, now_ms, &mut faults) {
            Some(scene) if faults.is_empty() => Ok(Self::Add(scene)),
            _ => Err(Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors: faults.into_errors() }),
        }
    }

    /// Reads a body of `PATCH /scenes/{id}`: fields of a scene, and `position`.
    ///
    /// # Errors
    /// Faults that show without the scene; nothing else happens.
    pub fn change(id: SceneId, body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = document::object_within(body, document::SCENES_DEPTH)?;
        let mut faults = Faults::default();
        FIELDS.check::<&Value>(&&fields, "", &mut faults);
        let position = fields.remove("position").and_then(|position| usize::try_from(position.as_u64()?).ok());
        if fields.get("id").is_some_and(|given| given.as_str() != Some(id.as_str())) {
            faults.say("/id", "cannot be changed");
        }
        faults.or_refuse(Self::Change { id, fields, position })
    }

    /// Reads a body of `POST /scenes/{id}/capture`, which may be empty: the light becomes that scene.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn capture(id: SceneId, body: &[u8], light: Captured<'_>) -> Result<Self, Refusal> {
        let (object, mut faults) = (CAPTURE.read_if_any(body)?, Faults::default());
        let only = object.get("only").and_then(|only| serde_json::from_str::<Value>(only).ok());
        let only = light.only(only.as_ref(), &mut faults);
        faults.or_refuse(())?;
        let replaces = only.as_ref().map(|only| light.places(only));
        Ok(Self::Capture { id, fields: light.capture(only), replaces })
    }

    /// Edits the list; gives the scene as it is now or, if deleted, was.
    ///
    /// # Errors
    /// There is no such scene, or the result is refused; then the list stays as before.
    pub fn apply(self, scenes: &mut Vec<Scene>, now_ms: u64) -> Result<Scene, NotEdited> {
        match self {
            Self::Add(scene) => {
                only_of_its_name(scenes.iter(), scene.name())?;
                add(scenes, scene)
            }
            Self::Change { id, fields, position } => {
                let at = place(scenes, &id)?;
                let mut changed = scenes.get(at).map(|scene| scene.fields().clone()).unwrap_or_default();
                if let Some(name) = fields.get("name").filter(|&name| changed.get("name") != Some(name)) {
                    only_of_its_name(
                        scenes.iter().filter(|scene| *scene.id() != id),
                        name.as_str().unwrap_or_default(),
                    )?;
                }
                for (name, value) in fields {
                    if value.is_null() {
                        changed.remove(&name)
                    } else {
                        changed.insert(name, value)
                    };
                }
                let scene = checked(changed, now_ms)?;
                scenes.remove(at);
                scenes.insert(position.unwrap_or(at).min(scenes.len()), scene.clone());
                Ok(scene)
            }
            Self::Capture { id, fields, replaces } => {
                let at = place(scenes, &id)?;
                let before = scenes.get(at).map(|scene| scene.fields().clone()).unwrap_or_default();
                let scene = checked(captured(before, fields, replaces.as_ref()), now_ms)?;
                if let Some(known) = scenes.get_mut(at) {
                    *known = scene.clone();
                }
                Ok(scene)
            }
            Self::Delete { id } => {
                let at = place(scenes, &id)?;
                Ok(scenes.remove(at))
            }
            Self::Save { name, levels, id } => {
                let values: Map<String, Value> = levels.into_iter().map(|(key, level)| (key, level.into())).collect();
                let known = scenes.iter_mut().find(|scene| scene.name() == name);
                let mut fields = match &known {
                    Some(scene) => scene.fields().clone(),
                    None => Map::from_iter([("id".into(), id.as_str().into()), ("name".into(), name.into())]),
                };
                fields.insert("channelValues".into(), values.into());
                fields.insert("timestamp".into(), now_ms.into());
                fields.remove("universes"); // the whole look of an earlier one
                let scene = checked(fields, now_ms)?;
                match known {
                    Some(known) => {
                        *known = scene.clone();
                        Ok(scene)
                    }
                    None => add(scenes, scene),
                }
            }
        }
    }
}

/// The light that a scene is captured from, before master and blackout, and what its channels are called.
#[derive(Clone, Copy, Debug)]
pub struct Captured<'a> {
    /// The light. Fades count as finished: nobody wants a look from half-way.
    pub state: &'a State,
    /// The patch.
    pub patch: &'a ShowPatch,
}

impl Captured<'_> {
    /// The fixtures that a list of fixtures and groups names; `None`: there is no list.
    fn only(&self, list: Option<&Value>, faults: &mut Faults) -> Option<HashSet<FixtureId>> {
        let list = list?.as_array()?;
        let (fixtures, missing) =
            self.patch.rig().targets(list.iter().map(|target| target.as_str().unwrap_or_default()));
        for n in missing {
            faults.add(format!("/only/{n}"), "is no fixture that has a place, and no group of such");
        }
        let only = fixtures.iter().map(|fixture| fixture.id.clone()).collect();
        Some(only)
    }

    /// The channels of some fixtures, and what scenes call them.
    fn places(&self, only: &HashSet<FixtureId>) -> Places {
        let mut places = Places::default();
        for fixture in only.iter().filter_map(|id| self.patch.rig().fixture(id)) {
            let set = channels(fixture).collect();
            places.channels.entry(fixture.universe).or_insert(ChannelSet::NONE).add_all(&set);
        }
        for (fixture, keys) in self.patch.fixtures() {
            let Some(set) = places.channels.get(&fixture.universe) else { continue };
            let named = channels(fixture).zip(keys).filter(|(channel, _)| set.has(*channel));
            places.keys.extend(named.map(|(_, key)| key.to_string()));
        }
        places
    }

    /// The fields of a scene: of some fixtures their channels; else every patched channel, whatever else is lit, and the
    /// universes whose whole look it is.
    fn capture(&self, only: Option<HashSet<FixtureId>>) -> Map<String, Value> {
        let state = self.state.settled();
        let mut levels = Map::new();
        let mut patched: BTreeMap<UniverseId, ChannelSet> = BTreeMap::new();
        for (fixture, keys) in self.patch.fixtures() {
            if only.as_ref().is_some_and(|only| !only.contains(&fixture.id)) {
                continue;
            }
            let frame = state.frame(fixture.universe);
            let set = patched.entry(fixture.universe).or_insert(ChannelSet::NONE);
            for (channel, key) in channels(fixture).zip(keys) {
                set.add(channel);
                levels.insert(key.to_string(), frame.map_or(0, |frame| frame.get(channel)).into());
            }
        }
        let mut fields = Map::new();
        if only.is_none() {
            for (id, frame) in state.universes() {
                let set = patched.get(&id).copied().unwrap_or(ChannelSet::NONE);
                let bare = frame.lit().filter(|(channel, _)| !set.has(*channel));
                levels.extend(bare.map(|(channel, level)| (key(id, channel), level.into())));
            }
            let universes: Vec<u8> = state.universes().map(|(id, _)| id.index()).collect();
            fields.insert("universes".into(), json!(universes));
        }
        fields.insert("channelValues".into(), levels.into());
        fields
    }
}

/// Channels by their numbers, and by the keys that fixtures give them: two fixtures may share a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    channels: BTreeMap<UniverseId, ChannelSet>,
    keys: HashSet<String>,
}

impl Places {
    fn has(&self, key: &str) -> bool {
        let by_number = |(universe, channel)| self.channels.get(&universe).is_some_and(|set| set.has(channel));
        self.keys.contains(key) || channel(key).is_some_and(by_number)
    }
}

/// A scene with what was captured into it: instead of all light, or of the light of these places alone.
fn captured(
    mut scene: Map<String, Value>,
    mut fields: Map<String, Value>,
    replaces: Option<&Places>,
) -> Map<String, Value> {
    match (replaces, scene.get("channelValues").and_then(Value::as_object)) {
        (Some(replaces), Some(before)) => {
            let others = before.iter().filter(|(key, _)| !replaces.has(key));
            let mut levels: Map<_, _> = others.map(|(key, level)| (key.clone(), level.clone())).collect();
            if let Some(Value::Object(new)) = fields.remove("channelValues") {
                levels.extend(new);
            }
            scene.insert("channelValues".to_owned(), levels.into());
        }
        _ => drop(scene.remove("universes")), // of an earlier look
    }
    scene.extend(fields);
    scene
}

fn channels(fixture: &Fixture) -> impl Iterator<Item = Channel> + '_ {
    (0..fixture.channels).filter_map(|place| fixture.channel(place))
}

/// People and commands recall a look by its name, which finds the first. Lists and imports may repeat a name.
fn only_of_its_name<'a>(others: impl IntoIterator<Item = &'a Scene>, name: &str) -> Result<(), NotEdited> {
    if others.into_iter().any(|other| other.name().trim() == name.trim()) {
        return fault("/name", "is the name of another scene".to_owned());
    }
    Ok(())
}

fn fault<T>(path: &str, msg: String) -> Result<T, NotEdited> {
    let errors = vec![FieldError { path: path.to_owned(), msg }];
    Err(NotEdited::Refused(Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors }))
}

fn add(scenes: &mut Vec<Scene>, scene: Scene) -> Result<Scene, NotEdited> {
    if scenes.len() >= MAX_SCENES {
        return fault("", format!("there are {MAX_SCENES} scenes, the most; delete one first"));
    }
    if scenes.iter().any(|known| known.id() == scene.id()) {
        return fault("/id", "is the id of another scene".to_owned());
    }
    scenes.push(scene.clone());
    Ok(scene)
}

fn place(scenes: &[Scene], id: &SceneId) -> Result<usize, NotEdited> {
    scenes.iter().position(|scene| scene.id() == id).ok_or_else(|| NotEdited::NoScene(id.clone()))
}

fn checked(fields: Map<String, Value>, now_ms: u64) -> Result<Scene, NotEdited> {
    let mut faults = Faults::default();
    match Scene::from_fields(fields, now_ms, &mut faults) {
        Some(scene) if faults.is_empty() => Ok(scene),
        _ => {
            let errors = faults.into_errors();
            Err(NotEdited::Refused(Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors }))
        }
    }
}

/// The schema of a new scene.
#[derive(Debug)]
pub enum NewScene {}

/// The schema of a scene's fields.
#[derive(Debug)]
pub enum SceneFields {}

/// The schema of a capture.
#[derive(Debug)]
pub enum CaptureOrder {}

described!(NewScene: NEW, SceneFields: FIELDS, CaptureOrder: CAPTURE, RecallOrder: RECALL);

/// Which fixtures a capture takes.
const ONLY: Field = Field::new(
    "only",
    Kind::List(&Kind::Text(1, SCENE_ID_CHARS), 1),
    "Ids of fixtures and groups: only their channels are captured. Absent: all light.",
)
.nullable();

/// What its schema cannot say: a fixture or group of `only` is in the patch.
pub(super) const CAPTURE: Body = Body {
    title: "CaptureOrder",
    says: "Captures the light into a scene; the body may be empty.",
    fields: &[ONLY],
    open: false,
    example: r#"{"only":["pars"]}"#,
};

/// What its schema cannot say: no other scene has its name or id, it has no `position`, and `only` beside `channelValues` is refused.
pub(super) const NEW: Body = Body {
    title: "NewScene",
    says: "A new scene. Unknown fields are kept.",
    fields: &[
        NEW_NAME,
        scene::ID.nullable().says("Made if absent."),
        scene::CHANNEL_VALUES.nullable().says("Levels by key. Absent: captured from the light, fades at their ends."),
        scene::TIMESTAMP,
        scene::DESCRIPTION,
        scene::TAGS,
        scene::FAVORITE,
        scene::SCENE_FADE_MS,
        scene::UNIVERSES,
        ONLY,
    ],
    open: true,
    example: r#"{"name":"Warm white","fadeMs":2000}"#,
};

/// What its schema cannot say: no other scene has its name, and `id` is the one in the address.
pub(super) const FIELDS: Body = Body {
    title: "SceneFields",
    says: "Fields of a scene; `null` removes one. Unknown fields are kept.",
    fields: &[
        NEW_NAME.optional(),
        scene::ID.optional().says("As in the address: it cannot be changed."),
        scene::CHANNEL_VALUES.optional(),
        scene::TIMESTAMP,
        scene::DESCRIPTION,
        scene::TAGS,
        scene::FAVORITE,
        scene::SCENE_FADE_MS,
        scene::UNIVERSES,
        Field::new("position", Kind::Integer(0, u64::MAX as i128), "Its new place in the list, from 0.").optional(),
    ],
    open: true,
    example: r#"{"name":"Cold white","position":0}"#,
};

/// A name of nothing but blanks cannot be read on a button. Lists and imports may contain some. The pattern lists Unicode's
/// White_Space, as `trim` has it: what `\S` stands for depends on who reads the schema.
const NEW_NAME: Field = Field::new(
    "name",
    Kind::Form(&Form {
        chars: (1, TEXT_CHARS),
        pattern: r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
        fits: |text| if text.trim().is_empty() { Err("must not be blank".to_owned()) } else { Ok(()) },
    }),
    "Its name, which no other scene has.",
);

/// A body of `POST /scenes/{id}/recall`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecallOrder {
    /// How long it takes, milliseconds; absent: the scene's own time.
    pub fade_ms: Option<u64>,
}

pub(super) const RECALL: Body = Body {
    title: "RecallOrder",
    says: "Recalls a scene; the body may be empty.",
    fields: &[
        Field::new("fadeMs", FADE_MS, "How long it takes, milliseconds; absent: the scene's own time.").nullable()
    ],
    open: false,
    example: r#"{"fadeMs":2000}"#,
};

impl RecallOrder {
    /// Reads a body; an empty one has no time.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self { fade_ms: RECALL.read_if_any(body)?.number("fadeMs") })
    }

    /// How long it takes.
    #[must_use]
    pub fn over(self) -> Option<Duration> {
        self.fade_ms.map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_differs_is_one_fault_whatever_it_is() {
        for id in ["null", "7", r#""""#, r#""b""#] {
            let refusal = SceneEdit::change("a".parse().unwrap(), format!(r#"{{"id":{id}}}"#).as_bytes()).unwrap_err();
            assert_eq!(refusal.to_string(), "/id cannot be changed", "{id}");
        }
        assert!(SceneEdit::change("a".parse().unwrap(), br#"{"id":"a"}"#).is_ok());
    }
}
