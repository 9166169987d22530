//! Output through an Enttec DMX USB PRO, or a widget that speaks the same (DMXking ultraDMX): one serial line, one
//! message a frame ("DMX USB PRO Widget API", version 1.44).

mod driver;
pub mod packet;
mod search;

use std::time::Duration;

use super::driver::Driver;
use super::spec::Spec;
use super::{Starter, Usb};
use crate::dmx::UniverseId;
use driver::Enttec;
use search::Search;

const NAME: &str = "enttec";

pub(super) fn start(starter: &mut Starter<'_>) {
    let config = starter.config();
    let enabled = config.usb_runs();
    let settings = config.usb.clone();
    let driver = Enttec::new(Search::new(&settings, &config.input), settings.baudrate);
    let universe = UniverseId::new(settings.universe).unwrap_or(UniverseId::LAMP); // the settings allow no other
    if !enabled {
        return starter.off(NAME, universe, driver.target());
    }
    let scan = Duration::from_secs(settings.scan_interval_seconds);
    let spec = Spec { name: NAME.into(), task: NAME, event: "usb_error", universe, fps: settings.fps, scan };
    let orders = starter.port(spec, driver);
    starter.usb = Usb(Some(orders));
}
