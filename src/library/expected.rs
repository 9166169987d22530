//! The content that a client has seen of the document it edits: other content is not overwritten unseen (RFC 9110, 13.1.1).

use super::error::EditError;
use super::tag::Tag;

/// The content that a client expects to edit (`If-Match`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any content.
    #[default]
    Anything,
    /// One of these, as the client wrote them.
    OneOf(Vec<String>),
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
