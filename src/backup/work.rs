//! The jobs: making and verifying a backup; finding, opening and restoring a version. Knows neither schedule nor queue; each
//! job does everything it is for, or nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use ulid::Ulid;

use super::bundle;
use super::error::{BackupError, BackupErrorKind};
use super::retention::Rules;
use super::shows::{NotTaken, Shows};
use super::status::{Board, Job, Phase};
use super::vault::{StoredVersion, Vault};
use super::vaults::Vaults;
use super::version::{Label, Version};
use crate::dmx::{ProjectId, UniverseId, VersionId};
use crate::kit::clock;
use crate::library::Document;
use crate::wire::Snapshot;

/// States replaced by restores and imports: how many are kept for each project.
const SAFETY: usize = 5;

/// Attempts to keep what a restore replaces while somebody edits it.
const EDITED: usize = 3;

/// How long removing a failed version may take: its sender waits for the bad news.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// No job takes longer, whatever the vault does: the largest one takes this at 32 kB a second.
const JOB: Duration = Duration::from_secs(3600);

/// What backups and restores are made with.
pub(super) struct Work {
    pub(super) shows: Arc<dyn Shows>,
    pub(super) board: Board,
    pub(super) vaults: Vaults,
    pub(super) rules: Rules,
}

/// The source of a restore.
pub(super) enum Source {
    /// A version; one of another project only with `force`. `owner`: its project, if known.
    Version { owner: Option<ProjectId>, id: VersionId, force: bool },
    /// Uploaded bytes and where they came from; those of another project only with `force`.
    Bundle { bytes: Vec<u8>, from: String, force: bool },
}

/// Why a version is kept.
#[derive(Clone, Copy)]
enum Why<'a> {
    Backup,
    /// Something is about to replace what it holds, perhaps with the version here, which must stay.
    Safety(Option<&'a VersionId>),
}

/// A backup that was made and verified.
pub(super) struct VerifiedBackup {
    pub(super) version: Version,
    pub(super) fingerprint: Option<[u8; 32]>,
}

/// A source that was fetched, opened and validated.
struct Opened {
    snapshot: Snapshot,
    /// Its universes that have light and cannot be commanded.
    left_out: Vec<UniverseId>,
    from: String,
    /// The version, which must not be deleted for what is saved before it is restored.
    spared: Option<VersionId>,
}

impl Work {
    /// Makes a backup of the active project.
    pub(super) async fn create(
        &self,
        project: &ProjectId,
        label: Option<Label>,
    ) -> Result<VerifiedBackup, BackupError> {
        self.active(project)?;
        let job = self.board.begin(project);
        job.phase(Phase::Snapshot, 0);
        let document = self.snapshot(project).await?;
        self.create_of(&job, document, label).await
    }

    /// Makes a backup of a document.
    pub(super) async fn create_of(
        &self,
        job: &Job<'_>,
        document: Document,
        label: Option<Label>,
    ) -> Result<VerifiedBackup, BackupError> {
        let (project, began) = (document.project, Instant::now());
        let fingerprint = bundle::fingerprint(&document.bytes);
        let label = label.map(String::from).filter(|label| !label.is_empty()); // metadata cannot tell it from no label
        let version = self.keep(&*self.vaults.main, job, &project, document.bytes, label, Why::Backup).await?;
        self.shows.backed_up(&project, version.created_at).await;
        self.board.made(&project, &version, began.elapsed());
        self.retain(job, &project, &version).await;
        Ok(VerifiedBackup { version, fingerprint })
    }

    /// Replaces the active project.
    pub(super) async fn restore(&self, project: &ProjectId, source: Source) -> Result<Vec<UniverseId>, BackupError> {
        self.active(project)?;
        let job = self.board.begin(project);
        let Opened { snapshot, left_out, from, spared } = in_time(self.open(&job, project, source)).await?;
        self.adopt(&job, project, snapshot, &from, spared.as_ref()).await?;
        self.board.restored(project, &from);
        Ok(left_out)
    }

    /// Saves the active project before an import takes something away.
    pub(super) async fn keep_active_safe(&self, project: &ProjectId, why: &str) -> Result<(), BackupError> {
        self.active(project)?;
        let job = self.board.begin(project);
        job.phase(Phase::Safety, 0);
        let kept = self.keep_safe(&job, project, why.to_owned(), None).await;
        kept.map(drop)
    }

