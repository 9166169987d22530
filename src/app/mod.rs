//! The house: command line, log, and the order in which everything opens and closes.

pub mod args;
pub mod log;

use std::process::ExitCode;

use crate::config::Loaded;
use crate::metrics::Metrics;

/// Runs the appliance until it is told to stop.
#[must_use]
pub fn run(loaded: Loaded) -> ExitCode {
    let Ok(metrics) = Metrics::new() else { return ExitCode::FAILURE };
    let Ok(_log) = log::start(loaded.config.log.level, metrics.log_dropped) else { return ExitCode::FAILURE };
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration_warning");
    }
    tracing::error!("nothing_is_wired_yet");
    ExitCode::FAILURE
}
