//! Reads what a predecessor has written, item by item: invalid items are left out and named, the rest is kept, and levels
//! beyond 255, which it accepted, are clamped. Input of clients, which can be told of faults, is read strictly elsewhere.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::document::{self, LeftOut};
use super::refusal::{Faults, Reason, Refusal};
use super::scene::{MAX_SCENES, Scene};
use super::show::ShowFile;
use crate::dmx::Rgb;

/// Characters of a name in a message.
const SHOWN: usize = 60;

fn leave(left: &mut Vec<LeftOut>, item: impl Into<String>, why: impl Into<String>) {
    left.push(LeftOut { item: item.into(), why: why.into() });
}

/// The scenes of a list. `now_ms` (Unix milliseconds) is for scenes without times.
///
/// # Errors
/// It is not JSON, or not a list.
pub fn salvage_scenes(body: &[u8], now_ms: u64, left: &mut Vec<LeftOut>) -> Result<Vec<Scene>, Refusal> {
    match document::value(body, document::SCENES_DEPTH)? {
        Value::Array(list) => Ok(scenes(list, now_ms, left)),
        Value::Null => Ok(Vec::new()),
        _ => Err(Refusal::whole(Reason::ValidationFailed, "must be a list of scenes")),
    }
}

/// A show, and its scenes if the file has any.
///
/// # Errors
/// It is not JSON, or not an object.
pub fn salvage_show(body: &[u8], now_ms: u64, left: &mut Vec<LeftOut>) -> Result<ShowFile, Refusal> {
    let mut fields = match document::value(body, document::SNAPSHOT_DEPTH)? {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        _ => return Err(Refusal::whole(Reason::ValidationFailed, "must be a JSON object")),
    };
    let scenes = match fields.remove("scenes") {
        None | Some(Value::Null) => None,
        Some(Value::Array(list)) => Some(scenes(list, now_ms, left)),
        Some(_) => {
            leave(left, "scenes", "must be a list of scenes");
            None
        }
    };
    loop {
        let mut faults = Faults::default();
        let file = ShowFile::from_fields(fields.clone(), "", now_ms, &mut faults);
        if faults.is_empty() {
            return Ok(ShowFile { scenes, ..file });
        }
        let before = fields.len();
        for fault in faults.into_errors() {
            let name = field(&fault.path);
            if fields.remove(name).is_some() {
                leave(left, name, fault.msg);
            }
        }
        if fields.len() == before {
            fields.clear(); // a fault without a place would come back for ever
        }
    }
}

/// The colour of a state document, which is all that predecessors knew of light. A value that is not a number is dark.
pub fn salvage_lamp(state: &Map<String, Value>, left: &mut Vec<LeftOut>) -> Rgb {
    let [r, g, b] = ["r", "g", "b"].map(|name| {
        level(state.get(name)).unwrap_or_else(|| {
            leave(left, name, "must be an integer from 0 to 255");
            0
        })
    });
    Rgb { r, g, b }
}

/// Clamps the levels of scenes as they came.
pub(super) fn clamp(scenes: &mut [Value]) {
    for scene in scenes {
        let levels = scene.get_mut("channelValues").and_then(Value::as_object_mut);
        for value in levels.into_iter().flat_map(Map::values_mut).filter(|value| value.is_i64() || value.is_u64()) {
            if let Some(level) = level(Some(value)) {
                *value = level.into();
            }
        }
    }
}

fn level(value: Option<&Value>) -> Option<u8> {
    // within the limits the conversion only drops the fraction
    Some(value?.as_f64()?.round().clamp(0.0, 255.0) as u8)
}

fn scenes(list: Vec<Value>, now_ms: u64, left: &mut Vec<LeftOut>) -> Vec<Scene> {
    let (mut kept, mut ids) = (Vec::<Scene>::new(), BTreeSet::new());
    for (n, value) in list.into_iter().enumerate() {
        let shown = shown(&value, n);
        if kept.len() == MAX_SCENES {
            leave(left, shown, format!("there are {MAX_SCENES} scenes before it, the most"));
            continue;
        }
        let Some(scene) = scene(value, &shown, &ids, now_ms, left) else { continue };
        ids.insert(scene.id().to_string());
        kept.push(scene);
    }
    kept
}

