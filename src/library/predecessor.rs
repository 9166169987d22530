//! The predecessor's files, imported at the first start. They are read and left as they are.
//!
//! A file that cannot be read then is tried again at each start; its content comes in beside what is there by then, never
//! over it. Whatever was left out of a file is reported until somebody acknowledges it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ulid::Ulid;

use super::catalogue::{FORMAT, keep, name_of};
use super::documents;
use super::error::EditError;
use crate::dmx::{CommandId, Frame, ProjectId, Rgb, Source, State, UniverseId};
use crate::engine;
use crate::kit::clock;
use crate::kit::health::Health;
use crate::store::{Batch, Store, Tree};
use crate::wire::{self, ImportMode, Project, Scene, Show, ShowFile};
use crate::wire::{salvage_lamp, salvage_scenes, salvage_show};

/// Key in `Tree::Projects` of what is known of the import: present once one was tried. No project has such an id.
const RECORD: &str = "@predecessor";

/// Problem in `/readyz`.
const INCOMPLETE: &str = "IMPORT_INCOMPLETE";

/// The list of projects, as files are named here: relative to the root; names of files in the data folder have no slash.
const LIST: &str = "projects.json";

/// Most items recorded by name: a record is one value of the store.
const NAMED: usize = 100;

/// Why a file was not read although nothing is wrong with it.
const OURS: &str = "dmxd cannot add to this project now";

/// Size of the documents that an earlier build wrote for a project without any: `[]` and `{}`.
const EMPTY: u64 = 4;

/// Items named in a message; a request gives the rest.
const TOLD: usize = 5;

/// Where to look for the predecessor's files.
#[derive(Clone, Debug)]
pub struct Folders {
    /// `state.json` and `cmd_seen.json` of the only project there was while projects were off.
    pub data: PathBuf,
    /// `projects.json`, and a folder for each project.
    pub projects: PathBuf,
    /// Somebody has named that folder, so it should be there.
    pub named: bool,
}

/// How its command ids are imported.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Older ones are left out.
    pub ttl: Duration,
    /// At most this many, the newest.
    pub most: usize,
}

/// What of the predecessor's files is not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(title = "Takeover", description = "What of the predecessor's files could not be taken over.")]
pub struct Takeover {
    /// Files that could not be read; each start tries again.
    pub unread: Vec<Unread>,
    /// Items that were left out of readable files, until somebody acknowledges that.
    pub left_out: Vec<LeftOut>,
    /// Items left out beyond those named.
    pub more: usize,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "UnreadFile", description = "A file of the predecessor's that could not be read.")]
pub struct Unread {
    /// Its name: relative to the folder of projects, or without a slash in the data folder.
    pub file: String,
    /// Its path at the last attempt.
    pub path: String,
    /// Why not.
    pub why: String,
    /// It may be intact: the system or dmxd's own store refused it. Acknowledging does not dismiss it.
    pub refused: bool,
}

/// An item that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "LeftOut", description = "A thing of a predecessor's file that was left out.")]
pub struct LeftOut {
    /// Path of the file.
    pub path: String,
    /// The item.
    pub item: String,
    /// What would have been valid.
    pub why: String,
}

impl Takeover {
    /// Why nothing is known of it.
    pub(crate) const FOREIGN: EditError = EditError::Foreign("what is known of the import");

    /// What the store knows; `None`: no import was tried.
    ///
    /// # Errors
    /// Only another dmxd knows, which has recorded it.
    pub(super) fn kept(store: &Store) -> Result<Option<Self>, EditError> {
        let Some(value) = store.get(Tree::Projects, RECORD.as_bytes()) else { return Ok(None) };
        if !store.knows(Tree::Projects, RECORD.as_bytes(), &value, FORMAT) {
            return Err(Self::FOREIGN);
        }
        // earlier builds recorded the time alone
        Ok(Some(serde_json::from_slice(&value).unwrap_or_default()))
    }

    /// Whether earlier builds recorded it, without details.
    fn is_a_time(store: &Store) -> bool {
        store.get(Tree::Projects, RECORD.as_bytes()).is_some_and(|value| serde_json::from_slice::<u64>(&value).is_ok())
    }

    pub(super) fn keep(&self, batch: &mut Batch) {
        batch.put(Tree::Projects, RECORD, documents::json(self));
    }

    /// What is left once somebody has acknowledged it: files that may still be read.
    pub(super) fn acknowledged(&self) -> Self {
        let unread = self.unread.iter().filter(|file| file.refused).cloned().collect();
        Self { unread, ..Self::default() }
    }

