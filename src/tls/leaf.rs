//! A certificate for this machine, signed by its authority.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::authority::{Authority, Fault};
use super::names::Names;
use super::shape::set_dates;
use super::window::Window;

/// A certificate with its key.
pub(super) struct Leaf {
    pub(super) names: Names,
    pub(super) window: Window,
    pub(super) key: Arc<CertifiedKey>,
}

/// Why a new certificate is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    First,
    /// Names or addresses of the machine changed.
    Names,
    /// It ends, or does not hold at the date that is known now.
    Date,
}

impl Due {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::First => "first one of this run",
            Self::Names => "names or addresses have changed",
            Self::Date => "the date asks for it",
        }
    }
}

/// Whether a new one is needed.
pub(super) fn due(leaf: Option<&Leaf>, names: &Names, (now, built): (u64, u64), authority: &Authority) -> Option<Due> {
    match leaf {
        None => Some(Due::First),
        Some(leaf) if leaf.names != *names => Some(Due::Names),
        Some(leaf) => leaf.window.is_due(now, built, authority.window).then_some(Due::Date),
    }
}

impl Leaf {
    /// A new one, with a new key.
    pub(super) fn issue(authority: &Authority, names: Names, window: Window) -> Result<Self, Fault> {
        let key = KeyPair::generate()?;
        let certificate = params(&names, window)?.signed_by(&key, &authority.issuer)?;
        let chain = vec![certificate.der().clone(), authority.der.clone()];
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = CertifiedKey::from_der(chain, private, &ring::default_provider())?;
        Ok(Self { names, window, key: Arc::new(key) })
    }
}

fn params(names: &Names, window: Window) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.title());
    let dns = names.dns.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
    let addresses = names.addresses.iter().map(|address| Ok(SanType::IpAddress(*address)));
    params.subject_alt_names = dns.chain(addresses).collect::<Result<_, rcgen::Error>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_dates(&mut params, window);
    Ok(params)
}
