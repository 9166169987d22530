//! The files that the import reads and writes, on the boot partition and in the system.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};

use crate::kit::files;

/// Files of a folder with one of these names, in upper or lower case. An unreadable folder has none.
pub(super) fn named(folder: &Path, names: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<_> = found.filter(|name| names.iter().any(|known| known.eq_ignore_ascii_case(name))).collect();
    found.sort();
    found
}

/// Whether a folder is a mount point.
pub(super) fn is_mounted(folder: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    let parent = folder.join("..");
    matches!((device(folder), device(&parent)), (Ok(own), Ok(parents)) if own != parents)
}

/// Makes a folder that only its owner can read.
pub(super) fn folder_for_root(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file, and its folder if that is missing.
pub(super) fn replace_with_folder(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    replace(path, text, mode)
}

/// Writes a file unless it has this content already. It belongs to the group of its folder.
pub(super) fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let write = |mut file: &File| {
        // FAT has neither modes nor groups, and reports that
        let _ = std::os::unix::fs::fchown(file, None, fs::metadata(folder).map(|folder| folder.gid()).ok());
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
        file.write_all(text.as_bytes())
    };
    files::replace(path, Path::new(&aside), mode, write).map(drop)
}

/// The same on the boot partition, which is mounted read-only: it is writable just for as long as this takes.
pub(super) fn replace_on_boot(boot: &Path, name: &str, text: &str) -> io::Result<()> {
    let write = || replace(&boot.join(name), text, 0o644);
    match write() {
        Err(error) if error.raw_os_error() == Some(Errno::ROFS.raw_os_error()) => {
            let flags = MountFlags::NOATIME;
            mount_remount(boot, flags, "")?;
            let written = write();
            mount_remount(boot, flags | MountFlags::RDONLY, "")?;
            written
        }
        outcome => outcome,
    }
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
