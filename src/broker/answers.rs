//! What clients learn of their commands: refusals on the rejected topic, acks on theirs.

use serde::Serialize;

use super::codec::QoS;
use super::commands::Outcome;
use super::hub::{Hub, Message};
use super::policy::{self, CommandTopic};
use crate::intake;
use crate::kit::clock;
use crate::wire::{Ack, FieldError, Refusal};

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

impl Hub {
    /// Publishes the outcome of a command: an ack for a unified one, for any other only a refusal.
    pub(super) fn answer(&self, client: &str, outcome: Outcome) {
        let Outcome { id, done, topic } = outcome;
        match (topic, done) {
            (CommandTopic::Unified, done) => {
                if let Some(ack) = intake::ack(&id, done) {
                    self.ack(&ack);
                }
            }
            (CommandTopic::Rgb | CommandTopic::Blackout, Ok(_)) => {}
            (CommandTopic::Rgb | CommandTopic::Blackout, Err(refusal)) => self.refuse(client, topic, refusal, None),
        }
    }

    /// Publishes a refusal where the clients of its topic listen, and logs it unless that was done a moment ago.
    pub(super) fn refuse(&self, client: &str, topic: CommandTopic, refusal: Refusal, more: Option<u64>) {
        self.note_refusal(client, &refusal, more);
        match topic {
            CommandTopic::Unified => self.ack(&Ack::refused(refusal, clock::now_ms())),
            CommandTopic::Rgb | CommandTopic::Blackout => self.reject(client, &refusal),
        }
    }

    fn note_refusal(&self, client: &str, refusal: &Refusal, more: Option<u64>) {
        self.metrics.rejected.inc();
        self.presence.rejected(client);
        if let Some(more) = more {
            let (id, reason) = (&refusal.cmd_id, refusal.reason.code());
            tracing::warn!(clientId = client, cmdId = id, reason, %refusal, more, "command_rejected");
        }
    }

    fn ack(&self, ack: &Ack) {
        self.tell(policy::ACK, ack);
    }

    fn reject(&self, client: &str, refusal: &Refusal) {
        let rejected = Rejected {
            cmd_id: refusal.cmd_id.as_deref(),
            client_id: client,
            reason: refusal.reason.code(),
            errors: &refusal.errors,
            ts: clock::now_ms(),
        };
        self.tell(&self.commands.topics.rejected, &rejected);
    }

    fn tell(&self, topic: &str, what: &impl Serialize) {
        let payload = serde_json::to_vec(what).unwrap_or_default(); // plain fields cannot fail
        self.publish(Message::ours(topic, &payload, QoS::AtLeastOnce, false));
    }
}
