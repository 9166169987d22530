//! The accept loop: sockets, limits, time-outs and the graceful end. Knows no routes. Plain and encrypted ports are one door.
//!
//! It uses hyper's own HTTP/1 connection, not hyper-util's `auto`, which first waits without any time limit for bytes that
//! tell the version: a silent socket would hold a place for ever.

use std::future::{poll_fn, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::dispatch::{self, WebFilter};
use super::peer::{Peer, Place};
use super::to_https::ToHttps;
use super::{App, HttpDeps};
use crate::config;
use crate::kit::backoff::Backoff;
use crate::kit::budget::{Budget, Ending, Full, Kind, Who};
use crate::kit::health::Health;
use crate::kit::listen::{canonical, listen};
use crate::kit::log_limiter::LogLimiter;
use crate::kit::stop::Stop;
use crate::tls::{Acceptor, Secured};

/// Send buffer of each connection. A stalled WebSocket client was noticed after 136 messages of a broadcast with 64 KiB, and
/// after 2,830 with the kernel's default.
const SEND_BUFFER: u32 = 64 * 1024;

/// How long the head of a request may take, and a kept-alive connection may idle: above the 15 s of a usual Prometheus
/// scrape, so that scraping keeps its connection, and a bound for silent ones.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// The same while only probes are answered.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// How long the first byte of a handshake may take.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// The first byte of TLS: a record of a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;

/// How long sent bytes may stay unacknowledged until the far end counts as gone (tcp(7), TCP_USER_TIMEOUT). Also ends a client
/// that asks and never reads.
const DEAD_AFTER: Duration = Duration::from_secs(20);

/// Silence before the first keep-alive probe, which finds tablets that have left the room.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// How long open requests may still take after the stop.
const DRAIN: Duration = Duration::from_millis(500);

/// A socket that listens.
pub struct Listener {
    socket: TcpListener,
    kind: PortKind,
}

/// What is spoken at a port.
#[derive(Clone)]
enum PortKind {
    /// HTTP.
    Plain,
    /// HTTP, and everything but probes and the page about trust is sent on to https.
    Leading(ToHttps),
    /// HTTP under TLS; who speaks plainly there is sent on to https.
    Secure(Acceptor, ToHttps),
}

/// Why the web door does not open.
#[derive(Debug, thiserror::Error)]
#[error("listening for the web on {addr}: {source} ({})", remedy(.source))]
pub struct BindError {
    addr: SocketAddr,
    source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port: stop it, or set http.port or DMX_PORT",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a right: set http.port or DMX_PORT to 1024 or above",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: set http.host or DMX_HOST",
        _ => "check http.host and http.port",
    }
}

impl Listener {
    /// Where it listens; gives the real port if 0 was requested.
    ///
    /// # Errors
    /// The kernel no longer knows.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Makes it a port of https.
    #[must_use]
    pub fn secured(self, acceptor: Acceptor, port: u16) -> Self {
        Self { kind: PortKind::Secure(acceptor, ToHttps::new(port)), ..self }
    }

    /// Makes it a plain port that leads to the one of https.
    #[must_use]
    pub fn leading_to(self, port: u16) -> Self {
        Self { kind: PortKind::Leading(ToHttps::new(port)), ..self }
    }
}

/// Opens the socket of `[http]`. Must run inside tokio.
///
/// # Errors
/// With address and remedy.
pub fn bind(settings: &config::Http) -> Result<Listener, BindError> {
    bind_at(settings, settings.port)
}

/// Opens another port at the same address.
///
/// # Errors
/// With address and remedy.
pub fn bind_at(settings: &config::Http, port: u16) -> Result<Listener, BindError> {
    open(SocketAddr::new(settings.host, port))
}

/// Opens the socket of `http.also_port`, if one is set. It is a convenience (port 80 in a browser's address), so failing
/// gives a warning and a problem on the board, and the start goes on.
pub fn bind_also(settings: &config::Http, health: &Health) -> Option<Listener> {
    let addr = SocketAddr::new(settings.host, settings.also_port?);
    let fault = match open(addr) {
        Ok(listener) => return Some(listener),
        Err(BindError { source, .. }) => source,
    };
    let message =
        format!("the web is not at {addr} as well: {fault}; free that port, or set http.also_port to another");
    tracing::warn!(%addr, error = %fault, "http_also_port");
    health.raise("WEB_ALSO_PORT", message);
    None
}

