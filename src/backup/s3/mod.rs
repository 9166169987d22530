//! Backups in an S3 bucket: `<prefix>/<projectId>/<versionId>.bin`, with what is known of each in its metadata. Takes keys
//! and proxy from the settings only.

#[cfg(test)]
pub(super) mod far_end;
mod link;
mod words;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use super::bundle::MOST_STORED;
use super::error::{BackupError, BackupErrorKind};
use super::index::MOST_ORDER;
use super::percent;
use super::vault::{Progress, StoredVersion, Vault};
use super::version::{Provider, Version};
use crate::config;
use crate::dmx::{ProjectId, VersionId};
use link::{Link, Listed};

const BIN: &str = ".bin";

/// Questions about versions under way at one time: S3 gives metadata of one object per request.
const AT_ONCE: usize = 8;

/// How long a whole listing may take.
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
    /// The highest position in the order of making that was ever seen or given.
    places: Mutex<HashMap<ProjectId, u64>>,
}

/// What is known of listed versions, by key, with the ETag that it belongs to.
type Known = HashMap<String, (String, Version)>;

impl S3 {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// Settings that can never work.
    pub(super) fn new(settings: &config::Backup) -> Result<Self, BackupError> {
        let prefix = settings.s3_prefix.trim_matches('/').to_owned();
        Ok(Self { link: Link::new(settings)?, prefix, known: Mutex::default(), places: Mutex::default() })
    }

    fn folder(&self, project: &ProjectId) -> String {
        if self.prefix.is_empty() { format!("{project}/") } else { format!("{}/{project}/", self.prefix) }
    }

    fn key(&self, project: &ProjectId, version: &VersionId) -> String {
        format!("{}{version}{BIN}", self.folder(project))
    }

