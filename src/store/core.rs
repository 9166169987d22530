//! What the store's threads share, and its one rule: every batch is released once, in order.
//!
//! The lock is held for microseconds and never across I/O or a release.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::base::Base;
use super::debt::Debt;
use super::journal::{self, Fullness, Journal};
use super::overlay::Layers;
use super::refused::Refused;
use crate::config;
use crate::kit::health::Health;
use crate::metrics::{self, Metrics};

/// Code of the problem that is raised while changes are in memory only.
pub(super) const IN_RAM: &str = "STORAGE_IN_RAM";

/// Whether batches go through the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Released after their write.
    Disk,
    /// Released at once; the keeper is trying to get back.
    Ram,
}

/// A batch between commit and release.
pub(super) struct Waiting {
    pub(super) number: u64,
    /// Empty: nothing to write, only to be released in its turn.
    pub(super) payload: Vec<u8>,
    pub(super) release: Box<dyn FnOnce() + Send>,
    /// Returned after the release.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What the writer is writing.
pub(super) struct Writing {
    pub(super) since: Instant,
    pub(super) batches: Vec<Waiting>,
}

/// How far the writer's move to the next generation has come.
#[derive(Debug)]
pub(super) enum Move {
    /// No move is wanted.
    Idle,
    /// The keeper made a generation.
    Asked(Journal),
    /// The writer is writing its head.
    Moving,
    /// Its head was written by that write.
    Moved { at: u64, by_write: u64 },
    /// The disk failed; the generation is lost.
    Failed,
}

/// Mark of a clean stop, the last thing that the writer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The store runs.
    No,
    /// The keeper asked for it.
    Asked,
    /// Nothing is written any more.
    Ended,
}

/// What others wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Number of the last batch that survives a power cut.
    pub(super) synced: u64,
    /// Changes are in memory only.
    pub(super) in_ram: bool,
    /// `close` is done.
    pub(super) closed: bool,
}

pub(super) struct Shared {
    pub(super) layers: Layers,
    pub(super) base: Arc<Base>,
    /// Number of the last batch that the database holds.
    pub(super) through: u64,
    pub(super) mode: Mode,
    /// Number of the last batch.
    pub(super) number: u64,
    /// The start found a jump of `seq` necessary, and it is not committed yet.
    pub(super) owed: bool,
    /// At most as many as there are permits, and what came by `enqueue`.
    pub(super) waiting: Vec<Waiting>,
    pub(super) writing: Option<Writing>,
    /// The writer is inside a write, even if the guard has taken its batches over.
    pub(super) writer_busy: bool,
    /// As many at the most.
    ready: VecDeque<Waiting>,
    releasing: bool,
    pub(super) moving: Move,
    pub(super) ending: Ending,
    /// File and number of the present generation.
    pub(super) file: Option<Arc<File>>,
    pub(super) generation: u64,
    /// Files of earlier generations that are not synced to their end: one, or two after a quick checkpoint.
    pub(super) behind: Vec<Arc<File>>,
    /// Bytes used of the present generation, and how full it is.
    pub(super) used: u64,
    pub(super) fullness: Fullness,
    /// Writes done, and how many of them are on the medium.
    pub(super) writes: u64,
    pub(super) synced_writes: u64,
    pub(super) written: u64,
    pub(super) synced: u64,
    /// A sync began after the last write: the next write takes a fresh page.
    pub(super) fresh_page: bool,
    pub(super) unsynced_since: Option<Instant>,
    pub(super) sync_now: bool,
    /// Since when something is not in the database.
    pub(super) dirty_since: Option<Instant>,
    /// A checkpoint is wanted at once.
    pub(super) checkpoint_now: bool,
    pub(super) guard_parked: bool,
    pub(super) closing: bool,
    pub(super) stop: bool,
}

impl Shared {
    pub(super) fn new(layers: Layers, base: Arc<Base>, through: u64, number: u64) -> Self {
        Self {
            dirty_since: None,
            checkpoint_now: !layers.new.is_empty(), // what was replayed goes to the database at once
            layers,
            base,
            through,
            mode: Mode::Disk,
            number,
            owed: false,
            waiting: Vec::new(),
            writing: None,
            writer_busy: false,
            ready: VecDeque::new(),
            releasing: false,
            moving: Move::Idle,
            ending: Ending::No,
            file: None,
            generation: 0,
            behind: Vec::new(),
            used: 0,
            fullness: Fullness::Not,
            writes: 0,
            synced_writes: 0,
            written: number,
            synced: number,
            fresh_page: true,
            unsynced_since: None,
            sync_now: false,
            guard_parked: false,
            closing: false,
            stop: false,
        }
    }

    /// Queues a batch for release: at once if nothing before it waits for the disk, else in its turn.
    pub(super) fn queue(&mut self, batch: Waiting) {
        if batch.payload.is_empty() && self.waiting.is_empty() && self.writing.is_none() {
            self.ready.push_back(batch);
        } else {
            self.waiting.push(batch);
        }
    }

    /// Whether the present generation is to end. One that has only messages may use all of its file: most of what it says
    /// never reaches the database.
    pub(super) fn is_full(&self) -> bool {
        if self.layers.new.has_only_messages() { self.fullness != Fullness::Not } else { self.used >= journal::SIZE }
    }