fn scene(value: Value, shown: &str, ids: &BTreeSet<String>, now_ms: u64, left: &mut Vec<LeftOut>) -> Option<Scene> {
    let Value::Object(mut fields) = value else {
        leave(left, shown, "must be a scene: an object");
        return None;
    };
    // two scenes with one id are two scenes: the later one gets another id
    if let Some(id) = fields.get("id").and_then(Value::as_str).filter(|id| ids.contains(*id)) {
        let free = (2..).map(|n| format!("{id}-{n}")).find(|id| !ids.contains(id));
        fields.insert("id".to_owned(), free.unwrap_or_default().into());
    }
    if let Some(levels) = fields.get_mut("channelValues").and_then(Value::as_object_mut) {
        levels.retain(|key, value| match level(Some(value)) {
            Some(level) => {
                *value = level.into();
                true
            }
            None => {
                leave(left, format!("{shown}, level of {}", short(key)), "must be an integer from 0 to 255");
                false
            }
        });
    }
    loop {
        let mut faults = Faults::default();
        let scene = Scene::from_fields(fields.clone(), now_ms, &mut faults);
        if faults.is_empty() {
            return scene;
        }
        for fault in faults.into_errors() {
            let name = field(&fault.path);
            if ["id", "name", "channelValues"].contains(&name) {
                leave(left, shown, format!("{name} {}", fault.msg));
                return None;
            }
            if fields.remove(name).is_some() {
                leave(left, format!("{shown}, {name}"), fault.msg);
            }
        }
    }
}

/// The field that has a fault, itself or deeper down.
fn field(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// A scene's name for people.
fn shown(scene: &Value, n: usize) -> String {
    let named = |field| scene.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    match named("name").or_else(|| named("id")) {
        Some(name) => format!("scene {:?}", short(name)),
        None => format!("scene number {}", n + 1),
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(left: &[LeftOut]) -> Vec<&str> {
        left.iter().map(|left| left.item.as_str()).collect()
    }

    #[test]
    fn a_bad_scene_costs_itself_alone_and_a_bad_field_the_field() {
        let body = json!([
            {"id": "a", "name": "Good", "channelValues": {"1": 300, "2": -4, "3": 127.6, "x": 7}, "timestamp": 1},
            {"id": "b", "name": "Half", "channelValues": {"1": "on", "2": 9}, "description": 7, "tags": "x", "timestamp": 1},
            {"id": "c", "channelValues": {}}, 7, {"id": "d", "name": "No levels"},
            {"id": "a", "name": "Same id", "channelValues": {"1": 1}, "timestamp": 1},
        ]);
        let mut left = Vec::new();
        let read = salvage_scenes(body.to_string().as_bytes(), 5, &mut left).unwrap();
        let expected = json!([
            {"id": "a", "name": "Good", "channelValues": {"1": 255, "2": 0, "3": 128, "x": 7}, "timestamp": 1},
            {"id": "b", "name": "Half", "channelValues": {"2": 9}, "timestamp": 1},
            {"id": "a-2", "name": "Same id", "channelValues": {"1": 1}, "timestamp": 1},
        ]);
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
        assert_eq!(
            items(&left),
            [
                "scene \"Half\", level of 1",
                "scene \"Half\", description",
                "scene \"Half\", tags",
                "scene \"c\"",
                "scene number 4",
                "scene \"No levels\""
            ]
        );
        assert!(salvage_scenes(b"{}", 5, &mut left).is_err() && salvage_scenes(b"[", 5, &mut left).is_err());
    }

    #[test]
    fn a_bad_list_of_a_show_costs_itself_alone() {
        let body = json!({"effects": "nope", "fixtures": [{"id": 1}], "scenes": [{"id": "a", "name": "a", "channelValues": {}}, 7], "more": {"x": 1}, "version": []});
        let mut left = Vec::new();
        let read = salvage_show(body.to_string().as_bytes(), 5, &mut left).unwrap();
        assert_eq!(serde_json::to_value(&read.show).unwrap(), json!({"fixtures": [{"id": 1}], "more": {"x": 1}}));
        assert_eq!(read.scenes.map(|scenes| scenes.len()), Some(1));
        assert_eq!(items(&left), ["scene number 2", "version", "effects"]);
    }

    #[test]
    fn more_faults_than_one_refusal_names_are_left_out_all_the_same() {
        let many: Map<_, _> = (0..17).map(|n| (format!("x{n}"), Value::from(vec![0; 200_001]))).collect();
        let mut left = Vec::new();
        let read = salvage_show(Value::from(many).to_string().as_bytes(), 5, &mut left).unwrap();
        assert_eq!((serde_json::to_value(&read.show).unwrap(), left.len()), (json!({}), 17));
    }
}