    async fn listed(&self, project: &ProjectId) -> Result<Vec<Version>, BackupError> {
        let folder = self.folder(project);
        let mut objects = self.link.list(&folder).await?;
        // the newest are asked about first: even if that ends early, the last position is known
        objects.sort_by(|a, b| (b.modified, &b.key).cmp(&(a.modified, &a.key)));
        let named = objects.into_iter().filter_map(|object| {
            let id = object.key.strip_prefix(&folder)?.strip_suffix(BIN)?.parse().ok()?;
            Some((id, object))
        });
        let asked: Vec<_> = stream::iter(named.map(|(id, object)| self.version(project, id, object)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let all: HashMap<_, _> = asked.into_iter().flatten().collect();
        if let Some(known) = self.known.lock().get_mut(project) {
            known.retain(|key, _| all.contains_key(key));
        }
        Ok(all.into_values().collect())
    }

    /// What is known of a listed object; `None` if it is gone by now. Answers are remembered at once: a listing that takes too
    /// long continues from there at the next attempt.
    async fn version(
        &self,
        project: &ProjectId,
        id: VersionId,
        object: Listed,
    ) -> Result<Option<(String, Version)>, BackupError> {
        let before = self.known.lock().get(project).and_then(|known| known.get(&object.key)).cloned();
        if let Some((_, version)) = before.filter(|(mark, _)| *mark == object.mark) {
            return Ok(Some((object.key, version)));
        }
        let Some(headers) = self.link.head(&object.key).await? else { return Ok(None) };
        let version = described(id, &object, &headers);
        self.place(project, version.order);
        let entry = (object.mark, version.clone());
        self.known.lock().entry(project.clone()).or_default().insert(object.key.clone(), entry);
        Ok(Some((object.key, version)))
    }

    /// Records a position that was seen or given; gives the highest.
    fn place(&self, project: &ProjectId, order: Option<u64>) -> Option<u64> {
        let mut places = self.places.lock();
        let highest = places.get(project).copied().max(order)?;
        places.insert(project.clone(), highest);
        Some(highest)
    }
}

/// A version from its metadata. What a predecessor did not write comes from the listing.
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
    ) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(async move {
            let key = self.key(project, &version.version_id);
            self.link.put(&key, &bytes, &metadata(version)).await?;
            self.place(project, version.order);
            Ok(())
        })
    }

    fn get<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a VersionId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<StoredVersion, BackupError>> {
        Box::pin(async move {
            let key = self.key(project, version);
            let got = self.link.get(&key, MOST_STORED, progress).await?;
            let (headers, bytes) = got.ok_or_else(|| BackupError::no_version(version))?;
            let sha256 = headers.get(SHA256).and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok(StoredVersion { bytes, sha256 })
        })
    }

    fn has<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<bool, BackupError>> {
        Box::pin(async move { Ok(self.link.head(&self.key(project, version)).await?.is_some()) })
    }

    fn list<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, BackupError>> {
        Box::pin(async move {
            timeout(LISTING, self.listed(project)).await.unwrap_or_else(|_| {
                let message = format!(
                    "listing backups in the bucket took more than {} s; is the network there?",
                    LISTING.as_secs()
                );
                Err(BackupError::new(BackupErrorKind::Unreachable, message))
            })
        })
    }

    /// A version is stored even if listing fails or is not permitted: what was seen before is enough.
    fn next_order<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Option<u64>, BackupError>> {
        Box::pin(async move {
            match self.list(project).await {
                Ok(all) => Ok(Some(Version::next_order(&all))),
                Err(fault) => {
                    tracing::debug!(%project, error = %fault, "backup_not_numbered_by_listing");
                    Ok(self.place(project, None).map(|last| last.saturating_add(1)))
                }
            }
        })
    }

    fn delete<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<(), BackupError>> {
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

    fn project() -> ProjectId {
        ProjectId::default_project()
    }

    fn bucket(objects: usize) -> far_end::Bucket {
        let order = |n: usize| vec![format!("{ORDER}: {}", n + 1)];
        let objects = (0..objects).map(|n| (format!("default/v{n:06}.bin"), (order(n), b"{}".to_vec(), n as u64)));
        far_end::Bucket { objects: objects.collect(), ..far_end::Bucket::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_ends_early_goes_on_from_there_and_numbers_the_next_version_all_the_same() {
        let silent = vec!["default/v000003.bin".to_owned()];
        let (far, settings) = far_end::Bucket { silent, ..bucket(40) }.start().await;
        let s3 = S3::new(&config::Backup { s3_prefix: String::new(), ..settings }).unwrap();
        assert_eq!(s3.list(&project()).await.unwrap_err().kind, BackupErrorKind::Unreachable);
        let asked = far.lock().heads;
        assert_eq!(s3.next_order(&project()).await.unwrap(), Some(41), "the newest are asked about first");
        far.lock().silent.clear();
        far.lock().heads = 0;
        assert_eq!(s3.list(&project()).await.unwrap().len(), 40);
        let again = far.lock().heads;
        assert!(asked >= 30 && again <= 8, "{asked}, then {again}");
        far.lock().no_listing = true;
        assert_eq!(s3.next_order(&project()).await.unwrap(), Some(41), "from what was seen before");
    }

    #[tokio::test]
    async fn of_more_objects_than_are_looked_at_the_newest_are() {
        let mut full = bucket(11_000);
        for (n, object) in full.objects.values_mut().enumerate() {
            object.2 = if n < 1000 { 9 } else { 1 + (n % 5) as u64 }; // the first by name are the newest
        }
        let (_far, settings) = full.start().await;
        let listed = S3::new(&settings).unwrap().link.list("default/").await.unwrap();
        assert_eq!(listed.len(), 10_000);
        assert_eq!(listed.iter().filter(|object| object.key.as_str() < "default/v001000").count(), 1000);
    }

    #[test]
    fn a_predecessors_version_may_lack_everything() {
        let read = described("a".parse().unwrap(), &object(), &HeaderMap::new());
        assert_eq!((read.created_at, read.label, read.encrypted, read.sha256), (9, None, false, None));
    }
}
