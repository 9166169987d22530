//! What one change stores: values, never increments, so that applying a batch twice is harmless.

use super::wire::{Reader, put_bytes, put_number};

/// The tables of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// Per project: `seq`, `ts`, source of its last change (JSON).
    Light,
    /// Per project and universe: 512 levels.
    Levels,
    /// Retained messages by topic.
    Retained,
    /// What is known about each project (JSON).
    Projects,
    /// Where a document's pieces are, and what is being written ahead.
    Documents,
    /// The pieces.
    Pieces,
    /// Kept MQTT sessions by client id.
    Sessions,
    /// What waits for one of their clients alone.
    Letters,
    /// What waits for any number of them, by number of the message. From here on: what is soon deleted again.
    Messages,
    /// How far each of them is with that.
    Deliveries,
    /// Users, panels, the lock, and the log of who did what (JSON).
    Access,
    /// Fixture types that people have brought (JSON); each is a document.
    Types,
}

impl Tree {
    /// Whose values it has, for people.
    pub(super) fn whose(self) -> &'static str {
        match self {
            Self::Light => "the light",
            Self::Levels => "the levels",
            Self::Retained => "the retained messages",
            Self::Projects => "the projects",
            Self::Documents | Self::Pieces => "the documents",
            Self::Sessions => "the sessions",
            Self::Letters | Self::Messages | Self::Deliveries => "the waiting messages",
            Self::Access => "the users and panels",
            Self::Types => "the fixture types",
        }
    }

    /// Its byte on disk, which must never get another meaning.
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::Light => 1,
            Self::Levels => 2,
            Self::Retained => 3,
            Self::Projects => 4,
            Self::Documents => 5,
            Self::Pieces => 6,
            Self::Sessions => 7,
            Self::Letters => 8,
            Self::Messages => 9,
            Self::Deliveries => 10,
            Self::Access => 11,
            Self::Types => 12,
        }
    }

    pub(super) fn from_tag(tag: u8) -> Option<Self> {
        let all = [
            Self::Light,
            Self::Levels,
            Self::Retained,
            Self::Projects,
            Self::Documents,
            Self::Pieces,
            Self::Sessions,
            Self::Letters,
            Self::Messages,
            Self::Deliveries,
            Self::Access,
            Self::Types,
        ];
        all.into_iter().find(|tree| tree.tag() == tag)
    }

    /// Whether it is part of the light: held in memory as a whole, and written as a whole at the head of every generation.
    pub(super) fn is_vital(self) -> bool {
        match self {
            Self::Light | Self::Levels => true,
            Self::Retained
            | Self::Projects
            | Self::Documents
            | Self::Pieces
            | Self::Sessions
            | Self::Letters
            | Self::Messages
            | Self::Deliveries
            | Self::Access
            | Self::Types => false,
        }
    }
}

/// One thing a batch does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Put {
        tree: Tree,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    Delete {
        tree: Tree,
        key: Vec<u8>,
    },
    /// Sets single bytes of a value of `len` bytes, which starts as zeros.
    Patch {
        tree: Tree,
        key: Vec<u8>,
        len: u16,
        bytes: Vec<(u16, u8)>,
    },
    /// Adds an entry to a log that keeps at least its newest `keep` entries.
    Append {
        log: Vec<u8>,
        keep: u32,
        entry: Vec<u8>,
    },
}

/// What one change stores; all of it survives, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(super) ops: Vec<Op>,
}

impl Batch {
    /// Sets a value.
    pub fn put(&mut self, tree: Tree, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push(Op::Put { tree, key: key.into(), value: value.into() });
    }

    /// Removes a value.
    pub fn delete(&mut self, tree: Tree, key: impl Into<Vec<u8>>) {
        self.ops.push(Op::Delete { tree, key: key.into() });
    }

    /// Sets single bytes (offset, byte) of a value of `len` bytes in a vital tree; a new value starts as zeros.
    pub fn patch(&mut self, tree: Tree, key: impl Into<Vec<u8>>, len: u16, bytes: Vec<(u16, u8)>) {
        self.ops.push(Op::Patch { tree, key: key.into(), len, bytes });
    }

    /// Adds an entry to a log of which at least the newest `keep` entries are kept.
    pub fn append(&mut self, log: impl Into<Vec<u8>>, keep: u32, entry: impl Into<Vec<u8>>) {
        self.ops.push(Op::Append { log: log.into(), keep, entry: entry.into() });
    }

    /// Whether it does nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Its bytes in the journal; none for a batch that does nothing.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        for op in &self.ops {
            match op {
                Op::Put { tree, key, value } => {
                    out.extend([b'p', tree.tag()]);
                    put_bytes(&mut out, key);
                    put_bytes(&mut out, value);
                }
                Op::Delete { tree, key } => {
                    out.extend([b'd', tree.tag()]);
                    put_bytes(&mut out, key);
                }
                Op::Patch { tree, key, len, bytes } => {
                    out.extend([b'b', tree.tag()]);
                    put_bytes(&mut out, key);
                    put_number(&mut out, u64::from(*len));
                    put_number(&mut out, bytes.len() as u64);
                    for (offset, byte) in bytes {
                        put_number(&mut out, u64::from(*offset));
                        out.push(*byte);
                    }
                }
                Op::Append { log, keep, entry } => {
                    out.push(b'a');
                    put_bytes(&mut out, log);
                    put_number(&mut out, u64::from(*keep));
                    put_bytes(&mut out, entry);
                }
            }
        }
        out
    }

    /// Reads what `encode` wrote; `None` when it is anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut batch = Self::default();
        while !reader.is_empty() {
            batch.ops.push(decode_op(&mut reader)?);
        }
        Some(batch)
    }
}

fn decode_op(reader: &mut Reader<'_>) -> Option<Op> {
    let kind = reader.byte()?;
    if kind == b'a' {
        let log = reader.bytes()?.to_vec();
        let keep = u32::try_from(reader.number()?).ok()?;
        return Some(Op::Append { log, keep, entry: reader.bytes()?.to_vec() });
    }
    let tree = Tree::from_tag(reader.byte()?)?;
    let key = reader.bytes()?.to_vec();
    match kind {
        b'p' => Some(Op::Put { tree, key, value: reader.bytes()?.to_vec() }),
        b'd' => Some(Op::Delete { tree, key }),
        b'b' => {
            let len = u16::try_from(reader.number()?).ok()?;
            let mut bytes = Vec::new();
            for _ in 0..reader.number()? {
                bytes.push((u16::try_from(reader.number()?).ok()?, reader.byte()?));
            }
            Some(Op::Patch { tree, key, len, bytes })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::model::batches;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(batch in batches()) {
            prop_assert_eq!(Batch::decode(&batch.encode()), Some(batch));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Batch::decode(&bytes); // not panicking is the point
        }

        #[test]
        fn a_batch_cut_short_is_never_read_as_itself(batch in batches(), cut in any::<prop::sample::Index>()) {
            let bytes = batch.encode();
            prop_assume!(!bytes.is_empty());
            let cut = cut.index(bytes.len());
            prop_assert_ne!(Batch::decode(&bytes[..cut]), Some(batch));
        }
    }
}
