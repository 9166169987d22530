//! The router's guardian: sees that it works, and has another one take its place when it does not, or when it has grown.
//!
//! No message is lost by that: the new one is handed what the old one still owed (`owed`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::hub::{Hub, Phase, reached};
use super::router::{Publisher, Router, RouterGone, Tap};
use super::subscribers::MOST_DEAD_BYTES;
use super::tap;
use crate::kit::backoff::Backoff;

/// Between two probes.
const EVERY: Duration = Duration::from_secs(1);

/// How long one may take, and any message. A router under full load brings one round in milliseconds; with the second
/// before and the replacement this stays below the 10 s of the issue.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks whether a new one has answered.
const LOOK: Duration = Duration::from_millis(10);

/// A router that has grown is not replaced more often than this, unless it takes no new topics any more.
const LEAST_LIFE: Duration = Duration::from_secs(5);

/// What the router may hold for filters that nobody has any more.
const DEAD_BYTES: usize = 4 << 20;

/// Runs until nobody is connected any more; `taps` are those of the first router.
pub(super) async fn watch(hub: Arc<Hub>, mut taps: JoinSet<()>) {
    guard(&hub, &mut taps).await;
    reached(&mut hub.phase.subscribe(), Phase::Closed).await; // until then they bring the last messages
}

/// Ends at the stop, but not in the middle of a replacement: the last messages need a router.
async fn guard(hub: &Arc<Hub>, taps: &mut JoinSet<()>) {
    let mut phase = hub.phase.subscribe();
    let mut pause = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    let mut generation = hub.routers().borrow().generation();
    loop {
        let listened = tokio::select! {
            () = reached(&mut phase, Phase::Quiet) => return,
            listened = listen(hub, taps) => listened,
        };
        let why = match listened {
            Ok(()) => "full",
            Err(error) => {
                hub.router_is_gone(generation, &error);
                "dead"
            }
        };
        match replace(hub, generation + 1, why, taps).await {
            Ok(()) => {
                pause.reset();
                generation += 1;
                tracing::warn!(why, generation, "router_replaced");
            }
            Err(error) => {
                tracing::error!(%error, "router_not_replaced");
                sleep(pause.pause()).await;
            }
        }
    }
}

/// Ends with an error when the router does, and well when it knows too much.
async fn listen(hub: &Arc<Hub>, taps: &mut JoinSet<()>) -> Result<(), RouterGone> {
    // What was said of the router before is nothing to this one.
    let _ = (hub.probed.notified().now_or_never(), hub.full.notified().now_or_never());
    let old_enough = Instant::now() + LEAST_LIFE;
    let in_time = Instant::now() + PATIENCE;
    while !hub.probe()? {
        if Instant::now() >= in_time {
            return Err(RouterGone::silent(PATIENCE));
        }
        // It is still being asked for the filters.
        tokio::select! {
            () = sleep(LOOK) => {}
            Some(_) = taps.join_next() => return Err(RouterGone::told()),
        }
    }
    loop {
        let next = Instant::now() + EVERY;
        tokio::select! {
            heard = timeout(PATIENCE, hub.probed.notified()) => heard.map_err(|_| RouterGone::silent(PATIENCE))?,
            // Somebody else was faster to see it.
            () = hub.router_ended() => return Err(RouterGone::told()),
        }
        if hub.is_late(PATIENCE) {
            return Err(RouterGone::silent(PATIENCE));
        }
        let old = Instant::now() >= old_enough;
        if hub.router_is_full(if old { DEAD_BYTES } else { MOST_DEAD_BYTES }, old) {
            return Ok(());
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = hub.full.notified() => return Ok(()),
            () = hub.router_ended() => return Err(RouterGone::told()),
        }
        hub.probe()?;
    }
}

async fn replace(
    hub: &Arc<Hub>,
    generation: usize,
    why: &'static str,
    taps: &mut JoinSet<()>,
) -> Result<(), RouterGone> {
    let (router, publisher, links) = start(generation).await?;
    taps.shutdown().await; // from here on nothing comes from the old one
    hub.replace_router(router, publisher, why);
    *taps = tap::open(hub, generation, links);
    Ok(())
}

/// Starts a router in a thread of its own: it blocks until the router answers, for ever when that dies just then.
pub(super) async fn start(generation: usize) -> Result<(Router, Publisher, Vec<Tap>), RouterGone> {
    let (made, started) = oneshot::channel();
    let start = move || {
        let _ = made.send(Router::start(generation)); // Err: it took too long
    };
    let thread = std::thread::Builder::new().name("router-start".into()).spawn(start);
    thread.map_err(|error| RouterGone::because(&error))?;
    let started = timeout(PATIENCE, started).await.map_err(|_| RouterGone::silent(PATIENCE))?;
    started.map_err(|error| RouterGone::because(&error))?
}
