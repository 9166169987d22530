//! Who has subscribed to what, pure: a table of exact filters, and the wildcards of the house, each once, level by level.
//!
//! Exact filters are all a topic needs. Wildcards are the router's; what stands here says whether it is given a topic at
//! all, and which of them it will bring it by.

use std::collections::HashMap;
use std::sync::Arc;

use super::levels::{Level, WildcardId};
use super::topic::Filter;
use super::wanted::Wanted;

/// The first one: [`super::router::PROBES`] comes before.
const FIRST: WildcardId = 2;

/// What the router holds for a filter that nobody has any more, at rest, for each byte of it, and for each message that it
/// goes on noting. It notes so many at the most.
const DEAD_FILTER: usize = 6 << 10;
const DEAD_BYTE: usize = 8;
const DEAD_NOTE: usize = 180;
const DEAD_NOTES: usize = 1_000;

/// With so much held for nobody another router is due at once, and new wildcards wait for it.
pub(super) const MOST_DEAD_BYTES: usize = 16 << 20;

/// Those behind one filter. Copied only while somebody goes through it.
pub(super) type Members<M> = Arc<Vec<M>>;

/// How far a wildcard is.
#[derive(Debug)]
enum Stage {
    /// The router was asked: messages are owed by it from its answer on.
    Asked,
    Live,
    /// Nobody has it; the router goes on noting messages for it, so many as yet.
    Dead(usize),
}

#[derive(Debug)]
struct Wildcard<M> {
    filter: Filter,
    members: Members<M>,
    stage: Stage,
}

fn dead_filter(filter: &Filter) -> usize {
    DEAD_FILTER + filter.as_str().len() * DEAD_BYTE
}

/// What [`Subscribers::enter`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    pub(super) id: WildcardId,
    /// New to the house: the router is to be asked.
    pub(super) new: bool,
    /// The router has answered: it misses nothing from now on.
    pub(super) live: bool,
}

/// All of them. `M` is who is behind a filter.
#[derive(Debug)]
pub(super) struct Subscribers<M> {
    exact: HashMap<String, Members<(M, Wanted)>>,
    wildcards: HashMap<WildcardId, Wildcard<M>>,
    by_filter: HashMap<String, WildcardId>,
    levels: Level,
    last: WildcardId,
    dead: usize,
    dead_bytes: usize,
}

impl<M> Default for Subscribers<M> {
    fn default() -> Self {
        let (exact, wildcards, by_filter) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { exact, wildcards, by_filter, levels: Level::default(), last: FIRST - 1, dead: 0, dead_bytes: 0 }
    }
}

impl<M: Clone + PartialEq> Subscribers<M> {
    /// Who has this topic as an exact filter.
    pub(super) fn exact(&self, topic: &str) -> Option<Members<(M, Wanted)>> {
        self.exact.get(topic).cloned()
    }

    /// Adds one to an exact filter, or changes what it wants.
    pub(super) fn add_exact(&mut self, topic: &str, member: M, wanted: Wanted) {
        let members = Arc::make_mut(self.exact.entry(topic.to_owned()).or_default());
        match members.iter_mut().find(|(known, _)| *known == member) {
            Some(known) => known.1 = wanted,
            None => members.push((member, wanted)),
        }
    }

    pub(super) fn remove_exact(&mut self, topic: &str, member: &M) {
        let Some(members) = self.exact.get_mut(topic) else { return };
        let members = Arc::make_mut(members);
        members.retain(|(known, _)| known != member);
        if members.is_empty() {
            self.exact.remove(topic);
        }
    }

    /// A wildcard that somebody has.
    pub(super) fn id_of(&self, filter: &str) -> Option<WildcardId> {
        let id = self.by_filter.get(filter)?;
        self.wildcards.get(id).filter(|wildcard| !matches!(wildcard.stage, Stage::Dead(_))).map(|_| *id)
    }

    /// Adds one to a wildcard, which it has not.
    pub(super) fn enter(&mut self, filter: &Filter, member: M) -> Entered {
        if let Some(id) = self.id_of(filter.as_str())
            && let Some(known) = self.wildcards.get_mut(&id)
        {
            Arc::make_mut(&mut known.members).push(member);
            return Entered { id, new: false, live: matches!(known.stage, Stage::Live) };
        }
        if let Some(dead) = self.by_filter.get(filter.as_str()).copied() {
            self.bury(dead);
        }
        self.last += 1;
        let id = self.last;
        let wildcard = Wildcard { filter: filter.clone(), members: Arc::new(vec![member]), stage: Stage::Asked };
        self.wildcards.insert(id, wildcard);
        self.by_filter.insert(filter.as_str().to_owned(), id);
        self.levels.put(filter.as_str(), id);
        Entered { id, new: true, live: false }
    }

