//! The order of making: the clock decides neither what is listed first nor what is kept.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{folder, home, id_of, made, mark, place, snapshot, versions};

/// A time that is still to come: 2100.
const AHEAD: u64 = 4_102_444_800_000;

/// Changes the time in the record of a version, as if the clock had said so.
fn tell(folder: &Path, version: &str, at: u64) {
    let path = folder.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let records = index.as_array_mut().unwrap();
    let record = records.iter_mut().find(|record| record["versionId"] == version).expect("a record of it");
    record["createdAt"] = json!(at);
    fs::write(&path, index.to_string()).unwrap();
}

async fn labels(web: &crate::harness::Web) -> Vec<String> {
    versions(web, "default").await.iter().map(|version| version["label"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn a_clock_that_is_ahead_or_behind_changes_neither_the_list_nor_what_is_kept() {
    let appliance = home().set("DMX_BACKUP_KEEP_LAST", "3").start().await;
    let (web, folder) = (appliance.web(), folder(&appliance));
    mark(&web, 1, 0).await;
    let ahead = made(&web, "default", "ahead").await;
    made(&web, "default", "right").await;
    let behind = made(&web, "default", "behind").await;
    tell(&folder, &id_of(&ahead), AHEAD);
    tell(&folder, &id_of(&behind), 5);
    assert_eq!(labels(&web).await, ["behind", "right", "ahead"]);
    made(&web, "default", "next").await;
    assert_eq!(labels(&web).await, ["next", "behind", "right"], "the one from the future went first");

    // Also with the folder as it was before an update, when records had no numbers.
    let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let mut records = index.as_array().unwrap().clone();
    records.iter_mut().for_each(|record| assert!(record.as_object_mut().unwrap().remove("order").is_some()));
    fs::write(folder.join("index.json"), json!(records).to_string()).unwrap();
    let appliance = appliance.restart().await;
    assert_eq!(labels(&appliance.web()).await, ["next", "behind", "right"]);
    made(&appliance.web(), "default", "last").await;
    assert_eq!(labels(&appliance.web()).await, ["last", "next", "behind"]);
}

#[tokio::test]
async fn another_tools_version_from_the_future_is_not_preferred() {
    let appliance = home().set("DMX_BACKUP_KEEP_LAST", "3").start().await;
    let (web, folder) = (appliance.web(), folder(&appliance));
    let index = json!([
        {"versionId": "old", "createdAt": 5, "label": "old"},
        {"versionId": "future", "createdAt": AHEAD, "label": "future"},
        {"versionId": "new", "createdAt": 1_700_000_000_000_u64, "label": "new"},
    ]);
    let bytes = snapshot(1);
    place(&folder, &[("old.bin", &bytes), ("future.bin", &bytes), ("new.bin", &bytes)]);
    place(&folder, &[("index.json", index.to_string().as_bytes())]);
    assert_eq!(labels(&web).await, ["new", "old", "future"]);
    made(&web, "default", "ours").await;
    assert_eq!(labels(&web).await, ["ours", "new", "old"]);
    super::restored(&web, "new").await;
}
