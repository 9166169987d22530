//! The board of present problems: the part of dmxd that has one puts it here, and `GET /readyz` lists them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

/// One problem, in words an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ActiveProblem", title = "ActiveProblem", description = "A present problem.")]
pub struct Problem {
    /// Kind, for programs: `STORAGE_IN_RAM`, ….
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
}

/// All present problems, at most one per code and subject. Clones share one board.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<(&'static str, String), String>>>);

impl Health {
    /// Raises a problem; true when it is new.
    pub fn raise(&self, code: &'static str, message: impl Into<String>) -> bool {
        self.raise_for(code, "", message)
    }

    /// The same for one of several subjects, an output for example.
    pub fn raise_for(&self, code: &'static str, subject: &str, message: impl Into<String>) -> bool {
        self.0.lock().insert((code, subject.to_owned()), message.into()).is_none()
    }

    /// Clears a problem; true when there was one.
    pub fn clear(&self, code: &'static str) -> bool {
        self.clear_for(code, "")
    }

    /// Clears the problem of one subject; true when there was one.
    pub fn clear_for(&self, code: &'static str, subject: &str) -> bool {
        self.0.lock().remove(&(code, subject.to_owned())).is_some()
    }

    /// All present problems, by code and subject.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.0.lock().iter().map(|(&(code, _), message)| Problem { code, message: message.clone() }).collect()
    }
}
