//! `mqtt.acl`, and what is said of settings that are wrong or weak.

use super::{KEY, boss, locked, make};
use crate::harness::{Home, Link5, Message5};

#[tokio::test]
async fn lines_give_topics_and_take_them_away() {
    let acl = r#"["lamp write stage/%u/#", "* read stage/+/light", "* deny stage/%c/secret", "Anna deny home/#"]"#;
    let appliance = locked().set("DMX_MQTT_ACL", acl).start().await;
    let (lamp, anna) = (make(&appliance, "lamp", "device").await, make(&appliance, "Anna", "admin").await);
    let mut boss = boss(&appliance).await;
    let mut link = Link5::join(appliance.mqtt, &lamp.five("lamp")).await;
    for (topic, may) in [("stage/lamp/x", true), ("stage/other/x", false), ("stage/lamp/secret", false)] {
        assert_eq!(link.publish(&Message5::new(topic, "x")).await.0 < 0x80, may, "{topic}");
    }
    let codes = link.subscribe_all(&[("stage/a/light", 1), ("stage/#", 1), ("stage/lamp/secret", 1)], &[]).await;
    assert_eq!(codes, [1, 1, 0x87]);
    for topic in ["stage/a/light", "stage/b/light", "stage/b/sound", "stage/lamp/secret"] {
        boss.say(topic, topic).await;
    }
    let mut texts = link.texts().await;
    texts.dedup();
    assert_eq!(texts, ["stage/a/light", "stage/b/light"]);
    let mut annas = Link5::join(appliance.mqtt, &anna.five("a")).await;
    assert_eq!(annas.publish(&Message5::new("home/door", "x")).await.0, 0x87, "a denial holds for admins, too");
    assert_eq!(annas.subscribe("home/door", 1).await, 0x87);
    assert!(annas.publish(&Message5::new("garden/door", "x")).await.0 < 0x80);
}

#[tokio::test]
async fn a_line_that_cannot_be_read_ends_the_check_with_what_is_wrong() {
    for (acl, says) in [
        (r#"["anna may stage/#"]"#, "<user or *> read|write|deny <filter>"),
        (r#"["* read a/#/b"]"#, "# is not the last level"),
        (r#"["* deny $share/g/a"]"#, "shared subscription"),
    ] {
        let ended = Home::new().set("DMX_MQTT_ACL", acl).run(&["--check"]).await;
        assert_eq!(ended.code, Some(2), "{acl}");
        assert!(ended.stderr.contains("DMX_MQTT_ACL") && ended.stderr.contains(says), "{acl}: {}", ended.stderr);
    }
    let ended = Home::new().set("DMX_MQTT_ANONYMOUS", "some").run(&["--check"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("all, devices or none"), "{}", ended.stderr);
}

#[tokio::test]
async fn keys_that_can_be_guessed_are_a_problem_and_no_fault() {
    let named = || Home::new().set("DMX_MQTT_USERNAME", "stage");
    for (home, says) in [
        (named(), Some("has no password")),
        (named().set("DMX_MQTT_PASSWORD", "fifteen-letters"), Some("shorter than 16")),
        (Home::new().set("DMX_AUTH_KEYS", "fifteen-letters,a-key-of-sixteen"), Some("shorter than 16")),
        (named().set("DMX_MQTT_PASSWORD", "sixteen-letters-").set("DMX_AUTH_KEYS", KEY), None),
    ] {
        let ended = home.run(&["--check"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(says.is_some_and(|says| ended.stderr.contains(says)), says.is_some(), "{}", ended.stderr);
        assert!(!ended.stderr.contains("fifteen-letters"));
        let appliance = home.start().await;
        let problems = appliance.web().problems().await;
        assert_eq!(problems.contains(&"WEAK_KEY".to_owned()), says.is_some(), "{problems:?}");
        assert_eq!(appliance.web().get("/readyz").await.status, 200);
    }
}
