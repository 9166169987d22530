//! Keys on REST (`x-api-key`) and WebSocket (`?token=`). The log gets a fingerprint, never the key.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::config::{self, AuthMode};

/// Pairs of key and address that were logged; beyond that the least recent is logged again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Requires keys, or only records them.
pub(super) struct Gate {
    settings: config::Auth,
    /// What was logged before. It only limits the log, so a lock is enough.
    seen: Mutex<LruCache<(IpAddr, String), ()>>,
}

/// The result of checking a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyCheck {
    Allowed,
    Refused,
}

impl Gate {
    pub(super) fn new(settings: config::Auth) -> Self {
        Self { settings, seen: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// Whether the bearer of `key` may continue.
    pub(super) fn check(&self, key: Option<&[u8]>, peer: IpAddr) -> KeyCheck {
        let key = key.filter(|key| !key.is_empty());
        let known = key.is_some_and(|key| self.knows(key));
        let pass = match self.settings.mode {
            AuthMode::Audit => KeyCheck::Allowed,
            AuthMode::Required if known => KeyCheck::Allowed,
            AuthMode::Required => KeyCheck::Refused,
        };
        let fingerprint = key.map_or_else(|| "none".to_owned(), fingerprint);
        if (key.is_some() || pass == KeyCheck::Refused) && self.is_new(peer, &fingerprint) {
            match pass {
                KeyCheck::Allowed => tracing::info!(%fingerprint, %peer, known, "api_key_seen"),
                KeyCheck::Refused => tracing::warn!(%fingerprint, %peer, "api_key_refused"),
            }
        }
        pass
    }

    /// Whether this is one of the keys, whatever the mode. Every key is compared, so that the time does not reveal which one was
    /// right.
    pub(super) fn knows(&self, key: &[u8]) -> bool {
        self.settings.keys.iter().fold(false, |hit, known| known.matches(key) | hit)
    }

    fn is_new(&self, peer: IpAddr, fingerprint: &str) -> bool {
        let mut seen = self.seen.lock();
        seen.put((peer, fingerprint.to_owned()), ()).is_none()
    }
}

/// The first 8 hexadecimal digits of the SHA-256: enough to tell keys apart, too little to guess one.
fn fingerprint(key: &[u8]) -> String {
    Sha256::digest(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::secret::Secret;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(mode: AuthMode) -> Gate {
        Gate::new(config::Auth { mode, keys: vec![Secret::new("first"), Secret::new("second")] })
    }

    #[test]
    fn audit_refuses_nobody() {
        for key in [None, Some(&b"wrong"[..]), Some(b"first")] {
            assert_eq!(gate(AuthMode::Audit).check(key, PEER), KeyCheck::Allowed);
        }
        assert!(gate(AuthMode::Audit).knows(b"first") && !gate(AuthMode::Audit).knows(b"wrong"));
    }

    #[test]
    fn required_lets_in_any_of_the_keys_and_no_other() {
        let gate = gate(AuthMode::Required);
        for (key, pass) in [
            (None, KeyCheck::Refused),
            (Some(&b""[..]), KeyCheck::Refused),
            (Some(b"firs"), KeyCheck::Refused),
            (Some(b"first"), KeyCheck::Allowed),
            (Some(b"second"), KeyCheck::Allowed),
        ] {
            assert_eq!(gate.check(key, PEER), pass, "{key:?}");
        }
    }

    #[test]
    fn required_without_any_key_configured_lets_in_nobody() {
        let gate = Gate::new(config::Auth { mode: AuthMode::Required, keys: Vec::new() });
        assert_eq!(gate.check(Some(b""), PEER), KeyCheck::Refused);
        assert_eq!(gate.check(None, PEER), KeyCheck::Refused);
    }

    #[test]
    fn a_key_is_news_once_per_peer() {
        let gate = gate(AuthMode::Audit);
        assert!(gate.is_new(PEER, "aa"));
        assert!(!gate.is_new(PEER, "aa"));
        assert!(gate.is_new(PEER, "bb"));
    }

    #[test]
    fn a_fingerprint_is_the_start_of_the_sha_256() {
        // FIPS 180-4: the digest of "abc" begins ba7816bf
        assert_eq!(fingerprint(b"abc"), "ba7816bf");
    }
}
