//! The library over a real store and engine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::predecessor::{Folders, Ids};
use super::*;
use crate::config;
use crate::dmx::{Command, FixtureType, Patch, Rgb, Source};
use crate::engine::{self, Engine, Outcome};
use crate::fixtures::Types;
use crate::kit::health::Health;
use crate::metrics::Metrics;
use crate::store::{Batch, Store, Tree};
use crate::wire::scenes;

const PATIENCE: Duration = Duration::from_secs(20);

/// An engine and its library on a folder.
struct House {
    store: Store,
    engine: Engine,
    library: Library,
    health: Health,
    tasks: Tasks,
}

impl House {
    async fn open(folder: &Path, several: bool) -> Self {
        let (metrics, health) = (Metrics::new().unwrap(), Health::default());
        let settings = config::Storage { data_dir: folder.join("data"), ..config::Storage::default() };
        let opened = tokio::task::spawn_blocking({
            let (health, metrics) = (health.clone(), metrics.clone());
            move || Store::open(&settings, &health, &metrics)
        });
        let store = opened.await.unwrap().unwrap().store;
        store.forget_unfinished().await;
        let folders = Folders { data: folder.join("data"), projects: folder.join("projects"), named: false };
        let ids = Ids { ttl: Duration::from_secs(900), most: 100 };
        predecessor::import(&store, folders, several, ids, &health).await;
        let project = active_at_start(&store, several);
        let reading = Reading { universes: 64, types: Types::built_in() };
        let rig = rig_at_start(&store, &project, &reading).await;
        let engine = engine::start(&config::Engine::default(), store.clone(), 0, project, rig, &metrics).await;
        let (handle, feed) = (engine.handle.clone(), engine.feed.clone());
        let deps = LibraryDeps { several, store: store.clone(), engine: handle, feed, reading, health: health.clone() };
        let mut tasks = Tasks::default();
        let library = start(deps, &mut tasks).await;
        Self { store, engine, library, health, tasks }
    }

    /// A clean end.
    async fn close(self) {
        let Self { store, engine, library, tasks, .. } = self;
        drop(library);
        assert!(tasks.join(PATIENCE).await.is_empty());
        engine.drain().await;
        store.close().await;
    }

    async fn set(&self, n: u64, rgb: [u8; 3]) -> Outcome {
        let [r, g, b] = rgb;
        let id = ulid::Ulid::from(u128::from(n)).into();
        let command = Command::set(id, "test".parse().unwrap(), Patch::lamp(Rgb { r, g, b }));
        self.engine.handle.submit_within(command, PATIENCE).await
    }

    fn lamp(&self) -> [u8; 3] {
        let Rgb { r, g, b } = self.engine.feed.state().lamp();
        [r, g, b]
    }

    async fn create(&self, body: Value) -> ProjectId {
        let edit = ProjectEdit::from_json(body.to_string().as_bytes(), true).unwrap();
        let before = self.library.view();
        let after = self.library.create(edit).await.unwrap();
        let new = after.catalogue.projects.iter().find(|project| before.catalogue.get(&project.id).is_none());
        new.unwrap().id.clone()
    }

    async fn put(&self, level: u8) {
        let body = json!([{"id": "a", "name": "a", "channelValues": {"1": level}, "timestamp": 1}]);
        self.library.put_scenes(scenes(body.to_string().as_bytes(), 0).unwrap()).await.unwrap();
    }

    fn level_of_scene(&self) -> Option<u64> {
        let scenes: Value = serde_json::from_slice(&self.library.view().scenes).unwrap();
        scenes[0]["channelValues"]["1"].as_u64()
    }
}

