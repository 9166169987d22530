//! A peer that does not behave like OLA: nobody waits for it, and none of its answers counts as success.

use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use super::{down, errors, metric, said, sending_to};
use crate::harness::{FakeOla, HEADROOM, LATE, Mood, Posted, colour, command, eventually};

/// CONTRACT section 8.
const TIME_OUT: Duration = Duration::from_millis(500);

/// Requests that are looked at.
const TRIES: usize = 5;

/// A command waits for nobody: far below the time-out.
const PROMPT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_black_hole_delays_no_command_and_has_the_last_light_when_it_is_none_any_more() {
    let ola = FakeOla::start(Mood::BlackHole).await;
    let appliance = sending_to(&ola.url()).start().await;
    let web = appliance.web();
    let (mut times, mut n) = (Vec::new(), 0);
    let has_ended = |posted: &Posted| posted.ended.is_some();
    while n < 100 || ola.posted().iter().filter(|posted| has_ended(posted)).count() < TRIES {
        n += 1;
        let start = Instant::now();
        web.accepted(&command(colour(n))).await;
        times.push(start.elapsed());
    }
    times.sort();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{n} commands beside a black hole: p50 {p50:?}, p99 {p99:?}");
    assert!(p50 < PROMPT && p99 < PROMPT * HEADROOM, "p50 {p50:?}, p99 {p99:?}");

    let tries = &ola.wait_ended(TRIES).await[..TRIES];
    for posted in tries {
        assert!(posted.took() < TIME_OUT * HEADROOM, "given up after {:?}", posted.took());
        assert_eq!(posted.in_flight, 1);
    }
    // 250 ms, 500 ms, 1 s and 2 s, each up to a quarter shorter; if they did not grow, they would be 1 s in all
    let least = TIME_OUT * 4 + Duration::from_millis(3_750) * 3 / 4;
    let took = tries[TRIES - 1].at - tries[0].at;
    assert!(took + LATE > least, "four tries and their pauses took {took:?}, {least:?} at the least");
    assert_eq!(said(&appliance, "ola_error"), 1, "said once, not at every try");
    assert!(down(&web).await[0].contains("no answer within 500 ms"), "{:?}", down(&web).await);

    ola.turn(Mood::Ok);
    web.accepted(&command([7, 77, 177])).await;
    ola.wait_light(1, [7, 77, 177]).await;
    eventually("no problem left", async || down(&web).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = FakeOla::start(Mood::Ok).await;
    let location = elsewhere.url();
    let redirect =
        |status| Mood::Says(format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\nok"));
    let ola = FakeOla::start(redirect("302 Found")).await;
    let appliance = sending_to(&ola.url()).start().await;
    ola.wait_ended(2).await;
    ola.turn(redirect("307 Temporary Redirect")); // that one would keep the body
    ola.wait_ended(3).await;
    eventually("the third error", async || (errors(&appliance, "answer").await >= 3.0).then_some(())).await;
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(metric(&appliance, "frames_total").await, 0.0);
    assert!(down(&appliance.web()).await[0].contains("another page"), "{:?}", down(&appliance.web()).await);
}

#[tokio::test]
async fn only_the_word_ok_is_success() {
    for body in ["nope", "", "ok?", "not ok", "<html>ok</html>"] {
        let says = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let ola = FakeOla::start(Mood::Says(says)).await;
        let appliance = sending_to(&ola.url()).start().await;
        eventually("an error", async || (errors(&appliance, "answer").await >= 1.0).then_some(())).await;
        assert_eq!(metric(&appliance, "frames_total").await, 0.0, "{body:?}");
        assert!(down(&appliance.web()).await[0].contains("without the word ok"), "{body:?}");
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut() {
    tokio::join!(is_cut(Mood::Endless), is_cut(Mood::EndlessHead), is_cut(Mood::Drip));
}

async fn is_cut(mood: Mood) {
    let ola = FakeOla::start(mood.clone()).await;
    let appliance = sending_to(&ola.url()).start().await;
    let before = appliance.peak_memory_mib();
    for posted in &ola.wait_ended(3).await[..3] {
        assert!(posted.took() < TIME_OUT * HEADROOM, "{mood:?} went on for {:?}", posted.took());
    }
    let grown = appliance.peak_memory_mib() - before;
    assert!(grown < 16, "{mood:?}: {grown} MiB more");
    assert_eq!(metric(&appliance, "frames_total").await, 0.0, "{mood:?} is no success");
    ola.turn(Mood::Ok);
    appliance.web().accepted(&command([1, 2, 3])).await;
    ola.wait_light(1, [1, 2, 3]).await;
}

#[tokio::test]
async fn an_address_where_nobody_listens_says_what_to_do() {
    // bound but not listening, so nobody else gets the port meanwhile
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = format!("http://{}/set_dmx", nobody.local_addr().unwrap());
    let appliance = sending_to(&gone).start().await;
    let problem = eventually("the problem", async || down(&appliance.web()).await.pop()).await;
    assert!(problem.contains(&gone) && problem.contains("start olad"), "{problem}");
    eventually("a third try", async || (errors(&appliance, "open").await >= 3.0).then_some(())).await;
    assert_eq!(said(&appliance, "ola_error"), 1);
}
