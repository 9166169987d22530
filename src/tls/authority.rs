//! The local certificate authority: made once, kept in one file, and never shown. It may vouch for this network only: its
//! certificate names the zones and nets, critically, so that whoever steals the key cannot be a bank.

use crate::kit::shelf;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints,
};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::names::{self, NETS};
use super::shape::{self, set_dates};
use super::window::{DAY, Window};

/// Its file in the data folder: key and certificate together, so that none is ever without the other.
pub(super) const FILE: &str = "tls/authority.pem";

/// How long it is valid, from the day of the build: longer than any card lasts.
const LIFE: u64 = 23 * 365 * DAY;

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file.
    #[error("{doing} {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{0}: {1} (move it away, and dmxd makes a new authority, which every tablet has to trust again)")]
    Damaged(PathBuf, String),
    /// Making a certificate.
    #[error("making a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// A certificate and key that do not go together, or of an unknown kind.
    #[error("using a certificate: {0}")]
    Using(#[from] tokio_rustls::rustls::Error),
}

/// The authority.
pub struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) der: CertificateDer<'static>,
    pub(super) window: Window,
    /// The names that it may vouch for.
    pub(super) zones: Vec<String>,
    /// What people read in a list of authorities.
    pub(super) title: String,
}

impl Authority {
    /// The one of this data folder; made if there is none. `built`: the day of the build.
    ///
    /// # Errors
    /// It cannot be read or kept. One that cannot be read is never replaced.
    pub fn open(data_dir: &Path, host: &str, built: u64) -> Result<Self, Fault> {
        let path = data_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::read(&text).map_err(|why| Fault::Damaged(path, why)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(&path, host, built),
            Err(source) => Err(Fault::File { doing: "reading", path, source }),
        }
    }

    fn make(path: &Path, host: &str, built: u64) -> Result<Self, Fault> {
        let key = KeyPair::generate()?;
        let certificate = params(&key, host, built).self_signed(&key)?;
        let text = format!("{}{}", key.serialize_pem(), certificate.pem());
        let kept = shelf::keep(path, |mut file| file.write_all(text.as_bytes()));
        kept.map_err(|source| Fault::File { doing: "writing", path: path.to_owned(), source })?;
        Self::read(&text).map_err(|why| Fault::Damaged(path.to_owned(), why))
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        let key = KeyPair::from_pem(text).map_err(|error| format!("no key: {error}"))?;
        let der =
            CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| format!("no certificate: {error}"))?;
        let (_, facts) = X509Certificate::from_der(&der).map_err(|error| format!("no certificate: {error}"))?;
        if facts.public_key().subject_public_key.data.as_ref() != rcgen::PublicKeyData::der_bytes(&key) {
            return Err("its key is of another certificate".into());
        }
        let title = facts.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or("dmxd");
        let (title, window, zones) = (title.to_owned(), shape::window(&facts), zones(&facts));
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| error.to_string())?;
        Ok(Self { issuer, der, window, zones, title })
    }

    /// What people read in a list of authorities.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// SHA-256 of the certificate, as browsers and systems show it: `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        shape::fingerprint(&self.der)
    }
}

/// What the authority is and may do.
fn params(key: &KeyPair, host: &str, built: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id: String =
        Sha256::digest(rcgen::PublicKeyData::der_bytes(key)).iter().take(4).map(|b| format!("{b:02X}")).collect();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "dmxd");
    params.distinguished_name.push(DnType::CommonName, format!("dmxd {host} {id}")); // two boxes are told apart
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(constraints(host));
    set_dates(&mut params, Window { from: built, to: built + LIFE });
    params
}

fn constraints(host: &str) -> NameConstraints {
    let names = names::zones(host).into_iter().map(GeneralSubtree::DnsName);
    let nets = NETS.iter().map(|(net, length)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*net, *length)));
    NameConstraints { permitted_subtrees: names.chain(nets).collect(), excluded_subtrees: Vec::new() }
}

fn zones(facts: &X509Certificate<'_>) -> Vec<String> {
    let constraints = facts.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(constraints) => constraints.permitted_subtrees.as_ref(),
        _ => None,
    });
    let names = constraints.into_iter().flatten().filter_map(|subtree| match &subtree.base {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BUILT: u64 = 1_780_000_000;

    #[test]
    fn it_is_made_once_and_found_again_and_nobody_else_may_read_it() {
        let data = tempfile::tempdir().unwrap();
        let made = Authority::open(data.path(), "dmx", BUILT).unwrap();
        let found = Authority::open(data.path(), "hall", BUILT + DAY).unwrap();
        assert_eq!((&made.der, made.fingerprint()), (&found.der, found.fingerprint()));
        assert_eq!(found.zones, ["dmx", "local", "localhost"]);
        assert_eq!(found.window, Window { from: BUILT, to: BUILT + LIFE });
        assert!(found.title.starts_with("dmxd dmx "), "{}", found.title);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.path().join(FILE)), 0o600);
        assert_eq!(mode(data.path().join(FILE).parent().unwrap()), 0o700);
    }

    #[test]
    fn one_that_cannot_be_read_is_not_replaced() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(FILE);
        Authority::open(data.path(), "dmx", BUILT).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let other = tempfile::tempdir().unwrap();
        Authority::open(other.path(), "dmx", BUILT).unwrap();
        let others = fs::read_to_string(other.path().join(FILE)).unwrap();
        let at = |text: &str| text.find("-----BEGIN CERT").unwrap();
        let mixed = format!("{}{}", &good[..at(&good)], &others[at(&others)..]);
        for (text, why) in [("", "no key"), (&good[..good.len() / 3], "no"), (mixed.as_str(), "of another certificate")]
        {
            fs::write(&path, text).unwrap();
            let fault = Authority::open(data.path(), "dmx", BUILT).err().unwrap().to_string();
            assert!(fault.contains(why) && fault.contains("authority.pem") && !fault.contains("BEGIN"), "{fault}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
