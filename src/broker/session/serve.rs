//! A session with its client connected: the loop over socket, router and outcomes.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::Session;
use super::connection::{Connection, End, OUT};
use crate::broker::codec::{self, Ack, Malformed, Packet};
use crate::broker::fairness::{HOLD, LAG_PATIENCE};
use crate::broker::hub::Phase;
use crate::broker::router::{Delivery, RouterGone};
use crate::kit::deadline::until;

/// Room made for each read.
const READ: usize = 4096;

/// How often to check how far a client is behind.
const LOOK: Duration = Duration::from_millis(100);

/// At the stop: how long the router must be silent until a session counts as served, and how long that may take.
const LAST_WORDS: Duration = Duration::from_millis(50);
const FAREWELL: Duration = Duration::from_millis(400);

/// A connection from the stop on.
struct Farewell {
    /// Since when the router had nothing for this client.
    silent_since: Instant,
    /// When the wait ends.
    end: Instant,
}

impl Farewell {
    fn begin(now: Instant) -> Self {
        Self { silent_since: now, end: now + FAREWELL }
    }

    fn ends(&self, served: bool) -> Instant {
        if served { self.end.min(self.silent_since + LAST_WORDS) } else { self.end }
    }
}

impl Session {
    /// Serves the connection to its end.
    pub(super) async fn serve(&mut self, connection: &mut Connection) -> End {
        let mut phase = self.hub.phase.subscribe();
        let mut farewell = None;
        loop {
            let open = *phase.borrow_and_update();
            if let Err(end) = self.proceed(connection, open == Phase::Open).await {
                return end;
            }
            if self.outbound.needs_ids() && connection.out.len() < OUT {
                continue;
            }
            let now = Instant::now();
            if self.lags(!self.outbound.has_room(), now) {
                return End::Lagging;
            }
            let silent_until = self.silent_until(now);
            let may_read = self.may_read(connection) && silent_until.is_none();
            let (reading, writing) = (connection.is_reading(may_read, now), connection.is_writing(now));
            let leave_at = (open == Phase::Closing).then(|| {
                let served = !writing && self.outbound.is_written() && self.inbound.is_done();
                farewell.get_or_insert(Farewell::begin(now)).ends(served)
            });
            let (silent_at, stalled_at) = (connection.silent_at(), connection.stalled_at());
            let Connection { read_half, write_half, read, out, .. } = &mut *connection;
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
                wrote = write_half.write_buf(out), if writing => match End::unless_moved(wrote) {
                    None => connection.wrote(),
                    Some(end) => return end,
                },
                got = read_half.read_buf(&mut read.bytes), if reading => if let Some(end) = End::unless_moved(got) {
                    return end;
                },
                _ = self.routers.changed() => {}
                delivery = self.tap.next(), if self.tap_lives && self.outbound.has_room() && self.replays.is_empty() => {
                    if let Err(error) = delivery.and_then(|first| self.deliver_all(first)) {
                        self.router_is_gone(&error); // the next router continues
                    }
                    if let Some(farewell) = &mut farewell {
                        farewell.silent_since = Instant::now();
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

    /// Does what needs no waiting: moves to the next router, takes whole packets, writes what is due.
    async fn proceed(&mut self, connection: &mut Connection, open: bool) -> Result<(), End> {
        let begun = Instant::now();
        if self.must_move() && self.move_over().await? > 0 {
            return Err(End::Lagging); // it would not know what it missed; a disconnect is the only way to tell
        }
        let taken = self.take_packets(connection, open).await;
        if taken.is_err() {
            // The last answers are worth an attempt: a client that sent DISCONNECT may still read.
            let _ = connection.write_half.write_buf(&mut connection.out).now_or_never();
            return taken;
        }
        if self.outbound.has_forgotten() {
            self.forget_arrived().await;
        }
        self.replay();
        self.fix_ids().await;
        self.write_letters(connection);
        connection.read.bytes.reserve(READ);
        if begun.elapsed() > LOOK {
            connection.excuse(begun.elapsed());
        }
        Ok(())
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

    /// Takes whole packets, as long as there is room for their outcome. At the stop only answers to our own messages
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
