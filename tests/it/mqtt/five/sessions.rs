//! How long sessions are kept, and what begins a new one.

use std::time::{Duration, Instant};

use crate::harness::{
    Appliance, Connect, Connect5, Home, Link, Link5, Message5, Property, Value, disconnect5, eventually, find,
    older_than, property,
};

fn expiry_in(properties: &[Property]) -> Option<Value> {
    find(properties, &property::session_expiry(0))
}

/// Whether there is a session to come back to.
async fn is_there(appliance: &Appliance, id: &str) -> bool {
    let connect = Connect5 { clean: false, ..Connect5::new(id) };
    Link5::resume(appliance.mqtt, &connect).await.1
}

#[tokio::test]
async fn a_session_is_kept_for_as_long_as_connect_asks() {
    let appliance = Appliance::start().await;
    for (connect, is_kept) in
        [(Connect5::new("none"), false), (Connect5::kept("0", 0), false), (Connect5::kept("60", 60), true)]
    {
        let connect = Connect5 { clean: false, ..connect };
        let (link, present) = Link5::resume(appliance.mqtt, &connect).await;
        assert!(!present);
        link.leave().await;
        assert_eq!(is_there(&appliance, &connect.id).await, is_kept, "{connect:?}");
    }
    Link5::join(appliance.mqtt, &Connect5::kept("short", 1)).await.leave().await;
    eventually("its end", async || {
        appliance.log.find(|line| {
            line["clientId"] == "short"
                && line["message"].as_str().is_some_and(|text| text.starts_with("session_expired"))
        })
    })
    .await;
    assert!(!is_there(&appliance, "short").await);
}

#[tokio::test]
async fn a_client_is_told_when_its_session_is_kept_for_a_shorter_time_than_it_asked_for() {
    let appliance = Home::new().set("DMX_MQTT_SESSION_EXPIRY_DAYS", "1").start().await;
    for (asked, told) in [(86_400, None), (86_401, Some(86_400)), (u32::MAX, Some(86_400))] {
        let (_, welcome) = Link5::connect(appliance.mqtt, &Connect5::kept("a", asked)).await;
        assert_eq!(expiry_in(&welcome.properties), told.map(Value::Four), "{asked}");
    }
}

#[tokio::test]
async fn disconnect_may_change_how_long_a_session_is_kept_but_not_make_it_one() {
    let appliance = Appliance::start().await;
    let link = Link5::join(appliance.mqtt, &Connect5::kept("ends", 60)).await;
    link.leave_with(0, &[property::session_expiry(0)]).await;
    assert!(!is_there(&appliance, "ends").await);

    let begun = Instant::now();
    let link = Link5::join(appliance.mqtt, &Connect5::kept("stays", 1)).await;
    link.leave_with(0, &[property::session_expiry(60)]).await;
    older_than(begun, Duration::from_secs(2)).await;
    assert!(is_there(&appliance, "stays").await);

    let mut link = Link5::join(appliance.mqtt, &Connect5::new("never")).await;
    link.send(&disconnect5(0, &[property::session_expiry(60)])).await;
    let (code, why) = link.end().await.expect("a DISCONNECT");
    assert_eq!(code, 0x82);
    assert!(why.is_some_and(|why| why.contains("session expiry")));
    assert!(!is_there(&appliance, "never").await);
    let mut link = Link5::join(appliance.mqtt, &Connect5::new("zero")).await;
    link.send(&disconnect5(0, &[property::session_expiry(0)])).await;
    assert_eq!(link.end().await, None, "0 stays 0");
}

#[tokio::test]
async fn a_session_ages_while_the_process_is_dead() {
    let appliance = Appliance::start().await;
    for (id, seconds) in [("short", 2), ("long", 60), ("ever", u32::MAX)] {
        let mut link = Link5::join(appliance.mqtt, &Connect5::kept(id, seconds)).await;
        link.subscribe("a", 1).await;
        link.leave().await;
    }
    let away = Instant::now();
    let home = appliance.kill9().await;
    older_than(away, Duration::from_secs(3)).await;
    let appliance = home.start().await;
    assert!(!is_there(&appliance, "short").await);
    assert!(is_there(&appliance, "long").await && is_there(&appliance, "ever").await);
}

#[tokio::test]
async fn a_clean_start_forgets_the_old_session_and_keeps_the_new_one() {
    let appliance = Appliance::start().await;
    let connect = Connect5::kept("a", 60);
    let mut link = Link5::join(appliance.mqtt, &connect).await;
    link.subscribe("old", 1).await;
    link.leave().await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    sender.say("old", "waits").await;
    let (mut link, present) = Link5::resume(appliance.mqtt, &connect.clone().clean()).await;
    assert!(!present);
    link.subscribe("new", 1).await;
    link.leave().await;
    sender.say("old", "1").await;
    sender.say("new", "2").await;
    let appliance = appliance.kill9().await.start().await;
    let (mut link, present) = Link5::resume(appliance.mqtt, &connect).await;
    assert!(present);
    assert_eq!(link.texts().await, ["2"]);
}

#[tokio::test]
async fn what_waited_for_a_forgotten_session_does_not_come_to_the_next_one_after_a_kill() {
    let appliance = Appliance::start().await;
    for id in ["forgetful", "other"] {
        let mut link = Link5::join(appliance.mqtt, &Connect5::kept(id, 60)).await;
        link.subscribe("a", 1).await;
        link.leave().await;
    }
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    sender.say("a", "old").await;
    Link5::join(appliance.mqtt, &Connect5::kept("forgetful", 60).clean()).await.leave().await;
    let appliance = appliance.kill9().await.start().await;
    let (mut link, present) = Link5::resume(appliance.mqtt, &Connect5::kept("forgetful", 60)).await;
    assert!(present);
    assert_eq!(link.texts().await, [""; 0]);
    let (mut link, _) = Link5::resume(appliance.mqtt, &Connect5::kept("other", 60)).await;
    assert_eq!(link.texts().await, ["old"]);
}

#[tokio::test]
async fn a_session_goes_on_whatever_version_its_client_comes_back_with() {
    let appliance = Appliance::start().await;
    let mut old = Link::join(appliance.mqtt, &Connect::new("a").persistent()).await;
    old.subscribe("a", 2).await;
    old.leave().await;
    let mut sender = Link5::join(appliance.mqtt, &Connect5::new("sender")).await;
    let content = property::content_type("x");
    sender.publish(&Message5::new("a", "1").with(content.clone())).await;
    let (mut five, present) = Link5::resume(appliance.mqtt, &Connect5::kept("a", 60)).await;
    let came = five.message().await;
    assert_eq!((present, came.text().as_str(), came.properties), (true, "1", vec![content.clone()]));
    five.leave().await;
    sender.publish(&Message5::new("a", "2").qos(2).with(content)).await;
    let (mut old, answer) = Link::connect(appliance.mqtt, &Connect::new("a").persistent().v3()).await;
    assert_eq!(answer, Ok(false), "3.1 has no such flag");
    let came = old.message().await;
    assert_eq!((came.text().as_str(), came.qos), ("2", 2));
}
