//! Backups in a folder: `<root>/<projectId>/<versionId>.bin` and `index.json`. Each file is written aside, synced and
//! renamed; what a crash leaves behind never counts as a version.
//!
//! The folder may be on a stick that others have used, or on a share that hangs. So only plain files are read, no link is
//! followed, and each task has a deadline. No message names a path, since messages go to the network.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::bundle::MOST_STORED;
use super::container;
use super::error::{BackupError, BackupErrorKind};
use super::index::{Index, VersionFile};
use super::medium::{Medium, MediumCheck};
use super::vault::{Progress, StoredVersion, Vault};
use super::version::{Provider, Version};
use crate::dmx::{ProjectId, VersionId};
use crate::kit::files::{self, sync_names};

const INDEX: &str = "index.json";

/// Ending of a version's file.
const BIN: &str = ".bin";

/// Ending of a file that is being written.
const ASIDE: &str = ".tmp";

/// Enough of a file to see whether it is sealed.
const BEGINNING: u64 = 64;

/// The largest index that is read: a record has some 300 bytes.
const MOST_INDEX: u64 = 16 << 20;

/// How long a question, and a transfer, may take: a worn-out stick writes a megabyte a second.
const ANSWER: Duration = Duration::from_secs(20);
const TRANSFER: Duration = Duration::from_secs(150);

/// Tasks at one time. One that hangs in the system keeps its place and its thread; when all hang, that is reported.
const AT_ONCE: usize = 4;

/// Versions of a project that are listed: those made last.
const MOST_VERSIONS: usize = 10_000;

/// What an index may take beside the version being written.
const BESIDE: u64 = 128 << 10;

/// A folder of backups. Clones are the same one.
#[derive(Clone)]
pub(super) struct Local {
    medium: Arc<Medium>,
    /// Held while an index is read and rewritten.
    editing: Arc<Mutex<()>>,
    places: Arc<Semaphore>,
}

