//! Projects, scenes and show: reading and editing what the store keeps of them.
//!
//! One task, the librarian, makes every edit, one after the other, so that two clients never collide; everybody reads the
//! view it publishes. It changes light only through the engine.

mod catalogue;
mod documents;
mod librarian;
pub mod predecessor;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::dmx::{Command, Look, ProjectId};
use crate::engine::{self, Feed, Outcome};
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::kit::tasks::Tasks;
use crate::store::Store;
use crate::wire::{ImportMode, ListChanges, NotEdited, Project, ProjectEdit, Scene, SceneEdit, ShowFile, Snapshot};

pub use catalogue::Catalogue;
pub use librarian::active_at_start;
pub use tag::{Expected, Tag};

use librarian::{Job, Librarian, Request};
use predecessor::Takeover;

/// Jobs that may wait; beyond that, the caller waits.
const MAX_WAITING: usize = 16;

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
    /// Scenes or show are not the edition that the request expects.
    #[error("scenes or show were edited meanwhile")]
    Changed,
    /// The document is not the one that the client expected; its present tag.
    #[error("it has changed since you read it: read it again and repeat your change")]
    Outdated(Option<Tag>),
    /// Scenes or show are damaged, so nothing can be edited in them.
    #[error("scenes or show of this project are damaged; restore a backup, or replace both by /import with scenes")]
    Damaged,
    /// What is stored cannot be read now.
    #[error("the database cannot be read now, so nothing may be changed; /readyz says why")]
    NotNow,
    /// The appliance is stopping.
    #[error("the appliance is stopping")]
    Stopping,
}

/// What readers see: the projects, and the documents of the active one.
#[derive(Clone, Debug)]
pub struct View {
    /// All projects.
    pub catalogue: Catalogue,
    /// Scenes of the active project: a JSON list.
    pub scenes: Bytes,
    /// Its show without the scenes: a JSON object.
    pub show: Bytes,
    /// One of them was damaged, and is shown as empty.
    pub damaged: bool,
    /// The tag of the scenes.
    pub scenes_tag: Tag,
    /// The tag of scenes and show together.
    pub file_tag: Tag,
    /// What of a predecessor's files was not imported.
    pub takeover: Arc<Takeover>,
    /// Rises with each change of scenes, show or active project.
    pub edition: u64,
    /// When another project became the active one in this run.
    switched: Option<Instant>,
    /// The scenes as light.
    looks: Arc<Vec<Look>>,
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

/// A scene that was edited.
#[derive(Clone, Debug)]
pub struct EditedScene {
    /// The scene now; as it last was if it was deleted.
    pub scene: Scene,
    /// The outcome of the command; `Applied` with the newest `seq` without one.
    pub outcome: Outcome,
    /// The view after it.
    pub view: Arc<View>,
}

impl View {
    /// The documents as JSON. Takes a while for large ones.
    ///
    /// # Errors
    /// They are damaged.
    pub fn file(&self) -> Result<ShowFile, EditError> {
        if self.damaged {
            return Err(EditError::Damaged);
        }
        documents::file(&self.scenes, &self.show)
    }

    /// Whether there are neither scenes nor a show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scenes == documents::NO_SCENES && self.show == documents::NO_SHOW
    }

    /// Whether another project became active within that time.
    #[must_use]
    pub fn switched_within(&self, time: Duration) -> bool {
        self.switched.is_some_and(|at| at.elapsed() < time)
    }

    /// The scenes as light, in order.
    #[must_use]
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// The scene of that name, else the one with that id.
    #[must_use]
    pub fn look(&self, name: &str) -> Option<&Look> {
        let found = self.looks.iter().find(|look| look.name == name);
        found.or_else(|| self.looks.iter().find(|look| look.id.as_str() == name))
    }
}

/// What an import changed, or would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What the project holds then.
    pub file: ShowFile,
    /// By list.
    pub changes: BTreeMap<String, ListChanges>,
    /// The project's tag now.
    pub tag: Tag,
}

/// The active project as one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The project.
    pub project: ProjectId,
    /// Snapshot JSON.
    pub bytes: Vec<u8>,
    /// Edition of scenes and show: within one run, another one after each edit.
    pub edition: u64,
}

/// What the library needs from the rest of the house.
pub struct LibraryDeps {
    /// Whether there may be several projects; else there is only `default`.
    pub several: bool,
    /// The store.
    pub store: Store,
    /// Where light is changed.
    pub engine: engine::Handle,
    /// Where light is read.
    pub feed: Feed,
    /// Universes that may be commanded: those from 0 on.
    pub universes: u8,
    /// Reports files of a predecessor that could not be imported.
    pub health: Health,
}

/// The way to the librarian. Clones share it.
#[derive(Clone)]
pub struct Library {
    several: bool,
    universes: u8,
    view: watch::Receiver<Arc<View>>,
    requests: mpsc::Sender<Request>,
    stopper: Arc<Stopper>,
    expected: Expected,
}

/// Starts the librarian in `tasks`; it ends when the library is closed, or with its last clone.
pub async fn start(deps: LibraryDeps, tasks: &mut Tasks) -> Library {
    let (requests, received) = mpsc::channel(MAX_WAITING);
    let (several, universes) = (deps.several, deps.universes);
    let (librarian, view) = Librarian::open(deps).await;
    let (stopper, stop) = stop::channel();
    tasks.spawn("librarian", librarian.run(received, stop));
    Library { several, universes, view, requests, stopper: Arc::new(stopper), expected: Expected::Anything }
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
        self.universes
    }

    /// The present view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
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
    /// There is none.
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

    /// The same for a door that does not wait. With a command, only if that is not a duplicate, and in one batch with it.
    pub async fn order_scene(
        &self,
        edit: SceneEdit,
        command: Option<Command>,
    ) -> oneshot::Receiver<Result<EditedScene, SceneError>> {
        let (reply, done) = oneshot::channel();
        let job = Job::EditScenes { edit, command: command.map(Box::new), reply };
        let _ = self.ask(job).await; // Err: the library stops, which the receiver learns
        done
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
    /// The database cannot be read now.
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
