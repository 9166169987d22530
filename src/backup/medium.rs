//! The medium under the folder of local backups: whether it is the one that the light is kept on, whether it is the one
//! of the last backup, and how much must stay free on it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor, stat, statfs, statvfs};

use super::error::{BackupError, BackupErrorKind};
use crate::kit::files;

/// The file in the data folder that names the medium of the last backups.
const RECORD: &str = "backup-medium";

const ASIDE: &str = ".backup-medium.tmp";

/// Room that backups leave to the light on its own medium: the database grows to several times its content, and one show may
/// have 8 MiB. On a small card, half of it.
const RESERVE: u64 = 128 << 20;

/// The same for a state that is kept before it is replaced: it need only leave room for what replaces it. DESIGN.md: a
/// generation of the journal has 1 MiB, its spare as much.
const SAFETY_RESERVE: u64 = 4 << 20;

/// Where local backups go.
pub(super) struct Medium {
    root: PathBuf,
    data_dir: PathBuf,
    /// Whether the settings name the folder: then it should be on another medium.
    named: bool,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MediumCheck {
    /// It is the data folder's own, and should not be.
    pub(super) same: bool,
    /// It is not that of the last backup.
    pub(super) changed: bool,
}

impl Medium {
    pub(super) fn new(root: PathBuf, data_dir: PathBuf, named: bool) -> Self {
        Self { root, data_dir, named }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is anything to check.
    pub(super) fn is_named(&self) -> bool {
        self.named
    }

    /// Checks it now.
    pub(super) fn look(&self) -> io::Result<MediumCheck> {
        if !self.named {
            return Ok(MediumCheck::default());
        }
        let here = nearest(&self.root);
        let changed = self.last().is_some_and(|last| identity(here).is_ok_and(|now| now != last));
        Ok(MediumCheck { same: disk(here)? == disk(&self.data_dir)?, changed })
    }

    /// Records that a backup was made there. The first one on another medium makes that the known one.
    pub(super) fn used(&self) {
        if self.last().is_none() && self.look().is_ok_and(|look| !look.same) {
            self.accept();
        }
    }

    /// Makes the present medium the known one.
    pub(super) fn accept(&self) {
        if !self.named {
            return;
        }
        let (file, aside) = (self.data_dir.join(RECORD), self.data_dir.join(ASIDE));
        let noted = identity(nearest(&self.root))
            .and_then(|now| files::replace(&file, &aside, 0o600, |mut file| file.write_all(now.as_bytes())));
        if let Err(error) = noted {
            tracing::warn!(%error, "backup_medium_not_noted"); // the next backup reports it again
        }
    }

    /// Makes sure that this many bytes leave the light its room; `safety` versions have to leave less.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn room_for(&self, bytes: u64, safety: bool) -> Result<(), BackupError> {
        let here = nearest(&self.root);
        let (Ok(there), Ok(data), Ok(space)) = (stat(here), stat(&self.data_dir), statvfs(here)) else { return Ok(()) };
        let most = if safety { SAFETY_RESERVE } else { RESERVE };
        let size = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        let (free, reserve) = (size(space.f_bavail), most.min(size(space.f_blocks) / 2));
        if there.st_dev != data.st_dev || free >= bytes.saturating_add(reserve) {
            return Ok(());
        }
        let message = format!(
            "the backup takes {} KiB, {} KiB are free, and {} KiB of them are kept for the light, which is on the same \
             medium; delete backups (with backup.keep_last the oldest make room), or name a folder on another medium \
             in backup.local_path",
            bytes >> 10,
            free >> 10,
            reserve >> 10
        );
        Err(BackupError::new(BackupErrorKind::Full, message))
    }

    /// The medium of the last backups.
    fn last(&self) -> Option<String> {
        fs::read_to_string(self.data_dir.join(RECORD)).ok().filter(|last| !last.is_empty())
    }
}

/// The folder itself, or the nearest one above it that is there: that is where it would be made.
fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."))
}

/// Tells file systems apart, even after a restart: by their UUID if udev knows it, else by what the file system itself
/// gives. Device numbers do not suffice: every stick is the first one.
fn identity(path: &Path) -> io::Result<String> {
    let (dev, space) = (stat(path)?.st_dev, statvfs(path)?);
    let names = fs::read_dir("/dev/disk/by-uuid").into_iter().flatten().flatten();
    let uuid = names
        .filter(|name| stat(name.path()).is_ok_and(|device| device.st_rdev == dev))
        .find_map(|name| name.file_name().into_string().ok());
    Ok(match uuid {
        Some(uuid) => format!("uuid {uuid}"),
        None if space.f_fsid != 0 => format!("file system {:x}", space.f_fsid),
        // a share gets new numbers at each mount; its kind still tells it from the card below
        None => format!("kind {:x}", statfs(path)?.f_type),
    })
}

/// The disk, which may have several partitions; the file system if there is no disk.
fn disk(path: &Path) -> io::Result<PathBuf> {
    let dev = stat(path)?.st_dev;
    let number = format!("/sys/dev/block/{}:{}", major(dev), minor(dev));
    let Ok(device) = fs::canonicalize(&number) else { return Ok(number.into()) };
    let partition = device.join("partition").exists();
    Ok(device.parent().filter(|_| partition).map_or(device.clone(), Path::to_path_buf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_beside_the_data_is_on_the_same_medium_and_one_on_another_file_system_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let beside = Medium::new(dir.path().join("not/there/yet"), dir.path().to_owned(), true);
        assert_eq!(beside.look().unwrap(), MediumCheck { same: true, changed: false });
        beside.used();
        assert_eq!(beside.last(), None, "the card itself is nothing to remember");
        let default = Medium::new(dir.path().join("backups"), dir.path().to_owned(), false);
        assert_eq!(default.look().unwrap(), MediumCheck::default());

        let away = Medium::new("/proc".into(), dir.path().to_owned(), true);
        assert_eq!(away.look().unwrap(), MediumCheck::default());
        away.used();
        assert_eq!(away.look().unwrap(), MediumCheck::default());
        let gone = beside;
        assert_eq!(gone.look().unwrap(), MediumCheck { same: true, changed: true });
        gone.used();
        assert!(gone.look().unwrap().changed, "a backup alone does not make it the right one");
        gone.accept();
        assert_eq!(gone.look().unwrap(), MediumCheck { same: true, changed: false });
    }
}
