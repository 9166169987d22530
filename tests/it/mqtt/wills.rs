//! Last wills: when they are published, and when not.

use std::time::{Duration, Instant};

use crate::harness::{Appliance, Connect, HEADROOM, Link, Message, eventually_within};

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

/// How long a client has to come back after a start, at least (CONTRACT, section 10).
const COMES_BACK: Duration = Duration::from_secs(10);

/// The topics of what a witness hears up to the will of a client that has half a second longer to come back than others.
async fn fired(witness: &mut Link) -> Vec<(String, String)> {
    let fired = witness.until("will/last").await;
    let mut fired: Vec<_> = fired.iter().map(|message| (message.topic.clone(), message.text())).collect();
    fired.sort();
    fired
}

/// The same for a kill and for a clean stop: neither is the end of a client.
async fn wills_of_another_run(kill: bool) {
    const DEVICE: &str = "v1/devices/esp/state";
    let again = async |appliance: Appliance| {
        if kill { appliance.kill9().await.start().await } else { appliance.restart().await }
    };
    let with_will = |id: &str| Connect::new(id).keep_alive(1).will(&format!("will/{id}"), "gone", id == "kept");
    let last = Connect::new("last").keep_alive(7).will("will/last", "gone", false);
    let appliance = Appliance::start().await;
    let away = Connect::new("away").persistent();
    let mut link = Link::join(appliance.mqtt, &away).await;
    link.subscribe("will/#", 1).await;
    link.leave().await;
    Link::join(appliance.mqtt, &with_will("left")).await.leave().await;
    let mut device =
        Link::join(appliance.mqtt, &Connect::new("device").keep_alive(1).will(DEVICE, r#"{"online":false}"#, true))
            .await;
    device.retain(DEVICE, br#"{"online":true}"#).await;
    let mut here = vec![device];
    let kept = [with_will("back").persistent(), with_will("kept").persistent()];
    for connect in [last.clone(), with_will("clean")].into_iter().chain(kept) {
        here.push(Link::join(appliance.mqtt, &connect).await); // killed right after the last CONNACK
    }
    let start = Instant::now();
    let appliance = again(appliance).await;
    drop(here);
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe_all(&[("will/#", 1), (DEVICE, 1)]).await;
    let said = witness.message().await;
    assert_eq!((said.text().as_str(), said.retain), (r#"{"online":false}"#, true), "dmxd has said it already");
    let back = Link::join(appliance.mqtt, &Connect::new("back")).await;
    let expected = ["will/clean", "will/kept"].map(|topic| (topic.to_owned(), "gone".to_owned()));
    assert_eq!(fired(&mut witness).await, expected, "kill: {kill}");
    assert!(start.elapsed() >= COMES_BACK);
    drop((back, witness));

    let mut link = Link::join(appliance.mqtt, &away).await;
    let mut kept: Vec<_> = [link.message().await, link.message().await].iter().map(Message::text).collect();
    kept.push(link.message().await.topic);
    assert_eq!(kept, ["gone", "gone", "will/last"], "a session that is kept gets them too");
    link.leave().await;
    let _last = Link::join(appliance.mqtt, &last).await;
    let appliance = again(appliance).await;
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe("will/#", 1).await;
    let kept = witness.message().await;
    assert_eq!((kept.topic.as_str(), kept.retain), ("will/kept", true));
    assert_eq!(fired(&mut witness).await, [], "once is enough; kill: {kill}");
}

#[tokio::test]
async fn a_will_is_fired_by_the_next_start_after_a_kill_unless_its_client_comes_back() {
    Box::pin(wills_of_another_run(true)).await; // too large for a thread's stack
}

#[tokio::test]
async fn a_will_is_fired_by_the_next_start_after_a_stop_unless_its_client_comes_back() {
    Box::pin(wills_of_another_run(false)).await;
}
