//! What the router owes, pure: every message that wildcards want, until it has come back by each of them.
//!
//! The router is handed references (topic and number), never more of them than its logs hold: so nothing is lost in it,
//! and whoever takes its place is handed again what it still owed.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::levels::WildcardId;

/// Bytes that may be on their way by one filter, as the router counts them: its log holds at least half as much again (see
/// `router::SEGMENT_BYTES`). A larger one goes alone.
const WINDOW: usize = 16 << 10;

/// A filter that a message is to come by.
#[derive(Clone, Copy, Debug)]
struct Coming {
    id: WildcardId,
    due: bool,
    /// It has.
    came: bool,
}

impl Coming {
    fn new(id: WildcardId, due: bool) -> Self {
        Self { id, due, came: false }
    }
}

/// One message.
#[derive(Debug)]
struct Entry<T> {
    number: u64,
    message: T,
    /// In the router's logs.
    size: usize,
    /// Here.
    bytes: usize,
    handed: Option<Instant>,
    /// By which filters it is to come, in order of their ids, and whether that is due. Not: it has come before, in the time
    /// of another router, or nobody waits for it.
    coming: Vec<Coming>,
    /// How many of them the router still brings it by.
    left: usize,
}

impl<T> Entry<T> {
    fn is_due(&self) -> bool {
        self.left > 0 && self.coming.iter().any(|coming| coming.due && !coming.came)
    }

    /// Where a filter stands.
    fn of(&self, id: WildcardId) -> Option<usize> {
        self.coming.binary_search_by_key(&id, |coming| coming.id).ok()
    }
}

/// All of them, in order of number.
#[derive(Debug)]
pub(super) struct Owed<T> {
    entries: VecDeque<Entry<T>>,
    /// Entries that were handed to the router: the first ones.
    handed: usize,
    bytes: usize,
    /// Bytes on their way, by filter.
    logs: HashMap<WildcardId, usize>,
}

impl<T> Default for Owed<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), handed: 0, bytes: 0, logs: HashMap::new() }
    }
}

impl<T> Owed<T> {
    /// A message that is to come by these filters: so many bytes in the router's logs, so many here.
    pub(super) fn push(&mut self, number: u64, message: T, (size, bytes): (usize, usize), filters: &[WildcardId]) {
        let bytes = bytes + size_of_val(filters) + filters.len() * size_of::<Coming>();
        self.bytes += bytes;
        let coming: Vec<_> = filters.iter().map(|id| Coming::new(*id, true)).collect();
        self.entries.push_back(Entry { number, message, size, bytes, handed: None, left: coming.len(), coming });
    }

    /// Bytes of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next one to hand to the router; `None` while its logs have no room, or there is none.
    pub(super) fn next(&self) -> Option<(u64, &T)> {
        let next = self.entries.get(self.handed)?;
        let fits = |coming: &Coming| {
            self.logs.get(&coming.id).is_none_or(|under_way| *under_way == 0 || under_way + next.size <= WINDOW)
        };
        next.coming.iter().all(fits).then_some((next.number, &next.message))
    }

    /// It was handed.
    pub(super) fn hand(&mut self, now: Instant) {
        let Some(next) = self.entries.get_mut(self.handed) else { return };
        next.handed = Some(now);
        for coming in &next.coming {
            *self.logs.entry(coming.id).or_default() += next.size;
        }
        self.handed += 1;
    }

    /// The message that has come by a filter, when it was owed; [`Owed::settle`] says that it was given.
    pub(super) fn came(&self, id: WildcardId, number: u64) -> Option<&T> {
        let entry = self.entries.get(self.place(number)?)?;
        let coming = entry.coming.get(entry.of(id)?)?;
        (coming.due && !coming.came).then_some(&entry.message)
    }

    fn place(&self, number: u64) -> Option<usize> {
        let place = self.entries.partition_point(|entry| entry.number < number);
        self.entries.get(place).filter(|entry| entry.number == number).map(|_| place)
    }

