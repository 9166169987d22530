//! What a kept session stores, and when; and how it is resumed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Session;
use super::durable::{
    FORMAT, LETTER, Record, StoredSession, TAKEN, encode, key, letter, purge, subscribed, unsubscribed,
};
use super::letter::{Letter, Note};
use super::outbound::{Left, Outbound};
use crate::broker::hub::{Hub, Message};
use crate::broker::lasting;
use crate::broker::outlet::{Start, Subscribed};
use crate::broker::passed::Passed;
use crate::broker::topic::Filter;
use crate::broker::wanted::Wanted;
use crate::kit::clock;
use crate::store::{Batch, Tree};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ends once the batch is written: what the client is told of its session has to hold.
async fn commit(hub: &Hub, batch: Batch) {
    if !batch.is_empty() {
        hub.store.write(batch).await;
    }
}

/// Notes that own letters are not needed any more.
fn forget(batch: &mut Batch, id: &str, numbers: Vec<u64>) {
    for number in numbers {
        batch.delete(Tree::Letters, key(id, LETTER, &number.to_be_bytes()));
    }
}

/// Gives what an ended session was chosen for to other members of its groups (MQTT 5, section 4.8.2).
pub(super) async fn pass_on(hub: Arc<Hub>, mut chosen: Vec<(String, Letter)>) {
    let store = hub.store.clone();
    let read = move || {
        for (_, letter) in chosen.iter_mut().filter(|(_, letter)| letter.payload().is_none()) {
            let passed = letter.record().and_then(|stored| Passed::load(&store, stored.clone()));
            passed.into_iter().for_each(|passed| letter.load(&Arc::new(passed)));
        }
        chosen
    };
    // Err: the process ends
    let Ok(chosen) = tokio::task::spawn_blocking(read).await else { return };
    for (group, letter) in chosen {
        hub.store.room().await;
        if let (Some(payload), Ok(topic)) = (letter.payload(), std::str::from_utf8(letter.topic())) {
            let (qos, retain, extra) = (letter.qos, letter.was_retained(), letter.extra());
            hub.give_to_group(&group, &Message { topic, payload, qos, retain, keep: false, extra, from: 0 });
        }
    }
}

impl Session {
    /// How long it is kept without its client.
    fn lifetime(&self) -> Duration {
        let longest = self.longest_life();
        if self.expiry == u32::MAX { longest } else { longest.min(Duration::from_secs(self.expiry.into())) }
    }

    /// How long any session is.
    pub(super) fn longest_life(&self) -> Duration {
        DAY * u32::try_from(self.hub.settings.session_expiry_days).unwrap_or(u32::MAX)
    }

    /// Stores that there is a session, and whether its client is connected; when it has left, also how far it has come. What
    /// else belongs to that (`batch`) is written in any case.
    pub(super) async fn save(&mut self, connected: bool, mut batch: Batch) {
        self.expires = Instant::now() + self.lifetime();
        if !self.kept {
            return commit(&self.hub, batch).await;
        }
        self.note(&mut batch, connected);
        if connected {
            return commit(&self.hub, batch).await;
        }
        let hub = self.hub.clone();
        hub.save(batch, |settled, batch| self.add_progress(settled, batch)).await;
    }

    fn note(&self, batch: &mut Batch, connected: bool) {
        let (number, known) = (self.outbox.number(), self.entry.presence.is_known());
        let owner = self.entry.presence.owner();
        let stored = StoredSession::new(number, connected, known, self.expiry, owner.as_deref());
        batch.put(Tree::Sessions, self.id.as_bytes(), serde_json::to_vec(&stored).unwrap_or_default()); // plain fields
    }

