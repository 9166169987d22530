//! Ids of versions and projects that lead out of the folder: refused, and nothing outside is read, written or deleted.

use serde_json::json;

use super::{Whole, folder, home, made, mark, place, snapshot};
use crate::harness::{Appliance, raw_http};

/// Sends a request with a path that no library would leave unchanged.
async fn raw(appliance: &Appliance, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    raw_http(appliance.http, request.as_bytes()).await
}

#[tokio::test]
async fn an_id_that_leads_out_of_the_folder_names_nothing() {
    let appliance = home().start().await;
    let web = appliance.web();
    mark(&web, 1, 0).await;
    made(&web, "default", "x").await;
    // decoys that would restore, wherever a path could lead
    let (own, data) = (folder(&appliance), appliance.data());
    let decoys = [own.join(".decoy.bin"), own.join("deeper/decoy.bin"), data.join("backups/decoy.bin")];
    let decoys = decoys.into_iter().chain([data.join("decoy.bin"), data.join("..").join("decoy.bin")]);
    let decoys: Vec<_> = decoys.collect();
    for decoy in &decoys {
        place(decoy.parent().unwrap(), &[(decoy.file_name().unwrap().to_str().unwrap(), &snapshot(200))]);
    }
    let before = Whole::of(&web).await;
    let absolute = data.join("decoy").to_str().unwrap().to_owned();
    let long = "a".repeat(200);
    let ids = [
        "../decoy",
        "../../decoy",
        "../../../decoy",
        "..",
        ".",
        "",
        "/",
        ".decoy",
        "deeper/decoy",
        "deeper\\decoy",
        "%2e%2e%2fdecoy",
        "..%2fdecoy",
        "%2e%2e",
        "..%252fdecoy",
        "x\0",
        "\0",
        "../decoy\0.bin",
        "x\n",
        "é",
        " ",
        "*",
        &absolute,
        &long,
    ];
    for id in ids {
        for force in [false, true] {
            let order = json!({"versionId": id, "force": force}).to_string();
            let answer = web.post("/projects/default/restore", order).await;
            assert!([404, 422].contains(&answer.status), "{id:?}: {answer:?}");
            answer.problem(answer.status);
        }
    }
    let slashes = absolute.replace('/', "%2f");
    for id in [
        "..%2fdecoy",
        "%2e%2e%2fdecoy",
        "%2E%2E%2F%2E%2E%2Fdecoy",
        "..%5cdecoy",
        "..",
        "../decoy",
        "../../../decoy",
        "%2e%2e",
        "%2edecoy",
        "deeper%2fdecoy",
        "deeper/decoy",
        "x%00",
        "%00",
        "..%252fdecoy",
        "%c3%a9",
        &slashes,
        &long,
    ] {
        for method in ["GET", "DELETE"] {
            let (status, text) = raw(&appliance, method, &format!("/projects/default/backups/{id}"), "").await;
            assert!([400, 404, 405, 422].contains(&status), "{method} {id}: {text}");
        }
    }
    for project in ["..", "%2e%2e", "..%2f..", "default%2f..", "%00", ".", &long] {
        for (method, end) in [("GET", "backups"), ("POST", "backups"), ("GET", "backups/decoy"), ("POST", "restore")] {
            let path = format!("/projects/{project}/{end}");
            let (status, text) = raw(&appliance, method, &path, r#"{"versionId":"decoy"}"#).await;
            assert!([400, 404, 405, 422].contains(&status), "{method} {path}: {text}");
        }
    }
    assert_eq!(Whole::of(&web).await, before);
    for decoy in &decoys {
        assert_eq!(std::fs::read(decoy).unwrap(), snapshot(200), "{decoy:?}");
    }
    let names = std::fs::read_dir(&own).unwrap().count();
    assert_eq!(names, 4, "the version, the index and two decoys: nothing was kept for a restore that never was");
}
