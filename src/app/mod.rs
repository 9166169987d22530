//! The house: command line, log, and the order in which everything opens and closes.

mod addresses;
pub mod args;
mod banner;
mod doors;
mod error;
mod house;
mod limits;
pub mod log;
#[cfg(test)]
mod manual;
mod mdns;
mod memory;
mod offline;
mod secure;
mod signals;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::Loaded;
use crate::metrics::Metrics;
use crate::setup;

/// Imports settings from the boot partition; a faulty file, or none, is no failure.
pub fn run_setup<K: Into<OsString>, V: Into<OsString>>(
    base: Option<&Path>,
    variables: impl IntoIterator<Item = (K, V)>,
    places: &args::Places,
) {
    let variables: Vec<_> = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    setup::run(base, &variables, places).iter().for_each(|note| tell(note));
}

/// Runs the appliance until it is told to stop. Any other end is reported on stderr and in the log.
#[must_use]
pub fn run(loaded: Loaded, setup_report: Option<&Path>) -> ExitCode {
    match start(loaded, setup_report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tell(&fault);
            ExitCode::FAILURE
        }
    }
}

/// Does one job without doors: reports what was done on stdout, and what is wrong on stderr.
#[must_use]
pub fn run_offline(loaded: Loaded, job: args::Offline) -> ExitCode {
    match offline(loaded, job) {
        Ok(told) => {
            told.problems.iter().for_each(|problem| tell(&format_args!("warning: {}", problem.message)));
            let mut out = io::stdout().lock();
            let printed = out.write_all(told.text.as_bytes()).and_then(|()| out.flush());
            if told.good && printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(fault) => {
            tell(&fault);
            ExitCode::FAILURE
        }
    }
}

fn offline(loaded: Loaded, job: args::Offline) -> Result<offline::JobReport, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = runtime.block_on(offline::run(loaded.config, Metrics::new()?, job));
    runtime.shutdown_background();
    Ok(told?)
}

fn start(loaded: Loaded, setup_report: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    let metrics = Metrics::new()?;
    let _log = log::start(loaded.config.log.level, metrics.log_dropped.clone())?;
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration_warning");
    }
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(house::run(loaded, metrics, setup_report));
    // Whatever still runs was told to end and is late: nobody waits for it.
    runtime.shutdown_background();
    ended.inspect_err(|fault| tracing::error!(%fault, "failed")).map_err(Into::into)
}

/// Tells people. Nobody may be there to read it, which is fine.
fn tell(fault: &dyn Display) {
    let _ = writeln!(io::stderr(), "dmxd: {fault}");
}
