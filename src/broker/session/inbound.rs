//! Messages from one client, in order: each is handed on and acknowledged when its outcome is known and all have been given
//! it, none before an earlier one. So whatever a client does then comes behind it, and one that says much waits for the
//! router.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::oneshot;

use super::aliases::Aliases;
use super::durable;
use crate::access::Identity;
use crate::broker::codec::{self, Ack, Connect, Limits, Publish, QoS, Reason, Version};
use crate::broker::commands::{Outcome, PendingCommand};
use crate::broker::hub::{Hub, Message};
use crate::broker::policy::{CommandTopic, Publishing};
use crate::broker::properties;
use crate::broker::rights::Grant;
use crate::kit::budget::Who;
use crate::kit::log_limiter::LogLimiter;
use crate::store::Batch;
use crate::wire::Refusal;

/// Messages of one client that may wait for their outcome, and their bytes; beyond that its socket is not read.
const MOST: usize = 256;
const MOST_BYTES: usize = 1 << 20;

/// What a message waits for.
enum Wait {
    Nothing,
    /// The outcome of a command.
    Command(PendingCommand),
    /// Its turn: a message to be retained goes to the store once those before it are done.
    Turn,
    /// The router owes less.
    Room(oneshot::Receiver<()>),
    /// The retained message is written, handed on by that, and all have been given it.
    Written(oneshot::Receiver<()>),
    /// It was handed on, all have been given it, and what it promises is written.
    Given(oneshot::Receiver<()>),
}

/// A message read from the socket, or the end of its handshake.
struct Step {
    wait: Wait,
    /// Handed on once the wait is over.
    message: Option<Publish>,
    bytes: usize,
    /// What to answer the client then.
    answer: Option<Answer>,
    /// To be written with what the message stores: that it was received. A kill before that is as if it had never come.
    note: Batch,
}

struct Answer {
    ack: Ack,
    pkid: u16,
    reason: Reason,
    /// For a refusal.
    why: Option<Box<str>>,
}

impl Answer {
    fn new(ack: Ack, pkid: u16) -> Self {
        Self { ack, pkid, reason: Reason::Success, why: None }
    }
}

impl Step {
    fn new(wait: Wait, publish: Publish) -> Self {
        let answer = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Answer::new(Ack::PubAck, publish.pkid)),
            QoS::ExactlyOnce => Some(Answer::new(Ack::PubRec, publish.pkid)),
        };
        Self { wait, bytes: publish.size(), message: Some(publish), answer, note: Batch::default() }
    }
}

impl Step {
    /// The client is told why it was not done; at QoS 2 only if nothing has been done with it, for its handshake ends there.
    fn refuse(&mut self, reason: Reason, why: String, ends: bool) {
        if let Some(answer) = self.answer.as_mut().filter(|answer| ends || answer.ack == Ack::PubAck) {
            (answer.reason, answer.why) = (reason, Some(why.into()));
        }
    }

    /// It was handed on, and nothing is waited for.
    fn is_done(&self) -> bool {
        self.message.is_none() && matches!(self.wait, Wait::Nothing)
    }
}

/// What the wait ended with.
pub(super) enum Ended {
    Done,
    Command(Outcome),
}

#[derive(Default)]
pub(super) struct Inbound {
    steps: VecDeque<Step>,
    bytes: usize,
    /// QoS 2 messages received and not yet released by PUBREL; kept across connections.
    taken: HashSet<u16>,
    /// Whose QoS 2 handshakes survive the process; `None`: nobody's.
    keeper: Option<String>,
    /// Who the client is.
    pub(super) who: Who,
    /// Who its login says it is; `None`: an earlier run's client, whose will this is.
    identity: Option<Identity>,
    /// What it may do; `None`: everything.
    grant: Option<Arc<Grant>>,
    /// Number of its session: what the client says has it, too.
    from: u64,
    version: Version,
    /// What answers the client takes.
    limits: Limits,
    pub(super) aliases: Aliases,
    /// Whether the client has spoken for a device.
    pub(super) is_device: bool,
    /// Limits log lines about this client.
    limiter: LogLimiter,
}

