//! Commands of one client on their way: handed in in the order they came, with their outcomes awaited together.

use std::future::pending;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::Instant;
use warp::ws::Message;

use super::hub::Hub;
use super::wire::{self, Kind};
use crate::engine::PATIENCE;
use crate::intake::{self, IncomingCommand, PendingOutcome, Sender};
use crate::kit::budget::Share;
use crate::kit::clock;
use crate::wire::{Ack, Object, Refusal};

/// Commands of one client that wait for the engine or for their outcome. When all places are taken, its socket is not read
/// until one is free: TCP then holds the client back.
pub(super) const IN_FLIGHT: usize = 64;

/// A command of a client.
pub(super) struct Set {
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
    pub(super) sender: Sender,
    pub(super) arrived: Instant,
    /// The memory of what waits.
    pub(super) share: Share,
}

/// What was handed in.
pub(super) type Submitted = (Kind, Result<PendingOutcome, Refusal>);

/// Hands in what comes until `commands` is closed. Whatever is in the queue is in `given` before the client's task does
/// anything else, and so before it receives the change.
pub(super) async fn submit(hub: Hub, mut commands: mpsc::Receiver<Set>, given: mpsc::Sender<Submitted>) {
    loop {
        let place = given.reserve().await.ok(); // Err: the client is gone; what it sent still counts
        let Some(Set { kind, body, sender, arrived, share }) = commands.recv().await else { return };
        let command = match kind {
            Kind::Set => IncomingCommand::Set(&body),
            Kind::Unified => IncomingCommand::Unified(&body),
        };
        // counted from its arrival, so that waiting times of commands behind each other do not add up
        let taken = hub.intake.take_until(command, &sender, arrived + PATIENCE).await;
        drop(share); // the engine's queue gets the rest of that time
        if let Some(place) = place {
            place.send((kind, taken));
        }
    }
}

/// Answers to come.
pub(super) struct Answers {
    given: mpsc::Receiver<Submitted>,
    /// `None` if the broadcast is the answer.
    pending: FuturesUnordered<BoxFuture<'static, Option<Message>>>,
}

impl Answers {
    pub(super) fn new(given: mpsc::Receiver<Submitted>) -> Self {
        Self { given, pending: FuturesUnordered::new() }
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Message {
        loop {
            tokio::select! {
                Some(given) = self.given.recv(), if self.pending.len() < IN_FLIGHT => self.pending.push(answer(given).boxed()),
                Some(answer) = self.pending.next() => if let Some(answer) = answer {
                    return answer;
                },
                else => pending().await,
            }
        }
    }

    /// Those known by now. The engine answers before anybody receives the change, so the answers to all changes received so far
    /// are among them.
    pub(super) fn known(&mut self) -> Vec<Message> {
        while let Ok(given) = self.given.try_recv() {
            self.pending.push(answer(given).boxed());
        }
        // unconstrained: known answers count even when the task has used up its turn
        let next = || unconstrained(self.pending.next()).now_or_never().flatten();
        std::iter::from_fn(next).flatten().collect()
    }
}

/// The answer to a command that was not even handed in.
pub(super) fn refused(kind: Kind, body: &[u8], refusal: Refusal) -> Message {
    let id = |name| Object::parse(body).ok().and_then(|object| object.string(name));
    match kind {
        Kind::Set => wire::error(&Refusal { cmd_id: id("cmdId"), ..refusal }),
        Kind::Unified => wire::ack(&Ack::refused(Refusal { cmd_id: id("id"), ..refusal }, clock::now_ms())),
    }
}

/// Waits for the outcome; gives no message if the broadcast is the answer, or for a unified command that the stop kept
/// out.
async fn answer((kind, taken): Submitted) -> Option<Message> {
    match (kind, taken) {
        (Kind::Set, Err(refusal)) => Some(wire::error(&refusal)),
        (Kind::Set, Ok(mut taken)) => taken.done().await.err().map(|refusal| wire::error(&refusal)),
        (Kind::Unified, Err(refusal)) => Some(wire::ack(&Ack::refused(refusal, clock::now_ms()))),
        (Kind::Unified, Ok(mut taken)) => {
            let done = taken.done().await;
            intake::ack(taken.id(), done).map(|ack| wire::ack(&ack))
        }
    }
}
