//! Reads the configuration: built-in defaults, the file over them, variables over both, then the checks.
//!
//! Nothing stops at the first fault: an operator gets all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use super::fault::{Fault, Faults, Origin};
use super::table::Setting;
use super::value::Wrong;
use super::variables::Variables;
use super::{Config, check, file};

/// A configuration that can be started.
#[derive(Clone)]
pub struct Loaded {
    /// The settings in force.
    pub config: Config,
    /// What is odd about them, for stderr and the log.
    pub warnings: Vec<Fault>,
    /// Where each setting that is not a built-in default comes from, by key (`mqtt.port`).
    pub origins: Origins,
}

/// Where settings come from, by key; what is not in here is a built-in default.
pub type Origins = BTreeMap<&'static str, Origin>;

/// Loads the file `named` on the command line, else the one in `DMX_CONFIG`, else `appliance.toml` when there is one;
/// and of `variables` those that are ours.
///
/// # Errors
/// All faults of the file and the variables.
pub fn load<K: Into<OsString>, V: Into<OsString>>(
    named: Option<&Path>,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, Faults> {
    let variables = Variables::ours(variables);
    let mut draft = Draft::default();
    match file::find(named, variables.file()) {
        Ok(Some((path, text))) => file::read(&mut draft, &path, &text),
        Ok(None) => {}
        Err(fault) => draft.faults.push(fault),
    }
    finish(draft, &variables)
}

/// The same without a disk: `text` is what stands in appliance.toml. Must not panic, whatever it is given (fuzzed).
///
/// # Errors
/// All faults of the text and the variables.
pub fn parse<K: Into<OsString>, V: Into<OsString>>(
    text: &str,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, Faults> {
    let mut draft = Draft::default();
    file::read(&mut draft, Path::new(file::DEFAULT), text);
    finish(draft, &Variables::ours(variables))
}

fn finish(mut draft: Draft, variables: &Variables) -> Result<Loaded, Faults> {
    variables.read(&mut draft);
    check::check(&mut draft);
    let Draft { config, origins, faults, warnings, unclear: _ } = draft;
    if faults.is_empty() { Ok(Loaded { config, warnings, origins }) } else { Err(Faults { faults, warnings }) }
}

/// A configuration while it is being read.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) config: Config,
    pub(crate) origins: Origins,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Fault>,
    /// Settings that had a fault: no check draws conclusions from their defaults.
    pub(crate) unclear: BTreeSet<&'static str>,
}

impl Draft {
    /// Notes the outcome of reading a setting from `origin`.
    pub(crate) fn note(&mut self, setting: &'static Setting, origin: Origin, outcome: Result<(), Wrong>) {
        if let Err(Wrong { wrong, right }) = outcome {
            self.faults.push(Fault::new(about(setting.key, Some(&origin)), wrong, right));
            self.unclear.insert(setting.key);
        }
        self.origins.insert(setting.key, origin);
    }
}

/// What a fault of a setting is about: its line and key, its variable, or its key alone.
pub(crate) fn about(key: &str, origin: Option<&Origin>) -> String {
    match origin {
        Some(Origin::File(..)) | None => origin.map_or_else(|| key.to_owned(), |origin| format!("{origin}: {key}")),
        Some(Origin::Variable(name)) => (*name).to_owned(),
    }
}
