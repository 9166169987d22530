//! The projects there are, and which one is active.

use super::documents::json;
use super::tag::Tag;
use crate::dmx::ProjectId;
use crate::store::{Batch, Store, Tree};
use crate::wire::Project;

/// Format of what is stored for a project.
pub(super) const FORMAT: u8 = 1;

/// All projects, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// The active one, which is in the list.
    pub active: ProjectId,
    /// Never empty.
    pub projects: Vec<Project>,
}

impl Catalogue {
    pub(super) fn new(active: ProjectId, mut projects: Vec<Project>) -> Self {
        projects.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Self { active, projects }
    }

    /// The project with that id.
    #[must_use]
    pub fn get(&self, id: &ProjectId) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == *id)
    }

    /// The content that this list is: what people have written, and times, which backups and scenes change.
    #[must_use]
    pub fn tag(&self) -> Tag {
        let said = self.projects.iter().map(|project| Tag::of_project(project).to_string()).collect::<Vec<_>>();
        Tag::of_json(&(self.active.as_str(), said)).beside(&Tag::of_json(&self.projects))
    }

    pub(super) fn get_mut(&mut self, id: &ProjectId) -> Option<&mut Project> {
        self.projects.iter_mut().find(|project| project.id == *id)
    }
}

/// The name of a project that has no other.
pub(super) fn name_of(id: &ProjectId) -> &str {
    if *id == ProjectId::default_project() { "Default" } else { id.as_str() }
}

/// Stores what is known of a project. What another dmxd has stored of it stays: then this is forgotten at the stop.
pub(super) fn keep(store: &Store, batch: &mut Batch, project: &Project) {
    if !is_foreign(store, &project.id) {
        batch.put(Tree::Projects, project.id.as_str(), json(project));
    }
}

/// Whether another dmxd has stored what is known of a project, so that it cannot be read here.
pub(super) fn is_foreign(store: &Store, project: &ProjectId) -> bool {
    store.is_foreign(Tree::Projects, project.as_str().as_bytes(), FORMAT)
}
