//! How a client is spoken to: in the form of its version, within its limits, with aliases for topics it has heard.

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::letter::{By, Letter};
use super::subscriptions::Subscriptions;
use crate::broker::codec::{self, Ack, Connect, Limits, Outgoing, Reason, Version};
use crate::broker::properties;

/// Topics that have an alias, and bytes of the longest: a connection has this much memory for it, and few clients have more.
const ALIASES: usize = 16;
const LONGEST: usize = 128;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Sent,
    /// The client does not take packets of this size: it is not sent.
    TooLarge,
}

/// A connection's.
#[derive(Debug, Default)]
pub(super) struct Dialect {
    pub(super) version: Version,
    limits: Limits,
    /// Alias 1 and those that follow.
    aliases: Vec<Bytes>,
}

impl Dialect {
    pub(super) fn new(connect: &Connect) -> Self {
        Self { version: connect.version, limits: connect.limits, aliases: Vec::new() }
    }

    pub(super) fn receive_maximum(&self) -> u16 {
        self.limits.receive_maximum
    }

    /// PUBREL.
    pub(super) fn release(&self, wire: &mut BytesMut, pkid: u16) {
        codec::ack(wire, self.version, Ack::PubRel, pkid, Reason::Success, "");
    }

    /// PUBLISH. `of`: what the session has subscribed to.
    pub(super) fn publish(
        &mut self,
        wire: &mut BytesMut,
        letter: &Letter,
        (pkid, dup): (u16, bool),
        of: &Subscriptions,
        now: Instant,
    ) -> Told {
        let payload = letter.payload().map(Bytes::as_ref).unwrap_or_default();
        let topic = letter.topic();
        let (mut ids, mut retain) = (Vec::new(), letter.retain);
        match letter.comes_by() {
            By::One(id) => ids.extend((id > 0).then_some(id)),
            By::Group { id, as_published } => {
                ids.extend((id > 0).then_some(id));
                retain |= as_published && letter.was_retained();
            }
            By::Topic if !of.is_marked() => {}
            By::Topic => {
                let name = std::str::from_utf8(topic).unwrap_or_default(); // it was a `str`
                let subscribed = of.marks((name, letter.is_own()), letter.incoming().as_ref(), &mut ids);
                retain |= subscribed && letter.was_retained();
            }
        }
        let carried = letter.extra().as_ref().map_or(&[][..], |extra| extra.carried.bytes());
        let expiry = letter.expires().map(|at| properties::seconds_left(at, now));
        let (qos, ids) = (letter.qos, ids.as_slice());
        let mut message = Outgoing { topic, payload, qos, retain, dup, pkid, alias: 0, expiry, carried, ids };
        if self.version.is_v5() {
            let (alias, known) = self.alias(topic);
            (message.alias, message.topic) = (alias, if known { b"" } else { topic });
            if alias > 0 && self.is_too_large(&message) {
                (message.alias, message.topic) = (0, topic); // it may be the alias
                if !known {
                    self.aliases.pop();
                }
            }
            if self.is_too_large(&message) {
                return Told::TooLarge;
            }
        }
        codec::publish(wire, self.version, &message);
        Told::Sent
    }

    fn is_too_large(&self, message: &Outgoing<'_>) -> bool {
        message.size(self.version) > self.limits.max_packet as usize
    }

    /// The alias of a topic, and whether the client knows it already; 0: none.
    fn alias(&mut self, topic: &[u8]) -> (u16, bool) {
        if let Some(at) = self.aliases.iter().position(|known| known == topic) {
            return (at as u16 + 1, true);
        }
        let most = ALIASES.min(self.limits.topic_aliases.into());
        if self.aliases.len() >= most || topic.len() > LONGEST {
            return (0, false);
        }
        self.aliases.push(Bytes::copy_from_slice(topic));
        (self.aliases.len() as u16, false)
    }
}
