//! What `dmxd setup` found before the start, for `GET /readyz`: a file between two processes.

use std::fmt::Display;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::kit::health::Health;

/// Kind of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    /// Something about dmxd.toml.
    SetupFault,
    /// There is no DATA partition.
    DataMissing,
}

/// One thing that people should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) code: Kind,
    pub(super) message: String,
}

impl Note {
    pub(super) fn setup(message: impl Display) -> Self {
        Self { code: Kind::SetupFault, message: message.to_string() }
    }
}

/// Raises every note as a problem.
pub(crate) fn read_out(path: &Path, health: &Health) {
    match std::fs::read(path) {
        Ok(text) => raise(path, &text, health),
        Err(error) => tracing::warn!(%error, path = %path.display(), "setup_report"),
    }
}

fn raise(path: &Path, text: &[u8], health: &Health) {
    let notes: Vec<Note> = match serde_json::from_slice(text) {
        Ok(notes) => notes,
        Err(error) => return tracing::warn!(%error, path = %path.display(), "setup_report"),
    };
    for (n, Note { code, message }) in notes.into_iter().enumerate() {
        let code = match code {
            Kind::SetupFault => "SETUP_FAULT",
            Kind::DataMissing => "DATA_MISSING",
        };
        tracing::warn!(code, problem = %message, "setup_problem");
        health.raise_for(code, &format!("{n:04}"), message);
    }
}
