//! Files that are whole or not there, also after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Mode of a file that anybody may read whom the process's mask lets.
pub const SHARED: u32 = 0o666;

/// Replaces a file: written as `aside`, synced, renamed. Whatever happens, the old one or the new one is there; the new one
/// is on the medium when this returns.
///
/// # Errors
/// What `write` said, or the system; nothing is left aside, as far as that is possible.
pub fn replace<E: From<io::Error>>(
    path: &Path,
    aside: &Path,
    mode: u32,
    write: impl FnOnce(&File) -> Result<(), E>,
) -> Result<File, E> {
    let _ = fs::remove_file(aside); // left by a power cut; a new one must be made, lest a link be followed
    let replace = || {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(aside)?;
        write(&file)?;
        file.sync_all()?;
        fs::rename(aside, path)?;
        sync_names(path.parent().unwrap_or(Path::new(".")))?;
        Ok(file)
    };
    replace().inspect_err(|_| {
        let _ = fs::remove_file(aside); // it holds space that is needed; the next one removes it if this did not
    })
}

/// Makes the names in a folder survive a power cut.
///
/// # Errors
/// What the system said.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
