//! Entries of the database, pure: how a log is cut into pieces, and the sum that shows whether all entries are there.

use super::overlay::Log;
use super::wire::{Reader, put_number, u64_at};

/// Entries of a log are kept in pieces of about this size: sled rewrites a node of up to 16 values as a whole, and
/// nodes above 128 KiB leave its log for files of their own, which its `flush` does not sync.
const PIECE: usize = 4 << 10;

/// Some entries of a log.
pub(super) struct Piece {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) bytes: Vec<u8>,
}

/// Cuts a log into pieces; entries with one number stay together.
pub(super) fn pieces(log: &Log) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut last = None;
    for (number, entry) in &log.entries {
        let full = |piece: &Piece| piece.bytes.len() + entry.len() > PIECE && last != Some(*number);
        if pieces.last().is_none_or(full) {
            pieces.push(Piece { first: *number, count: 0, bytes: Vec::new() });
            if let Some(piece) = pieces.last_mut() {
                put_number(&mut piece.bytes, u64::from(log.keep));
            }
        }
        if let Some(piece) = pieces.last_mut() {
            piece.count += 1;
            put_number(&mut piece.bytes, number - piece.first);
            put_number(&mut piece.bytes, entry.len() as u64);
            piece.bytes.extend_from_slice(entry);
        }
        last = Some(*number);
    }
    // The number of a piece's first entry is in its key; it is repeated in front, so that the value stands alone.
    for piece in &mut pieces {
        let mut bytes = piece.first.to_le_bytes().to_vec();
        bytes.append(&mut piece.bytes);
        piece.bytes = bytes;
    }
    pieces
}

/// Reads a piece; `None` when it is malformed.
pub(super) fn decode_piece(bytes: &[u8]) -> Option<Log> {
    let first = u64_at(bytes, 0)?;
    let mut reader = Reader(bytes.get(8..)?);
    let mut log = Log { keep: u32::try_from(reader.number()?).ok()?, ..Log::default() };
    while !reader.is_empty() {
        log.entries.push_back((first.checked_add(reader.number()?)?, reader.bytes()?.to_vec()));
    }
    Some(log)
}

/// The sum of all entries. sled can lose a damaged page and still open without an error; this shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) entries: u64,
    pub(super) crcs: u64,
}

impl Sum {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_add(1);
        self.crcs = self.crcs.wrapping_add(Self::crc(key, value));
    }

    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.crcs = self.crcs.wrapping_sub(Self::crc(key, value));
    }

    fn crc(key: &[u8], value: &[u8]) -> u64 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(key);
        crc.update(value);
        u64::from(crc.finalize())
    }
}
