//! Versions in the local folder: made, listed, downloaded, deleted.

use serde_json::{Value, json};

use super::{Whole, folder, home, id_of, made, mark, restore, restored, versions};
use crate::harness::{Appliance, command};

#[tokio::test]
async fn a_backup_is_made_listed_downloaded_and_deleted() {
    let appliance = home().start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    assert_eq!(versions(&web, "default").await, Vec::<Value>::new());
    let answer = web.post("/projects/default/backups", r#"{"label":"před premiérou"}"#).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let first = answer.json();
    let mut fields: Vec<_> = first.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["createdAt", "encrypted", "label", "provider", "size", "versionId"]);
    assert_eq!(
        (&first["label"], &first["provider"], &first["encrypted"]),
        (&json!("před premiérou"), &json!("local"), &json!(false))
    );
    let stored = std::fs::read(folder(&appliance).join(format!("{}.bin", id_of(&first)))).unwrap();
    assert_eq!(first["size"], stored.len());

    // Neither a body nor a label is needed.
    let second = web.post("/projects/default/backups", "").await.json();
    let third = web.post("/projects/default/backups", "{}").await.json();
    assert_eq!((&second["label"], &third["label"]), (&Value::Null, &Value::Null));
    assert_eq!(versions(&web, "default").await, [third.clone(), second.clone(), first.clone()], "the newest first");
    let projects = web.get("/projects").await.json();
    assert_eq!(projects["projects"][0]["lastBackupAt"], third["createdAt"]);
    let status = web.get("/projects/default/backups/status").await.json();
    assert_eq!((&status["running"], &status["lastError"]), (&json!(false), &Value::Null), "{status}");
    assert_eq!(status["lastBackupAt"], third["createdAt"], "{status}");

    let path = format!("/projects/default/backups/{}", id_of(&first));
    let bytes = web.get(&path).await;
    assert_eq!((bytes.status, bytes.text.as_bytes()), (200, &stored[..]));
    let bundle: Value = bytes.json();
    let mut fields: Vec<_> = bundle.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["project", "scenes", "show", "state", "timestamp", "universes", "version"]);
    assert_eq!((&bundle["version"], &bundle["universes"]["0"]["3"]), (&json!("1.2"), &json!(1)));

    let delete = web.send(web.request(reqwest::Method::DELETE, &path)).await;
    assert_eq!((delete.status, delete.json()["versions"].as_array().unwrap().len()), (200, 2));
    assert_eq!(versions(&web, "default").await, [third, second]);
    web.get(&path).await.problem(404);
    web.send(web.request(reqwest::Method::DELETE, &path)).await.problem(404);
    restore(&web, "default", &id_of(&first)).await.problem(404);

    let appliance = appliance.restart().await;
    assert_eq!(versions(&appliance.web(), "default").await.len(), 2, "they outlive a restart");
}

#[tokio::test]
async fn what_is_not_there_or_not_active_or_switched_off_is_refused() {
    let appliance = home().start().await;
    let web = appliance.web();
    let version = id_of(&made(&web, "default", "x").await);
    let listed = web.post("/projects", r#"{"name":"Druhá"}"#).await.json();
    let other = listed["projects"].as_array().unwrap().iter().find(|project| project["id"] != "default").unwrap();
    let other = other["id"].as_str().unwrap();
    let before = Whole::of(&web).await;
    web.post(&format!("/projects/{other}/backups"), "{}").await.problem(409);
    restore(&web, other, &version).await.problem(409);
    assert_eq!(versions(&web, other).await, Vec::<Value>::new(), "a list needs no active project");
    for path in ["/projects/none/backups", "/projects/none/backups/status", "/projects/none/backups/01J"] {
        web.get(path).await.problem(404);
    }
    web.post("/projects/none/backups", "{}").await.problem(404);
    restore(&web, "none", &version).await.problem(404);
    restore(&web, "default", "01JNONE").await.problem(404);
    for (body, status) in [
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        (r#"{"versionId":7}"#, 422),
        (r#"{"versionId":"v","force":"yes"}"#, 422),
        (r#"{"versionId":"v","more":1}"#, 422),
    ] {
        web.post("/projects/default/restore", body).await.problem(status);
    }
    let long = json!({"label": "é".repeat(201)}).to_string();
    web.post("/projects/default/backups", long).await.problem(422);
    web.post("/projects/default/backups", r#"{"label":7}"#).await.problem(422);
    assert_eq!(Whole::of(&web).await, before);
    assert_eq!(versions(&web, "default").await.len(), 1);
    assert_eq!(made(&web, "default", &"é".repeat(200)).await["label"], "é".repeat(200));

    let appliance = home().set("DMX_CLOUD_BACKUP_ENABLED", "false").start().await;
    let web = appliance.web();
    for path in ["", "/status", "/01J"] {
        web.get(&format!("/projects/default/backups{path}")).await.problem(404);
    }
    web.post("/projects/default/backups", "{}").await.problem(404);
    restore(&web, "default", "01J").await.problem(404);
}

#[tokio::test]
async fn five_megabytes_go_there_and_back() {
    let appliance = home().start().await;
    let web = appliance.web();
    mark(&web, 3, 5_000_000).await;
    let full = Whole::of(&web).await;
    let version = made(&web, "default", "large").await;
    assert!(version["size"].as_u64().unwrap() > 5_000_000, "{version}");
    mark(&web, 4, 0).await;
    restored(&web, &id_of(&version)).await;
    let after = Whole::of(&web).await;
    assert_eq!((after.scenes, after.show == full.show), (full.scenes, true));
    serves(&appliance).await;
}

async fn serves(appliance: &Appliance) {
    appliance.web().accepted(&command([4, 4, 4])).await;
    appliance.assert_serves().await;
}
