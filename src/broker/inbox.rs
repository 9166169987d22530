//! Bytes of a client that are not a whole packet yet. Beyond the room of a read they are drawn from the budget, and returned
//! as soon as the packet is whole: half packets from thousands of clients are the cheapest way to fill a machine.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::kit::budget::{Full, Share, Who};

/// A byte stream to a client.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What every connection gets for free: room for two reads.
const FREE: usize = 8 * 1024;

/// Bytes that have arrived and were not taken yet.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) bytes: BytesMut,
    /// `None` in tests of other things.
    share: Option<Share>,
}

impl Inbox {
    pub(super) fn new(share: Share) -> Self {
        Self { bytes: BytesMut::new(), share: Some(share) }
    }

    /// Whose it is, as far as that is known now.
    pub(super) fn belongs_to(&mut self, who: &Who) {
        self.share.iter_mut().for_each(|share| share.moves_to(who));
    }

    /// Accounts for what is held now; call it once all whole packets are taken.
    ///
    /// # Errors
    /// There is no memory for this much: the connection has to end.
    pub(super) fn settle(&mut self) -> Result<(), Full> {
        let Some(share) = &mut self.share else { return Ok(()) };
        if !self.bytes.is_empty() {
            // The room of a large packet stays allocated until the buffer is empty, so a share does not shrink before.
            let held = self.bytes.capacity();
            if held > FREE {
                share.grow_to(held)?;
                share.idle(true); // until more of it comes
            }
            return Ok(());
        }
        self.bytes = BytesMut::new(); // an idle client holds nothing
        if !share.is_empty() {
            share.clear();
        }
        Ok(())
    }
}
