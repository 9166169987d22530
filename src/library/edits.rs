//! Edits of what the active project has written down: scenes, patch, show.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::documents::{self, Documents, json};
use super::error::{EditError, PatchError, SceneError};
use super::expected::Expected;
use super::librarian::Librarian;
use super::patch::Known;
use super::places;
use super::view::{EditedPatch, EditedScene, Imported, View, looks};
use crate::dmx::{Act, Command, CommandId, FixtureType, Source, TypeId};
use crate::engine::{Control, Outcome, PATIENCE};
use crate::fixtures::NotKept;
use crate::kit::clock;
use crate::store::Batch;
use crate::wire::{ImportMode, PatchEdit, Scene, SceneEdit, ShowFile};

impl Librarian {
    pub(super) async fn put_scenes(&self, scenes: &[Scene], expected: &Expected) -> Result<Arc<View>, EditError> {
        self.whole()?;
        expected.meet([&self.view().scenes_tag])?;
        self.put_documents(Some(json(&scenes)), None).await
    }

    /// Edits one scene; as a command, in one batch with its id.
    pub(super) async fn edit_scenes(
        &self,
        edit: SceneEdit,
        command: Option<(CommandId, Source)>,
        expected: &Expected,
    ) -> Result<EditedScene, SceneError> {
        self.whole()?;
        let view = self.view();
        expected.meet([&view.scenes_tag])?;
        let before = view.clone();
        let work = move || {
            let mut scenes = before.file()?.scenes.unwrap_or_default();
            let scene = edit.apply(&mut scenes, clock::now_ms())?;
            Ok::<_, SceneError>((scene, json(&scenes)))
        };
        let (scene, scenes) = spawn_blocking(work).await.map_err(EditError::from)??;
        let Some((id, source)) = command else {
            let view = self.put_documents(Some(scenes), None).await?;
            return Ok(EditedScene { scene, outcome: Outcome::Applied { seq: self.deps.feed.state().seq }, view });
        };
        let (mut batch, mut after) = self.prepare(Some(&scenes), None).await?;
        self.touch(&mut after.catalogue, &mut batch);
        // One command, one change: also of the scene in effect.
        let act = Act::Save(scene.look(&view.patch));
        let submission = self.deps.engine.submit_with(Command { id, source, by: None, act }, batch);
        let outcome = match timeout(PATIENCE, submission).await {
            Ok(mut submission) => submission.outcome().await,
            Err(_) => Outcome::Full,
        };
        if !matches!(outcome, Outcome::Applied { .. }) {
            self.deps.store.forget_unfinished().await; // the scenes that were written ahead
            return Ok(EditedScene { scene, outcome, view });
        }
        self.deps.store.sync().await;
        self.replace_documents(&mut after, Some(scenes), None).await;
        let view = self.documents_replaced(after).await;
        Ok(EditedScene { scene, outcome, view })
    }

    /// Edits the patch. What is new and still dark is laid at rest: a head looks to the middle, a shutter is open.
    pub(super) async fn edit_patch(&self, edit: PatchEdit, expected: &Expected) -> Result<EditedPatch, PatchError> {
        self.whole()?;
        let before = self.view();
        expected.meet([&before.patch_tag, &before.file_tag])?;
        let reading = self.deps.reading.clone();
        let work = move || {
            let ShowFile { mut show, scenes } = before.file()?;
            let fixtures =
                edit.apply(&mut show, &scenes.unwrap_or_default(), reading.universes, &Known(reading.types))?;
            Ok::<_, PatchError>((fixtures, json(&show)))
        };
        let (fixtures, show) = spawn_blocking(work).await.map_err(EditError::from)??;
        let (mut batch, mut after) = self.prepare(None, Some(&show)).await?;
        self.touch(&mut after.catalogue, &mut batch);
        self.replace_documents(&mut after, None, Some(show)).await;
        if let Err(fault) = after.shown() {
            self.deps.store.forget_unfinished().await; // the show that was written ahead
            return Err(fault.into());
        }
        let view = self.take_patch(batch, after).await?;
        Ok(EditedPatch { fixtures, view })
    }

    /// Keeps a fixture type, unless a fixture has a mode of the earlier one that would change under it. In a turn of its own, so
    /// that no fixture gets one meanwhile.
    pub(super) async fn add_type(&self, new: FixtureType) -> Result<Result<Arc<FixtureType>, NotKept>, EditError> {
        let types = &self.deps.reading.types;
        if let Some(lost) = types.lost_by(&new) {
            let lost = Arc::new(lost);
            let of_lost = lost.clone();
            if let Some(user) = self.use_of_type(&lost.id, move |mode| of_lost.has(mode)).await? {
                let why = format!("{user}, in a mode that this one lacks or gives other channels");
                return Ok(Err(NotKept::InUse(lost.id.clone(), why)));
            }
        }
        Ok(types.add(new).await)
    }

    /// Removes a fixture type. In a turn of its own, so that no fixture gets it meanwhile.
    pub(super) async fn remove_type(&self, id: &TypeId) -> Result<Result<(), NotKept>, EditError> {
        let types = &self.deps.reading.types;
        let used = if types.is_built_in(id) { None } else { self.use_of_type(id, |_| true).await? };
        Ok(types.remove(id.as_str(), |_| used).await)
    }

