//! A change of rights ends what it concerns, within a second; kept sessions hold what their owners may still read.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{KEY, Made, admin, boss, locked, make};
use crate::harness::{Appliance, Connect, Connect5, HEADROOM, Home, Link, Link5, Message5, STATE, command, rgb_of};

const SOON: Duration = Duration::from_secs(1);

/// Does something; both must be told, or closed, in time.
async fn ends(five: &mut Link5, four: &mut Link, act: impl Future<Output = u16>) {
    let begun = Instant::now();
    let status = act.await;
    assert!((200..300).contains(&status), "{status}");
    let (code, why) = five.end().await.expect("a DISCONNECT");
    assert!(code == 0x87 && why.is_some_and(|why| why.contains("rights")), "{code:#x}");
    four.closed().await;
    assert!(begun.elapsed() < SOON * HEADROOM, "{:?}", begun.elapsed());
}

async fn pair(appliance: &Appliance, made: &Made) -> (Link5, Link) {
    let five = Link5::join(appliance.mqtt, &made.five("five")).await;
    (five, Link::join(appliance.mqtt, &Connect::new("four").login(&made.name, &made.key)).await)
}

async fn status(appliance: &Appliance, method: Method, path: String, body: serde_json::Value) -> u16 {
    admin(appliance, method, &path, body).await.status
}

#[tokio::test]
async fn a_deleted_user_and_a_changed_role_end_their_connections() {
    let appliance = locked().start().await;
    let mut witness = boss(&appliance).await;
    let anna = make(&appliance, "Anna", "operate").await;
    let (mut five, mut four) = pair(&appliance, &anna).await;
    let path = format!("/users/{}", anna.id);
    ends(&mut five, &mut four, status(&appliance, Method::PATCH, path.clone(), json!({"role": "view"}))).await;
    let (mut five, mut four) = pair(&appliance, &anna).await;
    assert_eq!(five.publish(&Message5::new("home/door", "open")).await.0, 0x87, "she is a viewer now");
    ends(&mut five, &mut four, status(&appliance, Method::DELETE, path, json!(null))).await;
    assert_eq!(Link5::connect(appliance.mqtt, &anna.five("five")).await.1.code, 0x86);
    assert_eq!(witness.messages().await, [], "others stay");
}

#[tokio::test]
async fn a_logout_ends_what_came_with_its_token_and_nothing_else() {
    let appliance = locked().start().await;
    let pin = json!({"name": "Eva", "role": "view", "pin": "294817"});
    assert_eq!(admin(&appliance, Method::POST, "/users", pin).await.status, 201);
    let web = appliance.web();
    let login = json!({"name": "Eva", "secret": "294817"}).to_string();
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let answer = web.post("/login", login.clone()).await;
        tokens.push(answer.json()["token"].as_str().unwrap().to_owned());
    }
    let join =
        async |client, token: &str| Link5::join(appliance.mqtt, &Connect5::new(client).login("Eva", token)).await;
    let (mut first, mut second) = (join("first", &tokens[0]).await, join("second", &tokens[1]).await);
    let logout = web.request(Method::POST, "/logout").header("x-api-key", &tokens[0]);
    assert_eq!(web.send(logout).await.status / 100, 2);
    assert_eq!(first.end().await.map(|(code, _)| code), Some(0x87));
    assert_eq!(second.messages().await, []);
}

#[tokio::test]
async fn locking_the_box_ends_clients_without_a_login_and_unlocking_lets_them_in() {
    let appliance = Home::new().set("DMX_AUTH_KEYS", KEY).start().await;
    make(&appliance, "Boss", "admin").await;
    let mut five = Link5::join(appliance.mqtt, &Connect5::kept("five", 3600)).await;
    five.subscribe("home/#", 1).await;
    let mut four = Link::join(appliance.mqtt, &Connect::new("four")).await;
    let mut keyed = boss(&appliance).await;
    let lock = async { admin(&appliance, Method::POST, "/lock", json!({})).await.status };
    ends(&mut five, &mut four, lock).await;
    assert_eq!(Link5::connect(appliance.mqtt, &Connect5::kept("five", 3600)).await.1.code, 0x87);
    keyed.say("home/door", "secret").await;
    assert_eq!(admin(&appliance, Method::POST, "/unlock", json!(null)).await.status, 204);
    keyed.say("home/door", "open").await;
    let (mut back, present) = Link5::resume(appliance.mqtt, &Connect5::kept("five", 3600)).await;
    assert!(present);
    assert_eq!(back.texts().await, ["open"], "nothing of the time when it might have nothing");
}

