//! A command: a request to change light.

use std::time::Duration;

use super::{CommandId, Easing, Look, Patch, ProjectId, SceneId, Source};

/// A request to change light, already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its id: the same command has the same one, whatever door it comes through and however often.
    pub id: CommandId,
    /// Who sent it.
    pub source: Source,
    /// When, by the client's clock, Unix milliseconds; `None` when it does not say.
    pub ts: Option<u64>,
    /// The levels: at most one patch per universe. Empty: only the id is remembered.
    pub patches: Vec<Patch>,
    /// How long the levels take to get there; zero: at once.
    pub over: Duration,
    /// The curve on the way.
    pub easing: Easing,
    /// The scene whose levels these are.
    pub scene: Option<SceneId>,
    /// The project in which the scene was looked up; in another project the command does nothing.
    pub project: Option<ProjectId>,
    /// A scene that becomes this look with the command; if it is in effect, it stays so only if the light is that look.
    pub saves: Option<Look>,
}

impl Command {
    /// Levels of one universe, at once.
    #[must_use]
    pub fn set(id: CommandId, source: Source, patch: Patch) -> Self {
        Self {
            id,
            source,
            ts: None,
            patches: vec![patch],
            over: Duration::ZERO,
            easing: Easing::Linear,
            scene: None,
            project: None,
            saves: None,
        }
    }

    /// Whether it sets every channel that `other` sets, so that after both only this one shows.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        !other.patches.is_empty()
            && other.patches.iter().all(|theirs| self.patches.iter().any(|mine| mine.covers(theirs)))
    }

    /// Whether this is one step of a finger on a tablet, which a newer one may replace. A scene never is.
    #[must_use]
    pub fn is_ui_drag(&self) -> bool {
        self.source.is_ui() && self.scene.is_none() && !self.patches.is_empty()
    }
}
