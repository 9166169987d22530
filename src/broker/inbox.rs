//! Bytes of a client that are no whole packet yet. Beyond the room of a read they are drawn from the budget, and given back
//! as soon as the packet is whole: half packets of thousands of clients are the cheapest way to fill a machine.

use bytes::BytesMut;

use crate::kit::budget::{Full, Share};

/// What every connection has for nothing: room for two reads.
const FREE: usize = 8 * 1024;

/// What has come and was not taken yet.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) bytes: BytesMut,
    /// `None` in tests of what does not read.
    share: Option<Share>,
}

impl Inbox {
    pub(super) fn new(share: Share) -> Self {
        Self { bytes: BytesMut::new(), share: Some(share) }
    }

    /// Accounts for what is held now; to be called when all whole packets have been taken.
    ///
    /// # Errors
    /// There is no memory for so much: the connection has to end.
    pub(super) fn settle(&mut self) -> Result<(), Full> {
        let Some(share) = &mut self.share else { return Ok(()) };
        if !self.bytes.is_empty() {
            // What a large packet has left stays allocated until the buffer is empty, so a share never shrinks before.
            let held = self.bytes.capacity();
            return if held > FREE { share.grow_to(held) } else { Ok(()) };
        }
        if !share.is_empty() {
            self.bytes = BytesMut::new();
            share.clear();
        }
        Ok(())
    }
}
