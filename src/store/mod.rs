//! Memory that survives: a journal in front of sled, behind typed trees.
//!
//! A change is *written* once one `write(2)` has put it into the journal: kill -9 cannot take it back any more. Only then is
//! it released to those who wait for it, in the order of commits.

mod base;
mod batch;
mod checksums;
mod core;
mod database;
mod debt;
mod document;
mod entries;
mod folder;
mod format;
mod guard;
mod head;
mod journal;
mod keeper;
mod open;
mod overlay;
mod page;
mod record;
mod refused;
mod replay;
mod reserve;
mod snapshot;
mod syncer;
mod wire;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub use batch::{Batch, Tree};
pub use document::{PendingDocument, StoredDocument};
pub use folder::StoreError;
pub(crate) use wire::{Reader, put_bytes, put_number};

use self::core::{Core, Ending, Mode, Waiting};
use self::overlay::Lookup;
use crate::config;
use crate::kit::health::Health;
use crate::metrics::Metrics;

/// What may stand between commit and release: each batch counts as one, plus one for each KiB. Beyond that `commit` waits,
/// which fills the command queue, whose doors then wait or refuse. Blackout overtakes that queue, but nothing that stands
/// here: 256 are 30 ms at a slow machine's 8,500 commands a second.
const WAITING: u32 = 256;

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Door>);

struct Door {
    core: Arc<Core>,
    permits: Arc<Semaphore>,
}

impl Drop for Door {
    /// Dropping it without `close` is an end like kill -9: what waits is written, the mark of a clean stop is not.
    fn drop(&mut self) {
        self.core.stop();
    }
}

/// What the last run left.
pub struct Opened {
    /// The store, ready for commits.
    pub store: Store,
    /// Add this to the highest `seq` found: 0 after a clean stop or a kill, a fixed block after a power cut or damage. The
    /// first batch committed must store it, and be on the medium before anybody sees it; until then the next start owes the
    /// jump again.
    pub seq_jump: u64,
}

