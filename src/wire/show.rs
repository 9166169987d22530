//! The show: what `/export` gives and `/import` takes. Its scenes are the project's; of the rest dmxd knows the names.

use std::collections::{BTreeMap, HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::document::{self, LeftOut};
use super::fields::{Body, Field, Kind, described};
use super::patch::keep_ours;
use super::refusal::{Faults, Reason, Refusal, pointer};
use super::scene::{MAX_SCENES, SCENE, Scene, list_of_scenes};
use crate::dmx::TypeId;

/// Lists of a show besides its scenes.
const LISTS: [&str; 6] = ["universes", "fixtures", "effects", "stepperMotors", "servos", "midiMappings"];

/// Most items of one list; a large show has some hundreds, and 8 MiB of the smallest would take a Pi's memory.
const MAX_ITEMS: usize = 200_000;

/// Longest value of a field that is shown as it is.
const SHOWN_CHARS: usize = 40;

/// Version of the shape, if a show has none of its own.
const VERSION: &str = "1.0";

/// A show without its scenes, checked. Unknown fields are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Show(Map<String, Value>);

/// A show and its scenes, as one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShowFile {
    /// Everything except the scenes.
    pub show: Show,
    /// `None`: the file has no list of scenes.
    pub scenes: Option<Vec<Scene>>,
}

described!(ShowFile: SHOW);

impl Show {
    /// Its fields.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// One of its lists; empty if there is none.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.0.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Edits one of its lists; what was no list is an empty one.
    pub(super) fn edit_list<T>(&mut self, name: &str, edit: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        let mut list = match self.0.remove(name) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let edited = edit(&mut list);
        self.0.insert(name.to_owned(), Value::Array(list));
        edited
    }

    /// Adds a universe, in the form that the others have.
    pub(super) fn add_universe(&mut self, number: u16, universe: Value) {
        match self.0.get_mut("universes") {
            Some(Value::Object(by_number)) => drop(by_number.insert(number.to_string(), universe)),
            _ => self.edit_list("universes", |list| list.push(universe)),
        }
    }

    /// The name of a fixture of this type, if there is one.
    #[must_use]
    pub fn fixture_of_type(&self, id: &TypeId, has: impl Fn(Option<&str>) -> bool) -> Option<String> {
        let text = |fixture: &Value, name: &str| fixture.get(name).and_then(Value::as_str).map(str::to_owned);
        let mode = |fixture: &Value| text(fixture, "mode").filter(|mode| !mode.is_empty());
        let is_it = |it: &&Value| text(it, "type").as_deref() == Some(id.as_str()) && has(mode(it).as_deref());
        let found = self.list("fixtures").iter().find(is_it)?;
        Some(text(found, "name").or_else(|| item_id(found)).unwrap_or_default())
    }

    /// The patch as JSON: what of the show an edit of the patch changes.
    #[must_use]
    pub fn patch_json(&self) -> Vec<u8> {
        let parts = ["universes", "fixtures", "groups"].map(|name| self.0.get(name));
        serde_json::to_vec(&parts).unwrap_or_default() // JSON values never fail to serialise
    }
}

/// What its schema cannot say: an import refuses a file without any part of a show (with `anyOf`, generators lose the fields), and
/// a list has a bound.
pub(super) const SHOW: Body = Body {
    title: "Show",
    says: "A show. Unknown fields are kept.",
    fields: &[
        Field::new("version", Kind::Types(&["string", "number"]), "Of its shape.").nullable(),
        Field::new("exportedAt", Kind::Any, "Unix milliseconds, of the export; not read.").optional(),
        Field::new(
            "universes",
            Kind::Types(&["array", "object"]),
            "Universes: a list, or as predecessors wrote them an object by number.",
        )
        .nullable(),
        list("fixtures", "Fixtures."),
        Field::new(
            "scenes",
            Kind::List(&Kind::Body(&SCENE), 0),
            "Scenes; a file without them leaves the project's as they are.",
        )
        .nullable(),
        list("effects", "Effects."),
        list("stepperMotors", "Stepper motors."),
        list("servos", "Servos."),
        list("midiMappings", "MIDI mappings."),
        Field::new("customLayout", Kind::Any, "Of the app.").optional(),
    ],
    open: true,
    example: r#"{"version":"1.0","scenes":[{"id":"scene-warm","name":"Warm white","channelValues":{"1":255,"2":180,"3":90}}],"fixtures":[]}"#,
};

