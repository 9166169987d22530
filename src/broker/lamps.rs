//! Lamps that listen to MQTT and are patched as fixtures: the light of each, retained on a topic of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::codec::QoS;
use super::hub::{Hub, Message, Phase, reached};
use super::policy::Topics;
use crate::dmx::{Fixture, Rgb, Rig, State};
use crate::engine::Latest;
use crate::wire::RgbState;

/// Least time between two states of a moving lamp, as for the lamp of `/rgb`.
const BETWEEN: Duration = Duration::from_millis(50);

/// What was said of each lamp.
pub(super) struct Lamps {
    topics: Topics,
    /// The patch that the lamps are of.
    rig: Rig,
    /// By topic.
    lamps: BTreeMap<String, (Arc<Fixture>, Option<Rgb>)>,
}

impl Lamps {
    /// Says what each lamp's light is.
    pub(super) fn begin(hub: &Hub, topics: &Topics, state: &State) -> Self {
        let mut lamps = Self { topics: topics.clone(), rig: Rig::default(), lamps: BTreeMap::new() };
        lamps.say(hub, state);
        lamps
    }

    /// Says what has changed; true if anything has.
    fn say(&mut self, hub: &Hub, state: &State) -> bool {
        if !self.rig.is_same(state.rig()) {
            self.take(hub, state.rig());
        }
        let (mut frames, mut any) = (BTreeMap::new(), false);
        for (topic, (lamp, told)) in &mut self.lamps {
            let frame = frames.entry(lamp.universe).or_insert_with(|| state.light(lamp.universe));
            let light = lamp.glow(frame);
            if told.replace(light) != Some(light) {
                any = true;
                let payload = serde_json::to_vec(&RgbState::of(state, light)).unwrap_or_default(); // plain fields cannot fail
                hub.publish(Message::ours(topic, &payload, QoS::AtLeastOnce, true));
            }
        }
        any
    }

    /// Takes another patch. A lamp that is no longer in it has no state any more.
    fn take(&mut self, hub: &Hub, rig: &Rig) {
        let before = std::mem::take(&mut self.lamps);
        for fixture in rig.fixtures() {
            if let Some(topic) = fixture.topic.as_ref().and_then(|id| self.topics.lamp(id)) {
                let told = before.get(&topic).and_then(|(_, told)| *told);
                self.lamps.entry(topic).or_insert_with(|| (fixture.clone(), told));
            }
        }
        for topic in before.keys().filter(|topic| !self.lamps.contains_key(*topic)) {
            hub.publish(Message::ours(topic, b"", QoS::AtLeastOnce, true));
        }
        self.rig = rig.clone();
    }
}

/// Says what changes until the broker closes: the last state always arrives.
pub(super) async fn run(hub: Arc<Hub>, mut lamps: Lamps, mut newest: watch::Receiver<Latest>) {
    let mut phases = hub.phase.subscribe();
    loop {
        let state = newest.borrow_and_update().state.clone();
        let pause = if lamps.say(&hub, &state) { BETWEEN } else { Duration::ZERO };
        let next = async {
            sleep(pause).await;
            newest.changed().await
        };
        tokio::select! {
            () = reached(&mut phases, Phase::Closing) => break,
            changed = next => if changed.is_err() { break },
        }
    }
    let last = newest.borrow().state.clone();
    lamps.say(&hub, &last);
}
