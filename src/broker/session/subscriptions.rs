//! A session's subscriptions, pure: by which way each topic comes to it, and at what QoS.
//!
//! A topic comes by one way only: given directly when it is an exact filter of the session, else by the wildcard that it
//! has had longest. When one of them begins or ends, messages up to then keep their way: a span says from when to when a
//! filter counts, so whatever is still under way is taken by the rules of its own time.

use std::collections::HashMap;

use crate::broker::codec::QoS;
use crate::broker::levels::WildcardId;
use crate::broker::passed::Passed;
use crate::broker::topic::Filter;
use crate::broker::wanted::Wanted;

/// What an exact filter takes in all tables, beside its name in some of them; a wildcard of a few levels, with the router's log
/// for it; one that is shared, with its group.
const EXACT: usize = 400;
const WILDCARD: usize = 7 << 10;
const SHARED: usize = 1 << 10;

/// What each level of a filter takes that stands in a tree (measured: 76 kB for 199 levels), and how many of them a wildcard's
/// price has in it.
const LEVEL: usize = 400;
const FEW: usize = 8;

/// Shared filters of one session: each has the broker choose, and perhaps give the session a copy more.
pub(super) const MOST_SHARED: usize = 32;

/// What a filter takes.
pub(super) fn cost(filter: &str) -> usize {
    let levels = filter.split('/').count();
    3 * filter.len()
        + if filter.starts_with("$share/") {
            SHARED + LEVEL * levels
        } else if filter.contains(['+', '#']) {
            WILDCARD + LEVEL * levels.saturating_sub(FEW)
        } else {
            EXACT
        }
}

/// The messages that a filter counts for.
#[derive(Clone, Copy, Debug)]
struct Span {
    wanted: Wanted,
    /// Messages up to this number are older.
    since: u64,
    /// Behind this one it has ended.
    until: u64,
}

impl Span {
    fn new(wanted: Wanted, since: u64) -> Self {
        Self { wanted, since, until: u64::MAX }
    }

    fn has(&self, number: u64) -> bool {
        self.since < number && number <= self.until
    }

    /// At what QoS a message comes by it; `own`: the client's own, which may not come back.
    fn qos(&self, own: bool) -> Option<QoS> {
        (!own || !self.wanted.options.no_local).then_some(self.wanted.qos())
    }
}

/// A message on its way to a session, as its subscriptions see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub(super) topic: &'a str,
    pub(super) number: u64,
    /// The wildcards of all sessions that mean it.
    pub(super) meant: &'a [WildcardId],
    /// Its client said it itself.
    pub(super) own: bool,
}

impl<'a> Incoming<'a> {
    /// To the session of this number.
    pub(super) fn of(passed: &'a Passed, session: u64) -> Self {
        let own = passed.from == session && session != 0;
        Self { topic: passed.topic(), number: passed.number, meant: &passed.meant, own }
    }
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    exact: HashMap<String, Span>,
    wildcards: HashMap<WildcardId, (Filter, Span)>,
    /// Shared ones (`$share/…`), by their whole text. What comes by them was chosen elsewhere.
    shared: HashMap<String, Wanted>,
    /// Some filter has an identifier, or wants retain flags as published.
    is_marked: bool,
    /// Those that have ended and were not taken out yet: topics, and wildcards.
    ended: (Vec<String>, Vec<WildcardId>),
    /// What they take.
    bytes: usize,
    /// So many at the most.
    most: usize,
}

impl Subscriptions {
    pub(super) fn new(most: usize) -> Self {
        let (exact, wildcards, shared) = Default::default();
        Self { exact, wildcards, shared, is_marked: false, ended: Default::default(), bytes: 0, most }
    }

