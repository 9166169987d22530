//! Events a second for each of many, as a bucket that fills evenly.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use tokio::time::Instant;

/// Those that are known at one time; with more, the one that was quiet longest starts anew.
const KNOWN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// At most so many events a second for each key, and as many at once after a quiet second.
pub struct Limiter<K> {
    per_second: f64,
    buckets: Mutex<LruCache<K, Bucket>>,
}

struct Bucket {
    left: f64,
    since: Instant,
}

impl<K: Hash + Eq> Limiter<K> {
    /// So many a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), buckets: Mutex::new(LruCache::new(KNOWN)) }
    }

    /// Whether one more may happen now, which it then has.
    pub fn takes(&self, key: K, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get_or_insert_mut(key, || Bucket { left: self.per_second, since: now });
        let gained = now.duration_since(bucket.since).as_secs_f64() * self.per_second;
        bucket.left = (bucket.left + gained).min(self.per_second);
        bucket.since = now;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_key_has_its_own_and_what_was_not_used_is_not_saved_up() {
        let (limiter, start) = (Limiter::new(60), Instant::now());
        let burst = |key, at| (0..100).filter(|_| limiter.takes(key, at)).count();
        assert_eq!((burst("a", start), burst("b", start)), (60, 60));
        assert_eq!(burst("a", start + Duration::from_millis(500)), 30);
        assert_eq!(burst("a", start + Duration::from_secs(60)), 60);
    }
}
