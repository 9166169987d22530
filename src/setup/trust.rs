//! What the card says of the appliance's authority, for people who compare before they trust. The authority is made here if
//! there is none yet: the appliance starts later, and the card is written now.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::kit::clock::BUILT;
use crate::tls::Authority;

/// Where encrypted doors will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encrypted {
    data_dir: PathBuf,
    port: u16,
    /// Whether the appliance's own authority vouches.
    own_authority: bool,
}

impl Encrypted {
    /// `None`: by these settings there are none.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let (data_dir, port) = (config.storage.data_dir.clone(), config.tls.port);
        config.tls.enabled.then(|| Self { data_dir, port, own_authority: config.tls.cert.is_none() })
    }

    /// Lines for the status. What is wrong here is the appliance's to report, which needs the same file.
    pub(super) fn told(&self, host: &str) -> String {
        let first = host.split('.').next().unwrap_or_default();
        let address = format!("\nEncrypted: https://{first}.local:{}/\n", self.port);
        if !self.own_authority {
            return address;
        }
        match authority(&self.data_dir, host) {
            Some(authority) => format!(
                "{address}A tablet learns to trust it at /trust. Compare the fingerprint (SHA-256) of {} there:\n{}\n",
                authority.title(),
                authority.fingerprint()
            ),
            None => format!(
                "{address}Its authority is made at this start; the fingerprint stands here from the next one.\n"
            ),
        }
    }
}

fn authority(data_dir: &Path, host: &str) -> Option<Authority> {
    // made by root, the folder would be closed to the appliance
    data_dir.is_dir().then(|| Authority::open(data_dir, host, BUILT).ok()).flatten()
}
