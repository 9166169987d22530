//! The runner under paused time, over a wire that fails as a script says.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::board::Board;
use super::driver::{Driver, OutputError, OutputErrorKind, ReadBack, Wire};
use super::port::{Order, Port};
use super::spec::{LONGEST_PAUSE, Spec};
use crate::config::Park;
use crate::dmx::{Channel, Command, Frame, Now, Patch, State, UniverseId};
use crate::engine::Latest;
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::metrics::Metrics;
use crate::wire::PortStatus;

const FPS: u32 = 44;

/// A frame may be late by one tick of tokio's timer and the next one on time.
const LEAST_GAP: Duration = Duration::from_micros(1_000_000 / FPS as u64 - 1_000);

/// One frame as the far end saw it begin.
#[derive(Clone, Debug)]
struct SentFrame {
    at: Instant,
    connection: u32,
    frame: Frame,
    /// What was the newest light at that moment.
    newest: Frame,
    whole: bool,
}

/// The far end.
#[derive(Default)]
struct World {
    opens_that_fail: u32,
    sends_that_fail: u32,
    send_takes: Duration,
    doubt: Option<&'static str>,
    proof_takes: Option<Duration>,
    proofs: u32,
    connection: u32,
    taken: Vec<SentFrame>,
}

#[derive(Clone)]
struct Fake {
    world: Arc<Mutex<World>>,
    latest: watch::Receiver<Latest>,
}

impl Driver for Fake {
    type Wire = Self;

    fn target(&self) -> String {
        "nothing yet".into()
    }

    async fn open(&mut self) -> Result<Self, OutputError> {
        let mut world = self.world.lock();
        if world.opens_that_fail > 0 {
            world.opens_that_fail -= 1;
            return Err(OutputError::new(OutputErrorKind::Absent, "not there; plug it in"));
        }
        world.connection += 1;
        Ok(self.clone())
    }
}

impl Wire for Fake {
    fn target(&self) -> String {
        "a wire".into()
    }

    fn doubt(&self) -> Option<&'static str> {
        self.world.lock().doubt
    }

    async fn proof(&mut self, _frame: &Frame) -> Option<ReadBack> {
        let takes = self.world.lock().proof_takes?;
        sleep(takes).await;
        self.world.lock().proofs += 1;
        Some(ReadBack::Ours)
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), OutputError> {
        let (takes, whole) = {
            let newest = (*self.latest.borrow().state.light(UniverseId::LAMP)).clone();
            let mut world = self.world.lock();
            let whole = world.sends_that_fail == 0;
            world.sends_that_fail = world.sends_that_fail.saturating_sub(1);
            let taken =
                SentFrame { at: Instant::now(), connection: world.connection, frame: frame.clone(), newest, whole };
            world.taken.push(taken);
            (world.send_takes, whole)
        };
        sleep(takes).await;
        if whole { Ok(()) } else { Err(OutputError::new(OutputErrorKind::Write, "cut; check the cable")) }
    }

    async fn close(self) {}
}

/// A runner at work.
struct Stage {
    world: Arc<Mutex<World>>,
    latest: watch::Sender<Latest>,
    state: State,
    status: watch::Receiver<PortStatus>,
    orders: mpsc::Sender<Order>,
    health: Health,
    metrics: Metrics,
    stopper: Stopper,
    task: JoinHandle<()>,
}

impl Stage {
    fn start(park: Park) -> Self {
        let state = State::default();
        let latest = watch::Sender::new(Latest { state: Arc::new(state.clone()), at: std::time::Instant::now() });
        let world = Arc::new(Mutex::new(World::default()));
        let driver = Fake { world: world.clone(), latest: latest.subscribe() };
        let (health, metrics) = (Health::default(), Metrics::new().unwrap());
        let spec = Spec {
            name: "fake".into(),
            task: "fake",
            event: "fake_error",
            universe: UniverseId::LAMP,
            fps: FPS,
            scan: LONGEST_PAUSE,
        };
        let board = Board::new(&spec, Driver::target(&driver), health.clone(), &metrics.output);
        let status = board.status();
        let (port, orders) = Port::new(&spec, driver, park, latest.subscribe(), board);
        let (stopper, stop) = stop::channel();
        let task = tokio::spawn(port.run(stop));
        Self { world, latest, state, status, orders, health, metrics, stopper, task }
    }

    fn set(&mut self, universe: u8, channel: u16, level: u8) {
        let patch = Patch {
            universe: UniverseId::new(universe).unwrap(),
            levels: vec![(Channel::new(channel).unwrap(), level)],
        };
        let id = ulid::Ulid::from(u128::from(self.state.seq)).to_string().parse().unwrap();
        self.state.apply(&Command::set(id, "test".parse().unwrap(), patch), Now::default());
        self.latest.send_replace(Latest { state: Arc::new(self.state.clone()), at: std::time::Instant::now() });
    }

