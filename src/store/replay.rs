//! What the journal holds at a start, pure: from the bytes of its generations to the layers over the database.
//!
//! Numbers of batches rise by one across generations. A missing number is damage if something shows that it was on the
//! medium (a later record's mark; or the same boot, since a kill loses nothing), else the end of what a power cut left.

use super::base::Mark;
use super::batch::Batch;
use super::head::{Head, read_head};
use super::overlay::{Layers, Light};
use super::page::Content;
use super::record::{Kind, Record, Scan, Tail, scan};

/// Gap between the numbers of a run and those of the next one after damage, so that none comes twice.
const NUMBERS_LOST: u64 = 1 << 32;

/// One generation as found.
pub(super) struct GenerationFile {
    pub(super) generation: u64,
    pub(super) content: Content,
    /// Its size is not one that we make.
    pub(super) cut: bool,
}

/// The result.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) layers: Layers,
    /// No batch had a higher number.
    pub(super) number: u64,
    /// Boot id of the last run.
    pub(super) boot: Option<String>,
    /// It ended with the mark of a clean stop.
    pub(super) clean: bool,
    /// It ended before its first batch, which was to make the jump of `seq`.
    pub(super) owed: bool,
    /// Generations with damage in them.
    pub(super) damaged: Vec<u64>,
    /// Generations that the database needs are missing.
    pub(super) missing: bool,
    /// The database once held this number.
    pub(super) through: u64,
}

struct Part<'a> {
    found: &'a GenerationFile,
    scan: Scan<'a>,
    head: Option<Head>,
}

/// Replays `files` (oldest first, none below the first one needed) over a database at `mark` that holds `light`.
/// `rebuilt`: the database is older than the journal expects.
pub(super) fn replay(files: &[GenerationFile], mark: Mark, light: Light, rebuilt: bool, boot: &str) -> Replayed {
    let mut parts: Vec<Part<'_>> = files.iter().map(part).collect();
    let all = parts.iter().flat_map(|part| &part.scan.records).map(|record| record.number);
    let number = all.max().unwrap_or(0).max(mark.through);
    // The newest head that holds everything makes the generations before it unnecessary.
    let start = parts.iter().rposition(carries_all).unwrap_or(0);
    let parts = parts.split_off(start.min(parts.len()));
    let heads = || parts.iter().filter_map(|part| part.head.as_ref());
    let first = parts.first();
    let mut done = Replayed {
        layers: Layers { light, ..Layers::default() },
        number,
        boot: heads().next_back().map(|head| head.boot.clone()),
        owed: is_owed(&parts),
        missing: !rebuilt && is_missing(first, mark),
        through: heads().map(|head| head.through).max().unwrap_or(0),
        ..Replayed::default()
    };
    let end = end(&parts);
    // a mark that was written before everything was on the medium may be the only thing that got there
    let whole = end.is_some_and(|end| end.settled) || done.boot.as_deref() == Some(boot);
    let settled = settled(&parts, whole);
    for part in &parts {
        if is_damaged(part, whole, parts.len() == 1 || part.found.generation == mark.first_needed) {
            done.damaged.push(part.found.generation);
        }
    }
    let last = apply(&mut done, &parts, mark.through, settled);
    done.clean = end.is_some_and(|end| end.settled || end.number == last);
    done.damaged.sort_unstable();
    done.damaged.dedup();
    if done.missing || !done.damaged.is_empty() || rebuilt {
        done.number = done.number.saturating_add(NUMBERS_LOST);
    }
    done
}

fn part(found: &GenerationFile) -> Part<'_> {
    let mut scan = scan(&found.content.bytes, found.content.page, found.generation);
    if found.content.stained && scan.rest != Tail::Newer {
        scan.rest = Tail::Foreign;
    }
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
        // a kill between making the database and making the first generation
        None => mark.first_needed > 1,
    }
}

/// The mark of a clean stop.
fn end<'a>(parts: &[Part<'a>]) -> Option<Record<'a>> {
    let last = parts.iter().filter_map(|part| part.scan.records.last()).next_back();
    last.filter(|record| record.kind == Kind::Clean).copied()
}