    async fn use_of_type(
        &self,
        id: &TypeId,
        has: impl Fn(Option<&str>) -> bool + Clone + Send + 'static,
    ) -> Result<Option<String>, EditError> {
        self.whole()?;
        let view = self.view();
        for project in &view.catalogue.projects {
            let show = documents::read(&self.deps.store, &project.id).await?.show;
            let (id, has) = (id.clone(), has.clone());
            let found = spawn_blocking(move || places::fixture_of_type(&show, &id, has)).await?;
            if let Some(fixture) = found {
                return Ok(Some(format!("fixture {fixture:?} of project {:?} has it", project.name)));
            }
        }
        Ok(None)
    }

    pub(super) async fn import(
        &self,
        file: ShowFile,
        mode: ImportMode,
        dry: bool,
        expected: &Expected,
    ) -> Result<Imported, EditError> {
        let mut view = self.view();
        expected.meet([&view.file_tag])?;
        let now = view.clone();
        let replaces_all = mode == ImportMode::Replace && file.scenes.is_some();
        let work = move || {
            // a damaged document can be replaced as a whole, but not edited
            let now = if now.damaged && replaces_all && !dry { ShowFile::default() } else { now.file()? };
            let file = file.over(&now, mode);
            file.check().map_err(|refusal| EditError::TooMuch(refusal.to_string()))?;
            let changes = if dry { file.changes(&now) } else { BTreeMap::new() };
            let stored = Documents::of(file.scenes.as_deref().unwrap_or_default(), &file.show);
            Ok::<_, EditError>((file, changes, stored))
        };
        let (file, changes, Documents { scenes, show, .. }) = spawn_blocking(work).await??;
        if !dry {
            view = self.put_documents(Some(scenes), Some(show)).await?;
        }
        Ok(Imported { file, changes, tag: view.file_tag.clone() })
    }

    /// Replaces documents of the active project; `None`: that one stays.
    async fn put_documents(&self, scenes: Option<Vec<u8>>, show: Option<Vec<u8>>) -> Result<Arc<View>, EditError> {
        self.whole()?;
        let (mut batch, mut after) = self.prepare(scenes.as_deref(), show.as_deref()).await?;
        self.touch(&mut after.catalogue, &mut batch);
        let patched = show.is_some();
        self.replace_documents(&mut after, scenes, show).await;
        if patched {
            return self.take_patch(batch, after).await;
        }
        self.deps.store.keep(batch).await;
        Ok(self.documents_replaced(after).await)
    }

    /// The batch that replaces documents of the active project, and the view before it.
    async fn prepare(&self, scenes: Option<&[u8]>, show: Option<&[u8]>) -> Result<(Batch, View), EditError> {
        let view = (*self.view()).clone();
        let active = &view.catalogue.active;
        let pending = self.write_ahead(active, scenes, show).await?;
        let mut batch = Batch::default();
        documents::replace(&self.deps.store, &mut batch, active, pending);
        Ok((batch, view))
    }

    /// Replaces the documents of a view.
    async fn replace_documents(&self, view: &mut View, scenes: Option<Vec<u8>>, show: Option<Vec<u8>>) {
        view.damaged &= scenes.is_none() || show.is_none();
        if let Some(scenes) = scenes {
            view.scenes = scenes.into();
        }
        if let Some(show) = show {
            view.show = show.into();
            view.read_as_light(&self.deps.reading).await;
        } else {
            view.looks = looks(view.scenes.clone(), view.patch.clone()).await;
        }
        view.tag().await;
        view.edition += 1;
    }

    /// Stores a show, and with it what of its fixtures is new and still dark at rest: nobody sees one without the other, and a kill
    /// takes both or neither.
    async fn take_patch(&self, batch: Batch, after: View) -> Result<Arc<View>, EditError> {
        let rests = places::rests(&self.view(), &after);
        let (project, rig) = (after.catalogue.active.clone(), after.rig().clone());
        let (view, publish) = self.to_publish(after);
        self.deps.engine.patch(project, rig, rests, batch, publish).await.ok_or(EditError::Stopping)?;
        self.deps.store.sync().await;
        self.end_scene_unless_kept(&view).await;
        Ok(view)
    }

    /// The scenes of the active project have changed.
    async fn documents_replaced(&self, after: View) -> Arc<View> {
        let view = self.publish(after);
        self.end_scene_unless_kept(&view).await;
        view
    }

    /// A scene in effect that was deleted, or whose light changed, is no longer in effect.
    async fn end_scene_unless_kept(&self, view: &View) {
        let state = self.deps.feed.state();
        let Some(effect) = state.desk().scene_in_effect() else { return };
        let kept = view.looks().iter().find(|look| look.id == effect.scene);
        if !kept.is_some_and(|look| state.is_at(&look.patches())) {
            self.deps.engine.control(Control::EndScene(effect.scene.clone())).await; // None: the appliance is stopping
        }
    }
}
