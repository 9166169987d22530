//! From an open appliance to a locked one, in one step, and back.

use reqwest::Method;
use serde_json::json;

use super::{ask, locked, login};
use crate::harness::{Appliance, Ending, Home, WsWatcher, command};

#[tokio::test]
async fn locking_makes_the_first_admin_ends_strangers_and_survives_a_kill() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let me = web.get("/me").await.json();
    assert_eq!(
        (&me["kind"], &me["role"], &me["mode"], &me["hasAdmin"]),
        (&json!("anonymous"), &json!("admin"), &json!("audit"), &json!(false))
    );
    let stranger = WsWatcher::start(appliance.http).await;
    // from the machine itself it needs no code
    let answer = web.post("/lock", json!({"name": "Anna", "generate": true}).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    let (key, token) = (said["admin"]["key"].as_str().unwrap(), said["token"].as_str().unwrap());
    assert!(answer.header("set-cookie").starts_with(&format!("dmxd={token};")));
    assert_eq!(stranger.ending().await, Ending::Closed(4401));
    web.post("/rgb", command([1, 2, 3]).to_string()).await.problem(401);
    for secret in [key, token] {
        let me = ask(&web, Some(secret), Method::GET, "/me", None).await.json();
        assert_eq!((&me["name"], &me["role"], &me["mode"]), (&json!("Anna"), &json!("admin"), &json!("required")));
    }
    let (key, token) = (key.to_owned(), token.to_owned());
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    web.post("/rgb", command([1, 2, 3]).to_string()).await.problem(401);
    assert_eq!(ask(&web, Some(&token), Method::GET, "/users", None).await.status, 200);
    assert_eq!(login(&web, "Anna", &key).await.status, 200);
    let deeds = ask(&web, Some(&token), Method::GET, "/audit?limit=1000", None).await.json();
    let deeds = deeds["entries"].as_array().unwrap();
    for (what, refused) in [("lock", false), ("login", false), ("POST /rgb", true)] {
        assert!(deeds.iter().any(|deed| deed["what"] == what && deed["refused"] == refused), "{what}: {deeds:?}");
    }
    assert_eq!(ask(&web, Some(&token), Method::POST, "/unlock", Some(&json!({}))).await.status, 204);
    assert_eq!(web.post("/rgb", command([1, 2, 3]).to_string()).await.status, 202);
    // who is open to everybody is not open to making admins
    web.get("/users").await.problem(401);
    web.post("/users", json!({"name": "Eva", "role": "admin", "generate": true}).to_string()).await.problem(401);
    web.post("/lock", "{}").await.problem(403);
    assert_eq!(ask(&web, Some(&token), Method::POST, "/lock", Some(&json!({}))).await.status, 200);
}

#[tokio::test]
async fn what_the_settings_lock_the_app_does_not_open() {
    let appliance = locked().start().await;
    let me = appliance.web().get("/me").await.json();
    assert_eq!((&me["lockedBySettings"], &me["role"]), (&json!(true), &json!(null)));
    ask(&appliance.web(), Some(super::ADMIN), Method::POST, "/unlock", Some(&json!({}))).await.problem(409);
}

#[tokio::test]
async fn anonymous_may_do_what_the_settings_say() {
    for (anonymous, read, write) in [("none", 401, 401), ("view", 200, 401), ("operate", 200, 202)] {
        let home = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_ANONYMOUS", anonymous);
        let appliance = home.start().await;
        let web = appliance.web();
        assert_eq!(web.get("/rgb").await.status, read, "{anonymous}");
        assert_eq!(web.post("/rgb", command([1, 2, 3]).to_string()).await.status, write, "{anonymous}");
        web.post("/scenes", json!({"name": "A", "channelValues": {}}).to_string()).await.problem(401);
    }
}

/// A kiosk's browser on the machine itself opens pages of others, and behind a proxy everybody is on the machine itself.
#[tokio::test]
async fn on_the_machine_itself_pages_and_proxies_need_the_code() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let ask = |name: &'static str, value: &'static str| {
        web.send(web.request(Method::POST, "/lock").header(name, value).body("{}"))
    };
    for (name, value) in [
        ("origin", "http://192.168.1.66"),
        ("x-forwarded-for", "192.168.1.66"),
        ("forwarded", "for=192.168.1.66"),
        ("host", "dmx.local"),
    ] {
        ask(name, value).await.problem(401);
    }
    assert_eq!(web.get("/me").await.json()["hasAdmin"], false);
    let code = std::fs::read_to_string(appliance.data().join("access/first-code")).unwrap();
    let body = json!({"code": code.to_uppercase(), "generate": true}).to_string();
    let by_code = web.request(Method::POST, "/lock").header("host", "dmx.local").body(body);
    assert_eq!(web.send(by_code).await.status, 200);
}

/// What a guest made in an open evening is no key to a locked house, until somebody who is known says so.
#[tokio::test]
async fn a_strangers_panel_works_only_while_it_is_open() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let panel = web.post("/panels", json!({"name": "Mine", "blackout": "both"}).to_string()).await.json();
    let secret = panel["url"].as_str().unwrap().strip_prefix("/panel/").unwrap().to_owned();
    let dark =
        async || super::ask(&web, Some(&secret), Method::POST, "/blackout", Some(&json!({"on": true}))).await.status;
    assert_eq!(dark().await, 200);
    let token =
        web.post("/lock", json!({"generate": true}).to_string()).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(dark().await, 401);
    let path = format!("/panels/{}", panel["id"].as_str().unwrap());
    let shown = super::ask(&web, Some(&token), Method::GET, &path, None).await.json();
    assert_eq!(shown["onlyWhileOpen"], true);
    assert_eq!(super::ask(&web, Some(&token), Method::PATCH, &path, Some(&json!({}))).await.status, 200);
    assert_eq!(dark().await, 200);
}
