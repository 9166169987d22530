//! The store as a whole, on real folders: what was released is there again, whatever happened to the files.

mod damage;
mod documents;
mod figures;
mod life;
pub(super) mod model;
mod ram;

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

const BOOT: &str = "this boot";

struct Bench {
    dir: TempDir,
    health: Health,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), health: Health::default() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn open(&mut self) -> Opened {
        self.open_after(BOOT)
    }

    /// Opens with a fresh board, waiting for the threads of the store before it.
    fn open_after(&mut self, boot: &str) -> Opened {
        self.health = Health::default();
        open(self.path(), &self.health, boot)
    }

    fn codes(&self) -> Vec<&'static str> {
        self.health.problems().iter().map(|problem| problem.code).collect()
    }
}

fn open(dir: &Path, health: &Health, boot: &str) -> Opened {
    let settings = config::Storage { data_dir: dir.to_owned(), flush_ms: 1000 };
    let metrics = Metrics::new().unwrap();
    eventually(|| Store::open_at_boot(&settings, health, &metrics, boot.to_owned()).ok())
}

#[track_caller]
fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never happened");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What the engine commits for one command.
fn command(seq: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put(Tree::Light, "default", format!(r#"{{"v":1,"seq":{seq},"ts":1719400000000,"by":"esp-01"}}"#));
    batch.patch(Tree::Levels, "default/0", 512, vec![(0, seq as u8), (1, (seq >> 8) as u8), (2, 7)]);
    batch.append("default/ids", 64, format!(r#"{{"id":"{seq:026}","ts":1719400000000}}"#));
    batch
}

fn seq(store: &Store) -> Option<u64> {
    let light = store.get(Tree::Light, b"default")?;
    let light: serde_json::Value = serde_json::from_slice(&light).unwrap();
    light["seq"].as_u64()
}

/// Light, levels and the newest ids are those of one command.
fn assert_at(store: &Store, expected: u64) {
    assert_eq!(seq(store), Some(expected));
    let levels = store.get(Tree::Levels, b"default/0").unwrap();
    assert_eq!((levels.len(), levels[0], levels[1]), (512, expected as u8, (expected >> 8) as u8));
}

fn newest_journal(dir: &Path) -> std::path::PathBuf {
    journal::path(dir, *journal::list(dir).last().unwrap())
}

fn checkpoint(store: &Store) {
    let core = &store.0.core;
    core.lock().checkpoint_now = true;
    core.keeper.notify_all();
    eventually(|| {
        let shared = core.lock();
        (shared.through == shared.number && shared.layers.old.is_none()).then_some(())
    });
}
