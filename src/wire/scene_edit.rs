//! Edits of single scenes: a new one, other fields, another place in the list, none any more. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::document::TEXT_CHARS;
use super::refusal::{Faults, pointer};
use super::scene::{MAX_SCENES, key};
use super::{FieldError, Reason, Refusal, Scene, document};
use crate::dmx::{LONGEST_FADE, SCENE_ID_CHARS, SceneId, State};

/// One edit of the list of scenes.
#[derive(Clone, Debug, PartialEq)]
pub enum SceneEdit {
    /// A further scene at the end.
    Add(Scene),
    /// Fields of a scene, checked with those it has.
    Change {
        /// Which scene.
        id: SceneId,
        /// What is set; `null` takes a field away.
        fields: Map<String, Value>,
        /// Its new place, from 0.
        position: Option<usize>,
    },
    /// One scene less.
    Delete {
        /// Which.
        id: SceneId,
    },
    /// Levels under a name: of the scene that has it, else of a new one.
    Save {
        /// The name.
        name: String,
        /// Scene keys and levels.
        levels: Vec<(String, u8)>,
        /// Of a new one.
        id: SceneId,
    },
}

/// Why a list of scenes was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEdited {
    /// There is no such scene.
    #[error("there is no scene {0}")]
    NoScene(SceneId),
    /// What is wrong with the scene that would be.
    #[error("{0}")]
    Refused(Refusal),
}

impl SceneEdit {
    /// Reads a body of `POST /scenes`; `id` is that of one that names none. A scene without `channelValues` is captured from `state`.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn add(body: &[u8], state: &State, id: &SceneId, now_ms: u64) -> Result<Self, Refusal> {
        let mut fields = document::object_within(body, document::SCENES_DEPTH)?;
        if fields.get("id").is_none_or(Value::is_null) {
            fields.insert("id".into(), id.as_str().into());
        }
        if fields.get("channelValues").is_none_or(Value::is_null) {
            capture(&mut fields, state);
        }
        let mut faults = Faults::default();
        if fields.contains_key("position") {
            faults.add("/position", "is for a scene that is there: a new one comes last");
        }
        not_blank(&fields, &mut faults);
        let scene = Scene::from_fields(fields, now_ms, &mut faults);
        match scene {
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
        let position = match fields.remove("position") {
            None => None,
            Some(value) => {
                let position = value.as_u64().and_then(|position| usize::try_from(position).ok());
                if position.is_none() {
                    faults.add("/position", "must be an integer, 0 or more");
                }
                position
            }
        };
        if fields.get("id").is_some_and(|given| given.as_str() != Some(id.as_str())) {
            faults.add("/id", "cannot be changed");
        }
        for name in ["name", "channelValues"] {
            if fields.get(name).is_some_and(Value::is_null) {
                faults.add(pointer("", name), "cannot be taken away");
            }
        }
        not_blank(&fields, &mut faults);
        faults.or_refuse(Self::Change { id, fields, position })
    }

    /// Captures the light of `state` into a scene that is there.
    #[must_use]
    pub fn capture(id: SceneId, state: &State) -> Self {
        let mut fields = Map::new();
        capture(&mut fields, state);
        Self::Change { id, fields, position: None }
    }

    /// Edits the list; the scene that was edited, as it is or was.
    ///
    /// # Errors
    /// There is no such scene, or what it would be is refused; the list is as before then.
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

/// The light, before master and blackout, as a scene's levels: everything that is lit in the known universes, whose whole
/// look it is. What is on its way counts as arrived: half-way light is nobody's look.
fn capture(fields: &mut Map<String, Value>, state: &State) {
    let state = state.settled();
    let universes: Vec<u8> = state.universes().map(|(id, _)| id.index()).collect();
    let lit = state.universes().flat_map(|(id, frame)| frame.lit().map(move |(ch, level)| (key(id, ch), level.into())));
    fields.insert("channelValues".into(), Value::Object(lit.collect()));
    fields.insert("universes".into(), json!(universes));
}

/// A name of blanks alone cannot be told on a button. Lists and imports may hold some.
fn not_blank(fields: &Map<String, Value>, faults: &mut Faults) {
    if fields.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty() && name.trim().is_empty()) {
        faults.add("/name", "must not be blank");
    }
}

