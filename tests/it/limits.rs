//! The one budget: what clients can make the process hold is bounded, refused with a reason when it is full, and given back.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::harness::{Appliance, CMD, Connect, Home, Link, Message, WsWatcher, command, encode, eventually, patiently};

/// The budget of these tests, in MB.
const MEMORY: u64 = 64;

async fn small() -> Appliance {
    Home::new().set("DMX_LIMITS_MEMORY", format!("{MEMORY} MB")).start().await
}

/// Waits until `/readyz` reports that a kind is full; gives the message.
async fn full(appliance: &Appliance, kind: &str) -> String {
    eventually("MEMORY_FULL in /readyz", async || {
        let ready = appliance.web().get("/readyz").await.json();
        assert_eq!(ready["ready"], true, "it serves all the same");
        let message = |problem: &Value| {
            let full = problem["code"] == "MEMORY_FULL" && problem["message"].as_str()?.contains(kind);
            full.then(|| problem["message"].as_str().unwrap().to_owned())
        };
        ready["problems"].as_array()?.iter().find_map(message)
    })
    .await
}

async fn held(appliance: &Appliance, kind: &str) -> f64 {
    appliance.web().metric(&format!("dmx_memory_held_bytes{{kind=\"{kind}\"}}")).await
}

async fn all_given_back(appliance: &Appliance, kind: &str) {
    eventually(&format!("{kind} to be given back"), async || (held(appliance, kind).await == 0.0).then_some(())).await;
}

#[tokio::test]
async fn half_sent_packets_are_bounded_and_given_back() {
    const CLIENTS: usize = 400;
    let appliance = small().await;
    let before = appliance.memory_mib();
    let large = Message { topic: "a".into(), payload: vec![b'x'; 250_000], qos: 0, retain: false, dup: false, pkid: 0 };
    let large = encode::publish(&large);
    let mut links = Vec::new();
    for n in 0..CLIENTS {
        let mut link = Link::join(appliance.mqtt, &Connect::new(&format!("half-{n}"))).await;
        link.send_into_the_void(&large[..large.len() - 1]).await;
        links.push(link);
    }
    let words = full(&appliance, "MQTT packets").await;
    assert!(words.contains("127.0.0.1") && words.contains("limits.memory"), "{words}");
    appliance.assert_serves().await;
    let grown = appliance.peak_memory_mib() - before;
    println!("{CLIENTS} half packets of 250 kB: {grown} MiB more, {} MB held", held(&appliance, "packets").await / 1e6);
    // a quarter of the budget, the connections themselves, and what an allocator wastes
    assert!(grown < 60, "{grown} MiB more");
    for link in links {
        link.reset();
    }
    all_given_back(&appliance, "packets").await;
    let mut honest = Link::join(appliance.mqtt, &Connect::new("honest")).await;
    honest.subscribe("a", 0).await;
    honest.send(&large).await;
    assert_eq!(honest.message().await.payload.len(), 250_000);
    all_given_back(&appliance, "packets").await;
}

#[tokio::test]
async fn half_sent_bodies_are_bounded_and_a_command_passes_them() {
    let appliance = small().await;
    let mut links = Vec::new();
    for _ in 0..30 {
        links.push(half_a_body(appliance.http, 1_500_000).await);
    }
    let words = full(&appliance, "request bodies").await;
    assert!(words.contains("127.0.0.1"), "{words}");
    let refused = appliance.web().post("/import", show(100_000)).await;
    refused.problem(503);
    assert_eq!(refused.header("retry-after"), "1");
    appliance.web().accepted(&command([1, 2, 3])).await;
    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.publish(CMD, command([3, 2, 1]).to_string().as_bytes()).await;
    assert!(held(&appliance, "bodies").await <= (MEMORY << 20) as f64 / 4.0);
    drop(links);
    all_given_back(&appliance, "bodies").await;
    assert_eq!(appliance.web().post("/import", show(100_000)).await.status, 200);
    all_given_back(&appliance, "bodies").await;
}

#[tokio::test]
async fn a_document_of_too_many_values_is_refused_with_the_limit_in_words() {
    let appliance = small().await;
    let stored = appliance.web().post("/import", show(50_000)).await;
    assert_eq!(stored.status, 200);
    // keys of objects count as much as items of lists
    let too_many = appliance.web().post("/import", show(250_000)).await;
    let detail = too_many.problem(413)["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("127.0.0.1 needs") && detail.contains("for documents") && detail.contains("limits.memory"),
        "{detail}"
    );
    full(&appliance, "documents").await;
    assert_eq!(
        appliance.web().get("/export").await.json()["more"].as_object().unwrap().len(),
        50_000,
        "nothing changed"
    );
    all_given_back(&appliance, "documents").await;
}

