//! How old a command is, pure: by the client's own clock, for commands that a newer one overtook; by the clock that its pings
//! show, for commands that were held up.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::sender::Client;
use crate::dmx::{Channel, Command, Source, UniverseId};

/// A level counts as overtaken if it is older than the newest by up to this. Older still: a clock that was set back.
const OVERTAKEN_MS: u64 = 2000;

/// How long a channel's newest `ts` matters. Requests that overtake each other arrive within a second or two.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Clients and universes known at one time; beyond that, the one quiet for longest is forgotten.
const KNOWN: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The newest `ts` of each channel, by client and source.
pub(super) struct Newest(LruCache<(Client, Source, UniverseId), Vec<Seen>>);

struct Seen {
    channel: Channel,
    ts: u64,
    at: Instant,
}

impl Default for Newest {
    fn default() -> Self {
        Self(LruCache::new(KNOWN))
    }
}

impl Newest {
    /// Takes the levels out of a command that a newer one of the same client has overtaken; true if that was all of them.
    pub(super) fn overtakes(&mut self, client: &Client, ts: u64, command: &mut Command, now: Instant) -> bool {
        let source = command.source.clone();
        command.trim(|universe, levels| {
            let seen = self.0.get_or_insert_mut((client.person(), source.clone(), universe), Vec::new);
            seen.retain(|seen| now.duration_since(seen.at) < REMEMBERED);
            levels.retain(|&(channel, _)| match seen.iter_mut().find(|seen| seen.channel == channel) {
                Some(known) if (1..=OVERTAKEN_MS).contains(&known.ts.saturating_sub(ts)) => false,
                Some(known) => {
                    (known.ts, known.at) = (ts, now);
                    true
                }
                None => {
                    seen.push(Seen { channel, ts, at: now });
                    true
                }
            });
        })
    }
}

/// Pings by which a client's clock is known: the one that was on its way for the shortest time is right.
const PINGS: usize = 8;

/// How far apart two clocks may seem because a radio was dead; a WebSocket is closed long before that. More: the
/// client's clock was set.
const CLOCK_WAS_SET_MS: i64 = 60_000;

/// What a client's pings say of its clock.
#[derive(Debug, Default)]
pub struct Clock(VecDeque<i64>);

impl Clock {
    /// A ping arrived at `now_ms` that was sent at `ts` by the client's clock, both Unix milliseconds.
    pub fn heard(&mut self, ts: u64, now_ms: u64) {
        let Some(behind) = behind(ts, now_ms) else { return };
        if self.behind_ms().is_some_and(|known| (behind - known).abs() > CLOCK_WAS_SET_MS) {
            self.0.clear();
        }
        if self.0.len() == PINGS {
            self.0.pop_front();
        }
        self.0.push_back(behind);
    }

    /// How far the client's clock is behind ours; `None` before the first ping.
    #[must_use]
    pub fn behind_ms(&self) -> Option<i64> {
        self.0.iter().min().copied()
    }
}

fn behind(ts: u64, now_ms: u64) -> Option<i64> {
    Some(i64::try_from(now_ms).ok()? - i64::try_from(ts).ok()?)
}

/// How long ago a client sent a message with this `ts`, if its clock is `behind_ms` behind ours.
pub(super) fn since(ts: u64, behind_ms: i64, now_ms: u64) -> Duration {
    let age = behind(ts, now_ms).map_or(0, |age| age - behind_ms);
    Duration::from_millis(u64::try_from(age).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::Patch;

    fn command(levels: &[(u16, u8)]) -> Command {
        let levels = levels.iter().map(|&(channel, level)| (Channel::new(channel).unwrap(), level)).collect();
        let patch = Patch { universe: UniverseId::LAMP, levels };
        Command::set(ulid::Ulid::generate().into(), "t".parse().unwrap(), patch)
    }

    fn client() -> Client {
        Client::Mqtt("a".into())
    }

    #[test]
    fn what_a_newer_one_has_overtaken_is_stale_channel_by_channel() {
        let (mut newest, now) = (Newest::default(), Instant::now());
        let mut stale = |levels: &[(u16, u8)], ts| {
            let mut command = command(levels);
            let all = newest.overtakes(&client(), ts, &mut command, now);
            (all, command.patches().iter().flat_map(|p| &p.levels).map(|(c, _)| c.number()).collect::<Vec<_>>())
        };
        assert_eq!(stale(&[(1, 1)], 10_000), (false, vec![1]));
        assert_eq!(stale(&[(1, 2)], 9_999), (true, vec![]));
        assert_eq!(stale(&[(1, 2), (2, 2)], 8_000), (false, vec![2]), "nothing newer is known of channel 2");
        assert_eq!(stale(&[(1, 3)], 10_000), (false, vec![1]), "the same moment is not older");
        assert_eq!(stale(&[(1, 4)], 7_999), (false, vec![1]), "a clock that was set back");
        assert_eq!(stale(&[(1, 5)], 8_000), (false, vec![1]), "and goes on from there");
    }

    #[test]
    fn another_client_source_or_time_is_another_matter() {
        let (mut newest, now) = (Newest::default(), Instant::now());
        assert!(!newest.overtakes(&client(), 10_000, &mut command(&[(1, 1)]), now));
        assert!(!newest.overtakes(&Client::Mqtt("b".into()), 9_999, &mut command(&[(1, 1)]), now));
        let mut other = command(&[(1, 1)]);
        other.source = "u".parse().unwrap();
        assert!(!newest.overtakes(&client(), 9_999, &mut other, now));
        assert!(!newest.overtakes(&client(), 9_999, &mut command(&[(1, 1)]), now + REMEMBERED));
    }

    #[test]
    fn a_clock_is_told_by_the_fastest_ping_and_a_set_one_anew() {
        let mut clock = Clock::default();
        assert_eq!(clock.behind_ms(), None);
        clock.heard(1_000_000, 1_000_500);
        clock.heard(1_001_000, 1_001_480);
        clock.heard(1_002_000, 1_011_000); // held up for 8.5 s
        assert_eq!(clock.behind_ms(), Some(480));
        assert_eq!(since(1_002_000, 480, 1_011_000), Duration::from_millis(8_520));
        assert_eq!(since(1_012_000, 480, 1_011_000), Duration::ZERO);
        clock.heard(90_000_000, 1_012_000);
        assert_eq!(clock.behind_ms(), Some(-88_988_000));
        (0..PINGS as u64).for_each(|n| clock.heard(90_000_000 + n, 1_022_000 + n));
        assert_eq!(clock.behind_ms(), Some(-88_978_000), "old pings are forgotten");
    }
}
