//! What the predecessor left in its folders, taken over once, at the first start. Its files are read and left as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;
use ulid::Ulid;

use super::documents;
use super::librarian::keep;
use crate::dmx::{CommandId, Frame, Project, ProjectId, Rgb, Scene, Show, ShowFile, Source, State, UniverseId};
use crate::dmx::{lamp_of_state, scenes};
use crate::engine;
use crate::kit::clock;
use crate::kit::health::Health;
use crate::store::{Batch, Store, Tree};

/// Key in `Tree::Projects` that tells that this was done. No project has such an id.
const DONE: &str = "@predecessor";

/// Problem in `/readyz`, until the next start.
const INCOMPLETE: &str = "IMPORT_INCOMPLETE";

/// Where the predecessor's files are looked for.
#[derive(Clone, Debug)]
pub struct Folders {
    /// `state.json` and `cmd_seen.json` of the one project there was without projects.
    pub data: PathBuf,
    /// `projects.json`, and a folder for each project.
    pub projects: PathBuf,
}

/// How its ids are taken over.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Older ones are forgotten.
    pub ttl: Duration,
    /// At most so many, the newest.
    pub most: usize,
}

/// One project of the predecessor.
struct Found {
    project: Project,
    rgb: Rgb,
    seq: u64,
    ts: u64,
    by: Source,
    scenes: Vec<Scene>,
    show: Show,
    ids: Vec<(CommandId, u64)>,
}

/// What was found, and what was wrong with it.
#[derive(Default)]
struct Legacy {
    projects: Vec<Found>,
    active: Option<ProjectId>,
    wrong: Vec<String>,
}

/// Takes over what is there, if this is the first start: all of it or, when it is stopped in the middle, nothing. A file
/// that cannot be read is left out and told.
pub async fn import(store: &Store, folders: Folders, several: bool, ids: Ids, health: &Health) {
    let first_start = engine::projects(store).is_empty() && store.scan(Tree::Projects, b"").is_empty();
    if !first_start || !store.is_whole() {
        return;
    }
    let read = move || read(&folders, several, ids);
    let Ok(legacy) = tokio::task::spawn_blocking(read).await else { return }; // the runtime is ending
    let mut batch = Batch::default();
    batch.put(Tree::Projects, DONE, clock::now_ms().to_string());
    // Above the highest, so that no number of the predecessor's comes again.
    let seq = legacy.projects.iter().map(|found| found.seq + 1).max().unwrap_or(0);
    for found in &legacy.projects {
        take(store, &mut batch, found, seq, ids.most).await;
    }
    if let Some(active) = &legacy.active {
        engine::keep_active(&mut batch, active);
    }
    let (done, written) = oneshot::channel::<()>();
    store.commit(batch, Box::new(move || drop(done))).await;
    let _ = written.await; // Err is the signal: the sender was dropped by the release
    store.sync().await;
    let names: Vec<_> = legacy.projects.iter().map(|found| found.project.id.as_str()).collect();
    if !names.is_empty() {
        tracing::info!(projects = ?names, seq, "predecessor_imported");
    }
    for wrong in &legacy.wrong {
        tracing::warn!(wrong, "predecessor_file_left_out");
    }
    if !legacy.wrong.is_empty() {
        let message = format!("of the predecessor's files these could not be taken over: {}", legacy.wrong.join("; "));
        health.raise(INCOMPLETE, message);
    }
}

async fn take(store: &Store, batch: &mut Batch, found: &Found, seq: u64, keep_ids: usize) {
    let id = &found.project.id;
    keep(batch, &found.project);
    let mut frame = Frame::DARK;
    frame.set(&found.rgb.levels());
    engine::keep(batch, id, &State::restore(seq, found.ts, found.by.clone(), [(UniverseId::LAMP, frame)]));
    engine::remember(batch, id, &found.ids, keep_ids);
    let (scenes, show) = (documents::json(&found.scenes), documents::json(&found.show));
    let pending = documents::write_ahead(store, Some(&scenes), Some(&show)).await;
    documents::replace(store, batch, id, pending);
}

