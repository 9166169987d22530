//! The database under the layers, and the only code that sees sled.
//!
//! sled can fail by error, by panic and by opening empty: all three count as damage, and none leaves this file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{Advice, fadvise};

use super::batch::Tree;
use super::entries::{Sum, decode_piece, pieces};
use super::folder;
use super::overlay::{Light, Log, Overlay};
use super::wire::{Reader, put_bytes, u64_at};
use crate::kit::backoff::Backoff;
use crate::kit::files::sync_names;

/// Format of everything in here. A migration is a step from one number to the next, made where this is compared.
const FORMAT: u64 = 1;

/// FACTS.md section 6: measured as enough; the memory of the whole appliance is 25 MB.
const CACHE: u64 = 16 << 20;

/// How far the database has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of the last batch that is in it.
    pub(super) through: u64,
    /// First generation of the journal with batches that are not in it.
    pub(super) first_needed: u64,
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum BaseError {
    #[error("{0}")]
    Sled(#[from] sled::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("its files are not those of the last clean stop")]
    Changed,
    #[error("sled panicked")]
    Panicked,
    #[error("it opened empty")]
    Empty,
    #[error("entries are missing")]
    Missing,
    #[error("it is older than the snapshot")]
    Behind,
    #[error("an entry has an unknown shape")]
    Shape,
    #[error("format {0} was written by a newer dmxd")]
    Newer(u64),
}

/// An open database.
pub(super) struct Sled {
    dir: PathBuf,
    db: sled::Db,
    meta: sled::Tree,
    values: sled::Tree,
    logs: sled::Tree,
    /// Sum of the present entries; only the keeper writes.
    sum: Mutex<Sum>,
    /// Blob files that were synced.
    blobs: Mutex<BTreeSet<PathBuf>>,
    /// Its file, as opened by its name in the folder.
    file: Option<File>,
}

/// What lies under the layers.
pub(super) enum Base {
    /// The database.
    Sled(Sled),
    /// The content of the snapshot, while the database cannot be opened.
    Ram(Overlay),
}

/// Runs code that may panic inside sled.
fn guarded<T>(call: impl FnOnce() -> Result<T, BaseError>) -> Result<T, BaseError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(BaseError::Panicked))
}

fn value_key(tree: Tree, key: &[u8]) -> Vec<u8> {
    [&[tree.tag()], key].concat()
}

fn log_prefix(log: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    put_bytes(&mut prefix, log);
    prefix
}

fn log_key(log: &[u8], first: u64) -> Vec<u8> {
    [log_prefix(log).as_slice(), &first.to_be_bytes()].concat()
}

impl Sled {
    /// Opens an existing database and reads every entry once, so that damage shows now; also gives the light in it.
    pub(super) fn open(dir: &Path) -> Result<(Self, Light), BaseError> {
        guarded(|| {
            let db = open_db(dir)?;
            let recovered = db.was_recovered();
            let sled = Self::over(dir, db)?;
            if !recovered {
                return Err(BaseError::Empty);
            }
            match sled.number(b"format")? {
                None => return Err(BaseError::Empty),
                Some(FORMAT) => {}
                Some(other) => return Err(BaseError::Newer(other)),
            }
            let mut light = Light::new();
            let mut sum = Sum::default();
            for entry in &sled.values {
                let (key, value) = entry?;
                sum.add(&key, &value);
                let (tag, key) = key.split_first().ok_or(BaseError::Shape)?;
                let tree = Tree::from_tag(*tag).ok_or(BaseError::Shape)?;
                if tree.is_vital() {
                    light.insert((tree, key.to_vec()), value.to_vec());
                }
            }
            for entry in &sled.logs {
                let (key, value) = entry?;
                sum.add(&key, &value);
                decode_piece(&value).ok_or(BaseError::Shape)?;
            }
            // a checkpoint that a kill stopped has no sum; the journal still holds all of it
            if sled.sum_of_mark()?.is_some_and(|written| written != sum) {
                return Err(BaseError::Missing);
            }
            *sled.sum.lock() = sum;
            Ok((sled, light))
        })
    }

