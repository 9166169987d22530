//! The command topics: out of the stream into engine and desk, refusals onto the rejected topic, acks onto theirs.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use super::codec::QoS;
use super::hub::{Hub, Message};
use super::policy::{self, CommandTopic, Topics};
use crate::desk::{self, Client, Desk};
use crate::dmx::{Ack, BlackoutOrder, Command, FieldError, Reason, Refusal, State};
use crate::engine::{Control, Handle, Outcome, Submission};
use crate::kit::clock;

/// Engine and desk behind the command topics.
pub(super) struct Commands {
    engine: Handle,
    desk: Desk,
    topics: Topics,
}

/// A command that was taken, and whose outcome is to come.
pub(super) enum Taken {
    /// The engine's outcome of the command with this id.
    Engine(Submission, String),
    /// The desk since.
    Control(oneshot::Receiver<Arc<State>>),
    /// An ack.
    Unified(desk::Taken),
}

/// Why a command was not taken, and where that is told.
pub(super) enum NotTaken {
    /// On the rejected topic.
    Rejected(Refusal),
    /// By an ack.
    Refused(Refusal),
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
    pub(super) fn new(engine: Handle, desk: Desk, topics: Topics) -> Self {
        Self { engine, desk, topics }
    }

    /// Hands a command on, waiting for room: the client that floods waits for its PUBACK.
    pub(super) async fn take(&self, topic: CommandTopic, client: &str, payload: &[u8]) -> Result<Taken, NotTaken> {
        match topic {
            CommandTopic::Rgb => {
                let command = Command::from_json(payload).map_err(NotTaken::Rejected)?;
                let id = command.id.to_string();
                Ok(Taken::Engine(self.engine.submit(command).await, id))
            }
            CommandTopic::Blackout => {
                let order = BlackoutOrder::from_json(payload).map_err(NotTaken::Rejected)?;
                let control = Control::Blackout { on: order.on, over: order.over() };
                Ok(Taken::Control(self.engine.order(control).await))
            }
            CommandTopic::Unified => {
                let taken = self.desk.take(payload, Client::Mqtt(client.into())).await;
                taken.map(Taken::Unified).map_err(NotTaken::Refused)
            }
        }
    }

    /// Answers a unified command that was not taken, and tells the log as above.
    pub(super) fn refuse(&self, hub: &Hub, client: &str, refusal: Refusal, more: Option<u64>) {
        self.note(hub, client, &refusal, more);
        self.ack(hub, &Ack::refused(refusal, clock::now_ms()));
    }

    fn note(&self, hub: &Hub, client: &str, refusal: &Refusal, more: Option<u64>) {
        hub.metrics.rejected.inc();
        hub.presence.rejected(client);
        if let Some(more) = more {
            let (id, reason) = (&refusal.cmd_id, refusal.reason.code());
            tracing::warn!(clientId = client, cmdId = id, reason, %refusal, more, "command_rejected");
        }
    }

    /// Answers a unified command.
    pub(super) fn ack(&self, hub: &Hub, ack: &Ack) {
        let payload = serde_json::to_vec(ack).unwrap_or_default(); // plain fields cannot fail
        hub.publish(Message { topic: policy::ACK, payload: &payload, qos: QoS::AtLeastOnce, retain: false });
    }

    /// Tells the rejected topic, and the log unless `more` says that it was told a moment ago.
    pub(super) fn reject(&self, hub: &Hub, client: &str, refusal: &Refusal, more: Option<u64>) {
        self.note(hub, client, refusal, more);
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
        // No colour is of one project only.
        Outcome::Applied { .. } | Outcome::Duplicate | Outcome::OtherProject | Outcome::Stopping => return None,
        Outcome::Dropped | Outcome::Full => (Reason::QueueFull, "the command queue is full"),
    };
    Some(Refusal { cmd_id: Some(id), ..Refusal::whole(reason, msg) })
}
