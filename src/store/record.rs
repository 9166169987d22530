//! Records of the journal, pure: how they are framed, and what can still be read of a damaged or torn file.
//!
//! A generation's content is zeros at first. Records follow each other; after a sync the next one begins on a fresh page,
//! so that nothing on the medium is ever written again. No input makes this code panic.

use super::wire::{u32_at, u64_at};

/// First byte of every record. All formats share the layout of the frame, so that a newer one is recognised.
pub(super) const FORMAT: u8 = 1;

/// format, kind, flags, 0 · length of the payload (u32) · generation (u64) · number (u64) · crc32 of all but itself.
const FRAME: usize = 28;
const CRC_AT: usize = 24;

/// Flag: everything before this record was on the medium when it was written.
const SETTLED: u8 = 1;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// First of a generation: the whole light after the batch of its number.
    Head,
    /// One batch.
    Batch,
    /// Last one before a clean stop.
    Clean,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::Batch => 2,
            Self::Clean => 3,
        }
    }

    fn from_tag(tag: u8) -> Option<Self> {
        [Self::Head, Self::Batch, Self::Clean].into_iter().find(|kind| kind.tag() == tag)
    }
}

/// One record as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) settled: bool,
    pub(super) number: u64,
    pub(super) payload: &'a [u8],
}

/// What follows the good records of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Zeros.
    Clean,
    /// A record that a kill or a power cut stopped: normal.
    Torn,
    /// Something that none of our writes leaves while the machine runs.
    Foreign,
    /// Good records of an unknown format.
    Newer,
}

/// What was read from one generation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan<'a> {
    pub(super) records: Vec<Record<'a>>,
    pub(super) rest: Tail,
}

/// Appends a framed record to `out`; false, and nothing appended, if the payload is too long for a frame.
pub(super) fn frame(out: &mut Vec<u8>, generation: u64, record: &Record<'_>) -> bool {
    let Ok(len) = u32::try_from(record.payload.len()) else { return false };
    let start = out.len();
    out.extend([FORMAT, record.kind.tag(), u8::from(record.settled) * SETTLED, 0]);
    out.extend(len.to_le_bytes());
    out.extend(generation.to_le_bytes());
    out.extend(record.number.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(out.get(start..).unwrap_or_default());
    crc.update(record.payload);
    out.extend(crc.finalize().to_le_bytes());
    out.extend_from_slice(record.payload);
    true
}

/// The whole frame and payload at `at`, if its checksum is right.
fn framed(bytes: &[u8], at: usize, generation: u64) -> Option<&[u8]> {
    let bytes = bytes.get(at..)?;
    if u64_at(bytes, 8)? != generation {
        return None;
    }
    let record = bytes.get(..FRAME.checked_add(u32_at(bytes, 4)? as usize)?)?;
    let (head, payload) = (record.get(..CRC_AT)?, record.get(FRAME..)?);
    let mut crc = crc32fast::Hasher::new();
    crc.update(head);
    crc.update(payload);
    (crc.finalize() == u32_at(record, CRC_AT)?).then_some(record)
}

/// Reads the content of a generation, given how many bytes of it stand on a page.
pub(super) fn scan(bytes: &[u8], page: usize, generation: u64) -> Scan<'_> {
    let mut scan = Scan { records: Vec::new(), rest: Tail::Clean };
    let mut at = 0;
    loop {
        while let Some(record) = framed(bytes, at, generation) {
            at += record.len();
            match parse(record) {
                Some(record) => scan.records.push(record),
                None => scan.rest = Tail::Newer,
            }
        }
        let Some(dirt) = first_dirt(bytes, at) else { return scan };
        if dirt.is_multiple_of(page) && framed(bytes, dirt, generation).is_some() {
            at = dirt;
            continue;
        }
        let next = (dirt + 1..bytes.len()).find(|&next| framed(bytes, next, generation).is_some());
        let rest = match next {
            None if (dirt == at || dirt.is_multiple_of(page)) && is_torn(bytes, dirt, page, generation) => Tail::Torn,
            _ => Tail::Foreign,
        };
        if scan.rest != Tail::Newer && scan.rest != Tail::Foreign {
            scan.rest = rest;
        }
        match next {
            Some(next) => at = next,
            None => return scan,
        }
    }
}

fn parse(record: &[u8]) -> Option<Record<'_>> {
    let &[FORMAT, kind, flags, _, ..] = record else { return None };
    Some(Record {
        kind: Kind::from_tag(kind)?,
        settled: flags & SETTLED != 0,
        number: u64_at(record, 16)?,
        payload: record.get(FRAME..)?,
    })
}

