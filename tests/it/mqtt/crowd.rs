//! A full house: as many clients as the default settings let in, all at the same moment.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{Appliance, CMD, Connect, HEADROOM, Link, STATE, command, eventually_within, rgb_of};

/// `mqtt.max_connections` by default.
const CROWD: u32 = 1000;

/// Issue: this many connect in less than this.
const LIMIT: Duration = Duration::from_secs(2);

/// How long what they took may stay with dmxd once they have left.
const GIVEN_BACK: Duration = Duration::from_secs(60);

/// Every second one has a session to keep.
fn guest(n: u32) -> Connect {
    let connect = Connect::new(&format!("guest-{n}"));
    if n.is_multiple_of(2) { connect.persistent() } else { connect }
}

/// Everything at once.
async fn all<T: Send + 'static>(tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

/// The next state has this number and colour.
async fn hears(link: &mut Link, seq: u64, rgb: [u8; 3]) {
    let message = link.message().await;
    let state = message.json();
    assert_eq!((message.topic.as_str(), &state["seq"], rgb_of(&state)), (STATE, &seq.into(), rgb));
}

/// Everybody connects at the first attempt and gets the state; a session that is present gets it without asking.
async fn enters(broker: SocketAddr, back: bool, seq: u64, rgb: [u8; 3]) -> Vec<Link> {
    let begun = Instant::now();
    let crowd = all((0..CROWD).map(|n| async move {
        let (mut link, present) = Link::connect(broker, &guest(n)).await;
        let kept = back && n.is_multiple_of(2);
        assert_eq!(present, Ok(kept), "guest-{n}");
        if !kept {
            assert_eq!(link.subscribe(STATE, 1).await, 1);
        }
        hears(&mut link, seq, rgb).await;
        link
    }))
    .await;
    let took = begun.elapsed();
    println!("{CROWD} clients are there and have the state after {took:?}");
    assert!(took < LIMIT * HEADROOM, "{took:?}");
    crowd
}

/// One of them sends a colour, everybody sees it.
async fn sees(mut crowd: Vec<Link>, seq: u64, rgb: [u8; 3]) -> Vec<Link> {
    let begun = Instant::now();
    crowd[0].publish(CMD, command(rgb).to_string().as_bytes()).await;
    let crowd = all(crowd.into_iter().map(|mut link| async move {
        hears(&mut link, seq, rgb).await;
        link
    }))
    .await;
    println!("all have the next state after {:?}", begun.elapsed());
    crowd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_come_at_once_and_again_after_a_kill_and_all_have_the_light() {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let appliance = Appliance::start().await;

    let crowd = enters(appliance.mqtt, false, 0, [0; 3]).await;
    let crowd = sees(crowd, 1, [1, 2, 3]).await;
    assert_eq!(appliance.web().metric("dmx_broker_clients").await, f64::from(CROWD));

    let home = appliance.kill9().await;
    all(crowd.into_iter().map(|mut link| async move { link.closed().await })).await;
    let appliance = home.start().await;

    let crowd = enters(appliance.mqtt, true, 1, [1, 2, 3]).await;
    let mut crowd = sees(crowd, 2, [4, 5, 6]).await;
    for link in &mut crowd {
        assert_eq!(link.messages().await, [], "nothing came twice");
    }
    assert_eq!(appliance.web().metric("dmx_broker_connections_refused_total").await, 0.0, "nobody had to try again");
    assert_eq!(appliance.web().metric("dmx_broker_messages_dropped_total").await, 0.0);
}

/// More than the writer of changes writes to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_hears_every_state_in_order_while_commands_come_as_fast_as_they_are_acknowledged() {
    let appliance = Appliance::start().await;
    let crowd = all((0..60).map(|n| {
        let broker = appliance.mqtt;
        async move {
            let (mut link, _) = Link::connect(broker, &Connect::new(&format!("guest-{n}"))).await;
            assert_eq!(link.subscribe(STATE, 1).await, 1);
            hears(&mut link, 0, [0; 3]).await;
            link
        }
    }))
    .await;
    let hear = crowd.into_iter().map(|mut link| async move {
        for seq in 1..=200u8 {
            hears(&mut link, seq.into(), [seq, 0, 255 - seq]).await;
        }
    });
    let hearing = tokio::spawn(all(hear));
    let (mut speaker, _) = Link::connect(appliance.mqtt, &Connect::new("speaker")).await;
    for seq in 1..=200u8 {
        speaker.publish(CMD, command([seq, 0, 255 - seq]).to_string().as_bytes()).await;
    }
    hearing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_thousand_clients_took_is_given_back_within_a_minute_after_they_have_left() {
    let appliance = Appliance::start().await;
    let broker = appliance.mqtt;
    let comes = |n| async move {
        let mut link = Link::join(broker, &Connect::new(&format!("guest-{n}"))).await;
        link.subscribe("guests", 1).await;
        link
    };
    let before = appliance.own_memory_kib();
    let crowd = all((0..CROWD).map(comes)).await;
    let with = appliance.own_memory_kib();
    all(crowd.into_iter().map(Link::leave)).await;
    let mut least = with;
    let given_back = eventually_within(GIVEN_BACK, "the memory to be given back", async || {
        let now = appliance.own_memory_kib();
        if now < least {
            println!("{before} KiB, {with} with {CROWD} clients, {now} after they have left");
            least = now;
        }
        (least <= before + (with - before) / 2).then_some(())
    });
    given_back.await;
}
