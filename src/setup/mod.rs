//! `dmxd setup`: settings from the boot partition, before the appliance starts. Whatever it finds, the machine goes on:
//! what cannot be read or written is reported and left as it is.

mod files;
mod lock;
mod plan;
mod render;
mod report;
mod trust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use self::plan::{FILE, Inputs, Plan};
pub(crate) use self::render::APPLIANCE as SETTINGS;
pub(crate) use self::report::read_out;
use self::report::{Kind, Note};
use crate::{config, tls};

/// The status file on the boot partition.
const STATUS: &str = "dmxd-status.txt";

/// Names that editors give the file where extensions are hidden, or texts must have one.
const MISNAMED: [&str; 4] = ["dmxd.toml.txt", "dmxd.toml.toml", "dmxd.toml.rtf", "dmxd.txt"];

/// Where it reads and writes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Folder of dmxd.toml: the boot partition
    #[arg(long, value_name = "DIR")]
    boot: PathBuf,
    /// Folder that keeps the last good settings: the mount point of the data partition
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder of the machine's settings
    #[arg(long, value_name = "DIR", default_value = "/etc")]
    etc: PathBuf,
    /// File that tells the appliance what is wrong
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// Give the running machine its name as well
    #[arg(long)]
    set_host_name: bool,
}

/// Imports, and returns the lines for stderr. A faulty file, or none, is no failure.
pub fn run(base: Option<&Path>, variables: &[(OsString, OsString)], places: &Places) -> Vec<String> {
    let kept_in = places.data.join("setup").join(FILE);
    let file = match config::text_called(&places.boot.join(FILE), Path::new(FILE)) {
        Ok(text) => text.map(Ok),
        Err(fault) => Some(Err(fault.to_string())),
    };
    let (kept, kept_fault) = match config::text_called(&kept_in, &kept_in) {
        Ok(text) => (text, None),
        Err(fault) => (None, Some(fault.to_string())),
    };
    let found = Inputs { file: file.as_ref().map(|file| file.as_deref().map_err(Clone::clone)), kept: kept.as_deref() };
    let mut plan = plan::plan(&found, |path, text, edition| {
        config::prepare(base, render::APPLIANCE, (path, text, edition), variables.iter().cloned())
    });
    if let Some(fault) = kept_fault {
        plan.add(Kind::SetupFault, fault);
    }
    for name in files::named(&places.boot, &MISNAMED) {
        plan.add(Kind::SetupFault, misnamed(&name));
    }
    let durable = keep(&mut plan, places, &kept_in);
    put_in_force(&mut plan, places);
    if let Some(lock) = plan.lock.take() {
        plan.status += &lock.told();
    }
    if let Some(encrypted) = plan.encrypted.take() {
        let host = plan.host.clone().unwrap_or_else(tls::host_name);
        plan.status += &encrypted.told(&host);
    }
    if let Some(text) = plan.file.take().filter(|_| durable)
        && let Err(error) = files::replace_on_boot(&places.boot, FILE, &text)
    {
        plan.add(Kind::SetupFault, format!("the secrets are still in {FILE}, it cannot be written: {error}"));
    }
    tell(&plan, places)
}

fn misnamed(name: &str) -> String {
    format!(
        "{name}: a file of this name is not read; rename it to {FILE}, or remove it (Windows hides the ending of a name \
         unless Explorer shows \"File name extensions\")"
    )
}

/// Keeps the last good settings; true if secrets may now be removed from the file.
fn keep(plan: &mut Plan, places: &Places, kept_in: &Path) -> bool {
    if !files::is_mounted(&places.data) {
        let message =
            "there is no data partition: light and settings are kept in RAM and forgotten when the power goes";
        plan.add(Kind::DataMissing, message.to_owned());
        return false;
    }
    let Some(text) = plan.keep.take() else { return true };
    let kept = files::folder_for_root(&places.data.join("setup")).and_then(|()| files::replace(kept_in, &text, 0o600));
    kept.map_err(|error| plan.add(Kind::SetupFault, format!("{}: {error}", kept_in.display()))).is_ok()
}

fn put_in_force(plan: &mut Plan, places: &Places) {
    for written in std::mem::take(&mut plan.etc) {
        let path = places.etc.join(written.path);
        let done = match &written.text {
            Some(text) => files::replace_with_folder(&path, text, written.mode),
            // The read-only image takes a name back: after each start everything else is as it was made.
            None if ["hostname", "hosts"].contains(&written.path) => Ok(()),
            None => files::remove(&path),
        };
        if let Err(error) = done {
            plan.add(Kind::SetupFault, format!("{}: {error}", path.display()));
        }
    }
    if let Some(name) = plan.host.clone().filter(|_| places.set_host_name)
        && let Err(error) = rustix::system::sethostname(name.as_bytes())
    {
        plan.add(Kind::SetupFault, format!("giving this machine the name {name}: {error}"));
    }
}

/// Writes the status for people and the report for the appliance; returns the lines for stderr.
fn tell(plan: &Plan, places: &Places) -> Vec<String> {
    let mut told = Vec::new();
    if let Err(error) = files::replace_on_boot(&places.boot, STATUS, &plan.status.replace('\n', "\r\n")) {
        told.push(format!("{STATUS}: {error}"));
    }
    let notes: &[Note] = &plan.notes;
    let report = serde_json::to_string(notes).unwrap_or_default();
    if let Err(error) = files::replace_with_folder(&places.report, &report, 0o644) {
        told.push(format!("{}: {error}", places.report.display()));
    }
    told.extend(notes.iter().map(|note| format!("setup: {}", note.message)));
    told
}
