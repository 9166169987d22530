//! The handshake, and the stream behind it. Its cost and its time are those of the connection's own task.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{AlertDescription, Error, InvalidMessage, ServerConfig, server};
use tokio_rustls::server::TlsStream;

use super::resolver::{Current, Resolver};
use crate::metrics;

/// How long a handshake may take: two round trips, over bad Wi-Fi with losses some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that waits unsent inside TLS: one record (RFC 8446, 5.1). What a slow client does not take must show outside,
/// where it is limited.
const UNSENT: usize = 16 * 1024;

/// Makes connections secure. Clones share everything.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    /// Whose turn it is to compute: one at a time, so that a flood of handshakes leaves the other cores to the light.
    turns: Arc<Semaphore>,
    metrics: metrics::Tls,
}

impl Acceptor {
    /// For connections that speak these protocols (ALPN); none: whatever a client offers.
    pub(super) fn new(current: Current, protocols: &[&str], metrics: metrics::Tls) -> Result<Self, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()? // 1.2 as well: microcontrollers have no other
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(current)));
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self { config: Arc::new(config), turns: Arc::new(Semaphore::new(1)), metrics })
    }

    /// Makes a connection secure; 10 s at most.
    ///
    /// # Errors
    /// In words for a log: what came, and what to do.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Secured> {
        let shaken = timeout(PATIENCE, self.shake(socket)).await;
        let shaken =
            shaken.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time")));
        match shaken {
            Ok(mut stream) => {
                stream.get_mut().1.set_buffer_limit(Some(UNSENT));
                self.metrics.handshakes.inc();
                Ok(Secured(State::Open(Box::new(stream))))
            }
            Err(error) => {
                self.metrics.failed.inc();
                Err(in_words(error))
            }
        }
    }

    async fn shake(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let hello = LazyConfigAcceptor::new(server::Acceptor::default(), socket).await?;
        let turn = self.turns.acquire().await; // Err: nobody closes it
        // Keys and signature are computed here; what follows waits for the client, and costs little.
        let mut rest = hello.into_stream(self.config.clone());
        let begun = poll_fn(|cx| Poll::Ready(Pin::new(&mut rest).poll(cx))).await;
        drop(turn);
        match begun {
            Poll::Ready(shaken) => shaken,
            Poll::Pending => rest.await,
        }
    }

    /// The same in a task of its own, for those who poll many connections in one task: the stream is there at once, and its
    /// first read waits for the handshake. Dropped, it ends the task.
    #[must_use]
    pub fn accept_apart(&self, socket: TcpStream) -> Secured {
        let (acceptor, mut task) = (self.clone(), JoinSet::new());
        task.spawn(async move { acceptor.accept(socket).await });
        Secured(State::Shaking(task))
    }
}

/// What is wrong, for a log.
fn in_words(error: io::Error) -> io::Error {
    let why = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "no TLS: a client that speaks plainly belongs to the plain port".to_owned()
        }
        Some(Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        )) => "the client does not trust our certificate: it needs the one of the page /trust".to_owned(),
        Some(Error::AlertReceived(AlertDescription::CertificateExpired)) => {
            "by the client's clock our certificate is not valid: check both clocks".to_owned()
        }
        Some(error) => format!("TLS: {error}"),
        None => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A connection under TLS. What is written is on its way as soon as a flush is done.
pub struct Secured(State);

enum State {
    Shaking(JoinSet<io::Result<Secured>>),
    Open(Box<TlsStream<TcpStream>>),
    Failed,
}

impl Secured {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut TlsStream<TcpStream>>> {
        if let State::Shaking(task) = &mut self.0 {
            let ended = ready!(task.poll_join_next(cx));
            self.0 = State::Failed;
            match ended {
                Some(Ok(Ok(secured))) => *self = secured,
                Some(Ok(Err(error))) => return Poll::Ready(Err(error)),
                Some(Err(panicked)) => return Poll::Ready(Err(io::Error::other(panicked))),
                None => {}
            }
        }
        Poll::Ready(match &mut self.0 {
            State::Open(stream) => Ok(stream),
            State::Shaking(_) | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = ready!(self.get_mut().poll_open(cx))?;
        match ready!(Pin::new(stream).poll_read(cx, buf)) {
            // An end without goodbye (close_notify). HTTP and MQTT say themselves where a message ends.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(ready!(self.get_mut().poll_open(cx))?).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(ready!(self.get_mut().poll_open(cx))?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(ready!(self.get_mut().poll_open(cx))?).poll_shutdown(cx)
    }
}
