//! Events a second, over whole seconds.

use std::time::Duration;

use tokio::time::Instant;

/// The window of a rate.
const SECOND: Duration = Duration::from_secs(1);

/// Counts events. The first one begins a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate(Option<(Instant, u32)>);

impl Rate {
    /// Counts one event; gives the rate of the second that has ended, to one decimal.
    pub fn count(&mut self, at: Instant) -> Option<f64> {
        let over = self.over(at);
        let (_, events) = self.0.get_or_insert((at, 0));
        *events += 1;
        over
    }

    /// No event until now: gives the rate if a second has ended. After a second without events there is nothing to give.
    pub fn over(&mut self, at: Instant) -> Option<f64> {
        let (since, events) = self.0?;
        let passed = at.duration_since(since);
        if passed < SECOND {
            return None;
        }
        self.0 = (events > 0).then_some((at, 0));
        Some((f64::from(events) / passed.as_secs_f64() * 10.0).round() / 10.0)
    }

    /// When the present second ends.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.0.map(|(since, _)| since + SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_after_each_second_and_falls_to_zero_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rate = Rate::default();
        assert_eq!(rate.due(), None);
        for n in 0..40 {
            assert_eq!(rate.count(at(n * 25)), None, "{n}");
        }
        assert_eq!(rate.count(at(1_000)), Some(40.0));
        assert_eq!(rate.over(at(2_000)), Some(1.0));
        assert_eq!(rate.over(at(3_000)), Some(0.0));
        assert_eq!((rate.due(), rate.over(at(9_000))), (None, None));
    }
}
