//! The start: what the folder holds, what of it is damaged, and how far the light had come.

use std::path::Path;
use std::sync::Arc;

use super::base::{Base, Mark};
use super::batch::Tree;
use super::core::{Core, Mode, Shared};
use super::database;
use super::debt::{self, Debt};
use super::folder::{self, StoreError};
use super::head::head;
use super::journal::{self, Journal};
use super::keeper::{Keeper, Start};
use super::record::{Kind, Record};
use super::replay::{GenerationFile, Replayed, replay};
use super::snapshot::{self, Loaded, Snapshot};
use super::{guard, page, syncer, writer};
use crate::config;
use crate::kit::health::Health;
use crate::metrics::Metrics;

/// How far `seq` jumps after a power cut or damage: more than the fastest flood can lose in `flush_ms` (1 s; measured 20,000
/// commands a second), and easy to recognise. CONTRACT.md: a fixed block.
const SEQ_JUMP: u64 = 100_000;

/// Problem: the database is older than it was.
const DATABASE_DAMAGED: &str = "DATABASE_DAMAGED";
/// Problem: the journal was damaged.
const JOURNAL_DAMAGED: &str = "JOURNAL_DAMAGED";
/// Problem: the last run ended while changes were in memory only.
const TAKEN_BACK: &str = "CHANGES_TAKEN_BACK";
/// Problem: the snapshot was damaged.
const SNAPSHOT_DAMAGED: &str = "SNAPSHOT_DAMAGED";

/// The findings, put together.
struct Recovered {
    base: Base,
    mark: Mark,
    replayed: Replayed,
    /// There was a store, and it was damaged or rebuilt.
    damaged: bool,
    /// Why the database could not be opened.
    unusable: Option<String>,
    snapshot: Option<Mark>,
}

/// Opens the folder; see `Store::open`.
pub(super) fn open(
    settings: &config::Storage,
    health: &Health,
    metrics: &Metrics,
    boot: String,
) -> Result<(Arc<Core>, u64), StoreError> {
    let dir = settings.data_dir.clone();
    let lock = folder::take(&dir)?;
    let found = find(&dir, health, &boot);
    let (through, number) = (found.mark.through, found.replayed.number);
    let taken_back = debt::read(&dir);
    let mut jump = if taken_back.is_some() { SEQ_JUMP } else { seq_jump(&found, &boot) };
    let head = head(&boot, through, &found.replayed.layers, true, jump > 0);
    let next_generation = journal::newest(&dir).max(found.mark.first_needed) + 1;
    let first = Record { kind: Kind::Head, settled: true, number, payload: &head };
    let journal = match &found.unusable {
        // A journal beside a database that was never made would look like damage.
        Some(why) if !dir.join("db").exists() => Err(why.clone()),
        _ => Journal::create(&dir, next_generation, next_generation, Some(&first))
            .map_err(|error| format!("making a journal: {error}")),
    };
    // An earlier run that could not write here may have had changes in memory only, and nowhere to note it.
    if journal.is_err() && found.replayed.boot.is_some() && !found.replayed.clean {
        jump = SEQ_JUMP;
    }
    if let Some(changes) = taken_back {
        report_taken_back(health, changes);
    }
    let mut debt = Debt::open(&dir).inspect_err(|error| tracing::debug!(%error, "debt_not_opened")).ok();
    if journal.is_ok() && taken_back.is_some() {
        debt = debt.filter(|debt| debt.settle().is_ok());
    }
    let mut shared = Shared::new(found.replayed.layers, Arc::new(found.base), through, number);
    shared.owed = jump > 0;
    shared.file = journal.as_ref().ok().map(|journal| journal.file.clone());
    shared.generation = next_generation;
    if journal.is_err() {
        shared.mode = Mode::Ram;
    }
    let core = Arc::new(Core::new(shared, settings, boot, health, metrics));
    (*core.lock.lock(), *core.debt.lock()) = (lock, debt);
    let journal = match journal {
        Ok(journal) => {
            put_away(&dir, &found.replayed.damaged, next_generation);
            Some(journal)
        }
        Err(why) => {
            core.report_ram(&why);
            None
        }
    };
    let start_with = Start { next_generation: next_generation + 1, snapshot: found.snapshot, database: found.mark };
    start(&core, journal, start_with);
    Ok((core, jump))
}