impl Local {
    pub(super) fn new(medium: Arc<Medium>) -> Self {
        Self { medium, editing: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Checks the medium.
    pub(super) async fn look(&self) -> Result<MediumCheck, BackupError> {
        self.blocking(ANSWER, |local| local.medium.look().map_err(|error| refused("looking at", "the medium", &error)))
            .await
    }

    /// Accepts the present medium.
    pub(super) async fn accept(&self) -> Result<MediumCheck, BackupError> {
        self.blocking(ANSWER, |local| {
            local.medium.accept();
            Ok(())
        })
        .await?;
        self.look().await
    }

    /// Whether the medium should be checked.
    pub(super) fn is_named(&self) -> bool {
        self.medium.is_named()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        limit: Duration,
        task: impl FnOnce(&Self) -> Result<T, BackupError> + Send + 'static,
    ) -> Result<T, BackupError> {
        let (this, places) = (self.clone(), Arc::clone(&self.places));
        let done = async move {
            let Ok(place) = places.acquire_owned().await else { return Err(BackupError::stopping()) };
            let outcome = spawn_blocking(move || {
                let outcome = task(&this);
                drop(place); // not when the wait ends: the thread is busy until here
                outcome
            });
            outcome.await?
        };
        timeout(limit, done).await.unwrap_or_else(|_| {
            Err(BackupError::new(
                BackupErrorKind::Unreachable,
                format!(
                    "the backup folder (backup.local_path) has not answered for {} s; look at the medium or the share \
                     it is on",
                    limit.as_secs()
                ),
            ))
        })
    }

    fn folder(&self, project: &ProjectId) -> PathBuf {
        self.medium.root().join(project.as_str())
    }

    fn file(&self, project: &ProjectId, version: &VersionId) -> PathBuf {
        self.folder(project).join(format!("{version}{BIN}"))
    }

    fn write(&self, project: &ProjectId, version: &Version, bytes: &[u8]) -> Result<(), BackupError> {
        let _editing = self.editing.lock();
        let folder = self.folder(project);
        self.medium.room_for(bytes.len() as u64 + BESIDE, version.safety)?;
        make(&folder).map_err(|error| refused("making the folder of", project, &error))?;
        remove_leftovers(&folder);
        put(&folder, &format!("{}{BIN}", version.version_id), bytes)?;
        self.edit(project, |index| index.add(version))?;
        self.medium.used();
        Ok(())
    }

    fn remove(&self, project: &ProjectId, version: &VersionId) -> Result<(), BackupError> {
        let _editing = self.editing.lock();
        let file = self.file(project, version);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(BackupError::no_version(version)),
            Err(error) => return Err(refused("deleting", version, &error)),
        }
        self.edit(project, |index| {
            index.remove(version);
        })
    }

    /// Reads, edits and replaces the index. A damaged one is set aside, and made anew from the files.
    fn edit(&self, project: &ProjectId, edit: impl FnOnce(&mut Index)) -> Result<(), BackupError> {
        let folder = self.folder(project);
        let mut index = match self.index(project)? {
            Some(index) => index,
            None => {
                let aside = format!("{INDEX}.bad-{}", ulid::Ulid::generate());
                let _ = fs::rename(folder.join(INDEX), folder.join(aside)); // it may not be there at all
                let mut index = Index::default();
                let (all, none) = (self.versions(project)?, Index::default());
                all.iter().for_each(|(id, found)| index.add(&none.version(id, *found)));
                index
            }
        };
        edit(&mut index);
        put(&folder, INDEX, &index.to_bytes())
    }

    /// The index; `None` if it is missing or damaged.
    fn index(&self, project: &ProjectId) -> Result<Option<Index>, BackupError> {
        let name = self.folder(project).join(INDEX);
        let bytes = match plain(&name).and_then(|file| read(file, MOST_INDEX)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if is_odd(&error) => {
                tracing::warn!(path = %name.display(), %error, "backup_index_damaged");
                return Ok(None);
            }
            Err(error) => return Err(refused("reading the index of", project, &error)),
        };
        let index = Index::parse(&bytes);
        if index.is_none() {
            tracing::warn!(path = %name.display(), "backup_index_damaged");
        }
        Ok(index)
    }

    /// Every version's file.
    fn versions(&self, project: &ProjectId) -> Result<Vec<(VersionId, VersionFile)>, BackupError> {
        let folder = self.folder(project);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(refused("reading the folder of", project, &error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let ids = names.filter_map(|name| name.strip_suffix(BIN).and_then(|id| id.parse::<VersionId>().ok()));
        Ok(ids.take(MOST_VERSIONS).filter_map(|id| self.found(project, &id).map(|found| (id, found))).collect())
    }

    /// What the file of a version shows; `None` if there is none, or something else in its place.
    fn found(&self, project: &ProjectId, version: &VersionId) -> Option<VersionFile> {
        let file = plain(&self.file(project, version)).ok()?;
        let known = file.metadata().ok()?;
        let modified = known.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut beginning = Vec::new();
        file.take(BEGINNING).read_to_end(&mut beginning).ok()?;
        Some(VersionFile {
            size: known.len(),
            modified: u64::try_from(modified.as_millis()).unwrap_or(u64::MAX),
            sealed: container::is_sealed(&beginning),
        })
    }

    fn all(&self, project: &ProjectId) -> Result<Vec<Version>, BackupError> {
        let Some(index) = self.index(project)? else {
            let none = Index::default();
            return Ok(self.versions(project)?.iter().map(|(id, found)| none.version(id, *found)).collect());
        };
        Ok(index.versions(MOST_VERSIONS, |id| self.found(project, id)))
    }

    fn bytes(&self, project: &ProjectId, version: &VersionId) -> Result<StoredVersion, BackupError> {
        let name = self.file(project, version);
        let bytes = match plain(&name).and_then(|file| read(file, MOST_STORED)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(BackupError::no_version(version)),
            Err(error) if is_odd(&error) => {
                return Err(BackupError::unreadable(format!("the backup {version} cannot be read: {error}")));
            }
            Err(error) => return Err(refused("reading", version, &error)),
        };
        let found = VersionFile { size: bytes.len() as u64, modified: 0, sealed: false };
        let sha256 = self.index(project)?.and_then(|index| index.version(version, found).sha256);
        Ok(StoredVersion { bytes, sha256 })
    }
}

impl Vault for Local {
    fn provider(&self) -> Provider {
        Provider::Local
    }

    fn put<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a Version,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), BackupError>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(self.blocking(TRANSFER, move |local| local.write(&project, &version, &bytes)))
    }

    fn get<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a VersionId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<StoredVersion, BackupError>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(async move {
            let stored = self.blocking(TRANSFER, move |local| local.bytes(&project, &version)).await?;
            let size = stored.bytes.len() as u64;
            progress(size, Some(size));
            Ok(stored)
        })
    }

    fn has<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<bool, BackupError>> {
        let (project, version) = (project.clone(), version.clone());
        // even if it is not a plain file: reading it reports that
        Box::pin(self.blocking(ANSWER, move |local| Ok(fs::symlink_metadata(local.file(&project, &version)).is_ok())))
    }

