//! A session with its client connected: the loop over socket and outcomes.

use std::future::pending;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{oneshot, watch};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::Session;
use super::aliases::Refused;
use super::bunch::write_now;
use super::connection::{Connection, End, OUT, WRITE_TIMEOUT};
use super::outbox::Broken;
use super::rest::Rest;
use crate::broker::codec::{self, Ack, Malformed, Packet, Publish, Reason};
use crate::broker::fairness::{HOLD, LAG_PATIENCE};
use crate::broker::hearing::Ear;
use crate::broker::hub::Phase;
use crate::kit::budget::Kind;
use crate::kit::deadline::until;

/// How often to check how far a client is behind.
const LOOK: Duration = Duration::from_millis(100);

/// At the stop: how long it may take until a client has all that was for it, and how often that is checked.
const FAREWELL: Duration = Duration::from_millis(400);
const SERVED: Duration = Duration::from_millis(5);

/// Ends with a fence; never, if there is none. Cancel-safe.
async fn opens(fence: &mut Option<oneshot::Receiver<()>>) {
    match fence {
        Some(fence) => drop(fence.await), // Err: the hub is gone
        None => pending().await,
    }
}

/// How far serving a connection is.
struct Serving {
    phase: watch::Receiver<Phase>,
    /// While it is there, what the client says is taken; `None` from the stop on.
    ear: Option<Ear>,
    /// What had arrived before an end that has come.
    rest: Option<Rest>,
    /// From the stop on: when patience ends.
    farewell: Option<Instant>,
}

impl Serving {
    /// Its end has come. What had arrived is done first.
    fn ends(&mut self, end: End) {
        match &mut self.rest {
            Some(rest) => rest.end = rest.end.take().or(Some(end)),
            None => self.rest = Some(Rest::new(Some(end), Instant::now())),
        }
    }

    fn is_ending(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.end.is_some())
    }

    /// All that had arrived is done; gives the end, unless it was the stop, or a silence that was none.
    fn rest_is_done(&mut self, connection: &Connection, now: Instant) -> Option<End> {
        let end = self.rest.take()?.end;
        if end.is_none() {
            self.ear = None;
        }
        end.filter(|end| !matches!(end, End::KeepAlive) || connection.silent_at() <= now)
    }
}

impl Session {
    /// Serves the connection to its end. A client that takes it over is left as `newcomer`.
    pub(super) async fn serve(&mut self, connection: &mut Connection, ear: Ear) -> End {
        let mut serving = Serving { phase: self.hub.phase.subscribe(), ear: Some(ear), rest: None, farewell: None };
        loop {
            if let Some(end) = self.turn(connection, &mut serving).await {
                return end;
            }
        }
    }

    /// Takes what has come, writes what is there, and waits for more; gives the end.
    async fn turn(&mut self, connection: &mut Connection, serving: &mut Serving) -> Option<End> {
        if self.outbox.is_dismissed() {
            self.outbox.flush();
            return Some(End::Dismissed); // what had arrived is nobody's who may say it
        }
        let open = *serving.phase.borrow_and_update();
        let begun = Instant::now();
        let dying = serving.is_ending();
        let taken = self.take_packets(connection, serving.ear.is_some(), dying).await;
        self.say(&mut connection.out).await;
        let all_taken = match taken {
            Ok(all) => all,
            Err(end) => {
                self.outbox.flush(); // the last answers are worth a try: a client that said DISCONNECT may still read
                return Some(end);
            }
        };
        self.write().await;
        let now = Instant::now();
        if let Some(end) = self.has_to_end(now) {
            serving.ends(end);
        }
        if open >= Phase::Quiet && serving.ear.is_some() && serving.rest.is_none() {
            serving.rest = Some(Rest::new(None, now));
        }
        // What this loop waited for itself is not the client's silence.
        let spent = now - begun;
        if spent > LOOK {
            connection.last_packet += spent;
        }
        let silent_until = self.silent_until(now);
        let may_read = self.may_read(connection, dying) && silent_until.is_none();
        if may_read && !all_taken {
            return None;
        }
        if !may_read || connection.keep_alive.is_none() {
            connection.last_packet = now;
        }
        if let Some(rest) = &mut serving.rest {
            let came = if may_read { connection.read_at_once() } else { None };
            match came {
                None if !may_read => rest.came(0),
                Some(Ok(bytes)) if bytes > 0 => rest.came(bytes),
                Some(_) => return serving.rest_is_done(connection, now),
                None if rest.was_silent(now) => return serving.rest_is_done(connection, now),
                None => {}
            }
            if rest.is_over(now) {
                return serving.rest_is_done(connection, now);
            }
            if came.is_some() {
                return None;
            }
        }
        self.wait(connection, serving, (now, open), (may_read, silent_until)).await
    }

