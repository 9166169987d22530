//! Limits log lines that a client could provoke without end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often one kind of line may come from one source.
const EVERY: Duration = Duration::from_secs(1);

/// When the next line may be written.
#[derive(Debug, Default)]
pub struct LogLimiter {
    last: Option<Instant>,
    held_back: u64,
}

impl LogLimiter {
    /// `Some` when the line may be written, with the number of those held back since the last one.
    pub fn due(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.held_back))
    }
}

/// Sources with a limit of their own; clients make up their names, so their number is limited.
const SOURCES: usize = 100;

/// The name of all others.
const OTHERS: &str = "others";

/// Limits of many sources, by name.
#[derive(Debug, Default)]
pub struct LogLimiters {
    by_source: HashMap<String, LogLimiter>,
    others: LogLimiter,
}

impl LogLimiters {
    /// Under which name a source counts: its own, as long as there are not too many.
    pub fn name<'a>(&mut self, source: &'a str) -> &'a str {
        if !self.by_source.contains_key(source) {
            if self.by_source.len() >= SOURCES {
                return OTHERS;
            }
            self.by_source.insert(source.to_owned(), LogLimiter::default());
        }
        source
    }

    /// As [`LogLimiter::due`].
    pub fn due(&mut self, source: &str) -> Option<u64> {
        let name = self.name(source);
        self.by_source.get_mut(name).unwrap_or(&mut self.others).due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_and_those_right_behind_it_are_counted() {
        let mut limiter = LogLimiter::default();
        assert_eq!(limiter.due(), Some(0));
        assert_eq!((limiter.due(), limiter.due()), (None, None));
        limiter.last = Instant::now().checked_sub(EVERY);
        assert_eq!(limiter.due(), Some(2));
    }

    #[test]
    fn a_hundred_sources_have_limits_of_their_own_and_the_others_share_one() {
        let mut limiters = LogLimiters::default();
        for n in 0..SOURCES {
            assert_eq!(limiters.due(&n.to_string()), Some(0));
        }
        assert_eq!((limiters.due("7"), limiters.name("7")), (None, "7"));
        assert_eq!((limiters.due("x"), limiters.due("y"), limiters.name("x")), (Some(0), None, OTHERS));
    }
}
