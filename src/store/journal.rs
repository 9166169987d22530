//! Generations of the journal as files: `journal-<number>`, each of a fixed size and full of zeros at first.
//!
//! A file shorter than its size was cut by somebody else, never by a kill or a power cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder;
use super::record::{self, PAGE, Record};

/// Size of a generation and of each step it grows by; also when a checkpoint is due. DESIGN.md: 1 MiB.
pub(super) const SIZE: u64 = 1 << 20;

const PREFIX: &str = "journal-";

/// The generation that is being written. The file's holes are its zeros.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) file: Arc<File>,
    pub(super) generation: u64,
    /// Where its head ends.
    head: u64,
    offset: u64,
    size: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Makes the file of a generation with `first` as its first record, on the medium when this returns.
    pub(super) fn create(dir: &Path, generation: u64, first: Option<&Record<'_>>) -> io::Result<Self> {
        let unfinished = dir.join("journal.new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        file.set_len(SIZE)?;
        let mut journal = Self { file: Arc::new(file), generation, head: 0, offset: 0, size: SIZE, buffer: Vec::new() };
        if let Some(first) = first {
            journal.append(false, [*first])?;
        }
        journal.file.sync_all()?;
        fs::rename(&unfinished, path(dir, generation))?;
        folder::sync(dir)?;
        Ok(journal)
    }

    /// Over a file of a test.
    #[cfg(test)]
    pub(super) fn on(file: File, generation: u64) -> Self {
        Self { file: Arc::new(file), generation, head: 0, offset: 0, size: SIZE, buffer: Vec::new() }
    }

    /// Writes records with one `write(2)`, on a page of their own if asked; gives the bytes written.
    pub(super) fn append<'a>(
        &mut self,
        fresh_page: bool,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> io::Result<u64> {
        self.buffer.clear();
        for record in records {
            if !record::frame(&mut self.buffer, self.generation, &record) {
                return Err(io::Error::other("a batch of more than 4 GiB"));
            }
        }
        let written = self.buffer.len() as u64;
        let start = if fresh_page { self.offset.next_multiple_of(PAGE as u64) } else { self.offset };
        if start + written > self.size {
            self.size = (start + written).next_multiple_of(SIZE);
            self.file.set_len(self.size)?;
        }
        self.file.write_all_at(&self.buffer, start)?;
        if self.offset == 0 {
            self.head = written;
        }
        self.offset = start + written;
        // A burst or a full head must not hold its memory for ever.
        self.buffer.shrink_to(64 << 10);
        Ok(written)
    }

    /// Bytes of the file that are used, its head not counted: a head above the size must not ask for the next one.
    pub(super) fn used(&self) -> u64 {
        self.offset.saturating_sub(self.head)
    }
}

/// Where a generation is.
pub(super) fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{generation:010}"))
}

/// The generations of a folder, oldest first.
pub(super) fn list(dir: &Path) -> Vec<u64> {
    let names =
        fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut generations: Vec<u64> = names.filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok()).collect();
    generations.sort_unstable();
    generations
}

/// Deletes the generations below `first`, as far as possible: what stays is deleted at the next start.
pub(super) fn delete_before(dir: &Path, first: u64) {
    for generation in list(dir).into_iter().filter(|generation| *generation < first) {
        if let Err(error) = fs::remove_file(path(dir, generation)) {
            tracing::warn!(generation, %error, "deleting an old journal");
        }
    }
}
