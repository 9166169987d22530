//! Why a request was refused, in words for the client.

use tokio::task::JoinError;

use super::tag::Tag;
use crate::dmx::ProjectId;
use crate::wire::{NotEdited, NotPatched};

/// Why an edit was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no such project.
    #[error("there is no project {0}")]
    NotFound(ProjectId),
    /// It cannot be deleted.
    #[error("{0} is the active project; select another one first")]
    Active(ProjectId),
    /// It was the active one, or never was.
    #[error("{0} is not the active project; select it first")]
    NotActive(ProjectId),
    /// A limit.
    #[error("{0}")]
    TooMuch(String),
    /// Many odd channels take many times their size.
    #[error("the patch would be shown in more than 16 MiB; import a smaller show")]
    TooLong,
    /// Scenes or show are not the edition that the request expects.
    #[error("scenes or show were edited meanwhile")]
    Changed,
    /// The document is not the one that the client expected; its present tag.
    #[error("it has changed since you read it: read it again and repeat your change")]
    Outdated(Option<Tag>),
    /// Scenes or show are damaged, so nothing can be edited in them.
    #[error("scenes or show of this project are damaged; restore a backup, or replace both by /import with scenes")]
    Damaged,
    /// Another dmxd has stored it; what it is.
    #[error("another version of dmxd has stored {0}, which this one cannot read: start that version to change it")]
    Foreign(&'static str),
    /// What is stored cannot be read now.
    #[error("the database cannot be read now, so nothing may be changed; /readyz says why")]
    NotNow,
    /// The appliance is stopping.
    #[error("the appliance is stopping")]
    Stopping,
}

impl From<JoinError> for EditError {
    /// The blocking work did not finish: dmxd is stopping, or the work panicked, which is in the log already.
    fn from(_: JoinError) -> Self {
        Self::Stopping
    }
}

/// Why a scene was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// The scene itself is at fault.
    #[error(transparent)]
    Edit(#[from] NotEdited),
    /// The library refused.
    #[error(transparent)]
    Library(#[from] EditError),
}

/// Why the patch was not edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The edit itself is at fault.
    #[error(transparent)]
    Edit(#[from] NotPatched),
    /// The library refused.
    #[error(transparent)]
    Library(#[from] EditError),
}
