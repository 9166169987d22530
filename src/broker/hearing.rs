//! Who is still heard. At the stop commands go on being taken until every client has been heard out.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long that may take: a session's patience with what had arrived, and a turn on a busy processor.
const PATIENCE: Duration = Duration::from_millis(400);

/// The number of those who are heard.
#[derive(Default)]
pub(super) struct Hearing(watch::Sender<usize>);

/// One client that is heard, until this is dropped.
pub(super) struct Ear(watch::Sender<usize>);

impl Hearing {
    pub(super) fn open(&self) -> Ear {
        self.0.send_modify(|ears| *ears += 1);
        Ear(self.0.clone())
    }

    /// Ends when nobody is heard any more, or when that takes too long.
    pub(super) async fn over(&self) {
        let mut ears = self.0.subscribe();
        if timeout(PATIENCE, ears.wait_for(|ears| *ears == 0)).await.is_err() {
            tracing::warn!("mqtt_clients_cut_short: not all that had arrived was taken before the stop");
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.send_modify(|ears| *ears -= 1);
    }
}
