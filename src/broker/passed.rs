//! A message on its way to subscribers, who share it.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::QoS;
use super::lasting::{self, Record, Stored};
use super::levels::WildcardId;
use super::message::Message;
use super::properties::{self, Extra};
use crate::store::Store;

/// A message on its way to subscribers.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) number: u64,
    /// UTF-8; topic and payload are one piece of memory, which all who are given it share.
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    /// It was published with the retain flag.
    pub(super) retain: bool,
    pub(super) extra: Extra,
    /// Number of the session whose client said it; 0: dmxd itself, or nobody knows.
    pub(super) from: u64,
    /// Whoever is away needs its topic's present value only.
    pub(super) is_present_value: bool,
    /// The wildcards that mean it.
    pub(super) meant: Arc<[WildcardId]>,
    /// It was read from the store: whom it was meant for is not known.
    pub(super) is_loaded: bool,
    /// Its record, if a kept session is to get it.
    pub(super) stored: Option<Arc<Stored>>,
}

impl Passed {
    /// Copies topic and payload, so that nothing pins a socket's read buffer.
    pub(super) fn new(number: u64, message: &Message<'_>, is_present_value: bool, meant: Vec<WildcardId>) -> Self {
        let Message { topic, payload, qos, retain, extra, from, .. } = *message;
        let ((topic, payload), extra) = (one_piece(topic.as_bytes(), payload), extra.clone());
        let (meant, is_loaded, stored) = (meant.into(), false, None);
        Self { number, topic, payload, qos, retain, extra, from, is_present_value, meant, is_loaded, stored }
    }

    /// Reads it from the store, for a session that has waited for it; `None`: it is not there.
    pub(super) fn load(store: &Store, stored: Arc<Stored>) -> Option<Self> {
        let Record { topic, payload, extra, retain } = lasting::read(store, stored.number)?;
        let (topic, payload) = one_piece(&topic, &payload);
        let (number, qos) = (stored.number, QoS::AtMostOnce); // the session knows at which it is owed
        let extra = properties::expiring(extra, stored.expires); // the clock may have been set since it was written
        let (from, is_present_value, meant, is_loaded, stored) = (0, false, [].into(), true, Some(stored));
        Some(Self { number, topic, payload, qos, retain, extra, from, is_present_value, meant, is_loaded, stored })
    }

    /// Bytes of topic, payload and the properties that are passed on.
    pub(super) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + properties::size(&self.extra)
    }

    pub(super) fn topic(&self) -> &str {
        std::str::from_utf8(&self.topic).unwrap_or_default() // it was a `str`
    }
}

fn one_piece(topic: &[u8], payload: &[u8]) -> (Bytes, Bytes) {
    let mut both = BytesMut::with_capacity(topic.len() + payload.len());
    both.put_slice(topic);
    let topic = both.split().freeze();
    both.put_slice(payload);
    (topic, both.freeze())
}
