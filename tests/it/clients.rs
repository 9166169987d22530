//! Clients that others make of `/openapi.json`, and what asks for everything that it describes.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Appliance, Home, openapi_node, openapi_python_client, openapi_python_script, schemathesis};

/// Long enough for a machine that runs everything else beside it.
const LIMIT: Duration = Duration::from_secs(150);

/// With everything that openapi.json describes.
fn everything() -> Home {
    Home::new().set("DMX_PROJECTS_ENABLED", "true").set("DMX_CLOUD_BACKUP_ENABLED", "true")
}

async fn whole() -> Appliance {
    everything().start().await
}

/// A folder with the description in it.
async fn described(appliance: &Appliance) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("openapi.json"), appliance.web().get("/openapi.json").await.text).unwrap();
    folder
}

#[tokio::test]
async fn schemathesis_finds_nothing_but_what_its_configuration_explains() {
    let appliance = everything().set("DMX_AUTH_KEYS", "what-only-an-admin-has").start().await;
    let said = schemathesis(appliance.http).succeed_within(LIMIT).await;
    let tested = said.iter().find_map(|line| line.trim().strip_prefix("Tested:")).expect("how many it has tested");
    assert!(tested.trim().parse::<usize>().unwrap() > 40, "{tested}");
    assert_eq!(appliance.web().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_by_openapi_python_client_does_what_the_pages_do_with_curl() {
    let appliance = whole().await;
    let folder = described(&appliance).await;
    let maker = openapi_python_client(folder.path());
    let complaints = maker.complaints().clone();
    maker.succeed_within(LIMIT).await;
    // It leaves out media types that it does not know: the app's files are of any type, and what a tablet installs has types
    // that tablets ask for. A client calls neither.
    let warnings: Vec<_> =
        complaints.all().into_iter().filter(|line| line.contains("WARNING") || line.contains("Unable")).collect();
    let left_out = ["/{file} within app", "/trust/ca.crt within appliance", "/trust/ca.mobileconfig within appliance"];
    assert_eq!(warnings, left_out.map(|row| format!("WARNING parsing GET {row}.")));
    let done = openapi_python_script(appliance.http, folder.path()).succeed_within(LIMIT).await;
    assert_eq!(done, ["done"]);
}

#[tokio::test]
async fn a_client_by_openapi_typescript_does_what_the_pages_do_with_curl() {
    let appliance = whole().await;
    let folder = described(&appliance).await;
    let make = "node_modules/openapi-typescript/bin/cli.js";
    openapi_node(folder.path(), make, &["openapi.json", "-o", "dmxd.d.ts"]).succeed_within(LIMIT).await;
    let options = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "openapi_client.ts"];
    openapi_node(folder.path(), "node_modules/typescript/bin/tsc", &options).succeed_within(LIMIT).await;
    let [host, port] = [appliance.http.ip().to_string(), appliance.http.port().to_string()];
    let done = openapi_node(folder.path(), "openapi_client.js", &[&host, &port]).succeed_within(LIMIT).await;
    assert_eq!(done, ["done"]);
}
