//! Which versions need not be kept any longer. Pure; never the last one made, and none at all unless a setting asks.

use std::collections::HashSet;

use super::version::Version;
use crate::config;
use crate::dmx::VersionId;

const DAY_MS: u64 = 86_400_000;

/// Days from a Thursday, which 1 January 1970 was, back to its Monday.
const MONDAY: u64 = 3;

/// How many are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The last ones.
    last: usize,
    /// The last one of each of so many days (UTC) on which there was one.
    daily: usize,
    /// The last one of each of so many weeks (UTC, from Monday) in which there was one.
    weekly: usize,
}

impl Rules {
    pub(super) fn new(settings: &config::Backup) -> Self {
        let config::Backup { keep_last: last, keep_daily: daily, keep_weekly: weekly, .. } = *settings;
        Self { last, daily, weekly }
    }

    /// Whether everything is kept.
    pub(super) fn keep_all(self) -> bool {
        self.last == 0 && self.daily == 0 && self.weekly == 0
    }

    /// Those that may be deleted. `made` is the one just made. The recorded times only group versions into days and weeks:
    /// what is kept is what was made last. Versions made by restores are left out.
    pub(super) fn spare(self, versions: &[Version], made: &VersionId, now_ms: u64) -> Vec<VersionId> {
        if self.keep_all() {
            return Vec::new();
        }
        let mut newest_first: Vec<_> = versions.iter().filter(|version| !version.safety).collect();
        newest_first.sort_by(|a, b| b.made_before(a, now_ms));
        let mut kept: HashSet<&VersionId> = newest_first.iter().take(self.last.max(1)).map(|v| &v.version_id).collect();
        kept.insert(made);
        for (count, period) in [(self.daily, day as fn(u64) -> u64), (self.weekly, week)] {
            let mut seen = HashSet::new();
            for version in &newest_first {
                if seen.len() < count && seen.insert(period(version.created_at)) {
                    kept.insert(&version.version_id);
                }
            }
        }
        let spare = newest_first.iter().filter(|version| !kept.contains(&version.version_id));
        spare.map(|version| version.version_id.clone()).collect()
    }
}

fn day(ms: u64) -> u64 {
    ms / DAY_MS
}

