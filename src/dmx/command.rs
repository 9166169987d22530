//! A command: what the state takes.

use std::sync::Arc;
use std::time::Duration;

use super::{CommandId, Easing, Look, Patch, ProjectId, Source};

/// A request to change light, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What makes it one command, by whatever door and however often it comes.
    pub id: CommandId,
    /// Who asks.
    pub source: Source,
    /// When, by the client's clock, Unix milliseconds; `None` when it does not say.
    pub ts: Option<u64>,
    /// What for: at most one patch a universe. None: only the id is remembered.
    pub patches: Vec<Patch>,
    /// The time that the levels take to get there; zero: at once.
    pub over: Duration,
    /// How they get there.
    pub easing: Easing,
    /// The scene whose levels these are.
    pub scene: Option<Arc<str>>,
    /// The project that the scene was looked up in: in another one the command does nothing.
    pub project: Option<ProjectId>,
    /// A scene that becomes this look with the command: in effect, it is so no more, unless the light is that look.
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

    /// Whether it sets every channel that `other` sets, so that after both only this one is seen.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        !other.patches.is_empty()
            && other.patches.iter().all(|theirs| self.patches.iter().any(|mine| mine.covers(theirs)))
    }

    /// Whether this is one step of a finger on a tablet, which a newer one may replace. A scene, kept or recalled, is none.
    #[must_use]
    pub fn is_ui_drag(&self) -> bool {
        self.source.is_ui() && self.scene.is_none() && !self.patches.is_empty()
    }
}
