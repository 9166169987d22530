//! Backups in a folder: `<root>/<projectId>/<versionId>.bin` and `index.json`. Each file is written aside, synced and
//! renamed; what a crash leaves behind is never taken for a version.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::bundle::MOST_STORED;
use super::fault::{Fault, FaultKind};
use super::index::{Found, Index};
use super::seal;
use super::vault::{Progress, Stored, Vault};
use super::version::{Provider, Version};
use crate::dmx::{ProjectId, VersionId};

const INDEX: &str = "index.json";

/// Ending of versions.
const BIN: &str = ".bin";

/// Ending of files that are being written.
const ASIDE: &str = ".tmp";

/// Enough of a file to see whether it is sealed.
const BEGINNING: u64 = 64;

/// The largest index that is read: a record has some 300 bytes.
const MOST_INDEX: u64 = 16 << 20;

/// A folder of backups. Clones are the same one.
#[derive(Clone)]
pub(super) struct Local {
    root: Arc<PathBuf>,
    /// Held while an index is read and written anew.
    editing: Arc<Mutex<()>>,
}

impl Local {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root: Arc::new(root), editing: Arc::default() }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        task: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let this = self.clone();
        let outcome = tokio::task::spawn_blocking(move || task(&this)).await;
        outcome.unwrap_or_else(|_| Err(Fault::stopping())) // a panic is told by its hook
    }

    fn folder(&self, project: &ProjectId) -> PathBuf {
        self.root.join(project.as_str())
    }

    fn file(&self, project: &ProjectId, version: &VersionId) -> PathBuf {
        self.folder(project).join(format!("{version}{BIN}"))
    }

    fn write(&self, project: &ProjectId, version: &Version, bytes: &[u8]) -> Result<(), Fault> {
        let _editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.folder(project);
        make(&folder).map_err(|error| refused("making", &folder, &error))?;
        remove_leftovers(&folder);
        put(&folder, &format!("{}{BIN}", version.version_id), bytes)?;
        self.edit(project, |index| index.add(version))
    }

    fn remove(&self, project: &ProjectId, version: &VersionId) -> Result<(), Fault> {
        let _editing = self.editing.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file(project, version);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Fault::no_version(version)),
            Err(error) => return Err(refused("deleting", &file, &error)),
        }
        self.edit(project, |index| {
            index.remove(version);
        })
    }

    /// Reads, edits and replaces the index. One that is damaged is kept beside it, and made anew from the files.
    fn edit(&self, project: &ProjectId, edit: impl FnOnce(&mut Index)) -> Result<(), Fault> {
        let folder = self.folder(project);
        let mut index = match self.index(project)? {
            Some(index) => index,
            None => {
                let aside = format!("{INDEX}.bad-{}", ulid::Ulid::generate());
                let _ = fs::rename(folder.join(INDEX), folder.join(aside)); // it may simply not be there
                let mut index = Index::default();
                let (all, none) = (self.versions(project)?, Index::default());
                all.iter().for_each(|(id, found)| index.add(&none.version(id, *found)));
                index
            }
        };
        edit(&mut index);
        put(&folder, INDEX, &index.to_bytes())
    }

    /// The index; `None` when it is not there or damaged.
    fn index(&self, project: &ProjectId) -> Result<Option<Index>, Fault> {
        let name = self.folder(project).join(INDEX);
        let bytes = match read(&name, MOST_INDEX) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::FileTooLarge) => return Ok(None),
            Err(error) => return Err(refused("reading", &name, &error)),
        };
        let index = Index::parse(&bytes);
        if index.is_none() {
            tracing::warn!(path = %name.display(), "backup_index_damaged");
        }
        Ok(index)
    }

    /// Every version's file.
    fn versions(&self, project: &ProjectId) -> Result<Vec<(VersionId, Found)>, Fault> {
        let folder = self.folder(project);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(refused("reading", &folder, &error)),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let ids = names.filter_map(|name| name.strip_suffix(BIN).and_then(|id| id.parse::<VersionId>().ok()));
        Ok(ids.filter_map(|id| self.found(project, &id).map(|found| (id, found))).collect())
    }

    /// What the file of a version tells; `None` when there is none.
    fn found(&self, project: &ProjectId, version: &VersionId) -> Option<Found> {
        let file = File::open(self.file(project, version)).ok()?;
        let known = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let modified = known.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut beginning = Vec::new();
        file.take(BEGINNING).read_to_end(&mut beginning).ok()?;
        Some(Found {
            size: known.len(),
            modified: u64::try_from(modified.as_millis()).unwrap_or(u64::MAX),
            sealed: seal::is_sealed(&beginning),
        })
    }

    fn all(&self, project: &ProjectId) -> Result<Vec<Version>, Fault> {
        let Some(index) = self.index(project)? else {
            let none = Index::default();
            return Ok(self.versions(project)?.iter().map(|(id, found)| none.version(id, *found)).collect());
        };
        let ids = index.ids().into_iter();
        Ok(ids.filter_map(|id| self.found(project, &id).map(|found| index.version(&id, found))).collect())
    }

    fn bytes(&self, project: &ProjectId, version: &VersionId) -> Result<Stored, Fault> {
        let name = self.file(project, version);
        let bytes = match read(&name, MOST_STORED) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Fault::no_version(version)),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                return Err(Fault::unreadable(format!("{} is too large for a backup", name.display())));
            }
            Err(error) => return Err(refused("reading", &name, &error)),
        };
        let found = Found { size: bytes.len() as u64, modified: 0, sealed: false };
        let sha256 = self.index(project)?.and_then(|index| index.version(version, found).sha256);
        Ok(Stored { bytes, sha256 })
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
    ) -> BoxFuture<'a, Result<(), Fault>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(self.blocking(move |local| local.write(&project, &version, &bytes)))
    }

    fn get<'a>(
        &'a self,
        project: &'a ProjectId,
        version: &'a VersionId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<Stored, Fault>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(async move {
            let stored = self.blocking(move |local| local.bytes(&project, &version)).await?;
            let size = stored.bytes.len() as u64;
            progress(size, Some(size));
            Ok(stored)
        })
    }

    fn has<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<bool, Fault>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(self.blocking(move |local| Ok(local.found(&project, &version).is_some())))
    }

    fn list<'a>(&'a self, project: &'a ProjectId) -> BoxFuture<'a, Result<Vec<Version>, Fault>> {
        let project = project.clone();
        Box::pin(self.blocking(move |local| local.all(&project)))
    }

    fn delete<'a>(&'a self, project: &'a ProjectId, version: &'a VersionId) -> BoxFuture<'a, Result<(), Fault>> {
        let (project, version) = (project.clone(), version.clone());
        Box::pin(self.blocking(move |local| local.remove(&project, &version)))
    }
}

