//! Generations of the journal as files: `journal-<number>`, each of a fixed size, filled with zeros once and then reused.
//!
//! The next generation writes into the file of one that is no longer needed, so a sync allocates nothing and the file
//! system has nothing of its own to write. A file shorter than its size was cut by somebody else, never by a kill or power
//! cut.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

use super::page::{self, BODY, PAGE};
use super::record::{self, Record};
use crate::kit::files::sync_names;

/// Size of a generation, and of each step by which it grows; also when a checkpoint is due. DESIGN.md: 1 MiB.
pub(super) const SIZE: u64 = 1 << 20;

/// The most that is kept of a file for the next generation: half an hour of messages at a page a second.
pub(super) const MOST: u64 = 8 * SIZE;

/// Content of a generation of messages with which a checkpoint is due: a start has to read it.
const MOST_CONTENT: u64 = 4 * SIZE;

/// Room for what is written while a generation ends.
const MARGIN: u64 = 16 * PAGE as u64;

/// What `st_blocks` counts.
const BLOCK: u64 = 512;

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
    /// Of the file, at first and now.
    room: u64,
    size: u64,
    /// Bytes of records behind the head.
    content: u64,
    buffer: Vec<u8>,
}

/// Whether a generation should end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fullness {
    #[default]
    Not,
    Full,
    /// A larger file would have room for more.
    Outgrown,
}

impl Journal {
    /// Makes the file of a generation with `first` as its first record, on the medium when this returns. This run made the
    /// generations from `ours` on.
    pub(super) fn create(dir: &Path, generation: u64, ours: u64, first: Option<&Record<'_>>) -> io::Result<Self> {
        let (unfinished, file) = match spare(dir, generation, ours) {
            Some(spare) => spare,
            None => clear(dir)?,
        };
        let size = file.metadata()?.len();
        let mut journal = Self { room: size, size, ..Self::on(file, generation) };
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
        Self {
            file,
            generation,
            head: 0,
            page: 0,
            tail: Vec::new(),
            room: SIZE,
            size: SIZE,
            content: 0,
            buffer: Vec::new(),
        }
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
        // a burst or a full head must not hold its memory for ever
        self.buffer.shrink_to(64 << 10);
        let added = (content.len() - before) as u64;
        match is_head {
            true => self.head = self.offset(),
            false => self.content += added,
        }
        Ok(added)
    }

    fn offset(&self) -> u64 {
        u64::from(self.page) * PAGE as u64 + self.tail.len() as u64
    }

    /// Bytes of the file in use, without its head: a large head must not ask for the next generation.
    pub(super) fn used(&self) -> u64 {
        self.offset().saturating_sub(self.head)
    }

    /// How full it is, for a generation that has only messages.
    pub(super) fn fullness(&self) -> Fullness {
        match self.used() + MARGIN >= self.room {
            true if self.room < MOST => Fullness::Outgrown,
            true => Fullness::Full,
            false if self.content >= MOST_CONTENT => Fullness::Full,
            false => Fullness::Not,
        }
    }
}

/// The spare file, if nothing in it could be mistaken for the next generation's content.
fn spare(dir: &Path, generation: u64, ours: u64) -> Option<(PathBuf, File)> {
    let last = numbered(dir, SPARE).pop()?;
    let path = spare_path(dir, last);
    let file = OpenOptions::new().read(true).write(true).open(&path).ok();
    let file = file.filter(|file| is_usable(file, generation, last >= ours).unwrap_or(false));
    if file.is_none() {
        let _ = fs::remove_file(&path); // damaged; what stays is checked again
    }
    Some((path, file?))
}

