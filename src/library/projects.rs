//! Edits of projects: made, renamed, selected, deleted.

use std::sync::Arc;
use std::time::Instant;

use ulid::Ulid;

use super::catalogue::{is_foreign, keep};
use super::documents;
use super::error::EditError;
use super::expected::Expected;
use super::librarian::Librarian;
use super::predecessor::Takeover;
use super::tag::Tag;
use super::view::View;
use crate::dmx::ProjectId;
use crate::engine;
use crate::kit::clock;
use crate::store::{Batch, Tree};
use crate::wire::{Project, ProjectEdit};

/// Most projects: the light of each is written whole at the head of every journal, 512 bytes per universe.
const MAX_PROJECTS: usize = 100;

impl Librarian {
    pub(super) async fn create(&self, edit: ProjectEdit, expected: &Expected) -> Result<Arc<View>, EditError> {
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

    pub(super) async fn edit(
        &self,
        id: &ProjectId,
        edit: ProjectEdit,
        expected: &Expected,
    ) -> Result<Project, EditError> {
        let view = self.view();
        expected.meet([&Tag::of_project(&self.known(id)?), &view.catalogue.tag()])?;
        if is_foreign(&self.deps.store, id) {
            return Err(EditError::Foreign("what is known of this project"));
        }
        self.change(id, |project| project.edit(edit, clock::now_ms())).await
    }

    pub(super) async fn acknowledge_takeover(&self) -> Result<Arc<View>, EditError> {
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

    pub(super) async fn backed_up(&self, id: &ProjectId, at_ms: u64) -> Result<(), EditError> {
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

    pub(super) async fn select(&self, id: &ProjectId, expected: &Expected) -> Result<Arc<View>, EditError> {
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

    pub(super) async fn delete(&self, id: &ProjectId, expected: &Expected) -> Result<Arc<View>, EditError> {
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
}
