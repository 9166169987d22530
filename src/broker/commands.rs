//! The command topics: commands go to the intake, refusals to the rejected topic, acks to theirs.

use serde::Serialize;

use super::codec::QoS;
use super::hub::{Hub, Message};
use super::policy::{self, CommandTopic, Topics};
use crate::intake::{self, Asked, Client, Done, Intake};
use crate::kit::clock;
use crate::wire::{Ack, FieldError, Reason, Refusal};

/// The intake behind the command topics.
pub(super) struct Commands {
    intake: Intake,
    topics: Topics,
}

/// A command that was accepted, and whose outcome is to come.
pub(super) struct PendingCommand {
    taken: intake::PendingOutcome,
    topic: CommandTopic,
}

/// The outcome of a command, for [`Commands::answer`].
pub(super) struct Outcome {
    /// Its id.
    id: String,
    done: Result<Done, Refusal>,
    topic: CommandTopic,
}

impl PendingCommand {
    /// The outcome. Cancel-safe.
    pub(super) async fn outcome(&mut self) -> Outcome {
        let done = self.taken.done().await;
        self.of(done)
    }

    /// The same, if it is known already.
    pub(super) fn outcome_already(&mut self) -> Option<Outcome> {
        let done = self.taken.done_already()?;
        Some(self.of(done))
    }

    fn of(&self, done: Result<Done, Refusal>) -> Outcome {
        Outcome { id: self.taken.id().to_owned(), done, topic: self.topic }
    }
}

impl Outcome {
    /// It was not taken because the appliance is stopping: the client will send it again.
    pub(super) fn is_stop(&self) -> bool {
        self.done.as_ref().is_err_and(|refusal| refusal.reason == Reason::Stopping)
    }
}

/// The words about a command that was not taken.
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
    pub(super) fn new(intake: Intake, topics: Topics) -> Self {
        Self { intake, topics }
    }

    /// Hands a command on, waiting for room: a client that floods waits for its PUBACK.
    pub(super) async fn take(
        &self,
        topic: CommandTopic,
        client: &str,
        payload: &[u8],
    ) -> Result<PendingCommand, Refusal> {
        let asked = match topic {
            CommandTopic::Rgb => Asked::Lamp(payload),
            CommandTopic::Blackout => Asked::Blackout(payload),
            CommandTopic::Unified => Asked::Unified(payload),
        };
        let taken = self.intake.take(asked, &Client::Mqtt(client.into()).into()).await?;
        Ok(PendingCommand { taken, topic })
    }

    /// Publishes the outcome of a command: an ack for a unified one, for any other only a refusal.
    pub(super) fn answer(&self, hub: &Hub, client: &str, outcome: Outcome) {
        let Outcome { id, done, topic } = outcome;
        match (topic, done) {
            (CommandTopic::Unified, done) => {
                if let Some(ack) = intake::ack(&id, done) {
                    self.ack(hub, &ack);
                }
            }
            (CommandTopic::Rgb | CommandTopic::Blackout, Ok(_)) => {}
            (CommandTopic::Rgb | CommandTopic::Blackout, Err(refusal)) => {
                self.refuse(hub, client, topic, refusal, None)
            }
        }
    }

    /// Publishes a refusal where the clients of its topic listen, and logs it unless that was done a moment ago.
    pub(super) fn refuse(&self, hub: &Hub, client: &str, topic: CommandTopic, refusal: Refusal, more: Option<u64>) {
        self.note(hub, client, &refusal, more);
        match topic {
            CommandTopic::Unified => self.ack(hub, &Ack::refused(refusal, clock::now_ms())),
            CommandTopic::Rgb | CommandTopic::Blackout => self.reject(hub, client, &refusal),
        }
    }

    fn note(&self, hub: &Hub, client: &str, refusal: &Refusal, more: Option<u64>) {
        hub.metrics.rejected.inc();
        hub.presence.rejected(client);
        if let Some(more) = more {
            let (id, reason) = (&refusal.cmd_id, refusal.reason.code());
            tracing::warn!(clientId = client, cmdId = id, reason, %refusal, more, "command_rejected");
        }
    }

    fn ack(&self, hub: &Hub, ack: &Ack) {
        self.tell(hub, policy::ACK, ack);
    }

    fn reject(&self, hub: &Hub, client: &str, refusal: &Refusal) {
        let rejected = Rejected {
            cmd_id: refusal.cmd_id.as_deref(),
            client_id: client,
            reason: refusal.reason.code(),
            errors: &refusal.errors,
            ts: clock::now_ms(),
        };
        self.tell(hub, &self.topics.rejected, &rejected);
    }

    fn tell(&self, hub: &Hub, topic: &str, what: &impl Serialize) {
        let payload = serde_json::to_vec(what).unwrap_or_default(); // plain fields cannot fail
        hub.publish(Message { topic, payload: &payload, qos: QoS::AtLeastOnce, retain: false });
    }
}