/// Reads it a piece at a time: it is larger than all else that a generation needs. What this run has put away it knows.
fn is_usable(file: &File, generation: u64, is_ours: bool) -> io::Result<bool> {
    let size = file.metadata()?.len();
    if !(SIZE..=MOST).contains(&size) || !size.is_multiple_of(SIZE) {
        return Ok(false);
    }
    let mut piece = vec![0; 16 * PAGE];
    for start in (0..if is_ours { 0 } else { size }).step_by(piece.len()) {
        file.read_exact_at(&mut piece, start)?;
        if !page::are_before(&piece, (start / PAGE as u64) as usize, generation) {
            return Ok(false);
        }
    }
    // What was read lies in the kernel's memory in pieces of 64 KiB and more, which writing a page would dirty as a whole.
    let _ = fadvise(file, 0, None, Advice::DontNeed); // nothing depends on it
    Ok(true)
}

/// A file of zeros that are really written: a sync then only overwrites.
fn clear(dir: &Path) -> io::Result<(PathBuf, File)> {
    let path = dir.join("journal.new");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    if let Err(error) = zero(&file, 0..SIZE) {
        let _ = fs::remove_file(&path); // it holds space that is needed
        return Err(error);
    }
    Ok((path, file))
}

fn zero(file: &File, bytes: Range<u64>) -> io::Result<()> {
    bytes.step_by(PAGE).try_for_each(|start| file.write_all_at(&[0; PAGE], start))?;
    file.sync_all()
}

/// Makes the spare file as large as it may be. One that a kill cut short is made anew.
///
/// # Errors
/// There is no space for that.
pub(super) fn grow(dir: &Path) -> io::Result<()> {
    let Some(last) = numbered(dir, SPARE).pop() else { return Ok(()) };
    let file = OpenOptions::new().write(true).open(spare_path(dir, last))?;
    let size = file.metadata()?.len();
    zero(&file, size..MOST).inspect_err(|_| _ = file.set_len(size))
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
    let is = file.metadata()?;
    // what a burst added goes; only files that are really cleared count
    match is.len() {
        length if length < SIZE => return Err(io::ErrorKind::UnexpectedEof.into()),
        length if length <= MOST && is.blocks() * BLOCK >= length => {}
        _ => file.set_len(SIZE)?,
    }
    fs::rename(old, spare)
}

fn spare_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{SPARE}{generation:010}"))
}

#[cfg(test)]
mod tests {
    use super::super::record::Kind;
    use super::*;

    fn append(journal: &mut Journal, kind: Kind, bytes: u64) {
        let payload = vec![1; bytes as usize];
        journal.append(false, [Record { kind, settled: false, number: 1, payload: &payload }]).unwrap();
    }

    #[test]
    fn a_head_of_any_size_does_not_make_a_generation_full() {
        for (room, full) in [(SIZE, Fullness::Outgrown), (MOST, Fullness::Full)] {
            let mut journal = Journal { room, ..Journal::on(tempfile::tempfile().unwrap(), 1) };
            append(&mut journal, Kind::Head, MOST + SIZE);
            assert_eq!((journal.fullness(), journal.used()), (Fullness::Not, 0));
            append(&mut journal, Kind::Batch, SIZE / 2);
            assert_eq!(journal.fullness(), Fullness::Not);
            append(&mut journal, Kind::Batch, MOST_CONTENT.min(room));
            assert_eq!(journal.fullness(), full);
        }
    }

    #[test]
    fn the_spare_file_is_read_unless_this_run_put_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let create = |ours, length: u64| {
            // a later generation has been in it
            let mut bytes = Vec::new();
            page::put(&mut bytes, 9, 0, b"x");
            bytes.resize(length as usize, 0);
            fs::write(spare_path(dir.path(), 5), bytes).unwrap();
            let journal = Journal::create(dir.path(), 6, ours, None).unwrap();
            let mut first = [0; PAGE];
            journal.file.read_exact_at(&mut first, 0).unwrap();
            first != [0; PAGE]
        };
        assert!(!create(6, SIZE), "it is made anew");
        assert!(create(5, SIZE));
        assert!(!create(5, SIZE - 1));
    }
}
