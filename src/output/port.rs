//! The one runner of all outputs: connect, send the newest frame, keep the pace, skip what is the same, refresh, back off,
//! and at the stop send the last frame and park. It never shows an older frame than it could.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::board::Board;
use super::driver::{Driver, OutputError, OutputErrorKind, ReadBack, Wire};
use super::pace::Pace;
use super::spec::{LONGEST_PAUSE, Spec};
use crate::config::Park;
use crate::dmx::{Frame, UniverseId};
use crate::engine::Latest;
use crate::kit::backoff::Backoff;
use crate::kit::stop::Stop;
use crate::kit::usb;

/// An unchanged frame is sent again after this long: fixtures are power-cycled in the middle of a show, and OLA forgets a
/// source after 2.5 s.
const REFRESH: Duration = Duration::from_secs(1);

/// The first pause after a fault (CONTRACT, section 8).
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// An output that worked this long starts with the first pause again.
const HEALTHY: Duration = Duration::from_secs(1);

/// How often the output is read back, and how soon again after an unclear answer.
const PROOF: Duration = Duration::from_secs(2);
const NO_PROOF: Duration = Duration::from_secs(30);

/// How long the last frame waits for its slot at most: a slow output must not hold up the stop.
const LAST_SLOT: Duration = Duration::from_millis(100);

/// How long an attempt to open may still take at the stop: enough for a device that answers.
const LAST_TRY: Duration = Duration::from_millis(500);

/// Orders that may wait; each is taken within one attempt to open.
const ORDERS: usize = 4;

/// What a person wants from an output.
#[derive(Debug)]
pub(super) enum Order {
    /// End the pause and search now.
    Rescan,
    /// Close and reopen it; gives where it was found.
    Reopen(ReopenReply),
}

/// Who waits for the answer to `Reopen`.
type ReopenReply = oneshot::Sender<Result<String, OutputError>>;

/// One output of one universe.
pub(super) struct Port<D> {
    driver: D,
    park: Park,
    light: Light,
    board: Board,
    orders: mpsc::Receiver<Order>,
    pace: Pace,
    /// After a fault.
    pause: Backoff,
    /// While there is no device.
    scan: Backoff,
    /// When the wire is read back next.
    prove: Instant,
}

/// The outcome of reading back.
enum Read {
    Told(ReadBack),
    /// The light changed before there was an answer.
    Overtaken,
    Nothing,
}

/// What is on the wire.
struct Sent {
    frame: Arc<Frame>,
    /// When it was begun.
    at: Instant,
}

/// Why a wire is given up.
enum End {
    Failed(OutputErrorKind),
    /// Its device is elsewhere.
    Strayed,
    Ordered(ReopenReply),
    Stopped,
}

impl<D: Driver> Port<D> {
    /// The port, and where to give it orders.
    pub(super) fn new(
        spec: &Spec,
        driver: D,
        park: Park,
        latest: watch::Receiver<Latest>,
        board: Board,
    ) -> (Self, mpsc::Sender<Order>) {
        let (giver, orders) = mpsc::channel(ORDERS);
        let accounted = latest.borrow().state.seq;
        let port = Self {
            driver,
            park,
            light: Light { latest, universe: spec.universe, accounted },
            board,
            orders,
            pace: Pace::new(spec.fps, Instant::now()),
            pause: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            scan: Backoff::new(FIRST_PAUSE, spec.scan.max(FIRST_PAUSE)),
            prove: Instant::now() + PROOF,
        };
        (port, giver)
    }

