//! Store, engine and library: what every run begins with, whether it serves or does one job on a box that does not start.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::error::AppError;
use crate::config::{self, Config};
use crate::engine::{self, Engine};
use crate::fixtures::Types;
use crate::kit::health::Health;
use crate::kit::tasks::Tasks;
use crate::library::{self, Library, predecessor};
use crate::metrics::Metrics;
use crate::store::{Opened, Store};

/// How long waiting commands may take at the stop: a full queue of 10,000 takes 0.15 s at the 65,000 a second of
/// docs/figures.md. Commands that are late were not acknowledged, so their clients send them again.
const LAST_COMMANDS: Duration = Duration::from_millis(600);

/// How long an edit under way may take at the stop: a select or restore has to reach the medium.
const LAST_WISHES: Duration = Duration::from_millis(600);

/// Store, library and engine.
pub(super) struct Memory {
    pub(super) store: Store,
    pub(super) engine: Engine,
    /// Closed first: an edit may still want the engine.
    library: Library,
    shelves: Tasks,
}

impl Memory {
    /// Opens the data folder and imports a predecessor's files.
    pub(super) async fn open(config: &Config, health: &Health, metrics: &Metrics) -> Result<(Self, Library), AppError> {
        let Config { engine, storage, projects, .. } = config;
        let opened = {
            let (storage, health, metrics) = (storage.clone(), health.clone(), metrics.clone());
            tokio::task::spawn_blocking(move || Store::open(&storage, &health, &metrics)).await
        };
        let Opened { store, seq_jump } = opened
            .map_err(|e| AppError::System { doing: "opening the data folder", source: io::Error::other(e) })??;
        let several = projects.enabled;
        store.forget_unfinished().await;
        predecessor::import(&store, folders(projects, &storage.data_dir), several, ids(engine), health).await;
        let project = library::active_at_start(&store, several);
        let types = {
            let store = store.clone();
            tokio::task::spawn_blocking(move || Types::open(&store)).await
        };
        let types = types.unwrap_or_else(|_| Types::built_in()); // it panicked, which is in the log
        let reading = library::Reading { universes: engine.universes, types };
        let rig = library::rig_at_start(&store, &project, &reading).await;
        let engine = engine::start(engine, store.clone(), seq_jump, project, rig, metrics).await;
        let mut shelves = Tasks::default();
        let deps = library::LibraryDeps {
            several,
            store: store.clone(),
            engine: engine.handle.clone(),
            feed: engine.feed.clone(),
            reading,
            health: health.clone(),
        };
        let library = library::start(deps, &mut shelves).await;
        Ok((Self { store, engine, library: library.clone(), shelves }, library))
    }

    /// Ends when a part that must run for ever does, and names it.
    pub(super) async fn ended(&mut self) -> &'static str {
        tokio::select! {
            () = self.engine.ended() => "the engine",
            part = self.shelves.ended() => part,
        }
    }

    /// Finishes everything that waits, sends `last_words` behind it, then closes the store.
    pub(super) async fn close(self, last_words: impl Future<Output = ()>) {
        let Self { store, engine, library, shelves } = self;
        library.close();
        late("library", &shelves.join(LAST_WISHES).await);
        if timeout(LAST_COMMANDS, engine.drain()).await.is_err() {
            late("engine", &["the last commands"]);
        }
        last_words.await;
        store.close().await;
    }
}

/// Where a predecessor may have left files.
fn folders(projects: &config::Projects, data_dir: &Path) -> predecessor::Folders {
    let root = projects.root.clone();
    let named = root.is_some();
    let projects = root.unwrap_or_else(|| data_dir.join("projects"));
    predecessor::Folders { data: data_dir.to_owned(), projects, named }
}

fn ids(engine: &config::Engine) -> predecessor::Ids {
    predecessor::Ids { ttl: Duration::from_secs(engine.dedupe_ttl_seconds), most: engine.dedupe_capacity }
}

/// Logs who was late at the stop.
pub(super) fn late(floor: &'static str, names: &[&'static str]) {
    if !names.is_empty() {
        tracing::warn!(floor, names = names.join(", "), "stop_late");
    }
}
