//! The WebSocket over real sockets, spoken by a stranger's client.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::testing::{Web, command, id};
use crate::config::AuthMode;
use crate::dmx::Rgb;
use crate::engine::Outcome;
use crate::kit::secret::Secret;
use crate::wire::{Device, lamp_command};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longer than anything here may take; only a fault waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn open(web: &Web, query: &str) -> Socket {
    connect_async(format!("ws://{}/ws{query}", web.addr)).await.unwrap().0
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap()
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = next(socket).await {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn say(socket: &mut Socket, text: impl Into<String>) {
    socket.send(Message::text(text.into())).await.unwrap();
}

/// The close code, past whatever comes before it.
async fn closed(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.unwrap().code.into();
        }
    }
}

/// Reads the four messages of a fresh appliance; the `seq` of the state.
async fn greeted(socket: &mut Socket) -> u64 {
    let seq = resynced(socket).await;
    assert_eq!(hear(socket).await["type"], "devices");
    seq
}

/// The whole light: what a client also gets that missed a change.
async fn resynced(socket: &mut Socket) -> u64 {
    let state = hear(socket).await;
    assert_eq!(state["type"], "state");
    let update = hear(socket).await;
    assert_eq!((&update["type"], &update["full"]), (&json!("state.update"), &json!(true)));
    assert_eq!(hear(socket).await["type"], "desk");
    state["seq"].as_u64().unwrap()
}

async fn apply(web: &Web, n: u64, r: i64) {
    let command = lamp_command(command(n, r, 0, 0).as_bytes()).unwrap().0;
    let outcome = web.engine.handle.submit(command).await.outcome().await;
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
}

