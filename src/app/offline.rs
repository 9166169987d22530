//! One job without doors: a backup, a restore or a look at what is kept, for a box that does not start. Whether backups
//! are switched on does not matter here: whoever calls wants one.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use super::args::{Offline, What};
use super::house::Fault;
use super::memory::Memory;
use crate::backup::{self, Backups, FaultKind, Vaults, Version};
use crate::config::{Backup, Config};
use crate::dmx::ProjectId;
use crate::kit::health::{Health, Problem};
use crate::library::Library;
use crate::metrics::Metrics;

/// How it went.
pub(super) struct Told {
    /// For stdout.
    pub(super) text: String,
    /// What is wrong with the box beside, for stderr.
    pub(super) problems: Vec<Problem>,
    /// Whether all went well.
    pub(super) good: bool,
}

/// Does the job.
pub(super) async fn run(config: Config, metrics: Metrics, job: Offline) -> Result<Told, Fault> {
    match job {
        Offline::Backup { label } => {
            with_library(config, metrics, async |backups, project| {
                let made = backups.handle.create(project, label).await?;
                Ok(format!("{} of project {project}: {}\n", made.version_id, about(&made)))
            })
            .await
        }
        Offline::Restore { what, project: owner, force } => {
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
        Offline::Verify { what, project } => {
            let vaults = Vaults::new(&config.backup, &config.storage.data_dir)?;
            verify(&vaults, what, &project).await
        }
    }
}

/// With everything that a running appliance has behind its doors; the active project is worked on.
async fn with_library(
    config: Config,
    metrics: Metrics,
    job: impl AsyncFnOnce(&Backups, &ProjectId) -> Result<String, backup::Fault>,
) -> Result<Told, Fault> {
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
    Ok(Told { text: outcome?, problems: health.problems(), good: true })
}

fn start(config: Config, library: Library, health: &Health, metrics: Metrics) -> Result<Backups, backup::Fault> {
    backup::start(backup::Parts {
        settings: Backup { enabled: true, auto_interval_minutes: 0, ..config.backup },
        data_dir: config.storage.data_dir,
        shows: Arc::new(library),
        health: health.clone(),
        metrics: metrics.backup,
    })
}

/// Opens and validates what is named, or every version of the project, and tells of each.
async fn verify(vaults: &Vaults, what: Vec<What>, project: &ProjectId) -> Result<Told, Fault> {
    let mut told = Told { text: String::new(), problems: Vec::new(), good: true };
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
            Err(fault) if fault.kind == FaultKind::NotFound => {
                writeln!(told.text, "{what}: {fault} of project {project} (--project names another)")
            }
            Err(fault) => writeln!(told.text, "{what}{about}: CANNOT be restored: {fault}"),
        };
    }
    if told.text.is_empty() {
        let _ = writeln!(told.text, "there is no backup of project {project} (--project names another)");
    }
    Ok(told)
}

fn about(version: &Version) -> String {
    let seal = if version.encrypted { "sealed" } else { "not sealed" };
    let label = version.label.as_ref().map(|label| format!(", {label:?}")).unwrap_or_default();
    format!("{} bytes, {}, {seal}{label}", version.size, version.provider.name())
}

/// The bytes of a bundle; one that is too large for one is refused when it is opened.
fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    backup::read_bundle(path).map_err(|source| Fault::Bundle { path: path.to_owned(), source })
}

impl What {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Version(_) => None,
        }
    }
}
