//! What backups need from the library, and its implementation.

use futures_util::future::BoxFuture;

use crate::dmx::{ProjectId, UNIVERSES};
use crate::library::{Document, EditError, Library};
use crate::wire::Snapshot;

/// Where projects come from and go to: the library, or a stage in tests.
pub trait Shows: Send + Sync {
    /// The active project now.
    fn active(&self) -> ProjectId;
    /// All known projects, the active one among them.
    fn known(&self) -> Vec<ProjectId>;
    /// Universes from 0 on that may be commanded. [`Shows::adopt`] leaves the light of all others as it is.
    fn universes(&self) -> u8 {
        UNIVERSES as u8
    }
    /// A known project as one consistent document.
    fn snapshot<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Document, NotTaken>>;
    /// Replaces state, scenes and show of `project` in one atomic step, if it is still the active one and its documents
    /// are of that edition.
    fn adopt<'a>(
        &'a self,
        project: &'a ProjectId,
        snapshot: Snapshot,
        edition: u64,
    ) -> BoxFuture<'a, Result<(), NotTaken>>;
    /// Records that a backup of it was made (Unix milliseconds) and verified; lasting when this ends.
    fn backed_up<'a>(&'a self, project: &'a ProjectId, at_ms: u64) -> BoxFuture<'a, ()>;
}

/// Why a snapshot was not made or adopted; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Another project is active, or there is none with this id.
    NotActive,
    /// Scenes or show were edited meanwhile.
    Changed,
    /// A limit of the library, in words for people.
    TooMuch(String),
    /// What is stored cannot be read now, in words for people.
    NotNow(String),
    /// The appliance is stopping.
    Stopping,
}

impl From<EditError> for NotTaken {
    fn from(fault: EditError) -> Self {
        match &fault {
            EditError::NotActive(_) | EditError::NotFound(_) | EditError::Active(_) => Self::NotActive,
            EditError::Changed | EditError::Outdated(_) => Self::Changed,
            EditError::TooMuch(_) | EditError::TooLong => Self::TooMuch(fault.to_string()),
            EditError::NotNow | EditError::Damaged | EditError::Foreign(_) => Self::NotNow(fault.to_string()),
            EditError::Stopping => Self::Stopping,
        }
    }
}

impl Shows for Library {
    fn active(&self) -> ProjectId {
        self.view().catalogue.active.clone()
    }

    fn known(&self) -> Vec<ProjectId> {
        self.view().catalogue.projects.iter().map(|project| project.id.clone()).collect()
    }

    fn universes(&self) -> u8 {
        self.universes()
    }

    fn snapshot<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Document, NotTaken>> {
        Box::pin(async { Ok(self.snapshot(project.clone()).await?) })
    }

    fn adopt<'a>(
        &'a self,
        project: &'a ProjectId,
        snapshot: Snapshot,
        edition: u64,
    ) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move { Ok(self.adopt(project.clone(), snapshot, edition).await?) })
    }

    fn backed_up<'a>(&'a self, project: &'a ProjectId, at_ms: u64) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // Err: the project was deleted meanwhile, or the appliance is stopping; the backup exists anyway
            let _ = self.backed_up(project.clone(), at_ms).await;
        })
    }
}