fn is_owed(parts: &[Part<'_>]) -> bool {
    let last = parts.iter().rev().find_map(|part| part.head.as_ref().map(|head| (part, head)));
    last.is_some_and(|(part, head)| head.owed && part.scan.records.iter().all(|record| record.kind != Kind::Batch))
}

/// Highest number known to have been on the medium.
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
    // made, but never moved to; or stopped while its head was written
    let empty = part.scan.records.is_empty() && matches!(part.scan.rest, Tail::Clean | Tail::Torn);
    let headless = part.head.is_none() && (needs_head || !empty);
    let foreign = match part.scan.rest {
        Tail::Clean => false,
        Tail::Newer => true,
        Tail::Torn => whole && part.scan.records.last().is_some_and(|record| record.kind == Kind::Clean),
        // After a power cut pages are on the medium in any order.
        Tail::Foreign => whole,
    };
    // After a power cut the head of a generation that was just moved to may be what is missing.
    part.found.cut || foreign || (headless && (whole || needs_head))
}

/// Gives the number of the last record that counts.
fn apply(done: &mut Replayed, parts: &[Part<'_>], through: u64, settled: u64) -> u64 {
    let mut last = through;
    for (at, part) in parts.iter().enumerate() {
        let generation = part.found.generation;
        for record in &part.scan.records {
            if record.number <= last {
                continue;
            }
            let expected = record.kind == Kind::Head && at == 0;
            // a batch comes next; a head and a mark stand for everything up to their own number
            let known = if record.kind == Kind::Batch { record.number - 1 } else { record.number };
            if !expected && known > last {
                if known > settled {
                    return last;
                }
                done.damaged.push(generation);
            }
            if take(done, part, record) {
                last = record.number;
            } else {
                done.damaged.push(generation);
            }
        }
    }
    last
}

/// Takes one record; false if it is malformed.
fn take(done: &mut Replayed, part: &Part<'_>, record: &Record<'_>) -> bool {
    match record.kind {
        Kind::Clean => true,
        Kind::Batch => {
            let batch = Batch::decode(record.payload);
            batch.map(|batch| done.layers.apply(batch, record.number)).is_some()
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

#[cfg(test)]
mod tests {
    use super::super::batch::Tree;
    use super::super::head::head;
    use super::super::page::{self, BODY, PAGE};
    use super::super::record::frame;
    use super::*;
    use proptest::prelude::*;

    /// The generation of the first file.
    const FIRST: u64 = 7;

    /// The content of two generations of batches 1.. that each put their number; below `synced` it is on the medium.
    struct Written {
        files: [Vec<u8>; 2],
        synced: [usize; 2],
    }

    /// Writes `count` batches, syncs after each that `syncs` says, moves after `moves`, as writer and syncer do.
    fn write(count: u64, moves: u64, syncs: &[bool]) -> (Written, u64) {
        let mut layers = Layers::default();
        let mut done = Written { files: [Vec::new(), Vec::new()], synced: [0, 0] };
        let (mut at, mut known) = (0, 0);
        let put = |file: &mut Vec<u8>, generation, kind, number, known, payload: &[u8]| {
            // A batch tells of all before it, a head of its own number too.
            let settled = if kind == Kind::Head { known == number } else { known + 1 == number };
            assert!(frame(file, generation, &Record { kind, settled, number, payload }));
        };
        put(&mut done.files[0], FIRST, Kind::Head, 0, 0, &head("old boot", 0, &layers, true, false));
        done.synced[0] = BODY;
        done.files[0].resize(BODY, 0);
        for number in 1..=count {
            let mut batch = Batch::default();
            batch.put(Tree::Light, "n", number.to_string());
            batch.append("log", 1000, vec![number as u8; (number as usize * 37) % 900]);
            put(&mut done.files[at], FIRST + at as u64, Kind::Batch, number, known, &batch.encode());
            layers.apply(batch, number);
            if number == moves {
                at = 1;
                put(
                    &mut done.files[1],
                    FIRST + 1,
                    Kind::Head,
                    number,
                    known,
                    &head("old boot", 0, &layers, false, false),
                );
            }
            if syncs[number as usize % syncs.len()] {
                known = number;
                for (file, synced) in done.files.iter_mut().zip(&mut done.synced) {
                    file.resize(file.len().next_multiple_of(BODY), 0);
                    *synced = file.len();
                }
            }
        }
        (done, known)
    }

    /// A file in which earlier generations have left good records of all numbers.
    fn used(pages: usize) -> Vec<u8> {
        let mut file = Vec::new();
        for (generation, length) in [(FIRST - 4, pages), (FIRST - 2, pages / 2)] {
            let (mut records, mut left) = (Vec::new(), Vec::new());
            for number in (1..).take_while(|number| *number < 200) {
                let mut batch = Batch::default();
                batch.put(Tree::Light, "n", "999");
                batch.append("log", 1000, vec![9; (number as usize * 31) % 700]);
                assert!(frame(
                    &mut records,
                    generation,
                    &Record { kind: Kind::Batch, settled: true, number, payload: &batch.encode() }
                ));
            }
            records.resize(length * BODY, 0);
            page::put(&mut left, generation, 0, &records);
            file.resize(file.len().max(left.len()), 0);
            file[..left.len()].copy_from_slice(&left);
        }
        file
    }

    /// What became of a sector that was not synced.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Sector {
        Arrived,
        /// As an earlier generation left it.
        Old,
        /// As it was when the page was begun: clear behind its first records.
        Begun,
    }

    const SECTOR: usize = 512;

    /// The files as they lie there: what did not arrive has left what was in its place.
    fn found(files: &[Vec<u8>; 2]) -> Vec<GenerationFile> {
        torn(files, [usize::MAX; 2], &[Sector::Arrived])
    }

    /// The same after a power cut inside of pages.
    fn torn(files: &[Vec<u8>; 2], synced: [usize; 2], sectors: &[Sector]) -> Vec<GenerationFile> {
        let mut sectors = sectors.iter().cycle();
        let mut found = |(n, content): (usize, &Vec<u8>)| {
            let generation = FIRST + n as u64;
            let mut file = used(content.len() / BODY + 2);
            for (at, body) in content.chunks(BODY).enumerate().filter(|(_, body)| body.iter().any(|byte| *byte != 0)) {
                let mut arrived = Vec::new();
                page::put(&mut arrived, generation, at as u32, body);
                let place = &mut file[at * PAGE..][..PAGE];
                for (n, (old, new)) in place.chunks_mut(SECTOR).zip(arrived.chunks(SECTOR)).enumerate() {
                    let became = if at * BODY < synced[generation as usize - FIRST as usize] {
                        Sector::Arrived
                    } else {
                        *sectors.next().unwrap()
                    };
                    match became {
                        Sector::Arrived => old.copy_from_slice(new),
                        Sector::Begun if n > 0 => old.fill(0),
                        Sector::Begun | Sector::Old => {}
                    }
                }
            }
            GenerationFile { generation, content: page::content(file, generation), cut: false }
        };
        files.iter().enumerate().map(&mut found).collect()
    }

    fn state(replayed: &Replayed) -> (u64, usize) {
        let light = replayed.layers.light.get(&(Tree::Light, b"n".to_vec()));
        let light = light.map_or(0, |value| String::from_utf8(value.clone()).unwrap().parse().unwrap());
        (light, replayed.layers.log(b"log").map_or(0, |log| log.entries.len()))
    }

    fn start(files: &[Vec<u8>; 2], boot: &str) -> Replayed {
        replay(&found(files), Mark { through: 0, first_needed: FIRST }, Light::new(), false, boot)
    }

    proptest! {
        #[test]
        fn a_power_cut_leaves_a_state_that_was_true_after_the_last_sync(
            count in 1u64..40, moves in 1u64..45, syncs in prop::collection::vec(prop::bool::weighted(0.2), 1..30),
            lost in prop::collection::vec(any::<bool>(), 64),
        ) {
            let (mut written, known) = write(count, moves, &syncs);
            let mut lost = lost.into_iter().cycle();
            for (file, synced) in written.files.iter_mut().zip(written.synced) {
                for page in file[synced..].chunks_mut(BODY) {
                    if lost.next().unwrap() {
                        page.fill(0);
                    }
                }
            }
            let replayed = start(&written.files, "new boot");
            let (light, entries) = state(&replayed);
            prop_assert!(light >= known && light <= count, "{} of {}, synced {}", light, count, known);
            prop_assert_eq!(light, entries as u64, "the ids are those of the light");
            prop_assert!(replayed.damaged.is_empty() && !replayed.missing && !replayed.clean);
            prop_assert_eq!(replayed.boot.as_deref(), Some("old boot"));
        }

        #[test]
        fn a_power_cut_inside_of_pages_is_no_damage_and_takes_nothing_that_was_synced(
            count in 1u64..40, moves in 1u64..45, syncs in prop::collection::vec(prop::bool::weighted(0.2), 1..30),
            sectors in prop::collection::vec(prop_oneof![
                3 => Just(Sector::Arrived), 2 => Just(Sector::Old), 1 => Just(Sector::Begun)
            ], 64),
            stopping: bool,
        ) {
            let (mut written, known) = write(count, moves, &syncs);
            // The cut comes while the mark of a clean stop is on its way to the medium. Behind what was synced it stands on
            // the same page, of which no other sector changes.
            if stopping && known < count {
                let at = usize::from(moves <= count);
                let mark = Record { kind: Kind::Clean, settled: false, number: count, payload: &[] };
                assert!(frame(&mut written.files[at], FIRST + at as u64, &mark));
            }
            let found = torn(&written.files, written.synced, &sectors);
            let mark = Mark { through: 0, first_needed: FIRST };
            let replayed = replay(&found, mark, Light::new(), false, "new boot");
            let (light, entries) = state(&replayed);
            prop_assert!(light >= known && light <= count, "{} of {}, synced {}", light, count, known);
            prop_assert_eq!(light, entries as u64, "no old record is taken");
            prop_assert!(replayed.damaged.is_empty() && !replayed.missing, "{:?}", replayed.damaged);
            prop_assert!(!replayed.clean || light == count);
            prop_assert_eq!(replayed.boot.as_deref(), Some("old boot"));
        }

        #[test]
        fn a_kill_leaves_everything(count in 0u64..40, moves in 1u64..45, syncs in prop::collection::vec(any::<bool>(), 1..9)) {
            let replayed = start(&write(count, moves, &syncs).0.files, "old boot");
            prop_assert_eq!(state(&replayed), (count, count as usize));
            prop_assert!(replayed.damaged.is_empty() && !replayed.missing);
        }

        #[test]
        fn a_lost_page_that_was_synced_is_damage_and_the_light_behind_it_is_kept(
            count in 20u64..40, moves in 1u64..60, page in any::<prop::sample::Index>(),
        ) {
            let (mut written, _) = write(count, moves, &[true]);
            let last = usize::from(moves < count);
            // the last page of the last file may just not have been written yet, which nobody can see
            let pages = written.files[0].len() / BODY - (1 - last);
            let at = page.index(pages) * BODY;
            prop_assume!(at > 0);
            written.files[0][at..at + BODY].fill(0);
            for boot in ["old boot", "new boot"] {
                let replayed = start(&written.files, boot);
                prop_assert_eq!(state(&replayed).0, count, "{}", boot);
                prop_assert!(!replayed.damaged.is_empty(), "{}", boot);
            }
        }

        #[test]
        fn any_bytes_are_replayed(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..500)) {
            let mut file = Vec::new();
            for kind in [Kind::Head, Kind::Batch, Kind::Clean] {
                assert!(frame(&mut file, FIRST, &Record { kind, settled: true, number: 9, payload: &bytes }));
            }
            let _ = start(&[file, bytes], "boot"); // not panicking is the point
        }
    }
}
