//! The way in for REST and the command line. If the caller goes away, a job that has started still runs to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::error::BackupError;
use super::status::Status;
use super::version::{Label, Version};
use super::work::{Source, Work};
use crate::dmx::{ProjectId, UniverseId, VersionId};
use crate::wire::Snapshot;

/// How long an import waits for a job that is under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for backups and restores. Clones ask the same worker.
#[derive(Clone)]
pub struct Handle(Result<Inner, BackupError>);

#[derive(Clone)]
struct Inner {
    /// If off, only what an import takes away is kept.
    on: bool,
    work: Arc<Work>,
    orders: mpsc::Sender<Order>,
    turn: Arc<Semaphore>,
}

/// An order for the worker, and where the outcome goes. It holds the one turn until it is done.
pub(super) struct Order {
    pub(super) task: Task,
    pub(super) turn: OwnedSemaphorePermit,
}

/// What needs the one turn: changes, and opening a bundle, for which there is memory only once.
pub(super) enum Task {
    Create(ProjectId, Option<Label>, oneshot::Sender<Result<Version, BackupError>>),
    Restore(ProjectId, Source, oneshot::Sender<Result<Vec<UniverseId>, BackupError>>),
    LookInto(ProjectId, Source, oneshot::Sender<Result<Opened, BackupError>>),
    KeepSafe(ProjectId, String, oneshot::Sender<Result<(), BackupError>>),
    Delete(ProjectId, VersionId, oneshot::Sender<Result<(), BackupError>>),
}

/// A version opened for a look. It holds the one turn as long as it takes memory.
pub struct Opened {
    /// Its content.
    pub snapshot: Snapshot,
    /// Universes for which it has light that a restore would leave out.
    pub left_out: Vec<UniverseId>,
    pub(super) _turn: OwnedSemaphorePermit,
}

impl Handle {
    /// Refuses everything.
    #[must_use]
    pub fn off() -> Self {
        Self::broken(BackupError::off())
    }

    /// Refuses everything, and gives this reason where something should have been kept.
    pub(super) fn broken(fault: BackupError) -> Self {
        Self(Err(fault))
    }

