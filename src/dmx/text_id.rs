//! Ids that are text: of commands, senders, projects, backups, scenes. Each is a type of its own, so that none can stand
//! in for another. Parsed at the border, trusted inside.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

/// An id: a function turns a text into one, or gives the error. Clones share the text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $read:path => $error:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $read(text).map(Self).ok_or($error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Id of a command: a ULID, kept in capital letters so that both spellings are one id, or any short text.
    CommandId, ulid => NotAUlid
);
text_id!(
    /// Who sent a command: 1..=64 characters.
    Source, source => NotASource
);
text_id!(
    /// Id of a project. Like that of a backup, safe as a file name and in a URL: letters, digits, `-`, `_`, and `.` but not at
    /// its start.
    ProjectId, safe => NotAnId
);
text_id!(
    /// Id of a backup.
    VersionId, safe => NotAnId
);
text_id!(
    /// Id of a scene, unique within the project: 1..=128 characters.
    SceneId, scene => NotASceneId
);

text_id!(
    /// Id of a fixture or of a group of them, unique in the patch: 1..=128 characters.
    FixtureId, scene => NotAFixtureId
);
text_id!(
    /// Id of a fixture type: as that of a project.
    TypeId, safe => NotAnId
);

/// Longest id of a unified command, in characters.
pub const ID_CHARS: usize = 64;

/// The longest `src`, in characters.
pub const SOURCE_CHARS: usize = 64;

/// Longest id of a scene, in characters.
pub const SCENE_ID_CHARS: usize = 128;

/// Longest id of a project or backup: a slug with its ending; predecessors made ids of their own.
const SAFE_CHARS: usize = 128;

/// Characters of a slug that are taken from the name.
const SLUG_CHARS: usize = 40;

/// Characters of a ULID behind the slug: its last ones, which are the random ones.
const ENDING: usize = 6;

/// Why a text is not a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a ULID: 26 characters of 0-9 A-Z without I, L, O, U, the first 0..7")]
pub struct NotAUlid;

/// Why a text is not a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {SOURCE_CHARS} characters")]
pub struct NotASource;

/// Why a text is not an id of a project or backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 letters, digits, - or _ (and . but not first)")]
pub struct NotAnId;

/// Why a text is not an id of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a text of 1 to {SCENE_ID_CHARS} characters")]
pub struct NotASceneId;

/// Why a text is not an id of a fixture or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a text of 1 to {SCENE_ID_CHARS} characters")]
pub struct NotAFixtureId;

fn ulid(text: &str) -> Option<Arc<str>> {
    let upper = text.to_ascii_uppercase();
    // The ulid crate wraps a first character above 7 and reads I, L, O as digits; whatever does not print back unchanged is
    // refused.
    Ulid::from_string(&upper).is_ok_and(|id| id.to_string() == upper).then(|| upper.into())
}

fn source(text: &str) -> Option<Arc<str>> {
    within(text, SOURCE_CHARS)
}

fn scene(text: &str) -> Option<Arc<str>> {
    within(text, SCENE_ID_CHARS)
}

fn within(text: &str, most: usize) -> Option<Arc<str>> {
    (1..=most).contains(&text.chars().count()).then(|| text.into())
}

fn safe(text: &str) -> Option<Arc<str>> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = !text.is_empty() && text.len() <= SAFE_CHARS && !text.starts_with('.') && text.chars().all(safe);
    fits.then(|| text.into())
}

impl CommandId {
    /// The id of a unified command: 1..=64 characters. One that is a ULID is the same as in a lamp command.
    #[must_use]
    pub fn unified(text: &str) -> Option<Self> {
        ulid(text).or_else(|| within(text, ID_CHARS)).map(Self)
    }
}

impl From<Ulid> for CommandId {
    fn from(id: Ulid) -> Self {
        Self(id.to_string().into())
    }
}

impl Source {
    /// The source of a state that nobody has commanded yet.
    #[must_use]
    pub fn init() -> Self {
        Self("init".into())
    }

    /// A finger on a tablet: its older commands may be dropped when the queue is full.
    #[must_use]
    pub fn is_ui(&self) -> bool {
        &*self.0 == "ui" || self.0.starts_with("ui-")
    }
}

impl ProjectId {
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
        Self(format!("{slug}-{ending}").into())
    }
}

impl From<Ulid> for VersionId {
    fn from(id: Ulid) -> Self {
        Self(id.to_string().into())
    }
}

impl From<Ulid> for SceneId {
    fn from(id: Ulid) -> Self {
        Self(format!("scene-{id}").to_lowercase().into())
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
            assert_eq!(text.parse::<ProjectId>(), Err(NotAnId), "{text:?}");
            assert_eq!(text.parse::<VersionId>(), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn a_ulid_is_read_in_any_case_and_kept_in_capitals() {
        let id: CommandId = "01hzx3yj9yj3m5qaz3gz8k3qff".parse().unwrap();
        assert_eq!(id.as_str(), "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF");
    }

    #[test]
    fn what_is_no_ulid_is_refused() {
        for text in [
            "",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QF",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QFFF",
            "81HZX3YJ9YJ3M5QAZ3GZ8K3QFF",
            "I1HZX3YJ9YJ3M5QAZ3GZ8K3QFF",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QFU",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QÉ",
        ] {
            assert_eq!(text.parse::<CommandId>(), Err(NotAUlid), "{text}");
        }
    }

    #[test]
    fn a_source_counts_characters_not_bytes() {
        assert!("é".repeat(64).parse::<Source>().is_ok());
        assert!("é".repeat(65).parse::<Source>().is_err());
        assert!("".parse::<Source>().is_err());
    }

    #[test]
    fn only_ui_and_its_family_are_drags() {
        for (text, drag) in [("ui", true), ("ui-tablet", true), ("uid", false), ("UI", false), ("esp-ui", false)] {
            assert_eq!(text.parse::<Source>().unwrap().is_ui(), drag, "{text}");
        }
    }
}
