//! Messages that a subscriber did not get, by filter: nothing is lost silently.

use std::collections::HashMap;

use prometheus::IntCounterVec;

use crate::kit::log_limiter::LogLimiter;

/// Filters that have a figure of their own; strangers choose their names, so there is an end to them.
const FILTERS: usize = 100;

/// Figure of all others.
const OTHERS: &str = "others";

/// Who speaks of losses.
#[derive(Debug, Default)]
pub(super) struct Losses {
    by_filter: HashMap<String, LogLimiter>,
    others: LogLimiter,
}

impl Losses {
    /// Counts, and tells the log at most once a second for each filter.
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
