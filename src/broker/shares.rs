//! Shared subscriptions (MQTT 5, section 4.8.2): of each group, one member is given a message. Not the router's work: whose
//! turn it is depends on who is there.

use std::collections::HashMap;

use super::levels::{Level, WildcardId};
use super::topic::Filter;
use super::wanted::Wanted;

/// How ready a member is for one more message. The readiest is chosen; among equals, whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Readiness {
    /// Nothing would become of it.
    Gone,
    /// Its client is away, and its session keeps messages of this QoS.
    Keeps,
    /// Connected, but behind.
    Lags,
    /// Connected.
    Ready,
}

#[derive(Debug)]
struct Group<M> {
    members: Vec<(M, Wanted)>,
    /// Whose turn it is.
    next: usize,
}

impl<M: Clone> Group<M> {
    fn pick(&mut self, readiness: &impl Fn(&M, Wanted) -> Readiness) -> Option<(M, Wanted)> {
        let (before, from) = self.members.split_at_checked(self.next % self.members.len().max(1))?;
        let in_turn = from.iter().chain(before).enumerate();
        let mut best: Option<(usize, &(M, Wanted), Readiness)> = None;
        for (at, member) in in_turn {
            let readiness = readiness(&member.0, member.1);
            if readiness > best.map_or(Readiness::Gone, |(.., best)| best) {
                best = Some((at, member, readiness));
            }
            if readiness == Readiness::Ready {
                break;
            }
        }
        let (at, member, _) = best?;
        let member = member.clone();
        self.next = (self.next + at + 1) % self.members.len().max(1);
        Some(member)
    }
}

#[derive(Debug)]
struct Shared<M> {
    filter: Filter,
    /// By name.
    groups: HashMap<Box<str>, Group<M>>,
}

/// All groups. `M` is a member.
#[derive(Debug)]
pub(super) struct Shares<M> {
    by_id: HashMap<WildcardId, Shared<M>>,
    by_filter: HashMap<String, WildcardId>,
    levels: Level,
    last: WildcardId,
}

impl<M> Default for Shares<M> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), by_filter: HashMap::new(), levels: Level::default(), last: 0 }
    }
}

impl<M: Clone + PartialEq> Shares<M> {
    /// Adds a member to a shared filter's group, or changes what it wants.
    pub(super) fn enter(&mut self, filter: &Filter, member: M, wanted: Wanted) {
        let Some((name, filter)) = filter.shared() else { return };
        let id = *self.by_filter.entry(filter.to_owned()).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        if !self.by_id.contains_key(&id) {
            let Some(filter) = Filter::new(filter) else { return }; // it was read with the whole
            self.levels.put(filter.as_str(), id);
            self.by_id.insert(id, Shared { filter, groups: HashMap::new() });
        }
        let Some(shared) = self.by_id.get_mut(&id) else { return };
        let group = shared.groups.entry(name.into()).or_insert_with(|| Group { members: Vec::new(), next: 0 });
        match group.members.iter_mut().find(|(known, _)| *known == member) {
            Some(known) => known.1 = wanted,
            None => group.members.push((member, wanted)),
        }
    }

    /// Takes a member out of a shared filter's group.
    pub(super) fn leave(&mut self, filter: &str, member: &M) {
        let shared = Filter::new(filter);
        let Some((name, filter)) = shared.as_ref().and_then(Filter::shared) else { return };
        let Some(id) = self.by_filter.get(filter).copied() else { return };
        let Some(shared) = self.by_id.get_mut(&id) else { return };
        if let Some(group) = shared.groups.get_mut(name) {
            group.members.retain(|(known, _)| known != member);
            if group.members.is_empty() {
                shared.groups.remove(name);
            }
        }
        if shared.groups.is_empty() {
            self.by_id.remove(&id);
            self.by_filter.remove(filter);
            self.levels.remove(Some(filter));
        }
    }

    /// Of each group that wants this topic, the member whose turn it is.
    pub(super) fn pick(&mut self, topic: &str, readiness: impl Fn(&M, Wanted) -> Readiness) -> Vec<(M, Wanted)> {
        if self.by_id.is_empty() {
            return Vec::new();
        }
        let (mut ids, mut picked) = (Vec::new(), Vec::new());
        self.levels.matching(Some(topic), &mut ids);
        for id in ids {
            let Some(shared) = self.by_id.get_mut(&id).filter(|shared| shared.filter.matches(topic)) else { continue };
            picked.extend(shared.groups.values_mut().filter_map(|group| group.pick(&readiness)));
        }
        picked
    }

