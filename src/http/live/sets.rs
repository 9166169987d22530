//! `set` commands of one client on their way: submitted in the order they came, outcomes awaited together.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use warp::ws::Message;

use super::wire;
use crate::dmx::{Command, Reason, Refusal};
use crate::engine::{Handle, Outcome, Submission};

/// Commands of one client that wait for the engine or for their outcome. When all places are taken, its socket is
/// not read until one is free: TCP holds the client back.
pub(super) const IN_FLIGHT: usize = 64;

/// How long a command waits for room in the queue (CONTRACT, section 1).
const PATIENCE: Duration = Duration::from_secs(1);

/// A command of a client.
pub(super) struct Set {
    pub(super) command: Command,
    pub(super) arrived: Instant,
}

/// Submits what comes until `commands` is closed, then waits for the last outcome. Only refusals are answered.
pub(super) async fn submit(engine: Handle, mut commands: mpsc::Receiver<Set>, refusals: mpsc::Sender<Message>) {
    let mut submitted = FuturesUnordered::new();
    let mut open = true;
    while open || !submitted.is_empty() {
        tokio::select! {
            command = commands.recv(), if open && submitted.len() < IN_FLIGHT => match command {
                None => open = false,
                Some(Set { command, arrived }) => {
                    let id = command.id.to_string();
                    // Counted from its arrival: those that wait behind one another do not add up.
                    match timeout_at(arrived + PATIENCE, engine.submit(command)).await {
                        Ok(submission) => submitted.push(outcome(id, submission)),
                        Err(_) => answer(&refusals, id, Outcome::Full).await,
                    }
                }
            },
            Some((id, outcome)) = submitted.next() => answer(&refusals, id, outcome).await,
        }
    }
}

async fn outcome(id: String, mut submission: Submission) -> (String, Outcome) {
    (id, submission.outcome().await)
}

async fn answer(refusals: &mpsc::Sender<Message>, id: String, outcome: Outcome) {
    if let Some(refusal) = refusal(id, outcome) {
        // Err: the client is gone, nobody wants to know.
        let _ = refusals.send(wire::error(&refusal)).await;
    }
}

fn refusal(id: String, outcome: Outcome) -> Option<Refusal> {
    let (reason, message) = match outcome {
        // The broadcast is the answer; a duplicate had its broadcast before.
        Outcome::Applied { .. } | Outcome::Duplicate => return None,
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
