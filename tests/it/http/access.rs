//! Origins and keys.

use reqwest::Method;

use super::refusals::assert_untouched;
use crate::harness::{Appliance, Home, Web, command};

#[tokio::test]
async fn any_origin_is_welcome_by_default() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let origin = "http://tablet.local:5173";
    let answer = web.send(web.request(Method::GET, "/rgb").header("origin", origin)).await;
    assert_eq!(answer.status, 200);
    assert!(["*", origin].contains(&answer.header("access-control-allow-origin")), "{answer:?}");
    let refused = web.send(web.request(Method::POST, "/rgb").header("origin", origin).body("{")).await;
    refused.problem(400);
    assert!(["*", origin].contains(&refused.header("access-control-allow-origin")), "a script may read refusals, too");
    assert_preflight(&web, origin).await;
}

#[tokio::test]
async fn only_configured_origins_are_welcome() {
    let appliance = Home::new().set("DMX_ALLOW_ORIGINS", "http://a.example,http://b.example:81").start().await;
    let web = appliance.web();
    for origin in ["http://a.example", "http://b.example:81"] {
        let answer = web.send(web.request(Method::GET, "/rgb").header("origin", origin)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
        assert_preflight(&web, origin).await;
    }
    for origin in ["http://c.example", "https://a.example", "http://b.example", "null"] {
        let body = command([1, 2, 3]).to_string();
        let answer = web.send(web.request(Method::POST, "/rgb").header("origin", origin).body(body)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""), "{origin}");
        let preflight = web.request(Method::OPTIONS, "/rgb").header("origin", origin);
        let answer = web.send(preflight.header("access-control-request-method", "POST")).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    assert_untouched(&appliance).await;
    assert_eq!(web.get("/rgb").await.status, 200, "a request without Origin is allowed");
}

#[tokio::test]
async fn required_keys_are_required() {
    let home = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "first-key,second-key");
    let appliance = home.start().await;
    let web = appliance.web();
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(web.get(path).await.status, 200, "{path} needs no key");
    }
    for path in ["/rgb", "/metrics", "/openapi.json", "/schemas/demo.rgb.cmd.v1.json"] {
        web.get(path).await.problem(401);
        web.send(web.request(Method::GET, path).header("x-api-key", "wrong")).await.problem(401);
        let right = web.send(web.request(Method::GET, path).header("x-api-key", "second-key")).await;
        assert_eq!(right.status, 200, "{path}");
    }
    let body = command([1, 2, 3]).to_string();
    web.post("/rgb", body.clone()).await.problem(401);
    let post = |key: &str| web.request(Method::POST, "/rgb").header("x-api-key", key).body(body.clone());
    web.send(post("first-ke")).await.problem(401);
    assert_eq!(web.send(post("first-key")).await.json()["seq"], 1, "the first change there is");
    assert_preflight(&web, "http://tablet.local").await;
    assert_no_key_in_the_log(&appliance, &["first-key", "second-key"]);
}

#[tokio::test]
async fn in_audit_mode_nobody_is_refused_and_the_log_has_a_fingerprint() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let key = "tablet-key-7f3a";
    let request = web.request(Method::POST, "/rgb").header("x-api-key", key).body(command([1, 2, 3]).to_string());
    assert_eq!(web.send(request).await.status, 202);
    appliance.log.wait("a fingerprint", |line| line.to_string().to_lowercase().contains("fingerprint")).await;
    assert_no_key_in_the_log(&appliance, &[key]);
}

async fn assert_preflight(web: &Web, origin: &str) {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let preflight = web.request(Method::OPTIONS, "/rgb").header("origin", origin);
        let preflight = preflight.header("access-control-request-method", method);
        let headers = "content-type,x-api-key,if-none-match,if-match";
        let answer = web.send(preflight.header("access-control-request-headers", headers)).await;
        assert!((200..300).contains(&answer.status), "{method} from {origin}: {answer:?}");
        assert!(["*", origin].contains(&answer.header("access-control-allow-origin")), "{answer:?}");
        let methods = answer.header("access-control-allow-methods").to_owned();
        assert!(methods.split(',').any(|each| each.trim() == method), "{method} in {methods}");
        let allowed = answer.header("access-control-allow-headers").to_lowercase();
        for name in headers.split(',') {
            assert!(allowed.split(',').any(|each| each.trim() == name), "{name} in {allowed}");
        }
    }
}

fn assert_no_key_in_the_log(appliance: &Appliance, keys: &[&str]) {
    let log = appliance.log.all().join("\n") + &appliance.stderr.all().join("\n");
    for key in keys {
        assert!(!log.contains(key), "a key in the log");
    }
}
