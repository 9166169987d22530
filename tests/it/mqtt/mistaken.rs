//! Who comes to the MQTT port by mistake: browsers and TLS (issue 18).

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Appliance, Connect, HEADROOM, Home, Link, Web, eventually, mosquitto_sub, patiently, raw_http};

async fn reason(appliance: &Appliance, word: &str) {
    let told = appliance.log.wait("the reason", |line| {
        line["message"] == "mqtt_refused" && line["why"].as_str().is_some_and(|why| why.contains(word))
    });
    told.await;
}

#[tokio::test]
async fn a_browser_reads_where_the_app_is() {
    let appliance = Appliance::start().await;
    let answer = Web::new(appliance.mqtt).get("/index.html").await;
    let url = format!("http://{}/", appliance.http);
    let words = format!("This is the MQTT port. The app is at {url}\n");
    assert_eq!((answer.status, answer.text.as_str()), (400, words.as_str()));
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    let named = b"GET / HTTP/1.1\r\nHost: dmx.local:1883\r\n\r\n";
    let (_, answer) = raw_http(appliance.mqtt, named).await;
    assert!(answer.ends_with(&format!("http://dmx.local:{}/\n", appliance.http.port())), "{answer}");
    // much of a body behind it, and a head that never ends
    let posted = [&b"POST /rgb HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"[..], &[b'x'; 300_000]].concat();
    let endless = [&b"GET / HTTP/1.1\r\nX: "[..], &[b'x'; 100_000]].concat();
    for request in [posted, endless] {
        let (status, answer) = raw_http(appliance.mqtt, &request).await;
        assert!(status == 400 && answer.contains("This is the MQTT port"), "{answer}");
    }
    reason(&appliance, "HTTP").await;
    Link::join(appliance.mqtt, &Connect::new("lamp")).await.ping().await;
}

#[tokio::test]
async fn tls_is_closed_cleanly_and_named_in_the_log() {
    let appliance = Appliance::start().await;
    let mut socket = TcpStream::connect(appliance.mqtt).await.unwrap();
    let hello = [&[0x16, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3][..], &[7; 250]].concat();
    socket.write_all(&hello).await.unwrap();
    let begun = Instant::now();
    assert_eq!(patiently("the end", socket.read(&mut [0; 8])).await.unwrap(), 0, "no reset, no bytes");
    assert!(begun.elapsed() < std::time::Duration::from_millis(500) * HEADROOM, "at once: {:?}", begun.elapsed());
    reason(&appliance, "TLS on the plain port").await;
    let peer = mosquitto_sub(appliance.mqtt, &["-t", "a", "-C", "1", "-W", "20", "--capath", "/etc/ssl/certs"]);
    eventually("the stranger's complaint", async || (!peer.complaints().all().is_empty()).then_some(())).await;
}

/// It costs nothing: they have the places of those before CONNECT, and no memory.
#[tokio::test]
async fn many_of_them_keep_no_lamp_out() {
    let home = Home::new().set("DMX_MQTT_MAX_PENDING", "4").set("DMX_LIMITS_MEMORY", "16");
    let appliance = home.start().await;
    let mut browsers = Vec::new();
    for _ in 0..8 {
        let mut socket = TcpStream::connect(appliance.mqtt).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        browsers.push(socket); // not read, not closed
    }
    let begun = Instant::now();
    Link::join(appliance.mqtt, &Connect::new("lamp")).await.ping().await;
    println!("let in after {:?}", begun.elapsed());
    assert_eq!(appliance.web().metric("dmx_memory_held_bytes{kind=\"packets\"}").await, 0.0);
    for mut socket in browsers {
        let mut answer = String::new();
        patiently("the answer", socket.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}
