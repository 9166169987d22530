//! The board of present troubles: who has one hangs it up, `GET /readyz` reads it out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// One trouble, in words an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kind, for programs: `STORAGE_IN_RAM`, ….
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
}

/// All present troubles, one of a kind. Clones share one board.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// Hangs up a trouble; true when it was not there before.
    pub fn raise(&self, code: &'static str, message: impl Into<String>) -> bool {
        self.board().insert(code, message.into()).is_none()
    }

    /// Takes a trouble down; true when it was there.
    pub fn clear(&self, code: &'static str) -> bool {
        self.board().remove(code).is_some()
    }

    /// What hangs there now, by code.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.board().iter().map(|(&code, message)| Problem { code, message: message.clone() }).collect()
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