const fn list(name: &'static str, says: &'static str) -> Field {
    Field::new(name, Kind::List(&Kind::Any, 0), says).nullable()
}

/// How an import treats what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportMode {
    /// The file replaces the show.
    Replace,
    /// The file is added; where both have an id, the file's counts.
    Merge,
}

/// What an import would change, by list: ids, or the place in the file for items without one; for other fields the
/// value, or the name if the value is no short text or number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "ListChanges", description = "What an import would change in one list.")]
pub struct ListChanges {
    /// Not there before.
    pub added: Vec<String>,
    /// There before, and different in the file.
    pub changed: Vec<String>,
    /// No longer there.
    pub removed: Vec<String>,
}

impl ShowFile {
    /// Reads a file. `now_ms` (Unix milliseconds) is for scenes without times.
    ///
    /// # Errors
    /// Every fault with its place; nothing else happens.
    pub fn from_json(body: &[u8], now_ms: u64) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let file = Self::from_fields(document::object(body)?, "", now_ms, &mut faults);
        faults.or_refuse(file)
    }

    /// Reads an uploaded file. One without any part of a show is another program's: it would empty the project that it replaces, or
    /// leave its own fields in the one that it is merged into.
    ///
    /// # Errors
    /// As [`ShowFile::from_json`].
    pub fn brought(body: &[u8], now_ms: u64) -> Result<Self, Refusal> {
        let file = Self::from_json(body, now_ms)?;
        let is_of_a_show = |name: &String| LISTS.contains(&name.as_str()) || name == "customLayout";
        if file.scenes.is_none() && !file.show.0.keys().any(is_of_a_show) {
            let lists = LISTS.join(", ");
            let fault = format!("is not a show file: it has no scenes, and none of {lists}, customLayout");
            return Err(Refusal::whole(Reason::ValidationFailed, fault));
        }
        Ok(file)
    }

    /// The file at a JSON pointer.
    pub(super) fn from_fields(mut fields: Map<String, Value>, at: &str, now_ms: u64, faults: &mut Faults) -> Self {
        fields.remove("exportedAt"); // of the export, not of the show
        let scenes = fields.remove("scenes");
        let known = |name: &String| SHOW.fields.iter().any(|field| field.name == name);
        fields.retain(|name, value| !value.is_null() || !known(name)); // null is the same as nothing
        SHOW.check::<&Value>(&&fields, at, faults);
        for (name, value) in &fields {
            if value.as_array().is_some_and(|list| list.len() > MAX_ITEMS) {
                faults.add(pointer(at, name), format!("must have at most {MAX_ITEMS} items"));
            }
        }
        let scenes = match scenes {
            None | Some(Value::Null) => None,
            Some(Value::Array(list)) => Some(list_of_scenes(list, &pointer(at, "scenes"), now_ms, faults)),
            Some(_) => {
                faults.add(pointer(at, "scenes"), "must be a list of scenes");
                None
            }
        };
        Self { show: Show(fields), scenes }
    }

    /// Whether it keeps the limits, which a merge of two valid files may exceed.
    ///
    /// # Errors
    /// The lists that are too long.
    pub fn check(&self) -> Result<(), Refusal> {
        let mut faults = Faults::default();
        let scenes = self.scenes.as_ref().map(|scenes| ("scenes", scenes.len(), MAX_SCENES));
        let lists =
            self.show.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_array()?.len(), MAX_ITEMS)));
        for (name, items, most) in lists.chain(scenes) {
            if items > most {
                faults.add(pointer("", name), format!("must have at most {most} items, not {items}"));
            }
        }
        faults.or_refuse(())
    }

    /// Whether scenes or fixtures of `now` are gone after importing `self` over it.
    #[must_use]
    pub fn removes(&self, now: &Self, mode: ImportMode) -> bool {
        let fixtures = |file: &Self| -> HashSet<(bool, String)> {
            file.show.0.get("fixtures").and_then(Value::as_array).into_iter().flatten().map(item_key).collect()
        };
        let scenes = |file: &Self| -> HashSet<String> {
            file.scenes.iter().flatten().map(|scene| scene.id().to_string()).collect()
        };
        mode == ImportMode::Replace
            && (!fixtures(now).is_subset(&fixtures(self))
                || self.scenes.is_some() && !scenes(now).is_subset(&scenes(self)))
    }

    /// What the project holds after importing `self` over what it holds now.
    #[must_use]
    pub fn over(mut self, now: &Self, mode: ImportMode) -> Self {
        keep_ours(&mut self.show.0, &now.show.0);
        if mode == ImportMode::Replace {
            return Self { scenes: self.scenes.or_else(|| now.scenes.clone()), show: self.show };
        }
        let mut show = now.show.clone();
        for (name, new) in self.show.0 {
            let merged = match (show.0.remove(&name), new) {
                (Some(Value::Array(mut old)), Value::Array(new)) => {
                    merge(&mut old, new, item_id);
                    Value::Array(old)
                }
                (Some(old), Value::Null) => old,
                (_, new) => new,
            };
            show.0.insert(name, merged);
        }
        let mut scenes = now.scenes.clone().unwrap_or_default();
        merge(&mut scenes, self.scenes.unwrap_or_default(), |scene| Some(scene.id().to_string()));
        Self { show, scenes: Some(scenes) }
    }

    /// Leaves out what would have no room beside `now` after merging that over `self`, list by list; gives what was left out, of
    /// the scenes and of everything else.
    pub fn make_fit(&mut self, now: &Self) -> (Vec<LeftOut>, Vec<LeftOut>) {
        let scene = |scene: &Scene| (true, scene.id().to_string());
        let shown = |scene: &Scene| format!("scene {:?}", scene.name());
        let (mut scenes, mut items) = (Vec::new(), Vec::new());
        if let Some(list) = &mut self.scenes {
            fit(list, now.scenes.as_deref().unwrap_or_default(), MAX_SCENES, scene, shown, &mut scenes);
        }
        for (name, value) in &mut self.show.0 {
            let (Value::Array(list), Some(Value::Array(now))) = (value, now.show.0.get(name)) else { continue };
            fit(list, now, MAX_ITEMS, item_key, |item| format!("{name} {}", item_key(item).1), &mut items);
        }
        (scenes, items)
    }

    /// What differs in `self` from `now`, by list; lists without differences are left out.
    #[must_use]
    pub fn changes(&self, now: &Self) -> BTreeMap<String, ListChanges> {
        let (old, new) = (now.items(), self.items());
        let mut changes = BTreeMap::<String, ListChanges>::new();
        for (key, value) in &new {
            match old.get(key) {
                None => changes.entry(key.0.clone()).or_default().added.push(shown(key, value)),
                Some(old) if old != value => changes.entry(key.0.clone()).or_default().changed.push(shown(key, value)),
                Some(_) => {}
            }
        }
        for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            changes.entry(key.0.clone()).or_default().removed.push(shown(key, value));
        }
        changes
    }

    /// The file as exported at `now_ms`, Unix milliseconds: every list is there.
    #[must_use]
    pub fn export(&self, now_ms: u64) -> Value {
        let mut fields = self.show.0.clone();
        for name in LISTS {
            fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        }
        fields.entry("version").or_insert_with(|| VERSION.into());
        fields.entry("customLayout").or_insert(Value::Null);
        let scenes = self.scenes.as_deref().unwrap_or_default();
        fields.insert("scenes".to_owned(), scenes.iter().map(|scene| serde_json::json!(scene)).collect());
        fields.insert("exportedAt".to_owned(), now_ms.into());
        Value::Object(fields)
    }

    /// Every item of every list, by list and id; other fields as a whole.
    fn items(&self) -> BTreeMap<(String, String), Value> {
        let mut items = BTreeMap::new();
        for (name, value) in &self.show.0 {
            match value {
                Value::Array(list) => {
                    for (n, item) in list.iter().enumerate() {
                        let id = item_id(item).unwrap_or_else(|| format!("#{n}"));
                        items.insert((name.clone(), id), item.clone());
                    }
                }
                Value::Null => {}
                value => drop(items.insert((name.clone(), String::new()), value.clone())),
            }
        }
        for scene in self.scenes.iter().flatten() {
            items.insert(("scenes".to_owned(), scene.id().to_string()), serde_json::json!(scene));
        }
        items
    }
}

