//! What can go wrong with a backup: a kind for programs, a sentence with the remedy for people. Never contains a key.

use std::fmt;

use tokio::task::JoinError;

use crate::config;

/// A backup, restore or check that failed. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BackupError {
    /// Its kind.
    pub kind: BackupErrorKind,
    /// What was being done, what went wrong, what to do.
    pub message: String,
}

/// Kinds of errors, each with its status in REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupErrorKind {
    /// Backups are switched off (404).
    Off,
    /// There is no such project or version (404).
    NotFound,
    /// The project is not the active one (409).
    NotActive,
    /// Another backup or restore is under way (409).
    Busy,
    /// The version is another project's, and `force` was not set (409).
    Foreign,
    /// The stored bytes cannot be read: wrong key, damaged, truncated, of an unknown shape (422).
    Unreadable,
    /// What is stored cannot be read now, or the appliance is stopping (503).
    NotNow,
    /// The vault refused (502).
    Refused,
    /// The vault has no room (502).
    Full,
    /// The vault did not answer (502).
    Unreachable,
}

impl BackupErrorKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Off,
        Self::NotFound,
        Self::NotActive,
        Self::Busy,
        Self::Foreign,
        Self::Unreadable,
        Self::NotNow,
        Self::Refused,
        Self::Full,
        Self::Unreachable,
    ];

    /// Its word in metrics and in the log.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::NotFound => "not_found",
            Self::NotActive => "not_active",
            Self::Busy => "busy",
            Self::Foreign => "foreign",
            Self::Unreadable => "unreadable",
            Self::NotNow => "not_now",
            Self::Refused => "refused",
            Self::Full => "full",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether the request itself was wrong: not worth a line in the log.
    pub(super) fn is_the_askers(self) -> bool {
        match self {
            Self::Off | Self::NotFound | Self::NotActive | Self::Busy | Self::Foreign => true,
            Self::Unreadable | Self::NotNow | Self::Refused | Self::Full | Self::Unreachable => false,
        }
    }
}

impl BackupError {
    pub(super) fn new(kind: BackupErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn off() -> Self {
        let setting = config::setting("backup.enabled");
        let message = format!("backups are switched off: set {setting}; GET /about names the file");
        Self::new(BackupErrorKind::Off, message)
    }

    pub(super) fn busy() -> Self {
        Self::new(BackupErrorKind::Busy, "another backup or restore is under way; try again when it is done")
    }

    pub(super) fn not_active(project: impl fmt::Display) -> Self {
        Self::new(BackupErrorKind::NotActive, format!("{project} is not the active project; select it first"))
    }

    pub(super) fn no_version(version: impl fmt::Display) -> Self {
        Self::new(BackupErrorKind::NotFound, format!("there is no backup {version}"))
    }

    pub(super) fn foreign(from: impl fmt::Display, owner: impl fmt::Display, project: impl fmt::Display) -> Self {
        let message = format!("the backup {from} is of project {owner}; set force to restore it into {project}");
        Self::new(BackupErrorKind::Foreign, message)
    }

    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self::new(BackupErrorKind::Unreadable, why)
    }

    pub(super) fn damaged(why: &str) -> Self {
        Self::unreadable(format!("the backup is damaged or cut short ({why}); restore another version"))
    }

    pub(super) fn too_large(most: usize) -> Self {
        Self::unreadable(format!("the backup is larger than {most} bytes, so it is not one of a project"))
    }

    pub(super) fn stopping() -> Self {
        Self::new(BackupErrorKind::NotNow, "the appliance is stopping; look at the outcome when it is back")
    }
}

impl From<JoinError> for BackupError {
    /// As for `EditError`.
    fn from(_: JoinError) -> Self {
        Self::stopping()
    }
}
