//! What everybody reads: the projects, and the documents of the active one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::catalogue::{Catalogue, name_of};
use super::documents::{self, Documents};
use super::error::EditError;
use super::patch::{ReadPatch, Reading};
use super::predecessor::Takeover;
use super::tag::Tag;
use crate::dmx::{FixtureId, Look, ProjectId, Rig};
use crate::engine::Outcome;
use crate::kit::clock;
use crate::wire::{ListChanges, Project, Scene, ShowFile, ShowPatch, ShownPatch, scenes};

/// What readers see: the projects, and the documents of the active one.
#[derive(Clone, Debug)]
pub struct View {
    /// All projects.
    pub catalogue: Catalogue,
    /// Scenes of the active project: a JSON list.
    pub scenes: Bytes,
    /// Its show without the scenes: a JSON object.
    pub show: Bytes,
    /// One of them was damaged, and is shown as empty.
    pub damaged: bool,
    /// The tag of the scenes.
    pub scenes_tag: Tag,
    /// The tag of scenes and show together.
    pub file_tag: Tag,
    /// The tag of the patch, which is part of the show.
    pub patch_tag: Tag,
    /// What of a predecessor's files was not imported; `None`: only another dmxd knows.
    pub takeover: Option<Arc<Takeover>>,
    /// Rises with each change of scenes, show or active project.
    pub edition: u64,
    /// When another project became the active one in this run.
    pub(super) switched: Option<Instant>,
    /// Its patch.
    pub patch: Arc<ShowPatch>,
    /// The patch as it is shown.
    pub(super) shown: Arc<ShownPatch>,
    /// Tags of that, without the project.
    pub(super) patch_tags: (Tag, Tag),
    /// The scenes as light.
    pub(super) looks: Arc<Vec<Look>>,
}

impl View {
    /// The documents as JSON. Takes a while for large ones.
    ///
    /// # Errors
    /// They are damaged.
    pub fn file(&self) -> Result<ShowFile, EditError> {
        if self.damaged {
            return Err(EditError::Damaged);
        }
        documents::file(&self.scenes, &self.show)
    }

    /// The patch as it is shown: nothing has to be read for it.
    ///
    /// # Errors
    /// The documents are damaged, or it is too long to be shown.
    pub fn shown(&self) -> Result<&ShownPatch, EditError> {
        match &*self.shown {
            _ if self.damaged => Err(EditError::Damaged),
            shown if shown.document().is_none() => Err(EditError::TooLong),
            shown => Ok(shown),
        }
    }

    /// Whether there are neither scenes nor a show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scenes == documents::NO_SCENES && self.show == documents::NO_SHOW
    }

    /// Whether another project became active within that time.
    #[must_use]
    pub fn switched_within(&self, time: Duration) -> bool {
        self.switched.is_some_and(|at| at.elapsed() < time)
    }

    /// The fixtures that have a place.
    #[must_use]
    pub fn rig(&self) -> &Rig {
        self.patch.rig()
    }

    /// The scenes as light, in order.
    #[must_use]
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// The scene of that name, else the one with that id.
    #[must_use]
    pub fn look(&self, name: &str) -> Option<&Look> {
        let found = self.looks.iter().find(|look| look.name == name);
        found.or_else(|| self.looks.iter().find(|look| look.id.as_str() == name))
    }

    /// For a project whose documents cannot be read yet.
    pub(super) fn empty(active: ProjectId) -> Self {
        let project = Project::new(active.clone(), name_of(&active), clock::now_ms());
        let (scenes, show) = (Bytes::from_static(documents::NO_SCENES), Bytes::from_static(documents::NO_SHOW));
        let none = ReadPatch::none(0);
        Self {
            catalogue: Catalogue::new(active, vec![project]),
            scenes,
            show,
            damaged: false,
            scenes_tag: Tag::of([documents::NO_SCENES]),
            file_tag: Tag::of([documents::NO_SHOW]),
            takeover: Some(Arc::default()),
            edition: 0,
            switched: None,
            patch: none.patch,
            shown: none.shown,
            patch_tag: none.edited.clone(),
            patch_tags: (none.edited, none.typed),
            looks: Arc::default(),
        }
    }

    /// The same with other documents.
    pub(super) async fn take(&mut self, stored: Documents, reading: &Reading) {
        (self.scenes, self.show, self.damaged) = (stored.scenes.into(), stored.show.into(), stored.damaged);
        self.read_as_light(reading).await;
        self.tag().await;
        self.edition += 1;
    }

    /// Reads scenes and show as light.
    pub(super) async fn read_as_light(&mut self, reading: &Reading) {
        let ReadPatch { patch, edited, typed, shown } = reading.patch(self.show.clone()).await;
        (self.patch, self.shown, self.patch_tags) = (patch, shown, (edited, typed));
        self.looks = looks(self.scenes.clone(), self.patch.clone()).await;
    }

    /// Tags for its documents. The project is part of them: the same list in another project is another document.
    pub(super) async fn tag(&mut self) {
        let (project, scenes, show) = (self.catalogue.active.clone(), self.scenes.clone(), self.show.clone());
        let tags = move || {
            let scenes = Tag::of([project.as_str().as_bytes(), &scenes]);
            let file = Tag::of([scenes.as_str().as_bytes(), &show]);
            (scenes, file)
        };
        if let Ok((scenes, file)) = spawn_blocking(tags).await {
            (self.scenes_tag, self.file_tag) = (scenes, file);
        }
        let (edited, typed) = &self.patch_tags;
        let of_project = Tag::of([self.catalogue.active.as_str().as_bytes(), edited.as_str().as_bytes()]);
        self.patch_tag = of_project.beside(typed);
    }
}

/// Scenes as light; none if they cannot be read.
pub(super) async fn looks(bytes: Bytes, patch: Arc<ShowPatch>) -> Arc<Vec<Look>> {
    let work = move || scenes(&bytes, 0).unwrap_or_default().iter().map(|scene| scene.look(&patch)).collect();
    Arc::new(spawn_blocking(work).await.unwrap_or_default())
}

/// A scene that was edited.
#[derive(Clone, Debug)]
pub struct EditedScene {
    /// The scene now; as it last was if it was deleted.
    pub scene: Scene,
    /// The outcome of the command; `Applied` with the newest `seq` without one.
    pub outcome: Outcome,
    /// The view after it.
    pub view: Arc<View>,
}

/// A patch that was edited.
#[derive(Clone, Debug)]
pub struct EditedPatch {
    /// Fixtures that are new or changed.
    pub fixtures: Vec<FixtureId>,
    /// The view after it.
    pub view: Arc<View>,
}

/// What an import changed, or would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What the project holds then.
    pub file: ShowFile,
    /// By list.
    pub changes: BTreeMap<String, ListChanges>,
    /// The project's tag now.
    pub tag: Tag,
}

/// The active project as one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The project.
    pub project: ProjectId,
    /// Snapshot JSON.
    pub bytes: Vec<u8>,
    /// Edition of scenes and show: within one run, another one after each edit.
    pub edition: u64,
}
