//! How fast one client may command one universe, pure: a budget that fills evenly, and a place for the newest level of each
//! channel that came too fast. So a fader that moves too fast still ends where it was released.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::sender::Client;
use crate::dmx::{ChannelSet, Command, Levels, Patch, UniverseId};
use crate::wire::{Reason, Refusal};

/// Commands a second from one client to one universe (CONTRACT, section 5), and as many at once after a quiet second.
pub(super) const PER_SECOND: u32 = 60;

/// How long a command waits for the budget at most; then it goes anyway. An ack may wait for a second
/// (CONTRACT, section 5); the rest of that is for the engine.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(900);

/// Clients and universes whose budget is known at one time; beyond that, the one quiet for longest starts anew.
const KNOWN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Commands that may wait, in all and of one client. A newer one takes the place of an older one for the same channels. When
/// full, further ones are refused at once.
const WAITING: usize = 4096;
const WAITING_OF_ONE: usize = 1024;

/// Which of a client's budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Budget {
    /// Levels of one universe.
    Universe(UniverseId),
    /// Scenes, recalled or saved.
    Scenes,
    /// Fixtures, in whatever universes.
    Fixtures,
}

/// Whose budget it is.
type Key = (Client, Budget);

/// The budgets, and the commands that wait for them.
pub(super) struct Pace<R> {
    budgets: LruCache<Key, Bucket>,
    /// In order of arrival.
    waiting: Vec<Waiting<R>>,
}

struct Bucket {
    left: f64,
    since: Instant,
}

struct Waiting<R> {
    key: Key,
    command: Command,
    /// Who gets the outcome.
    reply: R,
    /// When it goes, whatever the budget says.
    latest: Instant,
}

/// The outcome for a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered<R> {
    /// It may go now.
    Goes(Box<Command>, R),
    /// It waits its turn.
    Waits,
    /// There is no place to wait.
    NoPlace(R),
}

impl<R> Default for Pace<R> {
    fn default() -> Self {
        Self { budgets: LruCache::new(KNOWN), waiting: Vec::new() }
    }
}

impl<R> Pace<R> {
    /// Spends one of the budget for scenes, for a command that cannot wait.
    pub(super) fn may(&mut self, client: &Client, now: Instant) -> bool {
        self.takes(&(client.clone(), Budget::Scenes), now)
    }

    /// Takes a command that has a budget.
    pub(super) fn offer(
        &mut self,
        client: &Client,
        of: Budget,
        command: Command,
        reply: R,
        now: Instant,
    ) -> Offered<R> {
        let key = (client.clone(), of);
        // behind those that wait already, so that one client's commands are done in order
        if !self.waiting.iter().any(|waiting| waiting.key == key) && self.takes(&key, now) {
            return Offered::Goes(Box::new(command), reply);
        }
        let own = self.waiting.iter().filter(|waiting| waiting.key.0 == key.0).count();
        if self.waiting.len() >= WAITING || own >= WAITING_OF_ONE {
            return Offered::NoPlace(reply);
        }
        self.waiting.push(Waiting { key, command, reply, latest: now + LONGEST_WAIT });
        Offered::Waits
    }

