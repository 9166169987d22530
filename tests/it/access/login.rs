//! Logins: what opens one, what it opens, and what ends it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ADMIN, ask, locked, login, user, user_with_pin};
use crate::harness::{Appliance, Ending, WsWatcher, command};

#[tokio::test]
async fn a_login_counts_as_key_bearer_token_and_cookie() {
    let appliance = locked().start().await;
    let web = appliance.web();
    user_with_pin(&appliance, "Anna", "operate", "294817").await;
    let answer = login(&web, "anna", "294817").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    assert_eq!((&said["role"], &said["expires"]), (&json!("operate"), &json!(null)));
    let token = said["token"].as_str().unwrap();
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with(&format!("dmxd={token};")), "{cookie}");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let own = format!("http://{}", appliance.http);
    for (name, value) in [
        ("x-api-key", token.to_owned()),
        ("authorization", format!("Bearer {token}")),
        ("cookie", format!("dmxd={token}")),
    ] {
        let request = web.request(Method::POST, "/rgb").header(name, value).body(command([1, 2, 3]).to_string());
        assert_eq!(web.send(request).await.status, 202, "{name}");
    }
    assert_eq!(web.get(&format!("/rgb?token={token}")).await.status, 200);
    let cookie = |origin: &str| {
        web.request(Method::POST, "/rgb")
            .header("cookie", format!("dmxd={token}"))
            .header("origin", origin.to_owned())
            .body(command([4, 5, 6]).to_string())
    };
    assert_eq!(web.send(cookie(&own)).await.status, 202);
    web.send(cookie("http://tablet.local")).await.problem(401);
    let me = ask(&web, Some(token), Method::GET, "/me", None).await.json();
    assert_eq!((&me["name"], &me["kind"], &me["role"]), (&json!("Anna"), &json!("user"), &json!("operate")));
    let log = appliance.log.all().join("\n");
    assert!(!log.contains(token) && !log.contains("294817"), "no secret is in the log");
}

#[tokio::test]
async fn wrong_names_and_secrets_are_one_refusal_and_a_wrong_key_is_nobody() {
    let appliance = locked().set("DMX_AUTH_ANONYMOUS", "view").start().await;
    let web = appliance.web();
    user_with_pin(&appliance, "Anna", "operate", "294817").await;
    let wrong = login(&web, "Anna", "294818").await.problem(401);
    let nobody = login(&web, "Eva", "294817").await.problem(401);
    assert_eq!(wrong["detail"], nobody["detail"]);
    assert_eq!(web.get("/rgb").await.status, 200, "anonymous may view");
    ask(&web, Some("wrong"), Method::GET, "/rgb", None).await.problem(401);
    web.get("/rgb?token=wrong").await.problem(401);
    let stale = web.request(Method::GET, "/rgb").header("cookie", "dmxd=00");
    assert_eq!(web.send(stale).await.status, 200, "a browser cannot help sending an old cookie");
    let refused = web.post("/rgb", command([1, 2, 3]).to_string()).await.problem(401);
    assert!(refused["detail"].as_str().unwrap().contains("log in"), "{refused}");
}

#[tokio::test]
async fn thirty_wrong_secrets_are_looked_at_and_the_owners_tablet_still_gets_in() {
    let appliance = locked().start().await;
    let web = appliance.web();
    user_with_pin(&appliance, "Anna", "operate", "294817").await;
    user_with_pin(&appliance, "Eva", "operate", "111222").await;
    assert_eq!(login(&web, "Eva", "111222").await.status, 200, "from this address she has logged in before");
    for _ in 0..30 {
        login(&web, "Anna", "000000").await.problem(401);
        login(&web, "Eva", "000000").await.problem(401);
    }
    let refused = login(&web, "Anna", "294817").await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 3_000, "{refused:?}");
    refused.problem(429);
    login(&web, "Eva", "111222").await.problem(429);
    // keys are never slowed
    assert_eq!(ask(&web, Some(ADMIN), Method::GET, "/rgb", None).await.status, 200);
    let (_, key) = user(&appliance, "Ida", "view").await;
    for _ in 0..40 {
        login(&web, "Ida", "000000").await.problem(401);
    }
    assert_eq!(login(&web, "Ida", &key).await.status, 200);
}

