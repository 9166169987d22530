//! What the engine keeps in the store, and how it is read back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dedupe::Dedupe;
use crate::dmx::{
    self, CHANNELS, Command, CommandId, Frame, InEffect, KeptFade, Levels, ProjectId, SceneId, Source, State,
    UniverseId,
};
use crate::kit::clock;
use crate::store::{Batch, Store, Tree};

/// Key in `Tree::Light` of the active project: beside the light, because it is part of it. No project has an id like
/// this.
const ACTIVE: &str = "@active";

/// Key in `Tree::Light` of the desk, which belongs to the appliance, whatever project is active.
const DESK: &str = "@desk";

/// Key in `Tree::Light` of long fades, beside their target levels.
const FADES: &str = "@fades";

/// Format of the values below.
const FORMAT: u8 = 1;

/// Value of `Tree::Light`.
#[derive(Serialize, Deserialize)]
struct Light {
    v: u8,
    seq: u64,
    ts: u64,
    by: String,
    /// Something was moving: the levels beside this are where it was going.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    moving: bool,
    /// When that was, in milliseconds of the engine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
}

/// The number in a light of whatever format: it is the appliance's, and never comes again.
#[derive(Deserialize)]
struct Number {
    seq: u64,
}

/// The value of the fades.
#[derive(Serialize, Deserialize)]
struct KeptFades {
    v: u8,
    project: ProjectId,
    fades: Vec<KeptFade>,
}

/// The desk's value.
#[derive(Serialize, Deserialize)]
struct KeptDesk {
    v: u8,
    master: u8,
    blackout: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scene: Option<KeptScene>,
}

/// The scene in effect, and its channels by universe.
#[derive(Serialize, Deserialize)]
struct KeptScene {
    project: ProjectId,
    id: SceneId,
    channels: BTreeMap<String, String>,
}

/// An entry of the dedupe log.
#[derive(Serialize, Deserialize)]
struct Seen {
    id: String,
    ts: u64,
}

/// What a project's light is stored as.
#[derive(Clone, Debug)]
pub(super) struct StoredLight {
    pub(super) updated_by: Source,
    pub(super) frames: Vec<(UniverseId, Frame)>,
}

/// Stores a `seq` that has jumped, and the time of a first start.
pub(super) fn begun(store: &Store, project: &ProjectId, state: &State, at: Duration) -> Batch {
    let mut batch = Batch::default();
    forget_foreign(store, &mut batch, project);
    keep_light(&mut batch, project, state, at);
    batch
}

/// Light of a format that this dmxd does not know is taken anew as a whole: without this its levels would come back at the
/// next start, beside ours.
pub(super) fn forget_foreign(store: &Store, batch: &mut Batch, project: &ProjectId) {
    if is_foreign(store, project) {
        forget_levels(store, batch, project);
    }
}

