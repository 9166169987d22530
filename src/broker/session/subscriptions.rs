//! A session's subscriptions, pure: by which way each topic comes to it, and at what QoS.
//!
//! A topic comes by one way only: given directly when it is an exact filter of the session, else by the wildcard that it
//! has had longest. When one of them begins or ends, messages up to then keep their way: a span says from when to when a
//! filter counts, so whatever is still under way is taken by the rules of its own time.

use std::collections::HashMap;

use crate::broker::codec::QoS;
use crate::broker::subscribers::WildcardId;
use crate::broker::topic::Filter;

/// What an exact filter takes in all tables, beside its name in some of them; and a wildcard, with the router's log for it.
const EXACT: usize = 400;
const WILDCARD: usize = 7 << 10;

/// What a filter takes.
pub(super) fn cost(filter: &str, is_exact: bool) -> usize {
    3 * filter.len() + if is_exact { EXACT } else { WILDCARD }
}

/// The messages that a filter counts for.
#[derive(Clone, Copy, Debug)]
struct Span {
    qos: QoS,
    /// Messages up to this number are older.
    since: u64,
    /// Behind this one it has ended.
    until: u64,
}

impl Span {
    fn has(&self, number: u64) -> bool {
        self.since < number && number <= self.until
    }
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    exact: HashMap<String, Span>,
    wildcards: HashMap<WildcardId, (Filter, Span)>,
    /// Those that have ended and were not taken out yet: topics, and wildcards.
    ended: (Vec<String>, Vec<WildcardId>),
    /// What they take.
    bytes: usize,
    /// So many at the most.
    most: usize,
}

impl Subscriptions {
    pub(super) fn new(most: usize) -> Self {
        Self { exact: HashMap::new(), wildcards: HashMap::new(), ended: Default::default(), bytes: 0, most }
    }

