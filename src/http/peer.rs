//! Where a request came from.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::kit::budget::{Ending, Full, Share};

/// Where a request came from, and its hold on a place. Whoever keeps a clone keeps the place: a WebSocket outlives the
/// connection's own task.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    place: Arc<Place>,
    /// Whether nobody on the way can read along: the connection is under TLS.
    pub(super) is_secure: bool,
    /// Closes when the last connection is gone.
    _open: mpsc::Sender<()>,
}

/// A connection's place among all.
pub(super) struct Place {
    pub(super) _share: Share,
    /// Told when the place goes to another one.
    pub(super) ending: Arc<Ending>,
    /// Why only probes are answered: the web is full, and this is one of the few places kept for them.
    pub(super) probes_only: Option<Full>,
}

impl Peer {
    pub(super) fn new(addr: SocketAddr, place: Place, open: mpsc::Sender<()>) -> Self {
        Self { addr, place: Arc::new(place), is_secure: false, _open: open }
    }

    /// The same under TLS.
    pub(super) fn secured(self) -> Self {
        Self { is_secure: true, ..self }
    }

    /// Keeps the place, for one who is not of the web any more: its end does not wait for that.
    pub(super) fn place(&self) -> Arc<Place> {
        self.place.clone()
    }

    /// Told when its place goes to another one.
    pub(super) fn ending(&self) -> &Arc<Ending> {
        &self.place.ending
    }

    /// Why only probes are answered.
    pub(super) fn probes_only(&self) -> Option<&Full> {
        self.place.probes_only.as_ref()
    }
}
