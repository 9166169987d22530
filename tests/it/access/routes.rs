//! Every route for every role, as the appliance itself describes them (`x-needs` in /openapi.json).

use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, ask, locked, panel, user};
use crate::harness::Appliance;

const CHAIN: [&str; 4] = ["view", "operate", "edit", "admin"];

/// Who asks: what they are called in this test, and their key.
type Who = (&'static str, Option<String>);

async fn everybody(appliance: &Appliance) -> Vec<Who> {
    let mut all: Vec<Who> = vec![("none", None)];
    for role in ["view", "operate", "edit", "admin", "device"] {
        all.push((role, Some(user(appliance, role, role).await.1)));
    }
    all.push(("panel", Some(panel(appliance, json!({"name": "Bar", "master": true, "blackout": "both"})).await.1)));
    all
}

fn may(needs: &Value, who: &str) -> bool {
    let Some(role) = needs["role"].as_str() else { return true };
    match who {
        "none" => false,
        "panel" => needs["orPanel"] == true,
        "device" => needs["orDevice"] == true,
        who => CHAIN.iter().position(|one| *one == who) >= CHAIN.iter().position(|one| *one == role),
    }
}

/// Sends something that nobody would do, but that only somebody with the right is told so.
async fn try_it(appliance: &Appliance, key: Option<&str>, verb: &str, path: &str) -> u16 {
    let path = path.replace("{u}", "0").replace("{name}", "nothing").replace(['{', '}'], "");
    let method: Method = verb.to_uppercase().parse().unwrap();
    let body = (verb != "get" && verb != "delete").then(|| json!({"nobody": "writes this"}));
    ask(&appliance.web(), key, method, &path, body.as_ref()).await.status
}

#[tokio::test]
async fn each_route_is_open_to_those_roles_alone_that_it_names() {
    let home = locked().set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true");
    let appliance = home.start().await;
    let everybody = everybody(&appliance).await;
    let description = ask(&appliance.web(), Some(ADMIN), Method::GET, "/openapi.json", None).await.json();
    let mut cells = 0;
    for (path, verbs) in description["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            if ["/ws", "/mqtt", "/lock", "/login", "/logout"].contains(&path.as_str()) {
                continue; // each has tests of its own
            }
            let needs = &operation["x-needs"];
            for (who, key) in &everybody {
                let status = try_it(&appliance, key.as_deref(), verb, path).await;
                let expected = match (may(needs, who), *who) {
                    (true, _) => None,
                    (false, "none") => Some(401),
                    (false, _) => Some(403),
                };
                match expected {
                    Some(refused) => assert_eq!(status, refused, "{verb} {path} as {who}: {needs}"),
                    None => assert!(![401, 403].contains(&status), "{verb} {path} as {who}: {status} {needs}"),
                }
                cells += 1;
            }
        }
    }
    assert!(cells > 400, "{cells}");
}

/// The table as it was meant: a change of a role is a change of this list.
#[tokio::test]
async fn the_routes_need_what_the_contract_says() {
    let appliance = locked().start().await;
    let description = ask(&appliance.web(), Some(ADMIN), Method::GET, "/openapi.json", None).await.json();
    let role = |verb: &str, path: &str| {
        let operation = &description["paths"][path][verb];
        assert!(operation.is_object(), "{verb} {path}");
        operation["x-needs"]["role"].as_str().unwrap_or("open").to_owned()
    };
    for (needed, rows) in [
        ("open", &[("get", "/"), ("get", "/healthz"), ("get", "/readyz"), ("post", "/login"), ("get", "/me")][..]),
        ("view", &[("get", "/metrics"), ("get", "/openapi.json"), ("get", "/rgb"), ("get", "/state"), ("get", "/ws")]),
        ("operate", &[("post", "/rgb"), ("post", "/command"), ("post", "/blackout"), ("post", "/scenes/{id}/recall")]),
        ("edit", &[("post", "/scenes"), ("put", "/scenes"), ("post", "/import"), ("post", "/panels")]),
        ("admin", &[("get", "/users"), ("post", "/users"), ("get", "/audit"), ("post", "/projects/{id}/restore")]),
    ] {
        for (verb, path) in rows {
            assert_eq!(role(verb, path), needed, "{verb} {path}");
        }
    }
    let (_, key) = user(&appliance, "Anna", "operate").await;
    let refused = ask(&appliance.web(), Some(&key), Method::GET, "/users", None).await.problem(403);
    assert_eq!(refused["needs"], "admin");
}

