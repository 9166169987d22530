//! Every vault there is, and the keys that open its content. Read-only and without the library, so backups can be inspected
//! beside a running appliance, and on a box that does not start.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::bundle;
use super::error::BackupError;
use super::local::Local;
use super::medium::Medium;
use super::s3::S3;
use super::seal::Keys;
use super::vault::{StoredVersion, Vault};
use super::version::Version;
use crate::config::{self, BackupProvider};
use crate::dmx::{ProjectId, VersionId};
use crate::kit::clock;
use crate::wire::Snapshot;

/// Where backups are.
pub struct Vaults {
    pub(super) keys: Arc<Keys>,
    /// Where backups go.
    pub(super) main: Arc<dyn Vault>,
    /// The local folder, if that is another one: restores keep there what they replace.
    pub(super) local: Option<Arc<dyn Vault>>,
    /// The local folder itself, for checks of its medium.
    pub(super) folder: Local,
}

impl Vaults {
    /// The vaults of the settings; `data_dir` is the data folder.
    ///
    /// # Errors
    /// A key or bucket that can never work.
    pub fn new(settings: &config::Backup, data_dir: &Path) -> Result<Self, BackupError> {
        let root = settings.local_path.clone().unwrap_or_else(|| data_dir.join("backups"));
        let medium = Medium::new(root, data_dir.to_owned(), settings.local_path.is_some());
        let folder = Local::new(Arc::new(medium));
        let local: Arc<dyn Vault> = Arc::new(folder.clone());
        let (main, local): (Arc<dyn Vault>, _) = match settings.provider {
            BackupProvider::Local => (local, None),
            BackupProvider::S3 => (Arc::new(S3::new(settings)?), Some(local)),
        };
        Ok(Self { keys: Arc::new(Keys::new(settings)?), main, local, folder })
    }

    /// All versions of a project, newest first.
    ///
    /// # Errors
    /// The vault that backups go to failed.
    pub async fn list(&self, project: &ProjectId) -> Result<Vec<Version>, BackupError> {
        let now = clock::now_ms();
        let newest_first = |mut all: Vec<Version>| {
            all.sort_by(|a, b| b.made_before(a, now));
            all
        };
        let mut all = newest_first(self.main.list(project).await?);
        if let Some(local) = &self.local {
            match local.list(project).await {
                Ok(more) => all = merged(all, newest_first(more)),
                Err(fault) => tracing::warn!(%project, error = %fault, "backup_list_local"),
            }
        }
        let mut seen = HashSet::new();
        all.retain(|version| seen.insert(version.version_id.clone()));
        Ok(all)
    }

    /// A version's bytes as they are stored.
    ///
    /// # Errors
    /// No such version, or its vault failed.
    pub async fn download(&self, project: &ProjectId, id: &VersionId) -> Result<Vec<u8>, BackupError> {
        Ok(self.own(project, id).await?.get(project, id, &|_, _| ()).await?.bytes)
    }

    /// Fetches, opens and validates a version.
    ///
    /// # Errors
    /// No such version, one that cannot be read, or its vault failed.
    pub async fn verify(&self, project: &ProjectId, id: &VersionId) -> Result<(), BackupError> {
        let stored = self.own(project, id).await?.get(project, id, &|_, _| ()).await?;
        self.open(stored).await.map(drop)
    }

    /// Opens and validates an uploaded bundle.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn verify_bundle(&self, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.open(StoredVersion { bytes, sha256: None }).await.map(drop)
    }

    /// The local folder.
    pub(super) fn local(&self) -> &dyn Vault {
        &**self.local.as_ref().unwrap_or(&self.main)
    }

    /// The vault with a version of this project. The local one is asked first, since that costs nothing. If a vault does not
    /// answer, the other is still asked.
    pub(super) async fn own(&self, project: &ProjectId, id: &VersionId) -> Result<&dyn Vault, BackupError> {
        let mut unasked = None;
        for vault in self.local.iter().chain([&self.main]) {
            match vault.has(project, id).await {
                Ok(true) => return Ok(&**vault),
                Ok(false) => {}
                Err(fault) => drop(unasked.get_or_insert(fault)),
            }
        }
        Err(unasked.unwrap_or_else(|| BackupError::no_version(id)))
    }

    /// The project in a stored bundle, and its id there.
    pub(super) async fn open(&self, stored: StoredVersion) -> Result<(Snapshot, Option<String>), BackupError> {
        self.opened(stored, bundle::read).await?
    }

    /// Checks stored bytes against their checksum, opens them, and hands them to `read`.
    pub(super) async fn opened<T: Send + 'static>(
        &self,
        stored: StoredVersion,
        read: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, BackupError> {
        let keys = Arc::clone(&self.keys);
        spawn_blocking(move || {
            if stored.sha256.is_some_and(|noted| noted != bundle::sha256(&stored.bytes)) {
                return Err(BackupError::unreadable(
                    "the backup's bytes are not those that were stored (SHA-256): it is damaged; restore another version",
                ));
            }
            keys.open(&stored.bytes).map(|plain| read(&plain))
        })
        .await?
    }
}

/// Two vaults' versions in one list. Each keeps its order, which means nothing to the other: between them, time decides.
fn merged(a: Vec<Version>, b: Vec<Version>) -> Vec<Version> {
    let (mut a, mut b) = (VecDeque::from(a), VecDeque::from(b));
    let mut all = Vec::with_capacity(a.len() + b.len());
    while let (Some(first), Some(second)) = (a.front(), b.front()) {
        let next = if first.created_at >= second.created_at { a.pop_front() } else { b.pop_front() };
        all.extend(next);
    }
    all.extend(a);
    all.extend(b);
    all
}
