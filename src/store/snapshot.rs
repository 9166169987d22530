//! The snapshot: a checksummed export of the database, replaced as a whole, from which a damaged one is rebuilt.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::base::{Base, BaseError, Mark};
use super::overlay::Overlay;
use super::wire::{u32_at, u64_at};
use crate::kit::files::{self, SHARED};

/// First bytes; the last one is the format.
const MAGIC: &[u8] = b"dmxd snapshot\x01";

const NAME: &str = "snapshot";

/// The content of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) content: Overlay,
    pub(super) mark: Mark,
}

/// A snapshot as found.
#[derive(Debug)]
pub(super) enum Loaded {
    None,
    Good(Snapshot),
    Damaged,
}

/// Replaces the snapshot by the present content of the database; whole or not at all.
pub(super) fn write(dir: &Path, base: &Base, mark: Mark) -> Result<(), BaseError> {
    let write = |file: &File| {
        let mut out = Hashed { file: BufWriter::new(file), hash: Sha256::new() };
        out.put(MAGIC)?;
        out.put(&mark.through.to_le_bytes())?;
        out.put(&mark.first_needed.to_le_bytes())?;
        let mut piece = Vec::new();
        base.export(|layer| {
            piece.clear();
            layer.encode(&mut piece);
            let len = u32::try_from(piece.len()).map_err(io::Error::other)?;
            out.put(&len.to_le_bytes())?;
            out.put(&piece)
        })?;
        let Hashed { mut file, hash } = out;
        file.write_all(&hash.finalize())?;
        Ok(file.flush()?)
    };
    files::replace(&dir.join(NAME), &dir.join("snapshot.new"), SHARED, write).map(drop)
}

struct Hashed<'a> {
    file: BufWriter<&'a File>,
    hash: Sha256,
}

impl Hashed<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }
}

/// Reads the snapshot.
pub(super) fn load(dir: &Path) -> Loaded {
    match fs::read(dir.join(NAME)) {
        Ok(bytes) => decode(&bytes).map_or(Loaded::Damaged, Loaded::Good),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Loaded::None,
        Err(_) => Loaded::Damaged,
    }
}

fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(Sha256::output_size())?)?;
    if Sha256::digest(body).as_slice() != sum {
        return None;
    }
    let body = body.strip_prefix(MAGIC)?;
    let mark = Mark { through: u64_at(body, 0)?, first_needed: u64_at(body, 8)? };
    let mut rest = body.get(16..)?;
    let mut content = Overlay::default();
    while !rest.is_empty() {
        let len = u32_at(rest, 0)? as usize;
        let (piece, after) = rest.get(4..)?.split_at_checked(len)?;
        content.absorb(Overlay::decode(piece)?);
        rest = after;
    }
    Some(Snapshot { content, mark })
}