/// Stores `seq`, `ts` and source of a project's state, and the time on the engine's clock.
pub(super) fn keep_light(batch: &mut Batch, project: &ProjectId, state: &State, at: Duration) {
    let by = state.updated_by.as_str().into();
    let moving = state.is_moving();
    let at = moving.then(|| u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
    let light = Light { v: FORMAT, seq: state.seq, ts: state.ts, by, moving, at };
    batch.put(Tree::Light, project.as_str(), json(&light));
}

/// Stores the long fades of a project, in place of the earlier ones.
pub(super) fn keep_fades(batch: &mut Batch, project: &ProjectId, fades: Vec<KeptFade>) {
    if fades.is_empty() {
        batch.delete(Tree::Light, FADES);
    } else {
        batch.put(Tree::Light, FADES, json(&KeptFades { v: FORMAT, project: project.clone(), fades }));
    }
}

/// The long fades of a project that were running when its light was last written, and when that was.
pub(super) fn fades(store: &Store, project: &ProjectId) -> Option<(Vec<KeptFade>, Duration)> {
    let at = light(store, project)?.at?;
    let kept = store.value::<KeptFades>(Tree::Light, FADES.as_bytes(), FORMAT)?;
    (kept.project == *project).then(|| (kept.fades, Duration::from_millis(at)))
}

/// Stores a whole state for a project that has none yet.
pub fn keep(batch: &mut Batch, project: &ProjectId, state: &State) {
    keep_light(batch, project, state, Duration::ZERO);
    for (universe, frame) in state.universes() {
        batch.put(Tree::Levels, levels_key(project, universe), frame.levels().as_slice());
    }
}

/// Stores a whole state for a project in place of its present one. Stored universes from this one on stay: nobody sees
/// them now.
pub(super) fn keep_instead(store: &Store, batch: &mut Batch, project: &ProjectId, state: &State, universes: u8) {
    let prefix = levels_prefix(project);
    for (key, _) in store.scan(Tree::Levels, prefix.as_bytes()) {
        if universe_of(&key, &prefix).is_none_or(|id| id.index() < universes) {
            batch.delete(Tree::Levels, key);
        }
    }
    keep(batch, project, state);
}

/// What is stored of a project's light in universes that may not be commanded.
#[must_use]
pub fn hidden(store: &Store, project: &ProjectId, universes: u8) -> Vec<(UniverseId, Frame)> {
    stored(store, project).frames.into_iter().filter(|(id, _)| id.index() >= universes).collect()
}

/// Deletes a project's light and ids.
pub fn forget(store: &Store, batch: &mut Batch, project: &ProjectId) {
    batch.delete(Tree::Light, project.as_str());
    forget_levels(store, batch, project);
    batch.append(ids_log(project), 1, ""); // an invalid id pushes the others out
}

fn forget_levels(store: &Store, batch: &mut Batch, project: &ProjectId) {
    for (key, _) in store.scan(Tree::Levels, levels_prefix(project).as_bytes()) {
        batch.delete(Tree::Levels, key);
    }
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
    let kept = store.get(Tree::Light, ACTIVE.as_bytes())?;
    let id = std::str::from_utf8(&kept).ok().and_then(|id| id.parse().ok());
    if id.is_none() {
        store.damaged(Tree::Light, ACTIVE.as_bytes(), "is no id of a project");
    }
    id
}

/// Makes a project the active one at the next start.
pub fn keep_active(batch: &mut Batch, project: &ProjectId) {
    batch.put(Tree::Light, ACTIVE, project.as_str());
}

/// The projects whose light is kept.
#[must_use]
pub fn projects(store: &Store) -> Vec<ProjectId> {
    let keys = store.scan(Tree::Light, b"").into_iter().filter_map(|(key, _)| String::from_utf8(key).ok());
    keys.filter_map(|key| key.parse().ok()).collect()
}

/// What one accepted command stores: its target levels and its id, together or not at all.
pub(super) fn keep_command(batch: &mut Batch, project: &ProjectId, state: &State, command: &Command, keep_ids: usize) {
    for patch in command.patches() {
        keep_levels(batch, project, patch.universe, &patch.levels);
    }
    append_id(batch, project, &command.id, state.ts, keep_ids);
}

/// Stores single levels.
pub(super) fn keep_levels(batch: &mut Batch, project: &ProjectId, universe: UniverseId, levels: &Levels) {
    let bytes = levels.iter().map(|&(channel, level)| (channel.number() - 1, level)).collect();
    batch.patch(Tree::Levels, levels_key(project, universe), CHANNELS as u16, bytes);
}

/// Stores the desk.
pub(super) fn keep_desk(batch: &mut Batch, desk: &dmx::KeptDesk, project: &ProjectId) {
    let scene = desk.scene.as_ref().map(|scene| KeptScene {
        project: project.clone(),
        id: scene.scene.clone(),
        channels: scene.channels.iter().map(|(id, set)| (id.to_string(), set.to_string())).collect(),
    });
    let kept = KeptDesk { v: FORMAT, master: desk.master, blackout: desk.blackout, scene };
    batch.put(Tree::Light, DESK, json(&kept));
}

/// The desk as last written, under this project.
pub(super) fn desk(store: &Store, project: &ProjectId) -> dmx::KeptDesk {
    let kept = store.value::<KeptDesk>(Tree::Light, DESK.as_bytes(), FORMAT);
    let Some(KeptDesk { master, blackout, scene, .. }) = kept else { return dmx::KeptDesk::default() };
    let scene = scene.filter(|scene| scene.project == *project).map(|KeptScene { id, channels, .. }| {
        let read =
            |(universe, set): (String, String)| Some((UniverseId::new(universe.parse().ok()?)?, set.parse().ok()?));
        Arc::new(InEffect { scene: id, channels: channels.into_iter().filter_map(read).collect() })
    });
    dmx::KeptDesk { master, blackout, scene }
}

/// Whether something was moving when a project's light was last written: then the last published light is not the stored one.
pub(super) fn was_moving(store: &Store, project: &ProjectId) -> bool {
    light(store, project).is_some_and(|light| light.moving)
}

fn light(store: &Store, project: &ProjectId) -> Option<Light> {
    store.value(Tree::Light, project.as_str().as_bytes(), FORMAT)
}

fn append_id(batch: &mut Batch, project: &ProjectId, id: &CommandId, ts: u64, keep_ids: usize) {
    let seen = Seen { id: id.as_str().into(), ts };
    batch.append(ids_log(project), u32::try_from(keep_ids).unwrap_or(u32::MAX), json(&seen));
}

/// Whether a project has light that another dmxd has written, in a format which this one does not know.
#[must_use]
pub fn is_foreign(store: &Store, project: &ProjectId) -> bool {
    store.is_foreign(Tree::Light, project.as_str().as_bytes(), FORMAT)
}

/// Whether a project has light that was written.
pub(super) fn is_known(store: &Store, project: &ProjectId) -> bool {
    store.get(Tree::Light, project.as_str().as_bytes()).is_some()
}

/// A project's state as last written, with `seq_jump` added to the highest `seq` of all; a project without one starts now.
#[must_use]
pub fn state(store: &Store, project: &ProjectId, seq_jump: u64) -> State {
    let numbers = store.scan(Tree::Light, b"").into_iter();
    let seq =
        numbers.filter_map(|(_, value)| Some(serde_json::from_slice::<Number>(&value).ok()?.seq)).max().unwrap_or(0);
    let ts = light(store, project).map(|light| light.ts).filter(|ts| *ts > 0).unwrap_or_else(clock::now_ms);
    let StoredLight { updated_by, frames } = stored(store, project);
    State::restore(seq.saturating_add(seq_jump), ts, updated_by, frames)
}

/// A project's light: all of it, or nothing if its format is unknown.
pub(super) fn stored(store: &Store, project: &ProjectId) -> StoredLight {
    if is_foreign(store, project) {
        return StoredLight { updated_by: Source::init(), frames: Vec::new() };
    }
    let light = light(store, project);
    let prefix = levels_prefix(project);
    let frames = store.scan(Tree::Levels, prefix.as_bytes()).into_iter().filter_map(|(key, value)| {
        let levels = <[u8; CHANNELS]>::try_from(value);
        let levels = levels
            .inspect_err(|value| store.damaged(Tree::Levels, &key, format_args!("has {} bytes, not 512", value.len())));
        Some((universe_of(&key, &prefix)?, Frame::from(levels.ok()?)))
    });
    let updated_by = light.and_then(|light| light.by.parse().ok()).unwrap_or_else(Source::init);
    StoredLight { updated_by, frames: frames.collect() }
}

/// The ids that were accepted before, each as if accepted just now: the clock may have been set meanwhile, and doing a
/// command twice is worse than remembering an id for longer.
pub(super) fn seen(store: &Store, project: &ProjectId, dedupe: &mut Dedupe, now: Duration) {
    for entry in store.log(ids_log(project).as_bytes()) {
        let Some(seen) = store.parse::<Seen>(Tree::Light, ids_log(project).as_bytes(), &entry, FORMAT) else {
            continue;
        };
        let Some(id) = CommandId::unified(&seen.id) else { continue };
        dedupe.remember(id, now);
    }
}

fn universe_of(key: &[u8], prefix: &str) -> Option<UniverseId> {
    UniverseId::new(std::str::from_utf8(key.get(prefix.len()..)?).ok()?.parse().ok()?)
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
    // these types have neither maps with foreign keys nor a failing Serialize, so there is no error
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn an_id_that_the_clock_calls_old_is_remembered_for_a_ttl_of_this_run() {
        let dir = tempfile::tempdir().unwrap();
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &Health::default(), &Metrics::new().unwrap()).unwrap().store;
        let (project, id) = (ProjectId::default_project(), CommandId::from(ulid::Ulid::generate()));
        let mut batch = Batch::default();
        append_id(&mut batch, &project, &id, 1, 10); // the clock was in 1970
        store.commit(batch, || {}).await;
        let (ttl, start) = (Duration::from_secs(10), Duration::from_secs(10));
        let mut dedupe = Dedupe::new(ttl, 10);
        seen(&store, &project, &mut dedupe, start);
        assert!(dedupe.has(&id, start + Duration::from_secs(9)));
        assert!(!dedupe.has(&id, start + ttl));
        store.close().await;
    }

    #[tokio::test]
    async fn a_value_of_tomorrows_format_is_named_and_not_read() {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &Metrics::new().unwrap()).unwrap().store;
        let (project, other) = (ProjectId::default_project(), "other".parse::<ProjectId>().unwrap());
        let mut batch = Batch::default();
        batch.put(Tree::Light, project.as_str(), r#"{"v":1,"seq":5,"ts":1,"by":"x","moving":true,"at":7}"#);
        batch.put(Tree::Light, other.as_str(), r#"{"v":2,"seq":9,"ts":1,"by":"x","moving":true}"#);
        batch.put(Tree::Light, DESK, r#"{"v":3,"master":7,"blackout":true}"#);
        batch.put(Tree::Light, FADES, r#"{"v":4,"project":"default","fades":[]}"#);
        store.commit(batch, Box::new(|| {})).await;
        assert!(was_moving(&store, &project) && !was_moving(&store, &other));
        assert!(!desk(&store, &project).blackout && fades(&store, &project).is_none());
        assert_eq!(state(&store, &project, 0).seq, 9, "clients may have seen it");
        let mut batch = Batch::default();
        batch.put(Tree::Levels, "default/1", "short");
        batch.put(Tree::Light, ACTIVE, "../x");
        batch.append(ids_log(&project), 10, r#"{"v":5,"id":"x","ts":1}"#);
        store.commit(batch, Box::new(|| {})).await;
        let mut dedupe = Dedupe::new(Duration::from_secs(10), 10);
        seen(&store, &project, &mut dedupe, Duration::ZERO);
        assert!(!dedupe.has(&CommandId::unified("x").unwrap(), Duration::ZERO));
        assert!(stored(&store, &project).frames.is_empty() && active(&store).is_none());
        let told: Vec<_> = health.problems().into_iter().map(|problem| problem.message).collect();
        for said in [
            "other has format 2, which this dmxd does not know (like 3 more of the light): ",
            "@active is no id",
            "default/1 has 5 bytes",
        ] {
            assert!(told.iter().any(|message| message.starts_with(said)), "{said}: {told:?}");
        }
        let codes: Vec<_> = health.problems().into_iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["STORED_FORMAT_UNKNOWN", "STORED_VALUE_DAMAGED", "STORED_VALUE_DAMAGED"]);
        store.close().await;
    }
}
