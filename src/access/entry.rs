//! One deed, as the log has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "AuditEntry", description = "Something that somebody did, or was refused.")]
pub struct Entry {
    /// When, Unix milliseconds by the clock of the appliance, which may have been wrong.
    pub ts: u64,
    /// Who.
    pub who: String,
    /// What: a method and a path, or words.
    pub what: String,
    /// The client's address, if it came by the network.
    #[serde(rename = "from")]
    pub address: Option<String>,
    /// Whether it was refused.
    pub refused: bool,
}
