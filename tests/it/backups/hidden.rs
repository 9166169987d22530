//! Hidden light, since `engine.universes` is smaller than it was: a restore leaves it alone and says so.

use serde_json::{Value, json};

use super::{home, id_of, made, restore, restored};
use crate::harness::{Appliance, Web, fresh_id};

const UNIVERSES: &str = "DMX_ENGINE_UNIVERSES";

async fn set(web: &Web, universe: u8, value: u8) {
    let order = json!({"type": "dmx.set", "id": fresh_id(), "universe": universe, "channel": 1, "value": value});
    assert_eq!(web.post("/command", order.to_string()).await.json()["accepted"], true);
}

async fn level(web: &Web, universe: u8) -> Value {
    web.get("/state?sparse=1").await.json()["universesSparse"][universe.to_string()]["1"].clone()
}

async fn with(appliance: Appliance, universes: &str) -> Appliance {
    let (_, home) = appliance.terminate().await;
    home.set(UNIVERSES, universes).start().await
}

#[tokio::test]
async fn a_restore_keeps_the_light_of_universes_that_are_hidden_and_names_what_it_left_out() {
    let appliance = home().start().await;
    let web = appliance.web();
    set(&web, 1, 11).await;
    set(&web, 10, 50).await;
    set(&web, 12, 1).await;
    set(&web, 12, 0).await;
    let version = id_of(&made(&web, "default", "all").await);
    set(&web, 1, 22).await;
    set(&web, 10, 77).await;

    let appliance = with(appliance, "4").await;
    let web = appliance.web();
    let order = json!({"versionId": version}).to_string();
    let dry = web.post("/projects/default/restore?dryRun=1", order).await.json();
    assert_eq!(dry, json!({"dryRun": true, "channels": 1, "changes": {}, "universesLeftOut": [10]}), "dark is nothing");
    let answer = restore(&web, "default", &version).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok", "universesLeftOut": [10]})));
    assert_eq!(level(&web, 1).await, 11);
    // hidden light is in a backup too
    let later = id_of(&made(&web, "default", "with what is hidden").await);

    let appliance = with(appliance, "64").await;
    let web = appliance.web();
    assert_eq!((level(&web, 1).await, level(&web, 10).await), (json!(11), json!(77)), "as it was before the restore");
    set(&web, 10, 5).await;
    restored(&web, &later).await;
    assert_eq!(level(&web, 10).await, 77);
    restored(&web, &version).await;
    assert_eq!(level(&web, 10).await, 50, "now it is taken");
}
