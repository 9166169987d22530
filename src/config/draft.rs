//! A configuration while it is being read: the settings so far, and the faults.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use super::diagnostic::{Diagnostic, Origin};
use super::table::Setting;
use super::value::ValueError;

/// Where settings come from, by key; a setting that is not in here is a built-in default.
pub type Origins = BTreeMap<&'static str, Origin>;

/// The configuration, and what was found on the way.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) config: Config,
    pub(crate) origins: Origins,
    pub(crate) faults: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
    /// Settings with a fault: no check draws conclusions from their defaults.
    pub(crate) unclear: BTreeSet<&'static str>,
}

impl Draft {
    /// Records the outcome of reading a setting from `origin`.
    pub(crate) fn note(&mut self, setting: &'static Setting, origin: Origin, outcome: Result<(), ValueError>) {
        if let Err(ValueError { wrong, right }) = outcome {
            self.faults.push(Diagnostic::new(about(setting.key, Some(&origin)), wrong, right));
            self.unclear.insert(setting.key);
        }
        self.origins.insert(setting.key, origin);
    }
}

/// How a fault names a setting: its line and key, its variable, or its key alone.
pub(crate) fn about(key: &str, origin: Option<&Origin>) -> String {
    match origin {
        Some(Origin::File(..)) | None => origin.map_or_else(|| key.to_owned(), |origin| format!("{origin}: {key}")),
        Some(Origin::Variable(name)) => (*name).to_owned(),
        Some(Origin::SecretFile(name)) => name.clone(),
    }
}
