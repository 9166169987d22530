//! Certificate files of the user's, and what happens while they are wrong: a show must go on.

use std::fs;
use std::path::Path;

use super::{home, run, text};
use crate::harness::{Home, eventually};

/// A self-signed certificate and its key, for 30 days from then.
async fn make(folder: &Path, name: &str, then: &str) {
    let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    let arguments = [
        "-f",
        then,
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/CN=stage.example",
        "-addext",
        "subjectAltName=DNS:stage.example,DNS:localhost",
        "-keyout",
        key.to_str().unwrap(),
        "-out",
        cert.to_str().unwrap(),
    ];
    let made = run("faketime", &arguments).await;
    assert!(made.status.success(), "{made:?}");
}

fn with(folder: &Path) -> Home {
    home().set("DMX_TLS_CERT", folder.join("now.crt")).set("DMX_TLS_KEY", folder.join("now.key"))
}

fn put(folder: &Path, cert: &str, key: &str) {
    // as whoever renews does it: never half a file
    for (from, to) in [(cert, "now.crt"), (key, "now.key")] {
        fs::copy(folder.join(from), folder.join("aside")).unwrap();
        fs::rename(folder.join("aside"), folder.join(to)).unwrap();
    }
}

#[tokio::test]
async fn files_of_the_users_are_used_and_then_there_is_no_authority() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "a", "+0d").await;
    put(folder.path(), "a.crt", "a.key");
    let appliance = with(folder.path()).start().await;
    let https = appliance.door("https").await;
    let url = format!("https://localhost:{}/healthz", https.port());
    let cert = folder.path().join("a.crt");
    let answer = run("curl", &["-sS", "--cacert", cert.to_str().unwrap(), &url]).await;
    assert_eq!(text(&answer.stdout), "{\"status\":\"ok\"}", "{answer:?}");
    appliance.web().get("/trust/ca.crt").await.problem(404);
    assert!(appliance.web().get("/trust").await.text.contains("data-source=\"own\""));
    assert_eq!(appliance.web().problems().await, Vec::<String>::new());
    assert!(!appliance.data().join("tls").exists());
}

#[tokio::test]
async fn a_wrong_key_keeps_the_plain_doors_open_and_a_right_one_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "a", "+0d").await;
    make(folder.path(), "b", "+0d").await;
    put(folder.path(), "a.crt", "b.key");
    let appliance = with(folder.path()).set("DMX_TLS_ONLY", "true").start().await;
    let https = appliance.door("https").await;
    appliance.assert_serves().await; // by its plain doors
    let problems = appliance.web().get("/readyz").await.json();
    let message = problems["problems"][0]["message"].as_str().unwrap();
    assert!(
        problems["problems"][0]["code"] == "TLS_FAILED"
            && message.contains("now.key")
            && message.contains("does not go with"),
        "{problems}"
    );
    let url = format!("https://localhost:{}/healthz", https.port());
    assert_eq!(run("curl", &["-sSk", &url]).await.status.code(), Some(35));
    put(folder.path(), "b.crt", "b.key");
    eventually("the good files", async || run("curl", &["-sSk", &url]).await.status.success().then_some(())).await;
    eventually("the problem to go", async || appliance.web().problems().await.is_empty().then_some(())).await;
    // one that goes wrong later changes nothing but the board
    fs::write(folder.path().join("now.crt"), "nonsense").unwrap();
    eventually("the problem", async || (appliance.web().problems().await == ["TLS_FAILED"]).then_some(())).await;
    assert!(run("curl", &["-sSk", &url]).await.status.success(), "the last good one stays in use");
}

#[tokio::test]
async fn an_ended_certificate_is_served_and_named() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "a", "-90d").await;
    put(folder.path(), "a.crt", "a.key");
    let appliance = with(folder.path()).start().await;
    let https = appliance.door("https").await;
    let message = appliance.web().get("/readyz").await.json()["problems"][0]["message"].to_string();
    assert!(message.contains("has ended"), "{message}");
    let url = format!("https://localhost:{}/healthz", https.port());
    assert!(run("curl", &["-sSk", &url]).await.status.success());
}

#[tokio::test]
async fn a_port_in_use_or_a_damaged_authority_keep_nobody_from_starting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let appliance = home().set("DMX_TLS_PORT", port).set("DMX_TLS_ONLY", "true").start().await;
    assert_eq!(appliance.web().problems().await, ["TLS_FAILED"]);
    appliance.web().get("/rgb").await.json();
    let (_, home) = appliance.terminate().await;
    let file = home.data().join("tls/authority.pem");
    fs::write(&file, "damaged").unwrap();
    let appliance = home.set("DMX_TLS_PORT", "0").start().await;
    appliance.assert_serves().await;
    let message = appliance.web().get("/readyz").await.json()["problems"][0]["message"].to_string();
    assert!(message.contains("authority.pem"), "{message}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "damaged", "a damaged one is not replaced");
}
