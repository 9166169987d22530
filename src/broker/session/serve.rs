//! A session with its client connected: the loop over socket and outcomes.

use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::Session;
use super::connection::{Connection, End, OUT, WRITE_TIMEOUT};
use super::outbox::Broken;
use crate::broker::codec::{self, Ack, Malformed, Packet};
use crate::broker::fairness::{HOLD, LAG_PATIENCE};
use crate::broker::hub::Phase;
use crate::kit::deadline::until;

/// How often to check how far a client is behind.
const LOOK: Duration = Duration::from_millis(100);

/// At the stop: how long it may take until a client has all that was for it, and how often that is checked.
const FAREWELL: Duration = Duration::from_millis(400);
const SERVED: Duration = Duration::from_millis(5);

impl Session {
    /// Serves the connection to its end.
    pub(super) async fn serve(&mut self, connection: &mut Connection) -> End {
        let mut phase = self.hub.phase.subscribe();
        // From the stop on: when patience ends.
        let mut farewell = None;
        let ending = connection.ending.clone();
        loop {
            let open = *phase.borrow_and_update();
            let begun = Instant::now();
            let taken = self.take_packets(connection, open == Phase::Open).await;
            self.outbox.say(&mut connection.out);
            if let Err(end) = taken {
                self.outbox.flush(); // the last answers are worth a try: a client that said DISCONNECT may still read
                return end;
            }
            self.replay();
            if self.outbox.outbound(|outbound| outbound.needs_the_store()) {
                self.forget_arrived().await;
                self.fix_ids().await;
                self.load().await;
            }
            self.outbox.flush();
            match self.outbox.broken() {
                Some(Broken::Socket(error)) => return End::Socket(error),
                Some(Broken::Overflow) => return End::Lagging,
                None => {}
            }
            let now = Instant::now();
            // What this loop waited for itself is not the client's silence.
            let spent = now - begun;
            if spent > LOOK {
                connection.last_packet += spent;
            }
            if self.lags(now) {
                return End::Lagging;
            }
            let silent_until = self.silent_until(now);
            let reading = self.may_read(connection) && silent_until.is_none();
            if !reading || connection.keep_alive.is_none() {
                connection.last_packet = now;
            }
            let stuck_since = self.outbox.stuck_since();
            let stalled_at = stuck_since.map(|since| since + WRITE_TIMEOUT);
            let leave_at = (open >= Phase::Closing).then(|| {
                let end = *farewell.get_or_insert(now + FAREWELL);
                let served = self.hub.is_settled() && self.outbox.is_written() && self.inbound.is_done();
                if served { now } else { end.min(now + SERVED) }
            });
            let silent_at = connection.silent_at();
            let replays = self.may_replay();
            // Every arm is cancel-safe: reads move bytes only when they are done, channels give nothing without returning
            // it, `ready` and `written` change nothing that is not done again.
            tokio::select! {
                Some(next) = self.entry.mailbox.recv() => return End::TakenOver(Box::new(next)),
                why = ending.told() => return End::MadeRoom(why.to_owned()),
                _ = phase.changed() => {}
                _ = self.laggards.changed(), if self.held_since.is_some() => {}
                () = until(silent_until) => {}
                () = sleep_until(now + LOOK), if self.lagging.is_some() => {}
                ended = self.inbound.ready(&self.hub), if !self.inbound.is_done() => {
                    self.inbound.settle(ended, &self.hub, &self.id, &mut connection.out);
                }
                () = yield_now(), if replays => {}
                () = self.outbox.news() => {}
                () = self.outbox.written(), if stuck_since.is_some() => {}
                got = connection.read(), if reading => if let Some(end) = End::unless_moved(got) {
                    return end;
                },
                () = sleep_until(silent_at), if reading => return End::KeepAlive,
                () = until(stalled_at) => return End::Stalled,
                () = until(leave_at) => {
                    if leave_at == Some(now) || farewell.is_some_and(|end| now >= end) {
                        return End::Stopping;
                    }
                }
            }
        }
    }

    /// Whether the client has lagged for too long. A session that lags without it, for want of a turn on the processor,
    /// catches up by itself.
    fn lags(&mut self, now: Instant) -> bool {
        if self.outbox.lags() {
            self.lagging.get_or_insert(now);
        } else {
            self.lagging = None;
        }
        self.lagging.is_some_and(|since| now >= since + LAG_PATIENCE)
    }

    /// Until when nothing is read from the client: it has said what it may, or others need time. One that lags itself is
    /// read, since it may be answering.
    fn silent_until(&mut self, now: Instant) -> Option<Instant> {
        let holds = *self.laggards.borrow_and_update() > 0
            && self.voice.is_busy(now)
            && !self.outbox.lags()
            && self.hub.feeds_laggard(&self.said);
        self.held_since = holds.then(|| self.held_since.unwrap_or(now));
        let held_until = self.held_since.map(|since| since + HOLD).filter(|until| now < *until);
        self.voice.silent_until(now).or(held_until)
    }

    fn may_read(&self, connection: &Connection) -> bool {
        self.inbound.has_room() && connection.out.len() + self.outbox.unsent() < OUT
    }

    /// Takes the packets that are whole, as long as there is room for their outcome. At the stop only answers to our
    /// own messages count: nothing new is begun.
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
                Packet::PubAck(pkid) => self.outbox.outbound(|outbound| outbound.acknowledged(pkid)),
                Packet::PubRec(pkid) => {
                    self.received(pkid).await;
                    codec::ack(out, Ack::PubRel, pkid);
                }
                Packet::PubComp(pkid) => self.outbox.outbound(|outbound| outbound.completed(pkid)),
                Packet::PingReq => codec::pingresp(out),
                Packet::Disconnect => return Err(End::Disconnect),
                // [MQTT-3.1.0-2]
                Packet::Connect(_) => return Err(self.broken(Malformed::Broken("a second CONNECT"))),
                _ if !open => {}
                Packet::Publish(publish) => {
                    self.voice.said(publish.topic.len() + publish.payload.len(), Instant::now());
                    self.said.clone_from(&publish.topic);
                    self.inbound.take(&self.hub, &self.id, publish, out).await;
                    if self.inbound.is_device {
                        self.entry.presence.know();
                    }
                }
                Packet::PubRel(pkid) => self.inbound.release(&self.hub, pkid, out).await,
                Packet::Subscribe { pkid, filters } => {
                    self.outbox.say(out); // it may have to wait for the router
                    self.outbox.flush();
                    let granted = self.subscribe(filters).await?;
                    codec::suback(out, pkid, &granted);
                }
                Packet::Unsubscribe { pkid, filters } => {
                    self.outbox.say(out);
                    self.outbox.flush();
                    self.unsubscribe(&filters).await?;
                    codec::unsuback(out, pkid);
                }
            }
            // A buffer full of small packets must not keep everybody else waiting.
            consume_budget().await;
        }
        Ok(())
    }

    fn broken(&self, error: Malformed) -> End {
        self.hub.metrics.protocol_errors.inc();
        End::Protocol(error)
    }
}
