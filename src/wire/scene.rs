//! Scenes: looks that were kept under a name. Here they are documents; fields that are not known are kept as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::document::{self, TEXT_CHARS};
use super::refusal::{Faults, Reason, Refusal, pointer};
use crate::dmx::{Channel, LONGEST_FADE, Look, Patch, SCENE_ID_CHARS, SceneId, UniverseId};

/// Scenes of one project at the most.
pub(super) const MAX_SCENES: usize = 2000;

/// One scene, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Scene {
    /// As it stands in the fields.
    #[serde(skip_serializing)]
    id: SceneId,
    fields: Map<String, Value>,
}

/// A scene as its schema shows it; [`scenes`] reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Scene", description = "A look that was kept under a name. Fields that are not known are kept.")]
pub struct SceneBody {
    /// Its own within the project.
    #[schemars(length(min = 1, max = SCENE_ID_CHARS))]
    pub id: String,
    /// What people call it.
    #[schemars(length(min = 1, max = TEXT_CHARS))]
    pub name: String,
    /// Levels, 0..=255, by key: `"7"` is channel 7 of universe 0, `"2/7"` channel 7 of universe 2; other keys are kept.
    pub channel_values: BTreeMap<String, u8>,
    /// Unix milliseconds; filled in when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = u64::MAX))]
    pub timestamp: Option<u64>,
    /// Anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For sorting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Shown first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub favorite: Option<bool>,
    /// The time a recall takes that names none, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86_400_000))]
    pub fade_ms: Option<u64>,
    /// Universes of which this is the whole look: a recall takes their channels without a key to 0. Captured scenes have
    /// it; of all others only the keys are recalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(max = 63)))]
    pub universes: Option<Vec<u8>>,
}

impl Scene {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &SceneId {
        &self.id
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.fields.get("name").and_then(Value::as_str).unwrap_or_default() // checked when it was read
    }

    /// A scene of these fields, and what is wrong with them.
    pub(super) fn from_fields(fields: Map<String, Value>, now_ms: u64, faults: &mut Faults) -> Option<Self> {
        scene(fields.into(), "", now_ms, faults)
    }

    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// What a recall of it does. Keys that are no channel, and universes beyond `universes`, are not light.
    #[must_use]
    pub fn look(&self, universes: u8) -> Look {
        let known = |id: UniverseId| id.index() < universes;
        let whole = self.fields.get("universes").and_then(Value::as_array).into_iter().flatten();
        let whole: BTreeSet<UniverseId> = whole.filter_map(universe).filter(|&id| known(id)).collect();
        let mut levels: BTreeMap<UniverseId, BTreeMap<Channel, u8>> = BTreeMap::new();
        let values = self.fields.get("channelValues").and_then(Value::as_object).into_iter().flatten();
        for (key, value) in values {
            let level = value.as_u64().and_then(|level| u8::try_from(level).ok());
            if let (Some((universe, channel)), Some(level)) = (channel(key), level)
                && known(universe)
            {
                levels.entry(universe).or_default().insert(channel, level);
            }
        }
        let patch = |(universe, levels): (_, BTreeMap<_, _>)| Patch { universe, levels: levels.into_iter().collect() };
        let over = self.fields.get("fadeMs").and_then(Value::as_u64).map(Duration::from_millis).unwrap_or_default();
        Look {
            id: self.id.clone(),
            name: self.name().to_owned(),
            over,
            whole: whole.into_iter().collect(),
            keyed: levels.into_iter().map(patch).collect(),
        }
    }
}

/// The channel that a scene key names: `7` in universe 0, `2/7` in universe 2.
fn channel(key: &str) -> Option<(UniverseId, Channel)> {
    let (universe, channel) = key.split_once('/').unwrap_or(("0", key));
    Some((UniverseId::new(universe.parse().ok()?)?, Channel::new(channel.parse().ok()?)?))
}

/// The key of a channel.
pub(super) fn key(universe: UniverseId, channel: Channel) -> String {
    match universe {
        UniverseId::LAMP => channel.number().to_string(),
        _ => format!("{universe}/{}", channel.number()),
    }
}

fn universe(value: &Value) -> Option<UniverseId> {
    value.as_u64().and_then(|index| u8::try_from(index).ok()).and_then(UniverseId::new)
}

/// Reads a list of scenes. `now_ms` (Unix milliseconds) is the time of those that tell none.
///
/// # Errors
/// Every fault with its place; nothing else happens.
pub fn scenes(body: &[u8], now_ms: u64) -> Result<Vec<Scene>, Refusal> {
    let mut faults = Faults::default();
    let Value::Array(list) = document::value(body, document::SCENES_DEPTH)? else {
        return Err(Refusal::whole(Reason::ValidationFailed, "must be a list of scenes"));
    };
    let scenes = list_of_scenes(list, "", now_ms, &mut faults);
    faults.or_refuse(scenes)
}

