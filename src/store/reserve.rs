//! Space on the card. sled does not survive a write that finds none (it counts as damaged afterwards), so it is never touched
//! without room, and a file of a few megabytes is kept to make the room that it needs to be opened.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::kit::files::{self, SHARED};

const NAME: &str = "reserve";

/// Opening a database recovers its log: some segments of 512 KiB (sled 0.34).
const OPEN: u64 = 2 << 20;

/// Twice that, so that giving it up always helps.
const SIZE: u64 = 4 << 20;

/// What a checkpoint needs beside its entries: segments begun, and what others write meanwhile.
const CHECKPOINT: u64 = 2 << 20;

/// sled writes whole nodes for single entries, and frees old ones later.
const AMPLIFIED: u64 = 2;

/// Makes sure that there is room to open a database.
///
/// # Errors
/// The card is full.
pub(super) fn room_to_open(dir: &Path) -> io::Result<()> {
    if free(dir) < OPEN {
        spend(dir);
    }
    room(dir, OPEN)
}

/// Gives the reserve up; true if there was one.
pub(super) fn spend(dir: &Path) -> bool {
    let spent = fs::remove_file(dir.join(NAME)).is_ok();
    if spent {
        tracing::warn!(data_dir = %dir.display(), "reserve_spent: the card is full");
    }
    spent
}

/// Makes sure that there is room for this many bytes of entries in the database.
///
/// # Errors
/// The card is too full for that; nothing was touched.
pub(super) fn room_for(dir: &Path, bytes: u64) -> io::Result<()> {
    room(dir, CHECKPOINT + bytes.saturating_mul(AMPLIFIED))
}

/// Makes the reserve if there is space enough for it; true if it is there.
///
/// # Errors
/// It cannot be made although there is space.
pub(super) fn keep(dir: &Path) -> io::Result<bool> {
    let path = dir.join(NAME);
    if fs::metadata(&path).is_ok_and(|reserve| reserve.len() == SIZE) {
        return Ok(true);
    }
    if free(dir) < 3 * SIZE {
        return Ok(false);
    }
    let fill = |file: &File| io::Result::Ok(fallocate(file, FallocateFlags::empty(), 0, SIZE)?);
    files::replace(&path, &dir.join("reserve.new"), SHARED, fill).map(|_| true)
}

fn room(dir: &Path, bytes: u64) -> io::Result<()> {
    let free = free(dir);
    if free >= bytes {
        return Ok(());
    }
    let message = format!("only {} KiB are free, {} KiB are needed", free >> 10, bytes >> 10);
    Err(io::Error::new(io::ErrorKind::StorageFull, message))
}

/// Bytes that may still be written; the maximum where the system does not tell.
fn free(dir: &Path) -> u64 {
    statvfs(dir).map_or(u64::MAX, |space| space.f_bavail.saturating_mul(space.f_frsize))
}
