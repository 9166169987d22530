//! Origins and keys.

use reqwest::Method;

use super::refusals::assert_untouched;
use crate::harness::{Appliance, Home, Web, WsWatcher, command};

#[tokio::test]
async fn pages_of_this_network_are_welcome_by_default_and_others_are_not() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for origin in ["http://tablet.local:5173", "http://192.168.1.20:3000", "http://localhost:5173", "http://[fd00::7]"]
    {
        let answer = web.send(web.request(Method::GET, "/rgb").header("origin", origin)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
        let refused = web.send(web.request(Method::POST, "/rgb").header("origin", origin).body("{")).await;
        refused.problem(400);
        assert_eq!(refused.header("access-control-allow-origin"), origin, "a script may read refusals, too");
        assert_preflight(&web, origin).await;
        assert_eq!(connect(&appliance, &[("origin", origin)]).await, Ok(()));
    }
    for origin in ["null", "https://evil.example", "http://203.0.113.9", "http://192.168.1.20.nip.io"] {
        assert_foreign(&appliance, origin).await;
    }
    assert_untouched(&appliance).await;
    let own = format!("http://{}", appliance.http);
    let body = command([1, 2, 3]).to_string();
    assert_eq!(web.send(web.request(Method::POST, "/rgb").header("origin", own).body(body)).await.status, 202);
}

#[tokio::test]
async fn a_star_lets_any_page_in_as_the_predecessor_did() {
    let appliance = Home::new().set("DMX_ALLOW_ORIGINS", "*").start().await;
    let web = appliance.web();
    for origin in ["https://evil.example", "null"] {
        let body = command([1, 2, 3]).to_string();
        let answer = web.send(web.request(Method::POST, "/rgb").header("origin", origin).body(body)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (202, "*"));
        assert_preflight(&web, origin).await;
        assert_eq!(connect(&appliance, &[("origin", origin)]).await, Ok(()));
    }
}

#[tokio::test]
async fn a_host_that_is_not_ours_gets_a_page_that_says_how_to_allow_it() {
    let keys = Home::new().set("DMX_AUTH_KEYS", "stage-key").set("DMX_HTTP_ALLOW_HOSTS", "dmx.hall.example");
    let appliance = keys.start().await;
    let web = appliance.web();
    let at = |method, path: &str, host: &str| web.request(method, path).header("host", host);
    let rebound = "rebound.evil.example:8080";
    for path in ["/", "/app.js", "/rgb", "/export", "/healthz", "/readyz", "/openapi.json", "/nowhere"] {
        let answer = web.send(at(Method::GET, path, rebound)).await;
        let detail = answer.problem(421)["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("http.allow_hosts (DMX_HTTP_ALLOW_HOSTS)") && detail.contains("rebound.evil.example"),
            "{path}: {detail}"
        );
    }
    // to the browser both are one origin, and it says so
    let body = command([1, 2, 3]).to_string();
    let post = at(Method::POST, "/rgb", rebound).header("origin", format!("http://{rebound}")).body(body.clone());
    web.send(post).await.problem(421);
    web.send(at(Method::OPTIONS, "/rgb", rebound).header("access-control-request-method", "POST")).await.problem(421);
    assert_eq!(connect(&appliance, &[("host", rebound)]).await, Err(421));
    assert_untouched(&appliance).await;

    let page = web.send(at(Method::GET, "/", rebound).header("accept", "text/html,*/*;q=0.8")).await;
    assert_eq!((page.status, page.header("content-type")), (421, "text/html; charset=utf-8"));
    assert!(page.text.contains("allow_hosts = [\"rebound.evil.example\"]"), "{}", page.text);
    let page = web.send(at(Method::GET, "/", "<script>.example").header("accept", "text/html")).await;
    assert!(page.status == 421 && !page.text.contains("<script"), "{page:?}");

    for host in ["dmx.hall.example:8080", "203.0.113.9", "[2001:db8::7]:8080", "dmx.local:8080", "dmx", "pi.fritz.box"]
    {
        assert_eq!(web.send(at(Method::GET, "/rgb", host)).await.status, 200, "{host}");
    }
    let keyed = |key: &str| at(Method::POST, "/rgb", "proxy.example.com").header("x-api-key", key).body(body.clone());
    web.send(keyed("wrong")).await.problem(421);
    assert_eq!(web.send(keyed("stage-key")).await.status, 202, "who has a key is no rebound page");
}

#[tokio::test]
async fn nothing_is_shown_in_a_frame_of_others() {
    let appliance = Appliance::start().await;
    for path in ["/", "/app.js", "/rgb", "/export", "/openapi.json", "/metrics", "/nowhere"] {
        let answer = appliance.web().get(path).await;
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_link_may_bring_the_key_to_what_only_reads() {
    let home = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "k+y");
    let appliance = home.start().await;
    let web = appliance.web();
    for path in ["/openapi.json", "/metrics", "/rgb"] {
        assert_eq!(web.get(&format!("{path}?token=k%2By")).await.status, 200, "{path}");
        web.get(&format!("{path}?token=wrong")).await.problem(401);
    }
    web.post("/rgb?token=k%2By", command([1, 2, 3]).to_string()).await.problem(401);
    assert_no_key_in_the_log(&appliance, &["k+y", "k%2By"]);
}

#[tokio::test]
async fn a_slash_too_many_finds_its_route_and_options_lists_each_verb_once() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for path in ["/rgb/", "/healthz/", "/scenes/", "/universes/0/frame/", "/openapi.json/"] {
        assert_eq!(web.get(path).await.status, 200, "{path}");
    }
    assert_eq!(web.post("/rgb/", command([1, 2, 3]).to_string()).await.status, 202);
    for path in ["/rgb", "/scenes", "/scenes/reorder", "/projects/default", "/"] {
        let answer = web.send(web.request(Method::OPTIONS, path)).await;
        let allow: Vec<_> = answer.header("allow").split(", ").collect();
        let once: std::collections::BTreeSet<_> = allow.iter().collect();
        assert!(answer.status == 204 && once.len() == allow.len(), "{path}: {allow:?}");
    }
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
        assert!(answer.text.contains("http.allow_origins (DMX_ALLOW_ORIGINS)"), "{}", answer.text);
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

/// It changes nothing, reads nothing and opens nothing.
async fn assert_foreign(appliance: &Appliance, origin: &str) {
    let web = appliance.web();
    for (path, body) in [("/rgb", command([9, 9, 9]).to_string()), ("/blackout", r#"{"on":true}"#.into())] {
        let answer = web.send(web.request(Method::POST, path).header("origin", origin).body(body)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""), "{origin}");
    }
    let read = web.send(web.request(Method::GET, "/export").header("origin", origin)).await;
    assert_eq!(read.header("access-control-allow-origin"), "", "{origin}");
    let preflight = web.request(Method::OPTIONS, "/rgb").header("origin", origin);
    let answer = web.send(preflight.header("access-control-request-method", "PUT")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""), "{origin}");
    assert_eq!(connect(appliance, &[("origin", origin)]).await, Err(403), "{origin}");
}

async fn connect(appliance: &Appliance, headers: &[(&'static str, &str)]) -> Result<(), u16> {
    WsWatcher::connect(appliance.http, "/ws", headers).await.map(drop)
}

async fn assert_preflight(web: &Web, origin: &str) {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let preflight = web.request(Method::OPTIONS, "/rgb").header("origin", origin);
        let preflight = preflight.header("access-control-request-method", method);
        let headers = "content-type,x-api-key,if-none-match,if-match,authorization";
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
