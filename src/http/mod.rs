//! The web door: REST, WebSocket and the app, on our own accept loop under warp.
//!
//! A newcomer starts at `routes/mod.rs`, the one table of everything that is served. Handlers are thin: parse,
//! submit, shape. warp's and hyper's types stay in this folder; nothing here changes state.

mod assets;
mod auth;
mod desk_view;
mod dispatch;
mod hosts;
mod live;
mod mqtt;
mod openapi;
mod origin;
mod peer;
mod problem;
mod reply;
mod request;
#[cfg(test)]
mod rest_tests;
mod routes;
mod schemas;
mod server;
#[cfg(test)]
mod testing;
mod to_https;
#[cfg(test)]
mod ws_tests;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::access::Access;
use crate::backup;
use crate::config;
use crate::engine;
use crate::intake::Intake;
use crate::kit::budget::Budget;
use crate::kit::health::Health;
use crate::kit::stop::Stop;
use crate::library::Library;
use crate::metrics::Metrics;
use crate::time::Time;
use crate::tls::{KeptAuthority, Trust};
use crate::wire::{Device, PortStatus, Presence};

pub use mqtt::{MqttDoor, MqttGuest, MqttStream};
pub use server::{BindError, Listener, bind, bind_also, bind_at, serve};

/// What the web door needs from the rest of the house.
pub struct HttpDeps {
    /// `[http]`
    pub settings: config::Http,
    /// Who may do what.
    pub access: Access,
    /// Where commands go.
    pub intake: Intake,
    /// What `GET /readyz` asks.
    pub engine: engine::Handle,
    /// Where changes come from.
    pub feed: engine::Feed,
    /// Budget for bodies, documents and messages.
    pub budget: Budget,
    /// What `GET /readyz` reports.
    pub health: Health,
    /// What `GET /metrics` shows.
    pub metrics: Metrics,
    /// Whether the embedded broker serves (`mqttConnected`).
    pub broker_serves: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where clients of `/mqtt` go.
    pub mqtt: MqttDoor,
    /// Devices and clients.
    pub devices: Devices,
    /// Outputs and inputs.
    pub ports: Ports,
    /// Projects, scenes and show.
    pub library: Library,
    /// Their backups.
    pub backups: backup::Handle,
    /// The appliance's own authority.
    pub authority: KeptAuthority,
    /// What time it is.
    pub time: Time,
    /// Where people write settings.
    pub settings_file: SettingsFile,
    /// The addresses at which other machines reach this one now.
    pub addresses: Arc<dyn Fn() -> Addresses + Send + Sync>,
    /// The name of this machine on its network, if it has one.
    pub name: Arc<dyn Fn() -> Naming + Send + Sync>,
    /// Who vouches for our certificate now.
    pub trust: Arc<dyn Fn() -> Trust + Send + Sync>,
}

/// Where people write settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsFile {
    /// `dmxd.toml` on the card's boot partition, which `dmxd setup` reads at each start, and has put here.
    OnCard(PathBuf),
    /// A file of this machine, read when dmxd starts.
    Here(PathBuf),
}

impl SettingsFile {
    /// Its name on the card, else its path.
    fn name(&self) -> String {
        match self {
            Self::OnCard(_) => "dmxd.toml".to_owned(),
            Self::Here(path) => path.display().to_string(),
        }
    }
}

impl SettingsFile {
    /// Where its text is.
    fn path(&self) -> &Path {
        match self {
            Self::OnCard(path) | Self::Here(path) => path,
        }
    }
}

/// Asks for the name of this machine.
pub type Naming = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// The addresses at which other machines reach this one, as URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The app and REST.
    pub web: Vec<String>,
    /// The embedded broker.
    pub mqtt: Vec<String>,
}

/// Devices and clients, lent by the broker.
#[derive(Clone)]
pub struct Devices {
    /// Everything as it is now.
    pub now: Arc<dyn Fn() -> Presence + Send + Sync>,
    /// The list of devices, at each change.
    pub changes: watch::Receiver<Arc<Vec<Device>>>,
}

/// Outputs and inputs, lent by the rest of the house.
#[derive(Clone)]
pub struct Ports {
    /// The state of each output.
    pub outputs: Vec<watch::Receiver<PortStatus>>,
    /// The state of each input.
    pub inputs: Vec<watch::Receiver<PortStatus>>,
    /// Takes orders for the USB output.
    pub usb: Arc<dyn UsbOutput>,
}

/// What a person may ask of the USB output.
pub trait UsbOutput: Send + Sync {
    /// Search for a widget now.
    fn look(&self);

    /// Close and reopen the widget; gives where it was found.
    fn reopen(&self) -> Pin<Box<dyn Future<Output = Result<String, NotOpened>> + Send + '_>>;
}

/// Why the USB output did not open, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// There is no such device, or the output is off.
    Absent(String),
    /// It is there, but cannot be opened.
    Failed(String),
}

/// What every handler may use; one for the whole door.
struct App {
    assets: assets::Assets,
    origins: origin::Origins,
    hosts: hosts::Hosts,
    gate: auth::Gate,
    access: Access,
    engine: engine::Handle,
    intake: Intake,
    budget: Budget,
    health: Health,
    metrics: Metrics,
    broker_serves: Arc<dyn Fn() -> bool + Send + Sync>,
    mqtt: MqttDoor,
    devices: Arc<dyn Fn() -> Presence + Send + Sync>,
    ports: Ports,
    library: Library,
    backups: backup::Handle,
    time: Time,
    authority: KeptAuthority,
    settings_file: SettingsFile,
    addresses: Arc<dyn Fn() -> Addresses + Send + Sync>,
    name: Arc<dyn Fn() -> Naming + Send + Sync>,
    trust: Arc<dyn Fn() -> Trust + Send + Sync>,
    /// Held while working on a large document: once parsed, 8 MiB may take ten times that.
    imports: Semaphore,
    /// Held while the appliance's own backup is sealed or opened.
    sealing: Arc<Semaphore>,
    hub: live::Hub,
    stop: Stop,
}

impl App {
    fn new(deps: HttpDeps, stop: Stop) -> Arc<Self> {
        Arc::new(Self {
            assets: assets::Assets::new(deps.settings.ui_dir),
            origins: origin::Origins::new(&deps.settings.allow_origins),
            hosts: hosts::Hosts::new(&deps.settings.allow_hosts),
            gate: auth::Gate::new(deps.access.clone()),
            hub: live::Hub::new(live::HubDeps {
                feed: deps.feed,
                devices: deps.devices.changes,
                views: deps.library.views(),
                intake: deps.intake.clone(),
                budget: deps.budget.clone(),
                metrics: deps.metrics.http.clone(),
                access: deps.access.clone(),
            }),
            access: deps.access,
            engine: deps.engine,
            intake: deps.intake,
            budget: deps.budget,
            health: deps.health,
            metrics: deps.metrics,
            broker_serves: deps.broker_serves,
            mqtt: deps.mqtt,
            devices: deps.devices.now,
            ports: deps.ports,
            library: deps.library,
            backups: deps.backups,
            time: deps.time,
            authority: deps.authority,
            settings_file: deps.settings_file,
            addresses: deps.addresses,
            name: deps.name,
            trust: deps.trust,
            imports: Semaphore::new(1),
            sealing: Arc::new(Semaphore::new(1)),
            stop,
        })
    }
}
