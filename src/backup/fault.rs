//! What can go wrong with a backup: a kind for programs, a sentence with the remedy for people. Never shows a key.

use std::fmt;

/// A backup, restore or look that did not succeed. Nothing was changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// What was being done, what went wrong, what to do.
    pub message: String,
}

/// Kinds of faults, each with its status in REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
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
    /// The stored bytes cannot be read: wrong key, damaged, truncated, of a foreign shape (422).
    Unreadable,
    /// What is kept cannot be read now, or the appliance is stopping (503).
    NotNow,
    /// The place where backups are kept said no (502).
    Refused,
    /// There is no room where backups are kept (502).
    Full,
    /// The place where backups are kept did not answer (502).
    Unreachable,
}

impl FaultKind {
    /// All of them.
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

    /// Its word in metrics and the log.
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

    /// Whether whoever asked asked for the wrong thing: not worth a line in the log.
    pub(super) fn is_the_askers(self) -> bool {
        match self {
            Self::Off | Self::NotFound | Self::NotActive | Self::Busy | Self::Foreign => true,
            Self::Unreadable | Self::NotNow | Self::Refused | Self::Full | Self::Unreachable => false,
        }
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn off() -> Self {
        Self::new(FaultKind::Off, "backups are switched off (set backup.enabled, DMX_CLOUD_BACKUP_ENABLED=true)")
    }

    pub(super) fn busy() -> Self {
        Self::new(FaultKind::Busy, "another backup or restore is under way; try again when it is done")
    }

    pub(super) fn not_active(project: impl fmt::Display) -> Self {
        Self::new(FaultKind::NotActive, format!("{project} is not the active project; select it first"))
    }

    pub(super) fn no_version(version: impl fmt::Display) -> Self {
        Self::new(FaultKind::NotFound, format!("there is no backup {version}"))
    }

    pub(super) fn foreign(from: impl fmt::Display, owner: impl fmt::Display, project: impl fmt::Display) -> Self {
        let message = format!("the backup {from} is of project {owner}; set force to restore it into {project}");
        Self::new(FaultKind::Foreign, message)
    }

    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self::new(FaultKind::Unreadable, why)
    }

    pub(super) fn stopping() -> Self {
        Self::new(FaultKind::NotNow, "the appliance is stopping; look at the outcome when it is back")
    }
}