    /// A newer command takes the channels it names, whoever sends it: commands that wait lose them. Those left without any
    /// are handed back.
    pub(super) fn replace(&mut self, newer: &Command) -> Vec<R> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let set = |patch: &Patch| patch.levels.iter().map(|&(channel, _)| channel).collect();
        let taken: BTreeMap<UniverseId, ChannelSet> = newer.patches().iter().map(|p| (p.universe, set(p))).collect();
        let trim = |universe, levels: &mut Levels| {
            if let Some(taken) = taken.get(&universe) {
                levels.retain(|&(channel, _)| !taken.has(channel));
            }
        };
        self.waiting.extract_if(.., |waiting| waiting.command.trim(trim)).map(|waiting| waiting.reply).collect()
    }

    /// Gives commands whose turn has come, oldest first; false when one was given back: it and those behind it stay.
    pub(super) fn due(
        &mut self,
        now: Instant,
        mut give: impl FnMut(Command, R) -> Result<(), Box<(Command, R)>>,
    ) -> bool {
        let mut behind: Vec<Key> = Vec::new();
        let mut all = true;
        for mut waiting in std::mem::take(&mut self.waiting) {
            let may = |pace: &mut Self| !behind.contains(&waiting.key) && pace.takes(&waiting.key, now);
            if all && (waiting.latest <= now || may(self)) {
                match give(waiting.command, waiting.reply) {
                    Ok(()) => continue,
                    Err(back) => {
                        let (command, reply) = *back;
                        waiting = Waiting { key: waiting.key, command, reply, latest: now };
                    }
                }
                all = false;
            }
            if !behind.contains(&waiting.key) {
                behind.push(waiting.key.clone());
            }
            self.waiting.push(waiting);
        }
        all
    }

    /// When the next turn comes; `None` when nothing waits.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting
            .iter()
            .map(|waiting| self.turn(&waiting.key).map_or(waiting.latest, |at| at.min(waiting.latest)))
            .min()
    }

    /// When a budget has one again.
    fn turn(&self, key: &Key) -> Option<Instant> {
        let budget = self.budgets.peek(key)?;
        let missing = (1.0 - budget.left).max(0.0);
        Some(budget.since + Duration::from_secs_f64(missing / f64::from(PER_SECOND)))
    }

    fn takes(&mut self, key: &Key, now: Instant) -> bool {
        let all = f64::from(PER_SECOND);
        let budget = self.budgets.get_or_insert_mut(key.clone(), || Bucket { left: all, since: now });
        let gained = now.duration_since(budget.since).as_secs_f64() * all;
        budget.left = (budget.left + gained).min(all);
        budget.since = now;
        let may = budget.left >= 1.0 - EPSILON;
        if may {
            budget.left -= 1.0;
        }
        may
    }
}

/// How much rounding may take from a budget that has just filled up.
const EPSILON: f64 = 1e-6;