    fn taken(&self) -> Vec<SentFrame> {
        self.world.lock().taken.clone()
    }

    fn last(&self) -> Frame {
        self.taken().iter().rfind(|taken| taken.whole).unwrap().frame.clone()
    }

    fn skipped(&self, reason: &str) -> u64 {
        self.metrics.output.skipped.with_label_values(&["fake", reason]).get()
    }

    async fn stop(self) -> Vec<SentFrame> {
        self.stopper.stop();
        self.task.await.unwrap();
        self.world.lock().taken.clone()
    }
}

/// Lets the runner work while `ms` milliseconds pass.
async fn pass(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

#[derive(Clone, Debug)]
enum Event {
    Level(u16, u8),
    Elsewhere(u8),
    OpensFail(u32),
    SendsFail(u32),
    SendsTake(u64),
    Rescan,
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1u16..4, 0u8..4).prop_map(|(channel, level)| Event::Level(channel, level)),
        2 => any::<u8>().prop_map(Event::Elsewhere),
        1 => (0u32..6).prop_map(Event::OpensFail),
        1 => (1u32..4).prop_map(Event::SendsFail),
        1 => (0u64..60).prop_map(Event::SendsTake),
        1 => Just(Event::Rescan),
        1 => Just(Event::Reopen),
    ]
}

async fn play(stage: &mut Stage, script: Vec<(u64, Event)>) {
    for (delay, event) in script {
        pass(delay).await;
        match event {
            Event::Level(channel, level) => stage.set(0, channel, level),
            Event::Elsewhere(level) => stage.set(1, 1, level),
            Event::OpensFail(n) => stage.world.lock().opens_that_fail = n,
            Event::SendsFail(n) => stage.world.lock().sends_that_fail = n,
            Event::SendsTake(ms) => stage.world.lock().send_takes = Duration::from_millis(ms),
            Event::Rescan => drop(stage.orders.try_send(Order::Rescan)),
            Event::Reopen => drop(stage.orders.try_send(Order::Reopen(tokio::sync::oneshot::channel().0))),
        }
    }
}

