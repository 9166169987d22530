//! The last messages that went into the router, pure. When it is replaced, each session takes from here what the old router
//! did not bring.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::codec::QoS;

/// Older messages have reached every session that keeps up: the router takes milliseconds.
const AGE: Duration = Duration::from_secs(2);

/// Most bytes, whatever their age: four times what one filter's log holds in the router.
const BYTES: usize = 4 << 20;

/// Messages given out at a time: everybody needs the lock.
const PAGE: usize = 256;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) number: u64,
    /// Bytes published up to here.
    pub(super) passed: u64,
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
}

/// All of them, in order of number.
#[derive(Debug)]
pub(super) struct RecentMessages {
    messages: VecDeque<(Instant, Recent)>,
    bytes: usize,
    /// When the router last worked for certain: younger messages may not have reached anybody.
    confirmed: Instant,
    /// Messages dropped although they might still be needed.
    lost: u64,
}

impl RecentMessages {
    pub(super) fn new(now: Instant) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, confirmed: now, lost: 0 }
    }

    pub(super) fn push(&mut self, message: Recent, now: Instant) {
        self.bytes += size(&message);
        self.messages.push_back((now, message));
        while let Some((at, _)) = self.messages.front() {
            let needed = *at + AGE > self.confirmed.min(now);
            if needed && self.bytes <= BYTES {
                break;
            }
            self.lost += u64::from(needed);
            if let Some((_, gone)) = self.messages.pop_front() {
                self.bytes -= size(&gone);
            }
        }
    }

    /// The router has just answered a probe: everything sent `AGE` before that has arrived. Messages dropped until now are not
    /// lost after all.
    pub(super) fn confirm(&mut self, now: Instant) {
        self.confirmed = now;
        self.lost = 0;
    }

    /// Messages after `number`, in order, at most a page of them.
    pub(super) fn behind(&self, number: u64) -> impl Iterator<Item = &Recent> {
        let from = self.messages.partition_point(|(_, message)| message.number <= number);
        self.messages.range(from..).take(PAGE).map(|(_, message)| message)
    }

    /// Number of the first message kept here.
    pub(super) fn first(&self) -> Option<u64> {
        self.messages.front().map(|(_, message)| message.number)
    }

    /// Messages that nobody can get any more, since the router last worked for certain.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// How far back this reaches.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.messages.front().map(|(at, _)| *at)
    }
}

fn size(message: &Recent) -> usize {
    message.topic.len() + message.payload.len() + std::mem::size_of::<Recent>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64, bytes: usize) -> Recent {
        Recent { number, passed: 0, topic: "t".into(), payload: vec![0; bytes].into(), qos: QoS::AtMostOnce }
    }

    fn numbers(recent: &RecentMessages, behind: u64) -> Vec<u64> {
        recent.behind(behind).map(|message| message.number).collect()
    }

    #[test]
    fn what_is_old_and_known_to_have_arrived_goes_and_nothing_else() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut recent = RecentMessages::new(start);
        for n in 1..=5 {
            recent.push(message(n, 10), at(n * 1_000));
        }
        assert_eq!(numbers(&recent, 0), [1, 2, 3, 4, 5], "the router was not seen to work since");
        recent.confirm(at(5_000));
        recent.push(message(6, 10), at(5_100));
        assert_eq!(numbers(&recent, 0), [4, 5, 6]);
        assert_eq!(numbers(&recent, 4), [5, 6]);
        assert_eq!((recent.lost(), recent.oldest()), (0, Some(at(4_000))));
    }

    #[test]
    fn too_many_bytes_are_a_loss_that_is_counted() {
        let start = Instant::now();
        let mut recent = RecentMessages::new(start);
        for n in 1..=10 {
            recent.push(message(n, 1 << 20), start);
        }
        assert_eq!(numbers(&recent, 0), [8, 9, 10]);
        assert_eq!(recent.lost(), 7);
        recent.confirm(start);
        assert_eq!(recent.lost(), 0);
    }
}
