//! The librarian: makes every edit of projects and documents, one after the other, each as a whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use ulid::Ulid;

use super::catalogue::{Catalogue, FORMAT, is_foreign, keep, name_of};
use super::documents::{self, Documents, Pending, json};
use super::error::{EditError, PatchError, SceneError};
use super::expected::Expected;
use super::patch::{Known, Reading};
use super::places;
use super::predecessor::Takeover;
use super::tag::Tag;
use super::view::{Document, EditedPatch, EditedScene, Imported, View, looks};
use crate::dmx::{Act, Command, CommandId, ProjectId, Source, State, TypeId};
use crate::engine::{self, Control, Feed, Outcome, PATIENCE};
use crate::kit::clock;
use crate::kit::health::Health;
use crate::kit::stop::Stop;
use crate::store::{Batch, Store, Tree};
use crate::wire::{ImportMode, PatchEdit, Project, ProjectEdit, Scene, SceneEdit, ShowFile, Snapshot};

/// What the library needs from the rest of the house.
pub struct LibraryDeps {
    /// Whether there may be several projects; else there is only `default`.
    pub several: bool,
    /// The store.
    pub store: Store,
    /// Where light is changed.
    pub engine: engine::Handle,
    /// Where light is read.
    pub feed: Feed,
    /// What shows are read with.
    pub reading: Reading,
    /// Reports files of a predecessor that could not be imported.
    pub health: Health,
}

/// Most projects: the light of each is written whole at the head of every journal, 512 bytes per universe.
const MAX_PROJECTS: usize = 100;

/// The `src` of commands that lay new fixtures at rest.
const PATCH: &str = "patch";

/// How often to check whether the database can be read again.
const LOOK: Duration = Duration::from_secs(1);

/// Where the caller gets its answer.
type Reply<T> = oneshot::Sender<Result<T, EditError>>;

/// What the librarian can do.
pub(super) enum Job {
    Create {
        edit: ProjectEdit,
        reply: Reply<Arc<View>>,
    },
    Edit {
        id: ProjectId,
        edit: ProjectEdit,
        reply: Reply<Project>,
    },
    Select {
        id: ProjectId,
        reply: Reply<Arc<View>>,
    },
    Delete {
        id: ProjectId,
        reply: Reply<Arc<View>>,
    },
    PutScenes {
        scenes: Vec<Scene>,
        reply: Reply<Arc<View>>,
    },
    EditScenes {
        edit: SceneEdit,
        command: Option<(CommandId, Source)>,
        reply: oneshot::Sender<Result<EditedScene, SceneError>>,
    },
    EditPatch {
        edit: PatchEdit,
        reply: oneshot::Sender<Result<EditedPatch, PatchError>>,
    },
    UseOfType {
        id: TypeId,
        reply: Reply<Option<String>>,
    },
    Import {
        file: ShowFile,
        mode: ImportMode,
        dry: bool,
        reply: Reply<Imported>,
    },
    Snapshot {
        project: ProjectId,
        reply: Reply<Document>,
    },
    Adopt {
        project: ProjectId,
        snapshot: Snapshot,
        edition: u64,
        reply: Reply<()>,
    },
    AcknowledgeTakeover {
        reply: Reply<Arc<View>>,
    },
    BackedUp {
        project: ProjectId,
        at_ms: u64,
        reply: Reply<()>,
    },
}

/// A job, and the content that the caller expects to change.
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) expected: Expected,
}

/// The project that is active at the start.
#[must_use]
pub fn active_at_start(store: &Store, several: bool) -> ProjectId {
    let kept = if several { engine::active(store) } else { None };
    kept.unwrap_or_else(ProjectId::default_project)
}

/// The editor.
pub(super) struct Librarian {
    deps: LibraryDeps,
    view: watch::Sender<Arc<View>>,
    /// The view was read while the database could not be.
    stale: bool,
}

impl Librarian {
    /// Reads what the store holds.
    pub(super) async fn open(deps: LibraryDeps) -> (Self, watch::Receiver<Arc<View>>) {
        let active = active_at_start(&deps.store, deps.several);
        let view = read(&deps, active.clone(), 0).await;
        let stale = view.is_err() || !deps.store.is_whole();
        let view = view.unwrap_or_else(|_| View::empty(active));
        deps.engine.control(Control::Patch(view.rig().clone())).await; // the same, unless the start could not read it
        let (view, read) = watch::channel(Arc::new(view));
        (Self { deps, view, stale }, read)
    }

