//! Scenes: looks that are stored under a name. Here they are documents; unknown fields are kept as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::document::{self, TEXT_CHARS};
use super::fields::{Body, FADE_MS, Field, Kind, LEVEL, TEXT, TIME, UNIVERSE, described};
use super::patch::ShowPatch;
use super::refusal::{Faults, Reason, Refusal, pointer};
use crate::dmx::{Channel, Look, Patch, SCENE_ID_CHARS, SceneId, UniverseId};

/// Most scenes of one project.
pub(super) const MAX_SCENES: usize = 2000;

/// One scene, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Scene {
    /// Its id, as in the fields.
    #[serde(skip_serializing)]
    id: SceneId,
    fields: Map<String, Value>,
}

described!(Scene: SCENE);

/// What its schema cannot say: no two scenes of a list share an id.
pub(super) const SCENE: Body = Body {
    title: "Scene",
    says: "A look that is stored under a name. Unknown fields are kept.",
    fields: &[ID, NAME, CHANNEL_VALUES, TIMESTAMP, DESCRIPTION, TAGS, FAVORITE, SCENE_FADE_MS, UNIVERSES],
    open: true,
    example: r#"{"id":"scene-warm","name":"Warm white","channelValues":{"1":255,"2":180,"3":90},"timestamp":1767225600000}"#,
};

pub(super) const ID: Field = Field::new("id", Kind::Text(1, SCENE_ID_CHARS), "Unique within the project.");
pub(super) const NAME: Field = Field::new("name", Kind::Text(1, TEXT_CHARS), "Its name.");
pub(super) const CHANNEL_VALUES: Field = Field::new(
    "channelValues",
    Kind::Map(&LEVEL),
    "Levels, 0..=255, by key: the id of a fixture's channel, `7` for channel 7 of universe 0, `2/7` for channel 7 of universe \
     2; other keys are kept.",
);
pub(super) const TIMESTAMP: Field =
    Field::new("timestamp", TIME, "Unix milliseconds; filled in when absent.").nullable();
pub(super) const DESCRIPTION: Field = Field::new("description", TEXT, "Anything.").nullable();
pub(super) const TAGS: Field = Field::new("tags", Kind::List(&TEXT, 0), "For sorting.").nullable();
pub(super) const FAVORITE: Field = Field::new("favorite", Kind::Flag, "Shown first.").nullable();
pub(super) const SCENE_FADE_MS: Field =
    Field::new("fadeMs", FADE_MS, "How long a recall without a time of its own takes, milliseconds.").nullable();
pub(super) const UNIVERSES: Field = Field::new(
    "universes",
    Kind::List(&UNIVERSE, 0),
    "Universes of which this is the whole look: a recall takes their channels without a key to 0. Captured scenes have it; \
     of all others only the keys are recalled.",
)
.nullable();

impl Scene {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &SceneId {
        &self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.fields.get("name").and_then(Value::as_str).unwrap_or_default() // checked when it was read
    }

    /// A scene with these fields, and their faults.
    pub(super) fn from_fields(fields: Map<String, Value>, now_ms: u64, faults: &mut Faults) -> Option<Self> {
        scene(fields.into(), "", now_ms, faults)
    }

    /// The keys of its levels.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let values = self.fields.get("channelValues").and_then(Value::as_object);
        values.into_iter().flat_map(Map::keys).map(String::as_str)
    }

    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The effect of a recall. Keys that name no channel, and universes that may not be commanded, are not light.
    #[must_use]
    pub fn look(&self, of: &ShowPatch) -> Look {
        let whole = self.fields.get("universes").and_then(Value::as_array).into_iter().flatten();
        let known = |id: &UniverseId| id.index() < of.universes();
        let whole: BTreeSet<UniverseId> = whole.filter_map(universe).filter(known).collect();
        let mut levels: BTreeMap<UniverseId, BTreeMap<Channel, u8>> = BTreeMap::new();
        // A whole look takes what it does not name to 0; a head does not turn to its end stop for it.
        for &universe in &whole {
            let mut resting = of.rests(universe).peekable();
            if resting.peek().is_some() {
                levels.entry(universe).or_default().extend(resting);
            }
        }
        let values = self.fields.get("channelValues").and_then(Value::as_object).into_iter().flatten();
        for (key, value) in values {
            let level = value.as_u64().and_then(|level| u8::try_from(level).ok());
            if let (Some((universe, channel)), Some(level)) = (of.channel(key), level) {
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

fn universe(value: &Value) -> Option<UniverseId> {
    value.as_u64().and_then(|index| u8::try_from(index).ok()).and_then(UniverseId::new)
}

/// Reads a list of scenes. `now_ms` (Unix milliseconds) is for scenes without times.
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

/// The scenes of a list at a JSON pointer.
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
    SCENE.check::<&Value>(&&fields, at, faults);
    let id = fields.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    if fields.get("timestamp").is_none_or(Value::is_null) {
        fields.insert("timestamp".to_owned(), now_ms.into());
    }
    Some(Scene { id: id?, fields })
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
                "/1/channelValues",
                "/1/timestamp",
                "/1/description",
                "/1/tags/1",
                "/1/favorite",
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
