//! The guard: when the disk does not take a write in time, it releases what waits from RAM. It costs nothing once nothing
//! has been written for a second. It must never take a writer that is short of processor time for a dying card, since kill -9 may take back
//! whatever was acknowledged from RAM.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::core::Core;

/// A longer write means a dying card: the longest on a healthy one, measured beside syncs, took 0.18 ms.
const PATIENCE: Duration = Duration::from_millis(50);

/// A longer write is given up whatever the reason, so nobody waits for ever.
const LONGEST: Duration = Duration::from_secs(1);

/// How often to look, so that a hung write is noticed after 75 ms at most (an apply may take 100 ms).
const LOOK: Duration = Duration::from_millis(25);

/// How long it goes on looking after the last write: waking it up again costs the next command more than all these looks.
pub(super) const STAY: Duration = Duration::from_secs(1);

/// Runs until the store stops.
pub(super) fn run(core: &Arc<Core>) {
    let (mut seen, mut seen_at) = (0, Instant::now());
    // when the writer was last found at work, or ready to work
    let mut works_at = None;
    let mut shared = core.lock();
    while !shared.stop {
        match shared.writing.as_ref().map(|writing| writing.since) {
            Some(since) if works_at.map_or(since, |at| since.max(at)).elapsed() > PATIENCE => {
                drop(shared);
                let works = since.elapsed() < LONGEST && is_at_work(core);
                works_at = works.then(Instant::now);
                shared = core.lock();
                if !works && shared.writing.as_ref().is_some_and(|writing| writing.since == since) {
                    core.fall_to_ram(&mut shared, "the disk did not take a write within 50 ms");
                    core.release(shared);
                    shared = core.lock();
                }
            }
            None if shared.writes == seen && seen_at.elapsed() > STAY => {
                shared.guard_parked = true;
                core.guard.wait(&mut shared);
                continue;
            }
            _ => {}
        }
        if shared.writes != seen {
            (seen, seen_at) = (shared.writes, Instant::now());
        }
        core.guard.wait_for(&mut shared, LOOK);
    }
}

/// Whether the writer does not wait for the disk, but for a processor or our lock.
fn is_at_work(core: &Core) -> bool {
    !core.at_disk.load(Ordering::Relaxed) || core.writer_stat.get().is_some_and(|stat| is_runnable(stat))
}

/// Where the system reports the state of the calling thread; `None`: it does not.
pub(super) fn stat_of_this_thread() -> Option<PathBuf> {
    let thread = std::fs::read_link("/proc/thread-self").ok()?;
    Some(Path::new("/proc").join(thread).join("stat"))
}

/// Whether a thread runs or waits for a processor, rather than for a disk.
fn is_runnable(stat: &Path) -> bool {
    // proc_pid_stat(5): the state is the field behind the name, which is in brackets and may contain brackets
    let state = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'));
    std::fs::read_to_string(stat).is_ok_and(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_asks_is_runnable_and_one_that_sleeps_is_not() {
        let stat = stat_of_this_thread().unwrap();
        assert!(is_runnable(&stat));
        let asks = std::thread::spawn(move || while is_runnable(&stat) {});
        asks.join().unwrap();
    }
}