    pub(super) fn len(&self) -> usize {
        self.exact.len() + self.wildcards.len()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is this filter; a wildcard comes with its id.
    pub(super) fn has(&self, filter: &Filter, id: Option<WildcardId>) -> bool {
        self.exact.contains_key(filter.as_str()) || id.is_some_and(|id| self.wildcards.contains_key(&id))
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Adds an exact filter after message `number`, or changes its QoS. Whether its topic may have come by a wildcard until
    /// now; `None` when there is no room.
    pub(super) fn add_exact(&mut self, filter: &Filter, qos: QoS, number: u64) -> Option<bool> {
        if let Some(known) = self.exact.get_mut(filter.as_str()) {
            known.qos = qos;
            return Some(false);
        }
        if self.is_full() {
            return None;
        }
        self.bytes += cost(filter.as_str(), true);
        self.exact.insert(filter.as_str().to_owned(), Span { qos, since: number, until: u64::MAX });
        Some(!self.wildcards.is_empty())
    }

    /// The QoS of a wildcard that is there already is changed; true then.
    pub(super) fn change_wildcard(&mut self, id: WildcardId, qos: QoS) -> bool {
        self.wildcards.get_mut(&id).map(|(_, span)| span.qos = qos).is_some()
    }

    /// Adds a wildcard after message `number`.
    pub(super) fn add_wildcard(&mut self, id: WildcardId, filter: &Filter, qos: QoS, number: u64) {
        self.bytes += cost(filter.as_str(), false);
        self.wildcards.insert(id, (filter.clone(), Span { qos, since: number, until: u64::MAX }));
    }

    /// Ends filters behind message `number`; a wildcard comes with its id. Whether any message may still come by one.
    pub(super) fn end<'a>(
        &mut self,
        filters: impl Iterator<Item = (&'a str, Option<WildcardId>)>,
        number: u64,
    ) -> bool {
        for (filter, id) in filters {
            if let Some(span) = self.exact.get_mut(filter) {
                span.until = number;
                self.ended.0.push(filter.to_owned());
            } else if let Some((id, (_, span))) = id.and_then(|id| Some((id, self.wildcards.get_mut(&id)?))) {
                span.until = number;
                self.ended.1.push(id);
            }
        }
        !self.wildcards.is_empty()
    }

    /// Takes out those that have ended, or all.
    pub(super) fn take_out(&mut self, all: bool) -> (Vec<String>, Vec<WildcardId>) {
        let (mut exact, mut wildcards) = std::mem::take(&mut self.ended);
        if all {
            self.bytes = 0;
            let all = (std::mem::take(&mut self.exact), std::mem::take(&mut self.wildcards));
            return (all.0.into_keys().collect(), all.1.into_keys().collect());
        }
        exact.retain(|topic| {
            self.exact.remove(topic).is_some_and(|_| {
                self.bytes -= cost(topic, true);
                true
            })
        });
        wildcards.retain(|id| {
            self.wildcards.remove(id).is_some_and(|(filter, _)| {
                self.bytes -= cost(filter.as_str(), false);
                true
            })
        });
        (exact, wildcards)
    }

    /// A filter that a topic came through, of whose wildcards `meant` are all.
    pub(super) fn filter_for(&self, topic: &str, meant: &[WildcardId]) -> Option<&str> {
        let exact = self.exact.get_key_value(topic).map(|(topic, _)| topic.as_str());
        exact.or_else(|| meant.iter().find_map(|id| self.wildcards.get(id)).map(|(filter, _)| filter.as_str()))
    }

    /// The highest QoS any filter asks for this topic.
    pub(super) fn qos_of(&self, topic: &str) -> Option<QoS> {
        let wildcards = self.wildcards.values().filter(|(filter, _)| filter.matches(topic));
        self.exact.get(topic).into_iter().chain(wildcards.map(|(_, span)| span)).map(|span| span.qos).max()
    }

    /// At what QoS a message is given directly: the highest that any filter asks for ([MQTT-3.3.5-1]). `meant`: the
    /// wildcards of all sessions that mean it. `None`: the exact filter has ended.
    pub(super) fn directly(&self, topic: &str, number: u64, qos: QoS, meant: &[WildcardId]) -> Option<QoS> {
        // What is given now is newer than every filter.
        if !self.ended.0.is_empty() && !self.exact.get(topic)?.has(number) {
            return None;
        }
        Some(self.of(number, meant).map(|(_, span)| span.qos).fold(qos, QoS::max))
    }

    /// At what QoS a copy is taken that came by a wildcard; `None` when it is not: it came another way, or the wildcard did
    /// not count then.
    pub(super) fn by(&self, id: WildcardId, topic: &str, number: u64, meant: &[WildcardId]) -> Option<QoS> {
        if !self.exact.is_empty() && self.exact.get(topic).is_some_and(|span| span.has(number)) {
            return None;
        }
        let longest = self.of(number, meant).min_by_key(|(id, span)| (span.since, *id))?;
        (longest.0 == id).then(|| self.of(number, meant).map(|(_, span)| span.qos).max()).flatten()
    }

    /// Those of a message's wildcards that this session has, and that count for it.
    fn of(&self, number: u64, meant: &[WildcardId]) -> impl Iterator<Item = (WildcardId, Span)> {
        let few = self.wildcards.len() < meant.len();
        let mine = self.wildcards.iter().filter(move |_| few).map(|(id, (_, span))| (*id, *span));
        let mine = mine.filter(|(id, _)| meant.binary_search(id).is_ok());
        let theirs = meant.iter().filter(move |_| !few).filter_map(|id| Some((*id, self.wildcards.get(id)?.1)));
        mine.chain(theirs).filter(move |(_, span)| span.has(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    use proptest::prelude::*;

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    #[test]
    fn an_exact_filter_takes_its_topic_over_from_a_wildcard_and_gives_it_back() {
        let mut all = Subscriptions::new(10);
        all.add_wildcard(2, &filter("a/#"), AtMostOnce, 0);
        assert_eq!(all.by(2, "a/b", 10, &[2]), Some(AtMostOnce));
        assert_eq!(all.add_exact(&filter("a/b"), ExactlyOnce, 10), Some(true), "its way changes");
        assert_eq!((all.by(2, "a/b", 10, &[2]), all.by(2, "a/b", 11, &[2])), (Some(AtMostOnce), None));
        assert_eq!(all.directly("a/b", 11, ExactlyOnce, &[2]), Some(ExactlyOnce));
        assert!(all.end([("a/b", None)].into_iter(), 20));
        assert_eq!((all.by(2, "a/b", 20, &[2]), all.by(2, "a/b", 21, &[2])), (None, Some(AtMostOnce)));
        assert_eq!(all.directly("a/b", 21, ExactlyOnce, &[2]), None);
        assert_eq!(all.take_out(false), (vec!["a/b".into()], vec![]));
    }

    #[test]
    fn a_new_overlapping_wildcard_does_not_swallow_what_only_the_old_one_brings() {
        let mut all = Subscriptions::new(10);
        all.add_wildcard(3, &filter("a/#"), AtMostOnce, 0);
        all.add_wildcard(2, &filter("a/+"), AtLeastOnce, 10);
        assert_eq!(all.by(3, "a/b", 9, &[2, 3]), Some(AtMostOnce));
        assert_eq!((all.by(3, "a/b", 11, &[2, 3]), all.by(2, "a/b", 11, &[2, 3])), (Some(AtLeastOnce), None));
        all.end([("a/#", Some(3))].into_iter(), 12);
        assert_eq!((all.by(3, "a/b", 12, &[2, 3]), all.by(2, "a/b", 12, &[2, 3])), (Some(AtLeastOnce), None));
        assert_eq!((all.by(3, "a/b", 13, &[2, 3]), all.by(2, "a/b", 13, &[2, 3])), (None, Some(AtLeastOnce)));
    }

    proptest! {
        /// Whatever begins and ends when: each message comes once, by one way, at the highest QoS of its time.
        #[test]
        fn every_message_is_taken_once_at_the_highest_qos(
            steps in prop::collection::vec((0..6usize, 0..3u8, any::<bool>()), 1..40),
        ) {
            const FILTERS: [&str; 6] = ["a/b", "x/b", "a/#", "a/+", "+/b", "#"];
            const TOPICS: [&str; 3] = ["a/b", "a/c", "x/b"];
            let mut all = Subscriptions::new(10);
            let mut have: [Option<QoS>; 6] = [None; 6];
            let mut given = Vec::new(); // what was said, with what had to become of it
            for (n, (which, qos, begins)) in steps.into_iter().enumerate() {
                let number = n as u64 * 3;
                let (text, qos) = (FILTERS[which], QoS::new(qos).unwrap());
                // An ended one is taken out before it begins again; here none is taken out while messages are under way.
                if have[which].is_none() && begins && !all.wanted_or_ended(text) {
                    have[which] = Some(qos);
                    if which < 2 {
                        all.add_exact(&filter(text), qos, number);
                    } else {
                        all.add_wildcard(which, &filter(text), qos, number);
                    }
                } else if have[which].is_some() && !begins {
                    have[which] = None;
                    all.end([(text, (which >= 2).then_some(which))].into_iter(), number);
                }
                for (at, topic) in TOPICS.into_iter().enumerate() {
                    let meant: Vec<_> = (2..6).filter(|id| filter(FILTERS[*id]).matches(topic)).collect();
                    let number = number + 1 + at as u64;
                    let highest =
                        (0..6).filter(|f| filter(FILTERS[*f]).matches(topic)).filter_map(|f| have[f]).max();
                    let direct = FILTERS[..2].iter().position(|f| *f == topic).and_then(|f| have[f]);
                    let direct = direct.and_then(|qos| all.directly(topic, number, qos, &meant));
                    given.push((topic, number, meant, direct, highest));
                }
            }
            // By wildcards all of it comes at the end.
            for (topic, number, meant, direct, highest) in given {
                let taken = meant.iter().filter_map(|id| all.by(*id, topic, number, &meant));
                let taken: Vec<_> = taken.chain(direct).collect();
                prop_assert_eq!(taken, Vec::from_iter(highest), "{} {}", topic, number);
            }
        }
    }

    impl Subscriptions {
        fn wanted_or_ended(&self, text: &str) -> bool {
            self.exact.contains_key(text) || self.wildcards.values().any(|(known, _)| known.as_str() == text)
        }
    }
}