fn find(dir: &Path, health: &Health, boot: &str) -> Recovered {
    let loaded = snapshot::load(dir);
    let bad_snapshot = matches!(loaded, Loaded::Damaged);
    let snapshot = match &loaded {
        Loaded::Good(snapshot) => Some(snapshot.mark),
        Loaded::None | Loaded::Damaged => None,
    };
    let (base, mark, light, rebuilt, unusable) = match database::open(dir, health, loaded) {
        Ok(it) => (Base::Sled(it.sled), it.mark, it.light, it.rebuilt, None),
        Err(error) => {
            let Snapshot { content, mark } = match snapshot::load(dir) {
                Loaded::Good(snapshot) => snapshot,
                Loaded::None | Loaded::Damaged => Snapshot::default(),
            };
            let vital = content.values.iter().filter(|(key, _)| key.0.is_vital());
            let light = vital.filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
            (Base::Ram(content), mark, light, true, Some(format!("opening the database: {error}")))
        }
    };
    let files = read(dir, mark.first_needed);
    let mut replayed = replay(&files, mark, light, rebuilt, boot);
    replayed.layers.message_below = base.last_key(Tree::Messages);
    let behind = !rebuilt && mark.through < replayed.through;
    report(dir, health, &replayed, bad_snapshot, behind);
    let damaged =
        bad_snapshot || behind || replayed.missing || !replayed.damaged.is_empty() || (rebuilt && unusable.is_none());
    Recovered { base, mark, replayed, damaged, unusable, snapshot }
}

/// Reads the generations from `first` on; earlier ones are not needed.
fn read(dir: &Path, first: u64) -> Vec<GenerationFile> {
    let needed = journal::list(dir).into_iter().filter(|generation| *generation >= first);
    let read = |generation| {
        let bytes = std::fs::read(journal::path(dir, generation)).unwrap_or_default();
        let cut = bytes.is_empty() || !(bytes.len() as u64).is_multiple_of(journal::SIZE);
        GenerationFile { generation, content: page::content(bytes, generation), cut }
    };
    needed.map(read).collect()
}

fn report(dir: &Path, health: &Health, replayed: &Replayed, bad_snapshot: bool, behind: bool) {
    if replayed.missing || !replayed.damaged.is_empty() {
        let what = if replayed.missing { "a part of it is missing" } else { "a part of it could not be read" };
        let message = format!(
            "the journal was damaged ({what}); light and command ids of its last minutes may be older than they were, the \
             damaged files were kept as journal-….bad-…: check the light, and the card"
        );
        health.raise(JOURNAL_DAMAGED, message);
        tracing::error!(what, generations = ?replayed.damaged, "journal_damaged");
    }
    if behind {
        health.raise(
            DATABASE_DAMAGED,
            "the database has lost its last changes; the light comes from the journal, retained messages and command ids \
             may be older than they were: check the card",
        );
        tracing::error!("database_damaged");
    }
    if bad_snapshot {
        let kept = folder::set_aside(dir, "snapshot", "snapshot").unwrap_or_else(|error| format!("nothing ({error})"));
        let message = format!("the snapshot was damaged and kept as {kept}; a new one is made: check the card");
        health.raise(SNAPSHOT_DAMAGED, message);
        tracing::error!(kept, "snapshot_damaged");
    }
}

fn report_taken_back(health: &Health, changes: u64) {
    let message = format!(
        "the last run ended while the card took no writes: at least its last {changes} changes were in memory only and are lost, their \
         command ids too; numbers of changes went on with a jump: check the light, and the card"
    );
    health.raise(TAKEN_BACK, message);
    tracing::error!(changes, "changes_taken_back");
}

fn seq_jump(found: &Recovered, boot: &str) -> u64 {
    let replayed = &found.replayed;
    let power_cut = replayed.boot.as_deref().is_some_and(|last| last != boot) && !replayed.clean;
    if power_cut || found.damaged || replayed.owed { SEQ_JUMP } else { 0 }
}

/// The new generation holds everything: damaged ones are set aside, the others are removed.
fn put_away(dir: &Path, damaged: &[u64], first: u64) {
    for generation in damaged {
        let path = journal::path(dir, *generation);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Err(error) = folder::set_aside(dir, &name, "journal") {
            tracing::warn!(name, %error, "setting a damaged journal aside");
        }
    }
    journal::put_away_before(dir, first);
}

fn start(core: &Arc<Core>, journal: Option<Journal>, start: Start) {
    let keeper = Keeper::new(core.clone(), start);
    let (a, b, c) = (core.clone(), core.clone(), core.clone());
    spawn("store-writer", move || writer::run(&a, journal));
    spawn("store-sync", move || syncer::run(&b));
    spawn("store-guard", move || guard::run(&c));
    spawn("store-keeper", move || keeper.run());
}

/// Each thread ends by itself when the store stops; nobody has to wait for it.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(run) {
        tracing::error!(name, %error, "starting a thread of the store");
    }
}
