//! Looks after the certificate: makes the first one, and another when names, addresses, dates or files change. It looks every
//! few seconds, off the way of everything else, and says on the board what is wrong.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_rustls::rustls::sign::CertifiedKey;

use super::acceptor::Acceptor;
use super::authority::{Authority, Fault};
use super::kept::KeptAuthority;
use super::leaf::{self, Leaf};
use super::names::{Machine, Names};
use super::own::{Content, OwnFiles, OwnLeaf};
use super::trust::TrustSource;
use super::window::Window;
use crate::config;
use crate::kit::health::Health;
use crate::kit::tasks::Tasks;
use crate::metrics;

/// How often the machine is looked at: a cable is plugged in, and somebody waits for the page.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The problem on the board.
const FAILED: &str = "TLS_FAILED";

/// Asks for names and addresses of the machine.
pub type Naming = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Machine> + Send>> + Send + Sync>;

/// Seconds since 1970, as far as they are known.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What is needed of the house.
pub struct TlsDeps {
    /// `[tls]`
    pub settings: config::Tls,
    /// Where the authority is kept.
    pub data_dir: PathBuf,
    /// The same, for whoever puts another one there.
    pub kept: KeptAuthority,
    /// The machine as it is now.
    pub naming: Naming,
    /// The date.
    pub clock: Clock,
    /// The day of the build, which no right clock is before.
    pub built: u64,
    /// What `GET /readyz` reports.
    pub health: Health,
    /// Figures.
    pub metrics: metrics::Tls,
}

/// TLS at work.
pub struct Tls {
    /// For https.
    pub web: Acceptor,
    /// For MQTT.
    pub mqtt: Acceptor,
    /// Who vouches.
    pub trust: watch::Receiver<TrustSource>,
}

impl Tls {
    /// Whether there is a certificate.
    #[must_use]
    pub fn serves(&self) -> bool {
        *self.trust.borrow() != TrustSource::None
    }
}

/// Makes or reads the first certificate, and looks after it from then on. What is wrong is on the board; once it is mended,
/// TLS serves without a restart.
///
/// # Errors
/// The library refuses its own settings, which is a fault of this program.
pub async fn start(deps: TlsDeps, tasks: &mut Tasks) -> Result<Tls, Fault> {
    let (current, changes) = watch::channel(None);
    let (trust, trusted) = watch::channel(TrustSource::None);
    // HTTP/1.1 is all that is spoken behind it; what MQTT clients offer, if anything, does not matter
    let web = Acceptor::new(changes.clone(), &["http/1.1"], deps.metrics.clone())?;
    let mqtt = Acceptor::new(changes, &[], deps.metrics.clone())?;
    let mut replaced = deps.kept.replaced();
    let mut keeper = Keeper { deps: Arc::new(deps), held: Held::default(), current, trust };
    keeper.look().await;
    tasks.spawn("certificates", async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                // Err: never, the keeper has a sender itself
                _ = replaced.changed() => keeper.held = Held::default(),
            }
            keeper.look().await;
        }
    });
    Ok(Tls { web, mqtt, trust: trusted })
}

struct Keeper {
    deps: Arc<TlsDeps>,
    held: Held,
    current: watch::Sender<Option<Arc<CertifiedKey>>>,
    trust: watch::Sender<TrustSource>,
}

/// What there is so far.
#[derive(Default)]
struct Held {
    authority: Option<Authority>,
    leaf: Option<Leaf>,
    /// The user's files as they were read last, and what they gave.
    own: Option<(Content, Result<OwnLeaf, String>)>,
}

/// What a look has found.
struct Found {
    /// The certificate to use from now on.
    key: Option<Arc<CertifiedKey>>,
    source: TrustSource,
    window: Option<Window>,
    problem: Option<String>,
}

impl Keeper {
    /// One look, and what follows from it.
    async fn look(&mut self) {
        let machine = (self.deps.naming)().await;
        let (deps, mut held) = (self.deps.clone(), std::mem::take(&mut self.held));
        // reads and writes files, and signs
        let looked = spawn_blocking(move || {
            let found = held.look(&deps, &machine);
            (held, found)
        });
        match looked.await {
            Ok((held, found)) => {
                self.held = held;
                self.use_it(found);
            }
            Err(error) => tracing::error!(%error, "tls_look_panicked"),
        }
    }

