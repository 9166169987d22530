//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// A lighting appliance: MQTT broker, RGB/DMX state, REST, WebSocket and web app in one process.
#[derive(Debug, Parser)]
#[command(
    name = "dmxd",
    version,
    about,
    after_help = "Each setting also has a variable that wins over the file; --print-config names them all."
)]
pub struct Args {
    /// File of settings [default: $DMX_CONFIG, else ./appliance.toml if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration, tell all its faults, and end
    #[arg(long)]
    check: bool,

    /// Print every setting in force and where it comes from, secrets masked, and end
    #[arg(long, conflicts_with = "check")]
    print_config: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Serve until told to stop.
    Run,
    /// Look for faults in the configuration.
    Check,
    /// Print the configuration in force.
    PrintConfig,
}

impl Args {
    /// What is asked for.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self { check: true, .. } => Task::Check,
            Self { print_config: true, .. } => Task::PrintConfig,
            Self { .. } => Task::Run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(args: &[&str]) -> Option<Task> {
        Args::try_parse_from([&["dmxd"], args].concat()).ok().map(|args| args.task())
    }

    #[test]
    fn each_switch_asks_for_its_task_and_none_for_serving() {
        assert_eq!(task(&[]), Some(Task::Run));
        assert_eq!(task(&["--config", "a.toml"]), Some(Task::Run));
        assert_eq!(task(&["--check"]), Some(Task::Check));
        assert_eq!(task(&["--print-config", "--config=a.toml"]), Some(Task::PrintConfig));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [&["--check", "--print-config"][..], &["--config"], &["--config="], &["--chek"], &["serve"]] {
            assert_eq!(task(args), None, "{args:?}");
        }
    }
}
