//! Gives a client the retained messages of its SUBSCRIBEs, as there is room.

use std::ops::Bound;

use bytes::Bytes;
use tokio::time::Instant;

use super::Session;
use super::durable::{FORMAT, LETTER, REPLAY, encode, key};
use super::letter::{By, Letter};
use super::outbound::Outbound;
use crate::store::{Batch, Tree};

impl Session {
    /// Whether another page may be given now.
    pub(super) fn may_replay(&self) -> bool {
        self.replays.are_open() && self.outbox.outbound(|outbound| outbound.has_room())
    }

    /// Queues the next page of retained messages, when there is room for it.
    pub(super) async fn replay(&mut self) {
        let mut batch = Batch::default();
        let mut given = false;
        while self.may_replay()
            && let Some(replay) = self.replays.open()
            && let Some(next) = replay.next.clone()
        {
            let by = By::One(self.outbox.wanted(&replay.filter).map_or(0, |wanted| wanted.id));
            let grant = self.inbound.grant();
            // A message that is set now must not come before an older one.
            self.hub.between_messages(|retained, _| {
                let from = next.as_ref().map(String::as_str);
                let (page, more) = retained.page_from(&replay.filter, replay.since, from);
                replay.next = more.map(Bound::Excluded);
                self.outbox.outbound(|outbound| {
                    let may_read = |topic: &str| grant.is_none_or(|grant| grant.may_read(topic));
                    for (topic, message) in page.into_iter().filter(|(topic, _)| may_read(topic)) {
                        let qos = replay.qos.min(message.qos);
                        let letter = Letter::new(Bytes::from(topic), message.payload, qos, true);
                        outbound.push(letter.with(message.extra).by(by));
                    }
                    if self.kept {
                        for (number, kept) in outbound.keep_retained() {
                            batch.put(Tree::Letters, key(&self.id, LETTER, &number.to_be_bytes()), encode(&kept));
                        }
                    }
                });
            });
            given = true;
            if replay.next.is_some() {
                break; // others want the lock, too
            }
        }
        self.go_on_live();
        let answered = |outbound: &mut Outbound| !outbound.has_unanswered_retained();
        if self.replays.is_empty() || !(given || self.outbox.outbound(answered)) {
            return;
        }
        if self.kept {
            self.outbox.outbound(|outbound| self.replays.add_progress(&self.id, outbound, &mut batch));
            if !batch.is_empty() {
                self.hub.store.commit(batch, || {}).await; // before what is sent: QoS 2 waits for its packet ids behind it
            }
        } else {
            self.replays.forget_given();
        }
    }

    /// Retained messages have all been given, so what is newer follows: once those have come that were set meanwhile by way
    /// of the router. Until then the client has no value at all of their topics.
    fn go_on_live(&mut self) {
        if self.replays.are_open() || self.fence.is_some() || !self.outbox.holds() {
            return;
        }
        self.fence = if self.skips { self.hub.fence() } else { None };
        if self.fence.is_none() {
            self.release();
        }
    }

    /// Nothing is held back any more.
    pub(super) fn release(&mut self) {
        (self.fence, self.skips) = (None, false);
        self.outbox.release();
    }

    /// Since when nothing more can be given because the client does not answer; what others say is held meanwhile.
    pub(super) fn mute_since(&self) -> Option<Instant> {
        let mute = self.replays.are_open() && self.outbox.outbound(|outbound| outbound.awaits_answers());
        mute.then_some(self.answered)
    }

    /// Takes in those that an earlier run left.
    pub(super) fn recall_replays(&mut self) {
        let store = self.hub.store.clone();
        for (found, value) in store.scan(Tree::Letters, &key(&self.id, REPLAY, b"")) {
            let filter = found.get(self.id.len() + 2..).unwrap_or_default();
            if let Some(stored) = store.behind_format(Tree::Letters, &found, &value, FORMAT) {
                let _ = self.replays.recall(filter, stored); // None: damaged, so it ends
            }
        }
    }
}
