//! Light in: the serial line of a SparkFun DMX shield (or anything that writes the same lines) as a door for commands.
//!
//! parser (bytes → readings) → gatherer (readings → colours that changed) → serial (the task). It changes light only by
//! commands, and never takes back what somebody else has changed while the console stands still.

mod board;
mod error;
mod gatherer;
pub mod parser;
mod serial;

use std::time::Duration;

use tokio::sync::watch;

use crate::config;
use crate::dmx::{Source, UniverseId};
use crate::engine::Feed;
use crate::intake::Intake;
use crate::kit::health::Health;
use crate::kit::stop::{self, Stopper};
use crate::kit::tasks::Tasks;
use crate::kit::usb::Named;
use crate::metrics;
use crate::wire::PortStatus;

use board::Board;
use serial::Serial;

const NAME: &str = "input";

/// How long the task may take to notice the stop. By then it waits for nothing but a port that is being opened.
const LAST_LINE: Duration = Duration::from_millis(200);

/// What the input needs from the rest of the house.
pub struct InputDeps {
    /// `[input]`
    pub settings: config::Input,
    /// The port that the settings name for the USB output; empty if they name none, or that output is off.
    pub usb_port: String,
    /// Where commands go.
    pub intake: Intake,
    /// The light that unread channels have.
    pub feed: Feed,
    /// What `GET /readyz` reports.
    pub health: Health,
    /// `dmx_input_…`
    pub metrics: metrics::Input,
}

/// The input, switched on or not.
pub struct Input {
    tasks: Tasks,
    stop: Stopper,
    status: watch::Receiver<PortStatus>,
}

/// Starts it, if the settings ask for it.
#[must_use]
pub fn start(deps: InputDeps) -> Input {
    let InputDeps { settings, usb_port, intake, feed, health, metrics } = deps;
    let universe = UniverseId::new(settings.universe).unwrap_or(UniverseId::LAMP); // the settings allow no other
    let mut status = PortStatus::new(NAME, universe.index(), settings.port.as_str());
    status.enabled = settings.enabled;
    let mut board = Board::new(status, health, metrics);
    let (mut tasks, (stop, stopped), status) = (Tasks::default(), stop::channel(), board.status());
    if settings.enabled && settings.port.is_empty() {
        board.failed(&error::InputError::NoPort);
    } else if settings.enabled {
        let serial = Serial {
            port: Named::new(settings.port),
            usb_port,
            baud: settings.baudrate,
            channels: settings.channels,
            dead_band: settings.dead_band,
            universe,
            source: settings.src.parse().unwrap_or_else(|_| Source::init()), // the settings allow no other
            intake,
            feed,
            board,
        };
        tasks.spawn("serial input", serial.run(stopped));
    }
    Input { tasks, stop, status }
}

impl Input {
    /// Its state.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<PortStatus> {
        self.status.clone()
    }

    /// Ends when its task does, which is a fault, and names it.
    pub async fn ended(&mut self) -> &'static str {
        self.tasks.ended().await
    }

    /// Stops reading. Names what was late.
    pub async fn close(self) -> Vec<&'static str> {
        self.stop.stop();
        self.tasks.join(LAST_LINE).await
    }
}
