//! What the journal says at start, pure: from the bytes of its generations to the layers over the database.
//!
//! Numbers of batches rise by one across generations. A number that is missing is damage when something tells that it was
//! on the medium (a later record's mark, or the same boot: a kill loses nothing), else the end of what a power cut left.

use super::base::Mark;
use super::batch::{Batch, Tree};
use super::head::{Head, read_head};
use super::overlay::{Layers, Light};
use super::record::{Kind, Record, Rest, Scan, scan};

/// Between numbers of a run and those of the next one after damage, so that none comes twice.
const NUMBERS_LOST: u64 = 1 << 32;

/// One generation as it was found.
pub(super) struct Found {
    pub(super) generation: u64,
    pub(super) bytes: Vec<u8>,
    /// Its size is none that we make.
    pub(super) cut: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) layers: Layers,
    /// No batch had a higher number.
    pub(super) number: u64,
    /// Boot id of the last run.
    pub(super) boot: Option<String>,
    /// It ended with the mark of a clean stop.
    pub(super) clean: bool,
    /// Generations with damage in them.
    pub(super) damaged: Vec<u64>,
    /// Generations that the database needs are not there.
    pub(super) missing: bool,
    /// The database once held this number.
    pub(super) through: u64,
}

struct Part<'a> {
    found: &'a Found,
    scan: Scan<'a>,
    head: Option<Head>,
}

/// Replays `files` (oldest first, none below the first one needed) over a database at `mark` that holds `light`.
/// `rebuilt`: the database is older than the journal expects.
pub(super) fn replay(
    files: &[Found],
    mark: Mark,
    light: Light,
    rebuilt: bool,
    boot: &str,
    below: impl Fn(Tree, &[u8]) -> Option<Vec<u8>>,
) -> Replayed {
    let mut parts: Vec<Part<'_>> = files.iter().map(part).collect();
    let all = parts.iter().flat_map(|part| &part.scan.records).map(|record| record.number);
    let number = all.max().unwrap_or(0).max(mark.through);
    // The newest head that carries everything makes the generations before it needless.
    let start = parts.iter().rposition(carries_all).unwrap_or(0);
    let parts = parts.split_off(start.min(parts.len()));
    let heads = || parts.iter().filter_map(|part| part.head.as_ref());
    let first = parts.first();
    let mut done = Replayed {
        layers: Layers { light, ..Layers::default() },
        number,
        boot: heads().next_back().map(|head| head.boot.clone()),
        clean: ends_clean(&parts),
        missing: !rebuilt && is_missing(first, mark),
        through: heads().map(|head| head.through).max().unwrap_or(0),
        ..Replayed::default()
    };
    let whole = done.clean || done.boot.as_deref() == Some(boot);
    let settled = settled(&parts, whole);
    for part in &parts {
        if is_damaged(part, whole, parts.len() == 1 || part.found.generation == mark.first_needed) {
            done.damaged.push(part.found.generation);
        }
    }
    apply(&mut done, &parts, mark.through, settled, below);
    done.damaged.sort_unstable();
    done.damaged.dedup();
    if done.missing || !done.damaged.is_empty() || rebuilt {
        done.number = done.number.saturating_add(NUMBERS_LOST);
    }
    done
}

fn part(found: &Found) -> Part<'_> {
    let scan = scan(&found.bytes, found.generation);
    let head = scan.records.first().filter(|record| record.kind == Kind::Head);
    let head = head.and_then(|record| read_head(record.payload));
    Part { found, scan, head }
}

/// Whether the generation stands for itself, over any database.
fn carries_all(part: &Part<'_>) -> bool {
    part.head.as_ref().is_some_and(|head| head.overlay.is_some())
}

/// Whether the journal does not begin where the database ends.
fn is_missing(first: Option<&Part<'_>>, mark: Mark) -> bool {
    match first {
        Some(first) => !carries_all(first) && first.found.generation != mark.first_needed,
        // A kill between making the database and making the first generation.
        None => mark.first_needed > 1,
    }
}

fn ends_clean(parts: &[Part<'_>]) -> bool {
    let last = parts.iter().filter_map(|part| part.scan.records.last()).next_back();
    last.is_some_and(|record| record.kind == Kind::Clean)
}

/// Highest number of which we know that it was on the medium.
fn settled(parts: &[Part<'_>], whole: bool) -> u64 {
    let records = parts.iter().flat_map(|part| &part.scan.records);
    let known = records.filter(|record| whole || record.settled).map(|record| match record.kind {
        Kind::Head | Kind::Clean => record.number,
        Kind::Batch if whole => record.number,
        Kind::Batch => record.number.saturating_sub(1),
    });
    known.max().unwrap_or(0)
}

fn is_damaged(part: &Part<'_>, whole: bool, needs_head: bool) -> bool {
    let empty = part.scan.records.is_empty() && part.scan.rest == Rest::Clean;
    let headless = part.head.is_none() && (needs_head || !empty);
    let foreign = match part.scan.rest {
        Rest::Clean => false,
        Rest::Newer => true,
        Rest::Torn => part.scan.records.last().is_some_and(|record| record.kind == Kind::Clean),
        // After a power cut pages are on the medium in any order.
        Rest::Foreign => whole,
    };
    // After a power cut the head of a generation that was just moved to may be what did not arrive.
    part.found.cut || foreign || (headless && (whole || needs_head))
}

fn apply(
    done: &mut Replayed,
    parts: &[Part<'_>],
    through: u64,
    settled: u64,
    below: impl Fn(Tree, &[u8]) -> Option<Vec<u8>>,
) {
    let mut last = through;
    for (at, part) in parts.iter().enumerate() {
        let generation = part.found.generation;
        for record in &part.scan.records {
            if record.number <= last {
                continue;
            }
            let expected = record.kind == Kind::Head && at == 0;
            let known = if record.kind == Kind::Head { record.number } else { record.number - 1 };
            if !expected && known > last {
                if known > settled {
                    return;
                }
                done.damaged.push(generation);
            }
            if take(done, part, record, &below) {
                last = record.number;
            } else {
                done.damaged.push(generation);
            }
        }
    }
}

/// Takes one record; false when it cannot be understood.
fn take(
    done: &mut Replayed,
    part: &Part<'_>,
    record: &Record<'_>,
    below: impl Fn(Tree, &[u8]) -> Option<Vec<u8>>,
) -> bool {
    match record.kind {
        Kind::Clean => true,
        Kind::Batch => {
            let batch = Batch::decode(record.payload);
            batch.map(|batch| done.layers.apply(batch, record.number, below)).is_some()
        }
        Kind::Head => {
            let Some(head) = &part.head else { return false };
            done.layers.set_light(head.light.clone());
            if let Some(overlay) = &head.overlay {
                done.layers.new.absorb(overlay.clone());
            }
            true
        }
    }
}
