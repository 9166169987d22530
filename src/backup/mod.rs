//! Backups of projects: made, sealed, stored, read back; restored in one step or not at all.
//!
//! A backup counts once its stored bytes were read back, opened and validated. Nothing here changes light: a restore hands
//! its project to the library ([`Shows::adopt`]) as a whole.

mod appliance;
mod bundle;
mod container;
mod error;
mod handle;
mod index;
mod local;
mod medium;
mod percent;
mod retention;
mod s3;
mod schedule;
mod seal;
mod shows;
mod status;
mod trailer;
mod vault;
mod vaults;
mod version;
mod work;
mod worker;
#[cfg(test)]
mod worker_tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::kit::tasks::Tasks;
use crate::metrics;

pub use appliance::{ApplianceBackup, NotOpened, PASSPHRASE, Passphrase, SEALING_BYTES};
pub use error::{BackupError, BackupErrorKind};
pub use handle::Handle;
pub use shows::{NotTaken, Shows};
pub use status::Status;
pub use vaults::Vaults;
pub use version::{Label, NotALabel, Provider, Version};

/// Reads an uploaded bundle.
///
/// # Errors
/// It cannot be read, or is too large for one.
pub fn read_bundle(path: &Path) -> io::Result<Vec<u8>> {
    local::read(File::open(path)?, bundle::MOST_STORED)
}

/// How long a job may still take at the stop. A job that is cut off has changed nothing, and is never taken for complete.
const LAST_JOB: Duration = Duration::from_millis(600);

/// What backups need.
pub struct BackupDeps {
    /// Where, how sealed, how often, how many.
    pub settings: config::Backup,
    /// The data folder; local backups are in `backups` below it unless the settings say otherwise.
    pub data_dir: PathBuf,
    /// The projects.
    pub shows: Arc<dyn Shows>,
    /// What `GET /readyz` reports.
    pub health: Health,
    /// What `GET /metrics` shows.
    pub metrics: metrics::Backup,
}

/// The backups' task.
pub struct Backups {
    /// The way in for REST and the command line.
    pub handle: Handle,
    tasks: Tasks,
    stop: Stopper,
}

/// Starts them. While they are off, every request is answered with that, and only what an import takes away is kept.
///
/// # Errors
/// A key or bucket that can never work.
pub fn start(deps: BackupDeps) -> Result<Backups, BackupError> {
    let (stop, stopped) = stop::channel();
    let mut tasks = Tasks::default();
    let on = deps.settings.enabled;
    let deps = if on { deps } else { deps.for_safety_alone() };
    let handle = match worker::Worker::new(deps) {
        Ok((handle, worker)) => {
            tasks.spawn("backups", worker.run(stopped));
            handle
        }
        Err(fault) if on => return Err(fault),
        Err(fault) => Handle::broken(fault), // nobody asked for the key or bucket; an import reports it
    };
    Ok(Backups { handle, tasks, stop })
}

impl BackupDeps {
    /// The local folder without a schedule.
    fn for_safety_alone(self) -> Self {
        let settings =
            config::Backup { provider: config::BackupProvider::Local, auto_interval_minutes: 0, ..self.settings };
        Self { settings, ..self }
    }
}

impl Backups {
    /// Ends when the task does, which is a fault, and names it.
    pub async fn ended(&mut self) -> &'static str {
        self.tasks.ended().await
    }

    /// Lets a job that is nearly done finish. Names what was late.
    pub async fn close(self) -> Vec<&'static str> {
        self.stop.stop();
        self.tasks.join(LAST_JOB).await
    }
}