    /// Raises the problem.
    pub(super) fn tell(&self, health: &Health) {
        if self == &Self::default() {
            health.clear(INCOMPLETE);
        } else {
            health.raise(INCOMPLETE, self.message());
        }
    }

    fn message(&self) -> String {
        let unread = self.unread.iter().map(|Unread { path, why, .. }| format!("{path}: {why}"));
        let left = self.left_out.iter().map(|LeftOut { path, item, why }| format!("{path}: {item}: {why}"));
        let all = self.unread.len() + self.left_out.len() + self.more;
        let mut told: Vec<_> = unread.chain(left).take(TOLD).collect();
        if all > told.len() {
            told.push(format!("{} more", all - told.len()));
        }
        let mut message = format!("some of the previous software's files could not be imported: {}", told.join("; "));
        if self.unread.iter().any(|file| file.refused && !file.why.starts_with(OURS)) {
            message += ". Let dmxd read them (chmod -R a+rX on the folder) and restart it";
        }
        if *self != self.acknowledged() {
            message += ". GET /takeover lists everything; POST /takeover/acknowledge dismisses this message";
        }
        message
    }
}

/// Which files to read.
enum Wanted {
    /// It is the first start.
    All,
    /// Those that could not be read before.
    These(BTreeSet<String>),
}

impl Wanted {
    fn has(&self, file: &str) -> bool {
        match self {
            Self::All => true,
            // without the list, nothing that it names was tried
            Self::These(files) => files.contains(file) || (file.contains('/') && files.contains(LIST)),
        }
    }

    fn is_first(&self) -> bool {
        matches!(self, Self::All)
    }
}

/// One project of the predecessor, as far as its files were wanted and there.
struct OldProject {
    project: Project,
    /// Prefix of the names of its files.
    prefix: String,
    /// Their folder.
    folder: PathBuf,
    /// The file its scenes come from.
    scenes_in: &'static str,
    light: Option<Light>,
    scenes: Option<Vec<Scene>>,
    show: Option<Show>,
    ids: Vec<(CommandId, u64)>,
}

impl OldProject {
    fn has_something(&self) -> bool {
        self.light.is_some() || self.scenes.is_some() || self.show.is_some() || !self.ids.is_empty()
    }
}

struct Light {
    rgb: Rgb,
    seq: u64,
    ts: Option<u64>,
    by: Option<Source>,
}

/// What was found, and what was wrong with it.
#[derive(Default)]
struct Legacy {
    projects: Vec<OldProject>,
    active: Option<ProjectId>,
    wrong: Takeover,
}

/// Imports what is there and was not imported before: all of it or, when stopped halfway, nothing.
pub async fn import(store: &Store, folders: Folders, several: bool, ids: Ids, health: &Health) {
    if !store.is_whole() {
        return;
    }
    let untouched = engine::projects(store).is_empty() && store.scan(Tree::Projects, b"").is_empty();
    let Ok(before) = Takeover::kept(store) else { return }; // another dmxd has tried, and knows what it left out
    let known = store.scan(Tree::Projects, b"");
    let known: Vec<Project> =
        known.iter().filter_map(|(key, value)| store.parse(Tree::Projects, key, value, FORMAT)).collect();
    let told_nothing = before.is_some() && Takeover::is_a_time(store);
    let wanted = match &before {
        None if untouched => Wanted::All,
        None => return, // light that has outlived the database is newer than any file
        Some(_) if told_nothing => Wanted::These(perhaps_unread(store, &folders, &known)),
        Some(before) if before.unread.is_empty() => return before.tell(health),
        Some(before) => Wanted::These(before.unread.iter().map(|unread| unread.file.clone()).collect()),
    };
    let first = wanted.is_first();
    let read = move || read(&folders, several, ids, &wanted, known);
    let Ok(mut legacy) = tokio::task::spawn_blocking(read).await else { return }; // the runtime is ending
    let mut batch = Batch::default();
    let now = engine::state(store, &ProjectId::default_project(), 0);
    // above the highest, so that no number of the predecessor comes again
    let highest = legacy.projects.iter().filter_map(|found| Some(found.light.as_ref()?.seq)).max();
    let seq = highest.map_or(0, |seq| seq + 1).max(if first { 0 } else { now.seq + 1 });
    for found in &legacy.projects {
        take(store, &mut batch, found, seq, ids.most, &mut legacy.wrong).await;
    }
    if let Some(active) = &legacy.active
        && (first || (engine::active(store).is_none() && now.updated_by == Source::init()))
    {
        engine::keep_active(&mut batch, active);
    }
    let new = legacy.wrong.clone();
    let after = legacy.wrong.behind(before.clone().unwrap_or_default());
    if told_nothing || before.as_ref() != Some(&after) {
        after.keep(&mut batch);
    }
    if !batch.is_empty() {
        store.keep(batch).await;
    }
    let came = |found: &&OldProject| first || found.has_something();
    let names: Vec<_> = legacy.projects.iter().filter(came).map(|found| found.project.id.as_str()).collect();
    if !names.is_empty() {
        tracing::info!(projects = names.join(", "), seq, "predecessor_imported");
    }
    for Unread { path, why, .. } in &new.unread {
        tracing::warn!(file = path, why, "predecessor_file_unread");
    }
    for LeftOut { path, item, why } in &new.left_out {
        tracing::warn!(file = path, item, why, "predecessor_item_left_out");
    }
    after.tell(health);
}

