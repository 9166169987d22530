//! A message as it comes.

use super::codec::QoS;
use super::properties::Extra;

/// A message on its way through the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    /// It was published with the retain flag.
    pub(super) retain: bool,
    /// It is kept for later subscribers.
    pub(super) keep: bool,
    pub(super) extra: &'a Extra,
    /// Number of the session whose client said it; 0: dmxd itself.
    pub(super) from: u64,
}

impl<'a> Message<'a> {
    /// One of dmxd's own.
    pub(super) fn ours(topic: &'a str, payload: &'a [u8], qos: QoS, retain: bool) -> Self {
        Self { topic, payload, qos, retain, keep: retain, extra: &None, from: 0 }
    }
}
