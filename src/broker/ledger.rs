//! How far behind each subscriber is, pure: the bytes that went into each filter's log, and how far each of its subscribers
//! has read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::topic::Filter;

/// A subscriber lags if it has not read this many bytes of its filter: half of what the filter's log in the router holds, so
/// that there is time to slow publishers before anything is lost.
pub(super) const LAG_BYTES: u64 = 512 << 10;

/// Bytes of a filter between two checks of its subscribers, and between two marks.
const STEP: u64 = 64 << 10;

/// Marks of one filter; together they reach further back than `LAG_BYTES`.
const MARKS: usize = (LAG_BYTES / STEP) as usize + 2;

/// How far one subscription has read its filter's log.
#[derive(Debug)]
pub(super) struct Place {
    filter: Filter,
    account: u64,
    /// Bytes published up to the last message it took.
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

    /// It took a message; this many bytes had been published by then.
    pub(super) fn took(&self, passed: u64) {
        self.taken.fetch_max(passed, Ordering::Relaxed);
    }

    /// Whether it has lagged and not caught up since.
    pub(super) fn lags(&self) -> bool {
        self.lags.load(Ordering::Relaxed)
    }
}

/// A moment: bytes published in all, and bytes of this filter.
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
    /// Whether it is time to check the subscribers.
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

    /// Bytes that a subscriber has not read, to within a step; one from before the oldest mark has at least those since then.
    fn behind(&self, place: &Place) -> u64 {
        let taken = place.taken.load(Ordering::Relaxed);
        let next = self.marks.partition_point(|mark| mark.passed <= taken);
        self.marks.get(next.saturating_sub(1)).map_or(0, |mark| self.total - mark.total)
    }
}

/// The filters, level by level: a topic costs as much as it has levels and filters that match it.
#[derive(Debug, Default)]
struct Level {
    /// Wildcards are stored under their own names.
    below: HashMap<Box<str>, Level>,
    account: Option<u64>,
}

impl Level {
    fn put(&mut self, filter: &Filter, account: u64) {
        let mut level = self;
        for name in filter.as_str().split('/') {
            level = level.below.entry(name.into()).or_default();
        }
        level.account = Some(account);
    }

    /// Removes a filter; true when nothing is left here. Recurses as deep as filters may be.
    fn remove(&mut self, rest: Option<&str>) -> bool {
        let Some(rest) = rest else {
            self.account = None;
            return self.below.is_empty();
        };
        let (name, rest) = split(rest);
        if self.below.get_mut(name).is_some_and(|below| below.remove(rest)) {
            self.below.remove(name);
        }
        self.account.is_none() && self.below.is_empty()
    }

    /// Every account that a topic matches, as the router matches it. Recurses as deep as filters may be.
    fn matching(&self, rest: Option<&str>, found: &mut dyn FnMut(u64)) {
        if let Some(all) = self.below.get("#").and_then(|all| all.account) {
            found(all);
        }
        match rest {
            None => self.account.into_iter().for_each(found),
            Some(rest) => {
                let (name, rest) = split(rest);
                for name in [name, "+"] {
                    if let Some(below) = self.below.get(name) {
                        below.matching(rest, found);
                    }
                }
            }
        }
    }
}

/// The first level of a topic or filter, and the rest.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(name, rest)| (name, Some(rest)))
}

/// Every filter of any session.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: HashMap<u64, Account>,
    last: u64,
    by_filter: HashMap<String, u64>,
    levels: Level,
}

impl Ledger {
    /// Different filters.
    pub(super) fn filters(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn has(&self, filter: &Filter) -> bool {
        self.by_filter.contains_key(filter.as_str())
    }

    /// Whether any filter matches this topic.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        let mut heard = false;
        self.levels.matching(Some(topic), &mut |_| heard = true);
        heard
    }

    /// Adds a subscription, after this many bytes published.
    pub(super) fn enter(&mut self, filter: &Filter, passed: u64) -> Arc<Place> {
        let id = *self.by_filter.entry(filter.as_str().to_owned()).or_insert_with(|| {
            self.last += 1;
            self.levels.put(filter, self.last);
            self.last
        });
        let account = self.accounts.entry(id).or_insert_with(|| Account {
            total: 0,
            marks: VecDeque::from([Mark { passed, total: 0 }]),
            places: Vec::new(),
        });
        let place = Arc::new(Place::new(filter.clone(), id, passed));
        account.places.push(place.clone());
        place
    }

    /// Ends a subscription; true if it lagged.
    pub(super) fn leave(&mut self, place: &Arc<Place>) -> bool {
        if let Some(account) = self.accounts.get_mut(&place.account) {
            account.places.retain(|known| !Arc::ptr_eq(known, place));
            if account.places.is_empty() {
                self.accounts.remove(&place.account);
                self.by_filter.remove(place.filter.as_str());
                self.levels.remove(Some(place.filter.as_str()));
            }
        }
        place.lags.swap(false, Ordering::Relaxed)
    }