    /// The writer's present batches are written.
    pub(super) fn written(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.ready.extend(writing.batches);
        }
    }
}

/// What the threads share.
pub(super) struct Core {
    pub(super) shared: Mutex<Shared>,
    pub(super) writer: Condvar,
    pub(super) syncer: Condvar,
    pub(super) guard: Condvar,
    pub(super) keeper: Condvar,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) dir: PathBuf,
    pub(super) boot: String,
    pub(super) flush: Duration,
    pub(super) health: Health,
    /// What was found in the store and not read.
    pub(super) refused: Refused,
    pub(super) metrics: metrics::Store,
    /// The writer is inside `write(2)`.
    pub(super) at_disk: AtomicBool,
    /// Where the system reports the state of the writer's thread.
    pub(super) writer_stat: OnceLock<PathBuf>,
    /// The folder stays locked as long as any thread may write to it.
    pub(super) lock: Mutex<Option<File>>,
    /// Taken before `shared`, never while holding it.
    pub(super) debt: Mutex<Option<Debt>>,
    /// Held by a test to make the disk hang.
    #[cfg(test)]
    pub(super) disk: Mutex<()>,
    /// Set by a test to make the writer need the processor for long.
    #[cfg(test)]
    pub(super) busy: AtomicBool,
}

impl Core {
    /// Holds no folder and knows no debt yet.
    pub(super) fn new(
        shared: Shared,
        settings: &config::Storage,
        boot: String,
        health: &Health,
        metrics: &Metrics,
    ) -> Self {
        Self {
            progress: watch::Sender::new(Progress { synced: shared.number, ..Progress::default() }),
            shared: Mutex::new(shared),
            writer: Condvar::new(),
            syncer: Condvar::new(),
            guard: Condvar::new(),
            keeper: Condvar::new(),
            dir: settings.data_dir.clone(),
            boot,
            flush: Duration::from_millis(settings.flush_ms),
            health: health.clone(),
            refused: Refused::default(),
            metrics: metrics.store.clone(),
            at_disk: false.into(),
            writer_stat: OnceLock::new(),
            lock: Mutex::default(),
            debt: Mutex::default(),
            #[cfg(test)]
            disk: Mutex::default(),
            #[cfg(test)]
            busy: false.into(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock()
    }

    /// Runs the releases that are ready, one thread at a time, so that they keep their order; other threads leave theirs to
    /// it.
    pub(super) fn release<'a>(&'a self, mut shared: MutexGuard<'a, Shared>) {
        if shared.releasing {
            return;
        }
        shared.releasing = true;
        while !shared.ready.is_empty() {
            let ready = std::mem::take(&mut shared.ready);
            drop(shared);
            for batch in ready {
                let Waiting { release, permit, .. } = batch;
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(release)).is_err() {
                    tracing::error!("release_panicked");
                }
                drop(permit);
            }
            shared = self.lock();
        }
        shared.releasing = false;
    }

    /// Notes how many changes are not in the journal, if any; where possible before they are released, since the next start
    /// must know that it has to jump.
    pub(super) fn note_debt(&self) {
        let mut debt = self.debt.lock();
        let shared = self.lock();
        let changes = shared.number.saturating_sub(shared.written);
        drop(shared);
        if changes > 0
            && let Some(Err(error)) = debt.as_mut().map(|debt| debt.note(changes))
        {
            tracing::debug!(%error, "debt_not_noted");
        }
    }

    /// The disk takes no more writes: everything that waits is ready, and later batches are ready at once.
    pub(super) fn fall_to_ram(&self, shared: &mut Shared, why: &str) {
        self.metrics.errors.inc();
        shared.written();
        let waiting = std::mem::take(&mut shared.waiting);
        shared.ready.extend(waiting);
        if matches!(shared.moving, Move::Asked(_) | Move::Moving) {
            shared.moving = Move::Failed;
        }
        if shared.mode == Mode::Disk {
            shared.mode = Mode::Ram;
            self.report_ram(why);
        }
        shared.unsynced_since = None;
        self.keeper.notify_all();
        self.syncer.notify_all();
    }

    /// Reports that changes are in memory only.
    pub(super) fn report_ram(&self, why: &str) {
        let message = format!(
            "changes are kept in memory only and would be lost with the power: {why}; check the card and the free space \
             of {}, the store goes back to it by itself",
            self.dir.display()
        );
        if self.health.raise(IN_RAM, message) {
            tracing::error!(why, data_dir = %self.dir.display(), "storage_in_ram");
        }
        self.metrics.in_ram.set(1);
        self.progress.send_modify(|progress| progress.in_ram = true);
    }

    /// Reports that changes are on the disk again.
    pub(super) fn report_disk(&self) {
        self.progress.send_modify(|progress| progress.in_ram = false);
        self.metrics.in_ram.set(0);
        if self.health.clear(IN_RAM) {
            tracing::info!(data_dir = %self.dir.display(), "storage_on_disk_again");
        }
    }

    /// Ends the threads; batches that still wait are released.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        for thread in [&self.writer, &self.syncer, &self.guard, &self.keeper] {
            thread.notify_all();
        }
    }
}
