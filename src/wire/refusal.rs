//! A refusal is data: one shape for REST, WebSocket and MQTT.

use schemars::JsonSchema;
use serde::Serialize;

use super::role::Role;

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not JSON at all (REST tells this apart with 400).
    NotJson,
    /// JSON of the wrong shape.
    ValidationFailed,
    /// A patch with too many channels.
    PatchTooLarge,
    /// More commands in a second than a client may send to one universe.
    RateLimited,
    /// A newer command of the same client has overtaken it.
    Stale,
    /// It was held up for so long that nobody expects it any more.
    Late,
    /// Who asks may not do that; the role that may.
    Forbidden(Role),
    /// There is no such scene.
    NoScene,
    /// Its scene belongs to a project that is no longer active.
    OtherProject,
    /// A kind of command that dmxd does not have.
    NotSupported,
    /// A fault of ours.
    Internal,
    /// The queue is full; try again later.
    QueueFull,
    /// The appliance is stopping.
    Stopping,
}

impl Reason {
    /// The word on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotJson | Self::ValidationFailed | Self::NoScene | Self::OtherProject => "VALIDATION_FAILED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::PatchTooLarge => "PATCH_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Stale => "STALE",
            Self::Late => "LATE",
            Self::NotSupported => "NOT_SUPPORTED",
            Self::Internal => "INTERNAL",
            Self::QueueFull => "QUEUE_FULL",
            Self::Stopping => "STOPPING",
        }
    }
}

/// One fault of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the faulty value; empty for the whole body.
    pub path: String,
    /// What would be valid.
    pub msg: String,
}

/// A refused command, and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// The kind.
    pub reason: Reason,
    /// The id as the client wrote it, if it could be read.
    pub cmd_id: Option<String>,
    /// Every fault found, in the order of the body.
    pub errors: Vec<FieldError>,
}

impl Refusal {
    /// A refusal of the body as a whole.
    #[must_use]
    pub fn whole(reason: Reason, msg: impl Into<String>) -> Self {
        Self { reason, cmd_id: None, errors: vec![FieldError { path: String::new(), msg: msg.into() }] }
    }

    fn sentence(&self) -> String {
        let faults = self.errors.iter().map(|e| match e.path.as_str() {
            "" => e.msg.clone(),
            path => format!("{path} {}", e.msg),
        });
        faults.collect::<Vec<_>>().join("; ")
    }
}

/// How many faults one refusal names; a body with a thousand unknown fields gets a short answer.
const MAX_FAULTS: usize = 16;

/// Collects the faults of a body while it is read.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    /// Adds one; `path` is a JSON pointer.
    pub(super) fn add(&mut self, path: impl Into<String>, msg: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldError { path: path.into(), msg: msg.into() });
        }
    }

    /// The same in place of whatever has been said of that path.
    pub(super) fn say(&mut self, path: &str, msg: impl Into<String>) {
        match self.0.iter_mut().find(|fault| fault.path == path) {
            Some(fault) => fault.msg = msg.into(),
            None => self.add(path, msg),
        }
    }

    /// Whether there is no room for more, so that nobody needs to look for them.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_FAULTS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.0
    }

    /// `value`, if there are no faults.
    pub(super) fn or_refuse<T>(self, value: T) -> Result<T, Refusal> {
        if self.is_empty() {
            return Ok(value);
        }
        Err(Refusal { reason: Reason::ValidationFailed, cmd_id: None, errors: self.0 })
    }
}

/// The JSON pointer (RFC 6901) to `name` inside of what `at` points to, cut to a length fit for an answer.
pub(super) fn pointer(at: &str, name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("{at}/{}", short.replace('~', "~0").replace('/', "~1"))
}
