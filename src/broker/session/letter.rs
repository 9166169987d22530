//! A message queued for one session: in memory, where all subscribers share it, or in the store, where all kept sessions do.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::subscriptions::Incoming;
use crate::broker::codec::QoS;
use crate::broker::lasting::{Handshake, Stored};
use crate::broker::passed::Passed;
use crate::broker::properties::{self, Extra, RETAIN, RETAINED};
use crate::broker::wanted::Wanted;

/// A letter's topic and payload.
#[derive(Clone, Debug)]
enum Content {
    /// In memory, one copy for all who are given it.
    Shared(Arc<Passed>),
    /// In the store.
    Stored(Arc<Stored>),
    /// This session's own.
    Own(Box<Own>),
    /// It was sent, and is sent once.
    Gone,
}

/// What goes to this session only, like a retained message.
#[derive(Clone, Debug)]
struct Own {
    topic: Bytes,
    payload: Bytes,
    extra: Extra,
    /// It was published with the retain flag.
    retain: bool,
    /// Its number among the session's own letters in the store, if it is there.
    number: Option<u64>,
}

/// By which subscriptions a letter comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// All that its topic matches when it is sent.
    Topic,
    /// This one alone, which has an identifier or 0.
    One(u32),
    /// A shared one, whose group has chosen this session.
    Group { id: u32, as_published: bool },
}

impl By {
    pub(super) fn of_group(wanted: Wanted) -> Self {
        Self::Group { id: wanted.id, as_published: wanted.options.retain_as_published }
    }
}

/// A message for one client; small, since many may wait.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    content: Content,
    by: By,
    own: bool,
    pub(super) qos: QoS,
    /// It comes from the retained store.
    pub(super) retain: bool,
    /// An earlier run may have sent it.
    pub(super) again: bool,
    /// Its packet id in the store; 0: none yet.
    pub(super) pkid: u16,
    /// The store has that: it may be sent.
    pub(super) is_fixed: bool,
    /// Its session is kept: the record of what is shared is its, too.
    kept: bool,
}

/// A letter of a session's own as stored, with the state of its handshake; 0: not begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) extra: Extra,
    /// Whether it was published with the retain flag, and whether it is given from the retained store.
    pub(super) flags: u8,
    pub(super) awaited: u8,
    pub(super) pkid: u16,
}

/// What the store has to know about a letter before the client is told more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    Own(u64, Kept),
    Handshake(Handshake),
}

impl Letter {
    /// One of the session's own.
    pub(super) fn new(topic: Bytes, payload: Bytes, qos: QoS, retain: bool) -> Self {
        let own = Own { topic, payload, extra: None, retain, number: None };
        Self::of(Content::Own(Box::new(own)), qos, retain)
    }

    /// The same with properties.
    pub(super) fn with(mut self, extra: Extra) -> Self {
        if let Content::Own(own) = &mut self.content {
            own.extra = extra;
        }
        self
    }

    /// The same, which was published with the retain flag.
    pub(super) fn published_retained(mut self) -> Self {
        if let Content::Own(own) = &mut self.content {
            own.retain = true;
        }
        self
    }

    /// The same, by a known subscription.
    pub(super) fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    /// One of the session's own, stored by an earlier run.
    pub(super) fn recalled(number: u64, kept: Kept) -> Self {
        let Kept { topic, payload, qos, extra, flags, .. } = kept;
        let own = Own { topic, payload, extra, retain: flags & RETAIN != 0, number: Some(number) };
        Self::of(Content::Own(Box::new(own)), qos, flags & RETAINED != 0)
    }

    /// A message that all subscribers share; `kept`: for a session that is kept.
    pub(super) fn shared(passed: &Arc<Passed>, qos: QoS, kept: bool) -> Self {
        let kept = kept && qos > QoS::AtMostOnce;
        Self { kept, ..Self::of(Content::Shared(passed.clone()), qos, false) }
    }

    /// A message that all kept sessions share.
    pub(super) fn stored(stored: Arc<Stored>, qos: QoS) -> Self {
        Self::of(Content::Stored(stored), qos, false)
    }

    fn of(content: Content, qos: QoS, retain: bool) -> Self {
        Self { content, by: By::Topic, own: false, qos, retain, again: false, pkid: 0, is_fixed: false, kept: true }
    }

    pub(super) fn maybe_sent(self, again: bool) -> Self {
        Self { again, ..self }
    }

    pub(super) fn topic(&self) -> &[u8] {
        match &self.content {
            Content::Shared(passed) => &passed.topic,
            Content::Stored(stored) => &stored.topic,
            Content::Own(own) => &own.topic,
            Content::Gone => b"",
        }
    }