    pub(super) fn len(&self) -> usize {
        self.exact.len() + self.wildcards.len() + self.shared.len()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is this filter; a wildcard comes with its id.
    pub(super) fn has(&self, filter: &Filter, id: Option<WildcardId>) -> bool {
        let text = filter.as_str();
        self.exact.contains_key(text)
            || self.shared.contains_key(text)
            || id.is_some_and(|id| self.wildcards.contains_key(&id))
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    fn mark(&mut self, wanted: Wanted) {
        self.is_marked |= wanted.id > 0 || wanted.options.retain_as_published;
    }

    /// Adds a shared filter, or changes it; false when there is no room.
    pub(super) fn add_shared(&mut self, filter: &Filter, wanted: Wanted) -> bool {
        let known = self.shared.contains_key(filter.as_str());
        if known || (!self.is_full() && self.shared.len() < MOST_SHARED) {
            self.bytes += if known { 0 } else { cost(filter.as_str()) };
            self.mark(wanted);
            self.shared.insert(filter.as_str().to_owned(), wanted);
            return true;
        }
        false
    }

    /// The shared filters of which this is true.
    pub(super) fn shares_where(&self, is_meant: impl Fn(&Filter) -> bool) -> Vec<String> {
        let meant = |text: &&String| Filter::new(text).is_none_or(|filter| is_meant(&filter));
        self.shared.keys().filter(meant).cloned().collect()
    }

    /// Takes shared filters out: those named, or all.
    pub(super) fn take_shared(&mut self, filters: Option<&[String]>) -> Vec<String> {
        let gone: Vec<_> = match filters {
            None => std::mem::take(&mut self.shared).into_keys().collect(),
            Some(filters) => filters.iter().filter(|filter| self.shared.remove(*filter).is_some()).cloned().collect(),
        };
        gone.iter().for_each(|filter| self.bytes -= cost(filter));
        gone
    }

    /// Adds an exact filter after message `number`, or changes what is wanted of it. Whether its topic may have come by a
    /// wildcard until now; `None` when there is no room.
    pub(super) fn add_exact(&mut self, filter: &Filter, wanted: Wanted, number: u64) -> Option<bool> {
        if let Some(known) = self.exact.get_mut(filter.as_str()) {
            known.wanted = wanted;
            self.mark(wanted);
            return Some(false);
        }
        if self.is_full() {
            return None;
        }
        self.bytes += cost(filter.as_str());
        self.mark(wanted);
        self.exact.insert(filter.as_str().to_owned(), Span::new(wanted, number));
        Some(!self.wildcards.is_empty())
    }

    /// What is wanted of a wildcard that is there already is changed; true then.
    pub(super) fn change_wildcard(&mut self, id: WildcardId, wanted: Wanted) -> bool {
        let known = self.wildcards.get_mut(&id).map(|(_, span)| span.wanted = wanted).is_some();
        if known {
            self.mark(wanted);
        }
        known
    }

    /// Adds a wildcard after message `number`.
    pub(super) fn add_wildcard(&mut self, id: WildcardId, filter: &Filter, wanted: Wanted, number: u64) {
        self.bytes += cost(filter.as_str());
        self.mark(wanted);
        self.wildcards.insert(id, (filter.clone(), Span::new(wanted, number)));
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
            (self.bytes, self.is_marked) = (self.shared.keys().map(|filter| cost(filter)).sum(), false);
            let all = (std::mem::take(&mut self.exact), std::mem::take(&mut self.wildcards));
            return (all.0.into_keys().collect(), all.1.into_keys().collect());
        }
        exact.retain(|topic| {
            self.exact.remove(topic).is_some_and(|_| {
                self.bytes -= cost(topic);
                true
            })
        });
        wildcards.retain(|id| {
            self.wildcards.remove(id).is_some_and(|(filter, _)| {
                self.bytes -= cost(filter.as_str());
                true
            })
        });
        (exact, wildcards)
    }

    /// A filter that a topic came through, of whose wildcards `meant` are all.
    pub(super) fn filter_for(&self, topic: &str, meant: &[WildcardId]) -> Option<&str> {
        let exact = self.exact.get_key_value(topic).map(|(topic, _)| topic.as_str());
        let wildcard = || meant.iter().find_map(|id| self.wildcards.get(id)).map(|(filter, _)| filter.as_str());
        exact.or_else(wildcard).or_else(|| self.shared_for(topic).map(|(filter, _)| filter))
    }

    /// The highest QoS any filter asks for this topic.
    pub(super) fn qos_of(&self, topic: &str) -> Option<QoS> {
        let wildcards = self.wildcards.values().filter(|(filter, _)| filter.matches(topic));
        self.exact.get(topic).into_iter().chain(wildcards.map(|(_, span)| span)).map(|span| span.wanted.qos()).max()
    }

    /// At what QoS a message is given directly: the highest that any filter asks for ([MQTT-3.3.5-1]). `None`: the exact
    /// filter has ended, or the client does not want its own.
    pub(super) fn directly(&self, message: &Incoming<'_>, qos: QoS) -> Option<QoS> {
        let Incoming { topic, number, meant, own } = *message;
        let mut exact = Some(qos);
        // What is given now is newer than every filter.
        if own || !self.ended.0.is_empty() {
            let span = self.exact.get(topic)?;
            if !span.has(number) {
                return None;
            }
            exact = span.qos(own);
        }
        self.of(number, meant).filter_map(|(_, span)| span.qos(own)).chain(exact).max()
    }

    /// At what QoS a copy is taken that came by a wildcard; `None` when it is not: it came another way, or the wildcard did
    /// not count then.
    pub(super) fn by(&self, id: WildcardId, message: &Incoming<'_>) -> Option<QoS> {
        let Incoming { topic, number, meant, own } = *message;
        if !self.exact.is_empty() && self.exact.get(topic).is_some_and(|span| span.has(number)) {
            return None;
        }
        let longest = self.of(number, meant).min_by_key(|(id, span)| (span.since, *id))?;
        (longest.0 == id).then(|| self.of(number, meant).filter_map(|(_, span)| span.qos(own)).max()).flatten()
    }

    /// Whether messages may have to be marked, by [`Subscriptions::marks`].
    pub(super) fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Adds the identifiers of the subscriptions that a message of this topic comes by, each once; whether one of them wants
    /// the retain flag as published. Those that do not want its client's `own` do not count for that. `message`: `None` for one
    /// that was not in memory all the time.
    pub(super) fn marks(&self, (topic, own): (&str, bool), message: Option<&Incoming<'_>>, ids: &mut Vec<u32>) -> bool {
        let exact = self.exact.get(topic).copied();
        let mut spans: Vec<Span> = match message {
            Some(Incoming { number, meant, .. }) => {
                let wildcards = self.of(*number, meant).map(|(_, span)| span);
                exact.into_iter().filter(|span| span.has(*number)).chain(wildcards).collect()
            }
            None => {
                let wildcards = self.wildcards.values().filter(|(filter, _)| filter.matches(topic));
                exact.into_iter().chain(wildcards.map(|(_, span)| *span)).collect()
            }
        };
        spans.retain(|span| span.qos(own).is_some());
        ids.extend(spans.iter().map(|span| span.wanted.id).filter(|id| *id > 0));
        ids.sort_unstable();
        ids.dedup();
        spans.iter().any(|span| span.wanted.options.retain_as_published)
    }

    /// A shared filter that this topic matches, and what is wanted of it.
    pub(super) fn shared_for(&self, topic: &str) -> Option<(&str, Wanted)> {
        let matches = |text: &String| {
            let whole = Filter::new(text);
            let filter = whole.as_ref().and_then(Filter::shared).and_then(|(_, filter)| Filter::new(filter));
            filter.is_some_and(|filter| filter.matches(topic))
        };
        self.shared.iter().find(|(text, _)| matches(text)).map(|(text, wanted)| (text.as_str(), *wanted))
    }

    /// What is wanted of a filter.
    pub(super) fn wanted(&self, filter: &Filter) -> Option<Wanted> {
        let text = filter.as_str();
        let exact = self.exact.get(text).map(|span| span.wanted);
        exact.or_else(|| self.wildcards.values().find(|(known, _)| known == filter).map(|(_, span)| span.wanted))
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
    use crate::broker::codec::Options;
    use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    use proptest::prelude::*;

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    fn plain(qos: QoS) -> Wanted {
        Wanted::plain(qos)
    }

    fn to<'a>(topic: &'a str, number: u64, meant: &'a [WildcardId]) -> Incoming<'a> {
        Incoming { topic, number, meant, own: false }
    }

    #[test]
    fn an_exact_filter_takes_its_topic_over_from_a_wildcard_and_gives_it_back() {
        let mut all = Subscriptions::new(10);
        all.add_wildcard(2, &filter("a/#"), plain(AtMostOnce), 0);
        assert_eq!(all.by(2, &to("a/b", 10, &[2])), Some(AtMostOnce));
        assert_eq!(all.add_exact(&filter("a/b"), plain(ExactlyOnce), 10), Some(true), "its way changes");
        assert_eq!((all.by(2, &to("a/b", 10, &[2])), all.by(2, &to("a/b", 11, &[2]))), (Some(AtMostOnce), None));
        assert_eq!(all.directly(&to("a/b", 11, &[2]), ExactlyOnce), Some(ExactlyOnce));
        assert!(all.end([("a/b", None)].into_iter(), 20));
        assert_eq!((all.by(2, &to("a/b", 20, &[2])), all.by(2, &to("a/b", 21, &[2]))), (None, Some(AtMostOnce)));
        assert_eq!(all.directly(&to("a/b", 21, &[2]), ExactlyOnce), None);
        assert_eq!(all.take_out(false), (vec!["a/b".into()], vec![]));
    }

    #[test]
    fn a_new_overlapping_wildcard_does_not_swallow_what_only_the_old_one_brings() {
        let mut all = Subscriptions::new(10);
        all.add_wildcard(3, &filter("a/#"), plain(AtMostOnce), 0);
        all.add_wildcard(2, &filter("a/+"), plain(AtLeastOnce), 10);
        assert_eq!(all.by(3, &to("a/b", 9, &[2, 3])), Some(AtMostOnce));
        assert_eq!((all.by(3, &to("a/b", 11, &[2, 3])), all.by(2, &to("a/b", 11, &[2, 3]))), (Some(AtLeastOnce), None));
        all.end([("a/#", Some(3))].into_iter(), 12);
        assert_eq!((all.by(3, &to("a/b", 12, &[2, 3])), all.by(2, &to("a/b", 12, &[2, 3]))), (Some(AtLeastOnce), None));
        assert_eq!((all.by(3, &to("a/b", 13, &[2, 3])), all.by(2, &to("a/b", 13, &[2, 3]))), (None, Some(AtLeastOnce)));
    }

    #[test]
    fn ones_own_messages_come_by_the_filters_that_want_them() {
        let mut all = Subscriptions::new(10);
        let deaf = |qos| Wanted { options: Options { no_local: true, ..Options::plain(qos) }, id: 0 };
        all.add_exact(&filter("a/b"), deaf(ExactlyOnce), 0);
        all.add_wildcard(2, &filter("a/+"), deaf(AtLeastOnce), 0);
        let own = |topic, meant| Incoming { own: true, ..to(topic, 5, meant) };
        assert_eq!(all.directly(&own("a/b", &[2]), ExactlyOnce), None);
        assert_eq!((all.by(2, &own("a/c", &[2])), all.by(2, &to("a/c", 5, &[2]))), (None, Some(AtLeastOnce)));
        all.add_wildcard(3, &filter("#"), plain(AtMostOnce), 0);
        assert_eq!(all.directly(&own("a/b", &[2, 3]), ExactlyOnce), Some(AtMostOnce));
        assert_eq!(all.directly(&to("a/b", 5, &[2, 3]), ExactlyOnce), Some(ExactlyOnce));
        assert_eq!((all.by(2, &own("a/c", &[2, 3])), all.by(3, &own("a/c", &[2, 3]))), (Some(AtMostOnce), None));
    }

    #[test]
    fn a_message_is_marked_with_all_identifiers_of_the_filters_it_matches() {
        let (mut all, mut ids) = (Subscriptions::new(10), Vec::new());
        all.add_wildcard(2, &filter("a/#"), plain(AtMostOnce), 0);
        let other = ("a/b", false);
        assert!(!all.is_marked() && !all.marks(other, Some(&to("a/b", 1, &[2])), &mut ids) && ids.is_empty());
        let marked = |id, retain_as_published| Wanted {
            options: Options { retain_as_published, ..Options::plain(AtMostOnce) },
            id,
        };
        all.add_exact(&filter("a/b"), marked(7, false), 0);
        assert!(all.is_marked());
        all.add_wildcard(3, &filter("+/b"), marked(9, true), 0);
        all.add_wildcard(4, &filter("#"), marked(7, false), 0);
        for message in [Some(&to("a/b", 1, &[2, 3, 4])), None] {
            ids.clear();
            assert!(all.marks(other, message, &mut ids));
            assert_eq!(ids, [7, 9]);
        }
        ids.clear();
        assert!(!all.marks(("a/c", false), Some(&to("a/c", 1, &[2, 4])), &mut ids) && ids == [7]);
        let deaf = Wanted { options: Options { no_local: true, ..Options::plain(AtMostOnce) }, id: 11 };
        all.add_wildcard(5, &filter("a/+"), deaf, 0);
        for message in [Some(&to("a/c", 1, &[2, 4, 5])), None] {
            for (own, expected) in [(true, vec![7]), (false, vec![7, 11])] {
                ids.clear();
                assert!(!all.marks(("a/c", own), message, &mut ids));
                assert_eq!(ids, expected, "not the one that does not want its own");
            }
        }
        assert_eq!((all.wanted(&filter("+/b")).map(|wanted| wanted.id), all.wanted(&filter("x"))), (Some(9), None));
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
                        all.add_exact(&filter(text), plain(qos), number);
                    } else {
                        all.add_wildcard(which, &filter(text), plain(qos), number);
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
                    let direct = direct.and_then(|qos| all.directly(&to(topic, number, &meant), qos));
                    given.push((topic, number, meant, direct, highest));
                }
            }
            // By wildcards all of it comes at the end.
            for (topic, number, meant, direct, highest) in given {
                let taken = meant.iter().filter_map(|id| all.by(*id, &to(topic, number, &meant)));
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