/// `PATCH /rgb` is no way around the table, nor is HEAD.
#[tokio::test]
async fn other_methods_and_spellings_find_no_way_around() {
    let appliance = locked().start().await;
    let web = appliance.web();
    for (method, path, status) in [
        (Method::HEAD, "/rgb", 401),
        (Method::GET, "/rgb/", 401),
        (Method::GET, "//rgb", 404),
        (Method::GET, "/%72gb", 404),
        (Method::PATCH, "/rgb", 405),
        (Method::GET, "/users/", 401),
    ] {
        assert_eq!(ask(&web, None, method.clone(), path, None).await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn without_a_role_readyz_gives_codes_alone() {
    let appliance =
        locked().set("DMX_OLA_ENABLED", "true").set("DMX_OLA_URL", "http://127.0.0.1:1/set_dmx").start().await;
    let problems = |key: Option<&'static str>| {
        let web = appliance.web();
        async move { ask(&web, key, Method::GET, "/readyz", None).await.json()["problems"].as_array().unwrap().clone() }
    };
    crate::harness::eventually("a problem", async || (!problems(Some(ADMIN)).await.is_empty()).then_some(())).await;
    assert!(problems(Some(ADMIN)).await.iter().all(|problem| !problem["message"].as_str().unwrap().is_empty()));
    let bare = problems(None).await;
    assert!(
        !bare.is_empty() && bare.iter().all(|problem| problem["message"] == "" && problem["code"] != ""),
        "{bare:?}"
    );
}

/// What each WebSocket message asks for, and who may: `device` is a button, `panel` one with everything but a look.
#[tokio::test]
async fn each_websocket_message_is_open_to_those_roles_alone() {
    let appliance = locked().start().await;
    super::scene(&appliance, "warm", "Warm").await;
    let everybody = everybody(&appliance).await;
    let unified = |kind: &str, rest: Value| {
        let mut message = json!({"type": kind, "id": ulid::Ulid::generate().to_string()});
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        message
    };
    let light = ["operate", "edit", "admin", "device"].as_slice();
    let mut cells = 0;
    for (who, key) in everybody.iter().filter(|(_, key)| key.is_some()) {
        let path = format!("/ws?token={}", key.as_deref().unwrap());
        let patch = json!([{"ch": 1, "val": 1}]);
        for (message, may) in [
            (
                json!({"type": "set", "cmdId": ulid::Ulid::generate().to_string(), "src": "t", "r": 1, "g": 2, "b": 3}),
                light,
            ),
            (unified("dmx.set", json!({"universe": 0, "channel": 9, "value": 9})), light),
            (unified("dmx.patch", json!({"universe": 0, "patch": patch})), light),
            (unified("dmx.fade", json!({"universe": 0, "patch": patch, "durationMs": 1, "easing": "linear"})), light),
            (unified("scene.recall", json!({"name": "Warm"})), light),
            (unified("scene.save", json!({"name": "Warm", "snapshot": {"1": 2}})), &["edit", "admin"]),
            (json!({"type": "blackout", "on": true}), &["operate", "edit", "admin", "device", "panel"]),
            (json!({"type": "blackout", "on": false}), &["operate", "edit", "admin", "device", "panel"]),
            (json!({"type": "master", "level": 7}), &["operate", "edit", "admin", "panel"]),
            (json!({"type": "ping", "ts": 1}), &["view", "operate", "edit", "admin", "device", "panel"]),
        ] {
            let socket = crate::harness::WsWatcher::connect(appliance.http, &path, &[]).await.expect("a WebSocket");
            socket.send(&message).await;
            socket.send(&json!({"type": "ping", "ts": 2})).await;
            let pong =
                |picture: &crate::harness::Picture| picture.others.iter().any(|other| other["ts"] == 2).then_some(());
            socket.wait("the second pong", pong).await;
            let answered = socket.wait("an answer or none to come", |picture| {
                let acked =
                    message.get("id").is_none() || picture.others.iter().any(|other| other["ack"] == message["id"]);
                acked.then(|| picture.others.clone())
            });
            let refused =
                answered.await.iter().any(|other| other["code"] == "FORBIDDEN" || other["reason"] == "FORBIDDEN");
            assert_eq!(!refused, may.contains(who), "{message} as {who}");
            cells += 1;
        }
    }
    assert_eq!(cells, 60);
}