/// People and commands recall a look by its name, which finds the first. Lists and imports may hold more of one name.
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

/// A body of `POST /scenes` as its schema shows it; [`SceneEdit::add`] reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "NewScene", description = "A new scene. Fields that are not known are kept.")]
pub struct NewScene {
    /// Made when absent.
    #[schemars(length(min = 1, max = SCENE_ID_CHARS))]
    pub id: Option<String>,
    /// What people call it, as no other scene.
    #[schemars(length(min = 1, max = TEXT_CHARS), regex(pattern = NOT_BLANK))]
    pub name: String,
    /// Levels by key. Absent: captured from the light, fades at their ends.
    pub channel_values: Option<BTreeMap<String, u8>>,
    /// Anything.
    pub description: Option<String>,
    /// For sorting.
    pub tags: Option<Vec<String>>,
    /// Shown first.
    pub favorite: Option<bool>,
    /// The time a recall takes that names none, milliseconds.
    #[schemars(range(max = 86_400_000))]
    pub fade_ms: Option<u64>,
    /// Universes of which this is the whole look.
    #[schemars(inner(range(max = 63)))]
    pub universes: Option<Vec<u8>>,
}

/// A body of `PATCH /scenes/{id}` as its schema shows it; [`SceneEdit::change`] reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(
    title = "SceneFields",
    description = "Fields of a scene; `null` takes one away. Fields that are not known are kept."
)]
pub struct SceneFields {
    /// What people call it, as no other scene.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = TEXT_CHARS), regex(pattern = NOT_BLANK))]
    pub name: Option<String>,
    /// Levels by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, u8>")]
    pub channel_values: Option<BTreeMap<String, u8>>,
    /// Anything.
    pub description: Option<String>,
    /// For sorting.
    pub tags: Option<Vec<String>>,
    /// Shown first.
    pub favorite: Option<bool>,
    /// The time a recall takes that names none, milliseconds.
    #[schemars(range(max = 86_400_000))]
    pub fade_ms: Option<u64>,
    /// Universes of which this is the whole look.
    #[schemars(inner(range(max = 63)))]
    pub universes: Option<Vec<u8>>,
    /// Its new place in the list, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub position: Option<u32>,
}

/// A text with a character that is seen.
const NOT_BLANK: &str = r"\S";

/// A body of `POST /scenes/{id}/recall`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "RecallOrder", description = "Recalls a scene; the body may be empty.", deny_unknown_fields)]
pub struct RecallOrder {
    /// The time it takes, milliseconds; absent: the scene's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86_400_000))]
    pub fade_ms: Option<u64>,
}

impl RecallOrder {
    /// Reads a body; an empty one is an order without a time.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        if document::without_mark(body).trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let (mut order, mut faults) = (Self::default(), Faults::default());
        for (name, value) in &document::object(body)? {
            match name.as_str() {
                "fadeMs" if value.is_null() => {}
                "fadeMs" => order.fade_ms = milliseconds(value, "/fadeMs", &mut faults),
                _ => faults.add(pointer("", name), "is not a field of a recall"),
            }
        }
        faults.or_refuse(order)
    }

    /// The time it takes.
    #[must_use]
    pub fn over(self) -> Option<Duration> {
        self.fade_ms.map(Duration::from_millis)
    }
}

/// A time of a fade.
pub(super) fn milliseconds(value: &Value, at: &str, faults: &mut Faults) -> Option<u64> {
    let most = LONGEST_FADE.as_millis();
    let ms = value.as_u64().filter(|&ms| u128::from(ms) <= most);
    if ms.is_none() {
        faults.add(at, format!("must be an integer from 0 to {most} (milliseconds)"));
    }
    ms
}