fn read(folders: &Folders, several: bool, ids: Ids) -> Legacy {
    let mut legacy = Legacy::default();
    let list = legacy.parsed(&folders.projects.join("projects.json"), object);
    for entry in list.as_ref().and_then(|list| list.get("projects")?.as_array()).into_iter().flatten() {
        let Some(project) = project(entry) else {
            legacy.wrong.push("an entry of projects.json without a name".to_owned());
            continue;
        };
        // Its folder has the name it had, whatever we call it.
        let folder = entry.get("id").and_then(Value::as_str).filter(|id| id.parse::<ProjectId>().is_ok());
        let folder = folder.map(|id| folders.projects.join(id));
        let found = legacy.found(project, folder.as_deref(), ids);
        legacy.projects.push(found);
    }
    let active = list.as_ref().and_then(|list| list.get("activeId")?.as_str());
    let active = active.and_then(|id| legacy.projects.iter().find(|found| found.project.id.as_str() == id));
    legacy.active = active.map(|found| found.project.id.clone());
    // Without projects there was one state; it is the one in use, unless projects are, and there are some.
    let default = ProjectId::default_project();
    let alone = !several || legacy.projects.is_empty();
    if alone && folders.data.join("state.json").exists() {
        legacy.projects.retain(|found| found.project.id != default);
        let project = Project::new(default, "Default", clock::now_ms());
        let found = legacy.found(project, Some(&folders.data), ids);
        legacy.projects.push(found);
    }
    legacy
}

impl Legacy {
    /// Reads a file, when it is there; what is wrong with it is noted.
    fn parsed<T>(&mut self, path: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Option<T> {
        let read = match fs::read(path) {
            Ok(bytes) => parse(&bytes),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return None;
            }
            Err(error) => Err(error.to_string()),
        };
        read.map_err(|wrong| self.wrong.push(format!("{}: {wrong}", path.display()))).ok()
    }

    fn found(&mut self, project: Project, folder: Option<&Path>, ids: Ids) -> Found {
        let now = clock::now_ms();
        let file = |name: &str| folder.map(|folder| folder.join(name)).unwrap_or_default();
        let said = |refusal: crate::dmx::Refusal| refusal.to_string();
        let state = self.parsed(&file("state.json"), |bytes| {
            let (rgb, seq) = lamp_of_state(bytes).map_err(said)?;
            Ok((rgb, seq, object(bytes)?))
        });
        let (rgb, seq, state) = state.unwrap_or_default();
        let by = state.get("updatedBy").and_then(Value::as_str).and_then(|by| by.parse().ok());
        let show = self.parsed(&file("show.json"), |bytes| match bytes.trim_ascii() {
            b"null" | b"" => Ok(ShowFile::default()),
            bytes => ShowFile::from_json(bytes, now).map_err(said),
        });
        let ShowFile { show, scenes: shown } = show.unwrap_or_default();
        let own = self.parsed(&file("scenes.json"), |bytes| match bytes.trim_ascii() {
            b"null" | b"" => Ok(Vec::new()),
            bytes => scenes(bytes, now).map_err(said),
        });
        let seen = self.parsed(&file("cmd_seen.json"), object);
        Found {
            project,
            rgb,
            seq,
            ts: state.get("ts").map_or(now, |ts| whole(ts).unwrap_or(now)),
            by: by.unwrap_or_else(Source::init),
            scenes: own.or(shown).unwrap_or_default(),
            show,
            ids: recent(&seen.unwrap_or_default(), ids, now),
        }
    }
}

/// Ids that still count, oldest first: `{"<ULID>": Unix seconds}`.
fn recent(seen: &Map<String, Value>, ids: Ids, now_ms: u64) -> Vec<(CommandId, u64)> {
    let ttl = u64::try_from(ids.ttl.as_millis()).unwrap_or(u64::MAX);
    let known = seen.iter().filter_map(|(id, at)| {
        let at = (at.as_f64()? * 1000.0) as u64; // a float below zero or not finite is 0: long ago
        Some((id.parse::<CommandId>().ok()?, at))
    });
    let mut known: Vec<_> = known.filter(|(_, at)| at.saturating_add(ttl) > now_ms).collect();
    known.sort_by_key(|(_, at)| *at);
    let spare = known.len().saturating_sub(ids.most);
    known.split_off(spare)
}

fn project(entry: &Value) -> Option<Project> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| entry.get(name).and_then(whole);
    let name = text("name").filter(|name| !name.is_empty());
    let id = text("id").and_then(|id| id.parse().ok());
    let id = match (id, &name) {
        (Some(id), _) => id,
        (None, Some(name)) => ProjectId::for_name(name, Ulid::generate()),
        (None, None) => return None,
    };
    let created_at = time("createdAt").unwrap_or_else(clock::now_ms);
    Some(Project {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        venue: text("venue"),
        event_date: text("eventDate"),
        notes: text("notes"),
        created_at,
        updated_at: time("updatedAt").unwrap_or(created_at),
        last_backup_at: time("lastBackupAt"),
    })
}

fn whole(time: &Value) -> Option<u64> {
    time.as_u64().or_else(|| time.as_f64().filter(|time| *time > 0.0).map(|time| time as u64))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))? {
        Value::Object(fields) => Ok(fields),
        _ => Err("must be a JSON object".to_owned()),
    }
}
