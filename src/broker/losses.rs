//! Messages that a subscriber did not get, by client and by filter: nothing is lost silently.

use crate::kit::log_limiter::LogLimiters;
use crate::metrics::Broker;

/// When losses were last logged.
#[derive(Debug, Default)]
pub(super) struct Losses {
    by_client: LogLimiters,
    by_filter: LogLimiters,
}

impl Losses {
    /// Counts messages that had to go from a client's queue; logs at most once a second for each client.
    pub(super) fn of_client(&mut self, client: &str, filter: &str, count: u64, metrics: &Broker) {
        metrics.dropped.inc_by(count);
        metrics.lost.with_label_values(&[self.by_filter.name(filter)]).inc_by(count);
        metrics.lost_by_client.with_label_values(&[self.by_client.name(client)]).inc_by(count);
        if let Some(more) = self.by_client.due(client) {
            let why = "there was no more room, the oldest went (mqtt.max_queued_messages, 2 MiB, mqtt.max_queued_bytes), \
                       or they were larger than the client takes (its maximum packet size)";
            tracing::warn!(clientId = client, filter, count, more, why, "messages_lost");
        }
    }
}
