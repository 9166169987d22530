//! A new card, the same lamps: the appliance's own backup, made on one card and taken over by another.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{ADMIN, ask, locked, login, panel, scene, user, user_with_pin};
use crate::harness::{Answer, Appliance, Ending, Home, Web, WsWatcher, eventually, patiently};

const PASSPHRASE: &str = "correct horse battery staple";

/// The settings of the card that breaks.
const SETTINGS: &str =
    "[auth]\nmode = \"required\"\n[mqtt]\nusername = \"lamps\"\npassword = \"what-only-lamps-know\"\n";

fn secure(home: Home) -> Home {
    home.set("DMX_TLS_ENABLED", "true").set("DMX_TLS_PORT", "0").set("DMX_TLS_MQTT_PORT", "0")
}

/// With a file of settings.
fn with_file(home: Home) -> Home {
    let path = home.beside("appliance.toml");
    fs::write(&path, SETTINGS).unwrap();
    home.set("DMX_CONFIG", path)
}

async fn backup(web: &Web, key: &str, passphrase: &str) -> reqwest::Response {
    let request = web.request(Method::GET, "/appliance/backup").header("x-api-key", key);
    patiently("a backup", request.header("x-passphrase", passphrase).send()).await.unwrap()
}

async fn bytes(web: &Web) -> Vec<u8> {
    let answer = backup(web, ADMIN, PASSPHRASE).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    patiently("the bytes", answer.bytes()).await.unwrap().to_vec()
}

async fn restore(web: &Web, key: &str, passphrase: &str, backup: &[u8]) -> Answer {
    let request = web.request(Method::POST, "/appliance/restore").header("x-api-key", key);
    web.send(request.header("x-passphrase", passphrase).body(backup.to_vec())).await
}

async fn name(web: &Web, key: &str) -> Value {
    ask(web, Some(key), Method::GET, "/me", None).await.json()["name"].clone()
}

/// Brings a fixture type.
async fn bring(web: &Web, model: &str) -> Value {
    let file = format!(
        "<!DOCTYPE FixtureDefinition><FixtureDefinition xmlns='http://www.qlcplus.org/FixtureDefinition'>\
         <Manufacturer>Acme</Manufacturer><Model>{model}</Model><Channel Name='Red' Preset='IntensityRed'/>\
         <Mode Name='plain'><Channel>Red</Channel></Mode></FixtureDefinition>"
    );
    let request = web.request(Method::POST, "/fixture-types").header("x-api-key", ADMIN);
    let made = web.send(request.body(file)).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()
}

async fn fixture_type(web: &Web) -> Value {
    web.get("/fixture-types/acme-spot-1").await.json()
}

/// Whether a client that trusts this authority accepts the certificate of https.
async fn is_trusted(appliance: &Appliance, ca: &Path) -> bool {
    let https = appliance.door("https").await;
    let script = format!("openssl s_client -connect {https} -verify_return_error -CAfile {} </dev/null", ca.display());
    let output = Command::new("sh").args(["-c", &script]).kill_on_drop(true).output();
    patiently("openssl", output).await.unwrap().status.success()
}

#[tokio::test]
async fn a_new_card_knows_everybody_of_the_old_one() {
    let old = secure(with_file(locked())).start().await;
    user_with_pin(&old, "Anna", "admin", "294817").await;
    let (_, lamp) = user(&old, "lamp-1", "device").await;
    scene(&old, "warm", "Warm").await;
    let (_, bar) = panel(&old, json!({"name": "Bar", "looks": ["warm"], "blackout": "both"})).await;
    let spot = bring(&old.web(), "Spot 1").await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, old.web().get("/trust/ca.crt").await.text).unwrap();
    let backup = bytes(&old.web()).await;
    let log = old.log.all().join("\n");
    assert!(!log.contains(PASSPHRASE), "it is in the log");
    for secret in ["294817", "what-only-lamps-know", "PRIVATE KEY", "argon"] {
        assert!(!backup.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} can be read");
    }
    drop(old); // its card is broken

    let new = secure(Home::new()).start().await;
    let web = new.web();
    let made = web.post("/lock", json!({"name": "new", "generate": true}).to_string()).await.json();
    let token = made["token"].as_str().unwrap().to_owned();
    assert!(!is_trusted(&new, &ca).await);
    let socket = WsWatcher::connect(new.http, &format!("/ws?token={token}"), &[]).await.expect("a WebSocket");
    let answer = restore(&web, &token, PASSPHRASE, &backup).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let parts = json!({"users": 2, "panels": 1, "authority": true, "locked": false, "fixtureTypes": 1});
    assert_eq!(answer.json(), json!({"restored": parts, "settings": SETTINGS}));
    assert_eq!(socket.ending().await, Ending::Closed(4401), "the first admin of the new card is gone");
    assert_eq!(name(&web, &lamp).await, "lamp-1");
    assert_eq!(fixture_type(&web).await, spot);
    eventually("the old authority", async || is_trusted(&new, &ca).await.then_some(())).await;

    let new = new.kill9().await.start().await;
    let web = new.web();
    assert_eq!(fixture_type(&web).await, spot, "after a kill");
    assert_eq!((name(&web, &lamp).await, login(&web, "Anna", "294817").await.status), (json!("lamp-1"), 200));
    let me = ask(&web, Some(&bar), Method::GET, "/me", None).await.json();
    assert_eq!(me["panel"]["blackout"], "both");
    assert_ne!(name(&web, &token).await, "new");
    assert!(is_trusted(&new, &ca).await, "without learning anything new");
}

