//! A message as it comes.

use super::codec::QoS;
use super::properties::Extra;

/// A message on its way through the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) extra: &'a Extra,
    /// Number of the session whose client said it; 0: dmxd itself.
    pub(super) from: u64,
}

impl<'a> Message<'a> {
    /// One of dmxd's own.
    pub(super) fn ours(topic: &'a str, payload: &'a [u8], qos: QoS, retain: bool) -> Self {
        Self { topic, payload, qos, retain, extra: &None, from: 0 }
    }
}
