//! The command topics: out of the stream into the intake.

use std::net::IpAddr;

use super::policy::{CommandTopic, Topics};
use crate::access::Identity;
use crate::intake::{self, Client, Done, IncomingCommand, Intake, Sender};
use crate::wire::{Reason, Refusal};

/// The intake behind the command topics.
pub(super) struct Commands {
    intake: Intake,
    pub(super) topics: Topics,
}

/// A command that was accepted, and whose outcome is to come.
pub(super) struct PendingCommand {
    taken: intake::PendingOutcome,
    topic: CommandTopic,
}

/// What became of a command; for `Hub::answer`.
pub(super) struct Outcome {
    /// Its id.
    pub(super) id: String,
    pub(super) done: Result<Done, Refusal>,
    pub(super) topic: CommandTopic,
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

impl Commands {
    pub(super) fn new(intake: Intake, topics: Topics) -> Self {
        Self { intake, topics }
    }

    /// Hands a command on, waiting for room: a client that floods waits for its PUBACK.
    pub(super) async fn take(
        &self,
        topic: CommandTopic,
        (client, who, from): (&str, Identity, Option<IpAddr>),
        payload: &[u8],
    ) -> Result<PendingCommand, Refusal> {
        let asked = match topic {
            CommandTopic::Rgb => IncomingCommand::Lamp(payload),
            CommandTopic::Blackout => IncomingCommand::Blackout(payload),
            CommandTopic::Unified => IncomingCommand::Unified(payload),
        };
        let taken = self.intake.take(asked, &Sender::new(Client::Mqtt(client.into()), who).from(from)).await?;
        Ok(PendingCommand { taken, topic })
    }
}