    /// Whether backups are made at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.inner().is_ok()
    }

    pub(super) fn new(on: bool, work: Arc<Work>, orders: mpsc::Sender<Order>, turn: Arc<Semaphore>) -> Self {
        Self(Ok(Inner { on, work, orders, turn }))
    }

    /// Keeps the active project in the local folder before an import takes something away, at most once a minute; `why` is
    /// the version's label. Waits for a job that is under way. Works even while backups are off.
    ///
    /// # Errors
    /// It could not be kept.
    pub async fn keep_safe(&self, project: &ProjectId, why: &str) -> Result<(), BackupError> {
        let inner = self.0.as_ref().map_err(Clone::clone)?;
        match timeout(PATIENCE, Arc::clone(&inner.turn).acquire_owned()).await {
            Ok(Ok(turn)) => inner.ask(turn, |answer| Task::KeepSafe(project.clone(), why.to_owned(), answer)).await,
            Ok(Err(_)) => Err(BackupError::stopping()),
            Err(_) => Err(BackupError::busy()),
        }
    }

    /// Makes a backup of the active project, reads it back and verifies it.
    ///
    /// # Errors
    /// Off, no such project, not the active one, busy, or the vault failed.
    pub async fn create(&self, project: &ProjectId, label: Option<Label>) -> Result<Version, BackupError> {
        self.order(|answer| Task::Create(project.clone(), label, answer)).await
    }

    /// Replaces state, scenes and show of the active project by a version's. A version of another project (`owner`, if known;
    /// it may have been deleted) needs `force`. Gives the universes that were left out because they may not be commanded: they
    /// stay as they are.
    ///
    /// # Errors
    /// As [`Handle::create`]; no such version, one of another project, or one that cannot be read. Nothing has changed then.
    pub async fn restore_and_tell(
        &self,
        project: &ProjectId,
        owner: Option<ProjectId>,
        version: &VersionId,
        force: bool,
    ) -> Result<Vec<UniverseId>, BackupError> {
        let source = Source::Version { owner, id: version.clone(), force };
        self.order(|answer| Task::Restore(project.clone(), source, answer)).await
    }

    /// The same, without what was left out.
    ///
    /// # Errors
    /// As [`Handle::restore_and_tell`].
    pub async fn restore(
        &self,
        project: &ProjectId,
        owner: Option<ProjectId>,
        version: &VersionId,
        force: bool,
    ) -> Result<(), BackupError> {
        self.restore_and_tell(project, owner, version, force).await.map(drop)
    }

    /// What [`Handle::restore`] would put in place of the active project. Changes nothing.
    ///
    /// # Errors
    /// As [`Handle::restore`].
    pub async fn look_into(
        &self,
        project: &ProjectId,
        owner: Option<ProjectId>,
        version: &VersionId,
        force: bool,
    ) -> Result<Opened, BackupError> {
        let source = Source::Version { owner, id: version.clone(), force };
        self.order(|answer| Task::LookInto(project.clone(), source, answer)).await
    }

    /// Replaces state, scenes and show of the active project by an uploaded bundle; `from` names it.
    ///
    /// # Errors
    /// As [`Handle::restore`].
    pub async fn restore_bundle(
        &self,
        project: &ProjectId,
        bytes: Vec<u8>,
        from: &str,
        force: bool,
    ) -> Result<Vec<UniverseId>, BackupError> {
        let source = Source::Bundle { bytes, from: from.to_owned(), force };
        self.order(|answer| Task::Restore(project.clone(), source, answer)).await
    }

    /// Deletes a version.
    ///
    /// # Errors
    /// Off, no such version, busy, or the vault failed.
    pub async fn delete(&self, project: &ProjectId, version: &VersionId) -> Result<(), BackupError> {
        self.order(|answer| Task::Delete(project.clone(), version.clone(), answer)).await
    }

    /// All versions of a project, newest first.
    ///
    /// # Errors
    /// Off, or the vault failed.
    pub async fn list(&self, project: &ProjectId) -> Result<Vec<Version>, BackupError> {
        self.inner()?.work.vaults.list(project).await
    }

    /// A version's bytes as they are stored, sealed or not.
    ///
    /// # Errors
    /// Off, no such version, or the vault failed.
    pub async fn download(&self, project: &ProjectId, version: &VersionId) -> Result<Vec<u8>, BackupError> {
        self.inner()?.work.vaults.download(project, version).await
    }

    /// Fetches, opens and validates a version. Changes nothing.
    ///
    /// # Errors
    /// Off, no such version, one that cannot be read, or the vault failed.
    pub async fn verify(&self, project: &ProjectId, version: &VersionId) -> Result<(), BackupError> {
        self.inner()?.work.vaults.verify(project, version).await
    }

    /// Accepts the medium that the folder of local backups is on now.
    ///
    /// # Errors
    /// Off, or the folder does not answer.
    pub async fn accept_medium(&self) -> Result<(), BackupError> {
        let work = &self.inner()?.work;
        work.board.medium(work.vaults.folder.accept().await?);
        Ok(())
    }

    /// What is under way for a project, and the outcome of its last job.
    ///
    /// # Errors
    /// Off.
    pub fn status(&self, project: &ProjectId) -> Result<Status, BackupError> {
        Ok(self.inner()?.work.board.status(project))
    }

    fn inner(&self) -> Result<&Inner, BackupError> {
        self.0.as_ref().ok().filter(|inner| inner.on).ok_or_else(BackupError::off)
    }

    async fn order<T>(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<T, BackupError>>) -> Task,
    ) -> Result<T, BackupError> {
        let inner = self.inner()?;
        let turn = Arc::clone(&inner.turn).try_acquire_owned().map_err(|_| BackupError::busy())?;
        inner.ask(turn, task).await
    }
}

impl Inner {
    async fn ask<T>(
        &self,
        turn: OwnedSemaphorePermit,
        task: impl FnOnce(oneshot::Sender<Result<T, BackupError>>) -> Task,
    ) -> Result<T, BackupError> {
        let (answer, outcome) = oneshot::channel();
        let order = Order { task: task(answer), turn };
        // the holder of the turn finds the queue empty
        self.orders.try_send(order).map_err(|_| BackupError::stopping())?;
        outcome.await.unwrap_or_else(|_| Err(BackupError::stopping()))
    }
}
