//! What dmxd has added to the predecessor's fixtures: its apps do not know it, and drop it from the shows they write.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::entry::text;

/// Fields of a fixture that are dmxd's.
const OURS: [&str; 4] = ["type", "mode", "groups", "topic"];

/// Keeps them for fixtures that a new show has under the same id, and the list of groups.
pub(in super::super) fn keep_ours(new: &mut Map<String, Value>, now: &Map<String, Value>) {
    let list = |show: &Map<String, Value>| show.get("fixtures").and_then(Value::as_array).cloned();
    let (Some(Value::Array(fixtures)), Some(before)) = (new.get_mut("fixtures"), list(now)) else { return };
    let known: HashMap<String, &Map<String, Value>> =
        before.iter().filter_map(|fixture| Some((text(fixture.get("id")?)?, fixture.as_object()?))).collect();
    for fixture in fixtures.iter_mut().filter_map(Value::as_object_mut) {
        let id = fixture.get("id").and_then(text);
        let Some(before) = id.and_then(|id| known.get(&id)) else { continue };
        // a mode belongs to its type: one that comes with another type comes with its own, or with none
        let retyped = fixture.get("type").is_some_and(|new| Some(new) != before.get("type"));
        for name in OURS.into_iter().filter(|name| !(retyped && *name == "mode")) {
            if let (false, Some(value)) = (fixture.contains_key(name), before.get(name)) {
                fixture.insert(name.to_owned(), value.clone());
            }
        }
    }
    if let (false, Some(groups)) = (new.contains_key("groups"), now.get("groups")) {
        new.insert("groups".to_owned(), groups.clone());
    }
}
