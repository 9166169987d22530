//! Ways back in for who has lost everything but the box and its card.

use reqwest::Method;
use serde_json::json;

use super::{ask, login};
use crate::harness::{Appliance, Home, command};

async fn lock(appliance: &Appliance) -> String {
    let answer = appliance.web().post("/lock", json!({"name": "Anna", "generate": true}).to_string()).await;
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn users_reset_forgets_the_admins_alone_and_opens_at_the_next_start() {
    let appliance = Appliance::start().await;
    let token = lock(&appliance).await;
    let lamp = json!({"name": "lamp", "role": "device", "generate": true});
    let lamp = ask(&appliance.web(), Some(&token), Method::POST, "/users", Some(&lamp)).await.json();
    let (ended, home) = appliance.terminate().await;
    assert!(ended.success());
    let done = home.run(&["users", "reset"]).await;
    assert!(done.code == Some(0) && done.stdout.contains("starts next"), "{}{}", done.stdout, done.stderr);
    let appliance = home.start().await;
    let web = appliance.web();
    let me = web.get("/me").await.json();
    assert_eq!((&me["mode"], &me["hasAdmin"]), (&json!("audit"), &json!(false)));
    assert_eq!(web.post("/rgb", command([1, 2, 3]).to_string()).await.status, 202);
    let key = lamp["key"].as_str().unwrap();
    assert_eq!(ask(&web, Some(key), Method::GET, "/me", None).await.json()["name"], "lamp");
    let token = lock(&appliance).await;
    let appliance = appliance.restart().await;
    let me = ask(&appliance.web(), Some(&token), Method::GET, "/me", None).await.json();
    assert_eq!((&me["role"], &me["mode"]), (&json!("admin"), &json!("required")), "it is done once");
}

#[tokio::test]
async fn an_owner_in_the_settings_locks_before_the_first_light_and_a_changed_one_is_a_way_back_in() {
    let appliance = Home::new().set("DMX_OWNER_NAME", "Anna").set("DMX_OWNER_PIN", "294817").start().await;
    let web = appliance.web();
    web.post("/rgb", command([1, 2, 3]).to_string()).await.problem(401);
    let answer = login(&web, "Anna", "294817").await.json();
    assert_eq!(answer["role"], "admin");
    let token = answer["token"].as_str().unwrap().to_owned();
    // a PIN that is changed in the app stays changed while the settings stay as they are
    let users = ask(&web, Some(&token), Method::GET, "/users", None).await.json();
    let path = format!("/users/{}", users["users"][0]["id"].as_str().unwrap());
    assert_eq!(ask(&web, Some(&token), Method::PATCH, &path, Some(&json!({"pin": "777777"}))).await.status, 200);
    let appliance = appliance.restart().await;
    login(&appliance.web(), "Anna", "294817").await.problem(401);
    let token = login(&appliance.web(), "Anna", "777777").await.json()["token"].as_str().unwrap().to_owned();
    let (_, home) = appliance.terminate().await;
    let appliance = home.set("DMX_OWNER_PIN", "a new password").start().await;
    let web = appliance.web();
    ask(&web, Some(&token), Method::GET, "/users", None).await.problem(401);
    login(&web, "Anna", "777777").await.problem(401);
    assert_eq!(login(&web, "Anna", "a new password").await.json()["role"], "admin");
    let log = appliance.log.all().join("\n");
    assert!(!log.contains("a new password") && !log.contains("294817"));
}

/// The owner of the settings is not made again by a reset: they may have forgotten that very PIN.
#[tokio::test]
async fn a_reset_opens_also_where_an_owner_stands_in_the_settings() {
    let appliance = Home::new().set("DMX_OWNER_PIN", "294817").start().await;
    let code = std::fs::read_to_string(appliance.data().join("access/first-code")).unwrap();
    let (_, home) = appliance.terminate().await;
    assert_eq!(home.run(&["users", "reset"]).await.code, Some(0));
    assert!(
        !home.data().join("access/first-code").exists(),
        "the card is written before the start, and gets a new one"
    );
    let appliance = home.start().await;
    let me = appliance.web().get("/me").await.json();
    assert_eq!((&me["mode"], &me["hasAdmin"]), (&json!("audit"), &json!(false)));
    assert_ne!(std::fs::read_to_string(appliance.data().join("access/first-code")).unwrap(), code);
}

#[tokio::test]
async fn a_data_folder_that_takes_no_file_is_no_reason_not_to_start() {
    let home = Home::new();
    std::fs::create_dir_all(home.data()).unwrap();
    std::fs::write(home.data().join("access"), "a file where a folder should be").unwrap();
    let appliance = home.start().await;
    assert_eq!(appliance.web().get("/healthz").await.status, 200);
    assert_eq!(lock(&appliance).await.len(), 32);
}