#[tokio::test]
async fn each_project_has_its_own_light_ids_and_documents_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    house.set(1, [1, 1, 1]).await;
    house.put(11).await;
    let other = house.create(json!({"name": "Other"})).await;
    house.library.select(other.clone()).await.unwrap();
    assert_eq!((house.lamp(), house.level_of_scene()), ([0, 0, 0], None));
    assert_eq!(house.engine.feed.state().seq, 2, "selecting is a change");
    assert_eq!(house.set(1, [2, 2, 2]).await, Outcome::Applied { seq: 3 }, "ids are the project's own");
    house.put(22).await;
    house.close().await;

    let house = House::open(folder.path(), true).await;
    assert_eq!(house.library.view().catalogue.active, other);
    assert_eq!((house.lamp(), house.level_of_scene()), ([2, 2, 2], Some(22)));
    assert_eq!(house.set(1, [9, 9, 9]).await, Outcome::Duplicate);
    house.library.select(ProjectId::default_project()).await.unwrap();
    assert_eq!((house.lamp(), house.level_of_scene()), ([1, 1, 1], Some(11)));
    assert_eq!(house.engine.feed.state().seq, 4);
    assert_eq!(house.set(1, [9, 9, 9]).await, Outcome::Duplicate);
    house.close().await;

    let house = House::open(folder.path(), false).await;
    assert_eq!((house.lamp(), house.engine.feed.state().seq), ([1, 1, 1], 4), "without projects there is `default`");
}

#[tokio::test]
async fn a_project_made_from_another_starts_with_its_light_and_documents() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    house.set(1, [7, 8, 9]).await;
    house.put(33).await;
    let copy = house.create(json!({"name": "Copy", "templateId": "default", "venue": "here"})).await;
    house.set(2, [0, 0, 0]).await;
    let view = house.library.select(copy.clone()).await.unwrap();
    assert_eq!((house.lamp(), house.level_of_scene()), ([7, 8, 9], Some(33)));
    assert_eq!(view.catalogue.get(&copy).unwrap().venue.as_deref(), Some("here"));
    let none = ProjectEdit { name: Some("x".into()), template: "none".parse().ok(), ..ProjectEdit::default() };
    assert_eq!(house.library.create(none).await.unwrap_err(), EditError::NotFound("none".parse().unwrap()));
}

#[tokio::test]
async fn a_deleted_project_leaves_nothing_and_the_active_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    house.put(1).await;
    let keys = |house: &House| {
        let trees = [crate::store::Tree::Light, crate::store::Tree::Levels, crate::store::Tree::Documents];
        trees.map(|tree| house.store.scan(tree, b"").len())
    };
    let before = keys(&house);
    let copy = house.create(json!({"name": "Copy", "templateId": "default"})).await;
    assert_ne!(keys(&house), before);
    let active = house.library.view().catalogue.active.clone();
    assert_eq!(house.library.delete(active.clone()).await.unwrap_err(), EditError::Active(active));
    let left = house.library.delete(copy.clone()).await.unwrap();
    assert_eq!((left.catalogue.projects.len(), keys(&house)), (1, before));
    assert_eq!(house.library.delete(copy.clone()).await.unwrap_err(), EditError::NotFound(copy));
}

#[tokio::test]
async fn what_is_adopted_replaces_light_scenes_and_show_in_one_change() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    house.set(1, [1, 2, 3]).await;
    house.put(5).await;
    let document = house.library.snapshot(ProjectId::default_project()).await.unwrap();
    house.set(2, [9, 9, 9]).await;
    house.put(6).await;
    let (snapshot, project) = Snapshot::from_json(&document.bytes, 0).unwrap();
    assert_eq!(project.as_deref(), Some("default"));
    let (_, mut news) = house.engine.feed.subscribe();
    let stale = house.library.adopt(document.project.clone(), snapshot.clone(), document.edition).await;
    assert_eq!(stale, Err(EditError::Changed), "scenes were edited after it was made");
    let edition = house.library.view().edition;
    house.library.adopt(document.project.clone(), snapshot.clone(), edition).await.unwrap();
    assert_eq!(news.recv().await.unwrap().change.seq, 3);
    assert_eq!((house.lamp(), house.level_of_scene()), ([1, 2, 3], Some(5)));
    let again = house.library.snapshot(ProjectId::default_project()).await.unwrap();
    assert_eq!(Snapshot::from_json(&again.bytes, 0).unwrap().0, snapshot);
    let other: ProjectId = "other".parse().unwrap();
    assert_eq!(house.library.adopt(other.clone(), snapshot, edition).await, Err(EditError::NotActive(other)));
    house.close().await;
    let house = House::open(folder.path(), true).await;
    assert_eq!((house.lamp(), house.level_of_scene()), ([1, 2, 3], Some(5)));
}

