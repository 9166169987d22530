//! The desk: takes unified commands from every door, one way for all. Levels go to the engine as they are; a scene becomes
//! levels here, or is kept by the library.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::dmx::{
    Ack, Command, CommandId, FieldError, Look, NotEdited, Object, Order, Patch, Reason, Refusal, SceneEdit, Source,
    Unified, UniverseId,
};
use crate::engine::{Handle, Outcome, Submission};
use crate::kit::clock;
use crate::kit::limiter::Limiter;
use crate::library::{self, EditedScene, Library, SceneFault, View};

/// Unified commands a second from one client to one universe (CONTRACT, section 5).
const PER_SECOND: u32 = 60;

/// What a command is told for which there was no room.
const FULL: &str = "too many commands wait, try again later";

/// Who asks, as far as limits go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A REST client's address.
    Rest(IpAddr),
    /// A WebSocket connection's number.
    Socket(u64),
    /// An MQTT client's id.
    Mqtt(Arc<str>),
}

impl Client {
    /// The source of a command that names none.
    fn source(&self) -> &'static str {
        match self {
            Self::Rest(_) => "rest",
            Self::Socket(_) => "ws",
            Self::Mqtt(_) => "mqtt",
        }
    }
}

/// Where unified commands are taken. Clones share one desk.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    engine: Handle,
    library: Library,
    universes: u8,
    limiter: Limiter<(Client, Option<UniverseId>)>,
}

/// A command that was taken, and whose outcome is to come.
pub struct Taken {
    id: String,
    outcome: Pending,
}

enum Pending {
    Engine(Submission),
    Library(oneshot::Receiver<Result<EditedScene, SceneFault>>),
}

impl Desk {
    /// `universes`: those from 0 on that may be commanded.
    #[must_use]
    pub fn new(engine: Handle, library: Library, universes: u8) -> Self {
        Self(Arc::new(Inner { engine, library, universes, limiter: Limiter::new(PER_SECOND) }))
    }

    /// Takes a command as it came, waiting for room in the queue as long as it takes.
    ///
    /// # Errors
    /// What is wrong with it; nothing else happened.
    pub async fn take(&self, body: &[u8], client: Client) -> Result<Taken, Refusal> {
        let door: Source = client.source().parse().map_err(|e| Refusal::whole(Reason::Internal, format!("{e}")))?;
        let unified = Unified::from_json(body, &door, self.0.universes)?;
        let Unified { written_id, id, source, order } = unified;
        let refuse = |refusal: Refusal| Refusal { cmd_id: Some(written_id.clone()), ..refusal };
        self.limit(client, order.universe()).map_err(refuse)?;
        let outcome = match order {
            Order::Levels { patch, over, easing } => {
                let command = Command { over, easing, ..Command::set(id, source, patch) };
                Pending::Engine(self.0.engine.submit(command).await)
            }
            Order::Recall { name, over } => {
                let view = self.0.library.view();
                let look = view.look(&name).ok_or_else(|| refuse(of_name("is no scene of this project")))?;
                if look.is_empty() {
                    return Err(refuse(of_name("is a scene without channels")));
                }
                Pending::Engine(self.0.engine.submit(recall(id, source, &view, look, over)).await)
            }
            Order::Save { name, levels } => {
                let edit = SceneEdit::Save { name, levels, id: ulid::Ulid::generate() };
                Pending::Library(self.0.library.order_scene(edit, Some(nothing(id, source))).await)
            }
        };
        Ok(Taken { id: written_id, outcome })
    }

    /// The same for a door that waits for room until a moment only (REST, WebSocket).
    ///
    /// # Errors
    /// As above, and `QUEUE_FULL`.
    pub async fn take_until(&self, body: &[u8], client: Client, patience: Instant) -> Result<Taken, Refusal> {
        timeout_at(patience, self.take(body, client)).await.unwrap_or_else(|_| {
            let id = Object::parse(body).ok().and_then(|object| object.string("id"));
            Err(Refusal { cmd_id: id, ..Refusal::whole(Reason::QueueFull, FULL) })
        })
    }

    /// Recalls a scene by its id; the outcome, or `None` when there is no such scene.
    ///
    /// # Errors
    /// Too often, or there is no light in the scene.
    pub async fn recall(
        &self,
        scene: &str,
        client: Client,
        over: Option<Duration>,
    ) -> Result<Option<Submission>, Refusal> {
        let source = client.source().parse().map_err(|e| Refusal::whole(Reason::Internal, format!("{e}")))?;
        let view = self.0.library.view();
        let Some(look) = view.looks().iter().find(|look| *look.id == *scene) else { return Ok(None) };
        if look.is_empty() {
            return Err(Refusal::whole(Reason::ValidationFailed, "this scene has no channels"));
        }
        self.limit(client, None)?;
        let command = recall(ulid::Ulid::generate().into(), source, &view, look, over);
        Ok(Some(self.0.engine.submit(command).await))
    }