/// What an earlier build may have failed to read, since nothing of it is here: files of projects without scenes and show,
/// and the list if there is no other project.
fn perhaps_unread(store: &Store, folders: &Folders, known: &[Project]) -> BTreeSet<String> {
    let default = ProjectId::default_project();
    let empty = |id: &ProjectId| documents::length(store, id) <= EMPTY;
    let mut files = BTreeSet::new();
    for Project { id, .. } in known.iter().filter(|project| empty(&project.id)) {
        files.extend(FILES.map(|name| format!("{id}/{name}")));
    }
    // if the system cannot even tell whether it is there, that may be why it was not read
    let listed = !matches!(folders.projects.join(LIST).try_exists(), Ok(false));
    if listed && empty(&default) && known.iter().all(|project| project.id == default) {
        files.insert(LIST.to_owned());
    }
    if empty(&default) && folders.data.join("state.json").exists() {
        files.extend(FILES.map(str::to_owned));
    }
    files
}

/// Adds to a project what was found for it.
async fn take(store: &Store, batch: &mut Batch, found: &OldProject, seq: u64, keep_ids: usize, wrong: &mut Takeover) {
    let id = &found.project.id;
    let known = store.value::<Project>(Tree::Projects, id.as_str().as_bytes(), FORMAT);
    // nobody has named a project that a start has made
    let made = |known: &Project| {
        known.name == name_of(id) && known.venue.is_none() && known.event_date.is_none() && known.notes.is_none()
    };
    if known.as_ref().is_none_or(|known| made(known) && !made(&found.project)) {
        keep(store, batch, &found.project);
    }
    let light = engine::state(store, id, 0);
    if !engine::is_foreign(store, id)
        && light.updated_by == Source::init()
        && (found.light.is_some() || known.is_none())
    {
        let Light { rgb, ts, by, .. } = found.light.as_ref().unwrap_or(&NO_LIGHT);
        let mut frame = Frame::DARK;
        frame.set(&rgb.levels());
        let (ts, by) = (ts.unwrap_or_else(clock::now_ms), by.clone().unwrap_or_else(Source::init));
        engine::keep(batch, id, &State::restore(seq, ts, by, [(UniverseId::LAMP, frame)]));
    }
    engine::remember(batch, id, &found.ids, keep_ids);
    if found.scenes.is_none() && found.show.is_none() {
        return;
    }
    let path = |name: &str| found.folder.join(name);
    match beside(store, found).await {
        Ok((ShowFile { show, scenes }, (left_scenes, left_items))) => {
            wrong.leave_out(&path(found.scenes_in), left_scenes);
            wrong.leave_out(&path("show.json"), left_items);
            let (scenes, show) = (documents::json(&scenes.unwrap_or_default()), documents::json(&show));
            let pending = documents::write_ahead(store, Some(&scenes), Some(&show)).await;
            documents::replace(store, batch, id, pending);
        }
        // The files are intact: they wait until there is something to add them to.
        Err(fault) => {
            let names = [found.scenes.as_ref().map(|_| found.scenes_in), found.show.as_ref().map(|_| "show.json")];
            let names: BTreeSet<_> = names.into_iter().flatten().collect();
            wrong.unread.extend(names.into_iter().map(|name| Unread {
                file: format!("{}{name}", found.prefix),
                path: path(name).display().to_string(),
                why: format!("{OURS}: {fault}"),
                refused: true,
            }));
        }
    }
}

const NO_LIGHT: Light = Light { rgb: Rgb { r: 0, g: 0, b: 0 }, seq: 0, ts: None, by: None };

