//! Large values: scenes and shows. Their bytes are written ahead in pieces that nobody sees; one small batch makes them
//! valid, together with whatever else belongs to that change. So no write is long, and a change is whole or none.

use ulid::Ulid;

use super::Store;
use super::batch::{Batch, Tree};
use super::wire::{Reader, put_bytes, put_number};

/// Size of a piece. As for logs, a node of sled with 16 of them stays below the 128 KiB at which it leaves the log.
const PIECE: usize = 4 << 10;

/// Problem: a document can no longer be read.
const DAMAGED: &str = "DOCUMENT_DAMAGED";

/// Pieces of one batch: 64 KiB, a quarter of the journal's longest write.
const PIECES: usize = 16;

/// Prefix of the id of bytes written ahead; no document's key starts like this.
const AHEAD: &[u8] = b"~";

/// Bytes that are written but not valid yet.
#[derive(Debug)]
pub struct PendingDocument {
    id: Vec<u8>,
    pieces: u32,
    length: u64,
    crc: u32,
}

/// A document as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredDocument {
    /// There is none.
    Absent,
    /// Its bytes.
    Whole(Vec<u8>),
    /// It can no longer be read; `/readyz` reports it.
    Damaged,
}

/// Where a document is.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    id: Vec<u8>,
    pieces: u32,
    length: u64,
    crc: u32,
}

impl Store {
    /// Writes the bytes of a document ahead. They become valid with the batch that [`Store::replace_document`] went into; a
    /// kill before that leaves nothing.
    pub async fn write_ahead(&self, bytes: &[u8]) -> PendingDocument {
        let id = Ulid::generate().to_bytes().to_vec();
        let pieces = u32::try_from(bytes.len().div_ceil(PIECE)).unwrap_or(u32::MAX);
        let mut batch = Batch::default();
        batch.put(Tree::Documents, ahead_key(&id), pieces.to_le_bytes());
        self.commit(batch, || {}).await;
        for (n, group) in bytes.chunks(PIECE * PIECES).enumerate() {
            let mut batch = Batch::default();
            for (m, piece) in group.chunks(PIECE).enumerate() {
                batch.put(Tree::Pieces, piece_key(&id, (n * PIECES + m) as u32), piece);
            }
            self.commit(batch, || {}).await;
        }
        PendingDocument { id, pieces, length: bytes.len() as u64, crc: crc32fast::hash(bytes) }
    }

    /// Makes `new` the document of a key with this batch (`None`: deletes it), and forgets the old one.
    pub fn replace_document(&self, batch: &mut Batch, key: &str, new: Option<PendingDocument>) {
        if let Some(old) = self.head(key.as_bytes()) {
            forget(batch, &old.id, old.pieces);
        }
        match new {
            Some(PendingDocument { id, pieces, length, crc }) => {
                batch.delete(Tree::Documents, ahead_key(&id));
                batch.put(Tree::Documents, key, Head { id, pieces, length, crc }.encode());
            }
            None => batch.delete(Tree::Documents, key),
        }
    }

    /// The document of a key. May read files.
    #[must_use]
    pub fn document(&self, key: &str) -> StoredDocument {
        let Some(head) = self.get(Tree::Documents, key.as_bytes()) else { return StoredDocument::Absent };
        // a head of an unknown shape
        if let Some(bytes) = Head::decode(&head).and_then(|head| self.whole(&head)) {
            return StoredDocument::Whole(bytes);
        }
        let core = &self.0.core;
        core.metrics.errors.inc();
        let message =
            format!("{key} was damaged and counts as empty: restore a backup of that project; check the card");
        if core.health.raise_for(DAMAGED, key, message) {
            tracing::error!(document = key, "document_damaged");
        }
        StoredDocument::Damaged
    }

    fn whole(&self, head: &Head) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for n in 0..head.pieces {
            bytes.extend(self.get(Tree::Pieces, &piece_key(&head.id, n)).unwrap_or_default());
        }
        (bytes.len() as u64 == head.length && crc32fast::hash(&bytes) == head.crc).then_some(bytes)
    }

    /// Length of the document of a key, without reading it.
    #[must_use]
    pub fn document_length(&self, key: &str) -> u64 {
        self.head(key.as_bytes()).map_or(0, |head| head.length)
    }

    /// Forgets what an earlier run wrote ahead and never made valid. Without the database nobody knows what that is.
    pub async fn forget_unfinished(&self) {
        if !self.is_whole() {
            return;
        }
        for (key, pieces) in self.scan(Tree::Documents, AHEAD) {
            let id = key.get(AHEAD.len()..).unwrap_or_default();
            let pieces = pieces.try_into().map_or(0, u32::from_le_bytes);
            let mut batch = Batch::default();
            forget(&mut batch, id, pieces);
            batch.delete(Tree::Documents, key.clone());
            self.commit(batch, || {}).await;
        }
    }

    fn head(&self, key: &[u8]) -> Option<Head> {
        Head::decode(&self.get(Tree::Documents, key)?)
    }
}

fn forget(batch: &mut Batch, id: &[u8], pieces: u32) {
    for n in 0..pieces {
        batch.delete(Tree::Pieces, piece_key(id, n));
    }
}

fn ahead_key(id: &[u8]) -> Vec<u8> {
    [AHEAD, id].concat()
}

fn piece_key(id: &[u8], n: u32) -> Vec<u8> {
    [id, &n.to_be_bytes()].concat()
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, &self.id);
        put_number(&mut out, u64::from(self.pieces));
        put_number(&mut out, self.length);
        put_number(&mut out, u64::from(self.crc));
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let head = Self {
            id: reader.bytes()?.to_vec(),
            pieces: u32::try_from(reader.number()?).ok()?,
            length: reader.number()?,
            crc: u32::try_from(reader.number()?).ok()?,
        };
        reader.0.is_empty().then_some(head)
    }
}
