//! Repeatable chance: the seed is printed, and `DMXD_TEST_SEED` sets it.

/// xorshift64; it only has to spread.
pub struct Random(u64);

impl Random {
    /// A new random, or the one that `DMXD_TEST_SEED` names.
    pub fn new() -> Self {
        let seed = Self::seed();
        println!("DMXD_TEST_SEED={seed}");
        Self(seed)
    }

    /// A new seed, or the one that `DMXD_TEST_SEED` names; never 0.
    pub fn seed() -> u64 {
        match std::env::var("DMXD_TEST_SEED") {
            Ok(text) => text.parse().expect("DMXD_TEST_SEED is a number"),
            Err(_) => ulid::Ulid::generate().0 as u64 | 1,
        }
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}
