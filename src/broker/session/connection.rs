//! A session with its client connected: the loop over socket, router and outcomes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::{Arrival, Session};
use crate::broker::codec::{self, Ack, Connect, ConnectCode, Malformed, Packet};
use crate::broker::fairness::{HOLD, LAG_PATIENCE};
use crate::broker::hub::Phase;
use crate::broker::inbox::Inbox;
use crate::broker::presence::{Meter, Next};
use crate::broker::router::{Delivery, RouterGone};
use crate::kit::budget::Full;
use crate::kit::deadline::until;

/// A byte stream to a client.
pub(in crate::broker) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Bytes that may wait for the socket. When full, nothing is read from router or client until some are gone.
const OUT: usize = 64 * 1024;

/// Room made for each read.
const READ: usize = 4096;

/// How often to check how far a client is behind.
const LOOK: Duration = Duration::from_millis(100);

/// How long a socket may accept nothing of what waits for it; then its client is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// At the stop: how long the router must be silent until a session counts as served, and how long that may take.
const LAST_WORDS: Duration = Duration::from_millis(50);
const FAREWELL: Duration = Duration::from_millis(400);

/// Why a connection ended.
pub(super) enum End {
    Disconnect,
    TakenOver(Box<Arrival>),
    KeepAlive,
    Socket(std::io::Error),
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
    read_half: ReadHalf<Box<dyn Stream>>,
    write_half: WriteHalf<Box<dyn Stream>>,
    read: Inbox,
    pub(super) out: BytesMut,
    /// One and a half times what the client asked for ([MQTT-3.1.2-24]).
    keep_alive: Option<Duration>,
    last_packet: Instant,
    /// Since when the bytes that wait to be written have not moved.
    last_write: Instant,
    /// Whether any waited at the last check.
    writing: bool,
    meter: Arc<Meter>,
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
    fn silent_at(&self) -> Instant {
        self.last_packet + self.keep_alive.unwrap_or(Duration::from_secs(86_400))
    }

    fn stalled_at(&self) -> Instant {
        self.last_write + WRITE_TIMEOUT
    }

    /// Whether anything waits to be written. The client's time counts from then on, however long it was idle.
    fn is_writing(&mut self, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.writing, !self.out.is_empty());
        if !(before && self.writing) {
            self.last_write = now;
        }
        self.writing
    }

    fn wrote(&mut self) {
        self.last_write = Instant::now();
        // a burst or a large packet must not hold its memory as long as the client stays
        if self.out.is_empty() && self.out.capacity() > OUT {
            self.out = BytesMut::new();
        }
    }
}

impl Session {
    /// Serves the connection to its end.
    pub(super) async fn serve(&mut self, connection: &mut Connection) -> End {
        let mut phase = self.hub.phase.subscribe();
        // from the stop on: when the router last had something for this client, and when time is up
        let mut farewell: Option<(Instant, Instant)> = None;
        loop {
            let open = *phase.borrow_and_update();
            let begun = Instant::now();
            if self.must_move() {
                match self.move_over().await {
                    Ok(0) => {}
                    // It would not know what it missed; a disconnect is the only way to tell.
                    Ok(_) => return End::Lagging,
                    Err(error) => return End::Router(error),
                }
            }
            if let Err(end) = self.take_packets(connection, open == Phase::Open).await {
                // The last answers are worth an attempt: a client that sent DISCONNECT may still read.
                let _ = connection.write_half.write_buf(&mut connection.out).now_or_never();
                return end;
            }
            if self.outbound.has_forgotten() {
                self.forget_arrived().await;
            }
            self.replay();
            self.fix_ids().await;
            self.write_letters(connection);
            if self.outbound.needs_ids() && connection.out.len() < OUT {
                continue;
            }
            let now = Instant::now();
            // time that this loop spent waiting is not the client's silence
            let spent = now - begun;
            if spent > LOOK {
                connection.last_packet += spent;
                connection.last_write += spent;
            }
            let behind = !self.outbound.has_room();
            if self.lags(behind, now) {
                return End::Lagging;
            }
            let silent_until = self.silent_until(now);
            let reading = self.may_read(connection) && silent_until.is_none();
            if !reading || connection.keep_alive.is_none() {
                connection.last_packet = now;
            }
            let writing = connection.is_writing(now);
            let leave_at = (open == Phase::Closing).then(|| {
                let (silent_since, end) = *farewell.get_or_insert((now, now + FAREWELL));
                let served = !writing && self.outbound.is_written() && self.inbound.is_done();
                if served { end.min(silent_since + LAST_WORDS) } else { end }
            });
            let (silent_at, stalled_at) = (connection.silent_at(), connection.stalled_at());
            let Connection { read_half, write_half, read, out, .. } = &mut *connection;
            read.bytes.reserve(READ);
            // every arm is cancel-safe: reads and writes move bytes only when they complete, channels lose nothing, and `ready` and
            // `next` change nothing that is not done again
            tokio::select! {
                Some(next) = self.entry.mailbox.recv() => return End::TakenOver(Box::new(next)),
                _ = phase.changed() => {}
                _ = self.laggards.changed(), if self.held_since.is_some() => {}
                () = until(silent_until) => {}
                () = sleep_until(now + LOOK), if self.behind_since.is_some() => {}
                ended = self.inbound.ready(&self.hub), if !self.inbound.is_done() => {
                    self.inbound.settle(ended, &self.hub, &self.id, &mut connection.out);
                }
                wrote = write_half.write_buf(out), if writing => match wrote {
                    Ok(0) => return End::Closed,
                    Ok(_) => connection.wrote(),
                    Err(error) => return End::Socket(error),
                },
                got = read_half.read_buf(&mut read.bytes), if reading => match got {
                    Ok(0) => return End::Closed,
                    Ok(_) => {}
                    Err(error) => return End::Socket(error),
                },
                _ = self.routers.changed() => {}
                delivery = self.tap.next(), if self.tap_lives && self.outbound.has_room() && self.replays.is_empty() => {
                    if let Err(error) = delivery.and_then(|first| self.deliver_all(first)) {
                        self.router_is_gone(&error); // the next router continues
                    }
                    if let Some((silent_since, _)) = &mut farewell {
                        *silent_since = Instant::now();
                    }
                }
                () = sleep_until(silent_at), if reading => return End::KeepAlive,
                () = sleep_until(stalled_at), if writing => return End::Stalled,
                () = until(leave_at) => {
                    let _ = connection.write_half.shutdown().now_or_never();
                    return End::Stopping;
                }
            }
        }
    }

