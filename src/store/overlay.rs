//! Everything newer than the database, pure: values, tombstones and entries of logs, in layers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::batch::{Batch, Op, Tree};
use super::wire::{Reader, put_bytes, put_number};

/// A key and the table it is in.
pub(super) type Key = (Tree, Vec<u8>);

/// The vital trees, as a whole.
pub(super) type Light = BTreeMap<Key, Vec<u8>>;

/// Entries of one log, oldest first, each with the number of its batch; numbers only rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) keep: u32,
    pub(super) entries: VecDeque<(u64, Vec<u8>)>,
}

impl Log {
    /// Adds entries of a newer layer; those in both (by number) count once. A layer holds whole batches.
    pub(super) fn absorb(&mut self, newer: Self) {
        let last = self.entries.back().map(|(number, _)| *number);
        self.entries.extend(newer.entries.into_iter().filter(|(number, _)| Some(*number) > last));
        self.keep = newer.keep;
        self.trim();
    }

    fn trim(&mut self) {
        let spare = self.entries.len().saturating_sub(self.keep as usize);
        self.entries.drain(..spare);
    }
}

/// One layer: `None` = deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlay {
    pub(super) values: BTreeMap<Key, Option<Vec<u8>>>,
    pub(super) logs: BTreeMap<Vec<u8>, Log>,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.logs.is_empty()
    }

    /// Whether nothing is in it but what is soon deleted again.
    pub(super) fn has_only_messages(&self) -> bool {
        // the keys are in order of trees, and these are the last ones
        self.logs.is_empty() && self.values.keys().next().is_none_or(|(tree, _)| *tree >= Tree::Messages)
    }

    fn last_message(&self) -> Option<&Vec<u8>> {
        let messages = (Tree::Messages, Vec::new())..(Tree::Deliveries, Vec::new());
        self.values.range(messages).next_back().map(|((_, key), _)| key)
    }

    /// Bytes of keys and values.
    pub(super) fn size(&self) -> u64 {
        let values = self.values.iter().map(|((_, key), value)| key.len() + value.as_ref().map_or(0, Vec::len));
        let entries = self.logs.values().flat_map(|log| &log.entries).map(|(_, entry)| entry.len());
        values.chain(entries).sum::<usize>() as u64
    }

    /// Lays a newer layer over this one.
    pub(super) fn absorb(&mut self, newer: Self) {
        self.values.extend(newer.values);
        for (name, log) in newer.logs {
            self.logs.entry(name).or_default().absorb(log);
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (key, value) in &self.values {
            encode_value(out, key, value.as_deref());
        }
        for (name, log) in &self.logs {
            encode_log(out, name, log);
        }
    }

    /// Reads what `encode` wrote; `None` when it is anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut overlay = Self::default();
        while !reader.is_empty() {
            match reader.byte()? {
                b'l' => {
                    let name = reader.bytes()?.to_vec();
                    overlay.logs.insert(name, decode_log(&mut reader)?);
                }
                kind => {
                    let key = (Tree::from_tag(reader.byte()?)?, reader.bytes()?.to_vec());
                    let value = match kind {
                        b'v' => Some(reader.bytes()?.to_vec()),
                        b'x' => None,
                        _ => return None,
                    };
                    overlay.values.insert(key, value);
                }
            }
        }
        Some(overlay)
    }
}

/// One value as `Overlay::encode` writes it.
pub(super) fn encode_value(out: &mut Vec<u8>, (tree, key): &Key, value: Option<&[u8]>) {
    out.extend([if value.is_some() { b'v' } else { b'x' }, tree.tag()]);
    put_bytes(out, key);
    if let Some(value) = value {
        put_bytes(out, value);
    }
}

fn encode_log(out: &mut Vec<u8>, name: &[u8], log: &Log) {
    out.push(b'l');
    put_bytes(out, name);
    put_number(out, u64::from(log.keep));
    put_number(out, log.entries.len() as u64);
    for (number, entry) in &log.entries {
        put_number(out, *number);
        put_bytes(out, entry);
    }
}

fn decode_log(reader: &mut Reader<'_>) -> Option<Log> {
    let mut log = Log { keep: u32::try_from(reader.number()?).ok()?, entries: VecDeque::new() };
    for _ in 0..reader.number()? {
        log.entries.push_back((reader.number()?, reader.bytes()?.to_vec()));
    }
    Some(log)
}

/// The layers over the database: the light (as a whole), the one that commits go to, and the one that a checkpoint writes.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) light: Light,
    pub(super) new: Overlay,
    pub(super) old: Option<Arc<Overlay>>,
    /// The highest message that was ever below `new`; `None` if nobody knows. Their numbers only rise, so that nearly all of
    /// `new` stand above it.
    pub(super) message_below: Option<Vec<u8>>,
}

/// What the layers know of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Value(Vec<u8>),
    Nothing,
    /// Ask the database.
    Below,
}

impl Layers {
    /// Applies a batch.
    pub(super) fn apply(&mut self, batch: Batch, number: u64) {
        for op in batch.ops {
            match op {
                Op::Put { tree, key, value } => self.set((tree, key), Some(value)),
                Op::Delete { tree, key } if self.is_only_here(tree, &key) => {
                    self.new.values.remove(&(tree, key));
                }
                Op::Delete { tree, key } => self.set((tree, key), None),
                Op::Patch { tree, key, len, bytes } => {
                    let mut value = match self.find(tree, &key) {
                        Lookup::Value(value) => value,
                        Lookup::Nothing | Lookup::Below => Vec::new(), // it is vital, thus never below
                    };
                    value.resize(usize::from(len), 0);
                    for (offset, byte) in bytes {
                        // an offset behind the end is the caller's mistake, and must not cost the rest
                        if let Some(at) = value.get_mut(usize::from(offset)) {
                            *at = byte;
                        }
                    }
                    self.set((tree, key), Some(value));
                }
                Op::Append { log, keep, entry } => {
                    let log = self.new.logs.entry(log).or_default();
                    log.keep = keep;
                    log.entries.push_back((number, entry));
                    log.trim();
                }
            }
        }
    }

