//! The list of projects, and which one is active. Pure.

use super::Tag;
use crate::dmx::ProjectId;
use crate::wire::Project;

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