    /// `None`: it has to be read from the store first.
    pub(super) fn payload(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Shared(passed) => Some(&passed.payload),
            Content::Stored(_) | Content::Gone => None,
            Content::Own(own) => Some(&own.payload),
        }
    }

    pub(super) fn extra(&self) -> &Extra {
        match &self.content {
            Content::Shared(passed) => &passed.extra,
            Content::Own(own) => &own.extra,
            Content::Stored(_) | Content::Gone => &None,
        }
    }

    /// When nobody wants it any more.
    pub(super) fn expires(&self) -> Option<Instant> {
        match &self.content {
            Content::Stored(stored) => stored.expires,
            _ => properties::expires(self.extra()),
        }
    }

    /// Whether it was published with the retain flag.
    pub(super) fn was_retained(&self) -> bool {
        match &self.content {
            Content::Shared(passed) => passed.retain,
            Content::Own(own) => own.retain,
            Content::Stored(_) | Content::Gone => false,
        }
    }

    pub(super) fn comes_by(&self) -> By {
        self.by
    }

    /// Its client said it itself: it does not come by subscriptions that do not want that. After a restart nobody knows.
    pub(super) fn own(self, own: bool) -> Self {
        Self { own, ..self }
    }

    /// See [`Letter::own`].
    pub(super) fn is_own(&self) -> bool {
        self.own
    }

    /// Whether it was chosen for this session by a group.
    pub(super) fn is_chosen(&self) -> bool {
        matches!(self.by, By::Group { .. })
    }

    /// As the session's subscriptions see it; `None`: it was not in memory all the time.
    pub(super) fn incoming(&self) -> Option<Incoming<'_>> {
        match &self.content {
            Content::Shared(passed) if !passed.is_loaded => Some(Incoming { own: self.own, ..Incoming::of(passed, 0) }),
            _ => None,
        }
    }

    /// Its record among the messages that are stored for all.
    pub(super) fn record(&self) -> Option<&Arc<Stored>> {
        match &self.content {
            Content::Shared(passed) => passed.stored.as_ref().filter(|_| self.kept),
            Content::Stored(stored) => Some(stored),
            Content::Own(_) | Content::Gone => None,
        }
    }

    /// Its number among those.
    pub(super) fn number(&self) -> Option<u64> {
        self.record().map(|stored| stored.number)
    }

    /// Its number among the session's own in the store.
    pub(super) fn own_number(&self) -> Option<u64> {
        match &self.content {
            Content::Own(own) => own.number,
            Content::Shared(_) | Content::Stored(_) | Content::Gone => None,
        }
    }

    /// Makes it one of the session's own in the store, unless all share its record. Gives its number, and whether that is
    /// new.
    pub(super) fn keep(&mut self, last: &mut u64) -> Option<(u64, bool)> {
        if self.record().is_some() {
            return None;
        }
        self.disown();
        let Content::Own(own) = &mut self.content else { return None };
        let new = own.number.is_none();
        let number = *own.number.get_or_insert_with(|| {
            *last += 1;
            *last
        });
        Some((number, new))
    }

    /// What is shared and not stored becomes the session's own.
    fn disown(&mut self) {
        if let Content::Shared(passed) = &self.content
            && self.record().is_none()
        {
            let (topic, payload) = (passed.topic.clone(), passed.payload.clone());
            let (extra, retain) = (passed.extra.clone(), passed.retain);
            self.content = Content::Own(Box::new(Own { topic, payload, extra, retain, number: None }));
        }
    }

    /// What is stored need not be in memory.
    pub(super) fn unload(&mut self) {
        if let Content::Shared(_) = &self.content
            && let Some(stored) = self.record().cloned()
        {
            self.content = Content::Stored(stored);
        }
    }

    /// It was read from the store.
    pub(super) fn load(&mut self, passed: &Arc<Passed>) {
        self.content = Content::Shared(passed.clone());
    }

    /// The client has its content: only its handshake is left.
    pub(super) fn empty(&mut self) {
        self.unload();
        self.disown();
        if let Content::Own(own) = &mut self.content {
            (own.payload, own.extra) = (Bytes::new(), None);
        }
    }

    /// It was sent, and never will be again.
    pub(super) fn let_go(&mut self) {
        self.content = Content::Gone;
    }

    /// A stored QoS 2 letter whose packet id the store does not have.
    pub(super) fn needs_id(&self) -> bool {
        self.qos == QoS::ExactlyOnce && !self.is_fixed && (self.record().is_some() || self.own_number().is_some())
    }

    /// One that the client has another copy of, by a filter of its own: a group has chosen it, too.
    pub(super) fn is_second_copy(&self) -> bool {
        matches!((&self.content, self.by), (Content::Shared(_), By::Group { .. })) && !self.kept
    }

    /// Whether it waits for a client that is away.
    pub(super) fn outlives_connection(&self) -> bool {
        self.qos > QoS::AtMostOnce && (!self.retain || self.own_number().is_some())
    }

    pub(super) fn size(&self) -> usize {
        match &self.content {
            Content::Shared(passed) => passed.size(),
            Content::Stored(stored) => stored.size,
            Content::Own(own) => own.topic.len() + own.payload.len() + properties::size(&own.extra),
            Content::Gone => 0,
        }
    }

    /// Bytes of it that do not make its client a laggard.
    pub(super) fn no_lag(&self) -> usize {
        if self.retain || self.payload().is_none() { self.size() } else { 0 }
    }

    /// As it is stored if it is one of the session's own.
    pub(super) fn kept(&self, awaited: u8, pkid: u16) -> Kept {
        let (topic, payload) = (Bytes::copy_from_slice(self.topic()), self.payload().cloned().unwrap_or_default());
        let flags = if self.was_retained() { RETAIN } else { 0 } | if self.retain { RETAINED } else { 0 };
        Kept { topic, payload, qos: self.qos, extra: self.extra().clone(), flags, awaited, pkid }
    }
}
