//! Editors on Windows put a byte order mark at the start of a file: it is skipped wherever JSON or TOML is read.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{
    Appliance, BLACKOUT, CMD, Connect, Home, Link, UNIFIED, Web, WsWatcher, command, fresh_id, rgb_of,
};

/// Text as such an editor saves it.
fn marked(text: impl std::fmt::Display) -> String {
    format!("\u{feff}{text}")
}

async fn sent(web: &Web, method: Method, path: &str, body: &Value) -> u16 {
    web.send(web.request(method, path).body(marked(body))).await.status
}

fn level(n: u8) -> Value {
    json!({"type": "dmx.set", "id": fresh_id(), "universe": 1, "channel": 1, "value": n})
}

#[tokio::test]
async fn in_every_body() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "1").set("DMX_CLOUD_BACKUP_ENABLED", "1").start().await;
    let web = appliance.web();
    let scene = json!({"id": "a", "name": "A", "channelValues": {"1": 7}});
    for (method, path, body, status) in [
        (Method::POST, "/rgb", command([1, 2, 3]), 202),
        (Method::POST, "/command", level(9), 200),
        (Method::PUT, "/scenes", json!([scene]), 200),
        (Method::POST, "/scenes", json!({"name": "B"}), 201),
        (Method::PATCH, "/scenes/a", json!({"name": "C"}), 200),
        (Method::POST, "/scenes/a/recall", json!({"fadeMs": 0}), 200),
        (Method::POST, "/import", json!({"fixtures": [{"id": 1}]}), 200),
        (Method::POST, "/projects", json!({"name": "P"}), 201),
        (Method::PUT, "/projects/default", json!({"notes": "n"}), 200),
        (Method::POST, "/projects/default/backups", json!({"label": "l"}), 201),
        (Method::POST, "/master", json!({"level": 200}), 200),
        (Method::POST, "/blackout", json!({"on": false}), 200),
    ] {
        assert_eq!(sent(&web, method, path, &body).await, status, "{path}");
    }
    assert_eq!(web.get("/universes/1/frame").await.json()["frame"][0], 7, "an ack may say no with 200");
    assert_eq!(rgb_of(&web.state().await)[0], 5);
    // A body of nothing but a mark is empty, where a body may be; a mark anywhere else is not skipped.
    for (path, status) in [("/scenes/a/recall", 200), ("/projects/default/backups", 201), ("/rgb", 400)] {
        assert_eq!(web.post(path, marked("")).await.status, status, "{path}");
    }
    web.post("/rgb", format!(" {}", marked(command([1, 2, 3])))).await.problem(400);
    web.post("/rgb", marked(marked(command([1, 2, 3])))).await.problem(400);
}

#[tokio::test]
async fn in_messages() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(CMD, marked(command([1, 2, 3])).as_bytes()).await;
    assert_eq!(rgb_of(&web.state().await), [1, 2, 3]);
    esp.publish(UNIFIED, marked(level(5)).as_bytes()).await;
    esp.publish(BLACKOUT, marked(json!({"on": true})).as_bytes()).await;
    esp.publish("v1/devices/esp/state", marked(json!({"online": true})).as_bytes()).await;
    let tablet = WsWatcher::start(appliance.http).await;
    tablet.desk("blackout", |desk| desk["blackout"] == true).await;
    let devices = web.get("/devices").await.json();
    assert_eq!((&devices["devices"][0]["id"], &devices["devices"][0]["online"]), (&json!("esp"), &json!(true)));

    let order = level(6);
    tablet.send_raw(Message::text(marked(&order))).await;
    assert_eq!(tablet.ack(&order["id"]).await["accepted"], true);
}

#[tokio::test]
async fn in_backups_and_their_index() {
    let appliance = Home::new().set("DMX_PROJECTS_ENABLED", "1").set("DMX_CLOUD_BACKUP_ENABLED", "1").start().await;
    let web = appliance.web();
    let folder = appliance.data().join("backups/default");
    fs::create_dir_all(&folder).unwrap();
    let bundle = json!({"state": {"r": 1, "g": 2, "b": 3}, "version": "1.2"});
    fs::write(folder.join("edited.bin"), marked(bundle)).unwrap();
    fs::write(folder.join("index.json"), marked(json!([{"versionId": "edited", "createdAt": 1, "label": "by hand"}])))
        .unwrap();
    let listed = web.get("/projects/default/backups").await.json();
    assert_eq!(
        (&listed["versions"][0]["label"], &listed["versions"][0]["encrypted"]),
        (&json!("by hand"), &json!(false))
    );
    let restored = web.post("/projects/default/restore", r#"{"versionId":"edited"}"#).await;
    assert_eq!((restored.status, rgb_of(&web.state().await)), (200, [1, 2, 3]), "{restored:?}");
}

#[tokio::test]
async fn in_settings_and_in_a_predecessors_files() {
    let home = Home::new();
    fs::create_dir_all(home.data()).unwrap();
    let file = home.beside("appliance.toml");
    fs::write(&file, marked("[projects]\nenabled = true\n")).unwrap();
    let root = home.beside("old");
    fs::create_dir_all(root.join("default")).unwrap();
    let write = |name: &str, text: Value| fs::write(root.join(name), marked(text)).unwrap();
    write(
        "projects.json",
        json!({"activeId": "default", "projects": [{"id": "default", "name": "Sál", "createdAt": 1}]}),
    );
    write("default/state.json", json!({"r": 1, "g": 2, "b": 3, "seq": 4, "updatedBy": "ui", "ts": 5}));
    write("default/scenes.json", json!([{"id": "s", "name": "S", "channelValues": {}, "timestamp": 1}]));
    write("default/show.json", json!({"fixtures": [{"id": "f"}]}));
    write("default/cmd_seen.json", json!({}));
    let appliance = home.set("DMX_CONFIG", &file).set("DMX_PROJECTS_ROOT", &root).start().await;
    let web = appliance.web();
    assert_eq!(web.get("/projects").await.json()["projects"][0]["name"], "Sál");
    assert_eq!(rgb_of(&web.state().await), [1, 2, 3]);
    let show = web.get("/export").await.json();
    assert_eq!((&show["scenes"][0]["id"], &show["fixtures"][0]["id"]), (&json!("s"), &json!("f")));
    assert_eq!(web.problems().await, Vec::<String>::new());
}