/// The scenes of a list that stands at a JSON pointer.
pub(super) fn list_of_scenes(list: Vec<Value>, at: &str, now_ms: u64, faults: &mut Faults) -> Vec<Scene> {
    if list.len() > MAX_SCENES {
        faults.add(at, format!("must have at most {MAX_SCENES} scenes"));
        return Vec::new();
    }
    let mut ids = BTreeSet::new();
    let mut scenes = Vec::new();
    for (n, value) in list.into_iter().enumerate() {
        let at = pointer(at, &n.to_string());
        let Some(scene) = scene(value, &at, now_ms, faults) else { continue };
        if !ids.insert(scene.id().clone()) {
            faults.add(pointer(&at, "id"), "is the id of another scene too");
        }
        scenes.push(scene);
    }
    scenes
}

fn scene(value: Value, at: &str, now_ms: u64, faults: &mut Faults) -> Option<Scene> {
    let Value::Object(mut fields) = value else {
        faults.add(at, "must be a scene: an object");
        return None;
    };
    let id = fields.get("id").and_then(Value::as_str).unwrap_or_default().parse::<SceneId>();
    let id = id.map_err(|wrong| faults.add(pointer(at, "id"), wrong.to_string())).ok();
    let mut check = |name: &str, right: &str, fits: &dyn Fn(Option<&Value>) -> bool| {
        if !fits(fields.get(name)) {
            faults.add(pointer(at, name), right);
        }
    };
    let text = |most: usize| {
        move |value: Option<&Value>| {
            value.and_then(Value::as_str).is_some_and(|text| (1..=most).contains(&text.chars().count()))
        }
    };
    check("name", "must be a text of 1 to 2000 characters", &text(TEXT_CHARS));
    check("timestamp", "must be an integer (Unix milliseconds)", &or_none(|value| value.as_u64().is_some()));
    check("description", "must be a text", &or_none(Value::is_string));
    check("favorite", "must be true or false", &or_none(Value::is_boolean));
    check(
        "tags",
        "must be a list of texts",
        &or_none(|value| value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string))),
    );
    let longest = u64::try_from(LONGEST_FADE.as_millis()).unwrap_or(u64::MAX);
    check(
        "fadeMs",
        "must be an integer from 0 to 86400000 (milliseconds)",
        &or_none(|value| value.as_u64().is_some_and(|ms| ms <= longest)),
    );
    check(
        "universes",
        "must be a list of universes, 0 to 63",
        &or_none(|value| value.as_array().is_some_and(|all| all.iter().all(|value| universe(value).is_some()))),
    );
    match fields.get("channelValues") {
        Some(Value::Object(values)) => {
            for (key, _) in values.iter().filter(|(_, value)| value.as_u64().is_none_or(|level| level > 255)) {
                faults.add(pointer(&pointer(at, "channelValues"), key), "must be an integer from 0 to 255");
            }
        }
        _ => faults.add(pointer(at, "channelValues"), "must be an object of levels"),
    }
    if fields.get("timestamp").is_none_or(Value::is_null) {
        fields.insert("timestamp".to_owned(), now_ms.into());
    }
    Some(Scene { id: id?, fields })
}

/// Absent and `null` are the same for fields that need not be there: predecessors wrote both.
fn or_none(fits: impl Fn(&Value) -> bool) -> impl Fn(Option<&Value>) -> bool {
    move |value| value.is_none_or(|value| value.is_null() || fits(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(body: &str) -> Vec<String> {
        scenes(body.as_bytes(), 5).unwrap_err().errors.into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn what_is_not_known_is_kept_and_a_missing_time_is_filled_in() {
        let body =
            r#"[{"id":"a","name":"Á","channelValues":{"1":255,"2/7":0,"foo":3},"tags":null,"x":{"y":[1.50,null]}}]"#;
        let read = scenes(body.as_bytes(), 5).unwrap();
        let mut expected: Value = serde_json::from_str(body).unwrap();
        expected[0]["timestamp"] = 5.into();
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let bad = r#"[{"id":"a","name":"","channelValues":{"1":256,"a/b":1.0}},
            {"id":"a","name":"x","channelValues":[],"favorite":1,"tags":["a",2],"description":0,"timestamp":-1},
            7,
            {"id":"a","name":"x","channelValues":{}},{"id":"a","name":"x","channelValues":{}}]"#;
        assert_eq!(
            faults(bad),
            [
                "/0/name",
                "/0/channelValues/1",
                "/0/channelValues/a~1b",
                "/1/timestamp",
                "/1/description",
                "/1/favorite",
                "/1/tags",
                "/1/channelValues",
                "/1/id",
                "/2",
                "/3/id",
                "/4/id"
            ]
        );
        let broken = scenes(b"[\n{\"id\": }]", 5).unwrap_err();
        assert_eq!(broken.reason, Reason::NotJson);
        assert!(broken.to_string().contains("line 2 column 8"), "{broken}");
    }

    proptest! {
        #[test]
        fn what_was_stored_reads_back_as_it_is(levels in prop::collection::btree_map("[0-9/a-z]{0,6}", any::<u8>(), 0..20), extra in ".{0,20}") {
            let body = serde_json::json!([{"id": "s", "name": "n", "channelValues": levels, "timestamp": 1, "extra": extra}]);
            let stored = serde_json::to_vec(&scenes(body.to_string().as_bytes(), 5).unwrap()).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&stored).unwrap(), body);
            prop_assert_eq!(serde_json::to_vec(&scenes(&stored, 9).unwrap()).unwrap(), stored);
        }
    }
}