#[tokio::test]
async fn a_dry_import_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), false).await;
    house.put(5).await;
    let before = house.library.view();
    let file = ShowFile::from_json(json!({"scenes": [], "fixtures": [{"id": 1}]}).to_string().as_bytes(), 0).unwrap();
    let would = house.library.import(file.clone(), ImportMode::Replace, true).await.unwrap();
    assert_eq!(would.changes["scenes"].removed, ["a"]);
    assert_eq!((&house.library.view().scenes, &house.library.view().show), (&before.scenes, &before.show));
    let did = house.library.import(file, ImportMode::Replace, false).await.unwrap();
    assert_eq!((did.file, house.level_of_scene()), (would.file, None));
}

#[tokio::test]
async fn documents_have_limits() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    let file = |mib: usize| ShowFile::from_json(json!({"x": "y".repeat(mib << 20)}).to_string().as_bytes(), 0).unwrap();
    let import = async |mib| house.library.import(file(mib), ImportMode::Replace, false).await;
    assert!(matches!(import(9).await, Err(EditError::TooMuch(_))), "of one project");
    import(7).await.unwrap();
    import(7).await.unwrap(); // in the place of the first
    let copy = || ProjectEdit { name: Some("x".into()), template: "default".parse().ok(), ..ProjectEdit::default() };
    for _ in 0..8 {
        house.library.create(copy()).await.unwrap();
    }
    assert!(matches!(house.library.create(copy()).await, Err(EditError::TooMuch(_))), "of all together");
    assert!(house.health.problems().is_empty(), "{:?}", house.health.problems());
}

#[tokio::test]
async fn a_merge_beyond_the_limit_of_scenes_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), false).await;
    let file = |from: usize| {
        let scene = |n| json!({"id": format!("s{n}"), "name": "s", "channelValues": {}, "timestamp": 1});
        let scenes: Vec<_> = (from..from + 1_500).map(scene).collect();
        ShowFile::from_json(json!({ "scenes": scenes }).to_string().as_bytes(), 0).unwrap()
    };
    house.library.import(file(0), ImportMode::Merge, false).await.unwrap();
    let before = house.library.view().scenes.clone();
    assert!(matches!(house.library.import(file(1_500), ImportMode::Merge, false).await, Err(EditError::TooMuch(_))));
    assert_eq!(house.library.view().scenes, before);
    assert_eq!(house.library.view().file().unwrap().scenes.unwrap().len(), 1_500);
}

#[tokio::test]
async fn damaged_documents_are_nothing_to_build_on_and_can_be_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    house.put(5).await;
    let mut batch = crate::store::Batch::default();
    let (key, _) = house.store.scan(crate::store::Tree::Pieces, b"").remove(0);
    batch.put(crate::store::Tree::Pieces, key, "damaged");
    house.store.commit(batch, || {}).await;
    house.close().await;
    let house = House::open(folder.path(), true).await;
    assert_eq!(house.health.problems()[0].code, "DOCUMENT_DAMAGED");
    let default = ProjectId::default_project();
    assert_eq!(house.library.snapshot(default.clone()).await, Err(EditError::Damaged), "no backup of it");
    let none = ShowFile::from_json(b"{}", 0).unwrap();
    let all = ShowFile::from_json(br#"{"scenes": []}"#, 0).unwrap();
    for (file, mode) in [(&all, ImportMode::Merge), (&none, ImportMode::Replace)] {
        assert_eq!(house.library.import(file.clone(), mode, false).await, Err(EditError::Damaged), "{mode:?}");
    }
    let copy = ProjectEdit { name: Some("x".into()), template: Some(default.clone()), ..ProjectEdit::default() };
    assert!(matches!(house.library.create(copy).await, Err(EditError::Damaged)));
    house.library.import(all, ImportMode::Replace, false).await.unwrap();
    house.library.snapshot(default).await.unwrap();
}

