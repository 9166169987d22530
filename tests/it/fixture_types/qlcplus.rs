//! Definitions that QLC+ brings: all of Debian's `qlcplus-data`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{bring, delete};
use crate::harness::{Appliance, Web, fresh_id, qlcplus_definitions};

/// Words of channels that nobody dims.
const NO_DIMMER: [&str; 5] = ["fog", "haze", "smoke", "automation", "dimmer curve"];

fn all() -> Vec<PathBuf> {
    let makers = std::fs::read_dir(qlcplus_definitions()).unwrap().map(|entry| entry.unwrap().path());
    let files = makers.filter(|path| path.is_dir()).flat_map(|maker| std::fs::read_dir(maker).unwrap());
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "qxf"));
    files.sort();
    files
}

#[tokio::test]
async fn every_definition_of_debian_becomes_a_type_of_which_blackout_touches_light_alone() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let files = all();
    assert!(files.len() > 1_000, "{} definitions", files.len());
    for files in files.chunks(400) {
        let mut rig = Rig { fixtures: Vec::new(), placed: Vec::new(), next: (0, 1) };
        for path in files {
            let source = std::fs::read(path).unwrap();
            let brought = bring(&appliance, source.clone()).await;
            assert_eq!(brought.status, 201, "{}: {brought:?}", path.display());
            let brought = brought.json();
            whole(&path.display().to_string(), &String::from_utf8_lossy(&source), &brought);
            rig.add(&brought);
        }
        rig.blackout_touches_light_alone(&web).await;
        let empty = json!({"universes": {}, "fixtures": []});
        assert_eq!(web.post("/import", empty.to_string()).await.status, 200);
        for fixture in rig.fixtures {
            assert_eq!(delete(&appliance, fixture["type"].as_str().unwrap()).await.status, 204, "{fixture}");
        }
    }
}

/// Whether a type has all modes and channels of its file.
fn whole(path: &str, source: &str, brought: &Value) {
    let modes = brought["modes"].as_array().unwrap();
    assert_eq!(modes.len(), source.matches("<Mode ").count(), "{path}");
    let listed: usize = modes.iter().map(|mode| mode["channels"].as_array().unwrap().len()).sum();
    assert_eq!(listed, source.matches("<Channel Number=").count(), "{path}");
    for mode in modes {
        let channels = channels(mode);
        let mut places: Vec<usize> = channels.iter().map(|(.., place)| *place).collect();
        places.sort_unstable();
        let each: Vec<usize> = (1..=mode["channels"].as_array().unwrap().len()).collect();
        assert_eq!(places, each, "{path}: each channel is in one parameter");
        for (kind, name, _) in channels {
            let dimmed = kind == "intensity" && NO_DIMMER.iter().any(|word| name.to_lowercase().contains(word));
            assert!(!dimmed, "{path}: {name} is no dimmer");
        }
    }
}

/// Kind, name and place of each channel.
fn channels(mode: &Value) -> Vec<(String, String, usize)> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let names = list(&mode["channels"]);
    let of = |one: &Value| {
        let kind = one["kind"].as_str().unwrap().to_owned();
        let places = list(&one["channels"]).into_iter().map(|place| usize::try_from(place.as_u64().unwrap()).unwrap());
        let names = names.clone();
        places
            .map(move |place| (kind.clone(), names[place - 1].as_str().unwrap().to_owned(), place))
            .collect::<Vec<_>>()
    };
    list(&mode["parameters"]).iter().flat_map(of).collect()
}

/// Universe, first channel, and what its channels do.
type Placed = (usize, usize, Vec<(String, String, usize)>);

/// A fixture of each type, one behind the other.
struct Rig {
    fixtures: Vec<Value>,
    placed: Vec<Placed>,
    next: (usize, usize),
}

impl Rig {
    fn add(&mut self, of_type: &Value) {
        let mode = &of_type["modes"][0];
        let count = mode["channels"].as_array().unwrap().len();
        if self.next.1 + count > 513 {
            self.next = (self.next.0 + 1, 1);
        }
        let (universe, first) = self.next;
        self.fixtures.push(json!({
            "id": format!("f{}", self.fixtures.len()), "universeId": universe, "dmxAddress": first, "type": of_type["id"],
            "mode": mode["name"], "groups": ["all"]
        }));
        self.placed.push((universe, first, channels(mode)));
        self.next.1 += count;
    }

    fn show(&self) -> Value {
        let universes: BTreeMap<String, Value> = (0..=self.next.0).map(|n| (n.to_string(), json!({}))).collect();
        json!({"universes": universes, "groups": [{"id": "all", "name": "All"}], "fixtures": self.fixtures})
    }

    async fn frames(&self, web: &Web) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for universe in 0..=self.next.0 {
            let answer = web.get(&format!("/universes/{universe}/frame")).await.json();
            frames.push(serde_json::from_value(answer["frame"].clone()).unwrap());
        }
        frames
    }

    /// What gets darker is what gives light; and what dims is dark.
    async fn blackout_touches_light_alone(&self, web: &Web) {
        let imported = web.post("/import", self.show().to_string()).await;
        assert_eq!(imported.status, 200, "{imported:?}");
        let white = json!({"type": "fixture.set", "id": fresh_id(), "targets": ["all"], "values": {"color": "#ffffff", "intensity": 1}});
        let ack = web.post("/command", white.to_string()).await.json();
        assert_eq!(ack["accepted"], true, "{ack}");
        let lit = self.frames(web).await;
        assert_eq!(web.post("/blackout", json!({"on": true}).to_string()).await.status, 200);
        let dark = self.frames(web).await;
        assert_eq!(web.post("/blackout", json!({"on": false}).to_string()).await.status, 200);
        for (fixture, (universe, first, channels)) in self.fixtures.iter().zip(&self.placed) {
            let light = |kind: &str| kind == "intensity" || LIGHT.contains(&kind);
            if !channels.iter().any(|(kind, ..)| light(kind)) {
                continue; // nothing of it is known to be light
            }
            for (kind, name, place) in channels {
                let at = first + place - 2;
                let (before, after) = (lit[*universe][at], dark[*universe][at]);
                assert!(light(kind) || before == after, "{fixture}: {name} ({kind}) {before} {after}");
                assert!(kind != "intensity" || (before, after) == (255, 0), "{fixture}: {name} {before} {after}");
            }
        }
    }
}

/// Kinds that mix a colour.
const LIGHT: [&str; 12] =
    ["red", "green", "blue", "white", "amber", "uv", "lime", "cyan", "magenta", "yellow", "warm_white", "cold_white"];
