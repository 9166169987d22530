//! A vault: where backups are stored, and what every kind of it can do.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::error::BackupError;
use super::version::{Provider, Version};
use crate::dmx::{ProjectId, VersionId};

/// Gets how many bytes are done, and the total if it is known.
pub(super) type Progress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// Stored bytes, and their checksum if one was recorded.
pub(super) struct StoredVersion {
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: Option<String>,
}

/// Where backups are stored. The type of ids makes them safe as names.
pub(super) trait Vault: Send + Sync {
    /// Its kind.
    fn provider(&self) -> Provider;

    /// Stores bytes as a new version; lasting when this ends.
    fn put<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a Version,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), BackupError>>;

    /// Reads a version back.
    fn get<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a VersionId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<StoredVersion, BackupError>>;

    /// Whether it has a version.
    fn has<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<bool, BackupError>>;

    /// All versions of a project, in any order.
    fn list<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, BackupError>>;

    /// The position of the next version in the order of making; `None` if nothing tells.
    fn next_order<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Option<u64>, BackupError>> {
        // A vault that does not answer now will not take a version either.
        Box::pin(async move { Ok(Some(Version::next_order(&self.list(project).await?))) })
    }

    /// Deletes a version.
    fn delete<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<(), BackupError>>;
}
