//! What the heart keeps in the store, and how it is read back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dedupe::Dedupe;
use crate::dmx::{CHANNELS, Change, Command, CommandId, Frame, Source, State, UniverseId};
use crate::store::{Batch, Store, Tree};

/// The one project there is while projects are off.
pub(super) const PROJECT: &str = "default";

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

/// What keeps a `seq` that has jumped.
pub(super) fn jumped(state: &State) -> Batch {
    let mut batch = Batch::default();
    batch.put(Tree::Light, PROJECT, light(state.seq, state.ts, &state.updated_by));
    batch
}

fn light(seq: u64, ts: u64, by: &Source) -> Vec<u8> {
    json(&Light { v: FORMAT, seq, ts, by: by.as_str().into() })
}

/// What one accepted command keeps: the change and its id, together or not at all.
pub(super) fn batch(change: &Change, command: &Command, keep_ids: usize) -> Batch {
    let mut batch = Batch::default();
    batch.put(Tree::Light, PROJECT, light(change.seq, change.ts, &command.source));
    if !change.delta.is_empty() {
        let bytes = change.delta.iter().map(|&(channel, level)| (channel.number() - 1, level)).collect();
        batch.patch(Tree::Levels, levels_key(change.universe), CHANNELS as u16, bytes);
    }
    let seen = Seen { id: command.id.as_str().into(), ts: change.ts };
    batch.append(ids_log(), u32::try_from(keep_ids).unwrap_or(u32::MAX), json(&seen));
    batch
}

/// The state as it was last written, `seq_jump` added to its `seq`.
pub(super) fn state(store: &Store, seq_jump: u64) -> State {
    let light =
        store.get(Tree::Light, PROJECT.as_bytes()).and_then(|value| serde_json::from_slice::<Light>(&value).ok());
    let prefix = format!("{PROJECT}/");
    let frames = store.scan(Tree::Levels, prefix.as_bytes()).into_iter().filter_map(|(key, value)| {
        let index = std::str::from_utf8(key.get(prefix.len()..)?).ok()?.parse().ok()?;
        Some((UniverseId::new(index)?, Frame::from(<[u8; CHANNELS]>::try_from(value).ok()?)))
    });
    let (seq, ts, by) = light.map_or((0, 0, None), |light| (light.seq, light.ts, light.by.parse().ok()));
    State::restore(seq.saturating_add(seq_jump), ts, by.unwrap_or_else(Source::init), frames)
}

/// The ids of earlier runs. An id from the future (the clock went back) counts as new.
pub(super) fn seen(store: &Store, dedupe: &mut Dedupe, now_ms: u64, now: Duration) {
    for entry in store.log(ids_log().as_bytes()) {
        let Ok(seen) = serde_json::from_slice::<Seen>(&entry) else { continue };
        let Ok(id) = seen.id.parse::<CommandId>() else { continue };
        dedupe.restore(id, Duration::from_millis(now_ms.saturating_sub(seen.ts)), now);
    }
}

fn levels_key(universe: UniverseId) -> String {
    format!("{PROJECT}/{universe}")
}

fn ids_log() -> String {
    format!("{PROJECT}/ids")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // These types have no map with foreign keys and no failing Serialize: an error cannot happen.
    serde_json::to_vec(value).unwrap_or_default()
}