fn write(path: &Path, value: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

fn state(r: u8, seq: u64) -> Value {
    json!({"schema": "demo.rgb.state.v1", "r": r, "g": 0, "b": 0, "seq": seq, "updatedBy": "ui", "ts": 1_700_000_000_000u64})
}

#[tokio::test]
async fn a_predecessors_projects_are_taken_over_once_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("projects");
    let id = ulid::Ulid::from(7).to_string();
    let now = crate::kit::clock::now_ms() as f64 / 1000.0;
    write(
        &root.join("projects.json"),
        &json!({"activeId": "b-2", "projects": [
            {"id": "default", "name": "Default", "venue": null, "createdAt": 1},
            {"id": "b-2", "name": "Druhý", "venue": "Brno", "eventDate": "2024-05-01", "notes": null, "createdAt": 2, "updatedAt": 3}
        ]}),
    );
    write(&root.join("default/state.json"), &state(1, 900));
    write(&root.join("b-2/state.json"), &state(2, 40));
    let scene = json!({"id": "s", "name": "s", "channelValues": {"1": 77}, "timestamp": 4, "tags": null});
    write(&root.join("b-2/scenes.json"), &json!([scene]));
    write(&root.join("b-2/show.json"), &json!({"version": "1.0", "fixtures": [{"id": "f"}], "more": 1}));
    write(&root.join("b-2/cmd_seen.json"), &json!({ id: now - 5.0, "not an id": 1.0 }));
    let house = House::open(folder.path(), true).await;
    let view = house.library.view();
    let project = view.catalogue.get(&"b-2".parse().unwrap()).unwrap();
    assert_eq!((project.name.as_str(), project.venue.as_deref(), project.updated_at), ("Druhý", Some("Brno"), 3));
    assert_eq!((view.catalogue.active.as_str(), view.catalogue.projects.len()), ("b-2", 2));
    let now = house.engine.feed.state();
    assert_eq!((house.lamp(), now.seq, now.updated_by.clone()), ([2, 0, 0], 901, "ui".parse::<Source>().unwrap()));
    assert_eq!(house.level_of_scene(), Some(77));
    assert_eq!(serde_json::from_slice::<Value>(&view.show).unwrap()["more"], 1);
    assert_eq!(house.set(7, [9, 9, 9]).await, Outcome::Duplicate);
    house.set(8, [3, 3, 3]).await;
    house.close().await;

    write(&root.join("b-2/state.json"), &state(200, 5000));
    let house = House::open(folder.path(), true).await;
    assert_eq!((house.lamp(), house.health.problems().len()), ([3, 3, 3], 0), "once");
}

#[tokio::test]
async fn a_predecessor_without_projects_is_taken_over_and_a_broken_file_is_told_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("data/state.json"), &state(5, 10));
    fs::write(folder.path().join("data/cmd_seen.json"), "{").unwrap();
    let house = House::open(folder.path(), false).await;
    assert_eq!((house.lamp(), house.engine.feed.state().seq), ([5, 0, 0], 11));
    let problem = house.health.problems().remove(0);
    assert_eq!(problem.code, "IMPORT_INCOMPLETE");
    assert!(problem.message.contains("cmd_seen.json: not JSON"), "{}", problem.message);
    assert!(folder.path().join("data/state.json").exists());
}

/// A predecessor's only project with these scenes; `""`: something that is no JSON.
fn left_behind(folder: &Path, scenes: &Value) {
    let root = folder.join("projects");
    write(&root.join("projects.json"), &json!({"activeId": "default", "projects": [{"id": "default", "name": "D"}]}));
    write(&root.join("default/scenes.json"), scenes);
}

fn scene_named(id: &str, level: u8) -> Value {
    json!({"id": id, "name": id, "channelValues": {"1": level}, "timestamp": 4})
}

