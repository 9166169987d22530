//! The tablet app as it is served: its files, their headers, and the folder of somebody who works on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Appliance, Home, raw_http};

/// An appliance that serves the app from a folder.
fn designing() -> (Home, PathBuf) {
    let home = Home::new();
    let folder = home.beside("ui");
    fs::create_dir_all(folder.join("views")).unwrap();
    fs::write(folder.join("index.html"), "<!doctype html>").unwrap();
    fs::write(folder.join("views/live.js"), "export {};").unwrap();
    fs::write(home.beside("secret.js"), "secret").unwrap();
    (home.set("DMX_HTTP_UI_DIR", folder.clone()), folder)
}

#[tokio::test]
async fn a_designer_sees_each_change_at_once() {
    let (home, folder) = designing();
    let appliance = home.start().await;
    let web = appliance.web();
    let shell = web.get("/assets.json").await.json();
    assert_eq!(shell["files"], json!(["/", "/views/live.js"]));
    for (text, address, file) in [("<p>", "/", "index.html"), ("export let a;", "/views/live.js", "views/live.js")] {
        fs::write(folder.join(file), text).unwrap();
        let answer = web.get(address).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, text));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").starts_with("default-src 'self';"), "{answer:?}");
    }
    fs::write(folder.join("sw.js"), "").unwrap();
    fs::write(folder.join("manifest.webmanifest"), "{}").unwrap();
    assert_eq!(web.get("/manifest.webmanifest").await.header("content-type"), "application/manifest+json");
    let later = web.get("/assets.json").await.json();
    assert_eq!(later["files"], json!(["/", "/manifest.webmanifest", "/views/live.js"]));
    assert_ne!(later["version"], shell["version"]);
}

#[tokio::test]
async fn nothing_beside_the_folder_is_served_and_nothing_of_the_program_in_its_place() {
    let (home, folder) = designing();
    std::os::unix::fs::symlink("../secret.js", folder.join("link.js")).unwrap();
    let appliance = home.start().await;
    let ways = ["/app.js", "/link.js", "/views", "/views/", "/..%2fsecret.js", "/%2e%2e/secret.js", "//etc/passwd"];
    for way in ways {
        appliance.web().get(way).await.problem(404);
    }
    // from a client that does not tidy up addresses
    let request = b"GET /../secret.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (status, answer) = raw_http(appliance.http, request).await;
    assert_eq!(status, 404, "{answer}");
}

#[tokio::test]
async fn each_file_of_the_app_is_asked_again_by_etag_and_kept_among_its_own() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let shell = web.get("/assets.json").await.json();
    let files: Vec<_> = shell["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert!(files.contains(&"/") && files.contains(&"/app.js") && !files.contains(&"/sw.js"), "{files:?}");
    let mut tags = BTreeSet::new();
    for file in files {
        let answer = web.get(file).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-cache"), "{file}");
        assert_eq!(answer.header("content-type"), media(file), "{file}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let etag = answer.header("etag");
        assert!(etag.starts_with('"') && tags.insert(etag.to_owned()), "{file}: {etag}");
        for (asked, status) in [(etag, 304), ("\"other\"", 200)] {
            let again = web.send(web.request(Method::GET, file).header("if-none-match", asked)).await;
            assert_eq!((again.status, again.header("etag")), (status, etag), "{file}");
            assert_eq!(again.header("content-security-policy"), answer.header("content-security-policy"));
        }
    }
}

/// The type that tells a browser what to do with a file.
fn media(file: &str) -> &'static str {
    match file.rsplit('.').next().unwrap() {
        "/" | "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        other => panic!("a file of an unknown kind: {other}"),
    }
}

#[tokio::test]
async fn the_form_that_a_browser_likes_best_is_served() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut tags = BTreeSet::new();
    for (accepted, coding) in [
        ("identity", ""),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.1, gzip;q=0.2", "gzip"),
        ("br;q=0, gzip;q=0", ""),
        ("*", "br"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = web.send(web.request(method, "/app.js").header("accept-encoding", accepted)).await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{accepted}");
            assert!(answer.header("vary").contains("accept-encoding"), "{answer:?}");
            tags.insert(answer.header("etag").to_owned());
        }
    }
    assert_eq!(tags.len(), 3, "one tag a form: {tags:?}");
    web.send(web.request(Method::GET, "/app.js").header("accept-encoding", "identity;q=0, br;q=0, gzip;q=0"))
        .await
        .problem(406);
}

#[tokio::test]
async fn the_policy_is_strict_and_names_the_appliance_as_it_was_called() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for (host, sockets) in [
        ("dmx.local:8080", " ws://dmx.local:8080 wss://dmx.local:8080"),
        ("x; script-src *", ""),
        ("x,y", ""),
        ("[::1]:8080", ""),
    ] {
        let answer = web.send(web.request(Method::GET, "/").header("host", host)).await;
        let policy = answer.header("content-security-policy");
        let rules: Vec<_> = policy.split(';').map(str::trim).collect();
        for rule in ["default-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(rules.contains(&rule), "{rule}: {policy}");
        }
        let connect = rules.iter().find(|rule| rule.starts_with("connect-src"));
        let wanted = (!sockets.is_empty()).then(|| format!("connect-src 'self'{sockets}"));
        assert_eq!(connect.map(|rule| (*rule).to_owned()), wanted, "{host}");
        assert!(!policy.contains("unsafe") && !policy.contains("script-src") && !policy.contains('*'), "{policy}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_404_whatever_is_asked_and_a_file_takes_only_get() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for path in ["/index.html", "/app.test.js", "/tests/app.js", "/app.js/", "/views", "/App.js", "/app.js%00"] {
        web.get(path).await.problem(404);
        web.post(path, "{}").await.problem(404);
    }
    let answer = web.post("/app.js", "{}").await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    let metrics = web.get("/metrics").await.text;
    assert!(metrics.contains(r#"route="none",status="404"#) && !metrics.contains("app.test"), "{metrics}");
}
