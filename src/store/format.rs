//! Format numbers of JSON values: what another dmxd wrote in another format is named, never read as if it were ours.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Store, Tree};

/// Problem: a value has a format that this program does not know.
const UNKNOWN: &str = "STORED_FORMAT_UNKNOWN";

#[derive(Deserialize)]
struct Format {
    v: u64,
}

impl Store {
    /// The JSON value of a key, if it is of this format.
    #[must_use]
    pub fn value<T: DeserializeOwned>(&self, tree: Tree, key: &[u8], format: u8) -> Option<T> {
        self.parse(key, &self.get(tree, key)?, format)
    }

    /// Reads a JSON value that stands under a key. Another format than this one is a problem in `/readyz`.
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self, key: &[u8], value: &[u8], format: u8) -> Option<T> {
        let Format { v } = serde_json::from_slice(value).ok()?;
        if v == u64::from(format) {
            return serde_json::from_slice(value).ok();
        }
        let (key, core) = (String::from_utf8_lossy(key), &self.0.core);
        let message = format!(
            "{key} has format {v}, which this dmxd does not know, and counts as absent: what is stored next there takes its \
             place; install the dmxd that wrote it before you change anything"
        );
        if core.health.raise_for(UNKNOWN, &key, message) {
            core.metrics.errors.inc();
            tracing::error!(%key, format = v, "stored_format_unknown");
        }
        None
    }
}