    /// Answers the client. What it has is in the store's line before, ahead of whatever follows an answer.
    async fn say(&mut self, out: &mut BytesMut) {
        write_now(); // others have a message before its publisher hears of that
        self.forget_arrived().await;
        self.outbox.say(out);
    }

    /// Goes on with what there is for the client.
    async fn write(&mut self) {
        self.replay().await;
        if self.outbox.outbound(|outbound| outbound.needs_the_store()) {
            self.fix_ids().await;
            self.load().await;
        }
        self.outbox.flush();
    }

    /// Why the connection has to end, as far as its way out shows.
    fn has_to_end(&mut self, now: Instant) -> Option<End> {
        match self.outbox.broken() {
            Some(Broken::Socket(error)) => Some(End::Socket(error)),
            Some(Broken::Overflow) => Some(End::Lagging),
            Some(Broken::Full(full)) => Some(End::Full(full)),
            None => self.lags(now).then_some(End::Lagging),
        }
    }

    /// Waits until there is something to do; gives an end before which nothing is left to be done.
    async fn wait(
        &mut self,
        connection: &mut Connection,
        serving: &mut Serving,
        (now, open): (Instant, Phase),
        (reading, silent_until): (bool, Option<Instant>),
    ) -> Option<End> {
        let stuck_since = self.outbox.stuck_since();
        let leave_at = (open >= Phase::Closing).then(|| {
            let end = *serving.farewell.get_or_insert(now + FAREWELL);
            let served = self.hub.is_settled() && self.outbox.is_written() && self.inbound.is_done();
            if served { now } else { end.min(now + SERVED) }
        });
        let (silent_at, replays) = (connection.silent_at(), self.may_replay());
        let (ending, queued) = (connection.ending.clone(), self.outbox.ending());
        let goes_on = !serving.is_ending();
        let keep_alive_at = (reading && goes_on).then_some(silent_at);
        let stalled_since = [stuck_since, self.mute_since()].into_iter().flatten().min();
        let stalled_at = stalled_since.filter(|_| goes_on).map(|since| since + WRITE_TIMEOUT);
        let look_at = [self.lagging.map(|_| now + LOOK), serving.rest.as_ref().map(Rest::look_at)];
        let due = [silent_until, keep_alive_at, stalled_at, leave_at].into_iter().chain(look_at).flatten().min();
        // Every arm is cancel-safe: reads move bytes only when they are done, channels give nothing without returning
        // it, `ready` and `written` change nothing that is not done again.
        tokio::select! {
            Some(next) = self.entry.mailbox.recv(), if goes_on => {
                serving.ends(End::TakenOver(next.peer.clone()));
                self.newcomer = Some(next);
            }
            why = ending.told(), if goes_on => serving.ends(End::MadeRoom(why.to_owned())),
            why = queued.told(), if goes_on => serving.ends(End::MadeRoom(why.to_owned())),
            _ = serving.phase.changed() => {}
            _ = self.laggards.changed(), if self.held_since.is_some() => {}
            ended = self.inbound.ready(&self.hub), if !self.inbound.is_done() => {
                self.inbound.settle(ended, &self.hub, &self.id, &mut connection.out);
            }
            () = yield_now(), if replays => {}
            () = opens(&mut self.fence) => self.release(),
            () = self.outbox.news() => self.count_dropped(),
            () = self.outbox.written(), if stuck_since.is_some() => {}
            got = connection.read(), if reading => return End::unless_moved(got),
            () = until(due) => {
                let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
                if is_due(leave_at) && (leave_at == Some(now) || serving.farewell.is_some_and(|end| now >= end)) {
                    return Some(End::Stopping);
                }
                if is_due(stalled_at) {
                    serving.ends(End::Stalled);
                } else if is_due(keep_alive_at) {
                    serving.ends(End::KeepAlive);
                }
            }
        }
        None
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

    /// Whether there is room for what the client says. A connection that is `dying` may not take its answers any more.
    fn may_read(&self, connection: &Connection, dying: bool) -> bool {
        self.inbound.has_room() && (dying || connection.out.len() + self.outbox.unsent() < OUT)
    }

    /// Takes the packets that are whole, as long as there is room for their outcome; whether these are all. At the stop
    /// only answers to our own messages count: nothing new is begun.
    async fn take_packets(&mut self, connection: &mut Connection, open: bool, dying: bool) -> Result<bool, End> {
        while self.may_read(connection, dying) && self.silent_until(Instant::now()).is_none() {
            let (bytes, version) = (&mut connection.read.bytes, connection.version);
            let packet = codec::decode(bytes, version, self.hub.settings.max_packet_bytes);
            let Some(packet) = packet.map_err(|error| self.broken(error))? else {
                return connection.read.settle().map(|()| true).map_err(End::Full);
            };
            connection.last_packet = Instant::now();
            connection.meter.heard(matches!(packet, Packet::Publish(_)));
            let out = &mut connection.out;
            match packet {
                Packet::PubAck(pkid) => {
                    let known = self.outbox.outbound(|outbound| outbound.acknowledged(pkid));
                    self.answers(known);
                }
                Packet::PubRec { pkid, refused: true } => {
                    let known = self.outbox.outbound(|outbound| outbound.refused(pkid));
                    self.answers(known);
                }
                Packet::PubRec { pkid, refused: false } => {
                    let known = self.received(pkid).await;
                    self.answers(known);
                    let reason = if known { Reason::Success } else { Reason::UnknownPacketId };
                    codec::ack(out, version, Ack::PubRel, pkid, reason, "");
                }
                Packet::PubComp(pkid) => {
                    let known = self.outbox.outbound(|outbound| outbound.completed(pkid));
                    self.answers(known);
                }
                Packet::PingReq => {
                    self.say(out).await; // what is there for the client comes before the answer
                    Box::pin(self.write()).await;
                    codec::pingresp(out);
                }
                Packet::Disconnect { will, session_expiry } => return Err(self.goodbye(will, session_expiry)),
                // [MQTT-3.1.0-2]
                Packet::Connect(_) => return Err(self.broken(Malformed::Protocol("a second CONNECT"))),
                _ if !open => {}
                Packet::Publish(mut publish) => {
                    self.resolve(&mut publish)?;
                    self.voice.said(publish.size(), Instant::now());
                    self.said.clone_from(&publish.topic);
                    self.inbound.take(&self.hub, &self.id, publish, out).await;
                    if self.inbound.is_device {
                        self.entry.presence.know();
                    }
                }
                Packet::PubRel(pkid) => self.inbound.release(&self.hub, pkid, out).await,
                Packet::Subscribe { pkid, id, filters } => {
                    self.say(out).await; // it may have to wait for the router
                    self.outbox.flush();
                    let granted = Box::pin(self.subscribe(filters, id.unwrap_or(0))).await?;
                    codec::suback(out, version, pkid, &granted);
                }
                Packet::Unsubscribe { pkid, filters } => {
                    self.say(out).await;
                    self.outbox.flush();
                    let ended = Box::pin(self.unsubscribe(&filters)).await?;
                    codec::unsuback(out, version, pkid, &ended);
                }
            }
            // A buffer full of small packets must not keep everybody else waiting.
            consume_budget().await;
        }
        Ok(false)
    }

    /// The client has answered something; to what is not `known` any number of answers are none.
    fn answers(&mut self, known: bool) {
        if known {
            self.answered = Instant::now();
        }
    }

    /// The client leaves, and may have another wish for its session (MQTT 5, section 3.14.2.2.2).
    fn goodbye(&mut self, will: bool, session_expiry: Option<u32>) -> End {
        if let Some(expiry) = session_expiry {
            if self.expiry == 0 && expiry > 0 {
                return self.broken(Malformed::Protocol("a session expiry with DISCONNECT, but none with CONNECT"));
            }
            self.expiry = expiry;
            self.kept = expiry > 0;
        }
        End::Disconnect { will }
    }

    /// Puts the topic in the place of its alias.
    fn resolve(&mut self, publish: &mut Publish) -> Result<(), End> {
        let (budget, who) = (&self.hub.budget, &self.inbound.who);
        let resolved = self.inbound.aliases.resolve(publish, || budget.share(Kind::Packets, who.clone()));
        resolved.map_err(|refused| match refused {
            Refused::Malformed(error) => self.broken(error),
            Refused::Full(full) => End::Full(full),
        })
    }

    fn broken(&self, error: Malformed) -> End {
        self.hub.metrics.protocol_errors.inc();
        End::Protocol(error)
    }
}
