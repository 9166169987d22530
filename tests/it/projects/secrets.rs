//! No secret is in anything that leaves the box.

use serde_json::json;

use super::{create, several};
use crate::harness::Home;

#[tokio::test]
async fn no_secret_is_in_an_export_nor_in_anything_else_that_is_read() {
    let secrets = [
        ("DMX_MQTT_PASSWORD", "hunter2-mqtt"),
        ("DMX_AUTH_KEYS", "hunter2-key-one,hunter2-key-two"),
        ("DMX_CLOUD_BACKUP_ENCRYPTION_KEY", "passphrase:hunter2-backup"),
        ("DMX_CLOUD_BACKUP_OLD_KEYS", "passphrase:hunter2-old"),
        ("DMX_CLOUD_BACKUP_S3_ACCESS_KEY", "hunter2-access"),
        ("DMX_CLOUD_BACKUP_S3_SECRET_KEY", "hunter2-secret"),
        ("DMX_CLOUD_BACKUP_S3_SESSION_TOKEN", "hunter2-token"),
    ];
    let home = secrets.iter().fold(several(Home::new()), |home, (name, value)| home.set(name, *value));
    let appliance = home.set("DMX_MQTT_USERNAME", "stage").start().await;
    let web = appliance.web();
    super::import(&web, "", &super::marked(1)).await;
    let id = create(&web, json!({"name": "A"})).await;
    let mut texts = Vec::new();
    for path in
        ["/export", "/scenes", "/projects", "/readyz", "/outputs", "/devices", "/metrics", "/rgb", "/openapi.json"]
    {
        texts.push((path, web.get(path).await.text));
    }
    texts.push(("refusals", web.post("/import", "{").await.text + &web.post("/projects/nobody/select", "").await.text));
    texts.push(("select", web.post(&format!("/projects/{id}/select"), "").await.text));
    let log = appliance.log.clone();
    let stderr = appliance.stderr.clone();
    let (_, home) = appliance.terminate().await;
    texts.push(("log", log.all().join("\n")));
    texts.push(("stderr", stderr.all().join("\n")));
    for (place, text) in texts {
        assert!(!text.contains("hunter2"), "{place}: {text}");
    }
    // Nor in what is stored: a discarded card gives nothing away.
    for file in crate::harness::data_files(&home.data()) {
        let bytes = std::fs::read(home.data().join(&file)).unwrap();
        assert!(!bytes.windows(7).any(|bytes| bytes == b"hunter2"), "{}", file.display());
    }
}
