//! What backups need of the library, and that it gives it.

use futures_util::future::BoxFuture;

use crate::dmx::{ProjectId, Snapshot};
use crate::library::{Document, Fault, Library};

/// Where projects come from and go to. The library; in tests a stage.
pub trait Shows: Send + Sync {
    /// The active project now.
    fn active(&self) -> ProjectId;
    /// All known projects: tells whose a foreign version is.
    fn known(&self) -> Vec<ProjectId>;
    /// The active project as one document, consistent; `None` while stopping.
    fn snapshot(&self) -> BoxFuture<'_, Option<Document>>;
    /// Replaces state, scenes and show of `project` in one atomic step, if it is still the active one.
    fn adopt<'a>(&'a self, project: &'a ProjectId, snapshot: Snapshot) -> BoxFuture<'a, Result<(), NotAdopted>>;
    /// A backup of it was made then (Unix milliseconds) and verified: lasting when this ends.
    fn backed_up<'a>(&'a self, project: &'a ProjectId, at_ms: u64) -> BoxFuture<'a, ()>;
}

/// Why a snapshot was not taken; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdopted {
    /// Another project has become the active one.
    NotActive,
    /// A limit of the library, in words for people.
    TooMuch(String),
    /// The appliance is stopping.
    Stopping,
}

impl Shows for Library {
    fn active(&self) -> ProjectId {
        self.view().catalogue.active.clone()
    }

    fn known(&self) -> Vec<ProjectId> {
        self.view().catalogue.projects.iter().map(|project| project.id.clone()).collect()
    }

    fn snapshot(&self) -> BoxFuture<'_, Option<Document>> {
        Box::pin(async { self.snapshot().await.ok() })
    }

    fn adopt<'a>(&'a self, project: &'a ProjectId, snapshot: Snapshot) -> BoxFuture<'a, Result<(), NotAdopted>> {
        Box::pin(async {
            self.adopt(project.clone(), snapshot).await.map_err(|fault| match fault {
                Fault::NotActive(_) | Fault::NotFound(_) | Fault::Active(_) => NotAdopted::NotActive,
                Fault::TooMuch(why) => NotAdopted::TooMuch(why),
                Fault::NotNow => NotAdopted::TooMuch(fault.to_string()),
                Fault::Stopping => NotAdopted::Stopping,
            })
        })
    }

    fn backed_up<'a>(&'a self, project: &'a ProjectId, at_ms: u64) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // Err: it was deleted meanwhile, or the appliance is stopping; the backup is there all the same.
            let _ = self.backed_up(project.clone(), at_ms).await;
        })
    }
}