fn week(ms: u64) -> u64 {
    (day(ms) + MONDAY) / 7
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::version::Provider;
    use super::*;

    fn version(n: usize, created_at: u64, safety: bool) -> Version {
        Version {
            version_id: format!("v{n}").parse().unwrap(),
            created_at,
            size: 1,
            label: None,
            provider: Provider::Local,
            encrypted: false,
            sha256: None,
            safety,
            order: Some(n as u64 + 1),
        }
    }

    /// Made one after the other while the clock told these times.
    fn at(times: &[u64]) -> Vec<Version> {
        times.iter().enumerate().map(|(n, time)| version(n, *time, false)).collect()
    }

    /// Made by another tool, which does not number them.
    fn unnumbered(times: &[u64]) -> Vec<Version> {
        at(times).into_iter().map(|version| Version { order: None, ..version }).collect()
    }

    const NOW: u64 = 20 * DAY_MS;

    fn kept(rules: Rules, versions: &[Version], made: &str) -> Vec<u64> {
        let spare = rules.spare(versions, &made.parse().unwrap(), NOW);
        let kept = versions.iter().filter(|version| !spare.contains(&version.version_id));
        kept.map(|version| version.created_at).collect()
    }

    #[test]
    fn days_and_weeks_keep_their_last_one() {
        let hour = DAY_MS / 24;
        // Thursday 0:00, 1:00; Friday 0:00; Monday 0:00, 5:00.
        let versions = at(&[0, hour, DAY_MS, 4 * DAY_MS, 4 * DAY_MS + 5 * hour]);
        let rules = |last, daily, weekly| Rules { last, daily, weekly };
        assert_eq!(kept(rules(0, 0, 0), &versions, "v4").len(), 5);
        assert_eq!(kept(rules(2, 0, 0), &versions, "v4"), [4 * DAY_MS, 4 * DAY_MS + 5 * hour]);
        assert_eq!(kept(rules(0, 3, 0), &versions, "v4"), [hour, DAY_MS, 4 * DAY_MS + 5 * hour]);
        assert_eq!(kept(rules(0, 0, 2), &versions, "v4"), [DAY_MS, 4 * DAY_MS + 5 * hour]);
    }

    #[test]
    fn what_was_made_last_is_kept_whatever_the_clock_told() {
        let last = |last| Rules { last, daily: 0, weekly: 0 };
        // A Pi without a clock: the three made last were made in 1970.
        assert_eq!(kept(last(3), &at(&[9 * DAY_MS, 8 * DAY_MS, 5, 6, 5]), "v4"), [5, 6, 5]);
        // One from a time when the clock was ahead goes when its turn comes, by each of the rules.
        let ahead = at(&[9000 * DAY_MS, 5 * DAY_MS, 6 * DAY_MS, 7 * DAY_MS]);
        assert_eq!(kept(last(2), &ahead, "v3"), [6 * DAY_MS, 7 * DAY_MS]);
        assert_eq!(kept(Rules { last: 0, daily: 2, weekly: 0 }, &ahead, "v3"), [6 * DAY_MS, 7 * DAY_MS]);
    }

    #[test]
    fn a_time_that_is_still_to_come_is_distrusted_where_nothing_else_tells_the_order() {
        let theirs = unnumbered(&[NOW + 1, 9 * DAY_MS, 8 * DAY_MS]);
        assert_eq!(kept(Rules { last: 1, daily: 0, weekly: 0 }, &theirs, "v1"), [9 * DAY_MS]);
        // Numbered ones are younger than those of whoever does not number them.
        let mut both = theirs;
        both.extend([version(7, 5, false)]);
        assert_eq!(kept(Rules { last: 2, daily: 0, weekly: 0 }, &both, "v7"), [9 * DAY_MS, 5]);
    }

    proptest! {
        #[test]
        fn the_newest_and_the_one_just_made_are_kept_and_enough_beside_them(
            times in prop::collection::vec(0..60 * DAY_MS, 1..60),
            safety in prop::collection::vec(any::<bool>(), 60),
            (last, daily, weekly) in (0..8_usize, 0..8_usize, 0..8_usize),
            numbered in prop::collection::vec(any::<bool>(), 60),
            made in 0..60_usize,
        ) {
            let mut versions: Vec<_> =
                times.iter().zip(&safety).enumerate().map(|(n, (time, safety))| version(n, *time, *safety)).collect();
            versions.iter_mut().zip(&numbered).filter(|(_, is)| !**is).for_each(|(version, _)| version.order = None);
            let made = versions[made % versions.len()].version_id.clone();
            let rules = Rules { last, daily, weekly };
            let spare = rules.spare(&versions, &made, NOW);
            prop_assert!(!spare.contains(&made));
            prop_assert!(versions.iter().filter(|v| v.safety).all(|v| !spare.contains(&v.version_id)));
            let ordinary: Vec<_> = versions.iter().filter(|v| !v.safety).collect();
            if let Some(newest) = ordinary.iter().max_by(|a, b| a.made_before(b, NOW)) {
                prop_assert!(!spare.contains(&newest.version_id));
            }
            let left = ordinary.len() - spare.len();
            prop_assert!(left >= last.min(ordinary.len()));
            prop_assert!(rules.keep_all() || left <= last.max(1) + daily + weekly + 1);
            prop_assert!(!rules.keep_all() || spare.is_empty());
            // Doing it twice deletes nothing more.
            let rest: Vec<_> = versions.iter().filter(|v| !spare.contains(&v.version_id)).cloned().collect();
            prop_assert!(rules.spare(&rest, &made, NOW).is_empty());
        }
    }
}
