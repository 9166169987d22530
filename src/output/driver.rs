//! What a family of outputs has to bring: how to open its wire and how to put a frame on it. A driver knows bytes and
//! people's words; time, retries and health are the runner's.

use std::future::{Future, ready};

use crate::dmx::Frame;

/// Finds and opens the wire of one output.
pub(super) trait Driver: Send + 'static {
    /// What frames are put on.
    type Wire: Wire;

    /// What is looked for, for people: a device, an address.
    fn target(&self) -> String;

    /// A person asks for a look: the next try leaves out nothing that was found unfit before.
    fn look_again(&mut self) {}

    /// Whether an open wire is not the right one any more: what it is to be is elsewhere. Asked now and then.
    fn has_strayed(&mut self, _wire: &Self::Wire) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// One try, bounded in time. Dropped in the middle, it leaves nothing open.
    fn open(&mut self) -> impl Future<Output = Result<Self::Wire, OutputError>> + Send;
}

/// An open wire. After an error it is dropped and opened anew.
pub(super) trait Wire: Send {
    /// What was found, for people.
    fn target(&self) -> String;

    /// Why it is not sure that what is sent there is seen, in words that say what to do.
    fn doubt(&self) -> Option<&'static str> {
        None
    }

    /// Reads back whether `frame`, the last one that was sent, is what is shown there; `None` when that cannot be told.
    /// Bounded in time, and dropped in the middle when a frame cannot wait.
    fn proof(&mut self, _frame: &Frame) -> impl Future<Output = Option<Proof>> + Send {
        ready(None)
    }

    /// Puts a whole frame on the wire, bounded in time. Never dropped in the middle.
    fn send(&mut self, frame: &Frame) -> impl Future<Output = Result<(), OutputError>> + Send;

    /// Closes it when what was sent is out.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What was read back of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It shows what was sent.
    Ours,
    /// It shows something else; in words that say what to do.
    Others(String),
}

/// Why nothing went out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OutputError {
    /// For programs.
    pub kind: OutputErrorKind,
    /// What was being done, what went wrong and what to do.
    pub message: String,
}

/// Kinds of faults, as the metric's label tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputErrorKind {
    /// There is no such device.
    Absent,
    /// It is there and cannot be opened or reached.
    Open,
    /// What was sent did not go out whole.
    Write,
    /// It took too long.
    Timeout,
    /// It answered something else than it should.
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
