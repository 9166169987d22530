//! Files that are complete or absent, even after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Mode of a file that anybody may read, subject to the process's mask.
pub const SHARED: u32 = 0o666;

/// Replaces a file: written as `aside`, synced, renamed. Whatever happens, the old one or the new one is there; the new one
/// is on the medium when this succeeds.
///
/// # Errors
/// The error of `write`, or the system's; nothing is left aside, as far as possible. After the last one, of syncing the
/// folder, the new file is in place, but a power cut may bring back the old one.
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
        path.parent().map_or(Ok(()), sync_names)?;
        Ok(file)
    };
    replace().inspect_err(|_| {
        let _ = fs::remove_file(aside); // it holds space that is needed; if this did not remove it, the next one does
    })
}

/// Makes the names in a folder survive a power cut. The folder of a bare name is empty: it is the working directory.
///
/// # Errors
/// As the system reports.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    let here = folder.as_os_str().is_empty();
    File::open(if here { Path::new(".") } else { folder })?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_is_named_without_a_folder_is_replaced() {
        let name = format!("replaced-{}", std::process::id());
        let aside = format!("{name}.aside");
        let (path, aside) = (Path::new(&name), Path::new(&aside));
        let replaced = replace(path, aside, SHARED, |mut file| file.write_all(b"new"));
        let read = fs::read(path);
        fs::remove_file(path).unwrap();
        assert_eq!((replaced.map(drop).map_err(|error| error.to_string()), read.unwrap()), (Ok(()), b"new".to_vec()));
    }
}
