//! Files that are complete or absent, even after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Mode of a file that anybody may read, subject to the process's mask.
pub const SHARED: u32 = 0o666;

/// Replaces a file: written as `aside`, synced, renamed. Whatever happens, the old one or the new one is there; the new one
/// is on the medium when this returns.
///
/// # Errors
/// The error of `write`, or the system's; nothing is left aside, as far as possible.
pub fn replace<E: From<io::Error>>(
    path: &Path,
    aside: &Path,
    mode: u32,
    write: impl FnOnce(&File) -> Result<(), E>,
) -> Result<File, E> {
    let _ = fs::remove_file(aside); // left by a power cut; the file must be a new one, lest a link be followed
    let replace = || {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(aside)?;
        write(&file)?;
        file.sync_all()?;
        fs::rename(aside, path)?;
        sync_names(path.parent().unwrap_or(Path::new(".")))?;
        Ok(file)
    };
    replace().inspect_err(|_| {
        let _ = fs::remove_file(aside); // it holds space that is needed; if this did not remove it, the next one does
    })
}

/// Makes the names in a folder survive a power cut.
///
/// # Errors
/// As the system reports.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
