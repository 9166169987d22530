//! The patch of the active project: its show read with the fixture types that are known.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::documents;
use crate::dmx::{FixtureType, Parameter, ProjectId, Rig, TypeId};
use crate::fixtures::{self, Types};
use crate::store::Store;
use crate::wire::{KnownTypes, ShowFile, ShowPatch, show_patch};

/// What shows are read with.
#[derive(Clone)]
pub struct Reading {
    /// Universes that may be commanded: those from 0 on.
    pub universes: u8,
    /// Fixture types.
    pub types: Types,
}

/// The patch that a run begins with: the engine has it before any door opens.
pub async fn rig_at_start(store: &Store, project: &ProjectId, reading: &Reading) -> Rig {
    match documents::read_anyway(store, project).await {
        Ok(stored) => reading.patch(stored.show.into()).await.rig().clone(),
        Err(_) => Rig::default(), // stopping already
    }
}

impl Reading {
    /// The patch of a show; none if it cannot be read. Off the runtime: a large show takes a while.
    pub(super) async fn patch(&self, show: Bytes) -> Arc<ShowPatch> {
        let (universes, types) = (self.universes, Known(self.types.clone()));
        if show == documents::NO_SHOW {
            return Arc::new(ShowPatch::none(universes));
        }
        let work = move || match ShowFile::from_json(&show, 0) {
            Ok(file) => show_patch(&file.show, universes, &types),
            Err(_) => ShowPatch::none(universes),
        };
        Arc::new(spawn_blocking(work).await.unwrap_or_else(|_| ShowPatch::none(universes)))
    }
}

/// Fixture types, for a reader of shows.
pub(super) struct Known(pub(super) Types);

impl KnownTypes for Known {
    fn of(&self, id: &TypeId) -> Option<Arc<FixtureType>> {
        self.0.get(id)
    }

    fn named(&self, names: &[&str]) -> Vec<Parameter> {
        fixtures::parameters(names)
    }
}
