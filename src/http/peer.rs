//! Where a request came from.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Where a request came from, and its hold on a place. Whoever keeps a clone keeps the place: a WebSocket outlives the
/// connection's own task.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    _place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Closes when the last connection is gone.
    _open: mpsc::Sender<()>,
}

impl Peer {
    pub(super) fn new(addr: SocketAddr, permit: OwnedSemaphorePermit, open: mpsc::Sender<()>) -> Self {
        Self { addr, _place: Arc::new(Place { _permit: permit, _open: open }) }
    }
}