#[tokio::test]
async fn many_imports_at_once_take_the_memory_of_one() {
    const KEYS: usize = 60_000;
    let appliance = Home::new().set("DMX_LIMITS_MEMORY", "256").start().await;
    let before = appliance.memory_mib();
    let web = appliance.web();
    assert_eq!(web.post("/import", show(KEYS)).await.status, 200);
    let one = appliance.peak_memory_mib() - before;
    let many: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let web = appliance.web();
                async move { web.post("/import", show(KEYS)).await.status }
            })
        })
        .collect();
    for answer in many {
        let status = patiently("an import's answer", answer).await.unwrap();
        assert!([200, 503].contains(&status), "{status}");
    }
    let all = appliance.peak_memory_mib() - before;
    println!("one import of {KEYS} keys: {one} MiB; eight at once: {all} MiB");
    assert!(all < one + 100, "one takes {one} MiB, eight at once {all} MiB");
    all_given_back(&appliance, "bodies").await;
    all_given_back(&appliance, "documents").await;
}

#[tokio::test]
async fn the_least_memory_that_takes_a_document_of_8_mib_takes_it_each_time() {
    // A quarter of it is for bodies, and this machine gets all of that: as much as one address gets on a machine of 512 MB.
    let appliance = Home::new().set("DMX_LIMITS_MEMORY", "51 MB").start().await;
    let text = "x".repeat(8_300_000);
    let file = format!(r#"{{"fixtures":[],"text":"{text}"}}"#);
    for _ in 0..2 {
        let stored = appliance.web().post("/import", file.clone()).await;
        assert_eq!(stored.status, 200, "announced: {:.300}", stored.text);
        all_given_back(&appliance, "bodies").await;
        assert_eq!(in_chunks(appliance.http, file.as_bytes()).await, "HTTP/1.1 200 OK");
        all_given_back(&appliance, "bodies").await;
    }
}

/// Imports without announcing the length; gives the first line of the answer.
async fn in_chunks(web: SocketAddr, body: &[u8]) -> String {
    let link = TcpStream::connect(web).await.unwrap();
    let (answer, mut link) = link.into_split();
    link.write_all(b"POST /import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for chunk in body.chunks(50_000) {
        let head = format!("{:x}\r\n", chunk.len());
        link.write_all(&[head.as_bytes(), chunk, b"\r\n"].concat()).await.unwrap();
    }
    link.write_all(b"0\r\n\r\n").await.unwrap();
    let mut line = String::new();
    patiently("an answer", BufReader::new(answer).read_line(&mut line)).await.unwrap();
    line.trim().to_owned()
}

/// A show with this many keys in one object.
fn show(keys: usize) -> String {
    let mut more = String::new();
    for n in 0..keys {
        write!(more, ",\"k{n}\":1").unwrap();
    }
    format!(r#"{{"fixtures":[],"more":{{{}}}}}"#, &more[1..])
}

/// A body that is announced in full, and sent except for its last byte.
async fn half_a_body(web: SocketAddr, bytes: usize) -> TcpStream {
    let mut link = TcpStream::connect(web).await.unwrap();
    let head = format!("POST /import HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n");
    link.write_all(head.as_bytes()).await.unwrap();
    // a refused one is not read to its end
    let sent = tokio::time::timeout(Duration::from_secs(20), link.write_all(&vec![b' '; bytes - 1])).await;
    let _ = sent.expect("it is read, or closed");
    link
}

#[tokio::test]
async fn websockets_are_bounded_and_a_place_that_is_left_is_free_again() {
    let appliance = small().await;
    let mut open = Vec::new();
    let refused = loop {
        match WsWatcher::connect(appliance.http, "/ws", &[]).await {
            Ok(socket) => open.push(socket),
            Err(status) => break status,
        }
    };
    // A quarter of the budget, 134 kB each.
    assert_eq!((refused, open.len()), (503, (MEMORY << 20) as usize / 4 / 134_000));
    let words = full(&appliance, "WebSockets").await;
    assert!(words.contains("127.0.0.1"), "{words}");
    drop(open.pop());
    eventually("a free place", async || WsWatcher::connect(appliance.http, "/ws", &[]).await.ok().map(drop)).await;
    drop(open);
    all_given_back(&appliance, "sockets").await;
}
