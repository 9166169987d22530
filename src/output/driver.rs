//! What a family of outputs must provide: how to open its wire, and how to put a frame on it. A driver knows bytes and
//! words for people; time, retries and health are the runner's.

use std::future::{Future, ready};

use crate::dmx::Frame;

/// Finds and opens the wire of one output.
pub(super) trait Driver: Send + 'static {
    /// Carries the frames.
    type Wire: Wire;

    /// What it looks for, for people: a device, an address.
    fn target(&self) -> String;

    /// A person asks for a new search: the next attempt leaves out nothing that was unsuitable before.
    fn look_again(&mut self) {}

    /// Whether an open wire is no longer the right one, since its device is elsewhere. Asked now and then.
    fn has_strayed(&mut self, _wire: &Self::Wire) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// One attempt, bounded in time. Dropped halfway, it leaves nothing open.
    fn open(&mut self) -> impl Future<Output = Result<Self::Wire, OutputError>> + Send;
}

/// An open wire. After an error it is dropped and reopened.
pub(super) trait Wire: Send {
    /// What was found, for people.
    fn target(&self) -> String;

    /// Why it is uncertain that frames are visible, and what to do about it.
    fn doubt(&self) -> Option<&'static str> {
        None
    }

    /// Reads back whether `frame`, the last one sent, is shown; `None` if that cannot be found out. Bounded in time, and dropped
    /// halfway when a frame cannot wait.
    fn proof(&mut self, _frame: &Frame) -> impl Future<Output = Option<ReadBack>> + Send {
        ready(None)
    }

    /// Puts a whole frame on the wire, bounded in time. Never dropped halfway.
    fn send(&mut self, frame: &Frame) -> impl Future<Output = Result<(), OutputError>> + Send;

    /// Closes it once everything is sent.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What reading back has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadBack {
    /// It shows what was sent.
    Ours,
    /// It shows something else; says what to do.
    Others(String),
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OutputError {
    /// For programs.
    pub kind: OutputErrorKind,
    /// What was being done, what went wrong and what to do.
    pub message: String,
}

/// Kinds of errors, as in the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputErrorKind {
    /// There is no such device.
    Absent,
    /// It is there, but cannot be opened or reached.
    Open,
    /// A frame was not sent completely.
    Write,
    /// It took too long.
    Timeout,
    /// Its answer was wrong.
    Answer,
}

impl OutputErrorKind {
    /// Every kind.
    pub(super) const ALL: [Self; 5] = [Self::Absent, Self::Open, Self::Write, Self::Timeout, Self::Answer];

    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Open => "open",
            Self::Write => "write",
            Self::Timeout => "timeout",
            Self::Answer => "answer",
        }
    }
}

impl OutputError {
    /// A fault in words that say what to do.
    pub(super) fn new(kind: OutputErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