    /// Whether it is a message that nothing below can have: deleted, it is as if it had never been.
    fn is_only_here(&self, tree: Tree, key: &[u8]) -> bool {
        tree == Tree::Messages && self.message_below.as_ref().is_some_and(|highest| key > highest.as_slice())
    }

    fn set(&mut self, key: Key, value: Option<Vec<u8>>) {
        if key.0.is_vital() {
            match &value {
                Some(value) => self.light.insert(key.clone(), value.clone()),
                None => self.light.remove(&key),
            };
        }
        self.new.values.insert(key, value);
    }

    /// Replaces the light as a whole.
    pub(super) fn set_light(&mut self, light: Light) {
        for key in std::mem::take(&mut self.light).into_keys() {
            self.new.values.insert(key, None);
        }
        for (key, value) in light {
            self.set(key, Some(value));
        }
    }

    /// Looks a key up.
    pub(super) fn find(&self, tree: Tree, key: &[u8]) -> Lookup {
        let key = (tree, key.to_vec());
        if tree.is_vital() {
            return self.light.get(&key).cloned().map_or(Lookup::Nothing, Lookup::Value);
        }
        let old = || self.old.as_ref().and_then(|old| old.values.get(&key));
        match self.new.values.get(&key).or_else(old) {
            Some(Some(value)) => Lookup::Value(value.clone()),
            Some(None) => Lookup::Nothing,
            None => Lookup::Below,
        }
    }

    /// What the layers know of the keys of a tree that start with `prefix`.
    pub(super) fn range(&self, tree: Tree, prefix: &[u8]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let start = (tree, prefix.to_vec());
        let inside = |key: &Key| key.0 == tree && key.1.starts_with(prefix);
        if tree.is_vital() {
            let light = self.light.range(start..).take_while(|(key, _)| inside(key));
            return light.map(|((_, key), value)| (key.clone(), Some(value.clone()))).collect();
        }
        let layers = self.old.as_deref().into_iter().chain([&self.new]);
        let values = layers.flat_map(|layer| layer.values.range(start.clone()..).take_while(|(key, _)| inside(key)));
        values.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }

    /// The entries of a log that are not in the database yet.
    pub(super) fn log(&self, name: &[u8]) -> Option<Log> {
        let layers = self.old.as_deref().into_iter().chain([&self.new]);
        layers.filter_map(|layer| layer.logs.get(name)).cloned().reduce(|mut older, newer| {
            older.absorb(newer);
            older
        })
    }

    /// Hands the layer of commits to a checkpoint, and starts an empty one.
    pub(super) fn rotate(&mut self) {
        let new = std::mem::take(&mut self.new);
        if let Some(highest) = &mut self.message_below
            && let Some(last) = new.last_message()
            && last > highest
        {
            highest.clone_from(last);
        }
        self.old = Some(match self.old.take() {
            None => Arc::new(new),
            // a checkpoint failed: its layer is written again together with this one
            Some(old) => {
                let mut both = Arc::unwrap_or_clone(old);
                both.absorb(new);
                Arc::new(both)
            }
        });
    }

    /// Everything newer than the database.
    pub(super) fn whole(&self) -> Overlay {
        let mut whole = self.old.as_deref().cloned().unwrap_or_default();
        whole.absorb(self.new.clone());
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_alone_are_known_and_nothing_else_is_taken_for_them() {
        let mut overlay = Overlay::default();
        assert!(overlay.has_only_messages(), "all of them may be gone again");
        for tree in [Tree::Messages, Tree::Deliveries] {
            overlay.values.insert((tree, vec![1]), None);
            assert!(overlay.has_only_messages());
        }
        overlay.values.insert((Tree::Letters, vec![9]), Some(vec![1]));
        assert!(!overlay.has_only_messages());
    }

    #[test]
    fn a_message_that_came_and_went_leaves_nothing_unless_something_below_may_have_it() {
        let (mut put, mut delete) = (Batch::default(), Batch::default());
        put.put(Tree::Messages, "5", "x");
        delete.delete(Tree::Messages, "5");
        let left = |below: Option<&str>, rotate: fn(&mut Layers)| {
            let mut layers = Layers { message_below: below.map(Into::into), ..Layers::default() };
            layers.apply(put.clone(), 1);
            rotate(&mut layers);
            layers.apply(delete.clone(), 2);
            let expected = if layers.new.is_empty() { Lookup::Below } else { Lookup::Nothing };
            assert_eq!(layers.find(Tree::Messages, b"5"), expected);
            !layers.new.is_empty()
        };
        assert!(!left(Some(""), |_| {}));
        assert!(!left(Some("4"), |_| {}));
        assert!(left(Some("5"), |_| {}), "an earlier one would be there again");
        assert!(left(Some("6"), |_| {}));
        assert!(left(None, |_| {}), "nobody knows");
        assert!(left(Some("4"), Layers::rotate), "it is being written to the database");
        let written = |layers: &mut Layers| {
            layers.rotate();
            layers.old = None;
        };
        assert!(left(Some("4"), written), "it is in the database");
        assert!(left(Some("6"), written), "it never falls");
    }
}