#[tokio::test]
async fn what_cannot_be_opened_changes_nothing() {
    let appliance = secure(locked()).start().await;
    let web = appliance.web();
    user_with_pin(&appliance, "Anna", "admin", "294817").await;
    let good = bytes(&web).await;
    let (_, late) = user(&appliance, "late", "view").await;
    let authority = web.get("/trust/ca.crt").await.text;
    let mut flipped = good.clone();
    let last = flipped.len() - 20;
    flipped[last] ^= 1;
    let half = &good[..good.len() / 2];
    let other = "another passphrase";
    for (passphrase, stored, word) in [
        (other, good.as_slice(), "passphrase"),
        (PASSPHRASE, &flipped, "damaged"),
        (PASSPHRASE, half, "damaged"),
        (PASSPHRASE, b"", "damaged"),
        (PASSPHRASE, b"{\"format\":1}", "damaged"),
    ] {
        let problem = restore(&web, ADMIN, passphrase, stored).await.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word) && detail.contains("nothing was changed"), "{detail}");
        assert_eq!((name(&web, &late).await, web.get("/trust/ca.crt").await.text), (json!("late"), authority.clone()));
    }
    // there is no admin in it: the key of the settings is not among the users
    let poor = locked().start().await;
    let poor = bytes(&poor.web()).await;
    let problem = restore(&web, ADMIN, PASSPHRASE, &poor).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("no admin"), "{problem}");
    assert_eq!((name(&web, &late).await, web.get("/trust/ca.crt").await.text), (json!("late"), authority));
    // and the good one takes away who came later
    assert_eq!(restore(&web, ADMIN, PASSPHRASE, &good).await.status, 200);
    assert_eq!(ask(&web, Some(&late), Method::GET, "/rgb", None).await.status, 401);
}

#[tokio::test]
async fn a_passphrase_has_twelve_characters_and_stands_in_the_header_alone() {
    let appliance = locked().start().await;
    let web = appliance.web();
    for wrong in ["", "elevenchars", "žluťoučký kůň"] {
        let request = web.request(Method::GET, "/appliance/backup").header("x-api-key", ADMIN);
        let value = reqwest::header::HeaderValue::from_bytes(wrong.as_bytes()).unwrap();
        let problem = web.send(request.header("x-passphrase", value)).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], "x-passphrase", "{problem}");
    }
    let path = "/appliance/backup?x-passphrase=correct+horse+battery+staple";
    ask(&web, Some(ADMIN), Method::GET, path, None).await.problem(422);
    assert_eq!(backup(&web, ADMIN, "twelve chars").await.status(), 200);
    let deeds = ask(&web, Some(ADMIN), Method::GET, "/audit", None).await.json();
    assert!(deeds["entries"].as_array().unwrap().iter().any(|deed| deed["what"] == "GET /appliance/backup"), "{deeds}");
}

#[tokio::test]
async fn of_two_that_come_together_each_is_done() {
    let appliance = locked().start().await;
    user_with_pin(&appliance, "Anna", "admin", "294817").await;
    let web = appliance.web();
    let all = tokio::join!(bytes(&web), bytes(&web), bytes(&web));
    for backup in [all.0, all.1, all.2] {
        assert_eq!(restore(&web, ADMIN, PASSPHRASE, &backup).await.status, 200);
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/appliance-1.age")
}

/// What dmxd 0.1.0 has sealed opens for ever. `UPDATE_GOLDEN=1` makes one where there is none.
#[tokio::test]
async fn a_backup_of_an_earlier_version_is_taken() {
    if !golden().exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        let old = secure(with_file(locked())).start().await;
        user_with_pin(&old, "Anna", "admin", "294817").await;
        let body = json!({"name": "Eva", "role": "edit", "password": "a word for Eva"});
        assert_eq!(ask(&old.web(), Some(ADMIN), Method::POST, "/users", Some(&body)).await.status, 201);
        user(&old, "lamp-1", "device").await;
        panel(&old, json!({"name": "Bar", "looks": ["warm"], "master": true, "blackout": "both"})).await;
        fs::write(golden(), bytes(&old.web()).await).unwrap();
    }
    let appliance = secure(locked()).start().await;
    let web = appliance.web();
    let answer = restore(&web, ADMIN, PASSPHRASE, &fs::read(golden()).unwrap()).await;
    let parts = json!({"users": 3, "panels": 1, "fixtureTypes": 0, "authority": true, "locked": false});
    assert_eq!(answer.json(), json!({"restored": parts, "settings": SETTINGS}));
    for (name, secret) in [("Anna", "294817"), ("Eva", "a word for Eva")] {
        assert_eq!(login(&web, name, secret).await.status, 200, "{name}");
    }
    let panels = ask(&web, Some(ADMIN), Method::GET, "/panels", None).await.json();
    assert_eq!((&panels["panels"][0]["name"], &panels["panels"][0]["master"]), (&json!("Bar"), &json!(true)));
}
