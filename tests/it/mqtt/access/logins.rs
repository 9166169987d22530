//! Who is let in.

use reqwest::Method;
use serde_json::json;

use super::{KEY, admin, locked, make};
use crate::harness::{
    Appliance, Connect, Connect5, Home, Link, Link5, Message5, WayByWeb, mosquitto_pub, mosquitto_sub, why,
};

/// The codes of CONNACK for both versions.
async fn codes(appliance: &Appliance, client: &str, login: Option<(&str, &str)>) -> (u8, u8) {
    let (mut four, mut new) = (Connect::new(client), Connect5::new(client));
    if let Some((user, password)) = login {
        (four, new) = (four.login(user, password), new.login(user, password));
    }
    let (link, welcome) = Link5::connect(appliance.mqtt, &new).await;
    if welcome.code == 0 {
        link.leave().await;
    } else {
        assert!(why(&welcome.properties).is_some(), "a reason for {client} {login:?}");
    }
    let (link, answer) = Link::connect(appliance.mqtt, &four).await;
    if answer.is_ok() {
        link.leave().await;
    }
    (answer.err().unwrap_or(0), welcome.code)
}

#[tokio::test]
async fn a_locked_box_lets_in_who_has_a_login_and_nobody_else() {
    let appliance = locked().start().await;
    let anna = make(&appliance, "Anna", "operate").await;
    let lamp = make(&appliance, "lamp", "device").await;
    let pin = json!({"name": "Eva", "role": "view", "pin": "294817"});
    assert_eq!(admin(&appliance, Method::POST, "/users", pin).await.status, 201);
    let login = json!({"name": "Eva", "secret": "294817"});
    let token = appliance.web().post("/login", login.to_string()).await.json()["token"].as_str().unwrap().to_owned();
    let panel = admin(&appliance, Method::POST, "/panels", json!({"name": "Bar", "looks": []})).await.json();
    let panel = panel["url"].as_str().unwrap().trim_start_matches("/panel/").to_owned();
    for (client, login, expected) in [
        ("x", None, (5, 0x87)),
        ("x", Some(("anna", anna.key.as_str())), (0, 0)),
        ("x", Some(("whatever", &anna.key)), (0, 0)),
        ("x", Some(("", &anna.key)), (0, 0)),
        ("x", Some(("Anna", "wrong")), (4, 0x86)),
        ("x", Some(("Anna", "")), (4, 0x86)),
        ("x", Some(("nobody", "wrong")), (4, 0x86)),
        ("x", Some(("eva", "294817")), (0, 0)),
        ("x", Some(("Eva", "294818")), (4, 0x86)),
        ("x", Some(("Eva", &token)), (0, 0)),
        ("x", Some(("x", KEY)), (0, 0)),
        ("x", Some(("x", &panel)), (4, 0x86)),
        ("lamp", Some(("lamp", &lamp.key)), (0, 0)),
        ("Lamp", Some(("lamp", &lamp.key)), (2, 0x85)),
        ("lamp2", Some(("lamp", &lamp.key)), (2, 0x85)),
        ("", Some(("lamp", &lamp.key)), (2, 0x85)),
        ("lamp", Some(("anna", &anna.key)), (2, 0x85)),
        ("lamp", Some(("x", KEY)), (0, 0)),
    ] {
        assert_eq!(codes(&appliance, client, login).await, expected, "{client} {login:?}");
    }
    let log = appliance.log.all().join("\n");
    assert!([anna.key.as_str(), &token, &panel, "294818", KEY].iter().all(|secret| !log.contains(secret)));
    let deeds = admin(&appliance, Method::GET, "/audit?limit=100", json!(null)).await.text;
    assert!(deeds.contains("MQTT login"), "{deeds}");
}

#[tokio::test]
async fn in_audit_mode_any_login_is_accepted_and_a_right_one_counts() {
    let appliance = Home::new().set("DMX_AUTH_KEYS", KEY).start().await;
    let eva = make(&appliance, "Eva", "view").await;
    for login in [None, Some(("Eva", "wrong")), Some(("x", "y")), Some(("x", ""))] {
        assert_eq!(codes(&appliance, "x", login).await, (0, 0), "{login:?}");
    }
    let mut link = Link5::join(appliance.mqtt, &eva.five("x")).await;
    assert_eq!(link.publish(&Message5::new("home/door", "open")).await.0, 0x87, "she is a viewer");
}