    /// The member of this shared filter's group whose turn it is.
    pub(super) fn pick_from(
        &mut self,
        filter: &str,
        readiness: impl Fn(&M, Wanted) -> Readiness,
    ) -> Option<(M, Wanted)> {
        let shared = Filter::new(filter);
        let (name, filter) = shared.as_ref().and_then(Filter::shared)?;
        let groups = &mut self.by_id.get_mut(self.by_filter.get(filter)?)?.groups;
        groups.get_mut(name)?.pick(&readiness)
    }

    /// Whether any group wants this topic.
    pub(super) fn has(&self, topic: &str) -> bool {
        self.wanting(topic).next().is_some()
    }

    /// Whether a group has nobody better for a message of this topic than one who lags.
    pub(super) fn lags(&self, topic: &str, readiness: impl Fn(&M, Wanted) -> Readiness) -> bool {
        let best = |group: &Group<M>| group.members.iter().map(|(member, wanted)| readiness(member, *wanted)).max();
        self.wanting(topic).flat_map(|shared| shared.groups.values()).any(|group| best(group) == Some(Readiness::Lags))
    }

    fn wanting(&self, topic: &str) -> impl Iterator<Item = &Shared<M>> {
        let mut ids = Vec::new();
        if !self.by_id.is_empty() {
            self.levels.matching(Some(topic), &mut ids);
        }
        ids.into_iter().filter_map(|id| self.by_id.get(&id)).filter(move |shared| shared.filter.matches(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::codec::QoS;

    fn wanted() -> Wanted {
        Wanted::plain(QoS::AtLeastOnce)
    }

    fn filter(text: &str) -> Filter {
        Filter::new(text).unwrap()
    }

    fn picked(all: &mut Shares<u8>, topic: &str, readiness: impl Fn(&u8) -> Readiness) -> Vec<u8> {
        let mut picked: Vec<_> =
            all.pick(topic, |member, _| readiness(member)).into_iter().map(|(member, _)| member).collect();
        picked.sort_unstable();
        picked
    }

    #[test]
    fn members_take_turns_and_each_group_has_its_own() {
        let mut all = Shares::default();
        for member in 1..=3 {
            all.enter(&filter("$share/g/a/+"), member, wanted());
        }
        all.enter(&filter("$share/h/a/+"), 9, wanted());
        all.enter(&filter("$share/g/a/b"), 8, wanted());
        let turns: Vec<_> = (0..4).map(|_| picked(&mut all, "a/c", |_| Readiness::Ready)).collect();
        assert_eq!(turns, [[1, 9], [2, 9], [3, 9], [1, 9]]);
        assert_eq!(picked(&mut all, "a/b", |_| Readiness::Ready), [2, 8, 9]);
        assert!(all.has("a/b") && !all.has("a") && !all.has("$SYS/b"));
    }

    #[test]
    fn who_is_there_goes_before_who_lags_and_who_is_away() {
        let mut all = Shares::default();
        for member in 1..=3 {
            all.enter(&filter("$share/g/#"), member, wanted());
        }
        let of = |ready: [Readiness; 3]| move |member: &u8| ready[usize::from(*member) - 1];
        use Readiness::{Gone, Keeps, Lags, Ready};
        for _ in 0..3 {
            assert_eq!(picked(&mut all, "a", of([Keeps, Ready, Lags])), [2]);
            assert_eq!(picked(&mut all, "a", of([Keeps, Gone, Lags])), [3]);
        }
        assert!(picked(&mut all, "a", of([Gone; 3])).is_empty());
        for (who, lags) in [([Keeps, Lags, Gone], true), ([Keeps, Lags, Ready], false), ([Keeps; 3], false)] {
            let of = of(who);
            assert_eq!(all.lags("a", |member, _| of(member)), lags, "{who:?}");
        }
        assert!(picked(&mut all, "$SYS/a", of([Ready; 3])).is_empty(), "hidden from wildcards");
    }

    #[test]
    fn nothing_is_left_of_a_group_without_members() {
        let mut all = Shares::default();
        all.enter(&filter("$share/g/a/#"), 1, wanted());
        all.enter(&filter("$share/g/a/#"), 1, wanted());
        all.enter(&filter("$share/g/a/#"), 2, wanted());
        all.leave("$share/g/a/#", &1);
        all.leave("$share/h/a/#", &2);
        assert_eq!(picked(&mut all, "a/b", |_| Readiness::Ready), [2]);
        all.leave("$share/g/a/#", &2);
        assert!(all.by_id.is_empty() && all.by_filter.is_empty() && all.levels.is_empty());
    }
}
