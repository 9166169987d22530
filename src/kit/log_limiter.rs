//! Limits log lines that a client could provoke without end.

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
}
