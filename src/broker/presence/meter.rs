//! How much one client has sent and been sent. Its session counts without a lock; the roster reads once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::kit::clock;

/// The counters of a client, over all its connections of this run.
#[derive(Debug, Default)]
pub(in crate::broker) struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    /// Unix milliseconds.
    last_seen: AtomicU64,
}

impl Meter {
    /// Counts a packet, which may be a message.
    pub(in crate::broker) fn heard(&self, message: bool) {
        self.last_seen.store(clock::now_ms(), Ordering::Relaxed);
        self.received.fetch_add(u64::from(message), Ordering::Relaxed);
    }

    /// Counts messages handed to it.
    pub(in crate::broker) fn sent(&self, messages: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn seen_at(&self, now: u64) {
        self.last_seen.store(now, Ordering::Relaxed);
    }

    pub(super) fn last_seen(&self) -> u64 {
        self.last_seen.load(Ordering::Relaxed)
    }
}

/// Messages a second between two readings of a meter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    received: u64,
    sent: u64,
    pub(super) messages_in: f64,
    pub(super) messages_out: f64,
}

impl Pace {
    /// Reads the meter; `passed` is the time since the last reading.
    pub(super) fn look(&mut self, meter: &Meter, passed: Duration) {
        let (received, sent) = (meter.received.load(Ordering::Relaxed), meter.sent.load(Ordering::Relaxed));
        self.messages_in = rate(received.saturating_sub(self.received), passed);
        self.messages_out = rate(sent.saturating_sub(self.sent), passed);
        (self.received, self.sent) = (received, sent);
    }
}

/// To one decimal.
fn rate(events: u64, passed: Duration) -> f64 {
    let seconds = passed.as_secs_f64();
    if seconds > 0.0 { (events as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_what_came_since_the_last_look_and_falls_to_zero() {
        let (meter, mut pace) = (Meter::default(), Pace::default());
        for n in 0..30 {
            meter.heard(n % 3 == 0);
        }
        meter.sent(7);
        pace.look(&meter, Duration::from_secs(2));
        assert_eq!((pace.messages_in, pace.messages_out), (5.0, 3.5));
        pace.look(&meter, Duration::from_secs(1));
        assert_eq!((pace.messages_in, pace.messages_out), (0.0, 0.0));
        assert!(meter.last_seen() > 0);
    }
}
