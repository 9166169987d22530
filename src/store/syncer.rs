//! The syncer: everything written is on the medium `flush_ms` later, or at once if somebody waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::{Core, Mode, Shared};

/// How many lengths of syncs are remembered.
const REMEMBERED: usize = 16;

/// Least time between a sync's start and its deadline.
const LEAST_MARGIN: Duration = Duration::from_millis(50);

/// Runs until the store stops.
pub(super) fn run(core: &Arc<Core>) {
    let mut lengths = VecDeque::from([Duration::ZERO]);
    let mut shared = core.lock();
    while !shared.stop {
        let due = if shared.mode == Mode::Ram { None } else { due(&shared, core.flush, &lengths) };
        match due.map(|due| due.saturating_duration_since(Instant::now())) {
            None => core.syncer.wait(&mut shared),
            Some(Duration::ZERO) => {
                drop(shared);
                let length = sync(core);
                lengths.push_front(length);
                lengths.truncate(REMEMBERED);
                shared = core.lock();
            }
            Some(wait) => {
                core.syncer.wait_for(&mut shared, wait);
            }
        }
    }
}

/// When the next sync must start; `None` when everything is on the medium.
fn due(shared: &Shared, flush: Duration, lengths: &VecDeque<Duration>) -> Option<Instant> {
    let since = shared.unsynced_since?;
    let slowest = lengths.iter().max().copied().unwrap_or_default();
    let margin = (slowest * 2).max(LEAST_MARGIN).min(flush / 2);
    Some(if shared.sync_now { since } else { since + (flush - margin) })
}

/// Syncs everything written so far.
fn sync(core: &Core) -> Duration {
    let mut shared = core.lock();
    let (number, writes) = (shared.written, shared.writes);
    let behind = shared.behind.clone();
    let files: Vec<_> = behind.iter().cloned().chain(shared.file.clone()).collect();
    shared.unsynced_since = None;
    shared.fresh_page = true;
    // somebody may wait for what is not even written yet: then the next write is synced at once too
    shared.sync_now &= shared.writing.is_some() || !shared.waiting.is_empty();
    drop(shared);
    let started = Instant::now();
    let result = files.iter().try_for_each(|file| file.sync_data());
    let length = started.elapsed();
    core.metrics.syncs.inc_by(files.len() as u64);
    core.metrics.sync_seconds.observe(length.as_secs_f64());
    let mut shared = core.lock();
    match result {
        _ if shared.mode == Mode::Ram => {}
        Ok(()) => {
            shared.behind.retain(|file| !behind.iter().any(|synced| Arc::ptr_eq(file, synced)));
            shared.synced = shared.synced.max(number);
            shared.synced_writes = shared.synced_writes.max(writes);
            core.progress.send_modify(|progress| progress.synced = progress.synced.max(number));
            core.keeper.notify_all();
        }
        Err(error) => {
            shared.written = shared.synced; // the rest may or may not be readable
            core.fall_to_ram(&mut shared, &format!("syncing the journal: {error}"));
        }
    }
    core.release(shared);
    length
}