    /// What a restore would put in place of the active project.
    pub(super) async fn look_into(
        &self,
        project: &ProjectId,
        source: Source,
    ) -> Result<(Snapshot, Vec<UniverseId>), BackupError> {
        self.active(project)?;
        let job = self.board.begin(project);
        self.open(&job, project, source).await.map(|opened| (opened.snapshot, opened.left_out))
    }

    async fn open(&self, job: &Job<'_>, project: &ProjectId, source: Source) -> Result<Opened, BackupError> {
        job.phase(Phase::Download, 0);
        let (stored, from, spared, foreign) = match source {
            Source::Version { owner, id, force } => {
                let stored = self.fetch(job, project, owner, &id, force).await?;
                (stored, id.to_string(), Some(id), true) // its folder shows whose it is
            }
            Source::Bundle { bytes, from, force } => (StoredVersion { bytes, sha256: None }, from, None, force),
        };
        job.phase(Phase::Open, stored.bytes.len() as u64);
        let (mut snapshot, owner) = self.vaults.open(stored).await?;
        let left_out = snapshot.leave_out(self.shows.universes());
        if let Some(owner) = owner.filter(|owner| !foreign && owner != project.as_str()) {
            return Err(BackupError::foreign(&from, owner, project));
        }
        Ok(Opened { snapshot, left_out, from, spared })
    }

    /// Saves the present state, and replaces exactly that: if it is edited in between, it is saved once more.
    async fn adopt(
        &self,
        job: &Job<'_>,
        project: &ProjectId,
        snapshot: Snapshot,
        from: &str,
        spared: Option<&VersionId>,
    ) -> Result<(), BackupError> {
        for _ in 0..EDITED {
            job.phase(Phase::Safety, 0);
            let label = format!("before restore of {from}");
            let kept = in_time(self.keep_safe(job, project, label, spared)).await;
            let edition = kept.map_err(|fault| BackupError {
                message: format!("nothing was restored, because the current state could not be saved first: {fault}"),
                ..fault
            })?;
            job.phase(Phase::Adopt, 0);
            match self.shows.adopt(project, snapshot.clone(), edition).await {
                Err(NotTaken::Changed) => {}
                other => return other.map_err(|why| not_taken(why, project)),
            }
        }
        Err(not_taken(NotTaken::Changed, project))
    }

    /// Deletes a version.
    pub(super) async fn delete(&self, project: &ProjectId, id: &VersionId) -> Result<(), BackupError> {
        let vault = self.vaults.own(project, id).await?;
        vault.delete(project, id).await?;
        tracing::info!(%project, version = %id, provider = vault.provider().name(), "backup_deleted");
        Ok(())
    }

    /// The fingerprint and id of the newest backup in the vault; nothing if there is none, or if it cannot be found or read:
    /// then a backup is made, needed or not.
    pub(super) async fn newest(&self, project: &ProjectId) -> Option<(VersionId, [u8; 32])> {
        let vault = &self.vaults.main;
        let all = vault.list(project).await.ok()?;
        let (ordinary, now) = (all.into_iter().filter(|version| !version.safety), clock::now_ms());
        let newest = ordinary.max_by(|a, b| a.made_before(b, now))?;
        let fingerprint = match vault.get(project, &newest.version_id, &|_, _| ()).await {
            Ok(stored) => self.vaults.opened(stored, bundle::fingerprint).await,
            Err(fault) => Err(fault),
        };
        fingerprint.ok().flatten().map(|fingerprint| (newest.version_id, fingerprint))
    }

    fn active(&self, project: &ProjectId) -> Result<(), BackupError> {
        if self.shows.active() == *project {
            return Ok(());
        }
        if self.shows.known().contains(project) {
            return Err(BackupError::not_active(project));
        }
        Err(BackupError::new(BackupErrorKind::NotFound, format!("there is no project {project}")))
    }

    pub(super) async fn snapshot(&self, project: &ProjectId) -> Result<Document, BackupError> {
        self.shows.snapshot(project).await.map_err(|why| not_taken(why, project))
    }

