//! A web door on port 0 over a real engine, for the tests of this folder.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use warp::hyper::body::Bytes;
use warp::reply::Response;

use super::{Addresses, App, Devices, HttpDeps, NotOpened, Ports, SettingsFile, UsbOutput, bind, server};
use crate::access::{Access, AccessDeps};
use crate::backup;
use crate::config::Config;
use crate::dmx::{ProjectId, Rig};
use crate::engine::{self, Engine};
use crate::fixtures::Types;
use crate::intake::{self, Intake};
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::kit::tasks::Tasks;
use crate::library;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::wire::{Device, PortStatus, Presence};

/// A running door.
pub(super) struct Web {
    pub(super) addr: SocketAddr,
    pub(super) app: Arc<App>,
    pub(super) engine: Engine,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    pub(super) broker: Arc<AtomicBool>,
    pub(super) devices: watch::Sender<Arc<Vec<Device>>>,
    pub(super) stopper: Stopper,
    pub(super) served: JoinHandle<()>,
    _tasks: Tasks,
    _data: tempfile::TempDir,
}

impl Web {
    /// With the settings as shipped.
    pub(super) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.http.host = std::net::Ipv4Addr::LOCALHOST.into();
        config.http.port = 0;
        change(&mut config);
        let data = tempfile::tempdir().unwrap();
        let (metrics, health) = (Metrics::new().unwrap(), Health::default());
        config.storage.data_dir = data.path().into();
        let opened = Store::open(&config.storage, &health, &metrics).unwrap();
        let engine = engine::start(
            &config.engine,
            opened.store.clone(),
            opened.seq_jump,
            ProjectId::default_project(),
            Rig::default(),
            &metrics,
        )
        .await;
        let mut tasks = Tasks::default();
        let library = library::start(
            library::LibraryDeps {
                several: config.projects.enabled,
                store: opened.store.clone(),
                engine: engine.handle.clone(),
                feed: engine.feed.clone(),
                reading: library::Reading { universes: config.engine.universes, types: Types::built_in() },
                health: health.clone(),
            },
            &mut tasks,
        );
        let library = library.await;
        let broker = Arc::new(AtomicBool::new(true));
        let devices = watch::Sender::default();
        let listener = bind(&config.http).unwrap();
        let addr = listener.local_addr().unwrap();
        let serves = broker.clone();
        let budget = Budget::new(&config, health.clone(), metrics.memory.clone());
        let deps = AccessDeps::of(&config, &opened.store, &budget, &health);
        let access = Access::open(deps).await;
        let deps = intake::IntakeDeps {
            settings: &config.engine,
            engine: engine.handle.clone(),
            library: library.clone(),
            access: access.clone(),
        };
        let intake = Intake::new(deps, &mut tasks);
        let deps = HttpDeps {
            settings: config.http,
            access,
            intake,
            engine: engine.handle.clone(),
            feed: engine.feed.clone(),
            budget,
            health: health.clone(),
            metrics: metrics.clone(),
            broker_serves: Arc::new(move || serves.load(Ordering::Relaxed)),
            mqtt: Arc::new(|_| Box::pin(async { false })),
            devices: Devices {
                now: Arc::new(|| Presence { devices: Vec::new(), clients: Vec::new(), refused: Vec::new() }),
                changes: devices.subscribe(),
            },
            ports: ports(),
            library,
            backups: backup::Handle::off(),
            authority: crate::tls::KeptAuthority::of(data.path()),
            time: crate::time::Time::open(opened.store.clone()),
            addresses: Arc::new(|| Addresses { web: vec!["http://192.0.2.7/".into()], mqtt: Vec::new() }),
            settings_file: SettingsFile::Here("/etc/dmxd/appliance.toml".into()),
            name: Arc::new(|| Box::pin(async { Some("dmx-2.local".to_owned()) })),
            trust: Arc::new(crate::tls::Trust::default),
        };
        let (stopper, stop) = stop::channel();
        let app = App::new(deps, stop);
        let served = tokio::spawn(server::run(vec![listener], app.clone()));
        Self { addr, app, engine, health, metrics, broker, devices, stopper, served, _tasks: tasks, _data: data }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

/// One output, and a widget that is not there.
fn ports() -> Ports {
    let status = |name: &str| watch::channel(PortStatus::new(name, 0, "somewhere")).1;
    Ports { outputs: vec![status("enttec")], inputs: vec![status("input")], usb: Arc::new(NoWidget) }
}

struct NoWidget;

impl UsbOutput for NoWidget {
    fn look(&self) {}

    fn reopen(&self) -> Pin<Box<dyn Future<Output = Result<String, NotOpened>> + Send + '_>> {
        Box::pin(async { Err(NotOpened::Absent("nothing is plugged in".into())) })
    }
}

/// The `n`th of many ids.
pub(super) fn id(n: u64) -> String {
    ulid::Ulid::from(u128::from(n)).to_string()
}

/// A command as JSON.
pub(super) fn command(n: u64, r: i64, g: i64, b: i64) -> String {
    format!(r#"{{"cmdId":"{}","src":"test","r":{r},"g":{g},"b":{b}}}"#, id(n))
}

/// The body of an answer that is complete in memory.
pub(super) fn body_of(response: Response) -> Bytes {
    let collect = response.into_body().collect();
    futures_util::FutureExt::now_or_never(collect).unwrap().unwrap().to_bytes()
}