fn open(addr: SocketAddr) -> Result<Listener, BindError> {
    let opened = listen(addr, Some(SEND_BUFFER)).map_err(|source| BindError { addr, source })?;
    Ok(Listener { socket: opened, kind: PortKind::Plain })
}

/// Serves until the stop, then finishes open requests within a second. All listeners are one door.
pub async fn serve(listeners: Vec<Listener>, deps: HttpDeps, stop: Stop) {
    run(listeners, App::new(deps, stop)).await;
}

pub(super) async fn run(listeners: Vec<Listener>, app: Arc<App>) {
    let mut stop = app.stop.clone();
    let filter = dispatch::filter(&app);
    let (open, mut all_closed) = mpsc::channel(1);
    let mut door = Door::new(listeners, app.budget.clone(), open);
    let mut tasks = JoinSet::new();
    let said = Said::default();
    tasks.spawn(app.hub.relay(stop.clone()));
    loop {
        tokio::select! {
            () = stop.requested() => break,
            Some(ended) = tasks.join_next() => report(ended),
            (socket, peer, kind) = door.accept() => {
                let common = (filter.clone(), stop.clone(), said.clone());
                match kind {
                    PortKind::Plain => tasks.spawn(converse(socket, (peer, None), common)),
                    PortKind::Leading(to_https) => tasks.spawn(converse(socket, (peer, Some(to_https)), common)),
                    // a plain connection has no room for the state of a secure one
                    PortKind::Secure(acceptor, to_https) => {
                        tasks.spawn(shake_hands(socket, peer, (acceptor, to_https), common))
                    }
                };
            }
        }
    }
    drop(door);
    // Every connection holds a sender, as do WebSockets, which are not tasks of ours. Nothing is ever sent.
    if timeout(DRAIN, all_closed.recv()).await.is_err() {
        tracing::warn!(open = tasks.len(), "http_late_connections_closed");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "http_connection_panicked");
    }
}

/// Limits log lines about those who speak something else than their port.
type Said = Arc<Mutex<LogLimiter>>;

/// One connection to the port of https, to its end.
async fn shake_hands(
    socket: TcpStream,
    peer: Peer,
    (acceptor, to_https): (Acceptor, ToHttps),
    (filter, mut stop, said): (WebFilter, Stop, Said),
) {
    let ending = peer.ending().clone();
    let shaken = tokio::select! {
        shaken = handshake(socket, &acceptor) => shaken,
        _ = ending.told() => return,
        () = stop.requested() => return,
    };
    match shaken {
        Ok(Shaken::Secure(stream)) => converse(stream, (peer.secured(), None), (filter, stop, said)).await,
        Ok(Shaken::Plain(socket)) => {
            tell(&said, &peer, "plain HTTP at the port of https: it is sent on to https");
            converse(socket, (peer, Some(to_https.strictly())), (filter, stop, said)).await;
        }
        // a watchdog that only looks whether the port is open
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => tell(&said, &peer, &error.to_string()),
    }
}

/// What came at the port of https.
enum Shaken {
    Secure(Secured),
    /// No handshake: nothing of it was read.
    Plain(TcpStream),
}

async fn handshake(socket: TcpStream, acceptor: &Acceptor) -> io::Result<Shaken> {
    let mut first = [0];
    let came = timeout(FIRST_BYTE, socket.peek(&mut first)).await;
    if came.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "not a byte in time"))?? == 1 && first != [HANDSHAKE] {
        return Ok(Shaken::Plain(socket));
    }
    acceptor.accept(socket).await.map(Shaken::Secure)
}

fn tell(said: &Said, peer: &Peer, why: &str) {
    if let Some(more) = said.lock().due() {
        tracing::info!(peer = %peer.addr, why, more, "http_refused");
    }
}

