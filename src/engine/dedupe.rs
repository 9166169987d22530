//! Which command ids were seen: for a time (TTL), and at most so many (the one accepted longest ago goes first).
//!
//! A repeat does not refresh an id: so the ids in memory are those in the store, which keeps them in the order of
//! acceptance.
//! Age is counted on the caller's clock, which only goes forward: setting the wall clock neither forgets nor keeps ids. That
//! clock cannot tell how old the ids of earlier runs are: each lives for one more TTL.

use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use crate::dmx::CommandId;

/// Ids with the time they were accepted at.
pub(super) struct Dedupe {
    ttl: Duration,
    seen: LruCache<CommandId, Duration>,
}

impl Dedupe {
    pub(super) fn new(ttl: Duration, capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        // grows with use: a fixed table of large capacity would cost memory at every start
        let mut seen = LruCache::unbounded();
        seen.resize(capacity);
        Self { ttl, seen }
    }

    /// Whether the id was accepted less than a TTL before `now` (time since start).
    pub(super) fn has(&mut self, id: &CommandId, now: Duration) -> bool {
        match self.seen.peek(id) {
            Some(&at) if now.saturating_sub(at) < self.ttl => true,
            Some(_) => {
                self.seen.pop(id);
                false
            }
            None => false,
        }
    }

    /// Remembers an accepted id; the oldest one goes when there are too many.
    pub(super) fn remember(&mut self, id: CommandId, now: Duration) {
        self.seen.push(id, now);
    }

    /// Forgets everything: the ids of another project follow.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u64) -> CommandId {
        ulid::Ulid::from(u128::from(n)).to_string().parse().unwrap()
    }

    #[test]
    fn an_id_is_forgotten_after_the_ttl_and_not_before() {
        let mut dedupe = Dedupe::new(Duration::from_secs(10), 8);
        let start = Duration::from_secs(100);
        dedupe.remember(id(1), start);
        assert!(dedupe.has(&id(1), start + Duration::from_millis(9_999)));
        assert!(!dedupe.has(&id(1), start + Duration::from_secs(10)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_searched_from_its_end(capacity in 1usize..6, script in prop::collection::vec((0u64..8, 0u64..4), 0..80)) {
            let ttl = Duration::from_secs(6);
            let mut dedupe = Dedupe::new(ttl, capacity);
            let mut list: Vec<(u64, Duration)> = Vec::new(); // oldest first
            let mut now = Duration::ZERO;
            for (n, step) in script {
                now += Duration::from_secs(step);
                let expected = list.iter().position(|&(m, at)| m == n && now - at < ttl);
                prop_assert_eq!(dedupe.has(&id(n), now), expected.is_some());
                if expected.is_none() {
                    list.retain(|&(m, _)| m != n);
                    list.push((n, now));
                    if list.len() > capacity { list.remove(0); }
                    dedupe.remember(id(n), now);
                }
            }
        }
    }
}