#[tokio::test]
async fn the_login_of_the_settings_stays_what_it_was_and_on_a_locked_box_takes_no_devices_place() {
    for mode in ["audit", "required"] {
        let home = Home::new().set("DMX_AUTH_MODE", mode).set("DMX_AUTH_KEYS", KEY);
        let home = home.set("DMX_MQTT_USERNAME", "stage").set("DMX_MQTT_PASSWORD", "a-password-long-enough");
        let appliance = home.start().await;
        let lamp = make(&appliance, "lamp", "device").await;
        for (login, expected) in [
            (None, (5, 0x87)),
            (Some(("stage", "wrong")), (4, 0x86)),
            (Some(("stage", "a-password-long-enough")), if mode == "audit" { (0, 0) } else { (2, 0x85) }),
            (Some(("lamp", lamp.key.as_str())), (0, 0)),
        ] {
            assert_eq!(codes(&appliance, "lamp", login).await, expected, "{mode} {login:?}");
        }
        let stage = Connect5::new("x").login("stage", "a-password-long-enough");
        let mut link = Link5::join(appliance.mqtt, &stage).await;
        assert!(link.publish(&Message5::new("v1/devices/other/state", "{}")).await.0 < 0x80, "it may do everything");
    }
}

/// The name alone goes over the air in clear.
#[tokio::test]
async fn a_user_name_of_the_settings_without_a_password_opens_no_locked_box() {
    for (mode, expected) in [("audit", (0, 0)), ("required", (4, 0x86))] {
        let home = Home::new().set("DMX_AUTH_MODE", mode).set("DMX_AUTH_KEYS", KEY).set("DMX_MQTT_USERNAME", "stage");
        let appliance = home.start().await;
        assert_eq!(codes(&appliance, "x", Some(("stage", ""))).await, expected, "{mode}");
    }
}

#[tokio::test]
async fn guesses_of_a_pin_are_braked_and_keys_are_not() {
    let appliance = locked().start().await;
    let pin = json!({"name": "Eva", "role": "operate", "pin": "294817"});
    assert_eq!(admin(&appliance, Method::POST, "/users", pin).await.status, 201);
    let anna = make(&appliance, "Anna", "view").await;
    let mut answers = Vec::new();
    for guess in 0..31 {
        let connect = Connect5::new("x").login("Eva", &format!("{guess:06}"));
        let (_, welcome) = Link5::connect(appliance.mqtt, &connect).await;
        answers.push(welcome.code);
    }
    assert_eq!(answers.iter().filter(|code| **code == 0x86).count(), 30, "{answers:x?}");
    assert_eq!(answers.last(), Some(&0x97));
    let (_, welcome) = Link5::connect(appliance.mqtt, &Connect5::new("x").login("Eva", "294817")).await;
    assert_eq!(welcome.code, 0x97, "also the right one, from an address that never logged in");
    let why = why(&welcome.properties).unwrap();
    assert!(why.contains("too many wrong attempts"), "{why}");
    Link5::join(appliance.mqtt, &anna.five("y")).await.leave().await;
}

#[tokio::test]
async fn mqtt_over_websocket_asks_for_the_same_login() {
    let appliance = locked().start().await;
    let lamp = make(&appliance, "lamp", "device").await;
    let way = WayByWeb::open(appliance.http, 100).await;
    for (connect, expected) in [
        (Connect::new("lamp"), Err(5)),
        (Connect::new("lamp").login("lamp", "wrong"), Err(4)),
        (Connect::new("lamp").login("lamp", &lamp.key), Ok(false)),
    ] {
        assert_eq!(Link::connect(way.address, &connect).await.1, expected, "{connect:?}");
    }
}

#[tokio::test]
async fn mosquittos_clients_log_in_with_a_devices_key() {
    let appliance = locked().start().await;
    let lamp = make(&appliance, "lamp", "device").await;
    let who = ["-i", "lamp", "-u", "lamp", "-P", lamp.key.as_str()];
    let own = ["-q", "1", "-r", "-t", "v1/devices/lamp/state", "-m", r#"{"online":true}"#];
    mosquitto_pub(appliance.mqtt, &[&who[..], &own].concat()).succeed().await;
    let other = ["-q", "1", "-r", "-t", "v1/devices/other/state", "-m", "forged"];
    mosquitto_pub(appliance.mqtt, &[&who[..], &other].concat()).succeed().await; // 3.1.1 is acknowledged
    let heard = ["-q", "1", "-t", "v1/devices/+/state", "-C", "2", "-W", "20", "-F", "%t"];
    let mut topics = mosquitto_sub(appliance.mqtt, &[&who[..], &heard].concat()).succeed().await;
    topics.sort();
    assert_eq!(topics, ["v1/devices/lamp/state", "v1/devices/server/state"]);
}
