//! Fairness, pure: who publishes so much that it has to wait for those who lag, and how much one client may publish.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that publishers are slowed for laggards (the figure).
pub(super) const HOLD: Duration = Duration::from_secs(1);

/// A client that lags for this long is disconnected, before those who wait for it go on.
pub(super) const LAG_PATIENCE: Duration = Duration::from_millis(900);

/// Whoever publishes more than this in a second is among the busiest: a room of lamps and buttons is far below.
const BUSY_MESSAGES: u32 = 100;
const BUSY_BYTES: u64 = 64 << 10;

const SECOND: Duration = Duration::from_secs(1);

/// What one client has published in the present second.
#[derive(Debug)]
pub(super) struct Voice {
    since: Instant,
    messages: u32,
    bytes: u64,
    /// It was busy in the previous second.
    was_busy: bool,
    most_messages: u32,
    most_bytes: u64,
}

impl Voice {
    /// With limits per second; 0 = none.
    pub(super) fn new(most_messages: u32, most_bytes: u64, now: Instant) -> Self {
        Self { since: now, messages: 0, bytes: 0, was_busy: false, most_messages, most_bytes }
    }

    /// Counts a message of this many bytes.
    pub(super) fn said(&mut self, bytes: usize, now: Instant) {
        self.turn(now);
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.duration_since(self.since);
        if passed >= SECOND {
            self.was_busy = passed < SECOND * 2 && self.is_loud();
            (self.since, self.messages, self.bytes) = (now, 0, 0);
        }
    }

    fn is_loud(&self) -> bool {
        self.messages >= BUSY_MESSAGES || self.bytes >= BUSY_BYTES
    }

    /// Whether it is among the busiest.
    pub(super) fn is_busy(&mut self, now: Instant) -> bool {
        self.turn(now);
        self.was_busy || self.is_loud()
    }

    /// When to read from it again; `None`: now.
    pub(super) fn silent_until(&mut self, now: Instant) -> Option<Instant> {
        self.turn(now);
        let over = (self.most_messages > 0 && self.messages >= self.most_messages)
            || (self.most_bytes > 0 && self.bytes >= self.most_bytes);
        over.then(|| self.since + SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_much_is_busy_until_a_second_after() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut voice = Voice::new(0, 0, start);
        for n in 0..99 {
            voice.said(10, at(n));
        }
        assert!(!voice.is_busy(at(99)));
        voice.said(10, at(100));
        assert!(voice.is_busy(at(200)) && voice.is_busy(at(1_500)) && !voice.is_busy(at(3_000)));
        voice.said(70_000, at(3_100));
        assert!(voice.is_busy(at(3_200)));
        assert_eq!(voice.silent_until(at(3_200)), None, "no limit is set");
    }

    #[test]
    fn a_limit_silences_until_the_next_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (mut voice, bytes) in [(Voice::new(3, 0, start), 1), (Voice::new(0, 3_000, start), 1_000)] {
            (0..3).for_each(|n| voice.said(bytes, at(n)));
            assert_eq!(voice.silent_until(at(10)), Some(at(1_000)));
            assert_eq!(voice.silent_until(at(1_000)), None);
        }
    }
}
