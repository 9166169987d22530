//! The writer: one `write(2)` for everything that waits, then the releases. It never syncs, nor waits for a sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::core::{Core, Ending, Mode, Move, Shared, Waiting, Writing};
use super::guard;
use super::head::head;
use super::journal::Journal;
use super::record::{Kind, Record};

/// Bytes of one write: 5 ms on a card that takes 50 MB/s, a tenth of the guard's patience.
const WRITE: usize = 256 << 10;

/// One write.
struct Job {
    batches: Vec<(u64, Vec<u8>)>,
    /// Number of the last batch that is on the medium.
    synced: u64,
    fresh_page: bool,
    next: Option<(Journal, Vec<u8>)>,
    number: u64,
    clean: bool,
}

/// Runs until the store stops.
pub(super) fn run(core: &Arc<Core>, mut journal: Option<Journal>) {
    if let Some(stat) = guard::stat_of_this_thread() {
        core.writer_stat.get_or_init(|| stat);
    }
    while let Some(job) = take(core) {
        let started = Instant::now();
        core.at_disk.store(true, Ordering::Relaxed);
        #[cfg(test)]
        let disk = core.disk.lock();
        #[cfg(test)]
        while core.busy.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let result = write(&mut journal, job);
        #[cfg(test)]
        drop(disk);
        core.at_disk.store(false, Ordering::Relaxed);
        core.metrics.write_seconds.observe(started.elapsed().as_secs_f64());
        if result.is_err() {
            core.note_debt();
        }
        let mut shared = core.lock();
        shared.writer_busy = false;
        match result {
            // the guard was faster: the generation ends here, and the next one begins with everything
            Ok(_) if shared.mode == Mode::Ram => _ = core.keeper.notify_all(),
            Ok(done) => finish(core, &mut shared, &done, journal.as_ref()),
            Err(error) => core.fall_to_ram(&mut shared, &format!("writing the journal: {error}")),
        }
        if shared.mode == Mode::Ram {
            journal = None;
        }
        core.release(shared);
    }
}

/// Waits for work and takes all of it.
fn take(core: &Core) -> Option<Job> {
    let mut shared = core.lock();
    loop {
        let asked = matches!(shared.moving, Move::Asked(_)) || shared.ending == Ending::Asked;
        if asked || !shared.waiting.is_empty() {
            return Some(take_all(core, shared));
        }
        if shared.stop {
            return None;
        }
        core.writer.wait(&mut shared);
    }
}

fn take_all(core: &Core, mut shared: MutexGuard<'_, Shared>) -> Job {
    // a head speaks for every batch up to its number, so all of them stand before it
    let mut batches = match shared.moving {
        Move::Asked(_) => std::mem::take(&mut shared.waiting),
        _ => first_of(&mut shared.waiting),
    };
    let payload = |batch: &mut Waiting| (batch.number, std::mem::take(&mut batch.payload));
    let payloads: Vec<_> = batches.iter_mut().map(payload).filter(|(_, payload)| !payload.is_empty()).collect();
    let next = match std::mem::replace(&mut shared.moving, Move::Idle) {
        Move::Asked(journal) => {
            shared.moving = Move::Moving;
            let from_ram = shared.mode == Mode::Ram;
            let head = head(&core.boot, shared.through, &shared.layers, from_ram, shared.owed);
            if from_ram {
                shared.mode = Mode::Disk;
                // syncing what failed could only fail again; the head makes it unnecessary
                shared.file = None;
                shared.behind.clear();
            } else {
                shared.layers.rotate();
                shared.dirty_since = None;
                shared.checkpoint_now = false;
            }
            Some((journal, head))
        }
        other => {
            shared.moving = other;
            None
        }
    };
    // the mark of a clean stop is the last record: batches that did not fit this write come before it
    let clean = shared.ending == Ending::Asked && shared.waiting.is_empty();
    if clean {
        shared.ending = Ending::Ended;
    }
    shared.writing = Some(Writing { since: Instant::now(), batches });
    shared.writer_busy = true;
    if shared.guard_parked {
        shared.guard_parked = false;
        core.guard.notify_one();
    }
    let number = match shared.writing.as_ref().and_then(|writing| writing.batches.last()) {
        Some(last) if !shared.waiting.is_empty() => last.number,
        _ => shared.number,
    };
    let fresh_page = shared.fresh_page && !payloads.is_empty();
    shared.fresh_page &= !fresh_page;
    Job { batches: payloads, synced: shared.synced, fresh_page, next, number, clean }
}

/// Takes as many batches as one write may have, at least one: a write has to end within the guard's patience.
fn first_of(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut bytes = 0;
    let fits = waiting.iter().take_while(|batch| {
        bytes += batch.payload.len();
        bytes <= WRITE
    });
    let count = fits.count().max(1).min(waiting.len());
    let rest = waiting.split_off(count);
    std::mem::replace(waiting, rest)
}

/// The outcome of a write.
struct Done {
    number: u64,
    moved: bool,
}

fn write(journal: &mut Option<Journal>, job: Job) -> std::io::Result<(Done, u64)> {
    let mut bytes = 0;
    let settled = |number: u64| job.synced.checked_add(1) == Some(number);
    if !job.batches.is_empty() {
        let records = job.batches.iter().map(|(number, payload)| Record {
            kind: Kind::Batch,
            settled: settled(*number),
            number: *number,
            payload,
        });
        bytes += current(journal)?.append(job.fresh_page, records)?;
    }
    let moved = job.next.is_some();
    if let Some((next, head)) = job.next {
        let record = Record { kind: Kind::Head, settled: job.synced == job.number, number: job.number, payload: &head };
        bytes += journal.insert(next).append(false, [record])?;
    }
    if job.clean {
        let record = Record { kind: Kind::Clean, settled: job.synced == job.number, number: job.number, payload: &[] };
        bytes += current(journal)?.append(false, [record])?;
    }
    Ok((Done { number: job.number, moved }, bytes))
}

fn current(journal: &mut Option<Journal>) -> std::io::Result<&mut Journal> {
    journal.as_mut().ok_or_else(|| std::io::Error::other("there is no journal"))
}

fn finish(core: &Core, shared: &mut Shared, (done, bytes): &(Done, u64), journal: Option<&Journal>) {
    core.metrics.journal_bytes.inc_by(*bytes);
    shared.written();
    shared.written = done.number;
    shared.writes += u64::from(*bytes > 0); // each is synced once
    if done.moved {
        if let Some(journal) = journal {
            shared.behind.extend(shared.file.replace(journal.file.clone()));
            shared.generation = journal.generation;
        }
        shared.moving = Move::Moved { at: done.number, by_write: shared.writes };
        core.keeper.notify_all();
    }
    shared.used = journal.map_or(0, Journal::used);
    shared.fullness = journal.map(Journal::fullness).unwrap_or_default();
    if shared.ending == Ending::Ended {
        core.keeper.notify_all(); // which waits for the mark of the clean stop
    }
    if *bytes > 0 && shared.unsynced_since.is_none() {
        shared.unsynced_since = Some(Instant::now());
        core.syncer.notify_one();
    }
    if shared.dirty_since.is_none() && !shared.layers.new.is_empty() {
        shared.dirty_since = Some(Instant::now());
        core.keeper.notify_all();
    } else if shared.is_full() {
        core.keeper.notify_all();
    }
}
