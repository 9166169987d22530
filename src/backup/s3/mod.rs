//! Backups in an S3 bucket: `<prefix>/<projectId>/<versionId>.bin`, what is known about each in its metadata. Asks
//! nobody else for keys, and no proxy unless it is told to.

mod link;
mod words;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use super::bundle::MOST_STORED;
use super::fault::{Fault, FaultKind};
use super::index::MOST_ORDER;
use super::percent;
use super::vault::{Progress, Stored, Vault};
use super::version::{Provider, Version};
use crate::config;
use crate::dmx::{ProjectId, VersionId};
use link::{Link, Listed};

const BIN: &str = ".bin";

/// Questions about versions that are under way at once: S3 tells metadata of one object at a time.
const AT_ONCE: usize = 8;

/// So long the whole of a listing may take.
const LISTING: Duration = Duration::from_secs(120);

/// Names of metadata.
const CREATED_AT: &str = "x-amz-meta-createdat";
const LABEL: &str = "x-amz-meta-label";
const ENCRYPTED: &str = "x-amz-meta-encrypted";
const SHA256: &str = "x-amz-meta-sha256";
const ORDER: &str = "x-amz-meta-order";

/// A bucket of backups.
pub(super) struct S3 {
    link: Link,
    /// Without slashes around it.
    prefix: String,
    known: Mutex<HashMap<ProjectId, Known>>,
}

/// What is known of listed versions, by key, with the mark of the bytes it was asked for.
type Known = HashMap<String, (String, Version)>;

impl S3 {
    /// Speaks to nobody yet.
    ///
    /// # Errors
    /// Settings that cannot be used, whatever happens later.
    pub(super) fn new(settings: &config::Backup) -> Result<Self, Fault> {
        let prefix = settings.s3_prefix.trim_matches('/').to_owned();
        Ok(Self { link: Link::new(settings)?, prefix, known: Mutex::default() })
    }

    fn folder(&self, project: &ProjectId) -> String {
        if self.prefix.is_empty() { format!("{project}/") } else { format!("{}/{project}/", self.prefix) }
    }

    fn key(&self, project: &ProjectId, version: &VersionId) -> String {
        format!("{}{version}{BIN}", self.folder(project))
    }

    async fn listed(&self, project: &ProjectId) -> Result<Vec<Version>, Fault> {
        let folder = self.folder(project);
        let objects = self.link.list(&folder).await?;
        let named = objects.into_iter().filter_map(|object| {
            let id = object.key.strip_prefix(&folder)?.strip_suffix(BIN)?.parse().ok()?;
            Some((id, object))
        });
        let asked: Vec<_> = stream::iter(named.map(|(id, object)| self.version(project, id, object)))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let all = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
        let all: Known = all.into_iter().flatten().collect();
        let versions = all.values().map(|(_, version)| version.clone()).collect();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(project.clone(), all);
        Ok(versions)
    }

    /// What is known about a listed object; `None` when it has gone meanwhile.
    async fn version(
        &self,
        project: &ProjectId,
        id: VersionId,
        object: Listed,
    ) -> Result<Option<(String, (String, Version))>, Fault> {
        let before = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(project).and_then(|known| known.get(&object.key)).cloned()
        };
        if let Some(before) = before.filter(|(mark, _)| *mark == object.mark) {
            return Ok(Some((object.key, before)));
        }
        let Some(headers) = self.link.head(&object.key).await? else { return Ok(None) };
        let version = described(id, &object, &headers);
        Ok(Some((object.key, (object.mark, version))))
    }
}

/// A version by its metadata. What a predecessor did not write is taken from the listing.
fn described(id: VersionId, object: &Listed, headers: &HeaderMap) -> Version {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let created = text(CREATED_AT).and_then(|ms| ms.trim().parse::<f64>().ok()).filter(|ms| ms.is_finite());
    Version {
        version_id: id,
        created_at: created.map_or(object.modified, |ms| ms as u64),
        size: object.size,
        label: text(LABEL).filter(|label| !label.is_empty()).map(percent::decode),
        provider: Provider::S3,
        encrypted: text(ENCRYPTED)
            .is_some_and(|word| matches!(word.to_ascii_lowercase().as_str(), "true" | "1" | "yes")),
        sha256: text(SHA256).map(str::to_owned),
        safety: false,
        order: text(ORDER).and_then(|order| order.trim().parse().ok()).filter(|order| *order <= MOST_ORDER),
    }
}

fn metadata(version: &Version) -> HeaderMap {
    let pairs = [
        (CREATED_AT, Some(version.created_at.to_string())),
        (LABEL, version.label.as_deref().map(percent::encode)),
        (ENCRYPTED, Some(version.encrypted.to_string())),
        (SHA256, version.sha256.clone()),
        (ORDER, version.order.map(|order| order.to_string())),
    ];
    let headers = pairs.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    });
    headers.collect()
}

impl Vault for S3 {
    fn provider(&self) -> Provider {
        Provider::S3
    }

    fn put<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a Version,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let key = self.key(project, &version.version_id);
            self.link.put(&key, &bytes, &metadata(version)).await
        })
    }

    fn get<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a VersionId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<Stored, Fault>> {
        Box::pin(async move {
            let key = self.key(project, version);
            let got = self.link.get(&key, MOST_STORED, progress).await?;
            let (headers, bytes) = got.ok_or_else(|| Fault::no_version(version))?;
            let sha256 = headers.get(SHA256).and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok(Stored { bytes, sha256 })
        })
    }

    fn has<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move { Ok(self.link.head(&self.key(project, version)).await?.is_some()) })
    }

    fn list<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, Fault>> {
        Box::pin(async move {
            timeout(LISTING, self.listed(project)).await.unwrap_or_else(|_| {
                let message = format!(
                    "listing backups in the bucket took more than {} s; is the network there?",
                    LISTING.as_secs()
                );
                Err(Fault::new(FaultKind::Unreachable, message))
            })
        })
    }

    fn delete<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.link.delete(&self.key(project, version)).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Listed {
        Listed { key: "k".into(), mark: "m".into(), size: 3, modified: 9 }
    }

    #[test]
    fn what_is_written_into_metadata_is_read_back() {
        let version = Version {
            version_id: "a".parse().unwrap(),
            created_at: 1_785_000_000_000,
            size: 3,
            label: Some("před premiérou".into()),
            provider: Provider::S3,
            encrypted: true,
            sha256: Some("00ff".into()),
            safety: false,
            order: Some(12),
        };
        assert_eq!(described("a".parse().unwrap(), &object(), &metadata(&version)), version);
    }

    #[test]
    fn a_predecessors_version_may_lack_everything() {
        let read = described("a".parse().unwrap(), &object(), &HeaderMap::new());
        assert_eq!((read.created_at, read.label, read.encrypted, read.sha256), (9, None, false, None));
    }
}
