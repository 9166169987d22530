//! Tags of documents: which content a client has seen (RFC 9110, 8.8.3). Made of the content and its project alone, so
//! that a tag means the same after a restart, after a restore, and whatever the clock says.

use std::fmt;
use std::sync::Arc;

use super::EditError;
use crate::kit::fingerprint::fingerprint;
use crate::wire::Project;

/// Names the content of a document, as `ETag` writes it: quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Arc<str>);

/// The content that a client expects to edit (`If-Match`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any content.
    #[default]
    Anything,
    /// One of these, as the client wrote them.
    OneOf(Vec<String>),
}

impl Tag {
    /// The tag of all parts in order.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(format!("\"{}\"", fingerprint(parts)).into())
    }

    /// The tag of a JSON value.
    pub(super) fn of_json(value: &impl serde::Serialize) -> Self {
        Self::of([&super::documents::json(value)[..]])
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

impl Expected {
    /// # Errors
    /// None of `tags`, the first of which is the document's own, was expected.
    pub(super) fn meet<'a>(&self, tags: impl IntoIterator<Item = &'a Tag>) -> Result<(), EditError> {
        let Self::OneOf(expected) = self else { return Ok(()) };
        // Compared weakly: a proxy that compresses makes our tags weak, and a fingerprint of content serves as well.
        let given =
            |tag: &Tag| expected.iter().any(|given| edited(given.trim_start_matches("W/")) == edited(tag.as_str()));
        let mut tags = tags.into_iter().peekable();
        let own = tags.peek().map(|&tag| tag.clone());
        if tags.any(given) { Ok(()) } else { Err(EditError::Outdated(own)) }
    }
}

/// The part of a tag that an edit changes.
fn edited(tag: &str) -> &str {
    tag.split_once('.').map_or(tag, |(edited, _)| edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_met_by_itself_weak_or_not_and_by_anything() {
        let (now, other) = (Tag::of([&b"now"[..]]), Tag::of([&b"other"[..]]));
        let meets =
            |given: &[&str]| Expected::OneOf(given.iter().map(|&tag| tag.to_owned()).collect()).meet([&now, &other]);
        assert_eq!(Expected::Anything.meet([&now]), Ok(()));
        assert_eq!(meets(&["\"x\"", now.as_str()]), Ok(()));
        assert_eq!(meets(&[&format!("W/{other}")]), Ok(()));
        let (before, since) = (now.beside(&other), now.beside(&now));
        assert_ne!(before, since);
        for (given, known) in [(&before, &since), (&since, &before)] {
            assert_eq!(Expected::OneOf(vec![given.to_string()]).meet([known]), Ok(()));
        }
        assert!(Expected::OneOf(vec![before.to_string()]).meet([&other.beside(&other)]).is_err());
        for given in [&[][..], &["\"x\""], &["now"], &[now.as_str().trim_matches('"')]] {
            assert_eq!(meets(given), Err(EditError::Outdated(Some(now.clone()))), "{given:?}");
        }
    }
}
