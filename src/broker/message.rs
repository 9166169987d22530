//! A message: as it comes, and on its way to subscribers.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::QoS;
use super::subscribers::WildcardId;

/// A message on its way through the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

/// A message on its way to subscribers.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) number: u64,
    /// UTF-8; topic and payload are one piece of memory, which all who are given it share.
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    /// Whoever is away needs its topic's present value only.
    pub(super) is_present_value: bool,
    /// The wildcards that mean it.
    pub(super) meant: Arc<[WildcardId]>,
}

impl Passed {
    /// Copies topic and payload, so that nothing pins a socket's read buffer.
    pub(super) fn new(number: u64, message: &Message<'_>, is_present_value: bool, meant: Vec<WildcardId>) -> Self {
        let mut both = BytesMut::with_capacity(message.topic.len() + message.payload.len());
        both.put_slice(message.topic.as_bytes());
        let topic = both.split().freeze();
        both.put_slice(message.payload);
        let (payload, qos) = (both.freeze(), message.qos);
        Self { number, topic, payload, qos, is_present_value, meant: meant.into() }
    }

    pub(super) fn topic(&self) -> &str {
        std::str::from_utf8(&self.topic).unwrap_or_default() // it was a `str`
    }
}