fn paused(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_last_light_is_on_the_wire_and_no_frame_is_early_old_or_needless(
        script in prop::collection::vec((prop_oneof![3 => Just(0u64), 5 => 0u64..40, 1 => 0u64..2_500], event()), 1..80),
    ) {
        paused(async {
            let mut stage = Stage::start(Park::Hold);
            play(&mut stage, script).await;
            {
                let mut world = stage.world.lock();
                (world.opens_that_fail, world.sends_that_fail) = (0, 0);
            }
            // The longest pause, a frame that is under way and a refresh.
            pass(6_200).await;
            let light = stage.state.light(UniverseId::LAMP);
            assert_eq!(stage.last(), *light, "the last frame is the last state");
            pass(5_000).await;
            let refreshes = stage.taken().iter().rev().take_while(|taken| taken.at.elapsed() < Duration::from_millis(4_500)).count();
            assert!((4..=5).contains(&refreshes), "{refreshes} refreshes in 4.5 s");
            for taken in stage.taken() {
                assert_eq!(taken.frame, taken.newest, "never an older frame than there is");
            }
            for pair in stage.taken().windows(2) {
                let (a, b) = (&pair[0], &pair[1]);
                assert!(b.at - a.at >= LEAST_GAP, "{:?} apart", b.at - a.at);
                if a.connection == b.connection && a.frame == b.frame {
                    assert!(a.whole && b.at - a.at >= Duration::from_secs(1), "needless: {a:?} {b:?}");
                }
            }
            let stopped = Instant::now();
            stage.stop().await;
            assert!(stopped.elapsed() < Duration::from_millis(250));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_drag_leaves_at_the_full_rate_and_ends_on_its_last_value() {
    let mut stage = Stage::start(Park::Hold);
    for n in 0..1_000u32 {
        stage.set(0, 1, (n % 256) as u8);
        pass(1).await;
    }
    pass(30).await;
    let taken = stage.taken();
    assert!((43..=46).contains(&taken.len()), "{} frames in a second", taken.len());
    assert_eq!(stage.last().levels()[0], 231);
    assert!(stage.skipped("rate") > 900);
    assert_eq!(stage.skipped("identical"), 0);
}

#[tokio::test(start_paused = true)]
async fn changes_elsewhere_cost_no_frame() {
    let mut stage = Stage::start(Park::Hold);
    pass(10).await;
    for n in 1..=100 {
        stage.set(1, 1, n);
        pass(1).await;
    }
    assert_eq!(stage.taken().len(), 1, "the one after opening");
    assert_eq!(stage.skipped("identical"), 100);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_once_counted_each_time_and_taken_down_when_frames_get_through() {
    let stage = Stage::start(Park::Hold);
    stage.world.lock().opens_that_fail = 5;
    pass(1_000).await;
    let status = stage.status.borrow().clone();
    assert!(!status.connected && status.errors >= 3, "{status:?}");
    assert_eq!(status.last_error.as_deref(), Some("not there; plug it in"));
    assert_eq!(stage.health.problems()[0].message, "fake: not there; plug it in");
    pass(20_000).await;
    let status = stage.status.borrow().clone();
    assert!(status.connected && status.reconnects == 1 && status.target == "a wire", "{status:?}");
    assert_eq!(stage.health.problems(), []);
    assert_eq!(stage.metrics.output.errors.with_label_values(&["fake", "absent"]).get(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_asks_for_a_look_does_not_wait_for_the_pause_and_is_told_what_came_of_it() {
    let stage = Stage::start(Park::Hold);
    stage.world.lock().opens_that_fail = 10;
    pass(20_000).await;
    stage.world.lock().opens_that_fail = 1;
    let before = Instant::now();
    for there in [false, true, true] {
        let (asker, answer) = tokio::sync::oneshot::channel();
        stage.orders.send(Order::Reopen(asker)).await.unwrap();
        assert_eq!(answer.await.unwrap().is_ok(), there);
    }
    assert!(before.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn the_stop_sends_the_last_frame_and_parks() {
    for (park, left) in [(Park::Hold, 9), (Park::Blackout, 0)] {
        let mut stage = Stage::start(park);
        pass(10).await;
        stage.set(0, 1, 8);
        pass(1).await;
        stage.set(0, 1, 9);
        let taken = stage.stop().await;
        assert_eq!(taken.last().unwrap().frame.levels()[0], left, "{park:?}");
        assert!(taken.iter().any(|taken| taken.frame.levels()[0] == 9), "{park:?}: the last light was shown");
    }
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_down_gets_one_more_try_at_the_stop() {
    let mut stage = Stage::start(Park::Hold);
    stage.world.lock().opens_that_fail = 3;
    pass(900).await;
    stage.set(0, 1, 7);
    stage.world.lock().opens_that_fail = 0;
    let taken = stage.stop().await;
    assert_eq!(taken.last().unwrap().frame.levels()[0], 7);
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_never_answers_is_told_as_such_and_believed_back_only_after_more_than_a_buffer_of_frames() {
    let mut stage = Stage::start(Park::Hold);
    stage.world.lock().doubt = Some("it is silent");
    pass(10).await;
    assert!(stage.status.borrow().connected, "it is used");
    assert_eq!(stage.health.problems()[0].message, "fake at a wire: it is silent");
    stage.world.lock().sends_that_fail = 1;
    stage.set(0, 1, 1);
    pass(3_000).await; // the fault, the pause, and refreshes that the buffer takes
    assert!(!stage.status.borrow().connected);
    assert_eq!(stage.health.problems()[0].code, "OUTPUT_DOWN");
    pass(10_000).await;
    assert!(stage.status.borrow().connected);
    assert_eq!(stage.health.problems()[0].code, "OUTPUT_UNSURE");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_of_what_is_shown_holds_up_neither_a_fade_nor_a_change() {
    let mut stage = Stage::start(Park::Hold);
    stage.world.lock().proof_takes = Some(Duration::from_millis(290));
    for n in 0..1_000u32 {
        stage.set(0, 1, (n % 256) as u8);
        pass(10).await;
    }
    let (taken, gaps) = (stage.taken(), |a: &SentFrame, b: &SentFrame| b.at - a.at);
    let late: Vec<_> =
        taken.windows(2).map(|pair| gaps(&pair[0], &pair[1])).filter(|gap| gap.as_millis() > 25).collect();
    assert!(late.len() <= 1 && late.iter().all(|gap| gap.as_millis() <= 50), "{late:?}");
    for n in 0..60 {
        pass(1_000 + n * 7).await; // now and then in the middle of reading back
        stage.set(0, 1, 255);
        stage.set(0, 2, n as u8 + 1);
        let changed = Instant::now();
        pass(60).await;
        let shown = stage.taken().iter().find(|taken| taken.at >= changed).map(|taken| taken.at - changed);
        assert!(shown.is_some_and(|late| late.as_millis() <= 25), "{shown:?}");
    }
    pass(60_000).await;
    assert!(stage.world.lock().proofs >= 10, "a light that stands still is read back");
}
