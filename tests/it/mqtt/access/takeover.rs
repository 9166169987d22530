//! Sessions belong to somebody: nobody else ends their connection, or gets what waits for them.

use super::{KEY, boss, locked, make};
use crate::harness::{Connect5, Home, Link5, Message5};

#[tokio::test]
async fn a_stranger_neither_takes_over_nor_resumes_somebody_elses_session() {
    let appliance = locked().set("DMX_MQTT_ANONYMOUS", "devices").start().await;
    let (anna, eva) = (make(&appliance, "Anna", "operate").await, make(&appliance, "Eva", "edit").await);
    let kept = |made: &super::Made| Connect5::kept("desk", 3600).login(&made.name, &made.key);
    let mut hers = Link5::join(appliance.mqtt, &kept(&anna)).await;
    hers.subscribe("home/#", 1).await;
    for stranger in [kept(&eva), kept(&eva).clean(), Connect5::new("desk"), Connect5::kept("desk", 3600)] {
        let (_, welcome) = Link5::connect(appliance.mqtt, &stranger).await;
        assert_eq!(welcome.code, 0x85, "{stranger:?}");
    }
    assert_eq!(hers.messages().await, [], "she is still there");
    hers.reset();
    let mut boss = boss(&appliance).await;
    boss.say("home/door", "open").await;
    for stranger in [kept(&eva), kept(&eva).clean(), Connect5::new("desk")] {
        assert_eq!(Link5::connect(appliance.mqtt, &stranger).await.1.code, 0x85, "{stranger:?}");
    }
    let appliance = appliance.restart().await;
    assert_eq!(Link5::connect(appliance.mqtt, &kept(&eva).clean()).await.1.code, 0x85, "also after a restart");
    let (mut back, present) = Link5::resume(appliance.mqtt, &kept(&anna)).await;
    assert!(present);
    assert_eq!(back.texts().await, ["open"]);
    let (mut again, present) = Link5::resume(appliance.mqtt, &kept(&anna)).await;
    assert!(present, "she takes over from herself");
    assert_eq!(back.end().await.map(|(code, _)| code), Some(0x8e));
    let admin = Connect5::kept("desk", 3600).login("any", KEY);
    let (mut admins, present) = Link5::resume(appliance.mqtt, &admin).await;
    assert!(present && again.end().await.is_some(), "an admin may");
    admins.messages().await;
}

#[tokio::test]
async fn a_device_gets_the_session_of_its_name_from_whoever_had_it() {
    let appliance = locked().set("DMX_MQTT_ANONYMOUS", "devices").start().await;
    let mut unnamed = Link5::join(appliance.mqtt, &Connect5::kept("lamp", 3600)).await;
    unnamed.subscribe_all(&[("v1/devices/lamp/#", 1), ("v1/demo/rgb/state", 1)], &[]).await;
    // from here on the client id is a device's, and the one without a login has to go
    let lamp = make(&appliance, "lamp", "device").await;
    assert_eq!(unnamed.end().await.map(|(code, _)| code), Some(0x87));
    assert_eq!(Link5::connect(appliance.mqtt, &Connect5::new("lamp")).await.1.code, 0x85);
    let mut boss = boss(&appliance).await;
    boss.say("v1/devices/lamp/do", "blink").await;
    let with_key = Connect5::kept("lamp", 3600).login("lamp", &lamp.key);
    let (link, present) = Link5::resume(appliance.mqtt, &with_key).await;
    assert!(present, "it goes on with what it had");
    link.reset();
    // an admin in between does not lock it out
    Link5::join(appliance.mqtt, &Connect5::kept("lamp", 3600).login("any", KEY)).await.leave().await;
    let (_, present) = Link5::resume(appliance.mqtt, &with_key).await;
    assert!(present);
}

#[tokio::test]
async fn in_audit_mode_a_client_takes_over_as_it_always_did() {
    let appliance = Home::new().set("DMX_AUTH_KEYS", KEY).start().await;
    let lamp = make(&appliance, "lamp", "device").await;
    let mut first = Link5::join(appliance.mqtt, &Connect5::kept("lamp", 3600).login("lamp", &lamp.key)).await;
    let (mut second, present) = Link5::resume(appliance.mqtt, &Connect5::kept("lamp", 3600)).await;
    assert!(present);
    assert_eq!(first.end().await.map(|(code, _)| code), Some(0x8e));
    second.publish(&Message5::new("home/door", "open")).await;
}
