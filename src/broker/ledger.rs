//! How far each subscriber is behind, pure: the bytes that went into each filter's log, and up to where each of its
//! subscribers has read.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::topic::Filter;

/// A subscriber that has not read this many bytes of what its filter brought lags: half of what the filter's log holds in
/// the router, so that there is time to slow publishers before anything is lost.
pub(super) const LAG_BYTES: u64 = 512 << 10;

/// Bytes of a filter between two looks at its subscribers, and between two marks.
const STEP: u64 = 64 << 10;

/// Marks of one filter: they reach back further than `LAG_BYTES`.
const MARKS: usize = (LAG_BYTES / STEP) as usize + 2;

/// Topics whose wildcard filters are known; with more, all are looked for anew.
const TOPICS: usize = 4096;

/// Up to where one subscription has read its filter's log.
#[derive(Debug)]
pub(super) struct Place {
    filter: Filter,
    account: u64,
    /// Bytes that had passed through the broker with the last message it took.
    taken: AtomicU64,
    lags: AtomicBool,
}

impl Place {
    pub(super) fn new(filter: Filter, account: u64, passed: u64) -> Self {
        Self { filter, account, taken: AtomicU64::new(passed), lags: AtomicBool::new(false) }
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// It took a message; so many bytes had passed by then.
    pub(super) fn took(&self, passed: u64) {
        self.taken.fetch_max(passed, Ordering::Relaxed);
    }

    /// Whether it was found lagging and has not caught up since.
    pub(super) fn lags(&self) -> bool {
        self.lags.load(Ordering::Relaxed)
    }
}

/// At a moment: what had passed through the broker, and what of it through this filter.
#[derive(Clone, Copy, Debug)]
struct Mark {
    passed: u64,
    total: u64,
}

#[derive(Debug)]
struct Account {
    total: u64,
    marks: VecDeque<Mark>,
    places: Vec<Arc<Place>>,
}

impl Account {
    /// Whether it is time to look at the subscribers.
    fn add(&mut self, bytes: u64, passed: u64) -> bool {
        self.total += bytes;
        let due = self.marks.back().is_none_or(|last| self.total >= last.total + STEP);
        if due {
            if self.marks.len() == MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back(Mark { passed, total: self.total });
        }
        due
    }

    /// Bytes that a subscriber has not read, to a step; at least those since the oldest mark for one that stands before it.
    fn behind(&self, place: &Place) -> u64 {
        let taken = place.taken.load(Ordering::Relaxed);
        let next = self.marks.partition_point(|mark| mark.passed <= taken);
        self.marks.get(next.saturating_sub(1)).map_or(0, |mark| self.total - mark.total)
    }
}

/// Every filter that a session has.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: HashMap<u64, Account>,
    last: u64,
    by_filter: HashMap<String, u64>,
    wild: HashMap<u64, Filter>,
    /// By a topic's hash, the filters with wildcards that it matches.
    known: HashMap<u64, Box<[u64]>>,
    hasher: RandomState,
}

