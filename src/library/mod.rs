//! Projects, scenes and show: reading and editing what the store keeps of them.
//!
//! One task, the librarian, does every edit, one after the other, so that two clients never meet in the middle; everybody
//! reads the view it publishes. Light it never touches but through the engine.

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

/// Requests that may wait; with more, the caller waits.
const MAX_WAITING: usize = 16;

/// Why an edit was not made. Nothing has changed then.
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
    /// The document is another one than the client expected; its tag now.
    #[error("it has changed since you read it: read it again and repeat your change")]
    Outdated(Option<Tag>),
    /// Scenes or show are damaged, so that nothing can be built on them.
    #[error("scenes or show of this project are damaged; restore a backup, or replace both by /import with scenes")]
    Damaged,
    /// What is kept cannot be read now.
    #[error("the database cannot be read now, so nothing may be changed; /readyz says why")]
    NotNow,
    /// The appliance is stopping.
    #[error("the appliance is stopping")]
    Stopping,
}

/// What is read: the projects, and the documents of the active one.
#[derive(Clone, Debug)]
pub struct View {
    /// All projects.
    pub catalogue: Catalogue,
    /// Scenes of the active one: a JSON list.
    pub scenes: Bytes,
    /// Its show without the scenes: a JSON object.
    pub show: Bytes,
    /// One of them was damaged and is shown as empty.
    pub damaged: bool,
    /// Which content the scenes are.
    pub scenes_tag: Tag,
    /// Which content scenes and show are together.
    pub file_tag: Tag,
    /// What of a predecessor's files is not here.
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
    /// By itself.
    #[error(transparent)]
    Edit(#[from] NotEdited),
    /// By the library.
    #[error(transparent)]
    Library(#[from] EditError),
}

/// A scene that was edited.
#[derive(Clone, Debug)]
pub struct EditedScene {
    /// As it is since; as it was when it was deleted.
    pub scene: Scene,
    /// What became of the command; `Applied` with the newest `seq` when there was none.
    pub outcome: Outcome,
    /// Everything since.
    pub view: Arc<View>,
}

impl View {
    /// The documents as words. Takes its time for large ones.
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

    /// Whether another project became the active one within that time.
    #[must_use]
    pub fn switched_within(&self, time: Duration) -> bool {
        self.switched.is_some_and(|at| at.elapsed() < time)
    }

    /// The scenes as light, in their order.
    #[must_use]
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// The scene of that name, else the one of that id.
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
    /// Which content the project holds now.
    pub tag: Tag,
}

/// The active project as one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Whose.
    pub project: ProjectId,
    /// Snapshot JSON.
    pub bytes: Vec<u8>,
    /// Which edition of scenes and show this is; another one after each edit, in one run.
    pub edition: u64,
}

/// What the library needs from the rest of the house.
pub struct LibraryDeps {
    /// Whether there may be several projects; else there is `default` alone.
    pub several: bool,
    /// Where everything is kept.
    pub store: Store,
    /// Where light is switched.
    pub engine: engine::Handle,
    /// Where the light is read.
    pub feed: Feed,
    /// Universes that may be commanded: those from 0 on.
    pub universes: u8,
    /// Where it hangs that a predecessor's files could not all be taken over.
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

    /// No job is taken any more; those that wait are done.
    pub fn close(&self) {
        self.stopper.stop();
    }

    /// Universes that may be commanded: those from 0 on.
    #[must_use]
    pub fn universes(&self) -> u8 {
        self.universes
    }

    /// As it is now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// The same library for one edit of a document that must be what the client expects: else it is [`EditError::Outdated`].
    #[must_use]
    pub fn expecting(&self, expected: Expected) -> Self {
        Self { expected, ..self.clone() }
    }

    /// Makes a project; all of them.
    ///
    /// # Errors
    /// No such template, or a limit.
    pub async fn create(&self, edit: ProjectEdit) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::Create { edit, reply }).await
    }

    /// Changes what is known about a project.
    ///
    /// # Errors
    /// There is none.
    pub async fn edit(&self, id: ProjectId, edit: ProjectEdit) -> Result<Project, EditError> {
        self.job(|reply| Job::Edit { id, edit, reply }).await
    }

    /// Makes a project the active one; all of them.
    ///
    /// # Errors
    /// There is none.
    pub async fn select(&self, id: ProjectId) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::Select { id, reply }).await
    }

    /// Deletes a project that is not active; those that are left.
    ///
    /// # Errors
    /// There is none, or it is active.
    pub async fn delete(&self, id: ProjectId) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::Delete { id, reply }).await
    }

    /// Replaces the scenes of the active project; everything since.
    ///
    /// # Errors
    /// A limit.
    pub async fn put_scenes(&self, scenes: Vec<Scene>) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::PutScenes { scenes, reply }).await
    }

    /// Edits one scene of the active project.
    ///
    /// # Errors
    /// No such scene, what it would be is wrong, or a limit.
    pub async fn edit_scenes(&self, edit: SceneEdit) -> Result<EditedScene, SceneError> {
        self.order_scene(edit, None).await.await.unwrap_or(Err(EditError::Stopping.into()))
    }

    /// The same for a door that goes on meanwhile. With a command, only if that is no duplicate, and in one step with it.
    pub async fn order_scene(
        &self,
        edit: SceneEdit,
        command: Option<Command>,
    ) -> oneshot::Receiver<Result<EditedScene, SceneError>> {
        let (reply, done) = oneshot::channel();
        let job = Job::EditScenes { edit, command: command.map(Box::new), reply };
        let _ = self.ask(job).await; // Err: it stops, which the receiver hears
        done
    }

    /// Takes a show file into the active project, or with `dry` only says what that would change.
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
    /// It is not the active one, another edition, or a limit.
    pub async fn adopt(&self, project: ProjectId, snapshot: Snapshot, edition: u64) -> Result<(), EditError> {
        self.job(|reply| Job::Adopt { project, snapshot, edition, reply }).await
    }

    /// Takes notice of what could not be taken over; everything since.
    ///
    /// # Errors
    /// The database cannot be read now.
    pub async fn acknowledge_takeover(&self) -> Result<Arc<View>, EditError> {
        self.job(|reply| Job::AcknowledgeTakeover { reply }).await
    }

    /// Notes a verified backup.
    ///
    /// # Errors
    /// There is no such project any more.
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
