//! Definitions that QLC+ brings: all of Debian's `qlcplus-data`.

use std::path::PathBuf;

use super::{bring, delete};
use crate::harness::{Appliance, qlcplus_definitions};

fn all() -> Vec<PathBuf> {
    let makers = std::fs::read_dir(qlcplus_definitions()).unwrap().map(|entry| entry.unwrap().path());
    let files = makers.filter(|path| path.is_dir()).flat_map(|maker| std::fs::read_dir(maker).unwrap());
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "qxf"));
    files.sort();
    files
}

#[tokio::test]
async fn every_definition_of_debian_becomes_a_type() {
    let appliance = Appliance::start().await;
    let files = all();
    assert!(files.len() > 1_000, "{} definitions", files.len());
    for path in files {
        let source = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&source);
        let brought = bring(&appliance, source.clone()).await;
        assert_eq!(brought.status, 201, "{}: {brought:?}", path.display());
        let brought = brought.json();
        let modes = brought["modes"].as_array().unwrap();
        assert_eq!(modes.len(), text.matches("<Mode ").count(), "{}", path.display());
        let listed: usize = modes.iter().map(|mode| mode["channels"].as_array().unwrap().len()).sum();
        assert_eq!(listed, text.matches("<Channel Number=").count(), "{}", path.display());
        for mode in modes {
            let mut places: Vec<u64> = mode["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| one["channels"].as_array().unwrap())
                .map(|place| place.as_u64().unwrap())
                .collect();
            places.sort_unstable();
            let each: Vec<u64> = (1..=mode["channels"].as_array().unwrap().len() as u64).collect();
            assert_eq!(places, each, "{}: each channel is in one parameter", path.display());
        }
        assert_eq!(delete(&appliance, brought["id"].as_str().unwrap()).await.status, 204);
    }
}
