//! Output through OLA, the Open Lighting Architecture, by its web server: one form post a frame
//! (<https://docs.openlighting.org/ola/json/>, `set_dmx`). Our universe 0 and, by a map, further ones.

mod driver;
mod form;

use super::Starter;
use super::driver::Driver;
use super::spec::{LONGEST_PAUSE, Spec};
use crate::config::{OutputMode, UniversePair};
use crate::dmx::UniverseId;
use driver::Ola;

/// One port for each universe; all share one pool of connections.
pub(super) fn start(starter: &mut Starter<'_>) {
    let config = starter.config();
    let enabled = config.ola.enabled || config.output.mode == OutputMode::Ola;
    let settings = config.ola.clone();
    let client = if enabled { driver::client() } else { None };
    let first = UniversePair { ours: UniverseId::LAMP.index(), olas: settings.universe };
    for pair in [first].into_iter().chain(settings.universes) {
        let Some(universe) = UniverseId::new(pair.ours) else { continue }; // the settings allow no other
        let name = if universe == UniverseId::LAMP { "ola".to_owned() } else { format!("ola-{universe}") };
        let ola = Ola::new(client.clone(), &settings.url, pair.olas);
        if enabled {
            let (fps, scan) = (settings.fps, LONGEST_PAUSE);
            starter.port(Spec { name, task: "ola", event: "ola_error", universe, fps, scan }, ola);
        } else {
            starter.off(&name, universe, ola.target());
        }
    }
}