    fn list<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, BackupError>> {
        let project = project.clone();
        Box::pin(self.blocking(ANSWER, move |local| local.all(&project)))
    }

    fn delete<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<(), BackupError>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(self.blocking(ANSWER, move |local| local.remove(&project, &version)))
    }
}

/// Makes a folder, and its name lasting.
fn make(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(known) if known.is_dir() => return Ok(()),
        Ok(_) => return Err(odd("a link or a file is in its place")),
        Err(_) => fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?,
    }
    folder.ancestors().skip(1).take(2).try_for_each(sync_names)
}

/// Writes a file aside and moves it into place: the old one or the new one is there, whatever happens.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
    let (file, aside) = (folder.join(name), folder.join(format!(".{name}{ASIDE}")));
    let put = files::replace(&file, &aside, 0o600, |mut file| file.write_all(bytes));
    put.map(drop).map_err(|error| refused("writing", name, &error))
}

/// Removes what a crash left half-written.
fn remove_leftovers(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(ASIDE)) {
            let _ = fs::remove_file(entry.path()); // it does no harm
        }
    }
}

/// Opens a plain file: follows no link, and opens no FIFO, which would wait for a writer.
fn plain(name: &Path) -> io::Result<File> {
    let not_plain = || odd("it is a link, a folder or something else, and no plain file");
    let folder = name.parent().map(fs::symlink_metadata).transpose()?;
    if !fs::symlink_metadata(name)?.is_file() || folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(not_plain());
    }
    // once more on the open file: it may have been replaced meanwhile
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(name)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_plain()) }
}

/// Reads a file of at most this many bytes.
pub(super) fn read(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = file.take(most + 1).read_to_end(&mut bytes)?;
    if length as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is too large for a backup"));
    }
    Ok(bytes)
}

/// Something is there that should not be.
fn odd(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn is_odd(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::FileTooLarge)
}

