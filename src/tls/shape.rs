//! What all certificates have, and what is read from any of them.

use std::time::Duration;

use rcgen::{CertificateParams, date_time_ymd};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;

use super::window::Window;

/// Sets when a certificate is valid; a window within its authority's is far from what a date can hold.
pub(super) fn set_dates(params: &mut CertificateParams, Window { from, to }: Window) {
    let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    (params.not_before, params.not_after) = (at(from), at(to));
}

/// When a certificate is valid. A date before 1970 counts as 1970.
pub(super) fn window(facts: &X509Certificate<'_>) -> Window {
    let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
    let validity = facts.validity();
    Window { from: seconds(validity.not_before.timestamp()), to: seconds(validity.not_after.timestamp()) }
}

/// SHA-256 of a certificate, as browsers and systems show it: `AB:CD:…`.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<_> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
