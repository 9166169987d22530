//! The data folder: who holds it, how names in it become lasting, where damaged things go.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::journal;
use crate::kit::files::sync_names;

/// How many damaged things of one name are kept.
const KEPT_BAD: usize = 3;

/// Why the data folder cannot be used at all; anything less is tolerated and reported in `Health`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the folder.
    #[error("opening the data folder {0}: another dmxd uses it (stop that one, or set storage.data_dir)")]
    Busy(String),
}

/// Locks the folder for this process; `None` when it cannot be used at all now.
///
/// # Errors
/// Another process holds it.
pub(super) fn take(dir: &Path) -> Result<Option<File>, StoreError> {
    let name = dir.join("lock");
    // a folder that became read-only is still held by its lock file
    let made = fs::create_dir_all(dir).and_then(|()| OpenOptions::new().create(true).append(true).open(&name));
    let Ok(file) = made.or_else(|_| File::open(&name)) else { return Ok(None) };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Busy(dir.display().to_string())),
        // a file system without locks: better to run unlocked than not at all
        Err(error) => {
            tracing::warn!(%error, "locking the data folder");
            Ok(Some(file))
        }
    }
}

/// Whether a store has ever been in this folder. If its lock file was deleted or not copied, its data show it.
pub(super) fn was_used(dir: &Path) -> bool {
    dir.join("lock").exists() || dir.join("db").exists() || !journal::list(dir).is_empty()
}

/// Whether an open file is still the one of that name; true if that cannot be found out.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        (Ok(_), Err(error)) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        (Err(_), _) => true,
    }
}

/// Whether the folder holds a store that this lock does not cover: somebody has put another folder in its place.
pub(super) fn is_anothers(dir: &Path, lock: &File) -> bool {
    !is_at(lock, &dir.join("lock")) && (dir.join("db").exists() || !journal::list(dir).is_empty())
}

/// Whether new bytes can be written to the folder and reach the medium.
pub(super) fn is_writable(dir: &Path) -> bool {
    let name = dir.join("probe");
    let wrote = fs::write(&name, [1; 64 << 10]).and_then(|()| File::open(&name)?.sync_all());
    let removed = fs::remove_file(&name);
    wrote.is_ok() && removed.is_ok()
}

/// Renames something damaged to `<name>.bad-<ulid>` and keeps the newest three of that kind.
pub(super) fn set_aside(dir: &Path, name: &str, kind: &str) -> io::Result<String> {
    let names = fs::read_dir(dir)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut bads: Vec<String> = names.filter(|name| name.starts_with(kind) && name.contains(".bad-")).collect();
    bads.sort_by(|a, b| age(a).cmp(age(b)));
    // after those that exist, even if the clock went back
    let last = bads.last().and_then(|last| age(last).parse::<ulid::Ulid>().ok()?.increment().ok());
    let now = ulid::Ulid::generate();
    let bad = format!("{name}.bad-{}", last.map_or(now, |last| last.max(now)));
    fs::rename(dir.join(name), dir.join(&bad))?;
    sync_names(dir)?;
    let spare = (bads.len() + 1).saturating_sub(KEPT_BAD);
    for old in bads.iter().take(spare) {
        let old = dir.join(old);
        let removed = if old.is_dir() { fs::remove_dir_all(&old) } else { fs::remove_file(&old) };
        if let Err(error) = removed {
            tracing::warn!(path = %old.display(), %error, "deleting what was set aside long ago");
        }
    }
    Ok(bad)
}

fn age(name: &str) -> &str {
    name.rsplit('-').next().unwrap_or_default()
}

/// Syncs every file and folder below `dir` and itself.
pub(super) fn sync_all(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    sync_names(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_set_aside_are_kept_whatever_the_clock_told() {
        let dir = tempfile::tempdir().unwrap();
        let aside = || {
            fs::write(dir.path().join("db"), b"").unwrap();
            set_aside(dir.path(), "db", "db").unwrap()
        };
        // Set aside while the clock was ahead, in the year 5000.
        let ahead = format!("db.bad-{}", ulid::Ulid::from_parts(95_617_584_000_000, 7));
        fs::write(dir.path().join(&ahead), b"").unwrap();
        let kept: Vec<_> = (0..3).map(|_| aside()).collect();
        assert!(kept.is_sorted() && ahead < kept[0], "{kept:?}");
        assert!(!dir.path().join(&ahead).exists());
        assert!(kept.iter().all(|name| dir.path().join(name).exists()));
    }
}
