//! One job without doors: backing up, restoring or checking, for a box that does not start. It does not matter whether backups
//! are switched on: whoever calls wants one.

use std::fmt::Write;
use std::fs;
use std::path::{self, Path};
use std::sync::Arc;

use super::args::{Offline, UsersJob, What};
use super::error::AppError;
use super::memory::Memory;
use crate::access;
use crate::backup::{self, BackupErrorKind, Backups, Vaults, Version};
use crate::config::{Backup, BackupProvider, Config};
use crate::dmx::ProjectId;
use crate::kit::health::{Health, Problem};
use crate::library::Library;
use crate::metrics::Metrics;
use crate::store::Store;

/// The outcome.
pub(super) struct JobReport {
    /// For stdout.
    pub(super) text: String,
    /// What else is wrong with the box, for stderr.
    pub(super) problems: Vec<Problem>,
    /// Whether all went well.
    pub(super) good: bool,
}

/// Does the job.
pub(super) async fn run(config: Config, metrics: Metrics, job: Offline) -> Result<JobReport, AppError> {
    match job {
        Offline::Backup { label } => {
            // an empty show is a backup of nothing, and would be taken for one of something
            let folder = data_folder(&config)?;
            if !Store::is_in(folder) {
                return Err(AppError::NeverUsed(whole(folder)));
            }
            with_library(config, metrics, async |backups, project| {
                let made = backups.handle.create(project, label).await?;
                Ok(format!("{} of project {project}: {}\n", made.version_id, about(&made)))
            })
            .await
        }
        Offline::Restore { what, project: owner, force } => {
            data_folder(&config)?;
            let bundle = what.file().map(read).transpose()?;
            with_library(config, metrics, async |backups, project| {
                let left_out = match (&what, bundle) {
                    (What::Version(id), _) => backups.handle.restore_and_tell(project, owner, id, force).await?,
                    (What::File(path), bundle) => {
                        let from = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                        backups.handle.restore_bundle(project, bundle.unwrap_or_default(), &from, force).await?
                    }
                };
                let left_out = left_out.iter().map(|id| format!("universe {id} was left out (engine.universes)\n"));
                let left_out: String = left_out.collect();
                Ok(format!(
                    "project {project} is restored from {what}; what was there is kept as a local version\n{left_out}"
                ))
            })
            .await
        }
        Offline::Users { job: UsersJob::Reset } => {
            let folder = data_folder(&config)?;
            let doing = "asking the appliance to forget its admins";
            access::ask_for_reset(folder).map_err(|source| AppError::System { doing, source })?;
            let text = "Admins are forgotten, and the appliance opens, when dmxd starts next: start it, or systemctl restart dmxd.\n\
                        dmxd-status.txt and the log have the code that makes the first admin.\n";
            Ok(JobReport { text: text.to_owned(), problems: Vec::new(), good: true })
        }
        Offline::Verify { what, project } => {
            let by_file = !what.is_empty() && what.iter().all(|what| what.file().is_some());
            let elsewhere = config.backup.provider == BackupProvider::S3 || config.backup.local_path.is_some();
            if !by_file && !elsewhere {
                data_folder(&config)?;
            }
            let vaults = Vaults::new(&config.backup, &config.storage.data_dir)?;
            let mut told = verify(&vaults, what, &project).await?;
            if told.text.is_empty() {
                let folder = whole(&config.storage.data_dir);
                told.good = false; // whoever asks wants to know that there is a backup
                told.text = format!(
                    "there is no backup of project {project} (--project names another; storage.data_dir is {})\n",
                    folder.display()
                );
            }
            Ok(told)
        }
    }
}

/// The data folder, which no job creates: if it is missing, another one was meant.
fn data_folder(config: &Config) -> Result<&Path, AppError> {
    let folder = config.storage.data_dir.as_path();
    fs::read_dir(folder).map(|_| folder).map_err(|source| AppError::DataFolder { path: whole(folder), source })
}

/// An absolute path.
fn whole(folder: &Path) -> path::PathBuf {
    path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Runs with everything that a running appliance has behind its doors, on the active project.
async fn with_library(
    config: Config,
    metrics: Metrics,
    job: impl AsyncFnOnce(&Backups, &ProjectId) -> Result<String, backup::BackupError>,
) -> Result<JobReport, AppError> {
    let health = Health::default();
    let (memory, library) = Memory::open(&config, &health, &metrics).await?;
    let project = library.view().catalogue.active.clone();
    let outcome = match start(config, library, &health, metrics) {
        Ok(backups) => {
            let outcome = job(&backups, &project).await;
            backups.close().await; // nothing is under way any more
            outcome
        }
        Err(fault) => Err(fault),
    };
    memory.close(async {}).await;
    Ok(JobReport { text: outcome?, problems: health.problems(), good: true })
}

fn start(config: Config, library: Library, health: &Health, metrics: Metrics) -> Result<Backups, backup::BackupError> {
    backup::start(backup::BackupDeps {
        settings: Backup { enabled: true, auto_interval_minutes: 0, ..config.backup },
        data_dir: config.storage.data_dir,
        shows: Arc::new(library),
        health: health.clone(),
        metrics: metrics.backup,
    })
}

/// Opens and validates the named versions, or every version of the project, and reports on each.
async fn verify(vaults: &Vaults, what: Vec<What>, project: &ProjectId) -> Result<JobReport, AppError> {
    let mut told = JobReport { text: String::new(), problems: Vec::new(), good: true };
    let all = if what.is_empty() { vaults.list(project).await? } else { Vec::new() };
    let listed = all.iter().map(|version| (What::Version(version.version_id.clone()), Some(about(version))));
    for (what, about) in what.into_iter().map(|what| (what, None)).chain(listed) {
        let outcome = match &what {
            What::Version(id) => vaults.verify(project, id).await,
            What::File(path) => match read(path) {
                Ok(bytes) => vaults.verify_bundle(bytes).await,
                Err(fault) => return Err(fault),
            },
        };
        let about = about.map(|about| format!(" ({about})")).unwrap_or_default();
        told.good &= outcome.is_ok();
        // Writing to a String cannot fail.
        let _ = match outcome {
            Ok(()) => writeln!(told.text, "{what}{about}: can be restored"),
            Err(fault) if fault.kind == BackupErrorKind::NotFound => {
                writeln!(told.text, "{what}: {fault} of project {project} (--project names another)")
            }
            Err(fault) => writeln!(told.text, "{what}{about}: CANNOT be restored: {fault}"),
        };
    }
    Ok(told)
}

fn about(version: &Version) -> String {
    let seal = if version.encrypted { "sealed" } else { "not sealed" };
    let label = version.label.as_ref().map(|label| format!(", {label:?}")).unwrap_or_default();
    format!("{} bytes, {}, {seal}{label}", version.size, version.provider.name())
}

/// The bytes of a bundle; one that is too large is refused when it is opened.
fn read(path: &Path) -> Result<Vec<u8>, AppError> {
    backup::read_bundle(path).map_err(|source| AppError::Bundle { path: path.to_owned(), source })
}

impl What {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Version(_) => None,
        }
    }
}
