//! What runs here, what it has and where it is reached.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Appliance, Home};

#[tokio::test]
async fn about_names_addresses_that_other_machines_can_dial() {
    let here = Appliance::start().await;
    let about = here.web().get("/about").await.json();
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&about["addresses"], &about["mqtt"]), (&json!([]), &json!([])), "both doors are on the loopback");

    // Not private, but nothing for those whom the appliance does not know.
    let required = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "right").start().await;
    required.web().get("/about").await.problem(401);
    let keyed = required.web();
    assert_eq!(keyed.send(keyed.request(Method::GET, "/about").header("x-api-key", "right")).await.status, 200);
}

#[tokio::test]
async fn about_says_which_features_are_on_so_that_nobody_needs_to_try() {
    for (projects, backups) in [("false", "false"), ("true", "false"), ("true", "true")] {
        let home = Home::new().set("DMX_PROJECTS_ENABLED", projects).set("DMX_CLOUD_BACKUP_ENABLED", backups);
        let appliance = home.start().await;
        let about = appliance.web().get("/about").await.json();
        for (feature, path, on) in
            [("projects", "/projects", projects), ("backups", "/projects/default/backups", backups)]
        {
            assert_eq!(about[feature], json!(on == "true"), "{about}");
            let status = if on == "true" { 200 } else { 404 };
            assert_eq!(appliance.web().get(path).await.status, status, "{path}");
        }
    }
}