impl Ledger {
    /// Different filters.
    pub(super) fn filters(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn has(&self, filter: &Filter) -> bool {
        self.by_filter.contains_key(filter.as_str())
    }

    /// One more subscription; so many bytes have passed.
    pub(super) fn enter(&mut self, filter: &Filter, passed: u64) -> Arc<Place> {
        let id = *self.by_filter.entry(filter.as_str().to_owned()).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        let account = self.accounts.entry(id).or_insert_with(|| {
            if !filter.is_exact() {
                self.wild.insert(id, filter.clone());
                self.known.clear();
            }
            Account { total: 0, marks: VecDeque::from([Mark { passed, total: 0 }]), places: Vec::new() }
        });
        let place = Arc::new(Place::new(filter.clone(), id, passed));
        account.places.push(place.clone());
        place
    }

    /// A subscription has ended; true when it lagged.
    pub(super) fn leave(&mut self, place: &Arc<Place>) -> bool {
        if let Some(account) = self.accounts.get_mut(&place.account) {
            account.places.retain(|known| !Arc::ptr_eq(known, place));
            if account.places.is_empty() {
                self.accounts.remove(&place.account);
                self.by_filter.remove(place.filter.as_str());
                if self.wild.remove(&place.account).is_some() {
                    self.known.clear();
                }
            }
        }
        place.lags.swap(false, Ordering::Relaxed)
    }

    /// A message went into the logs, the last of so many bytes that have passed. Gives the number of subscriptions that
    /// lag since.
    pub(super) fn add(&mut self, topic: &str, bytes: u64, passed: u64) -> usize {
        let mut lag = 0;
        let mut add = |id: &u64| {
            if let Some(account) = self.accounts.get_mut(id)
                && account.add(bytes, passed)
            {
                for place in &account.places {
                    lag += usize::from(account.behind(place) >= LAG_BYTES && !place.lags.swap(true, Ordering::Relaxed));
                }
            }
        };
        if let Some(exact) = self.by_filter.get(topic) {
            add(exact);
        }
        if !self.wild.is_empty() {
            let hash = self.hasher.hash_one(topic);
            if self.known.len() >= TOPICS && !self.known.contains_key(&hash) {
                self.known.clear();
            }
            let matching = || self.wild.iter().filter(|(_, filter)| filter.matches(topic)).map(|(id, _)| *id).collect();
            self.known.entry(hash).or_insert_with(matching).iter().for_each(&mut add);
        }
        lag
    }

    /// Whether a subscription that lagged has caught up; it is not said to lag any more then.
    pub(super) fn caught_up(&self, place: &Place) -> bool {
        let behind = self.accounts.get(&place.account).map_or(0, |account| account.behind(place));
        behind < LAG_BYTES / 2 && place.lags.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    #[test]
    fn who_does_not_read_lags_until_it_has_caught_up_and_others_do_not() {
        let mut ledger = Ledger::default();
        let (deaf, keen) = (ledger.enter(&filter("loud/#"), 0), ledger.enter(&filter("loud/a"), 0));
        let quiet = ledger.enter(&filter("quiet"), 0);
        let mut passed = 0;
        let mut lagging_at = None;
        for n in 1..=1000 {
            passed += 1024;
            let lag = ledger.add("loud/a", 1024, passed);
            keen.took(passed);
            if lag > 0 {
                assert_eq!((lag, lagging_at.replace(n)), (1, None), "told once");
            }
        }
        let at = lagging_at.unwrap();
        assert!((512..=576).contains(&at), "{at}");
        assert!(deaf.lags() && !keen.lags() && !quiet.lags());
        deaf.took(passed - 400 * 1024);
        assert!(!ledger.caught_up(&deaf) && deaf.lags());
        deaf.took(passed - 100 * 1024);
        assert!(ledger.caught_up(&deaf) && !deaf.lags());
        assert!(!ledger.caught_up(&deaf), "told once");
        assert!(!ledger.leave(&deaf) && !ledger.leave(&keen) && !ledger.leave(&quiet));
        assert_eq!((ledger.filters(), ledger.wild.len(), ledger.by_filter.len()), (0, 0, 0));
    }

    #[test]
    fn one_that_ends_while_it_lags_is_told() {
        let mut ledger = Ledger::default();
        let deaf = ledger.enter(&filter("#"), 0);
        assert_eq!(ledger.add("t", 600 << 10, 600 << 10), 1);
        assert!(ledger.leave(&deaf));
    }

    #[test]
    fn what_passed_before_a_subscription_is_not_its_own() {
        let mut ledger = Ledger::default();
        let old = ledger.enter(&filter("t"), 0);
        ledger.add("t", 500 << 10, 500 << 10);
        let new = ledger.enter(&filter("t"), 500 << 10);
        assert_eq!(ledger.add("t", 100 << 10, 600 << 10), 1);
        assert!(old.lags() && !new.lags());
    }

    proptest! {
        /// Against plain sums: exact to two steps, whatever is subscribed to when.
        #[test]
        fn it_agrees_with_a_plain_sum(
            steps in prop::collection::vec((0..4usize, 0..3usize, 1..200_000u64, any::<bool>()), 1..80),
        ) {
            const FILTERS: [&str; 4] = ["a", "b", "+", "#"];
            const TOPICS: [&str; 3] = ["a", "b", "c/d"];
            let mut ledger = Ledger::default();
            let mut places: Vec<(Arc<Place>, u64)> = Vec::new();
            let mut passed = 0;
            for (who, topic, bytes, reads) in steps {
                if places.len() < FILTERS.len() {
                    places.push((ledger.enter(&filter(FILTERS[places.len()]), passed), 0));
                }
                passed += bytes;
                ledger.add(TOPICS[topic], bytes, passed);
                for (place, behind) in &mut places {
                    *behind += if place.filter().matches(TOPICS[topic]) { bytes } else { 0 };
                }
                let reader = who % places.len();
                if reads {
                    places[reader].0.took(passed);
                    ledger.caught_up(&places[reader].0);
                    places[reader].1 = 0;
                }
                for (place, behind) in &places {
                    let slack = 2 * 200_000 + STEP; // a message stands before or behind a mark as a whole
                    prop_assert!(!place.lags() || *behind + slack >= LAG_BYTES / 2, "{behind} of {place:?}");
                    prop_assert!(place.lags() || *behind < LAG_BYTES + slack, "{behind} of {place:?}");
                }
            }
        }
    }
}
