//! The clean stop: how long it may take, and what clients hear before the doors close.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Appliance, CMD, Connect, Home, Link, PRESENCE, STATE, colour, command};

/// CONTRACT: the stop takes less than 2 s. No headroom: the fault here was a wait of one second too many.
const DRAIN: Duration = Duration::from_secs(2);

/// Stops, and gives how long it took.
async fn stop(appliance: Appliance) -> (Duration, Home) {
    let start = Instant::now();
    let (status, home) = appliance.terminate().await;
    assert_eq!(status.code(), Some(0));
    println!("the stop took {:?}", start.elapsed());
    (start.elapsed(), home)
}

/// An appliance that syncs only once a minute, after one command.
async fn commanded() -> Appliance {
    let appliance = Home::new().set("DMX_STORAGE_FLUSH_MS", "60000").start().await;
    appliance.web().accepted(&command([1, 2, 3])).await;
    appliance
}

#[tokio::test]
async fn an_idle_stop_does_not_wait_for_the_next_flush() {
    let (took, home) = stop(commanded().await).await;
    assert!(took < DRAIN / 2, "{took:?}");
    assert_eq!(home.start().await.web().seq().await, 1);
}

#[tokio::test]
async fn nobody_is_late_at_an_idle_stop() {
    let mut appliance = commanded().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.subscribe(STATE, 1).await;
    appliance.signal(Signal::TERM);
    assert_eq!(appliance.ended().await.code(), Some(0));
    let late: Vec<_> = appliance.log.all().into_iter().filter(|line| line.contains("stop_late")).collect();
    assert!(late.is_empty(), "{late:?}");
}

#[tokio::test]
async fn a_stop_beside_half_a_post_and_a_reader_that_does_not_read_is_in_time() {
    let appliance = commanded().await;
    let mut half = Link::open(appliance.http).await;
    half.send(b"POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{").await;
    let mut deaf = Link::join(appliance.mqtt, &Connect::new("deaf")).await;
    deaf.subscribe("#", 1).await;
    let mut publisher = Link::join(appliance.mqtt, &Connect::new("publisher")).await;
    // 24 MB: more than any buffer between here and there.
    for _ in 0..400 {
        publisher.publish("a", &[7; 60_000]).await;
    }
    let (took, home) = stop(appliance).await;
    assert!(took < DRAIN, "{took:?}");
    drop((half, deaf));
    assert_eq!(home.start().await.web().seq().await, 1);
}

#[tokio::test]
async fn a_subscriber_that_is_behind_hears_everything_and_the_farewell() {
    const CHANGES: u32 = 150; // more than a client gets without answering
    let mut appliance = Appliance::start().await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.acknowledge(false);
    esp.subscribe_all(&[(STATE, 1), (PRESENCE, 1)]).await;
    let mut producer = Link::join(appliance.mqtt, &Connect::new("producer")).await;
    for n in 1..=CHANGES {
        producer.publish(CMD, command(colour(n)).to_string().as_bytes()).await;
    }
    let mut witness = Link::join(appliance.mqtt, &Connect::new("witness")).await;
    witness.subscribe(PRESENCE, 1).await;
    assert_eq!(witness.message().await.text(), r#"{"online":true}"#);
    appliance.signal(Signal::TERM);
    // only now does it begin to read: the stop has come to its last words
    assert_eq!(witness.message().await.text(), r#"{"online":false}"#);
    witness.closed().await;

    esp.acknowledge(true);
    let (mut seqs, mut presence) = (Vec::new(), Vec::new());
    while presence.last().is_none_or(|last| last != r#"{"online":false}"#) {
        let message = esp.message().await;
        if message.topic == STATE {
            seqs.push(message.json()["seq"].as_u64().unwrap());
        } else {
            presence.push(message.text());
        }
    }
    esp.closed().await;
    assert_eq!(seqs, (0..=u64::from(CHANGES)).collect::<Vec<_>>());
    assert_eq!(presence, [r#"{"online":true}"#, r#"{"online":false}"#]);
    assert_eq!(appliance.ended().await.code(), Some(0));
}
