//! The command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand};

use crate::backup::Label;
use crate::dmx::{NotAnId, ProjectId, VersionId};
pub use crate::setup::Places;

/// What people do with it, for `--help` and the manual.
pub(super) const EXAMPLES: [(&str, &str); 2] = [
    ("dmxd", "Serve, with data in ./data and the settings of ./appliance.toml if there is one"),
    ("DMX_USB_ENABLED=true DMX_DATA_DIR=/srv/dmxd dmxd", "Serve, with an Enttec DMX USB PRO"),
];

/// Below the options of `--help`.
fn after_help() -> String {
    let examples = EXAMPLES.map(|(command, what)| format!("\n  {command}\n          {what}")).concat();
    format!(
        "The page is at http://localhost:8080/ (http.port); lamps and buttons find the MQTT broker at port 1883 (mqtt.port).\n\
         Each setting also has a variable that wins over the file; --print-config names them all.\n\nExamples:{examples}"
    )
}

/// A lighting appliance: MQTT broker, RGB/DMX state, REST, WebSocket and web app in one process.
#[derive(Debug, Parser)]
#[command(
    name = "dmxd",
    version,
    about,
    after_help = after_help()
)]
pub struct Args {
    /// File of settings [default: $DMX_CONFIG, else ./appliance.toml if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// Check the configuration, list all its faults, and exit
    #[arg(long)]
    check: bool,

    /// Print every setting in force and where it comes from, secrets masked, and exit
    #[arg(long, conflicts_with = "check")]
    print_config: bool,

    /// File in which `dmxd setup` says what is wrong, for /readyz; the settings are on the card then
    #[arg(long, value_name = "FILE")]
    pub setup_report: Option<PathBuf>,

    #[command(subcommand)]
    job: Option<Job>,
}

/// What else it can do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Job {
    #[command(flatten)]
    Offline(Offline),
    /// Import the settings of the boot partition, before the appliance starts; never fails
    Setup(Places),
}

/// What can be done about users on the box itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum UsersJob {
    /// Forget every admin and open the appliance at its next start; other users, lamps and panels stay
    Reset,
}

/// A job without doors, for a box that does not start.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Offline {
    /// Back up the active project and verify the backup; dmxd must be stopped
    Backup {
        /// What to call it
        #[arg(long, value_name = "TEXT")]
        label: Option<Label>,
    },
    /// Restore a backup into the active project, and keep what was there as a local version; dmxd must be stopped
    Restore {
        /// A version, or a file: a path, or a name that ends with .bin
        #[arg(value_name = "VERSION|FILE")]
        what: What,
        /// Project whose version it is, if not the active one; needs --force
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
        /// Accept a backup of another project
        #[arg(long)]
        force: bool,
    },
    /// Users of the appliance: a way back in when every other one is lost
    Users {
        /// What to do
        #[command(subcommand)]
        job: UsersJob,
    },
    /// Check that backups can be restored; changes nothing, and dmxd may be running
    Verify {
        /// Versions or files [default: every version of the project]
        #[arg(value_name = "VERSION|FILE")]
        what: Vec<What>,
        /// Project whose versions they are
        #[arg(long, value_name = "ID", default_value = "default")]
        project: ProjectId,
    },
}

/// A version, or a file that holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// By its id.
    Version(VersionId),
    /// By its path.
    File(PathBuf),
}

impl FromStr for What {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let is_path = text.contains('/') || text.ends_with(".bin");
        if is_path { Ok(Self::File(text.into())) } else { text.parse().map(Self::Version) }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(id) => id.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Serve until told to stop.
    Run,
    /// Look for faults in the configuration.
    Check,
    /// Print the configuration in force.
    PrintConfig,
    /// One job without doors.
    Offline(Offline),
    /// Import settings.
    Setup(Places),
}

impl Args {
    /// What is asked for.
    #[must_use]
    pub fn task(&self) -> Task {
        match self {
            Self { check: true, .. } => Task::Check,
            Self { print_config: true, .. } => Task::PrintConfig,
            Self { job: Some(Job::Offline(job)), .. } => Task::Offline(job.clone()),
            Self { job: Some(Job::Setup(places)), .. } => Task::Setup(places.clone()),
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
    fn help_names_the_ports_and_the_page_as_they_are() {
        let (http, mqtt) = (crate::config::Http::default().port, crate::config::Mqtt::default().port);
        let help = <Args as clap::CommandFactory>::command().render_help().to_string();
        assert!(
            help.contains(&format!("http://localhost:{http}/")) && help.contains(&format!("port {mqtt} ")),
            "{help}"
        );
    }

    #[test]
    fn each_switch_asks_for_its_task_and_none_for_serving() {
        assert_eq!(task(&[]), Some(Task::Run));
        assert_eq!(task(&["--config", "a.toml"]), Some(Task::Run));
        assert_eq!(task(&["--check"]), Some(Task::Check));
        assert_eq!(task(&["--print-config", "--config=a.toml"]), Some(Task::PrintConfig));
    }

    #[test]
    fn jobs_without_doors_take_versions_and_files() {
        let version = |id: &str| What::Version(id.parse().unwrap());
        let job = |args: &[&str]| match task(args) {
            Some(Task::Offline(job)) => job,
            other => panic!("{other:?}"),
        };
        let label = Some("před opravou".parse().unwrap());
        assert_eq!(job(&["backup", "--label", "před opravou"]), Offline::Backup { label });
        let restore = Offline::Restore { what: version("01J"), project: None, force: true };
        assert_eq!(job(&["--config", "a.toml", "restore", "01J", "--force"]), restore);
        let what = vec![version("01J"), What::File("a.bin".into()), What::File("/b/c".into())];
        let verify = Offline::Verify { what, project: "x".parse().unwrap() };
        assert_eq!(job(&["verify", "01J", "a.bin", "/b/c", "--project", "x", "--config", "a.toml"]), verify);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["--check", "--print-config"][..],
            &["--config"],
            &["--config="],
            &["--chek"],
            &["serve"],
            &["restore"],
            &["restore", ".."],
            &["verify", "--project", "../x"],
        ] {
            assert_eq!(task(args), None, "{args:?}");
        }
    }
}
