//! What a kept session stores, and when; and how it is resumed.

use std::time::Duration;

use tokio::time::Instant;

use super::durable::{FORMAT, LETTER, Record, StoredSession, TAKEN, decode, encode, key, purge};
use super::{Session, answered};
use crate::broker::hub::Hub;
use crate::broker::outlet::{Start, Subscribed};
use crate::broker::router::RouterGone;
use crate::kit::clock;
use crate::store::{Batch, Tree};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ends once the batch is written: what the client is told of its session has to hold.
async fn commit(hub: &Hub, batch: Batch) {
    if !batch.is_empty() {
        hub.store.write(batch).await;
    }
}

/// Notes that letters are not needed any more.
fn forget(batch: &mut Batch, id: &str, numbers: Vec<u64>) {
    for number in numbers {
        batch.delete(Tree::Letters, key(id, LETTER, &number.to_be_bytes()));
    }
}

impl Session {
    fn lifetime(&self) -> Duration {
        DAY * u32::try_from(self.hub.settings.session_expiry_days).unwrap_or(u32::MAX)
    }

    /// Stores subscriptions and whether the client is connected; when it has left, also what waits for it.
    pub(super) async fn save(&mut self, connected: bool) {
        self.expires = Instant::now() + self.lifetime();
        if !self.kept {
            return;
        }
        let filters = self.outbox.wanted();
        let stored = StoredSession { v: FORMAT, filters, connected, since: clock::now_ms() };
        let mut batch = Batch::default();
        batch.put(Tree::Sessions, self.id.as_bytes(), serde_json::to_vec(&stored).unwrap_or_default()); // plain fields
        commit(&self.hub, batch).await;
        if !connected {
            self.store_letters(true).await;
        }
    }

    /// Stores what waits for the client and is not stored yet (`all`: also what is in flight), and deletes what was dropped
    /// or has arrived.
    pub(super) async fn store_letters(&mut self, all: bool) {
        self.unstored_since = None;
        for (filter, count) in self.outbox.take_dropped() {
            self.hub.lost(&filter, count);
        }
        let mut batch = Batch::default();
        let mut stored = 0;
        self.outbox.outbound(|outbound| {
            forget(&mut batch, &self.id, outbound.forgotten());
            if self.kept {
                for (number, kept) in outbound.unstored(all) {
                    batch.put(Tree::Letters, key(&self.id, LETTER, &number.to_be_bytes()), encode(&kept));
                    stored += 1;
                }
            }
        });
        if !batch.is_empty() {
            let counter = self.hub.metrics.letters_stored.clone();
            self.hub.store.commit(batch, move || counter.inc_by(stored)).await;
        }
    }

    /// Before stored QoS 2 messages are sent: the store knows under which packet ids.
    pub(super) async fn fix_ids(&mut self) {
        let mut batch = Batch::default();
        self.outbox.outbound(|outbound| {
            if outbound.needs_ids() {
                for (number, kept) in outbound.fix_ids() {
                    batch.put(Tree::Letters, key(&self.id, LETTER, &number.to_be_bytes()), encode(&kept));
                }
            }
        });
        commit(&self.hub, batch).await;
    }

    /// The client has a QoS 2 message; before it is released the store knows, if it knows the message.
    pub(super) async fn received(&mut self, pkid: u16) {
        let mut batch = Batch::default();
        self.outbox.outbound(|outbound| {
            if let Some((number, kept)) = outbound.received(pkid) {
                batch.put(Tree::Letters, key(&self.id, LETTER, &number.to_be_bytes()), encode(&kept));
            }
        });
        commit(&self.hub, batch).await;
    }

    /// Forgets what has arrived of what was stored.
    pub(super) async fn forget_arrived(&mut self) {
        let mut batch = Batch::default();
        forget(&mut batch, &self.id, self.outbox.outbound(|outbound| outbound.forgotten()));
        if !batch.is_empty() {
            self.hub.store.commit(batch, || {}).await;
        }
    }

    /// Deletes all of it.
    pub(super) async fn forget(&mut self) {
        if self.hub.store.get(Tree::Sessions, self.id.as_bytes()).is_none() {
            return;
        }
        purge(&self.hub, &self.id).await;
        self.outbox.outbound(|outbound| outbound.forgotten());
    }

    /// Resumes a session of an earlier run.
    pub(super) async fn recall(&mut self, record: Record) -> Result<(), RouterGone> {
        self.kept = true;
        // the clock may be ahead now, or have been behind then: no session expires before a day of this run
        let left = self.lifetime().saturating_sub(record.away.unwrap_or_default());
        self.expires = Instant::now() + left.max(DAY.min(self.lifetime()));
        let wanted: Vec<_> = record.filters.into_iter().map(Some).collect();
        let Subscribed { granted, starts, .. } = self.hub.subscribe(&self.outbox, wanted);
        if granted.contains(&None) {
            tracing::warn!(clientId = self.id, "subscription_not_restored (mqtt.max_filters)");
        }
        for (.., start) in starts {
            if let Start::Answer(answer) = start {
                answered(answer).await?;
            }
        }
        self.outbox.release();
        // whatever dmxd's own topics said then, their present values are what matters
        self.outbox.missed(self.hub.policy.present_values());
        let store = self.hub.store.clone();
        for (found, value) in store.scan(Tree::Letters, &key(&self.id, LETTER, b"")) {
            let number =
                found.get(self.id.len() + 2..).and_then(|number| Some(u64::from_be_bytes(number.try_into().ok()?)));
            if let (Some(number), Some(kept)) =
                (number, store.behind_format(Tree::Letters, &found, &value, FORMAT).and_then(decode))
            {
                self.outbox.outbound(|outbound| outbound.recall(number, kept));
            }
        }
        for (found, value) in store.scan(Tree::Letters, &key(&self.id, TAKEN, b"")) {
            if store.behind_format(Tree::Letters, &found, &value, FORMAT).is_none() {
                continue;
            }
            let pkid = found.get(self.id.len() + 2..).and_then(|pkid| Some(u16::from_be_bytes(pkid.try_into().ok()?)));
            self.inbound.recall(pkid);
        }
        self.outbox.outbound(|outbound| outbound.begin_at(clock::now_ms() as u16));
        if record.away.is_none() {
            let expires = self.expires;
            self.save(false).await; // its age counts from now on
            self.expires = expires;
        }
        Ok(())
    }
}
