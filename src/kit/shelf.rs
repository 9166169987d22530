//! Where secrets are kept as files: in a folder of their own in the data folder, for its owner only.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::Path;

use super::files;

const SECRET: u32 = 0o600;

/// Replaces a file, and makes its folder. Both belong to whom the data folder belongs: `dmxd setup` runs as root.
///
/// # Errors
/// As the system reports.
pub fn keep(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let owner = folder.parent().and_then(|data| fs::metadata(data).ok());
    let hand_over = |file: &File| {
        if let Some(owner) = &owner {
            let _ = fchown(file, Some(owner.uid()), Some(owner.gid())); // only root can, and only root has to
        }
    };
    hand_over(&File::open(folder)?);
    let whole = |file: &File| {
        hand_over(file);
        write(file)
    };
    files::replace(path, &path.with_extension("new"), SECRET, whole).map(drop)
}