    /// Runs until the stop, then parks.
    pub(super) async fn run(mut self, mut stop: Stop) {
        let mut asker: Option<ReopenReply> = None;
        loop {
            // not dropped at once at the stop: an attempt under way holds the device
            let opened = tokio::select! {
                biased;
                opened = self.driver.open() => opened,
                () = late(&mut stop) => return,
            };
            if let Some(asker) = asker.take() {
                // Err: nobody waits for it any more.
                let _ = asker.send(opened.as_ref().map(Wire::target).map_err(Clone::clone));
            }
            let kind = match opened {
                Ok(wire) => match self.serve(wire, &mut stop).await {
                    End::Failed(kind) => kind,
                    End::Ordered(by) => {
                        asker = Some(by);
                        continue;
                    }
                    End::Strayed => continue,
                    End::Stopped => return,
                },
                Err(fault) => {
                    self.board.failed(&fault, self.driver.target());
                    if stop.is_requested() {
                        return;
                    }
                    fault.kind
                }
            };
            let pause = if kind == OutputErrorKind::Absent { self.scan.pause() } else { self.pause.pause() };
            tokio::select! {
                biased;
                () = stop.requested() => break,
                order = next(&mut self.orders) => {
                    self.driver.look_again();
                    if let Order::Reopen(by) = order {
                        asker = Some(by);
                    }
                }
                () = sleep(pause) => {}
            }
        }
        // It was down when the stop came: one more attempt to leave the right light behind.
        if let Ok(Ok(wire)) = timeout(LAST_TRY, self.driver.open()).await {
            self.park(wire, None).await;
        }
    }

    /// Keeps one wire supplied for as long as it works.
    async fn serve(&mut self, mut wire: D::Wire, stop: &mut Stop) -> End {
        let opened = Instant::now();
        self.board.opened(wire.target(), wire.doubt());
        let (mut sent, mut look) = (None, opened + usb::LOOK);
        loop {
            if look <= Instant::now() {
                look = Instant::now() + usb::LOOK;
                if self.driver.has_strayed(&wire).await {
                    tracing::info!(left = wire.target(), to = self.driver.target(), "output_moves");
                    wire.close().await;
                    return End::Strayed;
                }
            }
            let fresh = self.light.differs_from(sent.as_ref(), &self.board);
            let due = match &sent {
                Some(Sent { at, .. }) if !fresh => *at + REFRESH,
                _ => self.pace.slot(),
            };
            tokio::select! {
                biased;
                () = stop.requested() => {
                    self.park(wire, sent).await;
                    return End::Stopped;
                }
                order = next(&mut self.orders) => match order {
                    Order::Rescan => continue,
                    Order::Reopen(asker) => {
                        self.driver.look_again();
                        wire.close().await;
                        return End::Ordered(asker);
                    }
                },
                () = until(due) => {}
                () = self.light.changed(), if !fresh => continue,
            }
            if let Err(fault) = self.send(&mut wire, &mut sent).await {
                return End::Failed(fault.kind);
            }
            if opened.elapsed() >= HEALTHY {
                self.pause.reset();
                self.scan.reset();
            }
        }
    }

    /// Sends the newest frame, unless it is on the wire already and needs no refresh.
    async fn send(&mut self, wire: &mut D::Wire, sent: &mut Option<Sent>) -> Result<(), OutputError> {
        let mut fresh = self.light.differs_from(sent.as_ref(), &self.board);
        if !fresh && sent.as_ref().is_some_and(|sent| Instant::now() < sent.at + REFRESH) {
            return Ok(()); // it has changed back meanwhile
        }
        if let Some(last) = sent
            && self.proves(fresh)
        {
            // Right before the next frame: right after one, another program has had no time to write.
            let proof = self.read_back(wire, last, fresh).await;
            let told = matches!(proof, Read::Told(_) | Read::Overtaken);
            self.prove = Instant::now() + if told { PROOF } else { NO_PROOF };
            if let Read::Told(proof) = proof {
                self.board.proved(proof);
            }
            fresh = self.light.differs_from(Some(last), &self.board);
        }
        let at = Instant::now();
        let (frame, written) = self.light.take(fresh, &self.board);
        // a frame after opening is late for other reasons, and a refresh is never late
        let age = (fresh && sent.is_some()).then(|| written.elapsed());
        self.pace.sent(at);
        if let Err(fault) = wire.send(&frame).await {
            self.board.failed(&fault, self.driver.target());
            return Err(fault);
        }
        self.board.sent(at, age);
        *sent = Some(Sent { frame, at });
        Ok(())
    }

