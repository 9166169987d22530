//! The board of present troubles: who has one hangs it up, `GET /readyz` reads it out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

/// One trouble, in words an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kind, for programs: `STORAGE_IN_RAM`, ….
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
}

/// All present troubles, one of a kind for each subject. Clones share one board.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<(&'static str, String), String>>>);

impl Health {
    /// Hangs up a trouble; true when it was not there before.
    pub fn raise(&self, code: &'static str, message: impl Into<String>) -> bool {
        self.raise_for(code, "", message)
    }

    /// Hangs up a trouble of one of several things that may have it, an output for example.
    pub fn raise_for(&self, code: &'static str, subject: &str, message: impl Into<String>) -> bool {
        self.0.lock().insert((code, subject.to_owned()), message.into()).is_none()
    }

    /// Takes a trouble down; true when it was there.
    pub fn clear(&self, code: &'static str) -> bool {
        self.clear_for(code, "")
    }

    /// Takes the trouble of one subject down; true when it was there.
    pub fn clear_for(&self, code: &'static str, subject: &str) -> bool {
        self.0.lock().remove(&(code, subject.to_owned())).is_some()
    }

    /// What hangs there now, by code and subject.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.0.lock().iter().map(|(&(code, _), message)| Problem { code, message: message.clone() }).collect()
    }
}
