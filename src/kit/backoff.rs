//! Growing pauses between attempts, with jitter so that many clients do not retry in step.

use std::time::Duration;

/// A pause that doubles from `first` to `longest`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
    seed: u64,
}

impl Backoff {
    /// Starts at `first`, never above `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, tries: 0, seed: super::clock::now_ms() | 1 }
    }

    /// The next pause: between three quarters and the whole of the doubled one.
    pub fn pause(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.tries.min(16)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        // xorshift64: it only has to spread.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let quarter = whole / 4;
        whole - quarter.mul_f64((self.seed % 1024) as f64 / 1024.0)
    }

    /// After a success: the next pause is the first again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_again_after_a_success() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, longest);
        for doubled in [250, 500, 1000, 2000, 4000, 5000, 5000].map(Duration::from_millis) {
            let pause = backoff.pause();
            assert!(pause <= doubled && pause >= doubled * 3 / 4, "{pause:?} for {doubled:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
