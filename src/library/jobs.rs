//! What the librarian is asked, and its loop: one job after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::error::{EditError, PatchError, SceneError};
use super::expected::Expected;
use super::librarian::Librarian;
use super::view::{Document, EditedPatch, EditedScene, Imported, View};
use crate::dmx::{CommandId, FixtureType, ProjectId, Source, TypeId};
use crate::fixtures::NotKept;
use crate::kit::stop::Stop;
use crate::wire::{ImportMode, PatchEdit, Project, ProjectEdit, Scene, SceneEdit, ShowFile, Snapshot};

/// How often to check whether the database can be read again.
const LOOK: Duration = Duration::from_secs(1);

/// Where the caller gets its answer.
type Reply<T> = oneshot::Sender<Result<T, EditError>>;

/// What the librarian can do.
pub(super) enum Job {
    Create {
        edit: ProjectEdit,
        reply: Reply<Arc<View>>,
    },
    Edit {
        id: ProjectId,
        edit: ProjectEdit,
        reply: Reply<Project>,
    },
    Select {
        id: ProjectId,
        reply: Reply<Arc<View>>,
    },
    Delete {
        id: ProjectId,
        reply: Reply<Arc<View>>,
    },
    PutScenes {
        scenes: Vec<Scene>,
        reply: Reply<Arc<View>>,
    },
    EditScenes {
        edit: SceneEdit,
        command: Option<(CommandId, Source)>,
        reply: oneshot::Sender<Result<EditedScene, SceneError>>,
    },
    EditPatch {
        edit: PatchEdit,
        reply: oneshot::Sender<Result<EditedPatch, PatchError>>,
    },
    AddType {
        new: FixtureType,
        reply: Reply<Result<Arc<FixtureType>, NotKept>>,
    },
    RemoveType {
        id: TypeId,
        reply: Reply<Result<(), NotKept>>,
    },
    Import {
        file: ShowFile,
        mode: ImportMode,
        dry: bool,
        reply: Reply<Imported>,
    },
    Snapshot {
        project: ProjectId,
        reply: Reply<Document>,
    },
    Adopt {
        project: ProjectId,
        snapshot: Snapshot,
        edition: u64,
        reply: Reply<()>,
    },
    AcknowledgeTakeover {
        reply: Reply<Arc<View>>,
    },
    BackedUp {
        project: ProjectId,
        at_ms: u64,
        reply: Reply<()>,
    },
}

/// A job, and the content that the caller expects to change.
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) expected: Expected,
}

impl Librarian {
    /// Runs until the library is closed and no job is left.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>, mut stop: Stop) {
        let mut types = self.deps.reading.types.subscribe();
        loop {
            let job = tokio::select! {
                job = requests.recv() => job,
                () = stop.requested(), if !requests.is_closed() => {
                    requests.close();
                    continue;
                }
                () = sleep(LOOK), if self.stale => {
                    self.read_again().await;
                    continue;
                }
                Ok(()) = types.changed() => {
                    self.types_changed().await;
                    continue;
                }
            };
            let Some(Request { job, expected }) = job else { return };
            self.read_again().await;
            // Err of an answer: the caller does not wait any more. What was done stays done.
            match job {
                Job::Create { edit, reply } => drop(reply.send(self.create(edit, &expected).await)),
                Job::Edit { id, edit, reply } => drop(reply.send(self.edit(&id, edit, &expected).await)),
                Job::Select { id, reply } => drop(reply.send(self.select(&id, &expected).await)),
                Job::Delete { id, reply } => drop(reply.send(self.delete(&id, &expected).await)),
                Job::PutScenes { scenes, reply } => drop(reply.send(self.put_scenes(&scenes, &expected).await)),
                Job::EditScenes { edit, command, reply } => {
                    drop(reply.send(self.edit_scenes(edit, command, &expected).await));
                }
                Job::EditPatch { edit, reply } => drop(reply.send(self.edit_patch(edit, &expected).await)),
                Job::AddType { new, reply } => drop(reply.send(self.add_type(new).await)),
                Job::RemoveType { id, reply } => drop(reply.send(self.remove_type(&id).await)),
                Job::Import { file, mode, dry, reply } => {
                    drop(reply.send(self.import(file, mode, dry, &expected).await))
                }
                Job::Snapshot { project, reply } => drop(reply.send(self.snapshot(&project).await)),
                Job::Adopt { project, snapshot, edition, reply } => {
                    drop(reply.send(self.adopt(&project, snapshot, edition).await));
                }
                Job::AcknowledgeTakeover { reply } => drop(reply.send(self.acknowledge_takeover().await)),
                Job::BackedUp { project, at_ms, reply } => {
                    drop(reply.send(self.backed_up(&project, at_ms).await));
                }
            }
        }
    }
}