    /// Makes a database that holds `content`; a kill at any moment leaves either none or a whole one.
    pub(super) fn create(parent: &Path, name: &str, content: &Overlay, mark: Mark) -> Result<(), BaseError> {
        let unfinished = parent.join(format!("{name}.new"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        guarded(|| {
            let sled = Self::over(&unfinished, open_db(&unfinished)?)?;
            sled.meta.insert(b"format", &FORMAT.to_le_bytes())?;
            sled.write(content, mark)
        })?;
        folder::sync_all(&unfinished)?;
        fs::rename(&unfinished, parent.join(name))?;
        Ok(sync_names(parent)?)
    }

    fn over(dir: &Path, db: sled::Db) -> Result<Self, BaseError> {
        let (meta, values, logs) = (db.open_tree("meta")?, db.open_tree("values")?, db.open_tree("logs")?);
        let file = File::open(dir.join("db")).ok();
        Ok(Self { dir: dir.to_owned(), db, meta, values, logs, sum: Mutex::default(), blobs: Mutex::default(), file })
    }

    /// Whether its file is still in place, neither deleted nor replaced.
    pub(super) fn is_there(&self) -> bool {
        self.file.as_ref().is_none_or(|file| folder::is_at(file, &self.dir.join("db")))
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>, BaseError> {
        Ok(self.meta.get(key)?.and_then(|value| u64_at(&value, 0)))
    }

    pub(super) fn mark(&self) -> Result<Mark, BaseError> {
        guarded(|| {
            let mark = self.meta.get(b"mark")?.ok_or(BaseError::Shape)?;
            let (Some(through), Some(first_needed)) = (u64_at(&mark, 0), u64_at(&mark, 8)) else {
                return Err(BaseError::Shape);
            };
            Ok(Mark { through, first_needed })
        })
    }

    /// The sum written with the mark; `None` while a checkpoint is at work.
    fn sum_of_mark(&self) -> Result<Option<Sum>, BaseError> {
        let mark = self.meta.get(b"mark")?.ok_or(BaseError::Shape)?;
        let (entries, crcs) = (u64_at(&mark, 16), u64_at(&mark, 24));
        Ok(entries.zip(crcs).map(|(entries, crcs)| Sum { entries, crcs }))
    }

    fn set_mark(&self, mark: Mark, sum: Option<Sum>) -> Result<(), BaseError> {
        let mut bytes = mark.through.to_le_bytes().to_vec();
        bytes.extend(mark.first_needed.to_le_bytes());
        if let Some(sum) = sum {
            bytes.extend(sum.entries.to_le_bytes());
            bytes.extend(sum.crcs.to_le_bytes());
        }
        self.meta.insert(b"mark", bytes)?;
        Ok(())
    }

    /// Changes entries of one table, and their sum.
    fn change(&self, table: &sled::Tree, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), BaseError> {
        let mut sum = self.sum.lock();
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            let before = table.get(&key)?;
            if let Some(before) = &before {
                sum.take(&key, before);
            }
            match value {
                Some(value) => {
                    sum.add(&key, &value);
                    batch.insert(key, value);
                }
                // sled would write down that there is nothing
                None if before.is_none() => {}
                None => batch.remove(key),
            }
        }
        Ok(table.apply_batch(batch)?)
    }

    /// Puts a layer in, the mark last, and all of it onto the medium.
    pub(super) fn checkpoint(&self, layer: &Overlay, mark: Mark) -> Result<(), BaseError> {
        guarded(|| {
            // its sum is void from here on; sled's log keeps order, so no entry below is there without this
            self.set_mark(self.mark()?, None)?;
            self.write(layer, mark)
        })
    }

    fn write(&self, layer: &Overlay, mark: Mark) -> Result<(), BaseError> {
        let values = layer.values.iter().map(|((tree, key), value)| (value_key(*tree, key), value.clone()));
        self.change(&self.values, values.collect())?;
        for (name, log) in &layer.logs {
            self.write_log(name, log)?;
        }
        let sum = *self.sum.lock();
        self.set_mark(mark, Some(sum))?;
        self.db.flush()?;
        self.sync()
    }

    /// Adds a period's entries in pieces keyed by their first number, and drops pieces too old to keep.
    fn write_log(&self, name: &[u8], log: &Log) -> Result<(), BaseError> {
        let Some((first, _)) = log.entries.front() else { return Ok(()) };
        let mut changes = BTreeMap::new();
        // pieces of an interrupted checkpoint: the same entries, perhaps cut elsewhere
        for key in self.logs.range(log_key(name, *first)..log_key(name, u64::MAX)).keys() {
            changes.insert(key?.to_vec(), None);
        }
        let mut kept = 0;
        for piece in pieces(log) {
            kept += piece.count;
            changes.insert(log_key(name, piece.first), Some(piece.bytes));
        }
        for entry in self.logs.range(log_prefix(name)..log_key(name, *first)).rev() {
            let (key, value) = entry?;
            if kept >= u64::from(log.keep) {
                changes.insert(key.to_vec(), None);
            } else {
                kept += decode_piece(&value).ok_or(BaseError::Shape)?.entries.len() as u64;
            }
        }
        self.change(&self.logs, changes)
    }

    /// sled's `flush` ends in `sync_file_range`, which is not power-safe (spacejam/sled#1452); its blob files are not
    /// synced at all.
    fn sync(&self) -> Result<(), BaseError> {
        let present: BTreeSet<PathBuf> =
            fs::read_dir(self.dir.join("blobs"))?.flatten().map(|entry| entry.path()).collect();
        let mut synced = self.blobs.lock();
        let fresh: Vec<_> = present.difference(&synced).collect();
        for blob in &fresh {
            match File::open(blob) {
                Ok(file) => file.sync_all()?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {} // collected meanwhile
                Err(error) => return Err(error.into()),
            }
        }
        if !fresh.is_empty() {
            sync_names(&self.dir.join("blobs"))?;
        }
        *synced = present;
        let file = File::open(self.dir.join("db"))?;
        file.sync_data()?;
        // sled has its own cache. The kernel's copy of the file is memory used twice, and since Linux 6.16 it lies there in
        // pieces of 64 KiB and more, which sled's writes of 24 bytes dirty as a whole.
        let _ = fadvise(&file, 0, None, Advice::DontNeed); // nothing depends on it
        Ok(())
    }
}

fn open_db(dir: &Path) -> Result<sled::Db, BaseError> {
    let config = sled::Config::new().path(dir).cache_capacity(CACHE).flush_every_ms(None);
    // A dropped database releases its lock a little later.
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(200));
    for _ in 0..20 {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(backoff.pause());
            }
            other => return Ok(other?),
        }
    }
    Ok(config.open()?)
}