    fn limit(&self, client: Client, universe: Option<UniverseId>) -> Result<(), Refusal> {
        if self.0.limiter.takes((client, universe), Instant::now()) {
            return Ok(());
        }
        let fault = format!("more than {PER_SECOND} commands a second to one universe");
        Err(Refusal::whole(Reason::RateLimited, fault))
    }
}

/// What is wrong with the name of a scene.
fn of_name(msg: &str) -> Refusal {
    let fault = FieldError { path: "/name".into(), msg: msg.into() };
    Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }
}

/// A scene as a command.
fn recall(id: CommandId, source: Source, view: &View, look: &Look, over: Option<Duration>) -> Command {
    Command {
        patches: look.patches(),
        project: Some(view.catalogue.active.clone()),
        over: over.unwrap_or(look.over),
        scene: Some(look.id.clone()),
        ..nothing(id, source)
    }
}

/// A command that moves nothing.
fn nothing(id: CommandId, source: Source) -> Command {
    Command {
        patches: Vec::new(),
        ..Command::set(id, source, Patch { universe: UniverseId::LAMP, levels: Vec::new() })
    }
}

impl Taken {
    /// What became of it. Cancel-safe; not to be asked again after that.
    pub async fn ack(&mut self) -> Option<Ack> {
        let outcome = match &mut self.outcome {
            Pending::Engine(submission) => Ok(submission.outcome().await),
            Pending::Library(edited) => saved(edited.await.ok()),
        };
        ack(self.id.clone(), outcome)
    }

    /// The same, when it is known already.
    pub fn ack_already(&mut self) -> Option<Option<Ack>> {
        let outcome = match &mut self.outcome {
            Pending::Engine(submission) => Ok(submission.outcome_already()?),
            Pending::Library(edited) => match edited.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return None,
                edited => saved(edited.ok()),
            },
        };
        Some(ack(self.id.clone(), outcome))
    }
}

/// What became of a scene that was to be kept; nobody who answers any more is a stop.
fn saved(edited: Option<Result<EditedScene, SceneFault>>) -> Result<Outcome, Refusal> {
    match edited {
        Some(Ok(edited)) => Ok(edited.outcome),
        Some(Err(fault)) => refusal(fault),
        None => Ok(Outcome::Stopping),
    }
}

/// The ack that an outcome stands for; none while the appliance is stopping: it was not taken.
fn ack(id: String, outcome: Result<Outcome, Refusal>) -> Option<Ack> {
    let now = clock::now_ms();
    let full = |msg: &str| {
        let refusal = Refusal { cmd_id: Some(id.clone()), ..Refusal::whole(Reason::QueueFull, msg) };
        Some(Ack::refused(refusal, now))
    };
    match outcome {
        Ok(Outcome::Applied { .. }) => Some(Ack::accepted(id, false, now)),
        Ok(Outcome::Duplicate) => Some(Ack::accepted(id, true, now)),
        Ok(Outcome::Dropped) => full("newer commands took the place of this one"),
        Ok(Outcome::Full) => full(FULL),
        Ok(Outcome::OtherProject) => {
            let refusal = of_name("was a scene of the project before; recall it again");
            Some(Ack::refused(Refusal { cmd_id: Some(id), ..refusal }, now))
        }
        Ok(Outcome::Stopping) => None,
        Err(refusal) => Some(Ack::refused(Refusal { cmd_id: Some(id), ..refusal }, now)),
    }
}

/// Why the library did not keep a scene.
fn refusal(fault: SceneFault) -> Result<Outcome, Refusal> {
    let failed = |reason, fault: &dyn std::fmt::Display| Err(Refusal::whole(reason, fault.to_string()));
    match fault {
        SceneFault::Edit(NotEdited::Refused(refusal)) => Err(refusal),
        SceneFault::Edit(fault @ NotEdited::NoScene(_)) => failed(Reason::ValidationFailed, &fault),
        SceneFault::Library(library::Fault::Stopping) => Ok(Outcome::Stopping),
        SceneFault::Library(fault @ library::Fault::TooMuch(_)) => failed(Reason::ValidationFailed, &fault),
        SceneFault::Library(fault) => failed(Reason::Internal, &fault),
    }
}
