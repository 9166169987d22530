//! When the next automatic backup is due, and when the last good one is too old. Pure; uses the monotonic clock, since the
//! other one may go back.

use std::time::Duration;

use tokio::time::Instant;

use crate::kit::backoff::Backoff;

/// Before the first one: the house has settled, and a box that only runs for short evenings still gets its backup.
const FIRST: Duration = Duration::from_secs(60);

/// First and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(1800));

/// How many intervals may pass without a good one.
const OLD: u32 = 2;

/// The schedule, if there is one.
pub(super) struct Schedule {
    every: Duration,
    next: Instant,
    /// When the last good one was made; at first, when the run began.
    good: Instant,
    backoff: Backoff,
}

impl Schedule {
    /// `None` for 0 minutes.
    pub(super) fn new(minutes: u64, now: Instant) -> Option<Self> {
        let every = Duration::from_secs(minutes.saturating_mul(60));
        let backoff = Backoff::new(PAUSES.0, PAUSES.1.min(every));
        (minutes > 0).then(|| Self { every, next: now + FIRST.min(every), good: now, backoff })
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// When the last good one becomes too old.
    pub(super) fn old_at(&self) -> Instant {
        self.good + self.every * OLD
    }

    /// Age of the last good one, and how often there should be one.
    pub(super) fn age(&self, now: Instant) -> (Duration, Duration) {
        (now.saturating_duration_since(self.good), self.every)
    }

    /// One was made, or nothing had changed.
    pub(super) fn good(&mut self, now: Instant) {
        self.backoff.reset();
        (self.good, self.next) = (now, now + self.every);
    }

    /// One failed.
    pub(super) fn failed(&mut self, now: Instant) {
        self.next = now + self.backoff.pause();
    }

    /// Another job has the turn.
    pub(super) fn later(&mut self, now: Instant) {
        self.next = now + Duration::from_secs(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_due_when_no_interval_is_set() {
        assert!(Schedule::new(0, Instant::now()).is_none());
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses_never_longer_than_the_interval() {
        let start = Instant::now();
        let mut schedule = Schedule::new(10, start).unwrap();
        assert_eq!(schedule.next(), start + FIRST);
        let mut now = start;
        for most in [15, 30, 60, 120, 240, 480, 600, 600] {
            now = schedule.next();
            schedule.failed(now);
            let pause = schedule.next() - now;
            assert!(pause <= Duration::from_secs(most) && pause >= Duration::from_secs(most) * 3 / 4, "{pause:?}");
        }
        assert_eq!(schedule.old_at(), start + Duration::from_secs(1200));
        schedule.good(now);
        assert_eq!(schedule.next(), now + Duration::from_secs(600));
        assert_eq!(schedule.old_at(), now + Duration::from_secs(1200));
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let now = Instant::now();
        let mut schedule = Schedule::new(315_360_000 / 60, now).unwrap();
        schedule.good(now);
        assert!(schedule.old_at() > schedule.next());
    }
}
