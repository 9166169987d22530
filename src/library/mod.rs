//! Projects, scenes and show: reading and editing what the store keeps of them.
//!
//! One task, the librarian, makes every edit, one after the other, so that two clients never collide; everybody reads the
//! view it publishes. It changes light only through the engine.

mod catalogue;
mod documents;
mod edits;
mod error;
mod expected;
mod jobs;
mod librarian;
mod patch;
mod places;
pub mod predecessor;
mod projects;
mod snapshots;
mod tag;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

use crate::dmx::{Channel, CommandId, FixtureType, ProjectId, Source, TypeId, UniverseId};
use crate::fixtures::{NotKept, Types};
use crate::kit::stop::{self, Stopper};
use crate::kit::tasks::Tasks;
use crate::wire::{ImportMode, PatchEdit, Project, ProjectEdit, Scene, SceneEdit, ShowFile, Snapshot};

pub use catalogue::Catalogue;
pub use error::{EditError, PatchError, SceneError};
pub use expected::Expected;
pub use librarian::{LibraryDeps, active_at_start};
pub use patch::{Reading, rig_at_start};
pub use tag::Tag;
pub use view::{Document, EditedPatch, EditedScene, Imported, View};

use jobs::{Job, Request};
use librarian::Librarian;

/// Jobs that may wait; beyond that, the caller waits.
const MAX_WAITING: usize = 16;

/// The way to the librarian. Clones share it.
#[derive(Clone)]
pub struct Library {
    several: bool,
    reading: Reading,
    view: watch::Receiver<Arc<View>>,
    requests: mpsc::Sender<Request>,
    stopper: Arc<Stopper>,
    expected: Expected,
}

/// Starts the librarian in `tasks`; it ends when the library is closed, or with its last clone.
pub async fn start(deps: LibraryDeps, tasks: &mut Tasks) -> Library {
    let (requests, received) = mpsc::channel(MAX_WAITING);
    let (several, reading) = (deps.several, deps.reading.clone());
    let (librarian, view) = Librarian::open(deps).await;
    let (stopper, stop) = stop::channel();
    tasks.spawn("librarian", librarian.run(received, stop));
    Library { several, reading, view, requests, stopper: Arc::new(stopper), expected: Expected::Anything }
}

impl Library {
    /// Whether there may be several projects.
    #[must_use]
    pub fn several(&self) -> bool {
        self.several
    }

    /// Takes no more jobs; those that wait are done.
    pub fn close(&self) {
        self.stopper.stop();
    }

    /// Universes that may be commanded: those from 0 on.
    #[must_use]
    pub fn universes(&self) -> u8 {
        self.reading.universes
    }

    /// The fixture types that shows are read with.
    #[must_use]
    pub fn types(&self) -> &Types {
        &self.reading.types
    }

    /// The present view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Receives each new view.
    #[must_use]
    pub fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// The same library for one edit of a document that must be what the client expects: else [`EditError::Outdated`].
    #[must_use]
    pub fn expecting(&self, expected: Expected) -> Self {
        Self { expected, ..self.clone() }
    }

