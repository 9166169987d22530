//! The broker's ports: the plain one and the encrypted one, which are one door.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

use crate::tls::Acceptor;

/// A port that listens, and what makes its connections secure, if anything.
#[derive(Default)]
pub struct Ports(Vec<(TcpListener, Option<Acceptor>)>);

impl Ports {
    /// With one more.
    #[must_use]
    pub fn and(mut self, listener: TcpListener, tls: Option<Acceptor>) -> Self {
        self.0.push((listener, tls));
        self
    }

    /// The next connection of any port. Cancel-safe: nothing is taken before it is returned.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, Option<Acceptor>)> {
        poll_fn(|cx| {
            for (listener, tls) in &self.0 {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|(socket, peer)| (socket, peer, tls.clone())));
                }
            }
            Poll::Pending
        })
        .await
    }
}
