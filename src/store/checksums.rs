//! Checksums of the database's files, written at a clean stop, so that any damage done while dmxd did not run is noticed.
//! sled itself notices only what it reads again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use super::folder;
use crate::kit::backoff::Backoff;
use crate::kit::files::{self, SHARED, sync_names};

/// The name from when they were called a seal.
const NAME: &str = "seal";

/// What comparing them showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// There are none, or they fit.
    Same,
    /// The database has changed.
    Changed,
}

/// Writes those of the database of `dir`, which must be dropped already: wrong checksums would look like
/// damage, missing ones do not.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    wait_for_sled(&dir.join("db/db"))?;
    // what sled wrote while it was dropped is not on the medium yet, and must be there before they are
    folder::sync_all(&dir.join("db"))?;
    let sums = sums(&dir.join("db"))?;
    files::replace(&dir.join(NAME), &dir.join("seal.new"), SHARED, |mut file| file.write_all(&sums)).map(drop)
}

/// Compares and removes them: from now on the database changes, and a kill at any moment must not look like damage.
pub(super) fn compare(dir: &Path) -> io::Result<Compared> {
    let written = match fs::read(dir.join(NAME)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Compared::Same);
        }
        other => other.unwrap_or_default(), // unreadable: as good as changed
    };
    let same = sums(&dir.join("db")).is_ok_and(|now| now == written);
    fs::remove_file(dir.join(NAME))?;
    sync_names(dir)?;
    Ok(if same { Compared::Same } else { Compared::Changed })
}

/// A dropped database may write until its lock is free.
fn wait_for_sled(file: &Path) -> io::Result<()> {
    let file = File::open(file)?;
    let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(100));
    for _ in 0..20 {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()), // released when `file` is closed
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(backoff.pause()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Path, length and checksum of every file, a line each, in order.
fn sums(dir: &Path) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            lines.extend(String::from_utf8(sums(&path)?).map_err(io::Error::other)?.lines().map(str::to_owned));
            continue;
        }
        let (mut file, mut crc, mut piece, mut len) =
            (File::open(&path)?, crc32fast::Hasher::new(), vec![0; 64 << 10], 0);
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            len += read;
            crc.update(piece.get(..read).unwrap_or_default());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        lines.push(format!("{name} {len} {:08x}", crc.finalize()));
    }
    lines.sort();
    Ok(lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes())
}
