//! The patch of the active project: its show read with the fixture types that are known.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::documents;
use super::tag::Tag;
use crate::dmx::{FixtureType, Parameter, ProjectId, Rig, TypeId};
use crate::fixtures::{self, Types};
use crate::store::Store;
use crate::wire::{KnownTypes, Show, ShowFile, ShowPatch, ShownPatch, show_patch};

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
        Ok(stored) => reading.patch(stored.show.into()).await.patch.rig().clone(),
        Err(_) => Rig::default(), // stopping already
    }
}

/// A patch that was read, and what it was made of.
#[derive(Clone, Debug)]
pub(super) struct ReadPatch {
    pub(super) patch: Arc<ShowPatch>,
    /// Of what people edit.
    pub(super) edited: Tag,
    /// Of what else is shown of it: what fixtures do depends on their types.
    pub(super) typed: Tag,
    /// As it is shown.
    pub(super) shown: Arc<ShownPatch>,
}

impl ReadPatch {
    fn of(show: &Show, patch: ShowPatch) -> Self {
        let mut known: Vec<*const Parameter> = Vec::new();
        let mut does: Vec<&[Parameter]> = Vec::new();
        for fixture in patch.rig().fixtures() {
            // fixtures of one type share their parameters
            if !known.contains(&fixture.parameters.as_ptr()) {
                known.push(fixture.parameters.as_ptr());
                does.push(&fixture.parameters);
            }
        }
        let typed = Tag::of_json(&(does, patch.warnings()));
        let shown = Arc::new(ShownPatch::of(show, &patch));
        Self { edited: Tag::of([&show.patch_json()[..]]), typed, shown, patch: Arc::new(patch) }
    }

    pub(super) fn none(universes: u8) -> Self {
        Self::of(&Show::default(), ShowPatch::none(universes))
    }
}

impl Reading {
    /// The patch of a show; none if it cannot be read. Off the runtime: a large show takes a while.
    pub(super) async fn patch(&self, show: Bytes) -> ReadPatch {
        let (universes, types) = (self.universes, Known(self.types.clone()));
        if show == documents::NO_SHOW {
            return ReadPatch::none(universes);
        }
        let work = move || match ShowFile::from_json(&show, 0) {
            Ok(file) => ReadPatch::of(&file.show, show_patch(&file.show, universes, &types)),
            Err(_) => ReadPatch::none(universes),
        };
        spawn_blocking(work).await.unwrap_or_else(|_| ReadPatch::none(universes))
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
