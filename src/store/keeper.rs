//! The keeper: checkpoints, snapshots, the way back from RAM and the clean end, one at a time. Writer and syncer never wait
//! for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::base::{Base, BaseError, Mark, Sled};
use super::core::{Core, Ending, Mode, Move, Shared};
use super::debt::Debt;
use super::journal::{self, Fullness, Journal};
use super::overlay::Overlay;
use super::{checksums, database, folder, reserve, snapshot};
use crate::kit::backoff::Backoff;

/// DESIGN.md: a checkpoint every 60 s while dirty.
const PERIOD: Duration = Duration::from_secs(60);

/// The same while nothing but waiting messages has changed: most of them are gone before, and never reach the database.
const PERIOD_OF_MESSAGES: Duration = Duration::from_secs(30 * 60);

/// DESIGN.md: a snapshot daily. Counted on a clock that only goes forward.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The same for an appliance that never runs for a whole day: a day's worth of checkpoints.
const DAY_OF_GENERATIONS: u64 = 24 * 60;

/// Problem while the journal works and the database does not.
const NOT_WRITTEN: &str = "DATABASE_NOT_WRITTEN";

/// Problem: the data folder or a file of it was deleted or replaced while the store ran.
pub(super) const FOLDER_LOST: &str = "DATA_FOLDER_LOST";

/// Why something could not be done now.
#[derive(Debug, thiserror::Error)]
enum KeeperError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Base(#[from] BaseError),
    #[error("{0}")]
    Store(#[from] super::StoreError),
    #[error("the data folder cannot be used")]
    Folder,
    #[error("another data folder was put in its place; restart dmxd to use that one")]
    Anothers,
    #[error("the journal could not be written")]
    Journal,
}

/// A layer on its way into the database.
struct Pending {
    layer: Arc<Overlay>,
    mark: Mark,
}

/// What the keeper starts with.
pub(super) struct Start {
    pub(super) next_generation: u64,
    /// How far the database had come at the snapshot; `None` without a snapshot.
    pub(super) snapshot: Option<Mark>,
    /// How far it has come now.
    pub(super) database: Mark,
}

pub(super) struct Keeper {
    core: Arc<Core>,
    /// The first one that it makes.
    first_generation: u64,
    next_generation: u64,
    pending: Option<Pending>,
    snapshot: Option<u64>,
    snapshot_at: Instant,
    /// The database is newer than the snapshot.
    changed: bool,
    pause: Backoff,
    not_before: Instant,
    /// `None`: the reserve is there.
    restock_at: Option<Instant>,
    /// When to check next whether the folder is there.
    look_at: Instant,
    /// The last number noted as being in memory only.
    noted: u64,
    /// When it may be noted again.
    note_at: Instant,
    lost: FolderLoss,
    /// The database has to be made from memory, since its files are gone.
    remake: bool,
}

enum Task {
    Stop,
    Close,
    Recover,
    Checkpoint,
    Restock,
    Look,
    Note,
    Forget,
}

/// Whether the folder is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FolderLoss {
    Not,
    /// It is not written again yet.
    Now,
    /// It is written again; the problem stays until then.
    Until(Instant),
}

/// How often to check whether there is space for the reserve again, and whether the folder is there.
const LOOK: Duration = Duration::from_secs(2);

/// How often to note changes in memory only: a sick card takes longer for a note than the next change takes to arrive, and
/// nothing else would be tried.
const NOTE: Duration = Duration::from_millis(100);

