//! A store as simple as can be, to hold the real one against, and the batches to do it with.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::store::batch::{Batch, Op, Tree};

/// Two vital ones, and two others.
const TREES: [Tree; 4] = [Tree::Light, Tree::Levels, Tree::Retained, Tree::Messages];

fn tree() -> impl Strategy<Value = Tree> {
    prop::sample::select(&TREES[..])
}

fn vital() -> impl Strategy<Value = Tree> {
    prop::sample::select(&TREES[..2])
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(97u8..100, 0..3)
}

fn op() -> impl Strategy<Value = Op> {
    let value = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (tree(), key(), value()).prop_map(|(tree, key, value)| Op::Put { tree, key, value }),
        (tree(), key()).prop_map(|(tree, key)| Op::Delete { tree, key }),
        (vital(), key(), prop::collection::vec((0u16..8, any::<u8>()), 0..4))
            .prop_map(|(tree, key, bytes)| Op::Patch { tree, key, len: 8, bytes }),
        (key(), value()).prop_map(|(log, entry)| Op::Append { log, keep: 5, entry }),
    ]
}

pub(in crate::store) fn batches() -> impl Strategy<Value = Batch> {
    prop::collection::vec(op(), 0..5).prop_map(|ops| Batch { ops })
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    values: BTreeMap<(Tree, Vec<u8>), Vec<u8>>,
    logs: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
}

impl Model {
    pub(super) fn apply(&mut self, batch: &Batch) {
        for op in batch.ops.iter().cloned() {
            match op {
                Op::Put { tree, key, value } => drop(self.values.insert((tree, key), value)),
                Op::Delete { tree, key } => drop(self.values.remove(&(tree, key))),
                Op::Patch { tree, key, len, bytes } => {
                    let value = self.values.entry((tree, key)).or_default();
                    value.resize(usize::from(len), 0);
                    bytes.into_iter().for_each(|(at, byte)| value[usize::from(at)] = byte);
                }
                Op::Append { log, entry, .. } => self.logs.entry(log).or_default().push(entry),
            }
        }
    }

    /// Every read of the store gives what the model holds; of logs, at least the newest five and nothing else.
    pub(super) fn assert_same(&self, store: &crate::store::Store) {
        for tree in TREES {
            for prefix in [&b""[..], b"a", b"bc"] {
                let mine: Vec<_> = self
                    .values
                    .iter()
                    .filter(|((t, k), _)| *t == tree && k.starts_with(prefix))
                    .map(|((_, k), v)| (k.clone(), v.clone()))
                    .collect();
                assert_eq!(store.scan(tree, prefix), mine, "{tree:?} {prefix:?}");
            }
        }
        for ((tree, key), value) in &self.values {
            assert_eq!(store.get(*tree, key).as_ref(), Some(value));
        }
        for (name, entries) in &self.logs {
            let log = store.log(name);
            assert!(log.len() >= entries.len().min(5), "{log:?} of {entries:?}");
            assert!(entries.ends_with(&log), "{log:?} of {entries:?}");
        }
    }
}