/// How a command that has no place is refused.
pub(super) fn too_fast() -> Refusal {
    Refusal::whole(Reason::RateLimited, format!("more than {PER_SECOND} commands a second to one universe"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::Channel;
    use proptest::prelude::*;

    fn client(name: &str) -> Client {
        Client::Mqtt(name.into())
    }

    fn command(levels: &[(u16, u8)]) -> Command {
        command_to(UniverseId::LAMP, levels)
    }

    fn command_to(universe: UniverseId, levels: &[(u16, u8)]) -> Command {
        let levels = levels.iter().map(|&(channel, level)| (Channel::new(channel).unwrap(), level)).collect();
        let id = ulid::Ulid::generate().into();
        Command::set(id, "t".parse().unwrap(), Patch { universe, levels })
    }

    fn levels(command: &Command) -> Vec<(u16, u8)> {
        command.patches().iter().flat_map(|p| &p.levels).map(|&(channel, level)| (channel.number(), level)).collect()
    }

    /// Offers, as the intake does: what it replaces first.
    fn offer(pace: &mut Pace<usize>, of: &str, levels: &[(u16, u8)], n: usize, now: Instant) -> (Vec<usize>, bool) {
        let command = command(levels);
        let replaced = pace.replace(&command);
        let offered = pace.offer(&client(of), Budget::Universe(UniverseId::LAMP), command, n, now);
        (replaced, matches!(offered, Offered::Goes(..)))
    }

    fn due(pace: &mut Pace<usize>, now: Instant) -> Vec<(Command, usize)> {
        let mut due = Vec::new();
        assert!(pace.due(now, |command, n| {
            due.push((command, n));
            Ok(())
        }));
        due
    }

    #[test]
    fn what_is_too_fast_waits_and_the_newest_of_each_channel_goes_as_the_budget_allows() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for n in 0..60 {
            assert_eq!(offer(&mut pace, "a", &[(1, 1)], n, start), (vec![], true), "{n}");
        }
        assert_eq!(offer(&mut pace, "a", &[(1, 2)], 60, start), (vec![], false));
        assert_eq!(offer(&mut pace, "a", &[(2, 3)], 61, start), (vec![], false));
        assert_eq!(offer(&mut pace, "a", &[(1, 4)], 62, start), (vec![60], false), "the newer one of channel 1");
        assert_eq!(offer(&mut pace, "b", &[(9, 9)], 63, start), (vec![], true), "another client has its own budget");
        assert!(due(&mut pace, start).is_empty());
        let first = pace.next().unwrap();
        assert!(first > start && first <= start + Duration::from_millis(17));
        let given = due(&mut pace, first);
        assert_eq!(given.iter().map(|(command, n)| (levels(command), *n)).collect::<Vec<_>>(), [(vec![(2, 3)], 61)]);
        let next = pace.next().unwrap();
        let given = due(&mut pace, next);
        assert_eq!(given.iter().map(|(command, n)| (levels(command), *n)).collect::<Vec<_>>(), [(vec![(1, 4)], 62)]);
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn those_that_the_engine_has_no_room_for_stay_in_their_order_and_are_due_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        (0..60).for_each(|n| drop(offer(&mut pace, "a", &[(1, 1)], n, start)));
        (61..64).for_each(|n| drop(offer(&mut pace, "a", &[(n, 1)], usize::from(n), start)));
        let mut asked = 0;
        let none = |command, n| {
            asked += 1;
            Err(Box::new((command, n)))
        };
        assert!(!pace.due(start + LONGEST_WAIT, none));
        assert_eq!(asked, 1, "none overtakes the one that was given back");
        assert!(pace.next().is_some_and(|next| next <= start + LONGEST_WAIT));
        let given = due(&mut pace, start + LONGEST_WAIT);
        assert_eq!(given.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [61, 62, 63]);
    }

    #[test]
    fn somebody_elses_newer_level_is_not_taken_back_by_one_that_waited() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        (0..60).for_each(|n| drop(offer(&mut pace, "a", &[(1, 1)], n, start)));
        assert!(!offer(&mut pace, "a", &[(1, 2), (2, 2)], 60, start).1);
        assert_eq!(offer(&mut pace, "b", &[(1, 9)], 61, start), (vec![], true));
        let given = due(&mut pace, start + LONGEST_WAIT);
        assert_eq!(given.iter().map(|(command, _)| levels(command)).collect::<Vec<_>>(), [vec![(2, 2)]]);
    }

    #[test]
    fn one_client_fills_its_own_places_only() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut one = |of: &str, universe: u8, channel: u16| {
            let universe = UniverseId::new(universe).unwrap();
            let command = command_to(universe, &[(channel, 1)]);
            pace.offer(&client(of), Budget::Universe(universe), command, 0, start)
        };
        let all: Vec<_> = (0..8).flat_map(|u| (1..=512).map(move |c| (u, c))).collect();
        let offered: Vec<_> = all.into_iter().map(|(u, c)| one("a", u, c)).collect();
        assert_eq!(offered.iter().filter(|offered| **offered == Offered::Waits).count(), WAITING_OF_ONE);
        assert!(matches!(offered.last(), Some(Offered::NoPlace(_))));
        (0..60).for_each(|_| drop(one("b", 0, 1)));
        assert_eq!(one("b", 0, 2), Offered::Waits);
    }

    proptest! {
        /// However fast somebody is: after a second the light is what was asked for last, and it was done within the budget
        /// and a place for each channel.
        #[test]
        fn the_last_level_of_each_channel_always_arrives(
            script in prop::collection::vec((1u16..6, any::<u8>(), 0u64..12), 1..400),
        ) {
            let (mut pace, start) = (Pace::default(), Instant::now());
            let (mut now, mut light, mut asked) = (start, [0u8; 6], [0u8; 6]);
            let mut done = 0;
            for (n, (channel, level, pause)) in script.into_iter().enumerate() {
                let until = now + Duration::from_millis(pause);
                while let Some(at) = pace.next().filter(|&at| at <= until) {
                    for (command, _) in due(&mut pace, at) {
                        done += 1;
                        for (channel, level) in levels(&command) { light[usize::from(channel)] = level; }
                    }
                }
                now = until;
                asked[usize::from(channel)] = level;
                if offer(&mut pace, "a", &[(channel, level)], n, now).1 {
                    done += 1;
                    light[usize::from(channel)] = level;
                }
                prop_assert!(pace.waiting.len() <= 5);
            }
            let most = 61.0 + now.duration_since(start).as_secs_f64() * 60.0;
            prop_assert!(f64::from(done) <= most, "{} of {}", done, most);
            for (command, _) in due(&mut pace, now + LONGEST_WAIT) {
                for (channel, level) in levels(&command) { light[usize::from(channel)] = level; }
            }
            prop_assert_eq!(light, asked);
            prop_assert_eq!(pace.next(), None);
        }
    }
}
