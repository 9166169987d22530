//! Format numbers of stored values: a value in an unknown format is reported, and never read as if it were ours.
//!
//! A JSON value has its number in `v`; one without is of format 1. Of other values the first byte is the number.

use std::fmt::Display;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Store, Tree};

/// Problem: a value has a format that this program does not know.
const UNKNOWN: &str = "STORED_FORMAT_UNKNOWN";

/// Problem: a value is not what any program would have written.
const DAMAGED: &str = "STORED_VALUE_DAMAGED";

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
        self.parse(tree, key, &self.get(tree, key)?, format)
    }

    /// Reads the JSON value of a key, if it is of this format.
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self, tree: Tree, key: &[u8], value: &[u8], format: u8) -> Option<T> {
        if self.knows(tree, key, value, format) { serde_json::from_slice(value).ok() } else { None }
    }

    /// Whether a JSON value is of this format, or its format cannot be read.
    #[must_use]
    pub fn knows(&self, tree: Tree, key: &[u8], value: &[u8], format: u8) -> bool {
        serde_json::from_slice(value).map_or(true, |Format { v }| self.is_known(tree, key, v, format))
    }

    /// Whether another program has stored the JSON value of a key, in a format of its own.
    #[must_use]
    pub fn is_foreign(&self, tree: Tree, key: &[u8], format: u8) -> bool {
        self.get(tree, key).is_some_and(|value| !self.knows(tree, key, &value, format))
    }

    /// The part behind the format number of a value that is not JSON.
    #[must_use]
    pub fn behind_format<'a>(&self, tree: Tree, key: &[u8], value: &'a [u8], format: u8) -> Option<&'a [u8]> {
        let (number, rest) = value.split_first()?;
        self.is_known(tree, key, u64::from(*number), format).then_some(rest)
    }

    /// Reports in `/readyz` and the log, until the next start, that a value is damaged and is not read.
    pub fn damaged(&self, tree: Tree, key: &[u8], why: impl Display) {
        self.refuse(DAMAGED, tree, key, why, "it counts as absent; restore a backup, and check the card");
    }

    fn is_known(&self, tree: Tree, key: &[u8], found: u64, format: u8) -> bool {
        let known = found == u64::from(format);
        if !known {
            let why = format_args!("has format {found}, which this dmxd does not know");
            let then = match tree {
                Tree::Light => "it counts as absent, and is replaced; restore a backup",
                Tree::Projects => "it counts as absent, and stays as it is; start the dmxd that wrote it",
                _ => "it counts as absent; start the dmxd that wrote it before something else is stored there",
            };
            self.refuse(UNKNOWN, tree, key, why, then);
        }
        known
    }

    fn refuse(&self, code: &'static str, tree: Tree, key: &[u8], why: impl Display, then: &str) {
        let core = &self.0.core;
        let Some((count, said)) = core.refused.count(code, tree, key, why) else { return };
        core.metrics.errors.inc();
        let why = format!("{said}: {then}");
        match code {
            _ if count > 1 => {}
            DAMAGED => tracing::error!(why, "stored_value_damaged"),
            _ => tracing::error!(why, "stored_format_unknown"),
        }
        core.health.raise_for(code, tree.whose(), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kit::health::Health;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn however_many_values_are_not_read_there_is_one_short_problem_for_each_tree() {
        let (dir, health, metrics) = (tempfile::tempdir().unwrap(), Health::default(), Metrics::new().unwrap());
        let storage = config::Storage { data_dir: dir.path().into(), ..config::Storage::default() };
        let store = Store::open(&storage, &health, &metrics).unwrap().store;
        for n in 0..100 {
            let key = format!("{n:02}/{}", "é".repeat(30_000));
            for _ in 0..2 {
                assert_eq!(store.behind_format(Tree::Retained, key.as_bytes(), b"\x09x", 1), None);
            }
        }
        assert!(!store.knows(Tree::Sessions, b"c\n", br#"{"v":7}"#, 1));
        let told: Vec<_> = health.problems().into_iter().map(|problem| problem.message).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        let (retained, session) = (&told[0], &told[1]);
        assert!(retained.starts_with("00/éé") && retained.len() < 500, "{retained}");
        assert!(retained.contains("é… has format 9, which this dmxd does not know (like 99 more of"), "{retained}");
        assert!(session.starts_with("c  has format 7, which this dmxd does not know: it"), "{session}");
        store.close().await;
    }
}