    /// Runs until the library is closed and no job is left.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>, mut stop: Stop) {
        let mut types = self.deps.reading.types.subscribe();
        loop {
            let job = tokio::select! {
                job = requests.recv() => job,
                () = stop.requested(), if !requests.is_closed() => {
                    requests.close();
                    continue;
                }
                () = sleep(LOOK), if self.stale => {
                    self.read_again().await;
                    continue;
                }
                Ok(()) = types.changed() => {
                    self.types_changed().await;
                    continue;
                }
            };
            let Some(Request { job, expected }) = job else { return };
            self.read_again().await;
            // Err of an answer: the caller does not wait any more. What was done stays done.
            match job {
                Job::Create { edit, reply } => drop(reply.send(self.create(edit, &expected).await)),
                Job::Edit { id, edit, reply } => drop(reply.send(self.edit(&id, edit, &expected).await)),
                Job::Select { id, reply } => drop(reply.send(self.select(&id, &expected).await)),
                Job::Delete { id, reply } => drop(reply.send(self.delete(&id, &expected).await)),
                Job::PutScenes { scenes, reply } => drop(reply.send(self.put_scenes(&scenes, &expected).await)),
                Job::EditScenes { edit, command, reply } => {
                    drop(reply.send(self.edit_scenes(edit, command, &expected).await));
                }
                Job::EditPatch { edit, reply } => drop(reply.send(self.edit_patch(edit, &expected).await)),
                Job::UseOfType { id, reply } => drop(reply.send(self.use_of_type(&id).await)),
                Job::Import { file, mode, dry, reply } => {
                    drop(reply.send(self.import(file, mode, dry, &expected).await))
                }
                Job::Snapshot { project, reply } => drop(reply.send(self.snapshot(&project).await)),
                Job::Adopt { project, snapshot, edition, reply } => {
                    drop(reply.send(self.adopt(&project, snapshot, edition).await));
                }
                Job::AcknowledgeTakeover { reply } => drop(reply.send(self.acknowledge_takeover().await)),
                Job::BackedUp { project, at_ms, reply } => {
                    drop(reply.send(self.backed_up(&project, at_ms).await));
                }
            }
        }
    }

    /// Whether edits are possible: not on top of something older than it should be.
    fn whole(&self) -> Result<(), EditError> {
        if self.deps.store.is_whole() && !self.stale { Ok(()) } else { Err(EditError::NotNow) }
    }

    /// Once the database can be read again: shows what is stored instead of what the last snapshot held.
    async fn read_again(&mut self) {
        if self.stale && self.deps.store.is_whole() {
            let now = self.view();
            if let Ok(view) = read(&self.deps, now.catalogue.active.clone(), now.edition + 1).await {
                self.tell_patch(&now, &view).await;
                self.publish(view);
                self.stale = !self.deps.store.is_whole(); // it may have failed while it was read
            }
        }
    }

    /// Reads the show anew: fixtures of a type that was not known may do something now.
    async fn types_changed(&self) {
        let before = self.view();
        let mut after = (*before).clone();
        after.read_as_light(&self.deps.reading).await;
        if after.patch != before.patch {
            self.tell_patch(&before, &after).await;
            self.publish(after);
        }
    }

    /// Tells the engine of another patch. Before the view is published: whoever reads looks of the new patch finds the light
    /// under it.
    async fn tell_patch(&self, before: &View, after: &View) {
        if after.rig() != before.rig() {
            self.deps.engine.control(Control::Patch(after.rig().clone())).await; // None: the appliance is stopping
        }
    }

    fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    async fn create(&self, edit: ProjectEdit, expected: &Expected) -> Result<Arc<View>, EditError> {
        self.whole()?;
        let view = self.view();
        expected.meet([&view.catalogue.tag()])?;
        if view.catalogue.projects.len() >= MAX_PROJECTS {
            return Err(EditError::TooMuch(format!("there are {MAX_PROJECTS} projects, the most; delete one first")));
        }
        let name = edit.name.clone().unwrap_or_default();
        let mut project = Project::new(ProjectId::for_name(&name, Ulid::generate()), name, clock::now_ms());
        let template = match &edit.template {
            Some(id) => Some(self.known(id)?.id.clone()),
            None => None,
        };
        project.edit(edit, clock::now_ms());
        let mut batch = Batch::default();
        if let Some(template) = template {
            let stored = documents::read(&self.deps.store, &template).await?;
            if stored.damaged {
                return Err(EditError::Damaged);
            }
            let pending = self.write_ahead(&project.id, Some(&stored.scenes), Some(&stored.show)).await?;
            documents::replace(&self.deps.store, &mut batch, &project.id, pending);
            engine::keep(&mut batch, &project.id, &self.state_of(&template));
        }
        keep(&self.deps.store, &mut batch, &project);
        let mut after = (*view).clone();
        after.catalogue.projects.push(project);
        self.deps.store.keep(batch).await;
        Ok(self.publish(after))
    }

    async fn edit(&self, id: &ProjectId, edit: ProjectEdit, expected: &Expected) -> Result<Project, EditError> {
        let view = self.view();
        expected.meet([&Tag::of_project(&self.known(id)?), &view.catalogue.tag()])?;
        if is_foreign(&self.deps.store, id) {
            return Err(EditError::Foreign("what is known of this project"));
        }
        self.change(id, |project| project.edit(edit, clock::now_ms())).await
    }

    async fn acknowledge_takeover(&self) -> Result<Arc<View>, EditError> {
        self.whole()?;
        let mut after = (*self.view()).clone();
        let takeover = after.takeover.as_ref().ok_or(Takeover::FOREIGN)?;
        let left = takeover.acknowledged();
        if left != **takeover {
            let mut batch = Batch::default();
            left.keep(&mut batch);
            self.deps.store.keep(batch).await;
            left.tell(&self.deps.health);
            after.takeover = Some(Arc::new(left));
        }
        Ok(self.publish(after))
    }

    async fn backed_up(&self, id: &ProjectId, at_ms: u64) -> Result<(), EditError> {
        self.change(id, |project| project.last_backup_at = Some(at_ms)).await.map(drop)
    }

    /// Changes what people have written about a project.
    async fn change(&self, id: &ProjectId, change: impl FnOnce(&mut Project)) -> Result<Project, EditError> {
        self.whole()?;
        let mut after = (*self.view()).clone();
        let project = after.catalogue.get_mut(id).ok_or_else(|| EditError::NotFound(id.clone()))?;
        change(project);
        let project = project.clone();
        let mut batch = Batch::default();
        keep(&self.deps.store, &mut batch, &project);
        self.deps.store.keep(batch).await;
        self.publish(after);
        Ok(project)
    }

    async fn select(&self, id: &ProjectId, expected: &Expected) -> Result<Arc<View>, EditError> {
        self.whole()?;
        let project = self.known(id)?.clone();
        expected.meet([&self.view().catalogue.tag()])?;
        let stored = documents::read(&self.deps.store, &project.id).await?;
        let mut batch = Batch::default();
        keep(&self.deps.store, &mut batch, &project); // of `default`, which may never have been edited
        let mut after = (*self.view()).clone();
        if after.catalogue.active != project.id {
            after.switched = Some(Instant::now());
        }
        after.catalogue.active = project.id.clone();
        after.take(stored, &self.deps.reading).await;
        let rig = after.rig().clone();
        let (view, publish) = self.to_publish(after);
        self.deps.engine.select(project.id, rig, batch, publish).await.ok_or(EditError::Stopping)?;
        self.deps.store.sync().await;
        Ok(view)
    }

    async fn delete(&self, id: &ProjectId, expected: &Expected) -> Result<Arc<View>, EditError> {
        self.whole()?;
        let project = self.known(id)?.id.clone();
        let mut after = (*self.view()).clone();
        expected.meet([&after.catalogue.tag()])?;
        if project == after.catalogue.active {
            return Err(EditError::Active(project));
        }
        let mut batch = Batch::default();
        batch.delete(Tree::Projects, project.as_str());
        engine::forget(&self.deps.store, &mut batch, &project);
        documents::forget(&self.deps.store, &mut batch, &project);
        self.deps.store.keep(batch).await;
        after.catalogue.projects.retain(|known| known.id != project);
        Ok(self.publish(after))
    }

    async fn put_scenes(&self, scenes: &[Scene], expected: &Expected) -> Result<Arc<View>, EditError> {
        self.whole()?;
        expected.meet([&self.view().scenes_tag])?;
        self.put_documents(Some(json(&scenes)), None).await
    }

    /// Edits one scene; as a command, in one batch with its id.
    async fn edit_scenes(
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
        let view = self.documents_replaced(after, Some(scenes), None).await;
        Ok(EditedScene { scene, outcome, view })
    }

    /// Edits the patch. What is new and still dark is laid at rest: a head looks to the middle, a shutter is open.
    async fn edit_patch(&self, edit: PatchEdit, expected: &Expected) -> Result<EditedPatch, PatchError> {
        self.whole()?;
        let before = self.view();
        expected.meet([&before.patch_tag, &before.file_tag])?;
        let reading = self.deps.reading.clone();
        let work = move || {
            let mut show = before.show_read()?;
            let fixtures = edit.apply(&mut show, reading.universes, &Known(reading.types))?;
            Ok::<_, PatchError>((fixtures, json(&show)))
        };
        let (fixtures, show) = spawn_blocking(work).await.map_err(EditError::from)??;
        let view = self.put_documents(None, Some(show)).await?;
        for patch in places::at_rest(&view, &fixtures, &self.deps.feed.state()) {
            let source = PATCH.parse().unwrap_or_else(|_| Source::init());
            let command = Command::set(Ulid::generate().into(), source, patch);
            let outcome = self.deps.engine.submit_within(command, PATIENCE).await;
            tracing::debug!(?outcome, "fixtures_laid_at_rest");
        }
        Ok(EditedPatch { fixtures, view })
    }

    async fn use_of_type(&self, id: &TypeId) -> Result<Option<String>, EditError> {
        self.whole()?;
        let view = self.view();
        for project in &view.catalogue.projects {
            let show = documents::read(&self.deps.store, &project.id).await?.show;
            let id = id.clone();
            let found = spawn_blocking(move || places::fixture_of_type(&show, &id)).await?;
            if let Some(fixture) = found {
                return Ok(Some(format!("fixture {fixture:?} of project {:?}", project.name)));
            }
        }
        Ok(None)
    }

    async fn import(
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
        self.deps.store.keep(batch).await;
        Ok(self.documents_replaced(after, scenes, show).await)
    }

    /// The batch that replaces documents of the active project, and the view after it.
    async fn prepare(&self, scenes: Option<&[u8]>, show: Option<&[u8]>) -> Result<(Batch, View), EditError> {
        let after = (*self.view()).clone();
        let active = &after.catalogue.active;
        let pending = self.write_ahead(active, scenes, show).await?;
        let mut batch = Batch::default();
        documents::replace(&self.deps.store, &mut batch, active, pending);
        Ok((batch, after))
    }

    /// The documents of the active project have changed.
    async fn documents_replaced(&self, mut after: View, scenes: Option<Vec<u8>>, show: Option<Vec<u8>>) -> Arc<View> {
        after.damaged &= scenes.is_none() || show.is_none();
        after.scenes = scenes.map_or(after.scenes, Bytes::from);
        if let Some(show) = show {
            after.show = show.into();
            after.read_as_light(&self.deps.reading).await;
        } else {
            after.looks = looks(after.scenes.clone(), after.patch.clone()).await;
        }
        after.tag().await;
        after.edition += 1;
        self.tell_patch(&self.view(), &after).await;
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

    async fn adopt(&self, project: &ProjectId, snapshot: Snapshot, edition: u64) -> Result<(), EditError> {
        self.whole()?;
        let mut after = (*self.view()).clone();
        if *project != after.catalogue.active {
            return Err(EditError::NotActive(project.clone()));
        }
        if edition != after.edition {
            return Err(EditError::Changed);
        }
        let Snapshot { levels, scenes, show } = snapshot;
        let stored = spawn_blocking(move || Documents::of(&scenes, &show)).await?;
        let pending = self.write_ahead(project, Some(&stored.scenes), Some(&stored.show)).await?;
        let mut batch = Batch::default();
        documents::replace(&self.deps.store, &mut batch, project, pending);
        self.touch(&mut after.catalogue, &mut batch);
        let frames = levels.into_iter().collect();
        after.take(stored, &self.deps.reading).await;
        let rig = after.rig().clone();
        let (_, publish) = self.to_publish(after);
        self.deps.engine.replace(project.clone(), frames, rig, batch, publish).await.ok_or(EditError::Stopping)?;
        self.deps.store.sync().await;
        Ok(())
    }

    async fn snapshot(&self, id: &ProjectId) -> Result<Document, EditError> {
        self.whole()?;
        let project = self.known(id)?;
        let (state, mut view) = (self.state_of(id), (*self.view()).clone());
        if *id != view.catalogue.active {
            view.take(documents::read(&self.deps.store, id).await?, &self.deps.reading).await;
        }
        let edition = view.edition;
        let work =
            move || Ok::<_, EditError>(json(&Snapshot::document(&project, &state, &view.file()?, clock::now_ms())));
        Ok(Document { project: id.clone(), bytes: spawn_blocking(work).await??, edition })
    }

    /// Writes documents ahead, if there is room for them beside all others.
    async fn write_ahead(
        &self,
        project: &ProjectId,
        scenes: Option<&[u8]>,
        show: Option<&[u8]>,
    ) -> Result<Pending, EditError> {
        let store = &self.deps.store;
        let new = [scenes, show].into_iter().flatten().map(|bytes| bytes.len() as u64).sum::<u64>();
        let view = self.view();
        let others = view.catalogue.projects.iter().filter(|other| other.id != *project);
        let all = others.map(|other| documents::length(store, &other.id)).sum::<u64>();
        if new > documents::MAX_PROJECT_BYTES {
            let most = documents::MAX_PROJECT_BYTES >> 20;
            return Err(EditError::TooMuch(format!("scenes and show of one project may have {most} MiB")));
        }
        if all + new > documents::MAX_BYTES {
            let most = documents::MAX_BYTES >> 20;
            return Err(EditError::TooMuch(format!("scenes and shows of all projects together may have {most} MiB")));
        }
        Ok(documents::write_ahead(store, scenes, show).await)
    }

    fn known(&self, id: &ProjectId) -> Result<Project, EditError> {
        self.view().catalogue.get(id).cloned().ok_or_else(|| EditError::NotFound(id.clone()))
    }

    fn state_of(&self, project: &ProjectId) -> State {
        if *project == self.view().catalogue.active {
            let hidden = engine::hidden(&self.deps.store, project, self.deps.reading.universes);
            self.deps.feed.state().settled().beside(hidden)
        } else {
            engine::state(&self.deps.store, project, 0)
        }
    }

    /// The active project has changed.
    fn touch(&self, catalogue: &mut Catalogue, batch: &mut Batch) {
        let active = catalogue.active.clone();
        if let Some(project) = catalogue.get_mut(&active) {
            project.updated_at = clock::now_ms();
            keep(&self.deps.store, batch, project);
        }
    }

    /// A view, and what publishes it together with its light, since whoever hears of the light asks for the documents.
    fn to_publish(&self, view: View) -> (Arc<View>, impl FnOnce() + Send + 'static) {
        let view = Arc::new(view);
        let (sender, new) = (self.view.clone(), view.clone());
        (view, move || drop(sender.send_replace(new)))
    }

    fn publish(&self, view: View) -> Arc<View> {
        let view = Arc::new(view);
        self.view.send_replace(view.clone());
        view
    }
}

/// Reads what the store holds.
async fn read(deps: &LibraryDeps, active: ProjectId, edition: u64) -> Result<View, EditError> {
    let store = &deps.store;
    let stored = documents::read_anyway(store, &active).await?;
    let kept = store.scan(Tree::Projects, b"").into_iter();
    let mut projects: Vec<Project> =
        kept.filter_map(|(key, value)| store.parse(Tree::Projects, &key, &value, FORMAT)).collect();
    // Light without a project (whose entry was damaged) gets a name, so that nobody loses a show.
    let mut batch = Batch::default();
    for id in engine::projects(store).into_iter().chain([active.clone()]) {
        if !projects.iter().any(|project| project.id == id) {
            let project = Project::new(id.clone(), name_of(&id), clock::now_ms());
            keep(store, &mut batch, &project);
            projects.push(project);
        }
    }
    if store.is_whole() {
        store.commit(batch, || {}).await;
    }
    let takeover = Takeover::kept(store).ok().map(|kept| Arc::new(kept.unwrap_or_default()));
    let catalogue = Catalogue::new(active.clone(), projects);
    let mut view = View { catalogue, takeover, edition, ..View::empty(active) };
    view.take(stored, &deps.reading).await;
    Ok(view)
}
