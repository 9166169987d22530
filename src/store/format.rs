//! Format numbers of stored values: a value in an unknown format is reported, and never read as if it were ours.
//!
//! A JSON value has its number in `v`; one without is of format 1. Of other values the first byte is the number.

use std::fmt::Display;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Store, Tree};

/// Problem: a value has a format that this program does not know.
const UNKNOWN: &str = "STORED_FORMAT_UNKNOWN";

#[derive(Deserialize)]
struct Format {
    #[serde(default = "first")]
    v: u64,
}

fn first() -> u64 {
    1
}

impl Store {
    /// The JSON value of a key, if it is of this format.
    #[must_use]
    pub fn value<T: DeserializeOwned>(&self, tree: Tree, key: &[u8], format: u8) -> Option<T> {
        self.parse(key, &self.get(tree, key)?, format)
    }

    /// Reads the JSON value of a key, if it is of this format.
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self, key: &[u8], value: &[u8], format: u8) -> Option<T> {
        if self.knows(key, value, format) { serde_json::from_slice(value).ok() } else { None }
    }

    /// Whether a JSON value is of this format, or its format cannot be read.
    #[must_use]
    pub fn knows(&self, key: &[u8], value: &[u8], format: u8) -> bool {
        serde_json::from_slice(value).map_or(true, |Format { v }| self.is_known(key, v, format))
    }

    /// The part behind the format number of a value that is not JSON.
    #[must_use]
    pub fn behind_format<'a>(&self, key: &[u8], value: &'a [u8], format: u8) -> Option<&'a [u8]> {
        let (number, rest) = value.split_first()?;
        self.is_known(key, u64::from(*number), format).then_some(rest)
    }

    /// Reports in `/readyz` and the log that a value is not read. It stays until something else is stored there.
    pub fn refuse(&self, key: &[u8], why: impl Display) {
        let key = String::from_utf8_lossy(key).replace(char::is_control, " ");
        let core = &self.0.core;
        let message = format!("{key} {why}: it counts as absent; start the dmxd that wrote it, or restore a backup");
        if core.health.raise_for(UNKNOWN, &key, message.as_str()) {
            core.metrics.errors.inc();
            tracing::error!(message, "stored_format_unknown");
        }
    }

    fn is_known(&self, key: &[u8], found: u64, format: u8) -> bool {
        let known = found == u64::from(format);
        if !known {
            self.refuse(key, format_args!("has format {found}, which this dmxd does not know"));
        }
        known
    }
}
