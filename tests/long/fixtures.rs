//! What QLC+ itself takes the channels of its definitions for, by `tests/long/run` only: it takes Debian's package `qlcplus`, which
//! brings a desktop's libraries.

use std::time::Duration;

use serde_json::Value;

use crate::fixture_types::bring;
use crate::harness::{Appliance, qlcplus_channels};

/// Our words for what QLC+ says: a colour of the group of intensities, or the number of a group. `None`: the group leaves it open.
fn expected(said: &str) -> Option<&'static [&'static str]> {
    Some(match said {
        "0.#000000" => &["intensity"],
        "0.#FF0000" => &["red"],
        "0.#00FF00" => &["green"],
        "0.#0000FF" => &["blue"],
        "0.#00FFFF" => &["cyan"],
        "0.#FF00FF" => &["magenta"],
        "0.#FFFF00" => &["yellow"],
        "0.#FF7E00" => &["amber"],
        "0.#FFFFFF" => &["white"],
        "0.#9400D3" => &["uv"],
        "2" => &["gobo"],
        "3" => &["speed"],
        "4" => &["pan", "other", "speed"],
        "5" => &["tilt", "other", "speed"],
        "6" => &["shutter", "strobe", "iris"],
        "7" => &["prism"],
        "10" => &["other"],
        _ => return None,
    })
}

#[tokio::test]
#[ignore = "long: tests/long/run"]
async fn fifty_definitions_are_what_qlcplus_takes_them_for() {
    let folder = tempfile::tempdir().unwrap();
    let said = qlcplus_channels(folder.path()).succeed_within(Duration::from_secs(120)).await;
    let appliance = Appliance::start().await;
    let mut compared = 0;
    assert_eq!(said.len(), 50, "fixtures");
    for line in &said {
        let patched: Value = serde_json::from_str(line).unwrap();
        let file = std::fs::read(patched["file"].as_str().unwrap()).unwrap();
        let brought = bring(&appliance, file).await.json();
        let name = patched["mode"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let mode = brought["modes"].as_array().unwrap().iter().find(|mode| mode["name"] == name).unwrap();
        let groups = patched["channels"].as_array().unwrap();
        assert_eq!(groups.len(), mode["channels"].as_array().unwrap().len(), "{line}");
        for parameter in mode["parameters"].as_array().unwrap() {
            for channel in parameter["channels"].as_array().unwrap() {
                let place = usize::try_from(channel.as_u64().unwrap()).unwrap() - 1;
                let Some(kinds) = expected(groups[place].as_str().unwrap()) else { continue };
                let kind = parameter["kind"].as_str().unwrap();
                assert!(kinds.contains(&kind), "{kind}, not {kinds:?}: {} of {line}", mode["channels"][place]);
                compared += 1;
            }
        }
    }
    println!("{compared} channels of 50 fixtures");
    assert!(compared > 400, "{compared} channels");
}
