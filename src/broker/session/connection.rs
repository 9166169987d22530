//! A client at the other end: its socket, when it was heard last, and why it went.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf, ReadHalf, WriteHalf};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::broker::codec::{Connect, Malformed, Reason, Version};
use crate::broker::inbox::{Inbox, Stream};
use crate::broker::presence::{Meter, Next};
use crate::broker::router::RouterGone;
use crate::kit::budget::{Ending, Full};

/// Bytes of answers that may wait for the socket. When full, nothing is read from the client until some are gone.
pub(super) const OUT: usize = 64 * 1024;

/// How long a socket may accept nothing of what waits for it; then its client is gone.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of one read.
const READ: usize = 16 * 1024;

thread_local! {
    /// No client has a buffer while nothing comes.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Why a connection ended.
pub(super) enum End {
    /// The client has said so; `will`: and that its will is to be published.
    Disconnect {
        will: bool,
    },
    /// By a client at this address.
    TakenOver(String),
    KeepAlive,
    Socket(io::Error),
    Closed,
    Protocol(Malformed),
    Full(Full),
    /// Its place went to another one.
    MadeRoom(String),
    /// Its client is not what it was when it was let in.
    Dismissed,
    Stalled,
    Lagging,
    Router(RouterGone),
    Stopping,
}

impl End {
    /// Section 3.1.2.5: always, but not after DISCONNECT. A stop of the whole appliance says nothing about a client.
    pub(super) fn fires_will(&self) -> bool {
        !matches!(self, Self::Disconnect { will: false } | Self::Stopping)
    }

    /// What DISCONNECT tells the client; `None`: nothing, since it has gone itself. At the stop nothing either: it would make
    /// clients like mosquitto_sub give up instead of coming back.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Disconnect { .. } | Self::Socket(_) | Self::Closed | Self::Stopping => None,
            Self::TakenOver(_) => Some(Reason::TakenOver),
            Self::KeepAlive => Some(Reason::KeepAlive),
            Self::Protocol(error) => Some(error.reason()),
            Self::Full(_) | Self::MadeRoom(_) | Self::Lagging => Some(Reason::QuotaExceeded),
            Self::Dismissed => Some(Reason::NotAuthorized),
            Self::Stalled | Self::Router(_) => Some(Reason::Unspecified),
        }
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
            Self::Disconnect { .. } => f.write_str("disconnect"),
            Self::TakenOver(peer) => write!(f, "taken over by {peer}"),
            Self::KeepAlive => f.write_str("silent for longer than its keep-alive"),
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Closed => f.write_str("closed by the client"),
            Self::Protocol(error) => write!(f, "protocol: {error}"),
            Self::Full(full) => full.fmt(f),
            Self::MadeRoom(why) => f.write_str(why),
            Self::Dismissed => f.write_str(
                "its rights have changed: its user was changed or deleted or has logged out, or the appliance was locked",
            ),
            Self::Lagging => f.write_str("too slow for what it has subscribed to"),
            Self::Stalled => write!(f, "took or answered nothing for {WRITE_TIMEOUT:?}"),
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
    /// Until the outbox has it.
    pub(super) write_half: Option<WriteHalf<Box<dyn Stream>>>,
    pub(super) read: Inbox,
    /// Answers, until the outbox has them.
    pub(super) out: BytesMut,
    pub(super) version: Version,
    /// Bytes of a packet that the client takes.
    pub(super) max_packet: u32,
    /// One and a half times what the client asked for ([MQTT-3.1.2-24]).
    pub(super) keep_alive: Option<Duration>,
    pub(super) last_packet: Instant,
    pub(super) meter: Arc<Meter>,
    /// Told when it has to make room for another one.
    pub(super) ending: Arc<Ending>,
}

impl Connection {
    pub(super) fn new(
        (stream, read): (Box<dyn Stream>, Inbox),
        connect: &Connect,
        meter: Arc<Meter>,
        ending: Arc<Ending>,
    ) -> Self {
        let (read_half, write_half) = tokio::io::split(stream);
        let keep_alive = (connect.keep_alive > 0).then(|| Duration::from_millis(1500) * u32::from(connect.keep_alive));
        let (write_half, out, last_packet) = (Some(write_half), BytesMut::new(), Instant::now());
        let (version, max_packet) = (connect.version, connect.limits.max_packet);
        Self { read_half, write_half, read, out, version, max_packet, keep_alive, last_packet, meter, ending }
    }

    /// Reads what is there; 0: the client has closed. Cancel-safe.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        let (half, bytes) = (&mut self.read_half, &mut self.read.bytes);
        std::future::poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut *half).poll_read(cx, &mut buffer))?;
                bytes.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            })
        })
        .await
    }

    /// The same, if there is anything now.
    pub(super) fn read_at_once(&mut self) -> Option<io::Result<usize>> {
        let read = pin!(unconstrained(self.read()));
        match read.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    /// Far off where there is no keep-alive; not while the front itself is not reading.
    pub(super) fn silent_at(&self) -> Instant {
        self.last_packet + self.keep_alive.unwrap_or(Duration::from_secs(86_400))
    }
}