/// One connection of which it is known what is spoken, to its end: HTTP/1 with upgrades, with the peer in every request's
/// extensions.
async fn converse(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    (peer, to_https): (Peer, Option<ToHttps>),
    (filter, mut stop, said): (WebFilter, Stop, Said),
) {
    let asked = peer.clone();
    let service = TowerToHyperService::new(warp::service(filter));
    let (from, ending, probes_only) = (peer.addr, peer.ending().clone(), peer.probes_only().is_some());
    let with_peer = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(answer) = to_https.and_then(|to_https| to_https.answer(&request)) {
            return Either::Left(ready(Ok(answer)));
        }
        let version = request.version();
        request.extensions_mut().insert(asked.clone());
        request.extensions_mut().insert(version);
        Either::Right(service.call(request))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if probes_only { PROBE_PATIENCE } else { HEAD_PATIENCE })
        .keep_alive(!probes_only)
        .serve_connection(TokioIo::new(socket), with_peer)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        why = ending.told() => return tracing::info!(peer = %from, why, "http_connection_ended"),
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown(); // answers what was asked, and takes nothing more
            connection.await
        }
    };
    match ended {
        // what hyper has read of it is gone, so this is the likeliest
        Err(error) if error.is_parse() && !peer.is_secure => {
            tell(&said, &peer, "no HTTP; a client that speaks TLS belongs to the port of https (tls.port)");
        }
        Err(error) => tracing::debug!(%error, peer = %from, "http_connection"),
        Ok(()) => {}
    }
}

/// The listening sockets and their places.
struct Door {
    listeners: Vec<Listener>,
    budget: Budget,
    open: mpsc::Sender<()>,
    /// Limits log lines about those for whom there was no place.
    limiter: LogLimiter,
    backoff: Backoff,
}

impl Door {
    fn new(listeners: Vec<Listener>, budget: Budget, open: mpsc::Sender<()>) -> Self {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        Self { listeners, budget, open, limiter: LogLimiter::default(), backoff }
    }

    /// The next connection that has a place. When there is none, a probe may still ask; others are told so, and those for
    /// whom even that is too much are closed. Cancel-safe.
    async fn accept(&mut self) -> (TcpStream, Peer, PortKind) {
        loop {
            match self.any().await {
                Ok((socket, addr, kind)) => {
                    self.backoff.reset();
                    let addr = canonical(addr);
                    match self.place(addr.ip()) {
                        Ok(place) => {
                            if let Err(error) = tune(&socket) {
                                tracing::debug!(%error, peer = %addr, "http_socket_options");
                            }
                            return (socket, Peer::new(addr, place, self.open.clone()), kind);
                        }
                        Err(full) => {
                            if let Some(more) = self.limiter.due() {
                                tracing::warn!(peer = %addr, why = %full, more, "http_refused");
                            }
                        }
                    }
                }
                // The far end gave up before we accepted it: that is fine.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Out of file descriptors or memory: it passes, and spinning would not help.
                Err(error) => {
                    tracing::warn!(%error, "accepting a web connection failed, trying again");
                    sleep(self.backoff.pause()).await;
                }
            }
        }
    }

    /// A place for a connection from this address.
    fn place(&self, from: IpAddr) -> Result<Place, Full> {
        let (who, ending) = (Who::from(from), Arc::new(Ending::default()));
        let share = |kind| {
            let mut share = self.budget.share(kind, who.clone()).until(&ending);
            share.grow_to(1).map(|_| share)
        };
        let (share, probes_only) = match share(Kind::Web) {
            Ok(share) => (share, None),
            Err(full) => (share(Kind::Probes)?, Some(full)),
        };
        Ok(Place { _share: share, ending, probes_only })
    }

    /// The next connection of any listener; all are watched. Cancel-safe: nothing is taken before it is returned.
    async fn any(&self) -> io::Result<(TcpStream, SocketAddr, PortKind)> {
        poll_fn(|context| {
            for listener in &self.listeners {
                if let Poll::Ready(accepted) = listener.socket.poll_accept(context) {
                    return Poll::Ready(accepted.map(|(socket, addr)| (socket, addr, listener.kind.clone())));
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?; // a change of light is small and must not wait for more data (Nagle)
    let socket = SockRef::from(socket);
    socket.set_tcp_user_timeout(Some(DEAD_AFTER))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_AFTER))
}