fn refused(doing: &str, what: impl Display, error: &io::Error) -> BackupError {
    let kind = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BackupErrorKind::Full,
        _ => BackupErrorKind::Refused,
    };
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space, or name another folder in backup.local_path",
        ErrorKind::PermissionDenied => "let the user of dmxd write there",
        ErrorKind::ReadOnlyFilesystem => "mount it for writing, or change the card",
        _ => "look at the folder (backup.local_path) and what it is on",
    };
    BackupError::new(kind, format!("{doing} {what} in the backup folder: {error}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::bundle::sha256;

    fn project() -> ProjectId {
        ProjectId::default_project()
    }

    fn version(id: &str, created_at: u64, bytes: &[u8]) -> Version {
        Version {
            version_id: id.parse().unwrap(),
            created_at,
            size: bytes.len() as u64,
            label: Some("světla".into()),
            provider: Provider::Local,
            encrypted: false,
            sha256: Some(sha256(bytes)),
            safety: false,
            order: Some(1),
        }
    }

    fn new() -> (tempfile::TempDir, Local, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/backups");
        let folder = root.join("default");
        let local = Local::new(Arc::new(Medium::new(root, dir.path().to_owned(), false)));
        (dir, local, folder)
    }

    #[tokio::test]
    async fn what_is_put_away_is_listed_read_back_and_deleted() {
        let (_dir, local, folder) = new();
        assert_eq!(local.list(&project()).await.unwrap(), []);
        let made = version("v1", 5, b"{}");
        local.put(&project(), &made, Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(local.list(&project()).await.unwrap(), std::slice::from_ref(&made));
        assert!(local.has(&project(), &made.version_id).await.unwrap());
        let read = local.get(&project(), &made.version_id, &|_, _| ()).await.unwrap();
        assert_eq!((read.bytes.as_slice(), read.sha256), (&b"{}"[..], made.sha256));
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        local.delete(&project(), &made.version_id).await.unwrap();
        assert_eq!(local.list(&project()).await.unwrap(), []);
        assert_eq!(local.delete(&project(), &made.version_id).await.unwrap_err().kind, BackupErrorKind::NotFound);
        let gone = local.get(&project(), &made.version_id, &|_, _| ()).await.err().unwrap();
        assert_eq!(gone.kind, BackupErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_damaged_index_loses_no_version_and_is_kept() {
        let (_dir, local, folder) = new();
        local.put(&project(), &version("v1", 5, b"{}"), Bytes::from_static(b"{}")).await.unwrap();
        for damage in [&b"[{\"versionId\""[..], b"\0\0\0\0", b""] {
            fs::write(folder.join(INDEX), damage).unwrap();
            assert_eq!(local.list(&project()).await.unwrap().len(), 1);
        }
        local.put(&project(), &version("v2", 6, b"{}"), Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(local.list(&project()).await.unwrap().len(), 2);
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.contains(".bad-")).count(), 1);
    }

    #[tokio::test]
    async fn what_a_crash_left_behind_is_no_version_and_goes() {
        let (_dir, local, folder) = new();
        local.put(&project(), &version("v1", 5, b"{}"), Bytes::from_static(b"{}")).await.unwrap();
        fs::write(folder.join(".v2.bin.tmp"), b"half").unwrap();
        assert_eq!(local.list(&project()).await.unwrap().len(), 1);
        local.put(&project(), &version("v3", 6, b"{}"), Bytes::from_static(b"{}")).await.unwrap();
        assert!(!folder.join(".v2.bin.tmp").exists());
        fs::remove_file(folder.join("v1.bin")).unwrap();
        assert_eq!(local.list(&project()).await.unwrap().len(), 1, "a record without a file is no version");
    }

    #[tokio::test]
    async fn a_folder_that_hangs_is_told_and_keeps_no_more_than_its_places() {
        let (_dir, local, _) = new();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let limit = Duration::from_millis(20);
        for _ in 0..AT_ONCE + 2 {
            let held = Arc::clone(&held);
            let told = local.blocking(limit, move |_| {
                let _ = held.lock().recv(); // ends when nobody can send any more
                Ok(())
            });
            assert_eq!(told.await.unwrap_err().kind, BackupErrorKind::Unreachable);
        }
        assert_eq!(Arc::strong_count(&held), 1 + AT_ONCE, "the others were never begun");
        drop(release);
        assert_eq!(local.list(&project()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn only_plain_files_are_read_and_what_is_written_is_for_us_alone() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (dir, local, folder) = new();
        let made = version("v1", 5, b"{}");
        local.put(&project(), &made, Bytes::from_static(b"{}")).await.unwrap();
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        }
        let secret = dir.path().join("secret");
        fs::write(&secret, b"{}").unwrap();
        let file = folder.join("v1.bin");
        let pipe = |path: &Path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        };
        for replace in [&|path: &Path| symlink(&secret, path).unwrap() as (), &pipe as &dyn Fn(&Path)] {
            fs::remove_file(&file).unwrap();
            replace(&file);
            let told = local.get(&project(), &made.version_id, &|_, _| ()).await.err().unwrap();
            assert_eq!(told.kind, BackupErrorKind::Unreadable, "{told}");
            assert!(!told.message.contains(dir.path().to_str().unwrap()), "{told}");
            assert!(!local.list(&project()).await.unwrap().contains(&made));
            // A link where the next file is written aside is not written through.
            symlink(&secret, folder.join(".v2.bin.tmp")).unwrap();
            local.put(&project(), &version("v2", 6, b"[]"), Bytes::from_static(b"[]")).await.unwrap();
            assert_eq!(fs::read(&secret).unwrap(), b"{}");
        }
        local.delete(&project(), &made.version_id).await.unwrap();
        for replace in [&|path: &Path| symlink(&secret, path).unwrap() as (), &pipe as &dyn Fn(&Path)] {
            fs::remove_file(folder.join(INDEX)).unwrap();
            replace(&folder.join(INDEX));
            assert_eq!(local.list(&project()).await.unwrap().len(), 1);
            local.put(&project(), &version("v2", 6, b"[]"), Bytes::from_static(b"[]")).await.unwrap();
            assert!(fs::symlink_metadata(folder.join(INDEX)).unwrap().is_file());
        }
        assert_eq!(fs::read(&secret).unwrap(), b"{}");
        fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        symlink(dir.path().join("elsewhere"), &folder).unwrap();
        let told = local.put(&project(), &made, Bytes::from_static(b"{}")).await.unwrap_err();
        assert!(told.message.contains("a link or a file is in its place"), "{told}");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_used_says_why_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("file");
        fs::write(&root, b"").unwrap();
        let local = Local::new(Arc::new(Medium::new(root, dir.path().to_owned(), true)));
        let told = local.put(&project(), &version("v1", 5, b"{}"), Bytes::from_static(b"{}")).await.unwrap_err();
        assert_eq!(told.kind, BackupErrorKind::Refused);
        assert!(told.message.contains("backup.local_path"), "{told}");
    }
}
