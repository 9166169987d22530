//! Deletes stored messages that everybody has, and retained ones that have expired, and notes how far sessions are, all
//! together once a second: each of these may be lost, so none is worth a write of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::hub::{Hub, Phase, reached};
use crate::kit::deadline::until;
use crate::store::Batch;

/// The journal reaches the card as often.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until the stop begins, with a last look then.
pub(super) async fn run(hub: Arc<Hub>) {
    let mut phase = hub.phase.subscribe();
    loop {
        let mut quiet = false;
        let expires = hub.first_expiry().map(|at| at.max(Instant::now() + EVERY));
        tokio::select! {
            () = reached(&mut phase, Phase::Quiet) => quiet = true,
            () = async {
                hub.lasting.news.notified().await;
                sleep(EVERY).await;
            } => {}
            () = until(expires) => {}
        }
        hub.forget_expired();
        hub.save(Batch::default(), |_, _| {}).await;
        if quiet {
            return;
        }
    }
}
