//! The tablet app as it is served: its files, their headers, and the folder of whoever designs it.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Home, raw_http};

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
    assert_eq!(shell["files"], serde_json::json!(["/", "/views/live.js"]));
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
    assert_eq!(later["files"], serde_json::json!(["/", "/manifest.webmanifest", "/views/live.js"]));
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
    // As a client that does not tidy addresses sends it.
    let request = b"GET /../secret.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (status, answer) = raw_http(appliance.http, request).await;
    assert_eq!(status, 404, "{answer}");
}
