//! Deletes stored messages that everybody has, and notes how far sessions are, all together once a second: each of these may
//! be lost, so none is worth a write of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::hub::{Hub, Phase, reached};
use crate::store::Batch;

/// The journal reaches the card as often.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until the stop begins, with a last look then.
pub(super) async fn run(hub: Arc<Hub>) {
    let mut phase = hub.phase.subscribe();
    loop {
        let mut quiet = false;
        tokio::select! {
            () = reached(&mut phase, Phase::Quiet) => quiet = true,
            () = async {
                hub.lasting.news.notified().await;
                sleep(EVERY).await;
            } => {}
        }
        hub.save(Batch::default(), |_, _| {}).await;
        if quiet {
            return;
        }
    }
}
