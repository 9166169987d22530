//! Gives each new connection the newest certificate; those that are open keep theirs.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// The certificate now, if there is one.
pub(super) type Current = watch::Receiver<Option<Arc<CertifiedKey>>>;

#[derive(Debug)]
pub(super) struct Resolver(pub(super) Current);

impl ResolvesServerCert for Resolver {
    /// Whatever name is asked for: a wrong one is for the client to judge, and those who dial an address name none.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().clone()
    }
}
