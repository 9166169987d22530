//! The command topic: out of the stream into the engine, refusals onto the rejected topic.

use serde::Serialize;

use super::codec::QoS;
use super::hub::{Hub, Message};
use super::policy::Topics;
use crate::dmx::{Command, FieldError, Reason, Refusal};
use crate::engine::{Handle, Outcome, Submission};
use crate::kit::clock;

/// The engine behind the command topic.
pub(super) struct Commands {
    engine: Handle,
    topics: Topics,
}

/// What is said of a command that was not taken.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rejected<'a> {
    cmd_id: Option<&'a str>,
    client_id: &'a str,
    reason: &'static str,
    errors: &'a [FieldError],
    ts: u64,
}

impl Commands {
    pub(super) fn new(engine: Handle, topics: Topics) -> Self {
        Self { engine, topics }
    }

    /// Hands a command to the engine, waiting for room: the client that floods waits for its PUBACK.
    pub(super) async fn submit(&self, payload: &[u8]) -> Result<(Submission, String), Refusal> {
        let command = Command::from_json(payload)?;
        let id = command.id.to_string();
        Ok((self.engine.submit(command).await, id))
    }

    /// Tells the rejected topic, and the log unless `more` says that it was told a moment ago.
    pub(super) fn reject(&self, hub: &Hub, client: &str, refusal: &Refusal, more: Option<u64>) {
        hub.metrics.rejected.inc();
        hub.presence.rejected(client);
        if let Some(more) = more {
            let (id, reason) = (&refusal.cmd_id, refusal.reason.code());
            tracing::warn!(clientId = client, cmdId = id, reason, %refusal, more, "command_rejected");
        }
        let rejected = Rejected {
            cmd_id: refusal.cmd_id.as_deref(),
            client_id: client,
            reason: refusal.reason.code(),
            errors: &refusal.errors,
            ts: clock::now_ms(),
        };
        let payload = serde_json::to_vec(&rejected).unwrap_or_default(); // plain fields cannot fail
        hub.publish(Message { topic: &self.topics.rejected, payload: &payload, qos: QoS::AtLeastOnce, retain: false });
    }
}

/// The refusal an outcome stands for, when it does.
pub(super) fn refusal(outcome: Outcome, id: String) -> Option<Refusal> {
    let (reason, msg) = match outcome {
        Outcome::Applied { .. } | Outcome::Duplicate | Outcome::Stopping => return None,
        Outcome::Dropped | Outcome::Full => (Reason::QueueFull, "the command queue is full"),
    };
    Some(Refusal { cmd_id: Some(id), ..Refusal::whole(reason, msg) })
}