    /// A message came by a filter, and whoever is behind that has it.
    pub(super) fn settle(&mut self, id: WildcardId, number: u64) {
        if let Some(place) = self.place(number).filter(|place| *place < self.handed)
            && let Some(entry) = self.entries.get_mut(place)
            && let Some(at) = entry.of(id)
            && let Some(coming) = entry.coming.get_mut(at).filter(|coming| !coming.came)
        {
            coming.came = true;
            entry.left -= 1;
            if let Some(under_way) = self.logs.get_mut(&id) {
                *under_way -= entry.size;
            }
            self.tidy();
        }
    }

    /// The router has answered for a new filter: what it is handed from now on comes by that as well, to nobody.
    pub(super) fn begin(&mut self, id: WildcardId, matches: impl Fn(&T) -> bool) {
        for entry in self.entries.iter_mut().skip(self.handed).filter(|entry| matches(&entry.message)) {
            let at = entry.coming.partition_point(|coming| coming.id < id);
            entry.coming.insert(at, Coming::new(id, false));
            entry.left += 1;
        }
    }

    /// Nothing comes by these filters any more.
    pub(super) fn end(&mut self, mut ids: Vec<WildcardId>) {
        if ids.is_empty() {
            return;
        }
        ids.sort_unstable();
        for id in &ids {
            self.logs.remove(id);
        }
        let mut at = 0;
        let (handed, bytes) = (self.handed, &mut self.bytes);
        self.entries.retain_mut(|entry| {
            at += 1;
            entry.coming.retain(|coming| ids.binary_search(&coming.id).is_err());
            entry.left = entry.coming.iter().filter(|coming| !coming.came).count();
            // What was not handed need not be.
            let stays = at <= handed || entry.left > 0;
            *bytes -= if stays { 0 } else { entry.bytes };
            stays
        });
        self.tidy();
    }

    fn tidy(&mut self) {
        while let Some(first) = self.entries.front().filter(|first| self.handed > 0 && first.left == 0) {
            self.bytes -= first.bytes;
            self.handed -= 1;
            self.entries.pop_front();
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new(); // a burst leaves nothing behind
        }
    }

