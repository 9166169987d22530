//! The certificate's way to the rest of the house: the machine's names and addresses, the date, the day of the build.

use std::sync::Arc;

use super::error::AppError;
use super::{addresses, mdns};
use crate::config::Config;
use crate::kit::clock;
use crate::kit::health::Health;
use crate::kit::tasks::Tasks;
use crate::metrics::Metrics;
use crate::tls::{self, KeptAuthority, Machine, Tls, TlsDeps, Trust, TrustSource};

/// Starts TLS, if it is on.
pub(super) async fn start(
    config: &Config,
    name: &mdns::Name,
    kept: &KeptAuthority,
    (health, metrics): (&Health, &Metrics),
    tasks: &mut Tasks,
) -> Result<Option<Tls>, AppError> {
    if !config.tls.enabled {
        return Ok(None);
    }
    let name = name.clone();
    let naming = move || {
        let name = name.clone();
        Box::pin(async move {
            let mdns = name.now(addresses::own()).await;
            Machine { host: tls::host_name(), mdns, addresses: addresses::all() }
        }) as std::pin::Pin<Box<dyn Future<Output = Machine> + Send>>
    };
    let deps = TlsDeps {
        settings: config.tls.clone(),
        data_dir: config.storage.data_dir.clone(),
        kept: kept.clone(),
        naming: Arc::new(naming),
        clock: Arc::new(|| clock::now_ms() / 1000),
        built: clock::BUILT,
        health: health.clone(),
        metrics: metrics.tls.clone(),
    };
    Ok(Some(tls::start(deps, tasks).await?))
}

/// Tells anybody who vouches for the certificate now.
pub(super) fn trust(tls: Option<&Tls>, (plain_port, port): (u16, u16)) -> Arc<dyn Fn() -> Trust + Send + Sync> {
    match tls.map(|tls| tls.trust.clone()) {
        Some(trust) => Arc::new(move || Trust { source: trust.borrow().clone(), port, plain_port }),
        None => Arc::new(move || Trust { source: TrustSource::None, port: 0, plain_port }),
    }
}
