//! Ends connections whose clients are not what they were when they were let in: their user is gone or has another role,
//! they have logged out, or the appliance was locked. One task for all; the sessions do the rest.

use std::sync::Arc;

use super::hub::{Hub, Phase, reached};
use crate::access::Changes;

/// Looks through all sessions at each change, until the stop begins.
pub(super) async fn run(hub: Arc<Hub>, mut changes: Changes) {
    let mut phase = hub.phase.subscribe();
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Quiet) => return,
            () = changes.next() => hub.register.review(|identity, client| hub.doorman.is_still(identity, client)),
        }
    }
}