/// The documents of a project with what was found added, and what had no room there: if an id is taken, the present item
/// stays.
async fn beside(
    store: &Store,
    found: &OldProject,
) -> Result<(ShowFile, (Vec<wire::LeftOut>, Vec<wire::LeftOut>)), EditError> {
    let stored = documents::read(store, &found.project.id).await?;
    if stored.damaged {
        return Err(super::EditError::Damaged);
    }
    let now = documents::file(&stored.scenes, &stored.show)?;
    let mut old = ShowFile { show: found.show.clone().unwrap_or_default(), scenes: found.scenes.clone() };
    let left = old.make_fit(&now);
    Ok((now.over(&old, ImportMode::Merge), left))
}

fn read(folders: &Folders, several: bool, ids: Ids, wanted: &Wanted, known: Vec<Project>) -> Legacy {
    let mut legacy = Legacy::default();
    let mut list = None;
    if wanted.has(LIST) {
        let path = folders.projects.join(LIST);
        if folders.named && matches!(folders.projects.try_exists(), Ok(false)) {
            legacy.unread(LIST, &path, "the folder of projects.root is not there", false);
        }
        list = legacy.parsed(LIST, &path, |bytes, _| object(bytes));
        let entries = list.as_ref().and_then(|list| list.get("projects")).cloned().unwrap_or_default();
        legacy.list(entries, &path, folders, ids, wanted);
    } else {
        // the list was read before: those of its projects that are still here
        for project in known {
            let folder = folders.projects.join(project.id.as_str());
            let prefix = format!("{}/", project.id);
            legacy.add(project, Some((&prefix, &folder)), ids, wanted);
        }
    }
    let active = list.as_ref().and_then(|list| list.get("activeId")?.as_str());
    let active = active.and_then(|id| legacy.projects.iter().find(|found| found.project.id.as_str() == id));
    legacy.active = active.map(|found| found.project.id.clone());
    // Without projects there was one state; it is used unless projects are on and there are some.
    let default = ProjectId::default_project();
    let alone = !several || legacy.projects.is_empty();
    let state_is_there = folders.data.join("state.json").exists();
    let wanted_there = if wanted.is_first() { state_is_there } else { FILES.iter().any(|file| wanted.has(file)) };
    if alone && wanted_there {
        legacy.projects.retain(|found| found.project.id != default);
        let project = Project::new(default, "Default", clock::now_ms());
        legacy.add(project, Some(("", &folders.data)), ids, wanted);
    }
    legacy
}

/// Files of a project.
const FILES: [&str; 4] = ["state.json", "show.json", "scenes.json", "cmd_seen.json"];

impl Legacy {
    fn unread(&mut self, file: &str, path: &Path, why: impl Into<String>, refused: bool) {
        let (file, path) = (file.to_owned(), path.display().to_string());
        self.wrong.unread.push(Unread { file, path, why: why.into(), refused });
    }

    fn left_out(&mut self, path: &Path, left: Vec<wire::LeftOut>) {
        self.wrong.leave_out(path, left);
    }

