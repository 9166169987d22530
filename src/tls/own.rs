//! The user's own certificate files (`tls.cert`, `tls.key`), read again when they change: whoever renews them need not
//! restart dmxd.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::shape;
use super::window::Window;

/// Where they are.
pub(super) struct OwnFiles {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// What they hold.
#[derive(PartialEq, Eq)]
pub(super) struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate of the user's.
pub(super) struct OwnLeaf {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) window: Window,
}

impl OwnFiles {
    /// Their bytes, or in words for people why they cannot be read.
    pub(super) fn content(&self) -> Result<Content, String> {
        Ok(Content { cert: read("tls.cert", &self.cert)?, key: read("tls.key", &self.key)? })
    }

    /// The certificate in them.
    pub(super) fn understand(&self, content: &Content) -> Result<OwnLeaf, String> {
        let (cert, key) = (self.cert.display(), self.key.display());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content.cert).collect();
        let chain = chain.map_err(|error| format!("tls.cert: {cert} is no PEM file of certificates: {error}"))?;
        let Some(first) = chain.first().cloned() else {
            return Err(format!("tls.cert: there is no certificate in {cert}; it must be in PEM form"));
        };
        let private = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|error| format!("tls.key: there is no key without a password in {key}: {error}"))?;
        let (_, facts) = X509Certificate::from_der(&first)
            .map_err(|error| format!("tls.cert: the first certificate of {cert} is damaged: {error}"))?;
        let window = shape::window(&facts);
        let together = CertifiedKey::from_der(chain, private, &ring::default_provider());
        let together = together.map_err(|error| format!("tls.key: {key} does not go with {cert}: {error}"))?;
        Ok(OwnLeaf { key: Arc::new(together), window })
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => " (the user of dmxd must be able to read it)",
            _ => "",
        };
        format!("{setting}: reading {}: {error}{remedy}", path.display())
    })
}

impl OwnLeaf {
    /// What is wrong with its dates. A clock before the build is wrong itself.
    pub(super) fn wrong_date(&self, now: u64, built: u64) -> Option<&'static str> {
        match now {
            now if now < built => None,
            now if now > self.window.to => Some("the certificate in tls.cert has ended: renew it"),
            now if now < self.window.from => {
                Some("the certificate in tls.cert has not begun yet: check it, and this machine's clock")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(cert: &str, key: &str) -> (tempfile::TempDir, OwnFiles) {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        fs::write(&own.cert, cert).unwrap();
        fs::write(&own.key, key).unwrap();
        (folder, own)
    }

    fn understood(own: &OwnFiles) -> Result<OwnLeaf, String> {
        own.content().and_then(|content| own.understand(&content))
    }

    #[test]
    fn what_is_wrong_with_files_is_said_with_their_names_and_never_with_their_content() {
        let made = rcgen::generate_simple_self_signed(["stage.example".to_owned()]).unwrap();
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for (cert, key, why) in [
            (cert.as_str(), other.as_str(), "does not go with"),
            ("", key.as_str(), "there is no certificate in"),
            (cert.as_str(), "", "there is no key without a password in"),
            (cert.as_str(), cert.as_str(), "there is no key without a password in"),
        ] {
            let (_folder, own) = files(cert, key);
            let fault = understood(&own).err().unwrap();
            assert!(fault.contains(why) && fault.contains(".pem") && !fault.contains("BEGIN"), "{fault}");
        }
        let (folder, own) = files(&cert, &key);
        assert!(understood(&own).is_ok());
        drop(folder);
        assert!(understood(&own).err().unwrap().starts_with("tls.cert: reading "));
    }

    #[test]
    fn dates_are_judged_only_by_a_clock_that_may_be_right() {
        let made = rcgen::generate_simple_self_signed(["stage.example".to_owned()]).unwrap();
        let (_folder, own) = files(&made.cert.pem(), &made.signing_key.serialize_pem());
        let leaf = OwnLeaf { window: Window { from: 2000, to: 3000 }, ..understood(&own).unwrap() };
        let said = |now| leaf.wrong_date(now, 1000);
        assert_eq!((said(0), said(2000), said(3000)), (None, None, None));
        assert!(said(1999).unwrap().contains("not begun") && said(3001).unwrap().contains("ended"));
    }
}
