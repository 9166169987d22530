//! Where the light goes: one port for each output of one universe, all run by the same runner.
//!
//! A family of outputs is a folder with an encoder and a driver, and its line in `FAMILIES`. Nothing here changes
//! state, and nothing here may make the engine wait.

mod board;
mod driver;
pub mod enttec;
mod ola;
mod pace;
mod port;
#[cfg(test)]
mod port_tests;
mod spec;
mod unsent;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::config::{self, Config};
use crate::dmx::UniverseId;
use crate::engine::Feed;
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::kit::tasks::Tasks;
use crate::metrics::Metrics;
use crate::wire::PortStatus;

use board::Board;
use driver::Driver;
use port::{Order, Port};
use spec::Spec;

pub use driver::{OutputError, OutputErrorKind};

/// Every family; each starts the ports that the settings ask for.
const FAMILIES: [fn(&mut Starter<'_>); 2] = [enttec::start, ola::start];

/// How long the last frames may take at the stop: a post to OLA under way, the last light and the dark, at most 500 ms
/// each.
const LAST_FRAMES: Duration = Duration::from_millis(1_600);

/// What the outputs need from the rest of the house.
pub struct OutputDeps<'a> {
    /// All settings: each family has a section of its own.
    pub config: &'a Config,
    /// Where the light comes from.
    pub feed: Feed,
    /// What `GET /readyz` reports.
    pub health: Health,
    /// What `GET /metrics` shows.
    pub metrics: Metrics,
}

/// All outputs.
pub struct Outputs {
    tasks: Tasks,
    stop: Stopper,
    statuses: Vec<watch::Receiver<PortStatus>>,
    usb: Usb,
}

/// Starts every output that the settings ask for, and sends the present light at once.
#[must_use]
pub fn start(deps: OutputDeps<'_>) -> Outputs {
    let (stop, stopped) = stop::channel();
    let mut starter = Starter { deps, tasks: Tasks::default(), statuses: Vec::new(), usb: Usb(None), stopped };
    for family in FAMILIES {
        family(&mut starter);
    }
    let carried: BTreeSet<_> = starter.carried();
    if !carried.is_empty() {
        let OutputDeps { feed, health, .. } = &starter.deps;
        let watch = unsent::watch(feed.watch(), carried, health.clone(), starter.stopped.clone());
        starter.tasks.spawn("what is not sent", watch);
    }
    let Starter { tasks, statuses, usb, .. } = starter;
    Outputs { tasks, stop, statuses, usb }
}

impl Outputs {
    /// The state of each, including those that are off.
    #[must_use]
    pub fn statuses(&self) -> Vec<watch::Receiver<PortStatus>> {
        self.statuses.clone()
    }

    /// Takes orders for the USB output.
    #[must_use]
    pub fn usb(&self) -> Usb {
        self.usb.clone()
    }

    /// Ends when one of them does, which is a fault, and names it.
    pub async fn ended(&mut self) -> &'static str {
        self.tasks.ended().await
    }

    /// Sends the last frames and parks. Names those that were late.
    pub async fn close(self) -> Vec<&'static str> {
        self.stop.stop();
        self.tasks.join(LAST_FRAMES).await
    }
}

/// Hands a person's orders to the USB output.
#[derive(Clone, Debug)]
pub struct Usb(Option<mpsc::Sender<Order>>);

impl Usb {
    /// Searches for a widget now instead of at the end of the pause.
    pub fn rescan(&self) {
        if let Some(port) = &self.0 {
            let _ = port.try_send(Order::Rescan); // Err: enough orders wait, so it will search anyway
        }
    }

    /// Closes and reopens the widget; gives where it was found.
    ///
    /// # Errors
    /// It is absent, it cannot be opened, or the output is off.
    pub async fn reopen(&self) -> Result<String, OutputError> {
        let absent = |message| OutputError::new(OutputErrorKind::Absent, message);
        let Some(port) = &self.0 else {
            let setting = config::setting("usb.enabled");
            return Err(absent(format!("the USB output is switched off: set {setting}; GET /about names the file")));
        };
        let (answer, opened) = tokio::sync::oneshot::channel();
        let ended = || absent("the USB output is stopping".to_owned());
        port.send(Order::Reopen(answer)).await.map_err(|_| ended())?;
        opened.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// What a family starts its ports with.
struct Starter<'a> {
    deps: OutputDeps<'a>,
    tasks: Tasks,
    statuses: Vec<watch::Receiver<PortStatus>>,
    usb: Usb,
    stopped: stop::Stop,
}

impl Starter<'_> {
    fn config(&self) -> &Config {
        self.deps.config
    }

    /// The universes that outputs send.
    fn carried(&self) -> BTreeSet<UniverseId> {
        let running = self.statuses.iter().map(|status| status.borrow()).filter(|status| status.enabled);
        running.filter_map(|status| UniverseId::new(status.universe)).collect()
    }

    /// Lists an output that is off.
    fn off(&mut self, name: &str, universe: UniverseId, target: impl Into<String>) {
        let status = PortStatus::new(name, universe.index(), target);
        self.statuses.push(watch::channel(PortStatus { enabled: false, ..status }).1);
    }

    /// Starts one. The sender takes a person's orders.
    fn port<D: Driver>(&mut self, spec: Spec, driver: D) -> mpsc::Sender<Order> {
        let park = self.deps.config.output.park;
        let OutputDeps { feed, health, metrics, .. } = &self.deps;
        let board = Board::new(&spec, driver.target(), health.clone(), &metrics.output);
        self.statuses.push(board.status());
        let (port, orders) = Port::new(&spec, driver, park, feed.watch(), board);
        self.tasks.spawn(spec.task, port.run(self.stopped.clone()));
        orders
    }
}
