//! How a project's documents are stored: scenes and show, each a document of the store.

use super::error::EditError;
use crate::dmx::ProjectId;
use crate::store::{Batch, PendingDocument, Store, StoredDocument};
use crate::wire::{Scene, Show, ShowFile, scenes};

/// Documents of all projects together. The store's snapshot, which is read whole at a start, must fit into a Pi with
/// 1 GiB.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// Scenes and show of one project: as much as one `/import` takes (CONTRACT, section 3), so that one
/// takes every export.
pub(super) const MAX_PROJECT_BYTES: u64 = 8 << 20;

/// The scenes of a project without any.
pub(super) const NO_SCENES: &[u8] = b"[]";

/// The show of a project without one.
pub(super) const NO_SHOW: &[u8] = b"{}";

fn scenes_key(project: &ProjectId) -> String {
    format!("{project}/scenes")
}

fn show_key(project: &ProjectId) -> String {
    format!("{project}/show")
}

/// Scenes and show as stored.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    pub(super) scenes: Vec<u8>,
    pub(super) show: Vec<u8>,
    /// One of them can no longer be read, and is given as empty.
    pub(super) damaged: bool,
}

impl Documents {
    pub(super) fn of(scenes: &[Scene], show: &Show) -> Self {
        Self { scenes: json(&scenes), show: json(show), damaged: false }
    }
}

/// The documents as JSON.
///
/// # Errors
/// They are not what was checked when they were stored.
pub(super) fn file(scenes_bytes: &[u8], show: &[u8]) -> Result<ShowFile, EditError> {
    let show = ShowFile::from_json(show, 0).map_err(|_| EditError::Damaged)?.show;
    Ok(ShowFile { show, scenes: Some(scenes(scenes_bytes, 0).map_err(|_| EditError::Damaged)?) })
}

/// Reads a project's documents.
///
/// # Errors
/// The database cannot be read now.
pub(super) async fn read(store: &Store, project: &ProjectId) -> Result<Documents, EditError> {
    let stored = read_anyway(store, project).await?;
    // ask afterwards: what was read while the database failed may be out of date
    if store.is_whole() { Ok(stored) } else { Err(EditError::NotNow) }
}

/// Reads them from whatever can be read now, off the runtime, since they may come from files.
///
/// # Errors
/// The runtime is ending.
pub(super) async fn read_anyway(store: &Store, project: &ProjectId) -> Result<Documents, EditError> {
    let (store, project) = (store.clone(), project.clone());
    let read = move || {
        let [scenes, show] = [scenes_key(&project), show_key(&project)].map(|key| store.document(&key));
        let damaged = scenes == StoredDocument::Damaged || show == StoredDocument::Damaged;
        Documents { scenes: bytes(scenes, NO_SCENES), show: bytes(show, NO_SHOW), damaged }
    };
    Ok(tokio::task::spawn_blocking(read).await?)
}

fn bytes(kept: StoredDocument, otherwise: &[u8]) -> Vec<u8> {
    match kept {
        StoredDocument::Whole(bytes) => bytes,
        StoredDocument::Absent | StoredDocument::Damaged => otherwise.to_vec(),
    }
}

/// Size of a project's documents in bytes.
pub(super) fn length(store: &Store, project: &ProjectId) -> u64 {
    store.document_length(&scenes_key(project)) + store.document_length(&show_key(project))
}

/// Documents that are written but not valid yet; `None`: that one stays as it is.
pub(super) struct Pending {
    scenes: Option<PendingDocument>,
    show: Option<PendingDocument>,
}

/// Writes documents ahead.
pub(super) async fn write_ahead(store: &Store, scenes: Option<&[u8]>, show: Option<&[u8]>) -> Pending {
    let mut pending = Pending { scenes: None, show: None };
    if let Some(bytes) = scenes {
        pending.scenes = Some(store.write_ahead(bytes).await);
    }
    if let Some(bytes) = show {
        pending.show = Some(store.write_ahead(bytes).await);
    }
    pending
}

/// Makes them the project's with this batch.
pub(super) fn replace(store: &Store, batch: &mut Batch, project: &ProjectId, pending: Pending) {
    if let Some(scenes) = pending.scenes {
        store.replace_document(batch, &scenes_key(project), Some(scenes));
    }
    if let Some(show) = pending.show {
        store.replace_document(batch, &show_key(project), Some(show));
    }
}

/// Drops them with this batch.
pub(super) fn forget(store: &Store, batch: &mut Batch, project: &ProjectId) {
    store.replace_document(batch, &scenes_key(project), None);
    store.replace_document(batch, &show_key(project), None);
}

pub(super) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // JSON values and plain structs never fail to serialise
    serde_json::to_vec(value).unwrap_or_default()
}