    /// The router has answered; whether somebody still has the filter.
    pub(super) fn answered(&mut self, id: WildcardId) -> bool {
        let Some(wildcard) = self.wildcards.get_mut(&id) else { return false };
        let asked = matches!(wildcard.stage, Stage::Asked);
        if asked {
            wildcard.stage = Stage::Live;
        }
        asked
    }

    /// Takes one out of a wildcard; gives the filter when it was the last one: it is dead then.
    pub(super) fn leave(&mut self, id: WildcardId, member: &M) -> Option<Filter> {
        let wildcard = self.wildcards.get_mut(&id)?;
        let members = Arc::make_mut(&mut wildcard.members);
        members.retain(|known| known != member);
        if !members.is_empty() || matches!(wildcard.stage, Stage::Dead(_)) {
            return None;
        }
        wildcard.stage = Stage::Dead(0);
        self.dead += 1;
        self.dead_bytes += dead_filter(&wildcard.filter);
        Some(wildcard.filter.clone())
    }

    pub(super) fn filter(&self, id: WildcardId) -> Option<&Filter> {
        self.wildcards.get(&id).map(|wildcard| &wildcard.filter)
    }

    /// Whether the router has answered.
    pub(super) fn is_live(&self, id: WildcardId) -> bool {
        self.wildcards.get(&id).is_some_and(|wildcard| matches!(wildcard.stage, Stage::Live))
    }

    pub(super) fn members(&self, id: WildcardId) -> Option<&Members<M>> {
        self.wildcards.get(&id).map(|wildcard| &wildcard.members)
    }

    /// Whether a message of a hidden topic (`$…`) may come by this filter; the router knows no hidden ones.
    fn shows_hidden(&self, id: WildcardId) -> bool {
        self.wildcards.get(&id).is_some_and(|wildcard| !wildcard.filter.as_str().starts_with(['+', '#']))
    }

    /// By which filters the router will bring a message of this topic, and which of them mean it; both in order.
    pub(super) fn matching(&self, topic: &str) -> (Vec<WildcardId>, Vec<WildcardId>) {
        let mut coming = Vec::new();
        self.levels.matching(Some(topic), &mut coming);
        coming.retain(|id| self.wildcards.get(id).is_some_and(|wildcard| matches!(wildcard.stage, Stage::Live)));
        coming.sort_unstable();
        let mut meant = coming.clone();
        if topic.starts_with('$') {
            meant.retain(|id| self.shows_hidden(*id));
        }
        (coming, meant)
    }

