//! What a client wants of a filter that it has subscribed to.

use super::codec::{Options, QoS};

/// What a client wants of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) options: Options,
    /// The subscription's identifier; 0: none.
    pub(super) id: u32,
}

impl Wanted {
    /// As before MQTT 5.
    pub(super) fn plain(qos: QoS) -> Self {
        Self { options: Options::plain(qos), id: 0 }
    }

    pub(super) fn qos(self) -> QoS {
        self.options.qos
    }
}
