//! What runs here and where it is reached.

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
