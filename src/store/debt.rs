//! The debt: how many changes are in memory only, in bytes reserved for it on the card. Overwriting them needs no space, so it
//! works on a full card too.
//!
//! It is for the start after a kill. After a power cut `seq` jumps in any case, so only the file itself is synced, and no
//! note in it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::folder;
use super::page::PAGE;
use super::wire::{u32_at, u64_at};
use crate::kit::files::{self, SHARED};

const NAME: &str = "debt";

/// mark · changes (u64) · crc32 of both.
const MARK: [u8; 8] = *b"dmxdebt\x01";
const CRC_AT: usize = 16;

/// The reserved bytes.
#[derive(Debug)]
pub(super) struct Debt {
    file: File,
    /// How often it was noted.
    pub(super) notes: u64,
    /// Set by a test to make the card slow.
    #[cfg(test)]
    pub(super) takes: std::time::Duration,
}

impl Debt {
    /// Opens the bytes, or makes them.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(NAME);
        let found = OpenOptions::new().read(true).write(true).open(&path);
        let file = match found.and_then(|file| Ok((file.metadata()?.len() == PAGE as u64).then_some(file))) {
            Ok(Some(file)) => file,
            Ok(None) => make(dir)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(dir)?,
            Err(error) => return Err(error),
        };
        Ok(Self {
            file,
            notes: 0,
            #[cfg(test)]
            takes: std::time::Duration::ZERO,
        })
    }

    /// Whether they are still in place, neither deleted nor replaced.
    pub(super) fn is_in(&self, dir: &Path) -> bool {
        folder::is_at(&self.file, &dir.join(NAME))
    }

    /// Notes how many changes a kill would take back.
    pub(super) fn note(&mut self, changes: u64) -> io::Result<()> {
        self.notes += 1;
        #[cfg(test)]
        std::thread::sleep(self.takes);
        let mut page = [MARK, changes.to_le_bytes()].concat();
        page.extend(crc32fast::hash(&page).to_le_bytes());
        page.resize(PAGE, 0);
        self.file.write_all_at(&page, 0)
    }

    /// Notes that everything is on the disk.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.file.write_all_at(&[0; PAGE], 0)
    }
}

fn make(dir: &Path) -> io::Result<File> {
    files::replace(&dir.join(NAME), &dir.join("debt.new"), SHARED, |file| file.write_all_at(&[0; PAGE], 0))
}

/// How many changes the last run had in memory only when it ended; `None` for none.
pub(super) fn read(dir: &Path) -> Option<u64> {
    let page = fs::read(dir.join(NAME)).ok()?;
    let noted = page.get(..CRC_AT)?;
    let right = noted.starts_with(&MARK) && u32_at(&page, CRC_AT)? == crc32fast::hash(noted);
    right.then(|| u64_at(noted, 8)).flatten()
}
