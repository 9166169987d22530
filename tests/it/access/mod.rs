//! Who may do what, on the real binary: every route for every role, what a login opens and an end ends, panels, the brakes,
//! the log of deeds, and the way from an open appliance to a locked one.

mod appliance;
mod clock;
mod lasting;
mod lock;
mod login;
mod panels;
mod routes;
mod ways;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Appliance, Home, Web};

/// The key of `auth.keys` in these tests.
const ADMIN: &str = "a-key-that-nobody-guesses";

/// An appliance that the settings lock.
fn locked() -> Home {
    Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", ADMIN)
}

/// Asks with a key.
async fn ask(web: &Web, key: Option<&str>, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let mut request = web.request(method, path);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    web.send(request).await
}

/// Makes a user with a key; gives its id and key.
async fn user(appliance: &Appliance, name: &str, role: &str) -> (String, String) {
    let body = json!({"name": name, "role": role, "generate": true});
    let answer = ask(&appliance.web(), Some(ADMIN), Method::POST, "/users", Some(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let user = answer.json();
    let text = |field: &str| user[field].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// Makes a user with a PIN; gives its id.
async fn user_with_pin(appliance: &Appliance, name: &str, role: &str, pin: &str) -> String {
    let body = json!({"name": name, "role": role, "pin": pin});
    let answer = ask(&appliance.web(), Some(ADMIN), Method::POST, "/users", Some(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// Makes a panel; gives its id and secret.
async fn panel(appliance: &Appliance, body: Value) -> (String, String) {
    let answer = ask(&appliance.web(), Some(ADMIN), Method::POST, "/panels", Some(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let panel = answer.json();
    let secret = panel["url"].as_str().unwrap().strip_prefix("/panel/").unwrap().to_owned();
    (panel["id"].as_str().unwrap().to_owned(), secret)
}

async fn login(web: &Web, name: &str, secret: &str) -> Answer {
    web.post("/login", json!({"name": name, "secret": secret}).to_string()).await
}

/// Makes a scene; gives its id.
async fn scene(appliance: &Appliance, id: &str, name: &str) -> String {
    let body = json!({"id": id, "name": name, "channelValues": {"1": 200}});
    let answer = ask(&appliance.web(), Some(ADMIN), Method::POST, "/scenes", Some(&body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    id.to_owned()
}