    /// Whatever was used before stays in use if there is nothing better.
    fn use_it(&self, Found { key, source, window, problem }: Found) {
        if let Some(key) = key {
            self.current.send_if_modified(|now| {
                let other = now.as_ref().is_none_or(|now| !Arc::ptr_eq(now, &key));
                *now = Some(key);
                other
            });
            self.trust.send_if_modified(|now| std::mem::replace(now, source.clone()) != source);
        }
        if let Some(window) = window {
            self.deps.metrics.ends.set(i64::try_from(window.to).unwrap_or(i64::MAX));
        }
        let health = &self.deps.health;
        match problem {
            Some(problem) => {
                if health.raise(FAILED, problem.as_str()) {
                    tracing::warn!(problem, "tls_failed");
                }
            }
            None => {
                if health.clear(FAILED) {
                    tracing::info!("tls_works_again");
                }
            }
        }
    }
}

impl Held {
    fn look(&mut self, deps: &TlsDeps, machine: &Machine) -> Found {
        let own = match (&deps.settings.cert, &deps.settings.key) {
            (Some(cert), Some(key)) => Some(OwnFiles { cert: cert.clone(), key: key.clone() }),
            _ => None,
        };
        let now = (deps.clock)();
        match own {
            Some(files) => self.look_at_files(&files, (now, deps.built)),
            None => self.look_after_leaf(deps, machine, now).unwrap_or_else(|fault| Found {
                key: None,
                source: TrustSource::None,
                window: None,
                problem: Some(format!("TLS has no certificate: {fault}")),
            }),
        }
    }

    fn look_at_files(&mut self, files: &OwnFiles, (now, built): (u64, u64)) -> Found {
        let nothing =
            |problem| Found { key: None, source: TrustSource::OwnFiles, window: None, problem: Some(problem) };
        let content = match files.content() {
            Ok(content) => content,
            Err(problem) => return nothing(problem),
        };
        let known = match self.own.take().filter(|(old, _)| *old == content) {
            Some(known) => known,
            None => {
                let understood = files.understand(&content);
                if understood.is_ok() {
                    tracing::info!(cert = %files.cert.display(), "tls_certificate");
                }
                (content, understood)
            }
        };
        match &self.own.insert(known).1 {
            Ok(leaf) => Found {
                key: Some(leaf.key.clone()),
                source: TrustSource::OwnFiles,
                window: Some(leaf.window),
                problem: leaf.wrong_date(now, built).map(str::to_owned),
            },
            Err(problem) => nothing(problem.clone()),
        }
    }

    fn look_after_leaf(&mut self, deps: &TlsDeps, machine: &Machine, now: u64) -> Result<Found, Fault> {
        let authority = match &mut self.authority {
            Some(authority) => authority,
            none => {
                let opened = Authority::open(&deps.data_dir, &machine.host, deps.built)?;
                tracing::info!(authority = opened.title, fingerprint = opened.fingerprint(), "tls_authority");
                none.insert(opened)
            }
        };
        let names = Names::of(machine, &authority.zones);
        if let Some(due) = leaf::due(self.leaf.as_ref(), &names, (now, deps.built), authority) {
            let window = Window::at(now, deps.built, authority.window);
            let leaf = Leaf::issue(authority, names, window)?;
            tracing::info!(why = due.as_str(), names = ?leaf.names.dns, addresses = ?leaf.names.addresses, "tls_certificate");
            self.leaf = Some(leaf);
        }
        let source = TrustSource::Authority {
            title: authority.title.clone(),
            der: authority.der.to_vec(),
            fingerprint: authority.fingerprint(),
        };
        let leaf = self.leaf.as_ref();
        Ok(Found {
            key: leaf.map(|leaf| leaf.key.clone()),
            source,
            window: leaf.map(|leaf| leaf.window),
            problem: None,
        })
    }
}
