//! Fixtures that are shown to somebody who looks for them: a layer over the levels, which are untouched and so come back exactly.

use std::time::Duration;

use super::{FixtureId, Frame, Patch, UniverseId};

/// How long one is on.
pub const FLASH: Duration = Duration::from_secs(2);

/// The most at once; the oldest goes for one more.
const MOST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Flash {
    fixture: FixtureId,
    /// Its light.
    levels: Patch,
    /// On the steady clock.
    until: Duration,
}

/// All that are on, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flashes(Vec<Flash>);

impl Flashes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Another one, or the same for longer.
    pub(super) fn begin(&mut self, fixture: FixtureId, levels: Patch, at: Duration) {
        self.0.retain(|flash| flash.fixture != fixture);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Flash { fixture, levels, until: at + FLASH });
    }

    /// Ends those that are over; true if any was.
    pub(super) fn step(&mut self, at: Duration) -> bool {
        let before = self.0.len();
        self.0.retain(|flash| at < flash.until);
        self.0.len() != before
    }

    /// Ends all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Ends those that another patch shows otherwise. `lit` gives the light of a fixture in it.
    pub(super) fn keep(&mut self, lit: impl Fn(&FixtureId) -> Option<Patch>) {
        self.0.retain(|flash| lit(&flash.fixture).as_ref() == Some(&flash.levels));
    }

    /// Levels under what is on; `None`: nothing is on there.
    pub(super) fn over(&self, universe: UniverseId, levels: &Frame) -> Option<Frame> {
        let mut here = self.0.iter().filter(|flash| flash.levels.universe == universe).peekable();
        here.peek()?;
        let mut frame = levels.clone();
        here.for_each(|flash| drop(frame.set(&flash.levels.levels)));
        Some(frame)
    }
}