impl Inbound {
    /// Of the client of the session that has this number in the register.
    pub(super) fn of(number: u64) -> Self {
        Self { from: number, ..Self::default() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.steps.len() < MOST && self.bytes < MOST_BYTES
    }

    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// A client is there.
    pub(super) fn begin(&mut self, connect: &Connect, who: Who) {
        (self.who, self.version) = (who, connect.version);
        self.limits = connect.limits;
        self.aliases = Aliases::default();
    }

    /// Somebody may do this from now on.
    pub(super) fn admit(&mut self, identity: Identity, grant: Option<Arc<Grant>>) {
        (self.identity, self.grant) = (Some(identity), grant);
    }

    /// Only its will is still to come, which was allowed when it came: what is a command counts as this one's.
    pub(super) fn leave_to(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    /// What follows is a will, which was allowed when it came, or is over; gives what to put back then.
    pub(super) fn with_grant(&mut self, grant: Option<Arc<Grant>>) -> Option<Arc<Grant>> {
        std::mem::replace(&mut self.grant, grant)
    }

    /// What the client may do; `None`: everything.
    pub(super) fn grant(&self) -> Option<&Grant> {
        self.grant.as_deref()
    }

    /// Whether handshakes survive the process, and for which client.
    pub(super) fn keep(&mut self, keeper: Option<String>) {
        self.keeper = keeper;
    }

    /// Adds a message that an earlier run received and that was not released.
    pub(super) fn recall(&mut self, pkid: Option<u16>) {
        self.taken.extend(pkid);
    }

    /// Starts a new session: nothing of the old one counts.
    pub(super) fn clear(&mut self) {
        self.taken.clear();
    }

    /// Takes a message. Waits only for room in the engine's queue or the store's.
    pub(super) async fn take(&mut self, hub: &Arc<Hub>, client: &str, mut publish: Publish, out: &mut BytesMut) {
        hub.metrics.received.inc();
        let (qos, pkid) = (publish.qos, publish.pkid);
        // a will has no packet id and comes once
        if qos == QoS::ExactlyOnce && pkid != 0 && !self.taken.insert(pkid) {
            // sent again because our PUBREC was lost; while the first is under way, its PUBREC is still to come
            let is_it = |answer: &Answer| answer.ack == Ack::PubRec && answer.pkid == pkid;
            if !self.steps.iter().any(|step| step.answer.as_ref().is_some_and(is_it)) {
                codec::ack(out, self.version, Ack::PubRec, pkid, Reason::Success, "");
            }
            return;
        }
        let publishing = match hub.policy.publish(&publish.topic) {
            own @ Publishing::Denied => own,
            _ if self.grant.as_ref().is_some_and(|grant| !grant.may_write(&publish.topic)) => Publishing::Forbidden,
            free => free,
        };
        let is_fit = codec::matches_format(&publish.carried, &publish.payload);
        if publishing == Publishing::Allowed && is_fit {
            self.is_device |= hub.presence.published(client, &publish);
        }
        let note = match &self.keeper {
            Some(id) if qos == QoS::ExactlyOnce && pkid != 0 => durable::taken(id, pkid),
            _ => Batch::default(),
        };
        if qos > QoS::AtMostOnce {
            hub.store.room().await; // it may have to be stored
        }
        let mut step = match publishing {
            Publishing::Denied => Step { message: None, ..self.deny(hub, client, publish, "this topic is dmxd's own") },
            Publishing::Forbidden => {
                let why = "this client may not publish here (its role, or mqtt.acl)";
                Step { message: None, ..self.deny(hub, client, publish, why) }
            }
            Publishing::Allowed if !is_fit => Step { message: None, ..self.unfit(client, publish) },
            Publishing::Command(topic) => {
                // boxed: how a command goes takes more room than all else that a session waits for
                let taken = Box::pin(self.command(hub, client, topic, &mut publish)).await;
                let mut step = Step::new(Wait::Nothing, publish);
                match taken {
                    Ok(wait) => step.wait = wait,
                    Err(why) => step.refuse(Reason::Refused, why, false),
                }
                step
            }
            Publishing::Allowed if publish.retain && self.may_retain(hub, client, &publish) => {
                Box::pin(self.retain(hub, publish, &note)).await
            }
            Publishing::Allowed => Step::new(Wait::Nothing, publish),
        };
        step.note = note;
        self.bytes += step.bytes;
        self.steps.push_back(step);
        self.hand_on(hub);
        self.answer(out);
    }

    /// Hands on what those before it do not hold up.
    fn hand_on(&mut self, hub: &Arc<Hub>) {
        for step in &mut self.steps {
            match (&mut step.wait, &step.message) {
                (Wait::Given(_), _) | (Wait::Nothing, None) => {}
                (Wait::Nothing, Some(message)) => {
                    if let Some(room) = hub.room() {
                        step.wait = Wait::Room(room);
                        return;
                    }
                    let extra = &properties::of(message);
                    let Publish { topic, payload, qos, retain, .. } = message;
                    let (qos, retain, keep) = (*qos, *retain, false);
                    let message = Message { topic, payload, qos, retain, keep, extra, from: self.from };
                    let (given, wanted) = hub.give(message, std::mem::take(&mut step.note));
                    // dmxd itself has taken a command
                    let nobody = !wanted && !matches!(hub.policy.publish(topic), Publishing::Command(_));
                    (step.wait, step.message) = (given.map_or(Wait::Nothing, Wait::Given), None);
                    if let Some(answer) = step.answer.as_mut().filter(|answer| nobody && !answer.reason.is_error()) {
                        answer.reason = Reason::NoSubscribers;
                    }
                }
                _ => return,
            }
        }
    }

    /// Answers the first ones, as far as nothing is waited for.
    fn answer(&mut self, out: &mut BytesMut) {
        while self.steps.front().is_some_and(Step::is_done)
            && let Some(step) = self.steps.pop_front()
        {
            self.bytes -= step.bytes;
            if let Some(Answer { ack, pkid, reason, why }) = step.answer {
                if ack == Ack::PubRec && reason.is_error() {
                    self.taken.remove(&pkid); // no PUBREL follows
                }
                let why = why.as_deref().filter(|_| self.limits.reason_strings).unwrap_or_default();
                let written = |out: &mut BytesMut, why: &str| codec::ack(out, self.version, ack, pkid, reason, why);
                codec::fitting(out, self.limits.max_packet, why, written);
            }
        }
    }

    /// The store keeps order, so a message may go there at once if all before it have.
    async fn retain(&mut self, hub: &Arc<Hub>, publish: Publish, note: &Batch) -> Step {
        let at_once = self.steps.iter().all(|step| matches!(step.wait, Wait::Written(_) | Wait::Given(_)));
        if !at_once || hub.room().is_some() {
            return Step::new(Wait::Turn, publish);
        }
        let written = hub.retain(&publish, note.clone(), (&self.who, self.from)).await;
        Step { message: None, ..Step::new(Wait::Written(written), publish) }
    }

    /// PUBREL: the id is free again; the answer is PUBCOMP, even to an unknown id ([MQTT-4.3.3-2]). It waits for the store: if
    /// a restart still knew the id, the client's next message with it would count as sent again.
    pub(super) async fn release(&mut self, hub: &Arc<Hub>, pkid: u16, out: &mut BytesMut) {
        match &self.keeper {
            Some(id) if self.taken.remove(&pkid) => {
                let wait = Wait::Given(hub.store.note(durable::released(id, pkid)).await);
                let (answer, note) = (Some(Answer::new(Ack::PubComp, pkid)), Batch::default());
                self.steps.push_back(Step { wait, message: None, bytes: 0, answer, note });
            }
            _ => {
                let known = self.taken.remove(&pkid);
                let reason = if known { Reason::Success } else { Reason::UnknownPacketId };
                codec::ack(out, self.version, Ack::PubComp, pkid, reason, "");
            }
        }
    }

    /// Hands a command in; an error says why it was refused.
    async fn command(
        &mut self,
        hub: &Hub,
        client: &str,
        topic: CommandTopic,
        publish: &mut Publish,
    ) -> Result<Wait, String> {
        if publish.retain {
            hub.metrics.retained_commands.inc();
            publish.retain = false;
            self.tell(client, &publish.topic, "command_retained: applied once, not kept; use retain = 0");
        }
        let identity = self.identity.clone().unwrap_or_else(|| hub.doorman.left());
        match hub.commands.take(topic, (client, identity, self.who.address()), &publish.payload).await {
            Ok(taken) => Ok(Wait::Command(taken)),
            Err(refusal) => {
                let why = in_words(&refusal);
                hub.refuse(client, topic, refusal, self.limiter.due());
                Err(why)
            }
        }
    }

    fn may_retain(&mut self, hub: &Hub, client: &str, publish: &Publish) -> bool {
        if publish.payload.is_empty() {
            return true;
        }
        let room = hub.may_retain(&self.who, publish);
        if let Err(full) = &room {
            hub.metrics.retained_refused.inc();
            self.tell(client, &publish.topic, &format!("retained_full: delivered, not kept: {full}"));
        }
        room.is_ok()
    }

    /// Before MQTT 5 a message cannot be refused: it is acknowledged, counted, logged and dropped.
    fn deny(&mut self, hub: &Hub, client: &str, publish: Publish, why: &str) -> Step {
        hub.metrics.denied.inc();
        hub.presence.denied(client);
        self.tell(client, &publish.topic, &format!("publish_denied: {why}"));
        let mut step = Step::new(Wait::Nothing, publish);
        step.refuse(Reason::NotAuthorized, why.to_owned(), true);
        step
    }

    /// Whoever believes its payload format would stumble over it.
    fn unfit(&mut self, client: &str, publish: Publish) -> Step {
        self.tell(client, &publish.topic, "publish_unfit: its payload format says UTF-8, and it is not");
        let mut step = Step::new(Wait::Nothing, publish);
        step.refuse(Reason::BadPayloadFormat, "the payload is not UTF-8, as its format says".to_owned(), true);
        step
    }

    /// Tells the log, at most once a second for one client.
    fn tell(&mut self, client: &str, topic: &str, what: &str) {
        if let Some(more) = self.limiter.due() {
            tracing::warn!(clientId = client, topic = short(topic), more, "{what}");
        }
    }

    /// Waits for the first message's outcome; for ever when nothing is under way. Cancel-safe. What it gives is for
    /// [`Inbound::settle`].
    pub(super) async fn ready(&mut self, hub: &Arc<Hub>) -> Ended {
        let Some(first) = self.steps.front_mut() else { return std::future::pending().await };
        if let (Wait::Turn, Some(publish)) = (&first.wait, &first.message) {
            if let Some(room) = hub.room() {
                let _ = room.await; // Err: there is
            }
            // if cancelled before the store has it, it is simply handed in again
            first.wait = Wait::Written(Box::pin(hub.retain(publish, first.note.clone(), (&self.who, self.from))).await);
            first.message = None;
        }
        first.wait.ended().await
    }

    /// Waits until all are handed on.
    pub(super) async fn finish(&mut self, hub: &Arc<Hub>, client: &str, out: &mut BytesMut) {
        while !self.is_done() {
            let ended = self.ready(hub).await;
            self.settle(ended, hub, client, out);
        }
    }

    /// Goes on with the first message, whose wait is over, and all behind it whose outcome is known already.
    pub(super) fn settle(&mut self, mut ended: Ended, hub: &Arc<Hub>, client: &str, out: &mut BytesMut) {
        loop {
            let Some(first) = self.steps.front_mut() else { return };
            first.wait = Wait::Nothing;
            if let Ended::Command(outcome) = ended {
                if outcome.is_stop() {
                    (first.message, first.answer) = (None, None); // not applied, so not acknowledged
                } else {
                    if let Err(refusal) = &outcome.done {
                        first.refuse(Reason::Refused, in_words(refusal), false);
                    }
                    hub.answer(client, outcome);
                }
            }
            self.hand_on(hub);
            self.answer(out);
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
            Self::Nothing | Self::Turn => Ended::Done,
            Self::Command(taken) => Ended::Command(taken.outcome().await),
            Self::Room(done) | Self::Written(done) | Self::Given(done) => {
                let _ = done.await; // Err: the store is closing; the answer is the same
                Ended::Done
            }
        }
    }

    fn ended_already(&mut self) -> Option<Ended> {
        match self {
            Self::Nothing => Some(Ended::Done),
            Self::Turn => None,
            Self::Command(taken) => taken.outcome_already().map(Ended::Command),
            Self::Room(done) | Self::Written(done) | Self::Given(done) => match done.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => None,
                _ => Some(Ended::Done),
            },
        }
    }
}

/// A refusal as a reason string: its code, which is also on the topic of refusals, and what is wrong.
fn in_words(refusal: &Refusal) -> String {
    format!("{}: {refusal}", refusal.reason.code())
}

/// A topic as it may stand in a log line: a stranger chose its length.
fn short(topic: &str) -> &str {
    let end = topic.char_indices().nth(128).map_or(topic.len(), |(at, _)| at);
    topic.get(..end).unwrap_or_default()
}
