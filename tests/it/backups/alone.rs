//! Backups without projects: there is one project, and its backups are served.

use reqwest::Method;
use serde_json::json;

use super::{id_of, made, mark, marks, restored, versions};
use crate::harness::Home;

#[tokio::test]
async fn the_one_project_has_backups_that_are_made_listed_restored_and_deleted() {
    let appliance = Home::new().set("DMX_CLOUD_BACKUP_ENABLED", "true").start().await;
    let web = appliance.web();
    web.get("/projects").await.problem(404);
    mark(&web, 1, 0).await;
    let version = id_of(&made(&web, "default", "alone").await);
    mark(&web, 2, 0).await;
    assert_eq!(versions(&web, "default").await[0]["label"], "alone");
    let status = web.get("/projects/default/backups/status").await;
    assert_eq!((status.status, &status.json()["running"]), (200, &json!(false)));
    let path = format!("/projects/default/backups/{version}");
    assert_eq!(web.get(&path).await.json()["version"], "1.2");
    restored(&web, &version).await;
    assert_eq!(marks(&web).await, [1; 3]);
    assert_eq!(web.send(web.request(Method::DELETE, &path)).await.status, 200);
    for path in ["/projects/other/backups", "/projects/other/backups/status"] {
        let problem = web.get(path).await.problem(404);
        assert!(problem["detail"].as_str().unwrap().contains("switched off"), "{problem}");
    }
}
