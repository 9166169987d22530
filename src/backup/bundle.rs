//! A bundle: a project's snapshot as it is stored. Its bounds, its checksum, and its fingerprint.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::BackupError;
use crate::kit::clock;
use crate::wire::{Snapshot, without_mark};

/// Largest bundle: 64 full universes in 300 scenes are 20 MB, and a show has at most 8 MiB (CONTRACT, section 3). Opening one
/// takes a few times that in memory, of which a Pi has 1 GB.
pub(super) const MOST: usize = 64 << 20;

/// Largest stored bundle: a Fernet token is its base64.
pub(super) const MOST_STORED: u64 = (MOST as u64) / 3 * 4 + 4096;

/// SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

/// Reads a snapshot and its project's id.
///
/// # Errors
/// Unreadable; names the faulty places.
pub(super) fn read(plain: &[u8]) -> Result<(Snapshot, Option<String>), BackupError> {
    let read = Snapshot::from_json(plain, clock::now_ms());
    read.map_err(|refusal| BackupError::unreadable(format!("the backup is not a snapshot of a project: {refusal}")))
}

/// Equal for two snapshots if restoring either gives the same project: times of writing, the last backup and the count of
/// changes do not matter. `None` if it is not a snapshot.
pub(super) fn fingerprint(plain: &[u8]) -> Option<[u8; 32]> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(without_mark(plain)) else { return None };
    fields.remove("timestamp");
    if let Some(Value::Object(project)) = fields.get_mut("project") {
        for time in ["createdAt", "updatedAt", "lastBackupAt"] {
            project.remove(time);
        }
    }
    // levels of every universe are elsewhere, except in a predecessor's snapshot
    if fields.contains_key("universes") {
        fields.remove("state");
    }
    let whole = Value::Object(fields).to_string();
    Some(Sha256::digest(whole.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Option<[u8; 32]> {
        fingerprint(value.to_string().as_bytes())
    }

    fn document(timestamp: u64, last_backup: u64, seq: u64, level: u8) -> Value {
        json!({"project": {"id": "default", "name": "a", "lastBackupAt": last_backup}, "state": {"r": level, "seq": seq},
            "scenes": [], "show": {}, "universes": {"0": {"1": level}}, "timestamp": timestamp, "version": "1.2"})
    }

    #[test]
    fn a_fingerprint_tells_a_change_and_no_mere_passing_of_time() {
        assert_eq!(of(document(1, 2, 3, 4)), of(document(5, 6, 7, 4)));
        assert_ne!(of(document(1, 2, 3, 4)), of(document(1, 2, 3, 5)));
        assert_eq!(fingerprint(b"[]"), None);
    }

    #[test]
    fn a_checksum_is_hexadecimal() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
