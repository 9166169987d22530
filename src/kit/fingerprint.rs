//! Tells two contents apart. Not for secrets, and not against somebody who forges a collision.

use sha2::{Digest, Sha256};

/// 64 bits of SHA-256 in hexadecimal, over all parts in order.
#[must_use]
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    parts.into_iter().for_each(|part| digest.update(part));
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