/// How long the problem of a lost folder stays.
#[cfg(not(test))]
const TOLD: Duration = Duration::from_secs(60 * 60);
#[cfg(test)]
pub(super) const TOLD: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) fn new(core: Arc<Core>, start: Start) -> Self {
        let now = Instant::now();
        Self {
            core,
            first_generation: start.next_generation,
            next_generation: start.next_generation,
            pending: None,
            snapshot: start.snapshot.map(|mark| mark.first_needed),
            snapshot_at: now,
            changed: start.snapshot != Some(start.database),
            pause: Backoff::new(Duration::from_millis(250), Duration::from_secs(5)),
            not_before: now,
            restock_at: Some(now),
            look_at: now + LOOK,
            noted: 0,
            note_at: now,
            lost: FolderLoss::Not,
            remake: false,
        }
    }

    /// Runs until the store stops or is closed.
    pub(super) fn run(mut self) {
        loop {
            let result = match self.wait() {
                Task::Stop => return,
                Task::Close => return self.close(),
                Task::Recover => self.recover(),
                Task::Checkpoint => self.checkpoint(),
                Task::Restock => {
                    self.restock();
                    continue;
                }
                Task::Look => {
                    self.look();
                    continue;
                }
                Task::Note => {
                    self.noted = self.core.lock().number;
                    self.core.note_debt();
                    self.note_at = Instant::now() + NOTE;
                    continue;
                }
                Task::Forget => {
                    self.core.health.clear(FOLDER_LOST);
                    self.lost = FolderLoss::Not;
                    continue;
                }
            };
            match result {
                Ok(()) => self.pause.reset(),
                Err(error) => {
                    self.core.metrics.errors.inc();
                    tracing::debug!(%error, "storage_retry");
                    self.not_before = Instant::now() + self.pause.pause();
                }
            }
        }
    }

    /// Whether another folder stands in its place, without any file that we hold open: it is left as it is.
    fn is_anothers(&self) -> bool {
        let shared = self.core.lock();
        let (file, generation, base) = (shared.file.clone(), shared.generation, shared.base.clone());
        drop(shared);
        let journal = file.is_some_and(|file| folder::is_at(&file, &journal::path(&self.core.dir, generation)));
        if journal || matches!(&*base, Base::Sled(sled) if sled.is_there()) {
            return false;
        }
        let lock = self.core.lock.lock();
        lock.as_ref().is_some_and(|lock| folder::is_anothers(&self.core.dir, lock))
    }

    /// Ask before making, renaming or deleting a file.
    fn is_ours(&self) -> Result<(), KeeperError> {
        if self.is_anothers() { Err(KeeperError::Anothers) } else { Ok(()) }
    }

    fn restock(&mut self) {
        if self.is_anothers() {
            self.restock_at = Some(Instant::now() + LOOK);
            return;
        }
        let dir = &self.core.dir;
        let again = match reserve::keep(dir)
            .and_then(|kept| if kept { journal::stock(dir).map(|()| true) } else { Ok(false) })
        {
            Ok(true) => None,
            Ok(false) => Some(LOOK),
            // the file system cannot do it, and trying costs writes
            Err(error) => {
                tracing::debug!(%error, "reserve_not_made");
                Some(DAY)
            }
        };
        self.restock_at = again.map(|pause| Instant::now() + pause);
    }

    /// Checks whether our files are still in place; true when they are not. Nothing else shows it: a deleted file can still be
    /// written to.
    fn look(&mut self) -> bool {
        self.look_at = Instant::now() + LOOK;
        let shared = self.core.lock();
        let (file, generation, base) = (shared.file.clone(), shared.generation, shared.base.clone());
        drop(shared);
        let journal = file.is_none_or(|file| folder::is_at(&file, &journal::path(&self.core.dir, generation)));
        self.remake = matches!(&*base, Base::Sled(sled) if !sled.is_there());
        if journal && !self.remake {
            return false;
        }
        let dir = self.core.dir.display();
        let message = if self.is_anothers() {
            format!(
                "another data folder was put in the place of {dir} while dmxd ran; it is left alone and changes are kept in \
                 memory only: restart dmxd to use that one"
            )
        } else {
            format!(
                "{dir} or files in it were deleted while dmxd ran; light, scenes and retained messages are being written anew \
                 from memory: check what else was in that folder"
            )
        };
        self.core.health.raise(FOLDER_LOST, message);
        self.lost = FolderLoss::Now;
        tracing::error!(data_dir = %dir, "data_folder_lost");
        let mut shared = self.core.lock();
        self.core.fall_to_ram(&mut shared, "its files were deleted or replaced");
        self.core.release(shared);
        true
    }

    /// What was lost is written again. That stays on the board for a while; then the next loss is news.
    fn found(&mut self) {
        if self.lost != FolderLoss::Now {
            return;
        }
        let message = format!(
            "{} or files in it were deleted or replaced while dmxd ran; light, scenes and retained messages have been written \
             there again: check what else was in that folder (this is said for an hour)",
            self.core.dir.display()
        );
        self.core.health.raise(FOLDER_LOST, message);
        tracing::warn!(data_dir = %self.core.dir.display(), "data_folder_written_again");
        self.lost = FolderLoss::Until(Instant::now() + TOLD);
    }

    /// Makes a database from memory after its files were deleted.
    fn remake(&mut self) -> Result<(), KeeperError> {
        let shared = self.core.lock();
        let (base, through) = (shared.base.clone(), shared.through);
        drop(shared);
        if let Base::Sled(_) = &*base {
            // its open files can still be read
            let mut content = Overlay::default();
            let read = base.export(|piece| {
                content.absorb(piece);
                Ok(())
            });
            if let Err(error) = read {
                tracing::error!(%error, "reading what was deleted");
            }
            self.core.lock().base = Arc::new(Base::Ram(content));
        }
        drop(base);
        let base = self.core.lock().base.clone();
        let Base::Ram(content) = &*base else { return Ok(()) };
        reserve::room_for(&self.core.dir, content.size())?;
        if self.core.dir.join("db").exists() {
            folder::set_aside(&self.core.dir, "db", "db")?;
        }
        let first_needed = self.next_generation.max(journal::newest(&self.core.dir) + 1);
        Sled::create(&self.core.dir, "db", content, Mark { through, first_needed })?;
        self.remake = false;
        self.snapshot = None;
        self.core.lock().checkpoint_now = true;
        Ok(())
    }

    fn wait(&self) -> Task {
        let mut shared = self.core.lock();
        loop {
            if shared.stop {
                return Task::Stop;
            }
            if shared.closing {
                return Task::Close;
            }
            let unnoted =
                shared.mode == Mode::Ram && !shared.writer_busy && shared.number > self.noted.max(shared.written);
            // the first one at once, so that there is one
            if unnoted && self.noted <= shared.written {
                return Task::Note;
            }
            let note = unnoted.then_some((self.note_at, Task::Note));
            let (due, task) = match shared.mode {
                Mode::Ram => ((!shared.writer_busy).then_some(self.not_before), Task::Recover),
                Mode::Disk => (self.checkpoint_due(&shared), Task::Checkpoint),
            };
            let restock = self.restock_at.map(|due| (due, Task::Restock));
            let look = (shared.mode == Mode::Disk).then_some((self.look_at, Task::Look));
            let forget = match self.lost {
                FolderLoss::Until(due) => Some((due, Task::Forget)),
                FolderLoss::Not | FolderLoss::Now => None,
            };
            let all = [due.map(|due| (due, task)), note, restock, look, forget];
            let next = all.into_iter().flatten().min_by_key(|(due, _)| *due);
            let Some((due, task)) = next else {
                self.core.keeper.wait(&mut shared);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return task;
            }
            self.core.keeper.wait_for(&mut shared, left);
        }
    }

    fn checkpoint_due(&self, shared: &Shared) -> Option<Instant> {
        if self.pending.is_some() || shared.checkpoint_now || shared.is_full() {
            return Some(self.not_before);
        }
        let period = if shared.layers.new.has_only_messages() { PERIOD_OF_MESSAGES } else { PERIOD };
        Some((shared.dirty_since? + period).max(self.not_before))
    }

    /// Puts everything up to now into the database, and removes the journal before it.
    fn checkpoint(&mut self) -> Result<(), KeeperError> {
        let result = self.try_checkpoint();
        match &result {
            Ok(()) => {
                if self.core.health.clear(NOT_WRITTEN) {
                    tracing::info!("database_written_again");
                }
            }
            // a dead disk has raised its own problem
            Err(KeeperError::Journal) => {}
            Err(error) => self.report_not_written(error),
        }
        result
    }

    fn report_not_written(&self, error: &KeeperError) {
        self.core.lock().checkpoint_now = true; // the problem stays no longer than necessary
        let message = format!(
            "the database could not be written ({error}); the journal keeps every change meanwhile and grows: check the \
             card and the free space of {}",
            self.core.dir.display()
        );
        if self.core.health.raise(NOT_WRITTEN, message) {
            tracing::error!(%error, "database_not_written");
        }
    }

    fn try_checkpoint(&mut self) -> Result<(), KeeperError> {
        // before anything is touched
        if self.look() {
            return Err(KeeperError::Journal);
        }
        let waiting = self.pending.as_ref().map_or(0, |pending| pending.layer.size());
        let size = waiting + self.core.lock().layers.new.size();
        reserve::room_for(&self.core.dir, size)?;
        let outgrown = self.core.lock().fullness == Fullness::Outgrown;
        let Pending { layer, mark } = match self.pending.take() {
            Some(pending) => pending,
            None => self.rotate()?,
        };
        let outgrown = outgrown && layer.has_only_messages();
        let done = self.database().and_then(|base| match &*base {
            Base::Sled(sled) => Ok(sled.checkpoint(&layer, mark)?),
            Base::Ram(_) => Err(KeeperError::Folder),
        });
        if let Err(error) = done {
            // sled does not recover from an error: the next try opens it anew
            self.core.lock().base = Arc::new(Base::Ram(Overlay::default()));
            self.pending = Some(Pending { layer, mark });
            return Err(error);
        }
        let mut shared = self.core.lock();
        shared.layers.old.take_if(|old| Arc::ptr_eq(old, &layer));
        shared.through = mark.through;
        drop(shared);
        self.changed = true;
        self.core.metrics.checkpoints.inc();
        journal::put_away_before(&self.core.dir, mark.first_needed);
        if outgrown && !self.core.lock().closing {
            self.grow();
        }
        let days = self.next_generation - self.snapshot.unwrap_or(0) >= DAY_OF_GENERATIONS;
        if self.snapshot.is_none() || days || self.snapshot_at.elapsed() >= DAY {
            self.write_snapshot(mark)?;
        }
        Ok(())
    }

    /// Makes the next generation's file larger while there is space: fewer generations then bring fewer messages to the
    /// database.
    fn grow(&self) {
        let room = reserve::room_for(&self.core.dir, journal::MOST);
        if let Err(error) = room.and_then(|()| journal::grow(&self.core.dir)) {
            tracing::debug!(%error, "spare_not_grown");
        }
    }

    /// Moves the writer to the next generation and waits until that is on the medium.
    fn rotate(&mut self) -> Result<Pending, KeeperError> {
        let (through, first_needed) = self.next_generation(Mode::Disk)?;
        let layer = self.core.lock().layers.old.clone().unwrap_or_default();
        Ok(Pending { layer, mark: Mark { through, first_needed } })
    }

    /// Makes a generation, lets the writer move to it, and waits until its head and everything before it are on the medium.
    fn next_generation(&mut self, from: Mode) -> Result<(u64, u64), KeeperError> {
        self.is_ours()?;
        let generation = self.next_generation.max(journal::newest(&self.core.dir) + 1);
        let journal = Journal::create(&self.core.dir, generation, self.first_generation, None)?;
        self.next_generation = generation + 1;
        let mut shared = self.core.lock();
        if shared.mode != from {
            drop(shared);
            return self.give_up(generation);
        }
        shared.moving = Move::Asked(journal);
        self.core.writer.notify_one();
        shared = self.wait_until(shared, |shared| matches!(shared.moving, Move::Moved { .. } | Move::Failed));
        let moved = std::mem::replace(&mut shared.moving, Move::Idle);
        let Move::Moved { at, by_write } = moved else {
            drop(shared);
            return self.give_up(generation);
        };
        self.sync(shared, by_write)?;
        Ok((at, generation))
    }

    /// The writer did not move to this generation: attempts on a sick disk must not fill it with empty files.
    fn give_up<T>(&self, generation: u64) -> Result<T, KeeperError> {
        journal::put_away(&self.core.dir, generation);
        Err(KeeperError::Journal)
    }

    fn sync(&self, mut shared: MutexGuard<'_, Shared>, write: u64) -> Result<(), KeeperError> {
        shared.sync_now = true;
        self.core.syncer.notify_one();
        shared = self.wait_until(shared, |shared| shared.synced_writes >= write || shared.mode == Mode::Ram);
        if shared.synced_writes >= write { Ok(()) } else { Err(KeeperError::Journal) }
    }

    fn wait_until<'a>(
        &self,
        mut shared: MutexGuard<'a, Shared>,
        done: impl Fn(&Shared) -> bool,
    ) -> MutexGuard<'a, Shared> {
        while !done(&shared) && !shared.stop {
            self.core.keeper.wait(&mut shared);
        }
        shared
    }

    /// The database, opened now if necessary.
    fn database(&self) -> Result<Arc<Base>, KeeperError> {
        let base = self.core.lock().base.clone();
        if matches!(&*base, Base::Sled(_)) {
            return Ok(base);
        }
        drop(base);
        let opened = database::open(&self.core.dir, &self.core.health, snapshot::load(&self.core.dir))?;
        let base = Arc::new(Base::Sled(opened.sled));
        let mut shared = self.core.lock();
        shared.base = base.clone();
        // A database that was missing at the start may know higher numbers than ours, but ours are the newer ones.
        if shared.mode == Mode::Ram && opened.mark.through >= shared.number {
            shared.number = opened.mark.through + 1;
        }
        Ok(base)
    }

    /// Back to the disk: a generation whose head holds everything.
    fn recover(&mut self) -> Result<(), KeeperError> {
        self.is_ours()?;
        let mut lock = self.core.lock.lock();
        match &*lock {
            Some(lock) if folder::is_at(lock, &self.core.dir.join("lock")) => {}
            _ => *lock = Some(folder::take(&self.core.dir)?.ok_or(KeeperError::Folder)?),
        }
        drop(lock);
        let notes = self.debt(|debt| Ok(debt.notes));
        let base = self.core.lock().base.clone();
        if let Base::Sled(sled) = &*base {
            self.remake = !sled.is_there(); // it may have been put back, or lost, while we were in memory
        }
        drop(base);
        if self.remake {
            self.remake()?;
        }
        // before the journal, so that a journal without a database always means damage; the light can do without it
        if let Err(error) = self.database() {
            self.report_not_written(&error); // before the other problem ends
        }
        let (_, generation) = self.next_generation(Mode::Ram)?;
        self.restock_at = Some(Instant::now() + LOOK); // it may have been spent
        self.core.report_disk();
        self.found();
        // unless there is a database again
        if self.debt(|debt| Ok(debt.notes)) == notes {
            self.debt(|debt| debt.settle());
        }
        journal::put_away_before(&self.core.dir, generation);
        Ok(())
    }

    /// The bytes for the debt, made now if they are missing.
    fn debt<T>(&self, with: impl FnOnce(&Debt) -> std::io::Result<T>) -> Option<T> {
        let mut debt = self.core.debt.lock();
        if debt.as_ref().is_none_or(|debt| !debt.is_in(&self.core.dir)) {
            *debt = Debt::open(&self.core.dir).ok();
        }
        with(debt.as_ref()?).ok()
    }

    fn write_snapshot(&mut self, mark: Mark) -> Result<(), KeeperError> {
        self.is_ours()?;
        let base = self.core.lock().base.clone();
        snapshot::write(&self.core.dir, &base, mark)?;
        self.snapshot = Some(mark.first_needed);
        self.snapshot_at = Instant::now();
        self.changed = false;
        Ok(())
    }

    fn close(mut self) {
        let closed = self.try_close();
        // drops the database, and with it its lock
        self.core.lock().base = Arc::new(Base::Ram(Overlay::default()));
        match closed {
            Ok(()) => {
                if let Err(error) = checksums::write(&self.core.dir) {
                    tracing::warn!(%error, "storage_closed_without_checksums");
                }
            }
            Err(error) => {
                self.core.note_debt();
                tracing::error!(%error, "storage_not_closed_cleanly");
            }
        }
        self.core.lock.lock().take();
        self.core.stop();
        self.core.progress.send_modify(|progress| progress.closed = true);
    }

    fn try_close(&mut self) -> Result<(), KeeperError> {
        if self.core.lock().mode == Mode::Disk {
            self.look();
        }
        let shared = self.core.lock();
        let (mode, busy) = (shared.mode, shared.writer_busy);
        let dirty = !shared.layers.new.is_empty() || shared.layers.old.is_some();
        drop(shared);
        if mode == Mode::Ram {
            if busy {
                return Err(KeeperError::Journal);
            }
            match self.recover() {
                Err(KeeperError::Anothers) => return Err(KeeperError::Anothers),
                Err(_) if reserve::spend(&self.core.dir) => self.recover()?,
                done => done?,
            }
        }
        // if a snapshot or checkpoint fails, the journal holds it all: the mark is still true
        if (dirty || self.pending.is_some())
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(%error, "storage_closed_without_checkpoint");
        }
        if self.changed {
            let base = self.core.lock().base.clone();
            if let Base::Sled(sled) = &*base
                && let Err(error) = sled.mark().map_err(KeeperError::from).and_then(|mark| self.write_snapshot(mark))
            {
                tracing::warn!(%error, "storage_closed_without_snapshot");
            }
        }
        // before the mark that says so
        let shared = self.core.lock();
        let writes = shared.writes;
        self.sync(shared, writes)?;
        let mut shared = self.core.lock();
        if shared.mode == Mode::Ram {
            return Err(KeeperError::Journal);
        }
        shared.ending = Ending::Asked;
        self.core.writer.notify_one();
        shared = self.wait_until(shared, |shared| {
            shared.mode == Mode::Ram || (shared.ending == Ending::Ended && shared.writing.is_none())
        });
        let writes = shared.writes;
        self.sync(shared, writes)
    }
}
