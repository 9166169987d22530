//! Light that nobody sends, on a universe that no output carries. Reported in `/readyz`, so that a map of universes that does
//! not fit the commands is noticed.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::dmx::{Channel, Frame, State, UniverseId};
use crate::engine::Latest;
use crate::kit::health::Health;
use crate::kit::stop::Stop;

/// Code of the problem in `/readyz`.
const NOT_SENT: &str = "UNIVERSE_NOT_SENT";

/// How often to look: light may change a thousand times a second.
const LOOK: Duration = Duration::from_millis(500);

/// Looks at the light until the stop. `carried`: what the outputs send.
pub(super) async fn watch(
    mut latest: watch::Receiver<Latest>,
    carried: BTreeSet<UniverseId>,
    health: Health,
    mut stop: Stop,
) {
    let looks = async {
        loop {
            let state = latest.borrow_and_update().state.clone();
            tell(&unsent(&state, &carried), &carried, &health);
            sleep(LOOK).await;
            if latest.changed().await.is_err() {
                pending().await // the engine has ended; the stop comes next
            }
        }
    };
    tokio::select! {
        () = stop.requested() => {}
        () = looks => {}
    }
}

/// Universes with light that nobody sends. The lamp needs no output: it gets its light by MQTT.
fn unsent(state: &State, carried: &BTreeSet<UniverseId>) -> Vec<UniverseId> {
    let lit = |universe: UniverseId, frame: &Frame| {
        frame.lit().any(|(channel, _)| universe != UniverseId::LAMP || !Channel::LAMP.contains(&channel))
    };
    let universes = state.universes().filter(|(universe, _)| !carried.contains(universe));
    universes.filter(|(universe, frame)| lit(*universe, frame)).map(|(universe, _)| universe).collect()
}

fn tell(unsent: &[UniverseId], carried: &BTreeSet<UniverseId>, health: &Health) {
    if unsent.is_empty() {
        health.clear(NOT_SENT);
        return;
    }
    let (which, has) = named(unsent);
    let (sent, _) = named(carried.iter());
    let message = format!(
        "{which} {has} light, but no output carries it: the outputs send {sent}; map it to one of OLA's in ola.universes \
         (\"1:2\" sends our 1 to OLA's 2), or set usb.universe"
    );
    if health.raise(NOT_SENT, message.as_str()) {
        tracing::warn!(error = message, "universe_not_sent");
    }
}

/// `universe 3` and `has`, `universes 3, 5` and `have`.
fn named<'a>(universes: impl IntoIterator<Item = &'a UniverseId>) -> (String, &'static str) {
    let names: Vec<_> = universes.into_iter().map(ToString::to_string).collect();
    let (word, has) = if names.len() == 1 { ("universe", "has") } else { ("universes", "have") };
    (format!("{word} {}", names.join(", ")), has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dmx::Source;

    #[test]
    fn light_that_nobody_sends_is_named_and_the_lamp_needs_no_output() {
        let [zero, one, two] = [0, 1, 2].map(|index| UniverseId::new(index).unwrap());
        let lit = |channel| {
            let mut frame = Frame::DARK;
            frame.set(&[(Channel::new(channel).unwrap(), 9)]);
            frame
        };
        let state = |frames: Vec<(UniverseId, Frame)>| State::restore(1, 1, Source::init(), frames);
        let carried = BTreeSet::from([one]);
        let lamp_alone = state(vec![(zero, lit(3)), (one, lit(9)), (two, Frame::DARK)]);
        assert_eq!(unsent(&lamp_alone, &carried), []);
        assert_eq!(unsent(&state(vec![(zero, lit(4)), (one, lit(9)), (two, lit(1))]), &carried), [zero, two]);
        let health = Health::default();
        tell(&[two], &carried, &health);
        assert!(health.problems()[0].message.starts_with("universe 2 has light"), "{:?}", health.problems());
        tell(&[zero, two], &carried, &health);
        assert!(health.problems()[0].message.contains("universes 0, 2 have light, but"), "{:?}", health.problems());
        tell(&[], &carried, &health);
        assert_eq!(health.problems(), []);
    }
}