impl Store {
    /// Whether a store has ever been in a folder. Looks only.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        folder::was_used(dir)
    }

    /// Opens the folder of `settings`, replays, sets damaged files aside, and runs from RAM if there is no other way.
    ///
    /// # Errors
    /// Only when another process holds the folder.
    pub fn open(settings: &config::Storage, health: &Health, metrics: &Metrics) -> Result<Opened, StoreError> {
        // Without a boot id every start counts as one after a power cut, unless the stop was clean.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_else(|_| ulid::Ulid::generate().to_string());
        Self::open_at_boot(settings, health, metrics, boot.trim().to_owned())
    }

    fn open_at_boot(
        settings: &config::Storage,
        health: &Health,
        metrics: &Metrics,
        boot: String,
    ) -> Result<Opened, StoreError> {
        let (core, seq_jump) = open::open(settings, health, metrics, boot)?;
        let permits = Arc::new(Semaphore::new(WAITING as usize));
        Ok(Opened { store: Self(Arc::new(Door { core, permits })), seq_jump })
    }

    /// Whether the database can be read. Without it some values are missing or older than they were.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(*self.0.core.lock().base, base::Base::Sled(_))
    }

    /// The value of a key.
    pub fn get(&self, tree: Tree, key: &[u8]) -> Option<Vec<u8>> {
        let shared = self.0.core.lock();
        match shared.layers.find(tree, key) {
            Lookup::Value(value) => Some(value),
            Lookup::Nothing => None,
            Lookup::Below => {
                let base = shared.base.clone();
                drop(shared); // the database may have to read a page
                self.read(base.get(tree, key)).flatten()
            }
        }
    }

    /// All keys of a tree that start with `prefix`, in order.
    pub fn scan(&self, tree: Tree, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let shared = self.0.core.lock();
        let over = shared.layers.range(tree, prefix);
        let base = shared.base.clone();
        drop(shared);
        let mut found = if tree.is_vital() { None } else { self.read(base.scan(tree, prefix)) }.unwrap_or_default();
        for (key, value) in over {
            match value {
                Some(value) => found.insert(key, value),
                None => found.remove(&key),
            };
        }
        found.into_iter().collect()
    }

    /// Shows every key of a tree to `each`, in no order: unlike [`Store::scan`], for a tree that may be larger than memory.
    pub fn visit(&self, tree: Tree, mut each: impl FnMut(&[u8], &[u8])) {
        let shared = self.0.core.lock();
        let over = shared.layers.range(tree, b"");
        let base = shared.base.clone();
        drop(shared);
        let _ = self.read(base.visit(tree, |key, value| {
            if !over.contains_key(key) {
                each(key, value);
            }
        }));
        over.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).for_each(|(key, value)| each(key, value));
    }

    /// The entries of a log, oldest first.
    pub fn log(&self, log: &[u8]) -> Vec<Vec<u8>> {
        let shared = self.0.core.lock();
        let over = shared.layers.log(log);
        let base = shared.base.clone();
        drop(shared);
        let mut found = self.read(base.log(log)).unwrap_or_default();
        if let Some(over) = over {
            found.absorb(over);
        }
        found.entries.into_iter().map(|(_, entry)| entry).collect()
    }

    fn read<T>(&self, result: Result<T, base::BaseError>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.0.core.metrics.errors.inc();
                tracing::error!(%error, "reading the database");
            })
            .ok()
    }

    /// Hands a batch to the writer; waits only while its queue is full. `release` runs after the write, in order of commits;
    /// it is short, and never waits.
    pub async fn commit(&self, batch: Batch, release: impl FnOnce() + Send + 'static) {
        let payload = batch.encode();
        // The semaphore is never closed; without a permit the batch would only exceed the bound.
        let permit = self.0.permits.clone().acquire_many_owned(permits(&payload)).await.ok();
        self.queue(batch, payload, Box::new(release), permit);
        self.release();
    }

    /// The same for whoever must not wait, and has waited for [`Store::room`] where it could. The caller holds locks that a
    /// release may take: once it has given them back, it calls [`Store::release`].
    pub fn enqueue(&self, batch: Batch, release: impl FnOnce() + Send + 'static) {
        let payload = batch.encode();
        let permit = self.0.permits.clone().try_acquire_many_owned(permits(&payload)).ok(); // else beyond the bound
        self.queue(batch, payload, Box::new(release), permit);
    }

    /// Waits while the writer's queue is full.
    pub async fn room(&self) {
        if self.0.permits.available_permits() == 0 {
            let _ = self.0.permits.acquire().await; // as above
        }
    }

    /// Runs the releases that are ready, unless another thread does.
    pub fn release(&self) {
        self.0.core.release(self.0.core.lock());
    }

    fn queue(
        &self,
        batch: Batch,
        mut payload: Vec<u8>,
        release: Box<dyn FnOnce() + Send>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let core = &self.0.core;
        let mut shared = core.lock();
        if !payload.is_empty() {
            core.metrics.commits.inc();
            shared.number += 1;
            shared.owed = false;
            let number = shared.number;
            shared.layers.apply(batch, number);
        }
        if shared.mode == Mode::Ram || shared.ending == Ending::Ended {
            payload = Vec::new();
            core.keeper.notify_all(); // which also notes how many there are
        }
        let number = shared.number;
        let idle = shared.waiting.is_empty();
        shared.queue(Waiting { number, payload, release, permit });
        if idle && !shared.waiting.is_empty() {
            core.writer.notify_one();
        }
    }

    /// The same; the receiver hears of the write.
    pub async fn note(&self, batch: Batch) -> oneshot::Receiver<()> {
        let (done, written) = oneshot::channel();
        let release = move || {
            let _ = done.send(()); // Err: nobody waits
        };
        self.commit(batch, release).await;
        written
    }

    /// Commits, and waits for the write.
    pub async fn write(&self, batch: Batch) {
        let _ = self.note(batch).await.await; // Err: the store is closing
    }

    /// Commits, and waits until a power cut cannot take it back.
    pub async fn keep(&self, batch: Batch) {
        self.write(batch).await;
        self.sync().await;
    }

    /// Waits until everything committed so far survives a power cut; not at all while running from RAM.
    pub async fn sync(&self) {
        if let Some((number, mut progress)) = self.ask_for_sync() {
            // Err: the sender lives as long as we do.
            let _ = progress.wait_for(|now| now.synced >= number || now.in_ram || now.closed).await;
        }
    }

    /// The number to wait for, if any.
    fn ask_for_sync(&self) -> Option<(u64, watch::Receiver<core::Progress>)> {
        let core = &self.0.core;
        let mut shared = core.lock();
        let number = shared.number;
        if shared.mode == Mode::Ram || shared.synced >= number {
            return None;
        }
        shared.sync_now = true;
        core.syncer.notify_one();
        Some((number, core.progress.subscribe()))
    }

    /// Writes the mark of a clean stop, the snapshot and the checkpoint. Later commits are released from RAM.
    pub async fn close(&self) {
        let core = &self.0.core;
        let mut progress = core.progress.subscribe();
        core.lock().closing = true;
        core.keeper.notify_all();
        let _ = progress.wait_for(|now| now.closed).await; // as above
    }
}

/// What a batch takes of [`WAITING`].
fn permits(payload: &[u8]) -> u32 {
    u32::try_from(payload.len() / 1024).unwrap_or(u32::MAX).saturating_add(1).min(WAITING)
}

/// For the fuzz target: reads `bytes` as a generation and counts its records.
#[doc(hidden)]
#[must_use]
pub fn fuzz_records(bytes: &[u8], generation: u64) -> usize {
    let content = page::content(bytes.to_vec(), generation);
    let records = record::scan(&content.bytes, content.page, generation).records.len();
    let found = [replay::GenerationFile { generation, content, cut: false }];
    let mark = base::Mark { through: 0, first_needed: generation };
    let _ = replay::replay(&found, mark, Default::default(), false, "");
    records
}