    /// Creates a project; gives all of them.
    ///
    /// # Errors
    /// No such template, or a limit.
    pub async fn create(&self, edit: ProjectEdit) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::Create { edit, reply }).await
    }

    /// Changes what people have written about a project.
    ///
    /// # Errors
    /// There is none, or another dmxd has stored what is known of it.
    pub async fn edit(&self, id: ProjectId, edit: ProjectEdit) -> Result<Project, EditError> {
        self.job(|reply| Job::Edit { id, edit, reply }).await
    }

    /// Makes a project the active one; gives all of them.
    ///
    /// # Errors
    /// There is none.
    pub async fn select(&self, id: ProjectId) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::Select { id, reply }).await
    }

    /// Deletes a project that is not active; gives the rest.
    ///
    /// # Errors
    /// There is none, or it is active.
    pub async fn delete(&self, id: ProjectId) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::Delete { id, reply }).await
    }

    /// Replaces the scenes of the active project; gives the new view.
    ///
    /// # Errors
    /// A limit.
    pub async fn put_scenes(&self, scenes: Vec<Scene>) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::PutScenes { scenes, reply }).await
    }

    /// Edits one scene of the active project.
    ///
    /// # Errors
    /// There is no such scene, its new content is invalid, or a limit is reached.
    pub async fn edit_scenes(&self, edit: SceneEdit) -> Result<EditedScene, SceneError> {
        self.order_scene(edit, None).await.await.unwrap_or(Err(EditError::Stopping.into()))
    }

    /// The same for a door that does not wait. As a command, only if it is not a duplicate, and in one batch with its id.
    pub async fn order_scene(
        &self,
        edit: SceneEdit,
        command: Option<(CommandId, Source)>,
    ) -> oneshot::Receiver<Result<EditedScene, SceneError>> {
        let (reply, done) = oneshot::channel();
        let job = Job::EditScenes { edit, command, reply };
        let _ = self.ask(job).await; // Err: the library stops, which the receiver learns
        done
    }

    /// Edits the patch of the active project. The edit meets the tag of the patch.
    ///
    /// # Errors
    /// There is no such fixture, type or place, or a limit is reached.
    pub async fn edit_patch(&self, edit: PatchEdit) -> Result<EditedPatch, PatchError> {
        let (reply, done) = oneshot::channel();
        self.ask(Job::EditPatch { edit, reply }).await?;
        done.await.unwrap_or(Err(EditError::Stopping.into()))
    }

    /// The first place for so many fixtures of a type, one behind the other, from a universe on. Off the runtime.
    ///
    /// # Errors
    /// There is no such type or mode, or no such place.
    pub async fn free_place(
        &self,
        of: TypeId,
        mode: Option<String>,
        count: u64,
        from: UniverseId,
    ) -> Result<(UniverseId, Channel), PatchError> {
        let (view, reading) = (self.view(), self.reading.clone());
        let work = move || places::free(&view, &reading, (&of, mode.as_deref()), count, from);
        spawn_blocking(work).await.map_err(EditError::from)?
    }

    /// Keeps a fixture type, in the place of one of the same maker and name, if fixtures of all projects stay as they are.
    ///
    /// # Errors
    /// The database cannot be read now; inside, why it is not kept.
    pub async fn add_type(&self, new: FixtureType) -> Result<Result<Arc<FixtureType>, NotKept>, EditError> {
        self.job(|reply| Job::AddType { new, reply }).await
    }

    /// Removes a fixture type that no fixture of any project has.
    ///
    /// # Errors
    /// The database cannot be read now; inside, why the type stays.
    pub async fn remove_type(&self, id: TypeId) -> Result<Result<(), NotKept>, EditError> {
        self.job(|reply| Job::RemoveType { id, reply }).await
    }

    /// Takes a show file into the active project; with `dry` it only reports what would change.
    ///
    /// # Errors
    /// A limit.
    pub async fn import(&self, file: ShowFile, mode: ImportMode, dry: bool) -> Result<Imported, EditError> {
        self.job(|reply| Job::Import { file, mode, dry, reply }).await
    }

    /// A project as one document.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn snapshot(&self, project: ProjectId) -> Result<Document, EditError> {
        self.job(|reply| Job::Snapshot { project, reply }).await
    }

    /// Replaces light, scenes and show of a project in one step, if its documents are of that edition.
    ///
    /// # Errors
    /// It is not the active one, not that edition, or a limit is reached.
    pub async fn adopt(&self, project: ProjectId, snapshot: Snapshot, edition: u64) -> Result<(), EditError> {
        self.job(|reply| Job::Adopt { project, snapshot, edition, reply }).await
    }

    /// Dismisses what could not be imported; gives the new view.
    ///
    /// # Errors
    /// The database cannot be read now, or another dmxd has recorded the import.
    pub async fn acknowledge_takeover(&self) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::AcknowledgeTakeover { reply }).await
    }

    /// Records a verified backup.
    ///
    /// # Errors
    /// The project no longer exists.
    pub async fn backed_up(&self, project: ProjectId, at_ms: u64) -> Result<(), EditError> {
        self.job(|reply| Job::BackedUp { project, at_ms, reply }).await
    }

    async fn job<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, EditError>>) -> Job) -> Result<T, EditError> {
        let (reply, done) = oneshot::channel();
        self.ask(job(reply)).await?;
        done.await.unwrap_or(Err(EditError::Stopping))
    }

    async fn ask(&self, job: Job) -> Result<(), EditError> {
        let asked = Request { job, expected: self.expected.clone() };
        self.requests.send(asked).await.map_err(|_| EditError::Stopping)
    }
}
