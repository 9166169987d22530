//! Who may do what over MQTT (CONTRACT section 13): logins, topics by role, take-over, and what a change of rights ends.

mod crowd;
mod ends;
mod lines;
mod logins;
mod table;
mod takeover;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Appliance, Connect5, Home, Link5};

/// An admin key of the settings.
pub(super) const KEY: &str = "a-key-of-the-settings";

/// A home that is locked, and whose settings have one key.
fn locked() -> Home {
    Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", KEY)
}

/// Somebody that was made.
struct Made {
    id: String,
    name: String,
    key: String,
}

impl Made {
    /// A client of MQTT 5 with this login.
    fn five(&self, client: &str) -> Connect5 {
        Connect5::new(client).login(&self.name, &self.key)
    }
}

async fn admin(appliance: &Appliance, method: Method, path: &str, body: Value) -> Answer {
    let web = appliance.web();
    let request = web.request(method, path).header("x-api-key", KEY).header("content-type", "application/json");
    web.send(request.body(body.to_string())).await
}

/// Makes a user with a key.
async fn make(appliance: &Appliance, name: &str, role: &str) -> Made {
    let answer = admin(appliance, Method::POST, "/users", json!({"name": name, "role": role, "generate": true})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let user = answer.json();
    let text = |name: &str| user[name].as_str().expect("a text").to_owned();
    Made { id: text("id"), name: text("name"), key: text("key") }
}

/// A client that may do everything.
async fn boss(appliance: &Appliance) -> Link5 {
    Link5::join(appliance.mqtt, &Connect5::new("boss").login("any", KEY)).await
}