    /// Reads a file if it is there; records what is wrong with it.
    fn parsed<T>(
        &mut self,
        file: &str,
        path: &Path,
        parse: impl Fn(&[u8], &mut Vec<wire::LeftOut>) -> Result<T, String>,
    ) -> Option<T> {
        let mut left = Vec::new();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return None;
            }
            Err(error) => {
                self.unread(file, path, error.to_string(), true);
                return None;
            }
        };
        // editors on Windows put a mark in front
        match parse(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes), &mut left) {
            Ok(read) => {
                self.left_out(path, left);
                Some(read)
            }
            Err(wrong) => {
                self.unread(file, path, wrong, false);
                None
            }
        }
    }

    /// The projects of the list.
    fn list(&mut self, entries: Value, path: &Path, folders: &Folders, ids: Ids, wanted: &Wanted) {
        let entries = match entries {
            Value::Array(entries) => entries,
            Value::Null => Vec::new(),
            _ => {
                let why = "must be a list".to_owned();
                return self.left_out(path, vec![wire::LeftOut { item: "projects".to_owned(), why }]);
            }
        };
        for (n, entry) in entries.iter().enumerate() {
            let twice = |project: &Project| self.projects.iter().any(|found| found.project.id == project.id);
            let Some(project) = project(entry).filter(|project| !twice(project)) else {
                let (item, why) =
                    (format!("project number {}", n + 1), "must have a name and an id of its own".to_owned());
                self.left_out(path, vec![wire::LeftOut { item, why }]);
                continue;
            };
            // its folder keeps its name, whatever we call it
            let folder = entry.get("id").and_then(Value::as_str).filter(|id| id.parse::<ProjectId>().is_ok());
            let folder = folder.map(|id| (format!("{id}/"), folders.projects.join(id)));
            self.add(project, folder.as_ref().map(|(prefix, folder)| (prefix.as_str(), folder.as_path())), ids, wanted);
        }
    }

    /// A project and which of its files are wanted; its folder, and the prefix of their names.
    fn add(&mut self, project: Project, folder: Option<(&str, &Path)>, ids: Ids, wanted: &Wanted) {
        let now = clock::now_ms();
        let prefix = folder.map_or("", |(prefix, _)| prefix).to_owned();
        let mut found = OldProject {
            project,
            prefix,
            folder: folder.map(|(_, folder)| folder.to_owned()).unwrap_or_default(),
            scenes_in: "scenes.json",
            light: None,
            scenes: None,
            show: None,
            ids: Vec::new(),
        };
        let mut shown = None;
        let files = FILES.iter().filter_map(|name| {
            let (prefix, folder) = folder?;
            Some((*name, format!("{prefix}{name}"), folder.join(name)))
        });
        let files: Vec<_> = files.filter(|(_, file, _)| wanted.has(file)).collect();
        if files.is_empty() && folder.is_some() {
            return;
        }
        let said = |refusal: wire::Refusal| refusal.to_string();
        for (name, file, path) in files {
            let (file, path) = (&file, &path);
            match name {
                "state.json" => found.light = self.parsed(file, path, light),
                "show.json" => {
                    let read = self.parsed(file, path, |bytes, left| match bytes.trim_ascii() {
                        b"" => Ok(ShowFile::default()),
                        bytes => salvage_show(bytes, now, left).map_err(said),
                    });
                    if let Some(ShowFile { show, scenes }) = read {
                        (found.show, shown) = (Some(show), scenes);
                    }
                }
                "scenes.json" => {
                    found.scenes = self.parsed(file, path, |bytes, left| match bytes.trim_ascii() {
                        b"" => Ok(Vec::new()),
                        bytes => salvage_scenes(bytes, now, left).map_err(said),
                    });
                }
                _ => {
                    let seen = self.parsed(file, path, |bytes, _| object(bytes));
                    found.ids = recent(&seen.unwrap_or_default(), ids, now);
                }
            }
        }
        if found.scenes.is_none() && shown.is_some() {
            (found.scenes, found.scenes_in) = (shown, "show.json");
        }
        self.projects.push(found);
    }
}

fn light(bytes: &[u8], left: &mut Vec<wire::LeftOut>) -> Result<Light, String> {
    let state = object(bytes)?;
    Ok(Light {
        rgb: salvage_lamp(&state, left),
        seq: state.get("seq").and_then(whole).unwrap_or(0),
        ts: state.get("ts").and_then(whole),
        by: state.get("updatedBy").and_then(Value::as_str).and_then(|by| by.parse().ok()),
    })
}

impl Takeover {
    fn leave_out(&mut self, path: &Path, left: Vec<wire::LeftOut>) {
        let path = path.display().to_string();
        let left = left.into_iter().map(|wire::LeftOut { item, why }| LeftOut { path: path.clone(), item, why });
        self.left_out.extend(left);
    }

    /// What is wrong now, after what was left out before.
    fn behind(self, before: Self) -> Self {
        let mut left_out = before.left_out;
        left_out.extend(self.left_out);
        let more = before.more + left_out.len().saturating_sub(NAMED);
        left_out.truncate(NAMED);
        Self { unread: self.unread, left_out, more }
    }
}

/// Ids that still count, oldest first: `{"<ULID>": Unix seconds}`.
fn recent(seen: &Map<String, Value>, ids: Ids, now_ms: u64) -> Vec<(CommandId, u64)> {
    let ttl = u64::try_from(ids.ttl.as_millis()).unwrap_or(u64::MAX);
    let known = seen.iter().filter_map(|(id, at)| {
        let at = (at.as_f64()? * 1000.0) as u64; // a float below zero or not finite becomes 0: long ago
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
    match serde_json::from_slice(wire::without_mark(bytes)).map_err(|error| format!("not JSON: {error}"))? {
        Value::Object(fields) => Ok(fields),
        _ => Err("must be a JSON object".to_owned()),
    }
}
