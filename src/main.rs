//! `dmxd`: command line → configuration → the house → exit code. 2 = wrong configuration, 1 = anything else.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use dmxd::app::args::{Args, Task};
use dmxd::{app, config};

/// The broker's router reserves and frees large pieces by the thousand; see Cargo.toml.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A configuration that cannot be started; clap's own for a wrong command line.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Task::Setup(places) = args.task() {
        // Before anything is checked: what is wrong with the configuration is what it tells.
        app::run_setup(args.config.as_deref(), std::env::vars_os(), &places);
        return ExitCode::SUCCESS;
    }
    let loaded = match config::load(args.config.as_deref(), std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(faults) => {
            warn(&faults.warnings);
            tell(&faults);
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    warn(&loaded.warnings);
    match args.task() {
        Task::Run => app::run(loaded, args.setup_report.as_deref()),
        Task::Setup(_) => ExitCode::SUCCESS, // was done above
        Task::Check => print("the configuration is valid\n"),
        Task::Offline(job) => app::run_offline(loaded, job),
        Task::PrintConfig => print(&config::in_force(&loaded)),
    }
}

fn warn(warnings: &[config::Diagnostic]) {
    for warning in warnings {
        tell(format_args!("warning: {warning}"));
    }
}

/// Tells people. Nobody may be there to read it, which is no reason to end.
fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "dmxd: {text}");
}

/// Prints what was asked for.
fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("printing: {error}"));
            ExitCode::FAILURE
        }
    }
}
