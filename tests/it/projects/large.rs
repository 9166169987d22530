//! A show of nearly 8 MiB beside commands.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{create, fresh, list, select};
use crate::harness::{HEADROOM, Web, colour, command};

/// An apply takes less than 100 ms (CONTRACT, section 9).
const APPLY: Duration = Duration::from_millis(100);

/// Imports of the large show beside commands.
const TIMES: u32 = 3;

/// A show of about 7.9 MiB.
fn large(mark: u32) -> Value {
    let fixture = |n: u32| json!({"id": n, "mark": mark, "notes": "abcdefgh".repeat(30), "levels": [n, n + 1, n + 2]});
    let file = json!({"mark": mark, "fixtures": (0..27_000).map(fixture).collect::<Vec<_>>(), "scenes": super::marked(mark.into())["scenes"]});
    let bytes = file.to_string().len();
    assert!((7_800_000..8 << 20).contains(&bytes), "{bytes} bytes");
    file
}

/// Sends commands one after the other until it is aborted; gives how long each answer took.
async fn commands(web: Web, took: std::sync::mpsc::Sender<Duration>) {
    for n in 0.. {
        let start = Instant::now();
        web.accepted(&command(colour(n))).await;
        took.send(start.elapsed()).expect("somebody reads");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_show_of_8_mib_is_kept_and_delays_no_command() {
    let appliance = fresh().await;
    let web = appliance.web();
    let (sender, took) = std::sync::mpsc::channel();
    let load = tokio::spawn(commands(Web::new(appliance.http), sender));
    for mark in 0..TIMES {
        let (file, start) = (large(mark), Instant::now());
        let answer = web.post("/import", file.to_string()).await;
        assert_eq!((answer.status, &answer.json()["mark"]), (200, &json!(mark)));
        println!("import of {} bytes: {:?}", file.to_string().len(), start.elapsed());
        assert_eq!(web.problems().await, Vec::<String>::new());
    }
    let start = Instant::now();
    let copy = create(&web, json!({"name": "Copy", "templateId": "default"})).await;
    println!("clone: {:?}", start.elapsed());
    select(&web, &copy).await;
    select(&web, "default").await;
    println!("clone and two selects: {:?}", start.elapsed());
    load.abort();
    assert!(load.await.unwrap_err().is_cancelled(), "every command was accepted");
    let mut took: Vec<_> = took.into_iter().collect();
    took.sort();
    let p99 = took[took.len() * 99 / 100];
    println!(
        "{} commands meanwhile: p50 {:?}, p99 {p99:?}, slowest {:?}",
        took.len(),
        took[took.len() / 2],
        took.last()
    );
    assert!(took.len() >= 100, "commands went on: {}", took.len());
    assert!(p99 < APPLY * HEADROOM, "{p99:?}");
    assert_eq!(web.problems().await, Vec::<String>::new());
    assert_eq!(appliance.log.find(|line| line["message"] == "storage_in_ram"), None, "the card was never given up");

    let before = web.get("/export").await.json();
    let appliance = appliance.kill9().await.start().await;
    let web = appliance.web();
    assert_eq!(super::without_time(web.get("/export").await.json()), super::without_time(before.clone()));
    assert_eq!(before["fixtures"], large(TIMES - 1)["fixtures"]);
    assert_eq!(super::ids(&list(&web).await), ["default", &copy]);
    select(&web, &copy).await;
    assert_eq!(super::without_time(web.get("/export").await.json()), super::without_time(before));
    assert_eq!(web.problems().await, Vec::<String>::new());
}
