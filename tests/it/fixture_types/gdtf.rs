//! GDTF files, held against `pygdtf`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::bring;
use crate::harness::{Appliance, gdtf_files};

/// What attributes are in our words.
fn kind(attribute: &str) -> &'static str {
    match attribute {
        "Pan" => "pan",
        "Tilt" => "tilt",
        "Dimmer" => "intensity",
        "Shutter1" => "shutter",
        "Color1" => "color_wheel",
        "Gobo1" => "gobo",
        "Prism1" => "prism",
        "CTO" => "cct",
        "ColorSub_C" => "cyan",
        "ColorAdd_R" => "red",
        "ColorAdd_G" => "green",
        "ColorAdd_B" => "blue",
        "ColorAdd_RY" => "amber",
        "Blower1" => "other",
        _ => panic!("{attribute}"),
    }
}

/// Kind and channels by what pygdtf read: breaks one behind the other.
fn expected(mode: &[Value]) -> Vec<(String, Vec<u64>)> {
    let offsets =
        |one: &Value| one["offset"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
    let number = |one: &Value| one["break"].as_u64().unwrap();
    let mut lengths: BTreeMap<u64, u64> = BTreeMap::new();
    for one in mode {
        let length = lengths.entry(number(one)).or_default();
        *length = (*length).max(*offsets(one).iter().max().unwrap());
    }
    let start = |number: u64| lengths.range(..number).map(|(_, length)| length).sum::<u64>();
    let mut found: Vec<_> = mode
        .iter()
        .map(|one| {
            let channels = offsets(one).into_iter().map(|n| n + start(number(one))).collect();
            (kind(one["attribute"].as_str().unwrap()).to_owned(), channels)
        })
        .collect();
    found.sort_by_key(|(_, channels): &(String, Vec<u64>)| channels[0]);
    found
}

#[tokio::test]
async fn channels_are_where_pygdtf_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let said = gdtf_files(folder.path()).succeed_within(Duration::from_secs(60)).await;
    let appliance = Appliance::start().await;
    let mut files = 0;
    for line in said.iter() {
        let read: Value = serde_json::from_str(line).unwrap();
        let file = std::fs::read(folder.path().join(read["file"].as_str().unwrap())).unwrap();
        let brought = bring(&appliance, file).await;
        assert_eq!(brought.status, 201, "{brought:?}");
        let ours = brought.json()["modes"][0]["parameters"].as_array().unwrap().clone();
        let mut ours: Vec<(String, Vec<u64>)> = ours
            .iter()
            .map(|one| {
                let channels = one["channels"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
                (one["kind"].as_str().unwrap().to_owned(), channels)
            })
            .collect();
        ours.sort_by_key(|(_, channels)| channels[0]);
        assert_eq!(ours, expected(read["mode"].as_array().unwrap()), "{line}");
        files += 1;
    }
    assert_eq!(files, 3);
    let spot = appliance.web().get("/fixture-types/any-spot").await.json();
    let rest = |kind: &str| {
        let all = spot["modes"][0]["parameters"].as_array().unwrap();
        all.iter().find(|one| one["kind"] == kind).unwrap()["default"].as_u64().unwrap()
    };
    // one byte is repeated, as the standard wants; two are taken as they are
    assert_eq!((rest("pan"), rest("tilt"), rest("shutter")), (0x8080, 0x8000, 255));
    let wheel = &spot["modes"][0]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "color_wheel")
        .unwrap()["colors"];
    assert_eq!(*wheel, json!([{"value": 49, "color": "#ffffff"}, {"value": 177, "color": "#ff0000"}]));
}
