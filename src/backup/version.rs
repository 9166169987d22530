//! A version: one backup of a project, as listed.

use std::cmp::Ordering;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::dmx::VersionId;
use crate::wire::{ID_PATTERN, LABEL_CHARS};

/// What is known about a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "BackupVersion", description = "One backup of a project.")]
pub struct Version {
    /// Its id.
    #[schemars(with = "String", regex(pattern = ID_PATTERN))]
    pub version_id: VersionId,
    /// Unix milliseconds.
    pub created_at: u64,
    /// Bytes as stored.
    pub size: u64,
    /// Its label.
    pub label: Option<String>,
    /// Its vault.
    pub provider: Provider,
    /// Whether it is sealed.
    pub encrypted: bool,
    /// Of the stored bytes, hexadecimal; a predecessor's versions have none.
    #[serde(skip)]
    pub sha256: Option<String>,
    /// Whether a restore made it, of the state that it replaced.
    #[serde(skip)]
    pub safety: bool,
    /// Its position in the order of making in its vault: one above the highest. Versions of other tools have none.
    #[serde(skip)]
    pub order: Option<u64>,
}

impl Version {
    /// The next position in a vault with these versions.
    pub(super) fn next_order(all: &[Self]) -> u64 {
        all.iter().filter_map(|version| version.order).max().map_or(1, |last| last.saturating_add(1))
    }

    /// Order of making in one vault. Versions without a position come before all others, by their times; a time after
    /// `now_ms` comes first of all, since some clock was wrong.
    pub(super) fn made_before(&self, other: &Self, now_ms: u64) -> Ordering {
        let key = |version: &Self| (version.order, version.created_at <= now_ms, version.created_at);
        key(self).cmp(&key(other)).then_with(|| self.version_id.cmp(&other.version_id))
    }
}

/// A kind of vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// In a folder.
    Local,
    /// In a bucket.
    S3,
}

impl Provider {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
        }
    }
}

/// A label: at most 200 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

/// Why a text is not a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {LABEL_CHARS} characters")]
pub struct NotALabel;

impl FromStr for Label {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, NotALabel> {
        if text.chars().count() > LABEL_CHARS { Err(NotALabel) } else { Ok(Self(text.to_owned())) }
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_counts_characters_not_bytes() {
        assert!("é".repeat(200).parse::<Label>().is_ok());
        assert_eq!("é".repeat(201).parse::<Label>(), Err(NotALabel));
    }

    #[test]
    fn a_version_is_written_as_the_contract_says() {
        let version = Version {
            version_id: "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF".parse().unwrap(),
            created_at: 7,
            size: 8,
            label: None,
            provider: Provider::S3,
            encrypted: true,
            sha256: Some("00".into()),
            safety: true,
            order: Some(3),
        };
        assert_eq!(
            serde_json::to_value(&version).unwrap(),
            serde_json::json!({
                "versionId": "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF", "createdAt": 7, "size": 8, "label": null,
                "provider": "s3", "encrypted": true
            })
        );
    }
}
