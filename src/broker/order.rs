//! The order in which sockets are let in: of two connections of one client the older goes first, if its CONNECT is in the kernel
//! before the younger connection is opened.
//!
//! The kernel tells of sockets in the order in which their bytes came, and tokio passes that on. Here nothing may overtake it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

use super::port::Ports;
use crate::tls::Acceptor;

/// The next socket; it is read when the kernel tells that there is something to read. Since tokio 1.54 (its #8435) an accepted
/// socket counts as readable at once: it would be read before an older one that was looked at too early, whose bytes have come
/// since and are about to be told. Registering it again takes that back.
pub(super) async fn accept(ports: &Ports) -> io::Result<(TcpStream, SocketAddr, Option<Acceptor>)> {
    let (socket, peer, tls) = ports.accept().await?;
    Ok((TcpStream::from_std(socket.into_std()?)?, peer, tls))
}

/// Waits for newcomers; gives all that are through, by their numbers. A new one is polled at once, and may be found ready before
/// an older one whose bytes were told of just before its own.
pub(super) async fn those_here<F, T>(newcomers: &mut FuturesUnordered<F>) -> Vec<(u64, T)>
where
    F: Future<Output = (u64, T)>,
{
    poll_fn(|cx| {
        let mut all = Vec::new();
        while let Poll::Ready(Some(one)) = newcomers.poll_next_unpin(cx) {
            all.push(one);
        }
        all.sort_unstable_by_key(|(number, _)| *number);
        if all.is_empty() { Poll::Pending } else { Poll::Ready(all) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io::{ErrorKind, Write};

    use futures_util::FutureExt;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_is_read_when_the_kernel_has_told_of_it_and_not_before() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"CONNECT").unwrap();
        let ports = Ports::default().and(listener, None);
        let (mut socket, ..) = accept(&ports).await.unwrap();
        let mut bytes = [0; 7];
        let early = socket.try_read(&mut bytes).map_err(|error| error.kind());
        assert_eq!(early, Err(ErrorKind::WouldBlock), "the driver had no turn since");
        socket.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"CONNECT");
    }

    #[tokio::test]
    async fn of_all_that_are_here_the_oldest_comes_first() {
        let mut newcomers: FuturesUnordered<_> =
            [3, 1, 2].into_iter().map(|number| ready((number, ())).boxed()).collect();
        newcomers.push(pending().boxed());
        let numbers: Vec<_> = those_here(&mut newcomers).await.into_iter().map(|(number, ())| number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert!(those_here(&mut newcomers).now_or_never().is_none(), "one has not sent anything");
    }
}