    /// Whether the client has lagged for too long. A session that lags on its own, for want of processor time, catches up by
    /// itself.
    fn lags(&mut self, behind: bool, now: Instant) -> bool {
        if behind {
            self.behind_since.get_or_insert(now);
        } else if self.outbound.is_nearly_empty() {
            self.behind_since = None;
        }
        if self.behind_since.is_none() || !self.subscriptions.lag() {
            self.lagging = None;
        } else {
            self.lagging.get_or_insert(now);
        }
        self.lagging.is_some_and(|since| now >= since + LAG_PATIENCE)
    }

    /// Until when nothing is read from the client: it has used up its limit, or others need time. A client that lags itself is
    /// read, since it may be acknowledging.
    fn silent_until(&mut self, now: Instant) -> Option<Instant> {
        if *self.laggards.borrow_and_update() == 0 {
            self.held_since = None;
        } else if self.voice.is_busy(now) && !self.subscriptions.lag() && self.hub.feeds_laggard(&self.said) {
            self.held_since.get_or_insert(now);
        } else {
            self.held_since = None;
        }
        let held_until = self.held_since.map(|since| since + HOLD).filter(|until| now < *until);
        self.voice.silent_until(now).or(held_until)
    }

    fn may_read(&self, connection: &Connection) -> bool {
        self.inbound.has_room() && connection.out.len() < OUT
    }

    /// Takes the whole packets, as long as there is room for their outcome. At the stop only answers to our own messages
    /// count: nothing new is begun.
    async fn take_packets(&mut self, connection: &mut Connection, open: bool) -> Result<(), End> {
        while self.may_read(connection) && self.silent_until(Instant::now()).is_none() {
            let packet = codec::decode(&mut connection.read.bytes, self.hub.settings.max_packet_bytes);
            let Some(packet) = packet.map_err(|error| self.broken(error))? else {
                return connection.read.settle().map_err(End::Full);
            };
            connection.last_packet = Instant::now();
            connection.meter.heard(matches!(packet, Packet::Publish(_)));
            let out = &mut connection.out;
            match packet {
                Packet::PubAck(pkid) => self.outbound.acknowledged(pkid),
                Packet::PubRec(pkid) => {
                    self.received(pkid).await;
                    codec::ack(out, Ack::PubRel, pkid);
                }
                Packet::PubComp(pkid) => self.outbound.completed(pkid),
                Packet::PingReq => codec::pingresp(out),
                Packet::Disconnect => return Err(End::Disconnect),
                // [MQTT-3.1.0-2]
                Packet::Connect(_) => return Err(self.broken(Malformed::Broken("a second CONNECT"))),
                _ if !open => {}
                Packet::Publish(publish) => {
                    self.voice.said(publish.topic.len() + publish.payload.len(), Instant::now());
                    self.said.clone_from(&publish.topic);
                    self.inbound.take(&self.hub, &self.id, publish, out).await;
                }
                Packet::PubRel(pkid) => self.inbound.release(&self.hub, pkid, out).await,
                Packet::Subscribe { pkid, filters } => {
                    let granted = self.subscribe(filters).await?;
                    codec::suback(out, pkid, &granted);
                }
                Packet::Unsubscribe { pkid, filters } => {
                    self.unsubscribe(&filters).await;
                    codec::unsuback(out, pkid);
                }
            }
            // a buffer full of small packets must not keep everybody else waiting
            consume_budget().await;
        }
        Ok(())
    }

    fn broken(&self, error: Malformed) -> End {
        self.hub.metrics.protocol_errors.inc();
        End::Protocol(error)
    }

    /// Takes a message from the router, and any others that are there already.
    fn deliver_all(&mut self, first: Delivery) -> Result<(), RouterGone> {
        let mut next = Some(first);
        while let Some(delivery) = next.take() {
            self.deliver(delivery);
            if self.outbound.has_room() {
                next = self.tap.next().now_or_never().transpose()?;
            }
        }
        self.account();
        Ok(())
    }

    fn write_letters(&mut self, connection: &mut Connection) {
        let sent = self.outbound.write(&mut connection.out, OUT);
        self.hub.metrics.sent.inc_by(sent);
        connection.meter.sent(sent);
    }
}
