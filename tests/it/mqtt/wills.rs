//! Last wills: when they are published, and when not.

use std::time::Duration;

use crate::harness::{Appliance, Connect, HEADROOM, Link, eventually_within};

/// Keep-alive 1 s times 1.5 [MQTT-3.1.2-24].
const EXPIRY: Duration = Duration::from_millis(1500);

async fn witness(appliance: &Appliance) -> Link {
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("will", 1), ("marker", 1)]).await;
    witness
}

#[tokio::test]
async fn a_will_is_published_when_the_socket_dies() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let connect = Connect::new("esp").will("will", "gone", true);
    Link::join(appliance.mqtt, &connect).await.reset();
    assert_eq!(witness.message().await.text(), "gone", "after a reset");
    drop(Link::join(appliance.mqtt, &connect).await);
    assert_eq!(witness.message().await.text(), "gone", "after an end without DISCONNECT");

    let mut late = Link::join(appliance.mqtt, &Connect::new("late")).await;
    late.subscribe("will", 1).await;
    let kept = late.message().await;
    assert_eq!((kept.text().as_str(), kept.retain, kept.qos), ("gone", true, 1), "a retained will is kept");
}

#[tokio::test]
async fn a_will_is_published_when_the_protocol_is_broken() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").will("will", "gone", false)).await;
    esp.send(&[0xF0, 0x00]).await;
    assert_eq!(witness.message().await.text(), "gone");
}

#[tokio::test]
async fn no_will_is_published_after_a_disconnect() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    Link::join(appliance.mqtt, &Connect::new("esp").will("will", "gone", false)).await.leave().await;
    // Taking over the id makes sure that the first session has ended.
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish("marker", b"").await;
    assert_eq!(witness.until("marker").await, []);
}

#[tokio::test]
async fn a_silent_client_expires_also_while_it_is_sent_messages() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let connect = Connect::new("esp").keep_alive(1).will("will", "gone", false);
    let mut esp = Link::join(appliance.mqtt, &connect).await;
    esp.subscribe("traffic", 0).await; // QoS 0: nothing to acknowledge
    let mut chatter = Link::join(appliance.mqtt, &Connect::new("chatter")).await;
    eventually_within(EXPIRY * HEADROOM, "the will of the silent client", async || {
        chatter.publish("traffic", b"x").await;
        chatter.publish("marker", b"").await;
        witness.until("marker").await.iter().any(|message| message.topic == "will").then_some(())
    })
    .await;
    esp.closed().await;
}

#[tokio::test]
async fn a_client_that_pings_does_not_expire() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").keep_alive(1).will("will", "gone", false)).await;
    // Another client with the same keep-alive that stays silent is the clock: it expires, esp does not.
    let mut silent = Link::join(appliance.mqtt, &Connect::new("silent").keep_alive(1)).await;
    let mut expired = tokio::spawn(async move { silent.closed().await });
    eventually_within(EXPIRY * HEADROOM, "the silent one expires", async || {
        esp.ping().await;
        expired.is_finished().then_some(())
    })
    .await;
    (&mut expired).await.unwrap();
    esp.publish("marker", b"").await;
    assert_eq!(witness.until("marker").await, []);
}

#[tokio::test]
async fn no_more_than_keep_alive_and_a_half_passes_unnoticed() {
    let appliance = Appliance::start().await;
    let start = std::time::Instant::now();
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp").keep_alive(1)).await;
    esp.closed().await;
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1), "not before the keep-alive: {took:?}");
    assert!(took <= EXPIRY * HEADROOM, "{took:?}");
}
