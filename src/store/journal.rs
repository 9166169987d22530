//! Generations of the journal as files: `journal-<number>`, each of a fixed size, filled with zeros once and then reused.
//!
//! The next generation writes into the file of one that is no longer needed, so a sync allocates nothing and the file
//! system has nothing of its own to write. A file shorter than its size was cut by somebody else, never by a kill or power
//! cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::page::{self, BODY, PAGE};
use super::record::{self, Record};
use crate::kit::files::sync_names;

/// Size of a generation, and of each step by which it grows; also when a checkpoint is due. DESIGN.md: 1 MiB.
pub(super) const SIZE: u64 = 1 << 20;

const PREFIX: &str = "journal-";

/// A file that waits for its next generation, named after its last one: no later generation has a lower number.
const SPARE: &str = "spare-";

/// The generation that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) file: Arc<File>,
    pub(super) generation: u64,
    /// Where its head ends.
    head: u64,
    /// The page being filled, and its content.
    page: u32,
    tail: Vec<u8>,
    size: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Makes the file of a generation with `first` as its first record, on the medium when this returns.
    pub(super) fn create(dir: &Path, generation: u64, first: Option<&Record<'_>>) -> io::Result<Self> {
        let (unfinished, file) = match spare(dir, generation) {
            Some(spare) => spare,
            None => clear(dir)?,
        };
        let mut journal = Self::on(file, generation);
        if let Some(first) = first {
            journal.append(false, [*first])?;
            journal.file.sync_all()?;
        }
        fs::rename(&unfinished, path(dir, generation))?;
        sync_names(dir)?;
        Ok(journal)
    }

    /// Uses a file of `SIZE` again.
    pub(super) fn on(file: File, generation: u64) -> Self {
        let file = Arc::new(file);
        Self { file, generation, head: 0, page: 0, tail: Vec::new(), size: SIZE, buffer: Vec::new() }
    }

    /// Writes records with one `write(2)`, on a page of their own if asked; gives the bytes written.
    pub(super) fn append<'a>(
        &mut self,
        fresh_page: bool,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> io::Result<u64> {
        // a page is written as a whole: its earlier content is never read back
        let (first, mut content) = match fresh_page && !self.tail.is_empty() {
            true => (self.page + 1, Vec::new()),
            false => (self.page, self.tail.clone()),
        };
        let before = content.len();
        for record in records {
            if !record::frame(&mut content, self.generation, &record) {
                return Err(io::Error::other("a batch of more than 4 GiB"));
            }
        }
        self.buffer.clear();
        page::put(&mut self.buffer, self.generation, first, &content);
        let start = u64::from(first) * PAGE as u64;
        let end = start + self.buffer.len() as u64;
        if end > self.size {
            self.size = end.next_multiple_of(SIZE);
            self.file.set_len(self.size)?;
        }
        self.file.write_all_at(&self.buffer, start)?;
        let full = content.len() / BODY;
        let is_head = self.page == 0 && self.tail.is_empty();
        self.page =
            u32::try_from(full).ok().and_then(|full| first.checked_add(full)).ok_or(io::ErrorKind::FileTooLarge)?;
        self.tail.clear();
        self.tail.extend(content.get(full * BODY..).unwrap_or_default());
        if is_head {
            self.head = self.offset();
        }
        // a burst or a full head must not hold its memory for ever
        self.buffer.shrink_to(64 << 10);
        Ok((content.len() - before) as u64)
    }

    fn offset(&self) -> u64 {
        u64::from(self.page) * PAGE as u64 + self.tail.len() as u64
    }

    /// Bytes of the file in use, without its head: a large head must not ask for the next generation.
    pub(super) fn used(&self) -> u64 {
        self.offset().saturating_sub(self.head)
    }
}

/// The spare file, if nothing in it could be mistaken for the next generation's content.
fn spare(dir: &Path, generation: u64) -> Option<(PathBuf, File)> {
    let path = spare_path(dir, numbered(dir, SPARE).pop()?);
    let usable = fs::read(&path).is_ok_and(|bytes| bytes.len() as u64 == SIZE && page::are_before(&bytes, generation));
    let file = OpenOptions::new().read(true).write(true).open(&path).ok().filter(|_| usable);
    if file.is_none() {
        let _ = fs::remove_file(&path); // damaged; what stays is checked again
    }
    Some((path, file?))
}

/// A file of zeros that are really written: a sync then only overwrites.
fn clear(dir: &Path) -> io::Result<(PathBuf, File)> {
    let path = dir.join("journal.new");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let mut pages = 0..SIZE / PAGE as u64;
    let cleared = pages.try_for_each(|page| file.write_all_at(&[0; PAGE], page * PAGE as u64));
    if let Err(error) = cleared.and_then(|()| file.sync_all()) {
        let _ = fs::remove_file(&path); // it holds space that is needed
        return Err(error);
    }
    Ok((path, file))
}

/// Makes the spare file while there is space, so that the next generation needs none.
///
/// # Errors
/// It cannot be made.
pub(super) fn stock(dir: &Path) -> io::Result<()> {
    if !numbered(dir, SPARE).is_empty() {
        return Ok(());
    }
    let (path, _) = clear(dir)?;
    fs::rename(path, spare_path(dir, newest(dir)))
}

/// The path of a generation.
pub(super) fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{generation:010}"))
}

/// The generations of a folder, oldest first.
pub(super) fn list(dir: &Path) -> Vec<u64> {
    numbered(dir, PREFIX)
}

/// The highest number of any generation here; 0 before the first.
pub(super) fn newest(dir: &Path) -> u64 {
    list(dir).into_iter().chain(numbered(dir, SPARE)).max().unwrap_or(0)
}

fn numbered(dir: &Path, prefix: &str) -> Vec<u64> {
    let names =
        fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u64> = names.filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Removes the generations below `first` as far as possible; the next start removes the rest.
pub(super) fn put_away_before(dir: &Path, first: u64) {
    // the newest one is kept as the spare
    let old: Vec<u64> = list(dir).into_iter().filter(|generation| *generation < first).collect();
    for generation in old.into_iter().rev() {
        put_away(dir, generation);
    }
}

/// Removes one generation; its file becomes the spare if there is none yet.
pub(super) fn put_away(dir: &Path, generation: u64) {
    let path = path(dir, generation);
    let kept = numbered(dir, SPARE).is_empty() && keep(&path, &spare_path(dir, generation)).is_ok();
    if !kept && let Err(error) = fs::remove_file(&path) {
        tracing::warn!(generation, %error, "deleting an old journal");
    }
}

fn keep(old: &Path, spare: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(old)?;
    // what a burst added goes; only files that are really cleared count
    match file.metadata()?.len() {
        length if length < SIZE => return Err(io::ErrorKind::UnexpectedEof.into()),
        SIZE => {}
        _ => file.set_len(SIZE)?,
    }
    fs::rename(old, spare)
}

fn spare_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{SPARE}{generation:010}"))
}