fn set(n: u64, rgb: Rgb) -> String {
    let Rgb { r, g, b } = rgb;
    format!(r#"{{"type":"set","cmdId":"{}","src":"ui","r":{r},"g":{g},"b":{b}}}"#, id(n))
}

#[tokio::test]
async fn a_client_gets_everything_at_once_and_then_each_change_once() {
    let web = Web::start().await;
    apply(&web, 1, 10).await;
    let mut socket = open(&web, "").await;
    let state = hear(&mut socket).await;
    assert_eq!((&state["type"], &state["r"], &state["seq"]), (&json!("state"), &json!(10), &json!(1)));
    assert_eq!(state.as_object().unwrap().len(), 6, "nothing is ever added to it: {state}");
    let update = hear(&mut socket).await;
    assert_eq!((&update["rev"], &update["delta"]), (&json!(1), &json!([{"ch": 1, "val": 10}])));
    let desk = hear(&mut socket).await;
    assert_eq!(desk, json!({"type":"desk","master":255,"blackout":false,"scene":null,"fades":[]}));
    assert_eq!(hear(&mut socket).await, json!({"type":"devices","devices":[]}));
    apply(&web, 2, 20).await;
    let change = (hear(&mut socket).await, hear(&mut socket).await);
    assert_eq!((&change.0["seq"], &change.0["r"]), (&json!(2), &json!(20)));
    assert_eq!((&change.1["rev"], &change.1["full"]), (&json!(2), &json!(false)));
    assert_eq!(change.1["delta"], json!([{"ch": 1, "val": 20}]));
}

#[tokio::test]
async fn a_change_of_devices_reaches_everyone_and_a_newcomer_gets_the_present_list() {
    let web = Web::start().await;
    let mut socket = open(&web, "").await;
    greeted(&mut socket).await;
    let device = Device { id: "esp".into(), online: true, since: 7, ip: None, client_id: None };
    web.devices.send_replace(Arc::new(vec![device]));
    let expected = json!({"type":"devices","devices":[{"id":"esp","online":true,"since":7}]});
    assert_eq!(hear(&mut socket).await, expected);
    let mut other = open(&web, "").await;
    resynced(&mut other).await;
    assert_eq!(hear(&mut other).await, expected);
}

#[tokio::test]
async fn a_set_is_answered_by_the_broadcast_and_a_duplicate_by_nothing() {
    let web = Web::start().await;
    let (mut one, mut other) = (open(&web, "").await, open(&web, "").await);
    greeted(&mut one).await;
    greeted(&mut other).await;
    say(&mut one, set(1, Rgb { r: 1, g: 2, b: 3 })).await;
    for socket in [&mut one, &mut other] {
        let state = hear(socket).await;
        assert_eq!((&state["r"], &state["g"], &state["b"]), (&json!(1), &json!(2), &json!(3)));
        assert_eq!(hear(socket).await["type"], "state.update");
    }
    say(&mut one, set(1, Rgb { r: 9, g: 9, b: 9 })).await;
    say(&mut one, set(2, Rgb { r: 4, g: 5, b: 6 })).await;
    assert_eq!(hear(&mut one).await["r"], 4);
}

#[tokio::test]
async fn what_is_refused_gets_an_err_and_the_connection_stays() {
    let web = Web::start().await;
    let mut socket = open(&web, "").await;
    greeted(&mut socket).await;
    let bad_set = r#"{"type":"set","cmdId":"x","src":"ui","r":1.5,"g":0,"b":0}"#;
    for text in ["", "nonsense", "1", "[]", r#"{"type":"dance","cmdId":"x"}"#, bad_set] {
        say(&mut socket, text).await;
        let error = hear(&mut socket).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("err"), &json!("VALIDATION_FAILED")), "{text}");
        assert_eq!(error.get("cmdId").is_some(), text.contains("cmdId"), "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    socket.send(Message::binary(&b"\x00"[..])).await.unwrap();
    assert_eq!(hear(&mut socket).await["code"], "VALIDATION_FAILED");
    say(&mut socket, r#"{"type":"ping","ts":123}"#).await;
    assert_eq!(hear(&mut socket).await, json!({"type": "pong", "ts": 123}));
    assert_eq!(web.engine.feed.state().seq, 0);
}

#[tokio::test]
async fn a_message_above_64_kib_gets_an_err_and_the_close_code_1009() {
    let web = Web::start().await;
    let mut socket = open(&web, "").await;
    greeted(&mut socket).await;
    say(&mut socket, " ".repeat(64 * 1024 + 1)).await;
    assert_eq!(hear(&mut socket).await["type"], "err");
    assert_eq!(closed(&mut socket).await, 1009);
}

#[tokio::test]
async fn a_set_sent_just_before_goodbye_still_counts() {
    let web = Web::start().await;
    let mut socket = open(&web, "").await;
    greeted(&mut socket).await;
    for n in 1..=100 {
        socket.feed(Message::text(set(n, Rgb { r: n as u8, g: 0, b: 0 }))).await.unwrap();
    }
    socket.close(None).await.unwrap();
    let mut watch = web.engine.feed.watch();
    timeout(PATIENCE, watch.wait_for(|latest| latest.state.seq == 100)).await.unwrap().unwrap();
    assert_eq!(web.engine.feed.state().lamp().r, 100);
}

#[tokio::test]
async fn a_client_that_missed_a_change_gets_everything_anew() {
    let web = Web::start().await;
    let mut socket = open(&web, "").await;
    assert_eq!(greeted(&mut socket).await, 0);
    web.app.hub.skip_to(5);
    assert_eq!(resynced(&mut socket).await, 0, "the state as it is");
    assert_eq!(web.metrics.http.ws_lagged.get(), 1);
    apply(&web, 1, 7).await;
    assert_eq!(hear(&mut socket).await["seq"], 1, "and then on as before");
}

/// Sends bursts from four producers while clients come; each must see its snapshot's `seq` and then every next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_join_in_a_burst_miss_nothing_and_see_nothing_twice() {
    const EACH: u64 = 1000;
    let web = Web::start().await;
    let producers: Vec<_> = (0..4u64)
        .map(|producer| {
            let handle = web.engine.handle.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let text = command(producer * EACH + n + 1, n as i64, 0, 0);
                    handle.submit(lamp_command(text.as_bytes()).unwrap().0).await.outcome().await;
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let addr = web.addr;
            tokio::spawn(async move {
                let mut socket = connect_async(format!("ws://{addr}/ws")).await.unwrap().0;
                let mut seq = greeted(&mut socket).await;
                while seq < 4 * EACH {
                    let state = hear(&mut socket).await;
                    if state["type"] == "state.update" {
                        assert_eq!((&state["rev"], &state["full"]), (&json!(seq), &json!(false)));
                        continue;
                    }
                    assert_eq!(state["seq"], seq + 1, "gap-free");
                    seq += 1;
                }
            })
        })
        .collect();
    for task in producers.into_iter().chain(clients) {
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    assert_eq!(web.metrics.http.ws_lagged.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_client_is_dropped_and_others_do_not_wait_for_it() {
    let web = Web::start().await;
    // A socket that shakes hands and never reads again.
    let mut stalled = TcpStream::connect(web.addr).await.unwrap();
    let handshake = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stalled.write_all(handshake.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stalled.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    let mut healthy = open(&web, "").await;
    let mut seq = greeted(&mut healthy).await;
    let handle = web.engine.handle.clone();
    let dropped = web.metrics.http.ws_dropped.clone();
    let flood = tokio::spawn(async move {
        let mut n = 0;
        while dropped.get() == 0 {
            n += 1;
            let text = command(n, (n % 256) as i64, 0, 0);
            handle.submit(lamp_command(text.as_bytes()).unwrap().0).await.outcome().await;
        }
        n
    });
    let (tell, mut end) = tokio::sync::watch::channel(u64::MAX);
    let reader = tokio::spawn(async move {
        while seq < *end.borrow_and_update() {
            let state = tokio::select! {
                state = hear(&mut healthy) => state,
                _ = end.changed() => continue,
            };
            if state["type"] == "state" {
                assert_eq!(state["seq"], seq + 1);
                seq += 1;
            }
        }
    });
    tell.send(timeout(PATIENCE, flood).await.unwrap().unwrap()).unwrap();
    timeout(PATIENCE, reader).await.unwrap().unwrap(); // the healthy client saw every change
    // It finds out when it reads again: the last frame says why.
    let mut rest = Vec::new();
    timeout(PATIENCE, stalled.read_to_end(&mut rest)).await.unwrap().unwrap();
    let code = 1013u16.to_be_bytes();
    assert!(rest.windows(4).any(|w| w[0] == 0x88 && w[2..] == code), "close 1013 at the end of {} bytes", rest.len());
}

#[tokio::test]
async fn a_stop_closes_with_1001_and_the_door_ends() {
    let mut web = Web::start().await;
    let mut socket = open(&web, "").await;
    greeted(&mut socket).await;
    web.stopper.stop();
    assert_eq!(closed(&mut socket).await, 1001);
    timeout(PATIENCE, &mut web.served).await.unwrap().unwrap();
    assert_eq!(web.metrics.http.ws_clients.get(), 0);
}

#[tokio::test]
async fn without_the_right_token_it_opens_says_401_and_closes_4401() {
    let web = Web::with(|config| {
        config.auth.mode = AuthMode::Required;
        config.auth.keys = vec![Secret::new("right key")];
    })
    .await;
    for query in ["", "?token=", "?token=wrong", "?other=right%20key"] {
        let mut socket = open(&web, query).await;
        assert_eq!(hear(&mut socket).await, json!({"type": "err", "code": 401}), "{query}");
        assert_eq!(closed(&mut socket).await, 4401);
    }
    let mut socket = open(&web, "?token=right%20key").await;
    greeted(&mut socket).await;
}

#[tokio::test]
async fn a_foreign_origin_is_refused_before_the_upgrade() {
    let web = Web::with(|config| config.http.allow_origins = vec!["https://desk.example".into()]).await;
    let dial = |origin: String| {
        let mut request = format!("ws://{}/ws", web.addr).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        connect_async(request)
    };
    match dial("https://evil.example".into()).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("not refused: {other:?}"),
    }
    assert!(dial("https://desk.example".into()).await.is_ok());
    assert!(dial(format!("http://{}", web.addr)).await.is_ok(), "the page of the appliance itself");
}

#[tokio::test]
async fn a_plain_get_is_told_to_upgrade() {
    let web = Web::start().await;
    let response = reqwest::get(web.url("/ws")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["upgrade"]), (426, &"websocket".parse().unwrap()));
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn clients_are_counted_while_they_are_here_and_broadcasts_are_timed() {
    let web = Web::start().await;
    let mut socket = open(&web, "").await;
    greeted(&mut socket).await;
    assert_eq!(web.metrics.http.ws_clients.get(), 1);
    apply(&web, 1, 1).await;
    hear(&mut socket).await;
    hear(&mut socket).await;
    say(&mut socket, r#"{"type":"ping"}"#).await;
    hear(&mut socket).await; // the pong comes after the broadcast was timed
    assert_eq!(web.metrics.http.ws_broadcast_seconds.get_sample_count(), 1);
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Close(_)), "its goodbye is answered");
    assert!(socket.next().await.is_none());
    assert_eq!(web.metrics.http.ws_clients.get(), 0);
}