    /// Whether anybody subscribes to this topic.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.exact.contains_key(topic) || !self.matching(topic).1.is_empty()
    }

    /// The router notes a message of this topic for every filter that it ever had.
    pub(super) fn noted(&mut self, topic: &str) {
        if self.dead == 0 {
            return;
        }
        let mut all = Vec::new();
        self.levels.matching(Some(topic), &mut all);
        for id in all {
            if let Some(Wildcard { stage: Stage::Dead(notes), .. }) = self.wildcards.get_mut(&id)
                && *notes < DEAD_NOTES
            {
                *notes += 1;
                self.dead_bytes += DEAD_NOTE;
            }
        }
    }

    /// Bytes that the router holds for nobody.
    pub(super) fn dead_bytes(&self) -> usize {
        self.dead_bytes
    }

    /// Different filters that the router was given.
    pub(super) fn known(&self) -> usize {
        self.wildcards.len()
    }

    /// Another router takes the place of this one: the dead are forgotten; gives the others, which it is to be asked for,
    /// and whether messages by them are owed already.
    pub(super) fn move_over(&mut self) -> Vec<(WildcardId, Filter, bool)> {
        let dead: Vec<_> = self.wildcards.iter().filter(|(_, w)| matches!(w.stage, Stage::Dead(_))).collect();
        let dead: Vec<_> = dead.into_iter().map(|(id, _)| *id).collect();
        dead.into_iter().for_each(|id| self.bury(id));
        let all = self.wildcards.iter();
        all.map(|(id, w)| (*id, w.filter.clone(), matches!(w.stage, Stage::Live))).collect()
    }

    fn bury(&mut self, id: WildcardId) {
        let Some(wildcard) = self.wildcards.remove(&id) else { return };
        self.by_filter.remove(wildcard.filter.as_str());
        self.levels.remove(Some(wildcard.filter.as_str()));
        if let Stage::Dead(notes) = wildcard.stage {
            self.dead -= 1;
            self.dead_bytes -= dead_filter(&wildcard.filter) + notes * DEAD_NOTE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::QoS;
    use proptest::prelude::*;

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    /// A wildcard of somebody's that the router has answered for.
    fn live(all: &mut Subscribers<u8>, text: &str, member: u8) -> WildcardId {
        let entered = all.enter(&filter(text), member);
        assert_eq!(all.answered(entered.id), entered.new);
        entered.id
    }

    #[test]
    fn a_filter_is_asked_for_once_and_ends_with_the_last_who_has_it() {
        let mut all = Subscribers::default();
        let first = all.enter(&filter("a/#"), 1);
        assert!(first.new && !first.live && all.matching("a/b").0.is_empty(), "nothing is owed before the answer");
        assert!(all.answered(first.id) && !all.answered(first.id));
        let second = all.enter(&filter("a/#"), 2);
        assert_eq!(second, Entered { id: first.id, new: false, live: true });
        assert_eq!(all.matching("a/b"), (vec![first.id], vec![first.id]));
        assert_eq!(all.leave(first.id, &1), None);
        assert_eq!(all.leave(first.id, &2), Some(filter("a/#")));
        assert_eq!((all.leave(first.id, &2), all.id_of("a/#"), all.is_heard("a/b")), (None, None, false));
        let again = all.enter(&filter("a/#"), 1);
        assert!(again.new && again.id != first.id, "what still comes by the old one is old");
    }

    #[test]
    fn the_dead_are_counted_with_what_the_router_notes_for_them() {
        let mut all = Subscribers::default();
        let id = live(&mut all, "a/#", 1);
        live(&mut all, "b/#", 1);
        all.noted("a/b");
        assert_eq!(all.dead_bytes(), 0);
        all.leave(id, &1);
        for topic in ["a/b", "b/c", "a"] {
            all.noted(topic);
        }
        assert_eq!((all.dead_bytes(), all.known()), (dead_filter(&filter("a/#")) + 2 * DEAD_NOTE, 2));
        let left: Vec<_> = all.move_over().into_iter().map(|(_, filter, live)| (filter, live)).collect();
        assert_eq!(left, [(filter("b/#"), true)]);
        assert_eq!((all.dead_bytes(), all.known(), all.matching("a/b").0.len()), (0, 1, 0));
    }

    #[test]
    fn a_hidden_topic_comes_by_wildcards_that_do_not_mean_it() {
        let mut all = Subscribers::default();
        let ids = ["#", "+/x", "$a/+"].map(|text| live(&mut all, text, 1));
        let (mut coming, meant) = all.matching("$a/x");
        coming.sort_unstable();
        assert_eq!((coming, meant), (ids.to_vec(), vec![ids[2]]));
    }

    proptest! {
        /// The tree finds what the filter itself says, whoever comes and goes.
        #[test]
        fn it_matches_as_the_filters_do(
            filters in prop::collection::btree_set("([ab+]{0,1}/){0,3}([ab+#]|)", 1..8),
            topics in prop::collection::vec("\\$?([ab]?/){0,3}[ab]?", 1..6),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let mut all = Subscribers::default();
            let filters: Vec<_> = filters.iter().filter_map(|text| Filter::new(text)).collect();
            prop_assume!(!filters.is_empty());
            let mut ids: Vec<_> = filters.iter().map(|filter| (live(&mut all, filter.as_str(), 1), filter)).collect();
            for gone in gone {
                if !ids.is_empty() {
                    let (id, filter) = ids.swap_remove(gone.index(ids.len()));
                    let ended = all.leave(id, &1);
                    prop_assert_eq!(ended.as_ref(), Some(filter));
                }
            }
            for topic in topics.iter().filter(|topic| !topic.is_empty()) {
                let (mut coming, mut meant) = all.matching(topic);
                coming.sort_unstable();
                meant.sort_unstable();
                let wanted = |matches: fn(&Filter, &str) -> bool| {
                    let mut wanted: Vec<_> = ids.iter().filter(|(_, f)| matches(f, topic)).map(|(id, _)| *id).collect();
                    wanted.sort_unstable();
                    wanted
                };
                prop_assert_eq!(coming, wanted(Filter::matches_in_router));
                prop_assert_eq!(meant, wanted(Filter::matches));
            }
            for (id, _) in ids {
                all.leave(id, &1);
            }
            prop_assert_eq!((all.move_over().len(), usize::from(!all.levels.is_empty()), all.dead_bytes()), (0, 0, 0));
        }

        /// A table of exact filters is what a plain list says.
        #[test]
        fn the_table_is_a_list(steps in prop::collection::vec(("[ab]", 0u8..3, 0u8..3, any::<bool>()), 0..40)) {
            let mut all = Subscribers::default();
            let mut list = std::collections::BTreeMap::new();
            for (topic, member, qos, stays) in steps {
                if stays {
                    all.add_exact(&topic, member, Wanted::plain(QoS::new(qos).unwrap()));
                    list.insert((topic, member), qos);
                } else {
                    all.remove_exact(&topic, &member);
                    list.remove(&(topic, member));
                }
            }
            for topic in ["a", "b"] {
                let mut found: Vec<_> =
                    all.exact(topic).iter().flat_map(|m| m.iter()).map(|(m, w)| (*m, w.options.qos.bits())).collect();
                found.sort_unstable();
                let expected: Vec<_> =
                    list.iter().filter(|((t, _), _)| t == topic).map(|((_, m), qos)| (*m, *qos)).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