impl Base {
    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, BaseError> {
        match self {
            Self::Sled(sled) => guarded(|| Ok(sled.values.get(value_key(tree, key))?.map(|value| value.to_vec()))),
            Self::Ram(content) => Ok(content.values.get(&(tree, key.to_vec())).cloned().flatten()),
        }
    }

    /// The highest key of a tree, empty without any; `None` if nobody knows, since what is in memory in the database's place
    /// may not be all of it.
    pub(super) fn last_key(&self, tree: Tree) -> Option<Vec<u8>> {
        let Self::Sled(sled) = self else { return None };
        let last = guarded(|| Ok(sled.values.scan_prefix([tree.tag()]).keys().next_back().transpose()?)).ok()?;
        Some(last.and_then(|key| key.get(1..).map(<[u8]>::to_vec)).unwrap_or_default())
    }

    /// The keys of a tree that start with `prefix`.
    pub(super) fn scan(&self, tree: Tree, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, BaseError> {
        match self {
            Self::Sled(sled) => guarded(|| {
                let mut found = BTreeMap::new();
                for entry in sled.values.scan_prefix(value_key(tree, prefix)) {
                    let (key, value) = entry?;
                    found.insert(key.get(1..).unwrap_or_default().to_vec(), value.to_vec());
                }
                Ok(found)
            }),
            Self::Ram(content) => {
                let from = content.values.range((tree, prefix.to_vec())..);
                let inside = from.take_while(|((t, key), _)| *t == tree && key.starts_with(prefix));
                Ok(inside.filter_map(|((_, key), value)| Some((key.clone(), value.clone()?))).collect())
            }
        }
    }

    /// Shows every key of a tree to `each`, in order.
    pub(super) fn visit(&self, tree: Tree, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), BaseError> {
        match self {
            Self::Sled(sled) => guarded(|| {
                for entry in sled.values.scan_prefix([tree.tag()]) {
                    let (key, value) = entry?;
                    each(key.get(1..).unwrap_or_default(), &value);
                }
                Ok(())
            }),
            Self::Ram(content) => {
                let from = content.values.range((tree, Vec::new())..);
                let inside = from.take_while(|((t, _), _)| *t == tree);
                inside.filter_map(|((_, key), value)| Some((key, value.as_ref()?))).for_each(|(k, v)| each(k, v));
                Ok(())
            }
        }
    }

    /// The entries of a log.
    pub(super) fn log(&self, name: &[u8]) -> Result<Log, BaseError> {
        match self {
            Self::Sled(sled) => guarded(|| {
                let mut log = Log::default();
                for entry in sled.logs.scan_prefix(log_prefix(name)) {
                    log.absorb(decode_piece(&entry?.1).ok_or(BaseError::Shape)?);
                }
                Ok(log)
            }),
            Self::Ram(content) => Ok(content.logs.get(name).cloned().unwrap_or_default()),
        }
    }

    /// Gives everything, piece by piece, as layers that add up to it.
    pub(super) fn export(&self, mut each: impl FnMut(Overlay) -> std::io::Result<()>) -> Result<(), BaseError> {
        let sled = match self {
            Self::Ram(content) => return Ok(each(content.clone())?),
            Self::Sled(sled) => sled,
        };
        guarded(|| {
            for entry in &sled.values {
                let (key, value) = entry?;
                let (tag, key) = key.split_first().ok_or(BaseError::Shape)?;
                let tree = Tree::from_tag(*tag).ok_or(BaseError::Shape)?;
                each(Overlay { values: [((tree, key.to_vec()), Some(value.to_vec()))].into(), ..Overlay::default() })?;
            }
            for entry in &sled.logs {
                let (key, value) = entry?;
                let name = Reader(&key).bytes().ok_or(BaseError::Shape)?.to_vec();
                let piece = decode_piece(&value).ok_or(BaseError::Shape)?;
                each(Overlay { logs: [(name, piece)].into(), ..Overlay::default() })?;
            }
            Ok(())
        })
    }
}