/// Makes a folder and its name lasting.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    folder.ancestors().skip(1).take(2).filter(|parent| !parent.as_os_str().is_empty()).try_for_each(sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a file aside and puts it into its place: the old one or the new one is there, whatever happens.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let (file, aside) = (folder.join(name), folder.join(format!(".{name}{ASIDE}")));
    let write = || {
        let mut new = File::create(&aside)?;
        new.write_all(bytes)?;
        new.sync_all()?;
        fs::rename(&aside, &file)?;
        sync(folder)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&aside); // the next one removes it if this did not
        refused("writing", &file, &error)
    })
}

/// Removes what a crash left half written.
fn remove_leftovers(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(ASIDE)) {
            let _ = fs::remove_file(entry.path()); // it harms nobody
        }
    }
}

/// Reads a file of at most so many bytes.
pub(super) fn read(name: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = File::open(name)?.take(most + 1).read_to_end(&mut bytes)?;
    if length as u64 > most { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

fn refused(doing: &str, path: &Path, error: &io::Error) -> Fault {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space, or name another folder in backup.local_path",
        ErrorKind::PermissionDenied => "let the user of dmxd write there",
        ErrorKind::ReadOnlyFilesystem => "mount it for writing, or change the card",
        _ => "look at that folder (backup.local_path) and what it is on",
    };
    Fault::new(FaultKind::Refused, format!("{doing} {}: {error}; {remedy}", path.display()))
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
        }
    }

    fn new() -> (tempfile::TempDir, Local, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/backups");
        let folder = root.join("default");
        (dir, Local::new(root), folder)
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
        assert_eq!(local.delete(&project(), &made.version_id).await.unwrap_err().kind, FaultKind::NotFound);
        let gone = local.get(&project(), &made.version_id, &|_, _| ()).await.err().unwrap();
        assert_eq!(gone.kind, FaultKind::NotFound);
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
    async fn a_folder_that_cannot_be_used_says_why_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("file");
        fs::write(&root, b"").unwrap();
        let local = Local::new(root);
        let told = local.put(&project(), &version("v1", 5, b"{}"), Bytes::from_static(b"{}")).await.unwrap_err();
        assert_eq!(told.kind, FaultKind::Refused);
        assert!(told.message.contains("backup.local_path"), "{told}");
    }
}