#[tokio::test]
async fn a_kept_session_holds_only_what_its_owner_may_still_read() {
    let appliance = locked().start().await;
    let lamp = make(&appliance, "lamp", "edit").await;
    let kept = Connect5::kept("lamp", 3600).login("lamp", &lamp.key);
    let mut link = Link5::join(appliance.mqtt, &kept).await;
    let filters = [("home/#", 1), ("home/exact", 1), ("v1/devices/lamp/#", 1), ("$share/g/shared/#", 1)];
    link.subscribe_all(&filters, &[]).await;
    link.reset();
    let mut boss = boss(&appliance).await;
    for topic in ["home/a", "home/exact", "v1/devices/lamp/do", "shared/x"] {
        boss.publish(&Message5::new(topic, &format!("old {topic}")).qos(2)).await;
        boss.say(topic, &format!("old {topic}")).await;
    }
    let path = format!("/users/{}", lamp.id);
    assert_eq!(admin(&appliance, Method::PATCH, &path, json!({"role": "device"})).await.status, 200);
    let mut other = Link5::join(appliance.mqtt, &Connect5::new("member").login("any", KEY)).await;
    other.subscribe("$share/g/shared/#", 1).await;
    for topic in ["home/a", "home/exact", "v1/devices/lamp/do", "shared/x", "shared/x", "shared/x"] {
        boss.say(topic, &format!("new {topic}")).await;
    }
    assert_eq!(other.texts().await.iter().filter(|text| *text == "new shared/x").count(), 3, "it has left the group");
    let (mut back, present) = Link5::resume(appliance.mqtt, &kept).await;
    assert!(present);
    assert_eq!(back.texts().await, ["old v1/devices/lamp/do", "old v1/devices/lamp/do", "new v1/devices/lamp/do"]);
}

#[tokio::test]
async fn what_was_stored_for_more_rights_is_not_given_after_a_restart_with_fewer() {
    let appliance = locked().start().await;
    let lamp = make(&appliance, "lamp", "edit").await;
    let kept = Connect5::kept("lamp", 3600).login("lamp", &lamp.key);
    let mut link = Link5::join(appliance.mqtt, &kept).await;
    link.subscribe_all(&[("home/#", 2), ("v1/devices/lamp/#", 2)], &[]).await;
    link.acknowledge(false);
    let mut boss = boss(&appliance).await;
    for topic in ["home/a", "v1/devices/lamp/do"] {
        boss.publish(&Message5::new(topic, &format!("flying {topic}")).qos(2)).await;
    }
    link.messages().await;
    link.reset();
    boss.publish(&Message5::new("home/a", "waiting").qos(2)).await;
    let appliance = appliance.restart().await;
    let path = format!("/users/{}", lamp.id);
    assert_eq!(admin(&appliance, Method::PATCH, &path, json!({"role": "device"})).await.status, 200);
    let appliance = appliance.restart().await;
    let (mut back, present) = Link5::resume(appliance.mqtt, &kept).await;
    assert!(present);
    assert_eq!(back.texts().await, ["flying v1/devices/lamp/do"]);
}

#[tokio::test]
async fn the_kept_session_of_a_deleted_device_is_deleted_and_its_will_says_that_it_is_gone() {
    let appliance = locked().start().await;
    let mut boss = boss(&appliance).await;
    boss.subscribe_all(&[("v1/devices/+/state", 1), (STATE, 1)], &[]).await;
    boss.messages().await;
    for is_connected in [true, false] {
        let lamp = make(&appliance, "lamp", "device").await;
        let state = "v1/devices/lamp/state";
        let will = Message5::new(state, r#"{"online":false}"#).retained();
        let kept = Connect5::kept("lamp", 3600).login("lamp", &lamp.key).will(will);
        let mut link = Link5::join(appliance.mqtt, &kept).await;
        link.subscribe("v1/devices/lamp/#", 1).await;
        link.publish(&Message5::new(state, r#"{"online":true}"#).retained()).await;
        if !is_connected {
            link.reset();
        }
        assert_eq!(admin(&appliance, Method::DELETE, &format!("/users/{}", lamp.id), json!(null)).await.status, 204);
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != r#"{"online":false}"#) {
            texts.push(boss.message_beside_acks().await.text());
        }
        boss.say("v1/devices/lamp/do", "blink").await;
        // another device of that name begins anew
        let lamp = make(&appliance, "lamp", "device").await;
        let kept = Connect5::kept("lamp", 3600).login("lamp", &lamp.key);
        let (link, present) = Link5::resume(appliance.mqtt, &kept).await;
        assert!(!present, "connected: {is_connected}");
        link.leave_with(0, &[crate::harness::property::session_expiry(0)]).await;
        assert_eq!(admin(&appliance, Method::DELETE, &format!("/users/{}", lamp.id), json!(null)).await.status, 204);
    }
}

#[tokio::test]
async fn a_deleted_users_will_commands_nothing() {
    let appliance = locked().start().await;
    let anna = make(&appliance, "Anna", "operate").await;
    let mut boss = boss(&appliance).await;
    boss.publish(&Message5::new("v1/demo/rgb/cmd", &command([1, 2, 3]).to_string())).await;
    let dark = Message5::new("v1/demo/rgb/cmd", &command([9, 9, 9]).to_string());
    let mut link = Link5::join(appliance.mqtt, &anna.five("x").will(dark)).await;
    assert_eq!(admin(&appliance, Method::DELETE, &format!("/users/{}", anna.id), json!(null)).await.status, 204);
    assert!(link.end().await.is_some());
    boss.subscribe(STATE, 1).await;
    let state = serde_json::from_slice(&boss.message_beside_acks().await.payload).unwrap();
    assert_eq!(rgb_of(&state), [1, 2, 3]);
}
