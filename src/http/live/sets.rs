//! Commands of one client on their way: submitted in the order they came, outcomes awaited together.

use std::future::pending;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout_at};
use warp::ws::Message;

use super::hub::Hub;
use super::wire;
use crate::desk::{Client, Taken};
use crate::dmx::{Ack, Command, Reason, Refusal};
use crate::engine::{Outcome, PATIENCE, Submission};
use crate::kit::budget::Share;
use crate::kit::clock;

/// Commands of one client that wait for the engine or for their outcome. When all places are taken, its socket is
/// not read until one is free: TCP holds the client back.
pub(super) const IN_FLIGHT: usize = 64;

/// What a client asks for.
pub(super) enum Asked {
    /// A colour; its broadcast is the answer.
    Set(Command),
    /// A unified command; it gets an ack.
    Unified(Vec<u8>),
}

/// A command of a client.
pub(super) struct Set {
    pub(super) asked: Asked,
    pub(super) arrived: Instant,
    /// The memory of what waits.
    pub(super) share: Option<Share>,
}

/// What was put into the queue.
pub(super) enum Given {
    /// By its id; `None`: there was no room.
    Set(String, Option<Submission>),
    Unified(Result<Taken, Refusal>),
}

/// Submits what comes until `commands` is closed. What was put into the queue is in `given` before the client's task does
/// anything else, and so before it hears of the change.
pub(super) async fn submit(hub: Hub, number: u64, mut commands: mpsc::Receiver<Set>, given: mpsc::Sender<Given>) {
    loop {
        let place = given.reserve().await.ok(); // Err: the client is gone; what it sent still counts
        let Some(Set { asked, arrived, share }) = commands.recv().await else { return };
        // Counted from its arrival: those that wait behind one another do not add up.
        let taken = take(&hub, number, asked, arrived + PATIENCE).await;
        drop(share); // the engine's queue has what is left of it
        if let Some(place) = place {
            place.send(taken);
        }
    }
}

/// Answers to come.
pub(super) struct Answers {
    given: mpsc::Receiver<Given>,
    /// `None` when the broadcast is the answer.
    pending: FuturesUnordered<BoxFuture<'static, Option<Message>>>,
}

impl Answers {
    pub(super) fn new(given: mpsc::Receiver<Given>) -> Self {
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

    /// Those that are known by now: the engine answers before anybody hears of the change, so that those of all changes
    /// that were heard of are among them.
    pub(super) fn known(&mut self) -> Vec<Message> {
        while let Ok(given) = self.given.try_recv() {
            self.pending.push(answer(given).boxed());
        }
        // Unconstrained: what is known is looked at also when the task has used up its turn.
        let next = || unconstrained(self.pending.next()).now_or_never().flatten();
        std::iter::from_fn(next).flatten().collect()
    }
}

/// Puts a command into the queue, where there must be room until `patience` ends.
async fn take(hub: &Hub, number: u64, asked: Asked, patience: Instant) -> Given {
    match asked {
        Asked::Set(command) => {
            let id = command.id.to_string();
            Given::Set(id, timeout_at(patience, hub.engine.submit(command)).await.ok())
        }
        Asked::Unified(body) => Given::Unified(hub.desk.take_until(&body, Client::Socket(number), patience).await),
    }
}

/// Waits for the outcome; no message when the broadcast is the answer.
async fn answer(given: Given) -> Option<Message> {
    match given {
        Given::Set(id, submission) => {
            let outcome = match submission {
                Some(mut submission) => submission.outcome().await,
                None => Outcome::Full,
            };
            refusal(id, outcome).map(|refusal| wire::error(&refusal))
        }
        Given::Unified(Ok(mut taken)) => taken.ack().await.map(|ack| wire::ack(&ack)),
        Given::Unified(Err(refusal)) => Some(wire::ack(&Ack::refused(refusal, clock::now_ms()))),
    }
}

fn refusal(id: String, outcome: Outcome) -> Option<Refusal> {
    let (reason, message) = match outcome {
        // The broadcast is the answer; a duplicate had its broadcast before.
        // No colour is of one project only.
        Outcome::Applied { .. } | Outcome::Duplicate | Outcome::OtherProject => return None,
        Outcome::Dropped => (Reason::QueueFull, "newer commands took the place of this one"),
        Outcome::Full => (Reason::QueueFull, "too many commands wait, try again later"),
        Outcome::Stopping => (Reason::Stopping, "the appliance is stopping"),
    };
    Some(Refusal { cmd_id: Some(id), ..Refusal::whole(reason, message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_told_with_its_id_and_what_was_is_not() {
        for (outcome, code) in [
            (Outcome::Applied { seq: 1 }, None),
            (Outcome::Duplicate, None),
            (Outcome::Dropped, Some("QUEUE_FULL")),
            (Outcome::Full, Some("QUEUE_FULL")),
            (Outcome::Stopping, Some("STOPPING")),
        ] {
            let refusal = refusal("x".into(), outcome);
            assert_eq!(refusal.as_ref().map(|r| r.reason.code()), code, "{outcome:?}");
            assert!(refusal.is_none_or(|r| r.cmd_id.as_deref() == Some("x")));
        }
    }
}