    /// Seals and stores a document, then reads it back, compares, opens and validates it.
    async fn keep(
        &self,
        vault: &dyn Vault,
        job: &Job<'_>,
        project: &ProjectId,
        document: Vec<u8>,
        label: Option<String>,
        why: Why<'_>,
    ) -> Result<Version, BackupError> {
        job.phase(Phase::Seal, document.len() as u64);
        let (keys, created_at) = (Arc::clone(&self.vaults.keys), clock::now_ms());
        let sealing = move || {
            let sealed = keys.seal(document, created_at / 1000)?;
            let sha256 = bundle::sha256(&sealed);
            Ok::<_, BackupError>((Bytes::from(sealed), sha256))
        };
        let (sealed, sha256) = spawn_blocking(sealing).await??;
        let size = sealed.len() as u64;
        job.phase(Phase::Upload, size);
        let version = Version {
            version_id: Ulid::generate().into(),
            created_at,
            size,
            label,
            provider: vault.provider(),
            encrypted: self.vaults.keys.seals(),
            sha256: Some(sha256),
            safety: matches!(why, Why::Safety(_)),
            order: vault.next_order(project).await?,
        };
        let put = self.put(vault, project, &version, sealed, why).await;
        let verified = match put {
            Ok(()) => self.verified(vault, job, project, &version).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = verified {
            // an unverified backup must not be found by somebody in need
            match timeout(CLEAN_UP, vault.delete(project, &version.version_id)).await {
                Ok(Ok(())) => {}
                Ok(Err(gone)) if gone.kind == BackupErrorKind::NotFound => {}
                Ok(Err(error)) => tracing::warn!(%project, version = %version.version_id, %error, "backup_not_removed"),
                Err(_) => tracing::warn!(%project, version = %version.version_id, "backup_not_removed"),
            }
            return Err(fault);
        }
        Ok(version)
    }

    /// Stores a version; if there is no room, in place of some that need not stay.
    async fn put(
        &self,
        vault: &dyn Vault,
        project: &ProjectId,
        version: &Version,
        bytes: Bytes,
        why: Why<'_>,
    ) -> Result<(), BackupError> {
        loop {
            let put = vault.put(project, version, bytes.clone()).await;
            let full = put.as_ref().is_err_and(|fault| fault.kind == BackupErrorKind::Full);
            if !full || !self.made_room(vault, project, version, why).await {
                return put;
            }
        }
    }

    /// Deletes what may go before `next` is stored, never the newest of its kind: of backups what the rules would delete
    /// after it, of safety versions the oldest. True if there was any.
    async fn made_room(&self, vault: &dyn Vault, project: &ProjectId, next: &Version, why: Why<'_>) -> bool {
        let (Ok(mut all), now) = (vault.list(project).await, clock::now_ms()) else { return false };
        all.retain(|version| version.safety == next.safety && version.version_id != next.version_id);
        all.sort_by(|a, b| b.made_before(a, now));
        let older: Vec<_> = all.iter().skip(1).map(|version| version.version_id.clone()).collect();
        let going: Vec<_> = match why {
            Why::Backup => {
                all.push(next.clone());
                let spare = self.rules.spare(&all, &next.version_id, now);
                spare.into_iter().filter(|id| older.contains(id)).collect()
            }
            Why::Safety(spared) => older.into_iter().rev().find(|id| Some(id) != spared).into_iter().collect(),
        };
        let mut made = false;
        for id in going {
            made |= self.drop_spare(vault, project, &id).await;
        }
        made
    }

    async fn verified(
        &self,
        vault: &dyn Vault,
        job: &Job<'_>,
        project: &ProjectId,
        version: &Version,
    ) -> Result<(), BackupError> {
        job.phase(Phase::Verify, version.size);
        let read = vault.get(project, &version.version_id, &|done, total| job.progress(done, total)).await;
        let stored = read.map_err(|fault| match fault.kind {
            BackupErrorKind::NotFound => {
                BackupError::new(BackupErrorKind::Refused, "the backup is not there after it was stored")
            }
            _ => fault,
        })?;
        let stored = StoredVersion { sha256: version.sha256.clone(), ..stored };
        self.vaults.opened(stored, |plain| bundle::read(plain).map(drop)).await?.map_err(|fault| BackupError {
            message: format!("what was stored cannot be restored, so it does not count: {fault}"),
            ..fault
        })
    }

    /// Saves what a restore or import replaces. `spared` is the version being restored.
    async fn keep_safe(
        &self,
        job: &Job<'_>,
        project: &ProjectId,
        label: String,
        spared: Option<&VersionId>,
    ) -> Result<u64, BackupError> {
        let vault = self.vaults.local();
        let document = self.snapshot(project).await?;
        let edition = document.edition;
        let kept = self.keep(vault, job, project, document.bytes, Some(label), Why::Safety(spared)).await?;
        let mut all = vault.list(project).await.unwrap_or_default();
        all.retain(|version| version.safety && version.version_id != kept.version_id);
        let now = clock::now_ms();
        all.sort_by(|a, b| b.made_before(a, now));
        for spare in all.iter().skip(SAFETY - 1).filter(|version| Some(&version.version_id) != spared) {
            self.drop_spare(vault, project, &spare.version_id).await;
        }
        Ok(edition)
    }

    async fn retain(&self, job: &Job<'_>, project: &ProjectId, made: &Version) {
        if self.rules.keep_all() {
            return;
        }
        job.phase(Phase::Retention, 0);
        match self.vaults.main.list(project).await {
            Ok(all) => {
                for spare in self.rules.spare(&all, &made.version_id, clock::now_ms()) {
                    self.drop_spare(&*self.vaults.main, project, &spare).await;
                }
            }
            Err(error) => tracing::warn!(%project, %error, "backup_retention"),
        }
    }

    async fn drop_spare(&self, vault: &dyn Vault, project: &ProjectId, id: &VersionId) -> bool {
        let deleted = vault.delete(project, id).await;
        match &deleted {
            Ok(()) => tracing::info!(%project, version = %id, "backup_expired"),
            Err(error) => tracing::warn!(%project, version = %id, %error, "backup_retention"),
        }
        deleted.is_ok()
    }

    async fn fetch(
        &self,
        job: &Job<'_>,
        project: &ProjectId,
        owner: Option<ProjectId>,
        id: &VersionId,
        force: bool,
    ) -> Result<StoredVersion, BackupError> {
        let (owner, vault) = match owner {
            Some(owner) => {
                let vault = self.vaults.own(&owner, id).await?;
                (owner, vault)
            }
            None => self.find(project, id).await?,
        };
        if owner != *project && !force {
            return Err(BackupError::foreign(id, &owner, project));
        }
        vault.get(&owner, id, &|done, total| job.progress(done, total)).await
    }

    /// Whose a version is, and in which vault: this project's if its folder has it, whatever the bundle says.
    async fn find(&self, project: &ProjectId, id: &VersionId) -> Result<(ProjectId, &dyn Vault), BackupError> {
        let others = self.shows.known().into_iter().filter(|other| other != project);
        let mut unasked = None;
        for owner in std::iter::once(project.clone()).chain(others) {
            match self.vaults.own(&owner, id).await {
                Ok(vault) => return Ok((owner, vault)),
                Err(fault) if fault.kind == BackupErrorKind::NotFound => {}
                Err(fault) => drop(unasked.get_or_insert(fault)),
            }
        }
        Err(unasked.unwrap_or_else(|| BackupError::no_version(id)))
    }
}

/// The outcome of a job, or that it took too long. Never around the swap itself, whose outcome must be known.
pub(super) async fn in_time<T>(job: impl Future<Output = Result<T, BackupError>>) -> Result<T, BackupError> {
    timeout(JOB, job).await.unwrap_or_else(|_| {
        let message =
            format!("the place where backups are kept took more than {} min, so it was given up", JOB.as_secs() / 60);
        Err(BackupError::new(BackupErrorKind::Unreachable, message))
    })
}

fn not_taken(why: NotTaken, project: &ProjectId) -> BackupError {
    match why {
        NotTaken::NotActive => BackupError::not_active(project),
        NotTaken::Changed => {
            BackupError::new(BackupErrorKind::NotNow, "scenes or show are being edited; try again when that is done")
        }
        NotTaken::TooMuch(why) => BackupError::unreadable(format!("the backup does not fit: {why}")),
        NotTaken::NotNow(why) => BackupError::new(BackupErrorKind::NotNow, why),
        NotTaken::Stopping => BackupError::stopping(),
    }
}