impl House {
    fn scene_ids(&self) -> Vec<String> {
        let scenes: Value = serde_json::from_slice(&self.library.view().scenes).unwrap();
        scenes.as_array().unwrap().iter().map(|scene| scene["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn put_all(&self, list: &Value) {
        self.library.put_scenes(scenes(list.to_string().as_bytes(), 0).unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn what_our_own_store_keeps_out_is_not_acknowledged_away() {
    let folder = tempfile::tempdir().unwrap();
    left_behind(folder.path(), &json!("damaged"));
    let house = House::open(folder.path(), true).await;
    assert_eq!(house.library.view().takeover.as_ref().unwrap().unread.len(), 1);
    // The file is mended, and now something of ours cannot be read.
    left_behind(folder.path(), &json!([scene_named("theirs", 7)]));
    let pending = documents::write_ahead(&house.store, Some(b"nonsense"), None).await;
    let mut batch = Batch::default();
    documents::replace(&house.store, &mut batch, &ProjectId::default_project(), pending);
    house.store.write(batch).await;
    house.close().await;

    let house = House::open(folder.path(), true).await;
    let unread = house.library.view().takeover.as_ref().unwrap().unread.clone();
    let file = folder.path().join("projects/default/scenes.json").display().to_string();
    assert_eq!((unread.len(), unread[0].path.as_str(), unread[0].refused), (1, file.as_str(), true), "{unread:?}");
    assert!(
        !house.health.problems().iter().any(|problem| problem.message.contains("chmod")),
        "nothing is refused by it"
    );
    house.library.acknowledge_takeover().await.unwrap();
    assert_eq!(house.library.view().takeover.as_ref().unwrap().unread, unread);
    let pending = documents::write_ahead(&house.store, Some(b"[]"), None).await;
    let mut batch = Batch::default();
    documents::replace(&house.store, &mut batch, &ProjectId::default_project(), pending);
    house.store.write(batch).await;
    house.close().await;

    let house = House::open(folder.path(), true).await;
    assert_eq!((house.scene_ids(), house.health.problems().len()), (vec!["theirs".to_owned()], 0));
}

#[tokio::test]
async fn of_a_list_that_becomes_too_long_what_has_room_comes_and_the_rest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    left_behind(folder.path(), &json!("damaged"));
    let house = House::open(folder.path(), true).await;
    let own: Vec<_> = (0..1999).map(|n| scene_named(&format!("own-{n}"), 1)).collect();
    house.put_all(&Value::from(own)).await;
    house.close().await;
    let theirs = ["own-0", "a", "b", "c"].map(|id| scene_named(id, 9));
    left_behind(folder.path(), &Value::from(theirs.to_vec()));
    write(&folder.path().join("projects/default/show.json"), &json!({"fixtures": [{"id": "f"}]}));

    let house = House::open(folder.path(), true).await;
    let ids = house.scene_ids();
    assert_eq!((ids.len(), ids.contains(&"own-1998".to_owned()), ids.contains(&"a".to_owned())), (2000, true, true));
    let takeover = house.library.view().takeover.clone().unwrap();
    let file = folder.path().join("projects/default/scenes.json").display().to_string();
    let named: Vec<_> = takeover.left_out.iter().map(|left| (left.path.as_str(), left.item.as_str())).collect();
    assert_eq!(named, [(file.as_str(), "scene \"b\""), (file.as_str(), "scene \"c\"")]);
    assert_eq!(takeover.unread, []);
}

#[tokio::test]
async fn what_an_earlier_build_could_not_read_is_tried_once_more_where_nothing_was_made_since() {
    for made_since in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let house = House::open(folder.path(), true).await;
        if made_since {
            house.put(5).await;
        }
        let mut batch = Batch::default();
        batch.put(Tree::Projects, "@predecessor", "1785000000000"); // as the builds before noted it
        house.store.write(batch).await;
        house.close().await;
        left_behind(folder.path(), &json!([scene_named("theirs", 7)]));
        let house = House::open(folder.path(), true).await;
        let (right, problems) = (if made_since { "a" } else { "theirs" }, house.health.problems().len());
        assert_eq!((house.scene_ids(), problems), (vec![right.to_owned()], 0));
        // And now it is done.
        house.put_all(&json!([])).await;
        house.close().await;
        let house = House::open(folder.path(), true).await;
        assert_eq!(house.scene_ids(), Vec::<String>::new(), "made since: {made_since}");
        house.close().await;
    }
}

#[tokio::test]
async fn what_tomorrows_build_stored_of_a_project_is_named_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    let (entry, import) = (r#"{"v":2,"id":"default","title":"Hamlet"}"#, r#"{"v":3}"#);
    let mut batch = Batch::default();
    batch.put(Tree::Projects, "default", entry);
    batch.put(Tree::Projects, "@predecessor", import);
    batch.put(Tree::Documents, "default/scenes", "\u{9}later");
    house.store.commit(batch, Box::new(|| {})).await;
    house.close().await;
    let house = House::open(folder.path(), true).await;
    let stays = || {
        assert_eq!(house.store.get(Tree::Projects, b"default").as_deref(), Some(entry.as_bytes()));
        assert_eq!(house.store.get(Tree::Projects, b"@predecessor").as_deref(), Some(import.as_bytes()));
    };
    let told: Vec<_> = house.health.problems().into_iter().map(|problem| problem.message).collect();
    for said in ["@predecessor has format 3,", "default/scenes was damaged"] {
        assert!(told.iter().any(|message| message.starts_with(said)), "{said}: {told:?}");
    }
    assert!(told.iter().any(|message| message.contains("1 more of the projects")), "{told:?}");
    stays();
    let default = ProjectId::default_project();
    let other = house.create(json!({"name": "Other"})).await;
    for id in [&other, &default] {
        house.library.select(id.clone()).await.unwrap();
    }
    stays();
    house.put(11).await;
    stays();
    house.library.backed_up(default.clone(), 5).await.unwrap();
    assert_eq!(house.library.view().catalogue.get(&default).unwrap().last_backup_at, Some(5));
    stays();
    let edit = ProjectEdit::from_json(br#"{"notes":"x"}"#, false).unwrap();
    assert!(matches!(house.library.edit(default.clone(), edit).await, Err(EditError::Foreign(_))));
    assert_eq!(house.library.view().catalogue.get(&default).unwrap().notes, None);
    stays();
    assert!(matches!(house.library.acknowledge_takeover().await, Err(EditError::Foreign(_))));
    assert_eq!(house.library.view().takeover, None, "nobody knows what was left out");
    stays();
    house.close().await;
}

#[tokio::test]
async fn light_of_tomorrows_build_is_taken_anew_as_a_whole_and_seq_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    let other = house.create(json!({"name": "Other"})).await;
    let mut batch = Batch::default();
    for (id, seq) in [("default", 9), (other.as_str(), 40)] {
        batch.put(Tree::Light, id, format!(r#"{{"v":2,"seq":{seq},"ts":1,"by":"x"}}"#));
        for universe in [0, 70] {
            batch.put(Tree::Levels, format!("{id}/{universe}"), [7; 512]);
        }
    }
    house.store.commit(batch, Box::new(|| {})).await;
    house.close().await;
    for _ in 0..2 {
        let house = House::open(folder.path(), true).await;
        let seq = house.engine.feed.state().seq;
        assert_eq!((house.lamp(), seq), ([0, 0, 0], 41), "other light has another number");
        assert!(house.store.scan(Tree::Levels, b"default/").is_empty(), "half of it would come back");
        house.close().await;
    }
    let house = House::open(folder.path(), true).await;
    house.library.select(other.clone()).await.unwrap();
    assert_eq!((house.lamp(), house.engine.feed.state().seq), ([0, 0, 0], 42));
    house.set(1, [1, 2, 3]).await;
    house.close().await;
    let house = House::open(folder.path(), true).await;
    assert_eq!(house.lamp(), [1, 2, 3]);
    assert_eq!(
        house.engine.feed.state().universes().flat_map(|(_, frame)| *frame.levels()).filter(|l| *l == 7).count(),
        0
    );
    assert!(house.store.scan(Tree::Levels, format!("{other}/70").as_bytes()).is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_fixture_type_is_not_removed_beside_a_fixture_that_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), true).await;
    let (library, types) = (house.library.clone(), house.library.types().clone());
    let brought = FixtureType { name: "Spot".into(), ..(*types.get(&"rgb".parse().unwrap()).unwrap()).clone() };
    let add = || PatchEdit::add(br#"{"type":"spot","universe":0,"address":1}"#).unwrap();
    let id = types.add(brought.clone()).await.unwrap().id.clone();
    let (removed, patched) = tokio::join!(library.remove_type(id.clone()), library.edit_patch(add()));
    assert_eq!((removed, patched.is_ok()), (Ok(Ok(())), false), "who is asked first wins");
    types.add(brought).await.unwrap();
    let (patched, removed) = tokio::join!(library.edit_patch(add()), library.remove_type(id.clone()));
    assert!(patched.is_ok() && matches!(removed, Ok(Err(NotKept::InUse(..)))), "{removed:?}");
    assert!(types.get(&id).is_some());
}
