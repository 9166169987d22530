//! The router's guardian: checks that it works, and replaces it when it does not, or when it has grown too large.
//!
//! No message is lost by that: sessions move to the new router by themselves, and take what they lack from the recent
//! messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::hub::{Hub, Phase, reached};
use super::router::{LinkLease, Router, RouterGone};
use crate::kit::backoff::Backoff;

/// The time between two probes.
const EVERY: Duration = Duration::from_secs(1);

/// How long a probe may take. A router under full load answers in milliseconds; together with the second before it and the
/// replacement this stays below the 10 s of the issue.
const PATIENCE: Duration = Duration::from_secs(5);

/// Least time between two replacements of a router that has grown.
const LEAST_LIFE: Duration = Duration::from_secs(5);

/// Runs until the stop.
pub(super) async fn watch(hub: Arc<Hub>) {
    let mut phase = hub.phase.subscribe();
    tokio::select! {
        () = reached(&mut phase, Phase::Quiet) => {}
        () = guard(&hub) => {}
    }
}

async fn guard(hub: &Arc<Hub>) {
    let mut pause = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        let router = hub.routers().borrow().clone();
        let why = match listen(hub, &router).await {
            Ok(()) => "full",
            Err(error) => {
                hub.router_is_gone(router.generation(), &error);
                "dead"
            }
        };
        match replace(hub, router).await {
            Ok(()) => {
                pause.reset();
                hub.metrics.routers.with_label_values(&[why]).inc();
                tracing::warn!(why, generation = hub.routers().borrow().generation(), "router_replaced");
            }
            Err(error) => {
                tracing::error!(%error, "router_not_replaced");
                sleep(pause.pause()).await;
            }
        }
    }
}

/// Ends with an error when the router has died, and without one when it has grown too large.
async fn listen(hub: &Arc<Hub>, router: &Arc<Router>) -> Result<(), RouterGone> {
    let mut tap = router.tap().await?;
    tap.hear_probes().await?;
    let born = Instant::now();
    loop {
        probe(hub, &mut tap).await?;
        let (topics, filters) = hub.router_knows();
        let stale = filters.saturating_sub(hub.live_filters());
        let grown = topics >= hub.settings.max_topics || stale >= hub.settings.max_filters;
        if grown && born.elapsed() >= LEAST_LIFE {
            tap.give_back();
            return Ok(());
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            // nothing comes before the next probe but the news of its end
            heard = tap.probed() => heard?,
            // somebody else noticed first
            () = hub.router_ended() => return Err(RouterGone::told()),
        }
    }
}

async fn probe(hub: &Arc<Hub>, tap: &mut LinkLease) -> Result<(), RouterGone> {
    hub.probe()?;
    timeout(PATIENCE, tap.probed()).await.unwrap_or_else(|_| Err(RouterGone::silent(PATIENCE)))?;
    hub.router_works();
    Ok(())
}

async fn replace(hub: &Arc<Hub>, old: Arc<Router>) -> Result<(), RouterGone> {
    let (generation, links) = (old.generation() + 1, hub.settings.max_sessions);
    let started = tokio::task::spawn_blocking(move || Router::start(generation, links)).await;
    let (router, publisher) = started.map_err(|error| RouterGone::because(&error))??;
    hub.replace_router(router, publisher).retire();
    drop(old);
    Ok(())
}
