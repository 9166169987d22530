//! Counts the stored values that are not read, so that one short account of each tree is enough, however many there are.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::hash::{Hash, Hasher};

use parking_lot::Mutex;

use super::batch::Tree;

/// Most of a key that is said: clients choose topics and names of 64 KiB.
const KEY_CHARS: usize = 64;

/// The values that were refused, by problem and tree.
#[derive(Default)]
pub(super) struct Refused(Mutex<BTreeMap<(&'static str, Tree), Account>>);

#[derive(Default)]
struct Account {
    /// What is said of the first one.
    first: String,
    /// All keys, as hashes.
    keys: HashSet<u64>,
}

impl Refused {
    /// Counts a value: how many there are in its tree now, and what to say of them. `None`: it is counted already.
    pub(super) fn count(
        &self,
        code: &'static str,
        tree: Tree,
        key: &[u8],
        why: impl Display,
    ) -> Option<(usize, String)> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let mut accounts = self.0.lock();
        let Account { first, keys } = accounts.entry((code, tree)).or_default();
        if !keys.insert(hasher.finish()) {
            return None;
        }
        if keys.len() == 1 {
            *first = format!("{} {why}", short(key));
            return Some((1, first.clone()));
        }
        Some((keys.len(), format!("{first} (like {} more of {})", keys.len() - 1, tree.whose())))
    }
}

/// A key for people.
fn short(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key.get(..4 * KEY_CHARS).unwrap_or(key)).replace(char::is_control, " ");
    match key.char_indices().nth(KEY_CHARS) {
        Some((end, _)) => format!("{}…", key.get(..end).unwrap_or_default()),
        None => key,
    }
}
