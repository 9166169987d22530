//! Last wills with a delay, and what they carry.

use std::time::{Duration, Instant};

use crate::harness::{Appliance, Connect5, HEADROOM, Link5, Message5, eventually_within, older_than, property};

async fn witness(appliance: &Appliance) -> Link5 {
    let mut witness = Link5::join(appliance.mqtt, &Connect5::new("witness")).await;
    witness.subscribe("will", 2).await;
    witness
}

/// A client whose session is kept for so long, and whose will comes so late.
fn client(kept: u32, delay: u32) -> Connect5 {
    Connect5::kept("esp", kept).will(Message5::new("will", "gone").with(property::will_delay(delay)))
}

#[tokio::test]
async fn a_will_comes_after_its_delay_and_not_before() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let link = Link5::join(appliance.mqtt, &client(60, 1)).await;
    let died = Instant::now();
    link.reset();
    assert_eq!(witness.message().await.text(), "gone");
    let took = died.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(1) * HEADROOM, "{took:?}");
    Link5::join(appliance.mqtt, &client(60, 1)).await.leave().await;
    older_than(Instant::now(), Duration::from_secs(2)).await;
    assert_eq!(witness.messages().await, [], "it comes once, and not after DISCONNECT");
}

#[tokio::test]
async fn a_client_that_returns_to_its_session_in_time_takes_its_will_back() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let died = Instant::now();
    Link5::join(appliance.mqtt, &client(60, 2)).await.reset();
    let (mut back, _) = Link5::resume(appliance.mqtt, &client(60, 2)).await;
    // one more that takes over while the first is there
    let (link, present) = Link5::resume(appliance.mqtt, &Connect5::kept("esp", 60)).await;
    assert!(present);
    assert_eq!(back.end().await.map(|(code, _)| code), Some(0x8e));
    older_than(died, Duration::from_millis(3500)).await;
    assert_eq!(witness.messages().await, []);
    link.leave().await;
}

#[tokio::test]
async fn a_will_comes_at_once_when_its_session_ends_before_its_delay() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let long = Duration::from_secs(60);
    // the session ends with the connection
    Link5::join(appliance.mqtt, &client(0, 100)).await.reset();
    eventually_within(long, "the will of a session that is not kept", async || witness.texts().await.pop()).await;
    // the newcomer does not want it, when it is away and when it is there
    Link5::join(appliance.mqtt, &client(600, 100)).await.reset();
    let _link = Link5::join(appliance.mqtt, &client(600, 100).clean()).await;
    eventually_within(long, "the will of the session before", async || witness.texts().await.pop()).await;
    let _next = Link5::join(appliance.mqtt, &client(600, 100).clean()).await;
    eventually_within(long, "the will of the one taken over", async || witness.texts().await.pop()).await;
    drop(_next);
    // the session expires first
    Link5::join(appliance.mqtt, &client(1, 100).clean()).await.reset();
    witness.message().await;
    eventually_within(long, "the will of a session that expired", async || witness.texts().await.pop()).await;
}

#[tokio::test]
async fn a_client_may_leave_with_its_will() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let will = Message5::new("will", "gone");
    for (code, comes) in [(0x04, true), (0x00, false), (0x81, true)] {
        let connect = Connect5::new("esp").will(will.clone());
        Link5::join(appliance.mqtt, &connect).await.leave_with(code, &[]).await;
        assert_eq!(witness.messages().await.len(), usize::from(comes), "{code:#x}");
    }
    // not after its delay either
    let link = Link5::join(appliance.mqtt, &client(60, 1)).await;
    let left = Instant::now();
    link.leave_with(0x04, &[]).await;
    assert_eq!(witness.message().await.text(), "gone");
    assert!(left.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_a_will_carries_comes_with_it() {
    let appliance = Appliance::start().await;
    let mut witness = witness(&appliance).await;
    let carried = [
        property::user("a", "1"),
        property::content_type("json"),
        property::user("a", "1"),
        property::response_topic("answers"),
        property::correlation_data(b"\0\x01"),
        property::payload_format(1),
    ];
    for (kept, delay) in [(0, 0), (60, 1)] {
        let mut will = Message5::new("will", "gone").qos(2).retained();
        will.properties.extend(carried.clone());
        let will = will.with(property::message_expiry(50)).with(property::will_delay(delay));
        Link5::join(appliance.mqtt, &Connect5::kept("esp", kept).will(will)).await.reset();
        let came = witness.message().await;
        let expected = [&[property::message_expiry(50)][..], &carried].concat();
        assert_eq!((came.qos, came.retain, came.properties), (2, false, expected), "{delay}");
    }
    let mut late = Link5::join(appliance.mqtt, &Connect5::new("late")).await;
    late.subscribe("will", 1).await;
    let kept = late.message().await;
    assert_eq!((kept.retain, &kept.properties[1..]), (true, &carried[..]));
}

#[tokio::test]
async fn the_delay_of_a_client_that_had_gone_goes_on_while_the_process_is_dead() {
    let appliance = Appliance::start().await;
    Link5::join(appliance.mqtt, &client(600, 3)).await.reset();
    let died = Instant::now();
    crate::harness::eventually("its end is noticed", async || {
        appliance.log.find(|line| line["message"] == "mqtt_disconnect" && line["clientId"] == "esp")
    })
    .await;
    let mut keeper = Link5::join(appliance.mqtt, &Connect5::kept("keeper", 60)).await;
    keeper.subscribe("will", 1).await;
    keeper.leave().await;
    let appliance = appliance.kill9().await.start().await;
    let mut keeper = Link5::join(appliance.mqtt, &Connect5::kept("keeper", 60)).await;
    assert_eq!(keeper.message().await.text(), "gone");
    let took = died.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert!(took < Duration::from_secs(9), "it is not the time that a client has that was there: {took:?}");
}

#[tokio::test]
async fn a_client_that_returns_after_a_kill_takes_its_will_back() {
    let appliance = Appliance::start().await;
    // it has 10 s and the delay
    let link = Link5::join(appliance.mqtt, &client(600, 2).keep_alive(1)).await;
    let appliance = appliance.kill9().await.start().await;
    drop(link);
    let started = Instant::now();
    let mut witness = witness(&appliance).await;
    let (link, present) = Link5::resume(appliance.mqtt, &Connect5::kept("esp", 600)).await;
    assert!(present);
    older_than(started, Duration::from_secs(13)).await;
    assert_eq!(witness.messages().await, []);
    link.leave().await;
}

#[tokio::test]
async fn a_clean_start_ends_the_delay_of_a_will_also_after_a_restart() {
    let appliance = Appliance::start().await;
    Link5::join(appliance.mqtt, &client(600, 600)).await.leave_with(0x04, &[]).await;
    let appliance = appliance.restart().await;
    let mut witness = witness(&appliance).await;
    let _next = Link5::join(appliance.mqtt, &client(600, 600).clean()).await;
    assert_eq!(witness.message().await.text(), "gone");
}
