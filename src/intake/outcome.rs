//! The outcome of what a door handed in, in one place: when it is known, and what it is called on the wire.

use std::sync::Arc;

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::dmx::State;
use crate::engine::{Outcome, Submission};
use crate::kit::clock;
use crate::library::{self, EditedScene, SceneError};
use crate::wire::{Ack, FieldError, NotEdited, Reason, Refusal};

/// Something that was accepted, and whose outcome is to come.
pub struct PendingOutcome {
    id: String,
    wait: Wait,
}

/// Who reports the outcome.
pub(super) enum Wait {
    /// A command.
    Engine(Submission),
    /// Master, blackout, fades.
    Desk(oneshot::Receiver<Arc<State>>),
    /// A scene.
    Library(oneshot::Receiver<Result<EditedScene, SceneError>>),
}

/// It was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It changed light; survives kill -9.
    Applied {
        /// The `seq` of its change.
        seq: u64,
    },
    /// Its id was seen before; nothing happened.
    Duplicate,
    /// It moved the desk; the state after it.
    Desk(Arc<State>),
}

impl PendingOutcome {
    pub(super) fn new(id: String, wait: Wait) -> Self {
        Self { id, wait }
    }

    /// Its id, as it was written.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The outcome. Cancel-safe; do not ask again after that.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn done(&mut self) -> Result<Done, Refusal> {
        let done = match &mut self.wait {
            Wait::Engine(submission) => of_engine(submission.outcome().await),
            Wait::Desk(state) => of_desk(state.await.ok()),
            Wait::Library(edited) => of_library(edited.await.ok()),
        };
        self.named(done)
    }

    /// The same, if it is known already.
    pub fn done_already(&mut self) -> Option<Result<Done, Refusal>> {
        let done = match &mut self.wait {
            Wait::Engine(submission) => of_engine(submission.outcome_already()?),
            Wait::Desk(state) => of_desk(already(state)?),
            Wait::Library(edited) => of_library(already(edited)?),
        };
        Some(self.named(done))
    }

    fn named(&self, done: Result<Done, Refusal>) -> Result<Done, Refusal> {
        done.map_err(|refusal| Refusal { cmd_id: Some(self.id.clone()).filter(|id| !id.is_empty()), ..refusal })
    }
}

/// The ack of a unified command; none while the appliance is stopping, since it was not taken.
#[must_use]
pub fn ack(id: &str, done: Result<Done, Refusal>) -> Option<Ack> {
    let now = clock::now_ms();
    match done {
        Ok(done) => Some(Ack::accepted(id.to_owned(), done == Done::Duplicate, now)),
        Err(refusal) if refusal.reason == Reason::Stopping => None,
        Err(refusal) => Some(Ack::refused(refusal, now)),
    }
}

/// There was no room in the queue for as long as the door would wait.
pub(super) fn full() -> Refusal {
    Refusal::whole(Reason::QueueFull, "too many commands wait; try again in a second")
}

/// It was not taken because the appliance is stopping.
#[must_use]
pub fn stopping() -> Refusal {
    Refusal::whole(Reason::Stopping, "the appliance is stopping")
}

/// What is wrong with the name of a scene.
pub(super) fn of_name(msg: &str) -> Refusal {
    let fault = FieldError { path: "/name".into(), msg: msg.into() };
    Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }
}

/// The words for the engine's outcomes.
fn of_engine(outcome: Outcome) -> Result<Done, Refusal> {
    Err(match outcome {
        Outcome::Applied { seq } => return Ok(Done::Applied { seq }),
        Outcome::Duplicate => return Ok(Done::Duplicate),
        Outcome::Dropped => Refusal::whole(Reason::QueueFull, "newer commands took the place of this one"),
        Outcome::Full => full(),
        Outcome::Overtaken => Refusal::whole(Reason::Stale, "a newer command of this client was here first"),
        Outcome::Replaced => Refusal::whole(
            Reason::RateLimited,
            "too many commands a second; a newer one has taken the place of this one",
        ),
        Outcome::OtherProject => {
            Refusal::whole(Reason::OtherProject, "the project or its patch was changed meanwhile; send it again")
        }
        Outcome::Stopping => stopping(),
    })
}

/// If nobody is left to answer, the appliance is stopping.
fn of_desk(state: Option<Arc<State>>) -> Result<Done, Refusal> {
    state.map(Done::Desk).ok_or_else(stopping)
}

/// The words for the library's outcomes; if nobody is left to answer, the appliance is stopping.
fn of_library(edited: Option<Result<EditedScene, SceneError>>) -> Result<Done, Refusal> {
    let failed = |reason, fault: &dyn std::fmt::Display| Err(Refusal::whole(reason, fault.to_string()));
    match edited {
        Some(Ok(edited)) => of_engine(edited.outcome),
        None | Some(Err(SceneError::Library(library::EditError::Stopping))) => Err(stopping()),
        Some(Err(SceneError::Edit(NotEdited::Refused(refusal)))) => Err(refusal),
        Some(Err(SceneError::Edit(fault @ NotEdited::NoScene(_)))) => failed(Reason::ValidationFailed, &fault),
        Some(Err(SceneError::Library(fault @ library::EditError::TooMuch(_)))) => {
            failed(Reason::ValidationFailed, &fault)
        }
        Some(Err(SceneError::Library(fault))) => failed(Reason::Internal, &fault),
    }
}

/// What a receiver has got already; `None`: nothing yet.
fn already<T>(receiver: &mut oneshot::Receiver<T>) -> Option<Option<T>> {
    match receiver.try_recv() {
        Ok(told) => Some(Some(told)),
        Err(TryRecvError::Closed) => Some(None),
        Err(TryRecvError::Empty) => None,
    }
}
