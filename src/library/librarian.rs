//! The librarian: makes every edit of projects and documents, one after the other, each as a whole or not at all. Here is what
//! all of them share; the edits stand in files of their own.

use std::sync::Arc;

use tokio::sync::watch;

use super::catalogue::{Catalogue, FORMAT, keep, name_of};
use super::documents::{self, Pending};
use super::error::EditError;
use super::patch::Reading;
use super::places;
use super::predecessor::Takeover;
use super::view::View;
use crate::dmx::{ProjectId, State};
use crate::engine::{self, Control, Feed};
use crate::kit::clock;
use crate::kit::health::Health;
use crate::store::{Batch, Store, Tree};
use crate::wire::Project;

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

/// The project that is active at the start.
#[must_use]
pub fn active_at_start(store: &Store, several: bool) -> ProjectId {
    let kept = if several { engine::active(store) } else { None };
    kept.unwrap_or_else(ProjectId::default_project)
}

/// The editor.
pub(super) struct Librarian {
    pub(super) deps: LibraryDeps,
    pub(super) view: watch::Sender<Arc<View>>,
    /// The view was read while the database could not be.
    pub(super) stale: bool,
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

    /// Whether edits are possible: not on top of something older than it should be.
    pub(super) fn whole(&self) -> Result<(), EditError> {
        if self.deps.store.is_whole() && !self.stale { Ok(()) } else { Err(EditError::NotNow) }
    }

    /// Once the database can be read again: shows what is stored instead of what the last snapshot held.
    pub(super) async fn read_again(&mut self) {
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
    pub(super) async fn types_changed(&self) {
        let before = self.view();
        let mut after = (*before).clone();
        after.read_as_light(&self.deps.reading).await;
        if after.patch != before.patch {
            let (project, rig, rests) =
                (after.catalogue.active.clone(), after.rig().clone(), places::rests(&before, &after));
            let (_, publish) = self.to_publish(after);
            self.deps.engine.patch(project, rig, rests, Batch::default(), publish).await; // None: the appliance is stopping
        }
    }

    /// Tells the engine of another patch. Before the view is published: whoever reads looks of the new patch finds the light
    /// under it.
    pub(super) async fn tell_patch(&self, before: &View, after: &View) {
        if after.rig() != before.rig() {
            self.deps.engine.control(Control::Patch(after.rig().clone())).await; // None: the appliance is stopping
        }
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    pub(super) fn known(&self, id: &ProjectId) -> Result<Project, EditError> {
        self.view().catalogue.get(id).cloned().ok_or_else(|| EditError::NotFound(id.clone()))
    }

    pub(super) fn state_of(&self, project: &ProjectId) -> State {
        if *project == self.view().catalogue.active {
            let hidden = engine::hidden(&self.deps.store, project, self.deps.reading.universes);
            self.deps.feed.state().settled().beside(hidden)
        } else {
            engine::state(&self.deps.store, project, 0)
        }
    }

    /// Writes documents ahead, if there is room for them beside all others.
    pub(super) async fn write_ahead(
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

    /// The active project has changed.
    pub(super) fn touch(&self, catalogue: &mut Catalogue, batch: &mut Batch) {
        let active = catalogue.active.clone();
        if let Some(project) = catalogue.get_mut(&active) {
            project.updated_at = clock::now_ms();
            keep(&self.deps.store, batch, project);
        }
    }

    /// A view, and what publishes it together with its light, since whoever hears of the light asks for the documents.
    pub(super) fn to_publish(&self, view: View) -> (Arc<View>, impl FnOnce() + Send + 'static) {
        let view = Arc::new(view);
        let (sender, new) = (self.view.clone(), view.clone());
        (view, move || drop(sender.send_replace(new)))
    }

    pub(super) fn publish(&self, view: View) -> Arc<View> {
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
