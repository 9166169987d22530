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

/// Of these, refusals: a flood of them leaves the deeds there.
const REFUSALS: usize = 200;

/// The same by the same client is noted once in this time.
const ONCE_IN: Duration = Duration::from_secs(60);

/// What is remembered for that, of deeds and of refusals; of more refusals than that none is noted.
const REMEMBERED: usize = 100;

/// Longest text, in characters.
const CHARS: usize = 200;

/// The log.
pub(super) struct Audit {
    log: Mutex<Log>,
    store: Store,
}

struct Log {
    /// By number.
    deeds: VecDeque<(u64, Entry)>,
    refusals: VecDeque<(u64, Entry)>,
    /// Of the next one.
    number: u64,
    /// What was noted a moment ago.
    recent: VecDeque<(Instant, Entry)>,
}

impl Audit {
    pub(super) fn open(store: Store) -> Self {
        let found = stored::entries(&store);
        let number = found.last().map_or(0, |(last, _)| last + 1);
        let (refusals, deeds) = found.into_iter().partition(|(_, entry)| entry.refused);
        Self { log: Mutex::new(Log { deeds, refusals, number, recent: VecDeque::new() }), store }
    }

    /// Newest first.
    pub(super) fn last(&self, limit: usize) -> Vec<Entry> {
        let log = self.log.lock();
        let mut all: Vec<_> = log.deeds.iter().chain(&log.refusals).collect();
        all.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        all.into_iter().take(limit).map(|(_, entry)| entry.clone()).collect()
    }

    /// Notes a deed, or a refusal, unless the same was noted a moment ago.
    pub(super) fn note(&self, who: &str, what: &str, from: Option<IpAddr>, refused: bool) {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(CHARS).collect::<String>();
        let address = from.map(|from| from.to_string());
        let entry = Entry { ts: clock::now_ms(), who: short(who), what: short(what), address, refused };
        let mut log = self.log.lock();
        if log.was_noted(&entry, Instant::now()) {
            return;
        }
        let number = log.number;
        log.number += 1;
        let (kind, most) = if refused { (&mut log.refusals, REFUSALS) } else { (&mut log.deeds, MOST - REFUSALS) };
        kind.push_back((number, entry.clone()));
        let last = if kind.len() > most { kind.pop_front().map(|(last, _)| last) } else { None };
        self.store.enqueue(stored::noted(number, &entry, last), || {});
        drop(log);
        self.store.release();
    }
}

impl Log {
    fn was_noted(&mut self, entry: &Entry, now: Instant) -> bool {
        self.recent.retain(|(at, _)| now.duration_since(*at) < ONCE_IN);
        let same = |noted: &Entry| {
            (&noted.who, &noted.what, &noted.address, noted.refused)
                == (&entry.who, &entry.what, &entry.address, entry.refused)
        };
        let alike = self.recent.iter().filter(|(_, noted)| noted.refused == entry.refused).count();
        if self.recent.iter().any(|(_, noted)| same(noted)) || (entry.refused && alike >= REMEMBERED) {
            return true; // in a flood of different ones the first hundred of a minute say enough
        }
        if alike >= REMEMBERED
            && let Some(oldest) = self.recent.iter().position(|(_, noted)| noted.refused == entry.refused)
        {
            self.recent.remove(oldest);
        }
        self.recent.push_back((now, entry.clone()));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: &str, refused: bool) -> Entry {
        Entry { ts: 1, who: "a".into(), what: what.into(), address: None, refused }
    }

    #[test]
    fn the_same_is_noted_once_a_minute_and_a_flood_of_refusals_ends() {
        let mut log = Log { deeds: VecDeque::new(), refusals: VecDeque::new(), number: 0, recent: VecDeque::new() };
        let now = Instant::now();
        for refused in [false, true] {
            assert!(!log.was_noted(&entry("x", refused), now) && log.was_noted(&entry("x", refused), now));
            assert!(!log.was_noted(&entry("x", refused), now + ONCE_IN));
        }
        let later = now + ONCE_IN * 3;
        let noted = |log: &mut Log, refused| {
            (0..1_000).filter(|n| !log.was_noted(&entry(&n.to_string(), refused), later)).count()
        };
        assert_eq!((noted(&mut log, true), noted(&mut log, false)), (REMEMBERED, 1_000));
        assert!(log.recent.len() <= 2 * REMEMBERED);
    }
}
