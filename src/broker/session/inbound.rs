//! Messages from one client, in order: each is handed on and acknowledged when its outcome is known, none before an
//! earlier one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::oneshot;

use crate::broker::codec::{self, Ack, Publish, QoS};
use crate::broker::commands;
use crate::broker::hub::{Hub, Message};
use crate::broker::policy::Publishing;
use crate::engine::{Outcome, Submission};

/// Messages of one client that may wait for their outcome; at more, its socket is not read.
const MOST: usize = 256;

/// What is waited for.
enum Wait {
    Nothing,
    /// The engine's outcome of the command with this id.
    Engine(Submission, String),
    /// The retained message is written, and handed on by that.
    Written(oneshot::Receiver<()>),
}

/// One message that was taken from the socket.
struct Step {
    wait: Wait,
    /// Handed on once the wait is over.
    message: Option<Publish>,
    qos: QoS,
    pkid: u16,
}

/// What the wait ended with.
pub(super) enum Ended {
    Done,
    Command(Outcome),
}

#[derive(Default)]
pub(super) struct Inbound {
    steps: VecDeque<Step>,
    /// QoS 2 messages taken and not yet released by PUBREL; kept from connection to connection.
    taken: HashSet<u16>,
    /// Whether this client was told off in the log for a topic that is dmxd's own.
    told_off: bool,
}

impl Inbound {
    pub(super) fn has_room(&self) -> bool {
        self.steps.len() < MOST
    }

    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// A new session: nothing of the old one counts.
    pub(super) fn clear(&mut self) {
        self.taken.clear();
        self.told_off = false;
    }

    /// Takes a message. Waits only for room in the engine's queue or the store's.
    pub(super) async fn take(&mut self, hub: &Arc<Hub>, client: &str, mut publish: Publish, out: &mut BytesMut) {
        hub.metrics.received.inc();
        let (qos, pkid) = (publish.qos, publish.pkid);
        // A will has no packet id and comes once.
        if qos == QoS::ExactlyOnce && pkid != 0 && !self.taken.insert(pkid) {
            // Sent again because our PUBREC was lost; while the first is under way its PUBREC is still to come.
            if !self.steps.iter().any(|step| step.pkid == pkid && step.qos == qos) {
                codec::ack(out, Ack::PubRec, pkid);
            }
            return;
        }
        let wait = match hub.policy.publish(&publish.topic) {
            Publishing::Denied => return self.refuse(hub, client, &publish, out),
            Publishing::Command => self.command(hub, client, &mut publish).await,
            Publishing::Allowed if publish.retain && self.may_retain(hub, client, &publish) => {
                let Publish { topic, payload, .. } = publish;
                let written = hub.retain(topic, payload, qos).await;
                return self.enqueue(hub, client, Step { wait: Wait::Written(written), message: None, qos, pkid }, out);
            }
            Publishing::Allowed => Wait::Nothing,
        };
        self.enqueue(hub, client, Step { wait, message: Some(publish), qos, pkid }, out);
    }

    /// PUBREL: the id is free again; PUBCOMP is the answer also to one that is unknown ([MQTT-4.3.3-2]).
    pub(super) fn release(&mut self, pkid: u16, out: &mut BytesMut) {
        self.taken.remove(&pkid);
        codec::ack(out, Ack::PubComp, pkid);
    }

    async fn command(&mut self, hub: &Hub, client: &str, publish: &mut Publish) -> Wait {
        if publish.retain {
            hub.metrics.retained_commands.inc();
            tracing::warn!(
                clientId = client,
                topic = publish.topic,
                "command_retained: applied once, not kept; publish it with retain = 0"
            );
            publish.retain = false;
        }
        match hub.commands.submit(&publish.payload).await {
            Ok((submission, id)) => Wait::Engine(submission, id),
            Err(refusal) => {
                hub.commands.reject(hub, client, &refusal);
                Wait::Nothing
            }
        }
    }

    fn may_retain(&self, hub: &Hub, client: &str, publish: &Publish) -> bool {
        let room = publish.payload.is_empty() || hub.has_room_to_retain(&publish.topic, &publish.payload);
        if !room {
            hub.metrics.dropped.inc();
            tracing::warn!(
                clientId = client,
                topic = publish.topic,
                "retained_full: delivered but not kept (mqtt.max_retained, mqtt.max_retained_bytes)"
            );
        }
        room
    }

    /// MQTT 3.1.1 has no way to say no to a message: it is acknowledged, counted, logged and goes nowhere.
    fn refuse(&mut self, hub: &Arc<Hub>, client: &str, publish: &Publish, out: &mut BytesMut) {
        hub.metrics.denied.inc();
        if !std::mem::replace(&mut self.told_off, true) {
            tracing::warn!(clientId = client, topic = publish.topic, "publish_denied: this topic is dmxd's own");
        }
        let Publish { qos, pkid, .. } = *publish;
        self.enqueue(hub, client, Step { wait: Wait::Nothing, message: None, qos, pkid }, out);
    }

    fn enqueue(&mut self, hub: &Arc<Hub>, client: &str, step: Step, out: &mut BytesMut) {
        if self.steps.is_empty() && matches!(step.wait, Wait::Nothing) {
            finish(hub, client, step, Ended::Done, out);
        } else {
            self.steps.push_back(step);
        }
    }

    /// Waits for the first message's outcome; for ever when nothing is under way. Cancel-safe. What it gives is for
    /// [`Inbound::settle`].
    pub(super) async fn ready(&mut self) -> Ended {
        match self.steps.front_mut() {
            Some(first) => first.wait.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Finishes the first message, and all behind it whose outcome is known already.
    pub(super) fn settle(&mut self, mut ended: Ended, hub: &Arc<Hub>, client: &str, out: &mut BytesMut) {
        while let Some(step) = self.steps.pop_front() {
            finish(hub, client, step, ended, out);
            match self.steps.front_mut().and_then(|next| next.wait.ended_already()) {
                Some(next) => ended = next,
                None => return,
            }
        }
    }
}

impl Wait {
    async fn ended(&mut self) -> Ended {
        match self {
            Self::Nothing => Ended::Done,
            Self::Engine(submission, _) => Ended::Command(submission.outcome().await),
            Self::Written(written) => {
                let _ = written.await; // Err: the store is closing; the answer is the same
                Ended::Done
            }
        }
    }

    fn ended_already(&mut self) -> Option<Ended> {
        match self {
            Self::Nothing => Some(Ended::Done),
            Self::Engine(submission, _) => submission.outcome_already().map(Ended::Command),
            Self::Written(written) => match written.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => None,
                _ => Some(Ended::Done),
            },
        }
    }
}

/// Hands a message on and acknowledges it.
fn finish(hub: &Arc<Hub>, client: &str, step: Step, ended: Ended, out: &mut BytesMut) {
    if let Ended::Command(outcome) = ended {
        if outcome == Outcome::Stopping {
            return; // not applied, so not acknowledged: the client sends it again to the next run
        }
        if let Wait::Engine(_, id) = step.wait
            && let Some(refusal) = commands::refusal(outcome, id)
        {
            hub.commands.reject(hub, client, &refusal);
        }
    }
    if let Some(Publish { topic, payload, qos, .. }) = &step.message {
        hub.publish(Message { topic, payload, qos: *qos, retain: false });
    }
    match step.qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => codec::ack(out, Ack::PubAck, step.pkid),
        QoS::ExactlyOnce => codec::ack(out, Ack::PubRec, step.pkid),
    }
}
