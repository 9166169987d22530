//! Messages that a subscriber did not get, by filter: nothing is lost silently.

use std::collections::HashMap;

use prometheus::IntCounterVec;

use crate::kit::log_limiter::LogLimiter;

/// Filters with a figure of their own; clients choose filters, so their number is limited.
const FILTERS: usize = 100;

/// The label for all others.
const OTHERS: &str = "others";

/// When losses were last logged.
#[derive(Debug, Default)]
pub(super) struct Losses {
    by_filter: HashMap<String, LogLimiter>,
    others: LogLimiter,
}

impl Losses {
    /// Counts, and logs at most once a second for each filter.
    pub(super) fn count(&mut self, filter: &str, count: u64, metric: &IntCounterVec) {
        let known = self.by_filter.contains_key(filter);
        let (label, voice) = if known || self.by_filter.len() < FILTERS {
            (filter, self.by_filter.entry(filter.to_owned()).or_default())
        } else {
            (OTHERS, &mut self.others)
        };
        metric.with_label_values(&[label]).inc_by(count);
        if let Some(more) = voice.due() {
            tracing::warn!(filter, count, more, "messages_lost");
        }
    }
}