/// Each way to end a login ends its WebSocket within a second, and nothing it has opens any more.
#[tokio::test]
async fn an_end_ends_what_is_open() {
    for end in ["logout", "delete", "role", "secret", "name"] {
        let appliance = locked().start().await;
        let web = appliance.web();
        let id = user_with_pin(&appliance, "Anna", "operate", "294817").await;
        let token = login(&web, "Anna", "294817").await.json()["token"].as_str().unwrap().to_owned();
        let socket = watch(&appliance, &token).await;
        let path = format!("/users/{id}");
        let answer = match end {
            "logout" => ask(&web, Some(&token), Method::POST, "/logout", None).await,
            "delete" => ask(&web, Some(ADMIN), Method::DELETE, &path, None).await,
            _ => {
                let body = match end {
                    "role" => json!({"role": "view"}),
                    "secret" => json!({"pin": "777777"}),
                    _ => json!({"name": "Anne"}),
                };
                ask(&web, Some(ADMIN), Method::PATCH, &path, Some(&body)).await
            }
        };
        assert!([200, 204].contains(&answer.status), "{end}: {answer:?}");
        let answered = Instant::now();
        assert_eq!(socket.ending().await, Ending::Closed(4401), "{end}");
        assert!(answered.elapsed() < Duration::from_secs(5), "{end}: within 1 s, by the contract");
        let status = ask(&web, Some(&token), Method::GET, "/rgb", None).await.status;
        let lives_on = ["role", "name"].contains(&end);
        assert_eq!(status, if lives_on { 200 } else { 401 }, "{end}");
    }
}

async fn watch(appliance: &Appliance, token: &str) -> WsWatcher {
    WsWatcher::connect(appliance.http, &format!("/ws?token={token}"), &[]).await.expect("a WebSocket")
}

#[tokio::test]
async fn the_last_admin_stays_and_names_are_taken_once() {
    let appliance = locked().start().await;
    let web = appliance.web();
    let (id, _) = user(&appliance, "Anna", "admin").await;
    let path = format!("/users/{id}");
    ask(&web, Some(ADMIN), Method::DELETE, &path, None).await.problem(409);
    ask(&web, Some(ADMIN), Method::PATCH, &path, Some(&json!({"role": "edit"}))).await.problem(409);
    let twice = json!({"name": "ANNA", "role": "view", "generate": true});
    ask(&web, Some(ADMIN), Method::POST, "/users", Some(&twice)).await.problem(409);
    user(&appliance, "Eva", "admin").await;
    assert_eq!(ask(&web, Some(ADMIN), Method::DELETE, &path, None).await.status, 204);
    ask(&web, Some(ADMIN), Method::DELETE, &path, None).await.problem(404);
    let users = ask(&web, Some(ADMIN), Method::GET, "/users", None).await;
    assert!(!users.text.contains("hash") && !users.text.contains("\"key\":\""), "{users:?}");
    assert_eq!(users.json()["users"].as_array().unwrap().len(), 1);
}

/// Whoever is deleted while a body is on its way has sent it in vain.
#[tokio::test]
async fn what_somebody_sends_is_not_done_once_they_are_deleted() {
    let appliance = locked().start().await;
    let (id, key) = user(&appliance, "Fired", "admin").await;
    user(&appliance, "Anna", "admin").await;
    let body = json!({"name": "Back", "role": "admin", "generate": true}).to_string();
    let mut socket = tokio::net::TcpStream::connect(appliance.http).await.unwrap();
    let head = format!(
        "POST /users HTTP/1.1\r\nhost: {}\r\nx-api-key: {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        appliance.http,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&body.as_bytes()[..5]).await.unwrap();
    let web = appliance.web();
    // its first bytes have been looked at once another request of the same key has been answered
    assert_eq!(ask(&web, Some(&key), Method::GET, "/me", None).await.status, 200);
    assert_eq!(ask(&web, Some(ADMIN), Method::DELETE, &format!("/users/{id}"), None).await.status, 204);
    socket.write_all(&body.as_bytes()[5..]).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let users = ask(&web, Some(ADMIN), Method::GET, "/users", None).await.text;
    assert!(!users.contains("Back"), "{users}");
}

#[tokio::test]
async fn many_who_share_a_user_do_not_put_each_other_out() {
    let appliance = locked().start().await;
    let web = appliance.web();
    let (_, key) = user(&appliance, "Desk", "operate").await;
    let first = login(&web, "Desk", &key).await.json()["token"].as_str().unwrap().to_owned();
    for _ in 0..50 {
        assert_eq!(login(&web, "Desk", &key).await.status, 200);
    }
    assert_eq!(ask(&web, Some(&first), Method::GET, "/rgb", None).await.status, 200);
}

#[tokio::test]
async fn nobody_is_called_like_those_who_stand_in_the_log() {
    let appliance = locked().start().await;
    for name in ["anonymous", "Panel Bar", "key 1a2b3c4d", "unknown name", "MQTT"] {
        let body = json!({"name": name, "role": "view", "generate": true});
        ask(&appliance.web(), Some(ADMIN), Method::POST, "/users", Some(&body)).await.problem(409);
    }
    login(&appliance.web(), "my password by mistake", "x").await.problem(401);
    let deeds = ask(&appliance.web(), Some(ADMIN), Method::GET, "/audit", None).await.text;
    assert!(deeds.contains("unknown name") && !deeds.contains("by mistake"), "{deeds}");
}
