//! Ids of projects and backups, which are also file names and parts of URLs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Longest id: a slug with its ending; predecessors made ids of their own.
const ID_CHARS: usize = 128;

/// Characters of a slug that are taken from the name.
const SLUG_CHARS: usize = 40;

/// Characters of a ULID behind the slug: its last ones, which are the random ones.
const ENDING: usize = 6;

/// An id that is safe as a file name and in a URL: letters, digits, `-`, `_`, and `.` but not at its start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SafeId(Box<str>);

/// Id of a project.
pub type ProjectId = SafeId;

/// Id of a backup.
pub type VersionId = SafeId;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 letters, digits, - or _ (and . but not first)")]
pub struct NotAnId;

impl SafeId {
    /// The only project while projects are off, and the first one otherwise.
    #[must_use]
    pub fn default_project() -> Self {
        Self("default".into())
    }

    /// An id for a new project: what of its name fits the alphabet, and the end of a fresh ULID.
    #[must_use]
    pub fn for_name(name: &str, fresh: Ulid) -> Self {
        let mut slug = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_alphanumeric() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            if slug.len() >= SLUG_CHARS {
                break;
            }
        }
        let slug = slug.trim_end_matches('-');
        let slug = if slug.is_empty() { "project" } else { slug };
        let fresh = fresh.to_string().to_ascii_lowercase();
        let ending = fresh.get(fresh.len().saturating_sub(ENDING)..).unwrap_or(&fresh);
        Self(format!("{slug}-{ending}").into_boxed_str())
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Ulid> for SafeId {
    fn from(id: Ulid) -> Self {
        Self(id.to_string().into_boxed_str())
    }
}

impl FromStr for SafeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = !text.is_empty() && text.len() <= ID_CHARS && !text.starts_with('.') && text.chars().all(safe);
        fits.then(|| Self(text.into())).ok_or(NotAnId)
    }
}

impl<'de> Deserialize<'de> for SafeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for SafeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_id_of_any_name_is_safe_and_short(name in "\\PC{0,120}", fresh: u128) {
            let id = ProjectId::for_name(&name, Ulid::from(fresh));
            prop_assert_eq!(id.as_str().parse::<ProjectId>(), Ok(id.clone()));
            prop_assert!(id.as_str().len() <= SLUG_CHARS + 1 + ENDING);
        }
    }

    #[test]
    fn an_id_tells_the_name_where_it_can() {
        let id = |name: &str| ProjectId::for_name(name, Ulid::from(0)).to_string();
        assert_eq!(id("Hamlet (2. act)"), "hamlet-2-act-000000");
        assert_eq!(id("Příliš žluťoučký"), "p-li-lu-ou-k-000000");
        assert_eq!(id("灯光"), "project-000000");
    }

    #[test]
    fn ids_lead_nowhere_else() {
        for text in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "č", "x\0", &"x".repeat(129)] {
            assert_eq!(text.parse::<SafeId>(), Err(NotAnId), "{text:?}");
        }
    }
}
