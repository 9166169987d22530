//! Tags of documents: which content a client has seen (RFC 9110, 8.8.3). Made of the content and its project alone, so
//! that a tag means the same after a restart, after a restore, and whatever the clock says.

use std::fmt;
use std::sync::Arc;

use crate::kit::fingerprint::fingerprint;
use crate::wire::Project;

/// Names the content of a document, as `ETag` writes it: quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag of all parts in order.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(format!("\"{}\"", fingerprint(parts)).into())
    }

    /// The tag of a JSON value.
    pub(super) fn of_json(value: &impl serde::Serialize) -> Self {
        Self::of([&serde_json::to_vec(value).unwrap_or_default()[..]]) // plain fields: an error cannot happen
    }

    /// The tag of what people have written about a project. A backup or a saved scene changes its times, but is no edit of that.
    #[must_use]
    pub fn of_project(project: &Project) -> Self {
        let Project { id, name, venue, event_date, notes, created_at: _, updated_at: _, last_backup_at: _ } = project;
        Self::of_json(&(id, name, venue, event_date, notes))
    }

    /// This tag, joined with what changes without an edit: readers who ask for news (`If-None-Match`) see both, for an editor
    /// (`If-Match`) only this one counts.
    pub(super) fn beside(&self, unedited: &Self) -> Self {
        Self(format!("{}.{}", self.0.trim_end_matches('"'), unedited.0.trim_start_matches('"')).into())
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