/// The name of an item for people: its id; for a whole field, a short value or the field's name.
fn shown((field, id): &(String, String), value: &Value) -> String {
    match value {
        _ if !id.is_empty() => id.clone(),
        Value::String(text) if text.chars().count() <= SHOWN_CHARS => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => field.clone(),
    }
}

/// The `id` of a list's item, if it has one.
fn item_id(item: &Value) -> Option<String> {
    match item.get("id")? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// What tells a list's item from the others: its `id`, else its text.
fn item_key(item: &Value) -> (bool, String) {
    item_id(item).map_or_else(|| (false, item.to_string()), |id| (true, id))
}

/// Replaces items with the same id, and appends the others; an item that is there already is not repeated.
fn merge<T: PartialEq + Serialize>(old: &mut Vec<T>, new: Vec<T>, id: impl Fn(&T) -> Option<String>) {
    // items without an id, by their text
    let key =
        |item: &T| id(item).map_or_else(|| (false, serde_json::to_string(item).unwrap_or_default()), |id| (true, id));
    let mut places: HashMap<_, _> = old.iter().enumerate().map(|(place, item)| (key(item), place)).collect();
    for item in new {
        let place = *places.entry(key(&item)).or_insert(old.len());
        match old.get_mut(place) {
            Some(known) => *known = item,
            None => old.push(item),
        }
    }
}

/// Keeps of a list what has room beside `now`: all of that stays, and what both have needs one place.
fn fit<T>(
    list: &mut Vec<T>,
    now: &[T],
    most: usize,
    key: impl Fn(&T) -> (bool, String),
    shown: impl Fn(&T) -> String,
    left: &mut Vec<LeftOut>,
) {
    let (mut both, mut count): (HashSet<_>, _) = (now.iter().map(&key).collect(), now.len());
    list.retain(|item| {
        if !both.remove(&key(item)) {
            if count >= most {
                let why = format!("there are {most} of them already, the most");
                left.push(LeftOut { item: shown(item), why });
                return false;
            }
            count += 1;
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(value: &Value) -> ShowFile {
        ShowFile::from_json(value.to_string().as_bytes(), 5).unwrap()
    }

    fn scene(id: &str, level: u8) -> Value {
        json!({"id": id, "name": id, "channelValues": {"1": level}, "timestamp": 1})
    }

    #[test]
    fn a_show_comes_back_with_everything_that_is_not_known() {
        let show = json!({
            "version": "2.1", "universes": {"1": {"x": 1}}, "fixtures": [{"id": 1, "y": null}], "scenes": [scene("a", 1)],
            "effects": [], "stepperMotors": [], "servos": [], "midiMappings": [7], "customLayout": {"z": [1.5]}, "new": [{}]
        });
        let mut exported = file(&show).export(99);
        assert_eq!(exported["exportedAt"], 99);
        exported.as_object_mut().unwrap().remove("exportedAt");
        assert_eq!(exported, show);
        assert_eq!(file(&exported), file(&show));
    }

    #[test]
    fn replace_takes_the_file_and_keeps_scenes_that_it_does_not_speak_of() {
        let now = file(&json!({"fixtures": [{"id": 1}], "scenes": [scene("a", 1)]}));
        let after = file(&json!({"effects": [1]})).over(&now, ImportMode::Replace);
        assert_eq!(after.scenes, now.scenes);
        assert_eq!(after.export(0)["fixtures"], json!([]));
        let after = file(&json!({"scenes": []})).over(&now, ImportMode::Replace);
        assert_eq!(after.scenes, Some(vec![]));
    }

    #[test]
    fn null_is_nothing_and_a_file_of_nothing_is_no_show() {
        let nulls =
            file(&json!({"fixtures": null, "customLayout": null, "version": null, "scenes": null, "theirs": null}));
        assert_eq!(nulls, file(&json!({"theirs": null})));
        assert_eq!(nulls.export(0)["fixtures"], json!([]));
        let brought = |value: &Value| ShowFile::brought(value.to_string().as_bytes(), 5);
        for foreign in [
            json!({}),
            json!({"fixtures": null, "scenes": null}),
            json!({"theirs": 1}),
            json!({"name": "app", "version": "1.0.0", "scripts": {"start": "x"}}),
            json!({"0": {}, "1": {"n": "Sunset", "seg": [{"col": [[255, 160, 0]]}]}}),
        ] {
            assert_eq!(brought(&foreign).unwrap_err().errors[0].path, "", "{foreign}");
        }
        for show in [
            json!({"scenes": [], "theirs": 1}),
            json!({"fixtures": []}),
            json!({"customLayout": {}}),
            json!({"universes": {}}),
        ] {
            assert!(brought(&show).is_ok(), "{show}");
        }
    }

    #[test]
    fn an_import_removes_what_is_not_in_it_unless_it_merges() {
        let now = file(&json!({"fixtures": [{"id": 1}, {"none": 1}], "scenes": [scene("a", 1)]}));
        for (new, removes) in [
            (json!({"fixtures": [{"id": 1, "x": 2}, {"none": 1}]}), false),
            (json!({"fixtures": [{"id": 1}, {"none": 1}, 7], "scenes": [scene("b", 1), scene("a", 2)]}), false),
            (json!({"fixtures": [{"id": 1}]}), true),
            (json!({"scenes": [scene("a", 1)]}), true),
            (json!({"fixtures": [{"id": 1}, {"none": 1}], "scenes": []}), true),
        ] {
            assert_eq!(file(&new).removes(&now, ImportMode::Replace), removes, "{new}");
            assert!(!file(&new).removes(&now, ImportMode::Merge), "{new}");
        }
    }

    #[test]
    fn merge_puts_items_of_the_same_id_in_their_place_and_twice_is_as_once() {
        let now =
            file(&json!({"fixtures": [{"id": 1, "a": 1}, {"id": 2}], "customLayout": 1, "scenes": [scene("a", 1)]}));
        let new = file(&json!({"fixtures": [{"id": 3}, {"id": 1, "a": 2}, {"none": 1}], "scenes": [scene("b", 2)]}));
        let once = new.clone().over(&now, ImportMode::Merge);
        let exported = once.export(0);
        assert_eq!(exported["fixtures"], json!([{"id": 1, "a": 2}, {"id": 2}, {"id": 3}, {"none": 1}]));
        assert_eq!(exported["scenes"], json!([scene("a", 1), scene("b", 2)]));
        assert_eq!(exported["customLayout"], 1);
        assert_eq!(new.over(&once, ImportMode::Merge), once);
    }

    #[test]
    fn changes_name_what_is_added_changed_and_removed() {
        let now = file(&json!({"fixtures": [{"id": 1}, {"id": 2}], "scenes": [scene("a", 1), scene("c", 1)], "x": 1}));
        let after =
            file(&json!({"fixtures": [{"id": 2}], "scenes": [scene("a", 2), scene("b", 1), scene("c", 1)], "x": 2}));
        let changes = after.changes(&now);
        let expected = |added: &[&str], changed: &[&str], removed: &[&str]| {
            let [added, changed, removed] =
                [added, changed, removed].map(|ids| ids.iter().map(|&id| id.into()).collect());
            ListChanges { added, changed, removed }
        };
        assert_eq!(changes["fixtures"], expected(&[], &[], &["1"]));
        assert_eq!(changes["scenes"], expected(&["b"], &["a"], &[]));
        assert_eq!(changes["x"], expected(&[], &["2"], &[]));
        assert_eq!(changes.len(), 3);
        assert!(now.changes(&now).is_empty());
    }

    #[test]
    fn a_file_of_the_wrong_shape_is_refused_with_the_places() {
        let bad = json!({"fixtures": {}, "version": [], "scenes": [{"id": "a"}], "universes": 7});
        let refusal = ShowFile::from_json(bad.to_string().as_bytes(), 5).unwrap_err();
        let paths: Vec<_> = refusal.errors.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["/version", "/universes", "/fixtures", "/scenes/0/name", "/scenes/0/channelValues"]);
    }
}
