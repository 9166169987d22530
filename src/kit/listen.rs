//! Listening sockets as both doors want them, and the addresses of peers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps until dmxd accepts them: all lamps of a venue come back after a power cut. Linux cuts it
/// to net.core.somaxconn.
const BACKLOG: u32 = 1024;

/// Every IPv6 address, and with it every IPv4 one: asked for, since bindv6only(7) may say otherwise.
const EVERYWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Listens at an address; accepted sockets get this send buffer, or the kernel's. Must run inside tokio.
///
/// # Errors
/// As the system reports; the caller knows what the port is for.
pub fn listen(address: SocketAddr, send_buffer: Option<u32>) -> io::Result<TcpListener> {
    match open(address, send_buffer) {
        // without IPv6 in the kernel, all IPv4 addresses are everywhere
        Err(error) if address.ip() == EVERYWHERE && lacks_ipv6(&error) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()), send_buffer)
        }
        outcome => outcome,
    }
}

fn open(address: SocketAddr, send_buffer: Option<u32>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?; // a restart must not wait for old connections in TIME_WAIT
    if let Some(bytes) = send_buffer {
        socket.set_send_buffer_size(bytes)?; // accepted sockets inherit it
    }
    if address.ip() == EVERYWHERE {
        SockRef::from(&socket).set_only_v6(false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// The address of a peer as people know it: IPv4 on an IPv6 socket is shown as IPv4.
#[must_use]
pub fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), peer.port()),
        IpAddr::V6(_) => peer, // with its zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everywhere_is_ipv4_too_and_who_comes_by_it_is_shown_so() {
        let listener = listen("[::]:0".parse().unwrap(), None).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(canonical(peer), client.local_addr().unwrap());
        let far: SocketAddr = "[2001:db8::7]:9".parse().unwrap();
        assert_eq!(canonical(far), far);
    }
}
