//! The log of deeds: who did what, from where, when. The last thousand are kept over restarts; levels are not among them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::entry::Entry;
use super::stored;
use crate::kit::clock;
use crate::store::Store;

/// How many are kept.
pub const MOST: usize = 1000;

/// The same refusal of the same client is noted once in this time.
const ONCE_IN: Duration = Duration::from_secs(60);

/// Refusals that are remembered for that; beyond, the oldest is forgotten.
const REMEMBERED: usize = 100;

/// Longest text, in characters.
const CHARS: usize = 200;

/// The log.
pub(super) struct Audit {
    log: Mutex<Log>,
    store: Store,
}

struct Log {
    entries: VecDeque<Entry>,
    /// Of the next one.
    number: u64,
    refusals: VecDeque<(Instant, Entry)>,
}

impl Audit {
    pub(super) fn open(store: Store) -> Self {
        let (entries, number) = stored::entries(&store);
        Self { log: Mutex::new(Log { entries, number, refusals: VecDeque::new() }), store }
    }

    /// Newest first.
    pub(super) fn last(&self, limit: usize) -> Vec<Entry> {
        self.log.lock().entries.iter().rev().take(limit).cloned().collect()
    }

    /// Notes a deed, or a refusal, unless the same was noted a moment ago.
    pub(super) fn note(&self, who: &str, what: &str, from: Option<IpAddr>, refused: bool) {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(CHARS).collect::<String>();
        let address = from.map(|from| from.to_string());
        let entry = Entry { ts: clock::now_ms(), who: short(who), what: short(what), address, refused };
        let mut log = self.log.lock();
        if refused && log.was_noted(&entry, Instant::now()) {
            return;
        }
        let (number, last) = (log.number, log.number.checked_sub(MOST as u64));
        log.number += 1;
        log.entries.push_back(entry.clone());
        if log.entries.len() > MOST {
            log.entries.pop_front();
        }
        self.store.enqueue(stored::noted(number, &entry, last), || {});
        drop(log);
        self.store.release();
    }
}

impl Log {
    fn was_noted(&mut self, entry: &Entry, now: Instant) -> bool {
        self.refusals.retain(|(at, _)| now.duration_since(*at) < ONCE_IN);
        let same =
            |noted: &Entry| (&noted.who, &noted.what, &noted.address) == (&entry.who, &entry.what, &entry.address);
        if self.refusals.iter().any(|(_, noted)| same(noted)) || self.refusals.len() >= REMEMBERED {
            return true; // in a flood of different ones the first hundred of a minute say enough
        }
        self.refusals.push_back((now, entry.clone()));
        false
    }
}
