//! What one change keeps: values, never increments, so that applying a batch twice is harmless.

/// The tables of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// Per project: `seq`, `ts`, source of its last change (JSON).
    Light,
    /// Per project and universe: 512 levels.
    Levels,
    /// Retained messages by topic.
    Retained,
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

/// What one change keeps; all of it or nothing survives.
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

    /// Sets single bytes (offset, byte) of a value of `len` bytes; a new value starts as zeros.
    pub fn patch(&mut self, tree: Tree, key: impl Into<Vec<u8>>, len: u16, bytes: Vec<(u16, u8)>) {
        self.ops.push(Op::Patch { tree, key: key.into(), len, bytes });
    }

    /// Adds an entry to a log of which at least the newest `keep` entries are kept.
    pub fn append(&mut self, log: impl Into<Vec<u8>>, keep: u32, entry: impl Into<Vec<u8>>) {
        self.ops.push(Op::Append { log: log.into(), keep, entry: entry.into() });
    }
}
