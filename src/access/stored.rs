//! Users, panels, the lock and the log of deeds in the store.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::table::{Panel, Table, User};
use crate::store::{Batch, Store, Tree};

/// Format of every value here.
const FORMAT: u8 = 1;

const LOCK: &str = "lock";
const CODE: &str = "code";

/// A value with its format number.
#[derive(Serialize)]
struct Numbered<'a, T> {
    v: u8,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Serialize, Deserialize)]
struct Lock {
    locked: bool,
}

#[derive(Serialize, Deserialize)]
struct Code {
    code: String,
}

fn put<T: Serialize>(batch: &mut Batch, key: impl Into<Vec<u8>>, value: &T) {
    // structs with text keys alone never fail to serialise
    batch.put(Tree::Access, key, serde_json::to_vec(&Numbered { v: FORMAT, value }).unwrap_or_default());
}

fn all<T: DeserializeOwned>(store: &Store, prefix: &str) -> Vec<T> {
    let found = store.scan(Tree::Access, prefix.as_bytes()).into_iter();
    found.filter_map(|(key, value)| store.parse(Tree::Access, &key, &value, FORMAT)).collect()
}

pub(super) fn table(store: &Store) -> Table {
    let lock: Option<Lock> = store.value(Tree::Access, LOCK.as_bytes(), FORMAT);
    Table::new(all(store, "user/"), all(store, "panel/"), lock.is_some_and(|lock| lock.locked))
}

pub(super) fn user(user: &User) -> Batch {
    let mut batch = Batch::default();
    put(&mut batch, format!("user/{}", user.id), user);
    batch
}

pub(super) fn no_user(id: &str) -> Batch {
    let mut batch = Batch::default();
    batch.delete(Tree::Access, format!("user/{id}"));
    batch
}

pub(super) fn panel(panel: &Panel) -> Batch {
    let mut batch = Batch::default();
    put(&mut batch, format!("panel/{}", panel.id), panel);
    batch
}

pub(super) fn no_panel(id: &str) -> Batch {
    let mut batch = Batch::default();
    batch.delete(Tree::Access, format!("panel/{id}"));
    batch
}

pub(super) fn lock(batch: &mut Batch, locked: bool) {
    put(batch, LOCK, &Lock { locked });
}

pub(super) fn code(store: &Store) -> Option<String> {
    store.value::<Code>(Tree::Access, CODE.as_bytes(), FORMAT).map(|code| code.code)
}

pub(super) fn new_code(code: &str) -> Batch {
    let mut batch = Batch::default();
    put(&mut batch, CODE, &Code { code: code.to_owned() });
    batch
}

fn number(key: &[u8]) -> Option<u64> {
    std::str::from_utf8(key).ok()?.strip_prefix("deed/")?.parse().ok()
}

/// The log, oldest first, and the number of the next entry.
pub(super) fn entries(store: &Store) -> (VecDeque<Entry>, u64) {
    let found = store.scan(Tree::Access, b"deed/");
    let next = found.last().and_then(|(key, _)| number(key)).map_or(0, |last| last + 1);
    let entries = found.iter().filter_map(|(key, value)| store.parse(Tree::Access, key, value, FORMAT)).collect();
    (entries, next)
}

/// Keys are in the order of their numbers. `last` is the one that has to go.
pub(super) fn noted(number: u64, entry: &Entry, last: Option<u64>) -> Batch {
    let key = |number: u64| format!("deed/{number:020}");
    let mut batch = Batch::default();
    put(&mut batch, key(number), entry);
    if let Some(last) = last {
        batch.delete(Tree::Access, key(last));
    }
    batch
}
