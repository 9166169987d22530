//! Why nothing is read, and what to do about it.

use std::io;

use crate::kit::tty::OpenError;

/// Why nothing is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    /// The settings name none.
    #[error("no port is named; set input.port (DMX_INPUT_PORT), /dev/ttyUSB1 for example")]
    NoPort,
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was cut off.
    #[error("reading {port}: {source} (was it unplugged?)")]
    Read {
        /// Where it was.
        port: String,
        /// What the system said.
        source: io::Error,
    },
}

impl InputError {
    /// Every kind.
    pub(super) const KINDS: [&str; 3] = ["absent", "open", "read"];

    /// The metric's label.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::NoPort => "absent",
            Self::Open(error) if error.is_absent() => "absent",
            Self::Open(_) => "open",
            Self::Read { .. } => "read",
        }
    }
}
