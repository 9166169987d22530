//! What the heart keeps in the store, and how it is read back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dedupe::Dedupe;
use crate::dmx::{CHANNELS, Change, Command, CommandId, Frame, ProjectId, Source, State, UniverseId, What};
use crate::store::{Batch, Store, Tree};

/// Key of `Tree::Light` under which the active project stands: beside the light, because it is part of it. No project
/// has an id like this.
const ACTIVE: &str = "@active";

/// Format of the values below.
const FORMAT: u8 = 1;

/// Value of `Tree::Light`.
#[derive(Serialize, Deserialize)]
struct Light {
    v: u8,
    seq: u64,
    ts: u64,
    by: String,
}

/// Entry of the dedupe log.
#[derive(Serialize, Deserialize)]
struct Seen {
    id: String,
    ts: u64,
}

/// What a project's light is stored as.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) updated_by: Source,
    pub(super) frames: Vec<(UniverseId, Frame)>,
}

/// What keeps a `seq` that has jumped.
pub(super) fn jumped(project: &ProjectId, state: &State) -> Batch {
    let mut batch = Batch::default();
    keep_light(&mut batch, project, state);
    batch
}

/// Keeps `seq`, `ts` and source of a state as a project's.
pub(super) fn keep_light(batch: &mut Batch, project: &ProjectId, state: &State) {
    let light = Light { v: FORMAT, seq: state.seq, ts: state.ts, by: state.updated_by.as_str().into() };
    batch.put(Tree::Light, project.as_str(), json(&light));
}

/// Keeps a whole state as that of a project which has none yet.
pub fn keep(batch: &mut Batch, project: &ProjectId, state: &State) {
    keep_light(batch, project, state);
    for (universe, frame) in state.universes() {
        batch.put(Tree::Levels, levels_key(project, universe), frame.levels().as_slice());
    }
}

/// Keeps a whole state in the place of the project's present one.
pub(super) fn keep_instead(store: &Store, batch: &mut Batch, project: &ProjectId, state: &State) {
    for (key, _) in store.scan(Tree::Levels, levels_prefix(project).as_bytes()) {
        batch.delete(Tree::Levels, key);
    }
    keep(batch, project, state);
}

/// Forgets a project's light and ids.
pub fn forget(store: &Store, batch: &mut Batch, project: &ProjectId) {
    batch.delete(Tree::Light, project.as_str());
    for (key, _) in store.scan(Tree::Levels, levels_prefix(project).as_bytes()) {
        batch.delete(Tree::Levels, key);
    }
    batch.append(ids_log(project), 1, ""); // an id that is none pushes the others out
}

/// Remembers ids that a predecessor has accepted: id and Unix milliseconds, oldest first.
pub fn remember(batch: &mut Batch, project: &ProjectId, ids: &[(CommandId, u64)], keep_ids: usize) {
    for (id, ts) in ids {
        append_id(batch, project, id, *ts, keep_ids);
    }
}

/// The project that was active last; `None` before any was selected.
#[must_use]
pub fn active(store: &Store) -> Option<ProjectId> {
    std::str::from_utf8(&store.get(Tree::Light, ACTIVE.as_bytes())?).ok()?.parse().ok()
}

/// Has a project be the active one at the next start.
pub fn keep_active(batch: &mut Batch, project: &ProjectId) {
    batch.put(Tree::Light, ACTIVE, project.as_str());
}

/// The projects whose light is kept.
#[must_use]
pub fn projects(store: &Store) -> Vec<ProjectId> {
    let keys = store.scan(Tree::Light, b"").into_iter().filter_map(|(key, _)| String::from_utf8(key).ok());
    keys.filter_map(|key| key.parse().ok()).collect()
}

/// What one accepted command keeps: the change and its id, together or not at all.
pub(super) fn batch(project: &ProjectId, state: &State, change: &Change, command: &Command, keep_ids: usize) -> Batch {
    let mut batch = Batch::default();
    keep_light(&mut batch, project, state);
    if let What::Levels { universe, delta, .. } = &change.what
        && !delta.is_empty()
    {
        let bytes = delta.iter().map(|&(channel, level)| (channel.number() - 1, level)).collect();
        batch.patch(Tree::Levels, levels_key(project, *universe), CHANNELS as u16, bytes);
    }
    append_id(&mut batch, project, &command.id, change.ts, keep_ids);
    batch
}

fn append_id(batch: &mut Batch, project: &ProjectId, id: &CommandId, ts: u64, keep_ids: usize) {
    let seen = Seen { id: id.as_str().into(), ts };
    batch.append(ids_log(project), u32::try_from(keep_ids).unwrap_or(u32::MAX), json(&seen));
}

/// A project's state as it was last written, `seq_jump` added to the highest `seq` of all.
#[must_use]
pub fn state(store: &Store, project: &ProjectId, seq_jump: u64) -> State {
    let lights = store.scan(Tree::Light, b"");
    let lights = || lights.iter().filter_map(|(key, value)| Some((key, serde_json::from_slice::<Light>(value).ok()?)));
    let seq = lights().map(|(_, light)| light.seq).max().unwrap_or(0);
    let ts = lights().find(|(key, _)| *key == project.as_str().as_bytes()).map_or(0, |(_, light)| light.ts);
    let Stored { updated_by, frames } = stored(store, project);
    State::restore(seq.saturating_add(seq_jump), ts, updated_by, frames)
}

/// A project's light.
pub(super) fn stored(store: &Store, project: &ProjectId) -> Stored {
    let light = store.get(Tree::Light, project.as_str().as_bytes());
    let light = light.and_then(|value| serde_json::from_slice::<Light>(&value).ok());
    let prefix = levels_prefix(project);
    let frames = store.scan(Tree::Levels, prefix.as_bytes()).into_iter().filter_map(|(key, value)| {
        let index = std::str::from_utf8(key.get(prefix.len()..)?).ok()?.parse().ok()?;
        Some((UniverseId::new(index)?, Frame::from(<[u8; CHANNELS]>::try_from(value).ok()?)))
    });
    let updated_by = light.and_then(|light| light.by.parse().ok()).unwrap_or_else(Source::init);
    Stored { updated_by, frames: frames.collect() }
}

/// The ids that were accepted before. An id from the future (the clock went back) counts as new.
pub(super) fn seen(store: &Store, project: &ProjectId, dedupe: &mut Dedupe, now_ms: u64, now: Duration) {
    for entry in store.log(ids_log(project).as_bytes()) {
        let Ok(seen) = serde_json::from_slice::<Seen>(&entry) else { continue };
        let Ok(id) = seen.id.parse::<CommandId>() else { continue };
        dedupe.restore(id, Duration::from_millis(now_ms.saturating_sub(seen.ts)), now);
    }
}

fn levels_prefix(project: &ProjectId) -> String {
    format!("{project}/")
}

fn levels_key(project: &ProjectId, universe: UniverseId) -> String {
    format!("{project}/{universe}")
}

fn ids_log(project: &ProjectId) -> String {
    format!("{project}/ids")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // These types have no map with foreign keys and no failing Serialize: an error cannot happen.
    serde_json::to_vec(value).unwrap_or_default()
}
