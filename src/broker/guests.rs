//! Clients that come by another door than the broker's port: byte streams that the listener takes among its own sockets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::inbox::Stream;
use super::traffic::{Metered, Traffic};
use crate::kit::budget::Ending;

/// A byte stream from which CONNECT is to come, and what belongs to it.
pub(super) struct Newcomer {
    pub(super) stream: Box<dyn Stream>,
    pub(super) peer: SocketAddr,
    /// The address of ours that it came to, if it came to the broker's port.
    pub(super) here: Option<IpAddr>,
    /// Told when it has to make room for another one.
    pub(super) ending: Arc<Ending>,
}

/// The way in. When many are in front of it, one waits, as others do in the kernel.
#[derive(Clone)]
pub struct Guests {
    way: mpsc::Sender<Newcomer>,
    traffic: Arc<Traffic>,
}

impl Guests {
    pub(super) fn open(traffic: &Arc<Traffic>) -> (Self, mpsc::Receiver<Newcomer>) {
        let (way, guests) = mpsc::channel(1);
        (Self { way, traffic: traffic.clone() }, guests)
    }

    /// Hands a client in when there is room for it; false: the broker takes nobody any more. `ending` is told when its place
    /// goes to another one.
    pub async fn enter<S>(&self, stream: S, peer: SocketAddr, ending: Arc<Ending>) -> bool
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = Box::new(Metered::new(stream, &self.traffic));
        self.way.send(Newcomer { stream, peer, here: None, ending }).await.is_ok()
    }
}
