//! The figures of the light's pure core: one command, 64 universes under a master, one step of 4,096 channels on their way.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use dmxd::dmx::{
    Act, CHANNELS, Channel, Command, CommandId, Easing, Intensity, KeptDesk, Levels, Now, Patch, Source, State,
    UNIVERSES, UniverseId,
};

use super::percentiles;

/// Measured this often; the first tenth is discarded.
const TIMES: usize = 2_000;

/// Universes of the fade (issue: 512 × 8 channels).
const FADING: usize = 8;

pub(crate) fn measure() -> io::Result<()> {
    tell("apply a lamp command", &mut apply);
    tell("render 64 universes at master 128", &mut render);
    tell("a step of 8 × 512 channels on their way", &mut step);
    Ok(())
}

/// Measures; each run gets its number and gives the time it took.
fn tell(what: &str, run: &mut dyn FnMut(&mut State, usize) -> Duration) {
    let mut state = full();
    let times: Vec<_> = (0..TIMES).map(|n| run(&mut state, n)).skip(TIMES / 10).collect();
    let (p50, p99, _) = percentiles(times);
    println!("{what}: p50 {:.2} us p99 {:.2} us", p50.as_secs_f64() * 1e6, p99.as_secs_f64() * 1e6);
}

/// Every channel of every universe is lit.
fn full() -> State {
    let desk = KeptDesk { master: 128, ..KeptDesk::default() };
    let mut state = State::restore(0, 0, Source::init(), []).under(desk, Intensity::default());
    for universe in (0..UNIVERSES as u8).filter_map(UniverseId::new) {
        state.apply(&command(universe, CHANNELS, 200, Duration::ZERO), Now::default());
    }
    state
}

fn apply(state: &mut State, n: usize) -> Duration {
    let command = command(UniverseId::LAMP, 3, n as u8, Duration::ZERO);
    let before = state.clone(); // as the feed holds it
    let start = Instant::now();
    black_box(state.apply(&command, Now::default()));
    let took = start.elapsed();
    drop(before);
    took
}

fn render(state: &mut State, _: usize) -> Duration {
    let start = Instant::now();
    for universe in (0..UNIVERSES as u8).filter_map(UniverseId::new) {
        black_box(state.light(universe));
    }
    start.elapsed()
}

fn step(state: &mut State, n: usize) -> Duration {
    if n == 0 {
        for universe in (0..FADING as u8).filter_map(UniverseId::new) {
            // All of them move at each step: 200 levels in 200 steps, back and forth.
            state.apply(&command(universe, CHANNELS, 0, Duration::from_millis(200)), Now::default());
        }
    }
    if !state.is_moving() {
        let to = if state.lamp().r == 0 { 200 } else { 0 };
        let now = Now { ms: 0, at: Duration::from_millis(n as u64) };
        for universe in (0..FADING as u8).filter_map(UniverseId::new) {
            state.apply(&command(universe, CHANNELS, to, Duration::from_millis(200)), now);
        }
    }
    let before = state.clone();
    let start = Instant::now();
    black_box(state.step(Now { ms: 0, at: Duration::from_millis(n as u64 + 1) }));
    let took = start.elapsed();
    drop(before);
    took
}

fn command(universe: UniverseId, channels: usize, level: u8, over: Duration) -> Command {
    let levels: Levels = (0..channels).filter_map(Channel::at).map(|channel| (channel, level)).collect();
    let id = CommandId::unified("bench").unwrap_or_else(|| unreachable!("a short text"));
    let source = Source::init();
    Command { id, source, by: None, act: Act::levels(Patch { universe, levels }, over, Easing::Linear) }
}
