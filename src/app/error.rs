//! Why the appliance did not run, or did not go on.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;
use crate::{backup, broker, http, tls};

/// Why the appliance did not run, or did not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppError {
    /// The web port.
    #[error(transparent)]
    Web(#[from] http::BindError),
    /// The MQTT port.
    #[error(transparent)]
    Mqtt(#[from] broker::BindError),
    /// The data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder of a job without doors.
    #[error(
        "opening the data folder {}: {source}; nothing was done (storage.data_dir names it: give --config the file that the \
         appliance is started with)",
        path.display()
    )]
    DataFolder {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A data folder in which dmxd has never run.
    #[error(
        "there is no show in {}: dmxd has never run there (storage.data_dir names it: give --config the file that the \
         appliance is started with)",
        .0.display()
    )]
    NeverUsed(PathBuf),
    /// The backups' key or bucket.
    #[error("{0}")]
    Backup(#[from] backup::BackupError),
    /// An uploaded bundle.
    #[error("reading {}: {source}", path.display())]
    Bundle {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] broker::StartError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] tls::Fault),
    /// The system.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A second signal came before the stop was done. Nothing acknowledged is lost.
    #[error("stopped at once by a second signal, before everything was closed")]
    Hurried,
    /// A part that must run for ever has ended; the log says more.
    #[error("{0} has ended by itself, which is a fault of this program; the log says more")]
    Ended(&'static str),
}
