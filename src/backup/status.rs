//! The state of backups, told once to everybody who asks: REST, metrics, `/readyz` and the log.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::{BackupError, BackupErrorKind};
use super::medium::MediumCheck;
use super::version::Version;
use crate::dmx::ProjectId;
use crate::kit::clock;
use crate::kit::health::Health;
use crate::metrics;

/// Codes of problems in `/readyz`.
const OLD: &str = "BACKUP_OLD";
const FAILING: &str = "BACKUP_FAILING";
const SAME_MEDIUM: &str = "BACKUP_ON_SAME_MEDIUM";
const MEDIUM_CHANGED: &str = "BACKUP_MEDIUM_CHANGED";

/// The purpose of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobKind {
    Creating,
    Restoring,
    Deleting,
    KeepingSafe,
}

impl JobKind {
    fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Restoring => "restoring",
            Self::Deleting => "deleting",
            Self::KeepingSafe => "keeping what an import takes away",
        }
    }
}

/// What is under way for a project, and the outcome of earlier jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "BackupStatus", description = "The backup or restore of a project that is under way.")]
pub struct Status {
    /// Whether a job is under way.
    pub running: bool,
    /// Its phase.
    pub phase: Option<Phase>,
    /// Bytes of this phase that are done.
    pub bytes_done: u64,
    /// Bytes of this phase; 0 while unknown.
    pub bytes_total: u64,
    /// Unix milliseconds.
    pub started_at: Option<u64>,
    /// When the last verified backup was made (Unix milliseconds), as far as this run knows.
    pub last_backup_at: Option<u64>,
    /// Why the last job failed; nothing if it succeeded.
    pub last_error: Option<String>,
}

/// A phase of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The project is serialised.
    Snapshot,
    /// It is sealed.
    Seal,
    /// It is stored.
    Upload,
    /// The stored bytes are read back and opened.
    Verify,
    /// A version is fetched.
    Download,
    /// It is opened and validated.
    Open,
    /// The present state is saved before it is replaced.
    Safety,
    /// The project is replaced.
    Adopt,
    /// Old versions are deleted.
    Retention,
}

/// The board. Only the worker writes to it.
pub(super) struct Board {
    projects: Mutex<HashMap<ProjectId, Status>>,
    health: Health,
    metrics: metrics::Backup,
}

impl Board {
    pub(super) fn new(health: Health, metrics: metrics::Backup) -> Self {
        for kind in BackupErrorKind::ALL.into_iter().filter(|kind| !kind.is_the_askers()) {
            metrics.failed.with_label_values(&[kind.label()]); // shown from the start, at 0
        }
        Self { projects: Mutex::default(), health, metrics }
    }

    /// The state of a project's backups.
    pub(super) fn status(&self, project: &ProjectId) -> Status {
        self.projects.lock().get(project).cloned().unwrap_or_default()
    }

    /// Begins a job, which ends when the returned value is dropped, even if its task is aborted.
    pub(super) fn begin<'a>(&'a self, project: &'a ProjectId) -> Job<'a> {
        let started_at = Some(clock::now_ms());
        self.edit(project, |status| *status = Status { running: true, started_at, ..status.clone() });
        Job { board: self, project }
    }

    /// A backup was made and verified within this time.
    pub(super) fn made(&self, project: &ProjectId, version: &Version, took: Duration) {
        self.metrics.made.inc();
        self.metrics.bytes.inc_by(version.size);
        self.metrics.last_seconds.set(took.as_secs_f64());
        self.good(project);
        self.edit(project, |status| status.last_backup_at = Some(version.created_at));
        tracing::info!(%project, version = %version.version_id, bytes = version.size, provider = version.provider.name(),
            encrypted = version.encrypted, seconds = took.as_secs_f64(), "backup_made");
    }

    /// There was nothing new to back up.
    pub(super) fn unchanged(&self, project: &ProjectId) {
        self.metrics.unchanged.inc();
        self.good(project);
    }