    /// Number of the first message that has not come by all its filters.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.iter().find(|entry| entry.is_due()).map(|entry| entry.number)
    }

    /// Whether something was handed so long ago and has not come.
    pub(super) fn is_late(&self, now: Instant, patience: Duration) -> bool {
        self.entries.front().and_then(|first| first.handed).is_some_and(|at| now.duration_since(at) > patience)
    }

    /// Another router: all is to be handed again. `filters` says by which it will bring a message; what has come by one of
    /// them already will not be given twice.
    pub(super) fn hand_again(&mut self, filters: impl Fn(&T) -> Vec<WildcardId>) {
        self.handed = 0;
        self.logs.clear();
        let bytes = &mut self.bytes;
        self.entries.retain(|entry| {
            *bytes -= if entry.is_due() { 0 } else { entry.bytes };
            entry.is_due()
        });
        for entry in &mut self.entries {
            let before = std::mem::take(&mut entry.coming);
            let due = |id| before.iter().any(|coming| coming.id == id && coming.due && !coming.came);
            entry.handed = None;
            entry.coming = filters(&entry.message).into_iter().map(|id| Coming::new(id, due(id))).collect();
            entry.left = entry.coming.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl<T> Owed<T> {
        fn is_settled(&self, number: u64) -> bool {
            self.first().is_none_or(|first| first > number)
        }
    }

    fn hand_all(owed: &mut Owed<u64>) -> Vec<u64> {
        let mut handed = Vec::new();
        while let Some((number, _)) = owed.next() {
            handed.push(number);
            owed.hand(Instant::now());
        }
        handed
    }

    #[test]
    fn no_more_is_under_way_than_a_log_holds_and_what_is_too_large_goes_alone() {
        let mut owed = Owed::default();
        for number in 1..=4 {
            owed.push(number, number, (6 << 10, 10), &[2]);
        }
        owed.push(5, 5, (60 << 10, 10), &[2, 3]);
        assert_eq!(hand_all(&mut owed), [1, 2]);
        owed.settle(2, 1);
        assert_eq!(hand_all(&mut owed), [3]);
        for number in [2, 3] {
            owed.settle(2, number);
            hand_all(&mut owed);
        }
        assert!(hand_all(&mut owed).is_empty(), "4 was handed and is waited for");
        owed.settle(2, 4);
        assert_eq!(hand_all(&mut owed), [5]);
        assert!(owed.is_settled(4) && !owed.is_settled(5));
        owed.settle(2, 5);
        assert!(!owed.is_settled(5));
        owed.settle(3, 5);
        assert_eq!((owed.is_settled(5), owed.bytes(), owed.entries.len()), (true, 0, 0));
    }

    #[test]
    fn another_router_is_handed_again_what_was_owed_and_nothing_is_given_twice() {
        let mut owed = Owed::default();
        for number in 1..=3 {
            owed.push(number, number, (10, 1), &[2, 3]);
        }
        hand_all(&mut owed);
        owed.settle(2, 1);
        owed.settle(3, 1);
        owed.settle(2, 2);
        owed.push(4, 4, (10, 1), &[3]);
        owed.hand_again(|_| vec![2, 3, 4]);
        assert_eq!(hand_all(&mut owed), [2, 3, 4]);
        assert_eq!((owed.came(2, 2), owed.came(3, 2), owed.came(4, 2), owed.came(2, 1)), (None, Some(&2), None, None));
        for (id, number) in [(2, 2), (3, 2), (2, 3), (3, 3), (3, 4)] {
            owed.settle(id, number);
        }
        assert!(owed.is_settled(4) && owed.bytes() > 0, "what comes once more still fills the logs");
        owed.end(vec![4, 2]);
        assert_eq!((owed.bytes(), owed.handed, owed.logs.values().sum::<usize>()), (0, 0, 0));
    }

    #[test]
    fn a_filter_that_ends_is_waited_for_no_longer() {
        let mut owed = Owed::default();
        owed.push(1, 1, (10, 1), &[2]);
        hand_all(&mut owed);
        owed.push(2, 2, (10, 1), &[2, 3]);
        owed.push(3, 3, (10, 1), &[2]);
        owed.end(vec![2]);
        assert!(owed.is_settled(1) && !owed.is_settled(2));
        let filters = 2 * (size_of::<WildcardId>() + size_of::<Coming>());
        assert_eq!((hand_all(&mut owed), owed.bytes()), (vec![2], 1 + filters));
    }

    proptest! {
        /// Against plain sets: what is due, what is under way, what may be handed.
        #[test]
        fn it_agrees_with_plain_sets(steps in prop::collection::vec((0..10u8, 2..6usize, 1..9_000usize), 1..150)) {
            let mut owed = Owed::default();
            let mut due = std::collections::BTreeSet::new();
            let mut under_way: Vec<(usize, u64, usize)> = Vec::new();
            let mut number = 0;
            for (what, id, size) in steps {
                match what {
                    0..5 => {
                        number += 1;
                        let filters: Vec<_> = (2..=id).collect();
                        owed.push(number, (filters.clone(), size), (size, 1), &filters);
                        due.extend(filters.into_iter().map(|id| (number, id)));
                    }
                    5..9 => {
                        // Each filter brings its messages in order.
                        if let Some(at) = under_way.iter().position(|(known, ..)| *known == id) {
                            let (_, number, _) = under_way.remove(at);
                            prop_assert_eq!(owed.came(id, number).is_some(), due.remove(&(number, id)));
                            owed.settle(id, number);
                        }
                    }
                    _ => {
                        under_way.clear();
                        owed.hand_again(|(filters, _)| filters.clone());
                    }
                }
                while let Some((number, (filters, size))) = owed.next() {
                    under_way.extend(filters.iter().map(|id| (*id, number, *size)));
                    owed.hand(Instant::now());
                }
                for id in 2..6 {
                    let of: Vec<_> = under_way.iter().filter(|(known, ..)| *known == id).map(|(.., size)| *size).collect();
                    prop_assert!(of.len() <= 1 || of.iter().sum::<usize>() <= WINDOW);
                }
                for upto in 0..=number {
                    prop_assert_eq!(owed.is_settled(upto), due.range(..=(upto, usize::MAX)).next().is_none());
                }
            }
        }
    }
}
