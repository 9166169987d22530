//! A command: a request to change light.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::{CommandId, Easing, Levels, Look, Patch, ProjectId, Rig, SceneId, Source, UniverseId};

/// A request to change light, already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its id: the same command has the same one, whatever door it comes through and however often.
    pub id: CommandId,
    /// Who sent it, as the sender says.
    pub source: Source,
    /// Who that is, if the door knows; for the log alone.
    pub by: Option<Arc<str>>,
    /// What it does.
    pub act: Act,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sets levels of one universe.
    Set(Patch),
    /// Moves levels of one universe.
    Fade {
        /// Where they end.
        to: Patch,
        /// How long they take to get there.
        over: Duration,
        /// The curve on the way.
        easing: Easing,
    },
    /// Moves fixtures.
    Fixtures {
        /// The project in whose patch they were looked up; in another project the command does nothing.
        project: ProjectId,
        /// That patch; under another one the command does nothing, as its channels may be somebody else's.
        rig: Rig,
        /// Their levels, one patch per universe.
        to: Vec<Patch>,
        /// How long the levels take to get there; zero: at once.
        over: Duration,
        /// The curve on the way.
        easing: Easing,
    },
    /// Makes a scene light.
    Recall {
        /// Which scene.
        scene: SceneId,
        /// The project in which it was looked up; in another project the command does nothing.
        project: ProjectId,
        /// The patch by which it names channels; under another one the command does nothing.
        rig: Rig,
        /// Its levels, one patch per universe.
        levels: Vec<Patch>,
        /// False once newer commands have taken levels out: the light will not be that look.
        whole: bool,
        /// How long the levels take to get there; zero: at once.
        over: Duration,
    },
    /// Moves nothing: a scene becomes this look. If it is in effect, it stays so only if the light is that look.
    Save(Look),
}

impl Act {
    /// Levels of one universe, at once if the time is zero.
    #[must_use]
    pub fn levels(to: Patch, over: Duration, easing: Easing) -> Self {
        if over.is_zero() { Self::Set(to) } else { Self::Fade { to, over, easing } }
    }
}

impl Command {
    /// Levels of one universe, at once.
    #[must_use]
    pub fn set(id: CommandId, source: Source, patch: Patch) -> Self {
        Self { id, source, by: None, act: Act::Set(patch) }
    }

    /// The levels it sets or moves: at most one patch per universe.
    #[must_use]
    pub fn patches(&self) -> &[Patch] {
        match &self.act {
            Act::Set(patch) | Act::Fade { to: patch, .. } => slice::from_ref(patch),
            Act::Recall { levels, .. } | Act::Fixtures { to: levels, .. } => levels,
            Act::Save(_) => &[],
        }
    }

    /// How long the levels take to get there, and the curve on the way.
    pub(super) fn way(&self) -> (Duration, Easing) {
        match self.act {
            Act::Fade { over, easing, .. } | Act::Fixtures { over, easing, .. } => (over, easing),
            Act::Recall { over, .. } => (over, Easing::Linear),
            Act::Set(_) | Act::Save(_) => (Duration::ZERO, Easing::Linear),
        }
    }

    /// Takes levels out, universe by universe. True if none is left.
    pub fn trim(&mut self, mut trim: impl FnMut(UniverseId, &mut Levels)) -> bool {
        match &mut self.act {
            Act::Set(patch) | Act::Fade { to: patch, .. } => {
                trim(patch.universe, &mut patch.levels);
                patch.levels.is_empty()
            }
            Act::Recall { levels, whole, .. } => {
                levels.retain_mut(|patch| {
                    let before = patch.levels.len();
                    trim(patch.universe, &mut patch.levels);
                    *whole &= patch.levels.len() == before;
                    !patch.levels.is_empty()
                });
                levels.is_empty()
            }
            Act::Fixtures { to, .. } => {
                to.retain_mut(|patch| {
                    trim(patch.universe, &mut patch.levels);
                    !patch.levels.is_empty()
                });
                to.is_empty()
            }
            Act::Save(_) => false,
        }
    }

    /// The project and patch for which it was made, if it means nothing in another.
    #[must_use]
    pub fn made_for(&self) -> Option<(&ProjectId, &Rig)> {
        match &self.act {
            Act::Recall { project, rig, .. } | Act::Fixtures { project, rig, .. } => Some((project, rig)),
            Act::Set(_) | Act::Fade { .. } | Act::Save(_) => None,
        }
    }

    /// Whether it sets every channel that `other` sets, so that after both only this one is seen.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.patches(), other.patches());
        !theirs.is_empty() && theirs.iter().all(|theirs| mine.iter().any(|mine| mine.covers(theirs)))
    }

    /// Whether this is one step of a finger on a tablet, which a newer one may replace. A scene, saved or recalled, is not.
    #[must_use]
    pub fn is_ui_drag(&self) -> bool {
        self.source.is_ui() && matches!(self.act, Act::Set(_) | Act::Fade { .. } | Act::Fixtures { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::{Channel, Now, State};

    #[test]
    fn a_scene_that_lost_a_level_to_a_newer_command_is_light_but_not_in_effect() {
        let [one, two] = [1, 2].map(|number| Channel::new(number).unwrap());
        let [lamp, other] = [0, 1].map(|index| UniverseId::new(index).unwrap());
        let patch = |universe, levels| Patch { universe, levels };
        let levels = vec![patch(lamp, vec![(one, 5), (two, 6)]), patch(other, vec![(one, 7)])];
        let (scene, project) = ("a".parse().unwrap(), ProjectId::default_project());
        let act = Act::Recall { scene, project, rig: Rig::default(), levels, whole: true, over: Duration::ZERO };
        let whole = Command { id: ulid::Ulid::nil().into(), source: Source::init(), by: None, act };
        let in_effect = |command: &Command| {
            let mut state = State::default();
            state.apply(command, Now::default());
            state.desk().scene_in_effect().is_some()
        };
        assert!(in_effect(&whole));
        let mut trimmed = whole.clone();
        assert!(!trimmed.trim(|_, _| {}));
        assert_eq!(trimmed, whole);
        assert!(!trimmed.trim(|universe, levels| levels.retain(|&(channel, _)| (universe, channel) == (lamp, two))));
        assert_eq!(trimmed.patches(), [patch(lamp, vec![(two, 6)])]);
        assert!(!in_effect(&trimmed));
        assert!(trimmed.trim(|_, levels| levels.clear()), "nothing is left");
    }
}