    /// Reads back what is shown. A frame that is due waits for this only until its slot, a change that comes meanwhile not at
    /// all.
    async fn read_back(&mut self, wire: &mut D::Wire, sent: &Sent, fresh: bool) -> Read {
        let patience = if fresh { self.pace.gap() } else { REFRESH };
        let overtaken = async {
            loop {
                self.light.changed().await;
                if self.light.differs_from(Some(sent), &self.board) {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            proof = wire.proof(&sent.frame) => proof.map_or(Read::Nothing, Read::Told),
            () = sleep(patience) => Read::Nothing,
            () = overtaken, if !fresh => Read::Overtaken,
        }
    }

    /// Whether to read the wire back now. That takes a moment, so for a while it waits for a frame that is in no hurry.
    fn proves(&self, fresh: bool) -> bool {
        Instant::now() >= if fresh { self.prove + REFRESH } else { self.prove }
    }

    /// The last frame, then whatever the settings want to leave.
    async fn park(&mut self, mut wire: D::Wire, mut sent: Option<Sent>) {
        self.prove = Instant::now() + NO_PROOF; // too late for that
        if self.light.differs_from(sent.as_ref(), &self.board) {
            until(self.pace.slot().min(Instant::now() + LAST_SLOT)).await;
            if self.send(&mut wire, &mut sent).await.is_err() {
                return;
            }
        }
        if self.park == Park::Blackout {
            until(self.pace.slot().min(Instant::now() + LAST_SLOT)).await;
            if let Err(fault) = wire.send(&Frame::DARK).await {
                return self.board.failed(&fault, self.driver.target());
            }
        }
        wire.close().await;
    }
}

/// The newest light of one universe, and how many changes became a frame.
struct Light {
    latest: watch::Receiver<Latest>,
    universe: UniverseId,
    /// The last change that was sent, or counted as skipped.
    accounted: u64,
}

impl Light {
    /// Whether the newest light differs from that on the wire. Changes that make no difference are counted.
    fn differs_from(&mut self, sent: Option<&Sent>, board: &Board) -> bool {
        let state = self.latest.borrow_and_update().state.clone();
        let differs = sent.is_none_or(|sent| sent.frame != state.light(self.universe));
        if !differs {
            board.skipped_identical(state.seq.saturating_sub(self.accounted));
            self.accounted = state.seq;
        }
        differs
    }

    /// The newest frame and when it was written.
    fn take(&mut self, fresh: bool, board: &Board) -> (Arc<Frame>, std::time::Instant) {
        let Latest { state, at } = self.latest.borrow_and_update().clone();
        if fresh {
            board.skipped_rate(state.seq.saturating_sub(self.accounted + 1));
        }
        self.accounted = state.seq;
        (state.light(self.universe), at)
    }

    /// Waits for a change. Cancel-safe.
    async fn changed(&mut self) {
        if self.latest.changed().await.is_err() {
            pending().await // the engine has ended; the stop comes next
        }
    }
}

/// When an attempt to open has had its time since the stop.
async fn late(stop: &mut Stop) {
    stop.requested().await;
    sleep(LAST_TRY).await;
}

/// The next order; never if nobody gives orders. Cancel-safe.
async fn next(orders: &mut mpsc::Receiver<Order>) -> Order {
    match orders.recv().await {
        Some(order) => order,
        None => pending().await,
    }
}

/// Sleeps until then, and not at all if that is past: a timer would round up to the next millisecond.
async fn until(then: Instant) {
    if Instant::now() < then {
        sleep_until(then).await;
    }
}
