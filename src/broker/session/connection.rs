//! A client at the other end: its socket, when it was heard last, and why it went.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use crate::broker::codec::{self, Connect, ConnectCode, Malformed};
use crate::broker::inbox::{Inbox, Stream};
use crate::broker::presence::{Meter, Next};
use crate::broker::register::Arrival;
use crate::broker::router::RouterGone;
use crate::kit::budget::Full;

/// Bytes that may wait for the socket. When full, nothing is read from router or client until some are gone.
pub(super) const OUT: usize = 64 * 1024;

/// How long a socket may accept nothing of what waits for it; then its client is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a connection ended.
pub(super) enum End {
    Disconnect,
    TakenOver(Box<Arrival>),
    KeepAlive,
    Socket(io::Error),
    Closed,
    Protocol(Malformed),
    Full(Full),
    Stalled,
    Lagging,
    Router(RouterGone),
    Stopping,
}

impl End {
    /// Section 3.1.2.5: always, but not after DISCONNECT. A stop of the whole appliance says nothing about a client.
    pub(super) fn fires_will(&self) -> bool {
        !matches!(self, Self::Disconnect | Self::Stopping)
    }

    /// What a read or write says that moved no bytes.
    pub(super) fn unless_moved(moved: io::Result<usize>) -> Option<Self> {
        match moved {
            Ok(0) => Some(Self::Closed),
            Ok(_) => None,
            Err(error) => Some(Self::Socket(error)),
        }
    }

    pub(super) fn next(&self) -> Next {
        match self {
            Self::TakenOver(_) => Next::TakenOver,
            Self::Stopping => Next::Stopping,
            _ => Next::Gone,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnect => f.write_str("disconnect"),
            Self::TakenOver(next) => write!(f, "taken over by {}", next.peer),
            Self::KeepAlive => f.write_str("silent for longer than its keep-alive"),
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Closed => f.write_str("closed by the client"),
            Self::Protocol(error) => write!(f, "protocol: {error}"),
            Self::Full(full) => full.fmt(f),
            Self::Lagging => f.write_str("too slow for what it has subscribed to"),
            Self::Stalled => write!(f, "took nothing for {WRITE_TIMEOUT:?}"),
            Self::Router(error) => error.fmt(f),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

impl From<RouterGone> for End {
    fn from(error: RouterGone) -> Self {
        Self::Router(error)
    }
}

pub(super) struct Connection {
    pub(super) read_half: ReadHalf<Box<dyn Stream>>,
    pub(super) write_half: WriteHalf<Box<dyn Stream>>,
    pub(super) read: Inbox,
    pub(super) out: BytesMut,
    /// One and a half times what the client asked for ([MQTT-3.1.2-24]).
    pub(super) keep_alive: Option<Duration>,
    pub(super) last_packet: Instant,
    /// Since when the bytes that wait to be written have not moved.
    pub(super) last_write: Instant,
    /// Whether any waited at the last check.
    pub(super) writing: bool,
    pub(super) meter: Arc<Meter>,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>, read: Inbox, connect: &Connect, meter: Arc<Meter>) -> Self {
        let (read_half, write_half) = tokio::io::split(stream);
        let keep_alive = (connect.keep_alive > 0).then(|| Duration::from_millis(1500) * u32::from(connect.keep_alive));
        let now = Instant::now();
        Self {
            read_half,
            write_half,
            read,
            out: BytesMut::new(),
            keep_alive,
            last_packet: now,
            last_write: now,
            writing: false,
            meter,
        }
    }

    pub(super) fn welcome(&mut self, session_present: bool) {
        codec::connack(&mut self.out, session_present, ConnectCode::Accepted);
    }

    /// Far in the future without a keep-alive, and while the front itself is not reading.
    pub(super) fn silent_at(&self) -> Instant {
        self.last_packet + self.keep_alive.unwrap_or(Duration::from_secs(86_400))
    }

    pub(super) fn stalled_at(&self) -> Instant {
        self.last_write + WRITE_TIMEOUT
    }

    /// Whether the client is read, if it may be. Its silence counts only while it is.
    pub(super) fn is_reading(&mut self, may: bool, now: Instant) -> bool {
        if !may || self.keep_alive.is_none() {
            self.last_packet = now;
        }
        may
    }

    /// Whether anything waits to be written. The client's time counts from then on, however long it was idle.
    pub(super) fn is_writing(&mut self, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.writing, !self.out.is_empty());
        if !(before && self.writing) {
            self.last_write = now;
        }
        self.writing
    }

    /// What the session waited for itself is not the client's silence.
    pub(super) fn excuse(&mut self, spent: Duration) {
        self.last_packet += spent;
        self.last_write += spent;
    }

    pub(super) fn wrote(&mut self) {
        self.last_write = Instant::now();
        // a burst or a large packet must not hold its memory as long as the client stays
        if self.out.is_empty() && self.out.capacity() > OUT {
            self.out = BytesMut::new();
        }
    }
}