/// The first byte from `at` on that is not zero.
fn first_dirt(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    // page by page: a generation is mostly zeros, and the start waits for this comparison
    let mut seen = 0;
    for piece in rest.chunks(4096) {
        if piece.iter().fold(0, |all, byte| all | byte) != 0 {
            return piece.iter().position(|byte| *byte != 0).map(|inside| at + seen + inside);
        }
        seen += piece.len();
    }
    None
}

/// Whether a kill explains the bad record at `at`: the kernel copies a write page by page, so the record is whole up to the
/// end of a page, zeros follow, and its length reaches into them.
fn is_torn(bytes: &[u8], at: usize, page: usize, generation: u64) -> bool {
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return false };
    let data_ends = (last / page + 1) * page;
    if at + FRAME > data_ends {
        return true;
    }
    let claims = u32_at(bytes, at + 4).map_or(0, |len| at + FRAME + len as usize);
    u64_at(bytes, at + 8) == Some(generation) && claims > data_ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GENERATION: u64 = 7;

    /// Content of a page: an odd number, to be seen by.
    const PAGE: usize = 4076;

    fn scan(bytes: &[u8], generation: u64) -> Scan<'_> {
        super::scan(bytes, PAGE, generation)
    }

    fn file(payloads: &[Vec<u8>], settled: &[bool]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (n, payload) in payloads.iter().enumerate() {
            let settled = settled[n % settled.len()];
            if settled {
                bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
            }
            let record = Record { kind: Kind::Batch, settled, number: n as u64 + 1, payload };
            assert!(frame(&mut bytes, GENERATION, &record));
        }
        let size = bytes.len().next_multiple_of(PAGE) + PAGE;
        bytes.resize(size, 0);
        bytes
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..12)
    }

    fn numbers(scan: &Scan<'_>) -> Vec<u64> {
        scan.records.iter().map(|record| record.number).collect()
    }

    proptest! {
        #[test]
        fn every_record_is_read_back_in_order(payloads in payloads(), settled in prop::collection::vec(any::<bool>(), 1..5)) {
            let bytes = file(&payloads, &settled);
            let scan = scan(&bytes, GENERATION);
            prop_assert_eq!(scan.rest, Tail::Clean);
            prop_assert_eq!(scan.records.iter().map(|r| r.payload.to_vec()).collect::<Vec<_>>(), payloads);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(7), any::<u8>()], 0..1500)) {
            let _ = scan(&bytes, GENERATION); // not panicking is the point
        }

        #[test]
        fn a_flipped_bit_is_noticed_and_costs_one_record_at_most(
            payloads in payloads(), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let mut bytes = file(&payloads, &[true, false]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let scan = scan(&bytes, GENERATION);
            prop_assert_ne!(scan.rest, Tail::Clean);
            prop_assert!(scan.records.len() + 1 >= payloads.len());
            prop_assert!(numbers(&scan).is_sorted());
        }

        #[test]
        fn a_write_stopped_at_the_end_of_a_page_is_torn_and_costs_only_what_came_after(
            payloads in payloads(), page in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file(&payloads, &[false]);
            let stopped = page.index(bytes.len() / PAGE) * PAGE;
            let whole = scan(&bytes[..stopped], GENERATION).records.len();
            bytes[stopped..].fill(0);
            let scan = scan(&bytes, GENERATION);
            prop_assert_eq!(scan.records.len(), whole);
            prop_assert_ne!(scan.rest, Tail::Foreign);
        }

        #[test]
        fn a_record_of_tomorrows_format_is_known_as_one_and_costs_itself_alone(payloads in payloads()) {
            let mut bytes = file(&payloads, &[false]);
            bytes[0] = FORMAT + 1;
            let end = FRAME + payloads[0].len();
            let crc = crc32fast::hash(&[&bytes[..CRC_AT], &bytes[FRAME..end]].concat());
            bytes[CRC_AT..FRAME].copy_from_slice(&crc.to_le_bytes());
            let scan = scan(&bytes, GENERATION);
            prop_assert_eq!(&scan.rest, &Tail::Newer);
            prop_assert_eq!(scan.records.len() + 1, payloads.len());
        }

        #[test]
        fn records_of_another_generation_are_foreign(payloads in payloads()) {
            let bytes = file(&payloads, &[false]);
            let scan = scan(&bytes, GENERATION + 1);
            prop_assert!(scan.records.is_empty());
            prop_assert_eq!(scan.rest, Tail::Foreign);
        }
    }
}