    /// Adds filters that a kept session has from now on.
    pub(super) fn add_filters<'a>(&self, filters: impl Iterator<Item = (&'a Filter, Wanted)>, batch: &mut Batch) {
        filters.filter(|_| self.kept).for_each(|(filter, wanted)| subscribed(batch, &self.id, filter, wanted));
    }

    /// Stores them, and what retained messages are to come for them.
    pub(super) async fn store_filters(&mut self, mut batch: Batch) {
        if self.kept {
            self.replays.add_new(&self.id, &mut batch);
            self.replays.noted();
        }
        commit(&self.hub, batch).await;
    }

    /// Forgets filters that have ended.
    pub(super) async fn forget_filters(&mut self, filters: &[String], mut batch: Batch) {
        filters.iter().filter(|_| self.kept).for_each(|filter| unsubscribed(&mut batch, &self.id, filter));
        commit(&self.hub, batch).await;
    }

    /// Adds what the store does not know of the client's messages.
    fn add_progress(&mut self, settled: u64, batch: &mut Batch) {
        self.count_dropped();
        self.outbox.save_all(settled, batch);
        self.outbox.outbound(|outbound| {
            forget(batch, &self.id, outbound.forgotten());
            for (number, kept) in outbound.own() {
                batch.put(Tree::Letters, key(&self.id, LETTER, &number.to_be_bytes()), encode(&kept));
            }
            self.replays.add_progress(&self.id, outbound, batch); // those in flight are letters now
        });
    }

    /// The stop: what the store does not know yet.
    pub(super) async fn store_progress(&mut self) {
        let hub = self.hub.clone();
        hub.save(Batch::default(), |settled, batch| self.add_progress(settled, batch)).await;
    }

    /// Counts letters that had to go for newer ones.
    pub(super) fn count_dropped(&self) {
        for (topic, count) in self.outbox.take_dropped() {
            self.hub.lost_by(&self.outbox, &self.id, &topic, count);
        }
    }

    fn add_notes(&self, batch: &mut Batch, notes: impl IntoIterator<Item = Note>) {
        for note in notes {
            match note {
                Note::Own(number, kept) => {
                    batch.put(Tree::Letters, key(&self.id, LETTER, &number.to_be_bytes()), encode(&kept));
                }
                Note::Handshake(handshake) => lasting::note_handshake(batch, self.outbox.number(), handshake),
            }
        }
    }

    /// Before stored QoS 2 messages are sent: the store knows under which packet ids.
    pub(super) async fn fix_ids(&mut self) {
        if !self.outbox.outbound(|outbound| outbound.needs_ids()) {
            return;
        }
        let mut batch = Batch::default();
        let notes = self.outbox.outbound(Outbound::fix_ids);
        self.add_notes(&mut batch, notes);
        commit(&self.hub, batch).await;
        self.outbox.outbound(Outbound::ids_are_stored);
    }

    /// Reads what is next to be sent, if only the store has it.
    pub(super) async fn load(&mut self) {
        let wanted = self.outbox.outbound(|outbound| outbound.to_load());
        if wanted.is_empty() {
            return;
        }
        let store = self.hub.store.clone();
        let read = move || -> HashMap<u64, Option<Arc<Passed>>> {
            let read = |stored| Passed::load(&store, stored).map(Arc::new);
            wanted.into_iter().map(|stored| (stored.number, read(stored))).collect()
        };
        // Err: the process ends
        if let Ok(loaded) = tokio::task::spawn_blocking(read).await {
            let lost = self.outbox.outbound(|outbound| outbound.loaded(&loaded));
            if lost > 0 {
                tracing::error!(
                    clientId = self.id,
                    lost,
                    "messages_not_readable: the store does not have them any more"
                );
                self.hub.lost_by(&self.outbox, &self.id, b"", lost);
            }
        }
    }

    /// The client has a QoS 2 message: the store knows that, if it knows the message, before it is released. Gives whether
    /// there was such a message.
    pub(super) async fn received(&mut self, pkid: u16) -> bool {
        let (known, note) = self.outbox.outbound(|outbound| outbound.received(pkid));
        let mut batch = Batch::default();
        self.add_notes(&mut batch, note);
        commit(&self.hub, batch).await;
        known
    }

    /// Forgets what has arrived of what was stored.
    pub(super) async fn forget_arrived(&mut self) {
        let (unsaved, forgotten) = self.outbox.outbound(|outbound| (outbound.take_unsaved(), outbound.forgotten()));
        if unsaved {
            self.hub.lasting.ask(self.outbox.as_unsaved());
        }
        if !forgotten.is_empty() {
            let mut batch = Batch::default();
            forget(&mut batch, &self.id, forgotten);
            self.hub.store.commit(batch, || {}).await;
        }
    }

    /// Deletes all of it.
    pub(super) async fn forget(&mut self) {
        if self.hub.store.get(Tree::Sessions, self.id.as_bytes()).is_none() {
            return;
        }
        purge(&self.hub, &self.id, self.outbox.number()).await;
        self.outbox.outbound(|outbound| outbound.forgotten());
    }

    /// Resumes a session of an earlier run, with what `left` says of its messages; gives the router's answers to come.
    pub(super) async fn recall(&mut self, record: Record, left: Left) -> Vec<oneshot::Receiver<u64>> {
        (self.kept, self.expiry) = (true, record.expiry);
        let lacks_number = record.number == 0;
        self.outbox.keep(if lacks_number { self.hub.lasting.new_session() } else { record.number });
        // the clock may be ahead now, or have been behind then: no session that is kept for ever expires before a day of this run
        let left_of_life = self.lifetime().saturating_sub(record.away.unwrap_or_default());
        let least = if record.expiry == u32::MAX { DAY.min(self.lifetime()) } else { Duration::ZERO };
        self.expires = Instant::now() + left_of_life.max(least);
        if record.is_old {
            let mut batch = Batch::default();
            record.filters.iter().for_each(|(filter, wanted)| subscribed(&mut batch, &self.id, filter, *wanted));
            self.note(&mut batch, record.away.is_none());
            commit(&self.hub, batch).await;
        }
        let wanted: Vec<_> = record.filters.into_iter().map(Ok).collect();
        let Subscribed { granted, starts, .. } = self.hub.subscribe(&self.outbox, wanted);
        self.room.hold(self.outbox.filter_bytes());
        if granted.iter().any(Result::is_err) {
            tracing::warn!(clientId = self.id, "subscription_not_restored: too many filters (mqtt.max_subscriptions)");
        }
        self.outbox.release();
        // whatever dmxd's own topics said then, their present values are what matters
        self.outbox.missed(self.hub.policy.present_values());
        self.recall_own();
        self.recall_replays();
        // how long it has been away is not known if it was connected
        let finished = self.outbox.recall(left, record.away.is_none());
        let mut batch = Batch::default();
        lasting::forget_handshakes(&mut batch, self.outbox.number(), finished);
        commit(&self.hub, batch).await;
        self.outbox.outbound(|outbound| outbound.begin_at(clock::now_ms() as u16));
        if record.away.is_none() || lacks_number {
            let expires = self.expires;
            self.save(false, Batch::default()).await; // its age counts from now on
            self.expires = expires;
        }
        let answer = |start| if let Start::Answer(answer) = start { Some(answer) } else { None };
        starts.into_iter().filter_map(|started| answer(started.start)).collect()
    }

    /// Its own letters and handshakes.
    fn recall_own(&mut self) {
        let store = self.hub.store.clone();
        let own = |kind| store.scan(Tree::Letters, &key(&self.id, kind, b""));
        let behind = self.id.len() + 2;
        let (letters, taken) = (own(LETTER), own(TAKEN));
        for (found, value) in letters {
            let number = found.get(behind..).and_then(|number| Some(u64::from_be_bytes(number.try_into().ok()?)));
            if let (Some(number), Some(kept)) = (number, letter(&store, &found, &value)) {
                self.outbox.outbound(|outbound| outbound.recall_own(number, kept));
            }
        }
        for (found, value) in taken {
            if store.behind_format(Tree::Letters, &found, &value, FORMAT).is_some() {
                let pkid = found.get(behind..).and_then(|pkid| Some(u16::from_be_bytes(pkid.try_into().ok()?)));
                self.inbound.recall(pkid);
            }
        }
    }
}
