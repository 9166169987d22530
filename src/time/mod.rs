//! What time it is, and who says so. On a box without a time server a person may: it counts for dates and certificates, is
//! kept over restarts, and ends once the network knows better. Nothing is ordered by it, nor ends by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use crate::kit::clock;
use crate::store::{Batch, Store, Tree};
use crate::wire::CLOCK_ENDS;

/// How often the network is asked for.
const LOOK: Duration = Duration::from_secs(60);

/// Looks from one write of the present time to the next: a restart loses no more of it, and a card bears it.
const LOOKS_A_WRITE: u32 = 10;

/// Its key in [`Tree::Access`], and the format of the value.
const KEY: &str = "clock";
const FORMAT: u8 = 1;

/// Who says what time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A time server.
    Network,
    /// A person.
    Person,
    /// Nobody: the machine's own clock, as far as it goes.
    Unknown,
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Whether it was told since dmxd started.
    pub is_sure: bool,
    /// Who says so.
    pub source: Source,
}

/// Why a told time does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTold {
    /// There is a time server.
    #[error("a time server has set the clock, which nobody has to do by hand then")]
    Network,
    /// It cannot be right.
    #[error("must be from the day on which this dmxd was built ({}) to 2100-01-01 ({CLOCK_ENDS}), in Unix milliseconds", clock::BUILT * 1000)]
    Impossible,
}

/// The time. Clones share it.
#[derive(Clone)]
pub struct Time(Arc<Inner>);

struct Inner {
    store: Store,
    /// A person has told it since the start.
    told: AtomicBool,
    /// Held by the one who writes.
    writing: tokio::sync::Mutex<()>,
}

/// The latest time that is known for certain to be over.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    now: u64,
}

impl Time {
    /// Goes on at the last time that was told, unless the machine's clock is ahead of it.
    #[must_use]
    pub fn open(store: Store) -> Self {
        let stored: Option<Stored> = store.value(Tree::Access, KEY.as_bytes(), FORMAT);
        let (stored, by_network) = (stored.map(|stored| stored.now), clock::is_synchronized());
        if let Some(now) = goes_on_at(stored, clock::system_ms(), by_network) {
            clock::tell(now);
            tracing::info!(now, "clock_goes_on");
        }
        Self(Arc::new(Inner { store, told: AtomicBool::new(false), writing: tokio::sync::Mutex::default() }))
    }

    /// What time it is.
    #[must_use]
    pub fn read(&self) -> Reading {
        let source = match (clock::is_told(), clock::is_synchronized()) {
            (true, _) => Source::Person, // until the next look, at most
            (false, true) => Source::Network,
            (false, false) => Source::Unknown,
        };
        let is_sure = match source {
            Source::Network => true,
            Source::Person => self.0.told.load(Ordering::Relaxed),
            Source::Unknown => false,
        };
        Reading { now_ms: clock::now_ms(), is_sure, source }
    }

    /// It is `now_ms`, says a person. It is stored before this returns.
    ///
    /// # Errors
    /// It cannot be, or the network says so.
    pub async fn tell(&self, now_ms: u64) -> Result<Reading, NotTold> {
        if !is_possible(now_ms) {
            return Err(NotTold::Impossible);
        }
        if clock::is_synchronized() {
            return Err(NotTold::Network);
        }
        let _writing = self.0.writing.lock().await;
        clock::tell(now_ms);
        self.0.told.store(true, Ordering::Relaxed);
        self.write().await;
        Ok(self.read())
    }

    /// Looks once a minute whether the network knows better, and writes down what time it is, so that a restart does not go
    /// back before it.
    pub async fn look_after(self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unwritten = 0;
        loop {
            looks.tick().await;
            let _writing = self.0.writing.lock().await;
            if clock::is_synchronized() {
                self.forget().await;
            } else if clock::is_told() {
                unwritten += 1;
                if unwritten >= LOOKS_A_WRITE {
                    unwritten = 0;
                    self.write().await;
                }
            }
        }
    }

    /// Writes down what time it is, at the stop.
    pub async fn close(&self) {
        if clock::is_told() {
            self.write().await;
        }
    }

    async fn forget(&self) {
        if self.0.store.get(Tree::Access, KEY.as_bytes()).is_none() && !clock::is_told() {
            return;
        }
        clock::forget();
        self.0.told.store(false, Ordering::Relaxed);
        tracing::info!(now = clock::now_ms(), "clock_by_network");
        let mut batch = Batch::default();
        batch.delete(Tree::Access, KEY);
        self.0.store.write(batch).await;
    }

    async fn write(&self) {
        let stored = Stored { v: FORMAT, now: clock::now_ms() };
        let mut batch = Batch::default();
        // a struct with text keys alone never fails to serialise
        batch.put(Tree::Access, KEY, serde_json::to_vec(&stored).unwrap_or_default());
        self.0.store.keep(batch).await;
    }
}

/// Whether a person may tell this one.
fn is_possible(now_ms: u64) -> bool {
    (clock::BUILT * 1000..=CLOCK_ENDS).contains(&now_ms)
}

/// Where the time goes on at a start; `None`: by the machine's own clock.
fn goes_on_at(stored: Option<u64>, system_ms: u64, by_network: bool) -> Option<u64> {
    stored.filter(|stored| !by_network && *stored > system_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_is_told_from_the_day_of_the_build_to_the_year_2100() {
        let built = clock::BUILT * 1000;
        for (now, possible) in
            [(0, false), (built - 1, false), (built, true), (CLOCK_ENDS, true), (CLOCK_ENDS + 1, false)]
        {
            assert_eq!(is_possible(now), possible, "{now}");
        }
    }

    proptest! {
        #[test]
        fn no_start_is_before_the_last_time_told_unless_the_network_says_so(
            stored in prop::option::of(0..=CLOCK_ENDS), system in 0..=CLOCK_ENDS, by_network in any::<bool>(),
        ) {
            let now = goes_on_at(stored, system, by_network).unwrap_or(system);
            match by_network {
                true => prop_assert_eq!(now, system),
                false => prop_assert_eq!(now, system.max(stored.unwrap_or_default())),
            }
        }
    }
}