    fn good(&self, project: &ProjectId) {
        self.metrics.last_good.set(i64::try_from(clock::now_ms() / 1000).unwrap_or(i64::MAX));
        self.edit(project, |status| status.last_error = None);
        let cleared = self.health.clear_for(FAILING, project.as_str());
        if self.health.clear(OLD) || cleared {
            tracing::info!(%project, "backup_good_again");
        }
    }

    /// Forgets deleted projects, so that they no longer count as failing.
    pub(super) fn keep_only(&self, known: &[ProjectId]) {
        let gone = self.projects.lock().keys().filter(|project| !known.contains(project)).cloned().collect::<Vec<_>>();
        for project in gone {
            self.health.clear_for(FAILING, project.as_str());
        }
    }

    /// Reports a check of the medium of local backups.
    pub(super) fn medium(&self, look: MediumCheck) {
        let same = "backup.local_path is on the same medium as the data, so you lose both if that card fails: check that the \
                    stick is plugged in and mounted, and that the folder is on it";
        let changed = "backup.local_path is on a different medium than at the last backup, and the earlier versions are on \
                       that one: plug it in and mount it. If you changed it on purpose, say so in the \
                       app under Devices, or by POST /projects/default/backups/medium";
        for (code, is, message) in [(SAME_MEDIUM, look.same, same), (MEDIUM_CHANGED, look.changed, changed)] {
            if is && self.health.raise(code, message) {
                tracing::warn!(code, "backup_medium");
            } else if !is && self.health.clear(code) {
                tracing::info!(code, "backup_medium_good_again");
            }
        }
    }

    /// A version has replaced a project's state.
    pub(super) fn restored(&self, project: &ProjectId, from: &str) {
        self.metrics.restored.inc();
        self.edit(project, |status| status.last_error = None);
        tracing::info!(%project, version = from, "backup_restored");
    }

    /// A job failed.
    pub(super) fn failed(&self, project: &ProjectId, doing: JobKind, fault: &BackupError) {
        if fault.kind.is_the_askers() {
            return; // it may not even be a project
        }
        self.metrics.failed.with_label_values(&[fault.kind.label()]).inc();
        tracing::warn!(%project, doing = doing.name(), kind = fault.kind.label(), error = %fault, "backup_failed");
        self.edit(project, |status| status.last_error = Some(fault.message.clone()));
        if doing == JobKind::Creating {
            let message = format!("project {project} could not be backed up: {fault}");
            self.health.raise_for(FAILING, project.as_str(), message);
        }
    }

    /// The last good backup is too old.
    pub(super) fn old(&self, project: &ProjectId, age: Duration, every: Duration) {
        let why = self.status(project).last_error.unwrap_or_else(|| "none was tried".to_owned());
        let (age, every) = (age.as_secs() / 60, every.as_secs() / 60);
        let message = format!(
            "the last good backup of project {project} is {age} min old, one is due every {every} min: {why}. \
             Put that right; POST /projects/{project}/backups tries at once"
        );
        if self.health.raise(OLD, message) {
            tracing::warn!(%project, minutes = age, "backup_old");
        }
    }

    fn edit(&self, project: &ProjectId, edit: impl FnOnce(&mut Status)) {
        edit(self.projects.lock().entry(project.clone()).or_default());
    }
}

/// A job under way.
pub(super) struct Job<'a> {
    board: &'a Board,
    project: &'a ProjectId,
}

impl Job<'_> {
    /// Begins the next phase, of this many bytes (0: unknown).
    pub(super) fn phase(&self, phase: Phase, bytes_total: u64) {
        self.board.edit(self.project, |status| {
            (status.phase, status.bytes_done, status.bytes_total) = (Some(phase), 0, bytes_total);
        });
    }

    /// This many bytes of it are done, of this total if it is known.
    pub(super) fn progress(&self, done: u64, total: Option<u64>) {
        self.board.edit(self.project, |status| {
            status.bytes_done = done;
            status.bytes_total = total.unwrap_or(status.bytes_total).max(done);
        });
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.board.edit(self.project, |status| {
            *status = Status {
                last_backup_at: status.last_backup_at,
                last_error: status.last_error.take(),
                ..Status::default()
            };
        });
    }
}