    /// Records a message, with the bytes published including it. Gives the number of subscriptions that lag from now
    /// on.
    pub(super) fn add(&mut self, topic: &str, bytes: u64, passed: u64) -> usize {
        let (accounts, mut lag) = (&mut self.accounts, 0);
        self.levels.matching(Some(topic), &mut |id| {
            if let Some(account) = accounts.get_mut(&id)
                && account.add(bytes, passed)
            {
                for place in &account.places {
                    lag += usize::from(account.behind(place) >= LAG_BYTES && !place.lags.swap(true, Ordering::Relaxed));
                }
            }
        });
        lag
    }

    /// Whether a subscription that lags is waiting for this topic.
    pub(super) fn lags(&self, topic: &str) -> bool {
        let mut lags = false;
        self.levels.matching(Some(topic), &mut |id| {
            lags |= self.accounts.get(&id).is_some_and(|account| account.places.iter().any(|place| place.lags()));
        });
        lags
    }

    /// Whether a subscription that lagged has caught up; if so, it no longer counts as lagging.
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
        assert!(ledger.lags("loud/a") && ledger.lags("loud/b") && !ledger.lags("quiet"));
        deaf.took(passed - 400 * 1024);
        assert!(!ledger.caught_up(&deaf) && deaf.lags());
        deaf.took(passed - 100 * 1024);
        assert!(ledger.caught_up(&deaf) && !deaf.lags());
        assert!(!ledger.caught_up(&deaf), "told once");
        assert!(!ledger.leave(&deaf) && !ledger.leave(&keen) && !ledger.leave(&quiet));
        assert_eq!((ledger.filters(), ledger.by_filter.len(), ledger.levels.below.len()), (0, 0, 0));
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
        /// Against plain sums: exact to two steps and a message, whatever is subscribed to when.
        #[test]
        fn it_agrees_with_a_plain_sum(
            steps in prop::collection::vec((0..5usize, 0..4usize, 1..32_000u64, 0..20u8), 1..200),
        ) {
            const FILTERS: [&str; 5] = ["a", "b", "+", "#", "c/#"];
            const TOPICS: [&str; 4] = ["a", "b", "c/d", "$x"];
            const SLACK: u64 = 32_000 + 2 * STEP;
            let mut ledger = Ledger::default();
            let mut places: Vec<(Arc<Place>, u64)> = Vec::new();
            let mut passed = 0;
            for (who, topic, bytes, what) in steps {
                if places.len() < FILTERS.len() {
                    places.push((ledger.enter(&filter(FILTERS[places.len()]), passed), 0));
                }
                passed += bytes;
                ledger.add(TOPICS[topic], bytes, passed);
                for (place, behind) in &mut places {
                    *behind += if place.filter().matches_in_router(TOPICS[topic]) { bytes } else { 0 };
                }
                let reader = who % places.len();
                if what == 0 {
                    places[reader].0.took(passed);
                    ledger.caught_up(&places[reader].0);
                    places[reader].1 = 0;
                } else if what == 1 {
                    let gone = places.remove(reader);
                    ledger.leave(&gone.0);
                }
                for (place, behind) in &places {
                    prop_assert!(!place.lags() || *behind + SLACK >= LAG_BYTES, "{behind} of {place:?}");
                    prop_assert!(place.lags() || *behind < LAG_BYTES + SLACK, "{behind} of {place:?}");
                }
            }
        }

        /// The tree finds what the filter itself says.
        #[test]
        fn it_matches_as_the_filters_do(
            filters in prop::collection::btree_set("([ab+]{0,1}/){0,3}([ab+#]|)", 1..8),
            topic in "\\$?([ab]?/){0,3}[ab]?",
        ) {
            prop_assume!(!topic.is_empty());
            let mut levels = Level::default();
            let filters: Vec<_> = filters.iter().filter_map(|text| Filter::new(text)).collect();
            filters.iter().enumerate().for_each(|(id, filter)| levels.put(filter, id as u64));
            let mut found = Vec::new();
            levels.matching(Some(&topic), &mut |id| found.push(id));
            found.sort();
            let all = filters.iter().enumerate();
            let expected: Vec<_> = all.filter(|(_, f)| f.matches_in_router(&topic)).map(|(id, _)| id as u64).collect();
            prop_assert_eq!(found, expected);
            for filter in &filters {
                levels.remove(Some(filter.as_str()));
            }
            prop_assert!(levels.below.is_empty());
        }
    }
}
