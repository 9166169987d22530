//! Users, panels, the lock and the log of deeds in the store.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::password::Password;
use super::table::{Panel, Table, User};
use crate::store::{Batch, Store, Tree};

/// Format of every value here.
const FORMAT: u8 = 1;

const LOCK: &str = "lock";
const OWNER: &str = "owner";

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
struct Owner {
    mark: Password,
}

fn put<T: Serialize>(batch: &mut Batch, key: impl Into<Vec<u8>>, value: &T) {
    // structs with text keys alone never fail to serialise
    batch.put(Tree::Access, key, serde_json::to_vec(&Numbered { v: FORMAT, value }).unwrap_or_default());
}

fn all<T: DeserializeOwned>(store: &Store, prefix: &str) -> Vec<T> {
    let found = store.scan(Tree::Access, prefix.as_bytes()).into_iter();
    found.filter_map(|(key, value)| store.parse(Tree::Access, &key, &value, FORMAT)).collect()
}

/// Users and panels.
pub(super) fn table(store: &Store) -> Table {
    Table::new(all(store, "user/"), all(store, "panel/"))
}

/// Whether it is locked; `None`: nobody has ever said, or that is lost.
pub(super) fn is_locked(store: &Store) -> Option<bool> {
    store.value::<Lock>(Tree::Access, LOCK.as_bytes(), FORMAT).map(|lock| lock.locked)
}

pub(super) fn user(user: &User) -> Batch {
    let mut batch = Batch::default();
    put(&mut batch, format!("user/{}", user.id), user);
    batch
}

pub(super) fn no_user(id: &str) -> Batch {
    let mut batch = Batch::default();
    remove_user(&mut batch, id);
    batch
}

pub(super) fn remove_user(batch: &mut Batch, id: &str) {
    batch.delete(Tree::Access, format!("user/{id}"));
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

/// Everything of one table in the place of another's; the code and the log of deeds stay.
pub(super) fn replaced(old: &Table, new: &Table) -> Batch {
    let mut batch = Batch::default();
    for id in old.users.keys().filter(|id| !new.users.contains_key(*id)) {
        batch.delete(Tree::Access, format!("user/{id}"));
    }
    for id in old.panels.keys().filter(|id| !new.panels.contains_key(*id)) {
        batch.delete(Tree::Access, format!("panel/{id}"));
    }
    new.users.values().for_each(|user| put(&mut batch, format!("user/{}", user.id), user));
    new.panels.values().for_each(|panel| put(&mut batch, format!("panel/{}", panel.id), panel));
    lock(&mut batch, new.locked);
    batch
}

pub(super) fn lock(batch: &mut Batch, locked: bool) {
    put(batch, LOCK, &Lock { locked });
}

/// The name and PIN of the settings that were made a user, worked out.
pub(super) fn owner(store: &Store) -> Option<Password> {
    store.value::<Owner>(Tree::Access, OWNER.as_bytes(), FORMAT).map(|owner| owner.mark)
}

pub(super) fn put_owner(batch: &mut Batch, mark: &Password) {
    put(batch, OWNER, &Owner { mark: mark.clone() });
}

fn number(key: &[u8]) -> Option<u64> {
    std::str::from_utf8(key).ok()?.strip_prefix("deed/")?.parse().ok()
}

/// The log by number, oldest first.
pub(super) fn entries(store: &Store) -> Vec<(u64, Entry)> {
    let found = store.scan(Tree::Access, b"deed/").into_iter();
    found.filter_map(|(key, value)| Some((number(&key)?, store.parse(Tree::Access, &key, &value, FORMAT)?))).collect()
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
