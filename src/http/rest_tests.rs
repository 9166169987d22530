//! REST over real sockets, asked by a stranger's client.

use std::sync::atomic::Ordering;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::testing::{Web, command, id};
use crate::config::AuthMode;
use crate::kit::secret::Secret;

async fn post(web: &Web, body: impl Into<reqwest::Body>) -> Response {
    Client::new().post(web.url("/rgb")).body(body).send().await.unwrap()
}

async fn get(web: &Web, path: &str) -> Response {
    reqwest::get(web.url(path)).await.unwrap()
}

/// Status and body of what must be a problem.
async fn problem(response: Response) -> (u16, Value) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["type"], body["status"].as_u64()), (&json!("about:blank"), Some(u64::from(status))));
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    (status, body)
}

/// What comes back for raw bytes, up to the end of the connection.
async fn raw(web: &Web, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(web.addr).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_command_moves_the_light_once_and_its_repetition_is_a_duplicate() {
    let web = Web::start().await;
    let first = get(&web, "/rgb").await.json::<Value>().await.unwrap();
    assert_eq!((&first["seq"], &first["updatedBy"]), (&json!(0), &json!("init")));
    let taken = post(&web, command(1, 300, -1, 7)).await;
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    let taken: Value = taken.json().await.unwrap();
    assert_eq!(taken, json!({"status": "accepted", "cmdId": id(1), "seq": 1}));
    let again = post(&web, command(1, 0, 0, 0).to_lowercase().replace("cmdid", "cmdId")).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(again.json::<Value>().await.unwrap(), json!({"status": "duplicate", "cmdId": id(1)}));
    let state = get(&web, "/rgb").await.json::<Value>().await.unwrap();
    assert_eq!(state["schema"], "demo.rgb.state.v1");
    assert_eq!((&state["r"], &state["g"], &state["b"], &state["seq"]), (&json!(255), &json!(0), &json!(7), &json!(1)));
}

#[tokio::test]
async fn every_bad_body_gets_its_status_and_changes_nothing() {
    let web = Web::start().await;
    let wrong = r#"{"cmdId":"x","src":"t","r":1.0,"g":1,"b":1,"q":1}"#;
    for (body, status) in [("", 400), ("{", 400), ("\"", 400), ("[]", 422), ("{}", 422), (wrong, 422)] {
        let (answered, problem) = problem(post(&web, body).await).await;
        assert_eq!(answered, status, "{body}");
        assert_eq!(problem["errors"].is_array(), status == 422, "{problem}");
    }
    let (_, refused) = problem(post(&web, wrong).await).await;
    let paths: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|error| error["path"].clone()).collect();
    assert_eq!(paths, [json!("/cmdId"), json!("/r"), json!("/q")]);
    assert_eq!(web.engine.feed.state().seq, 0);
}

#[tokio::test]
async fn a_body_above_64_kib_is_413_with_and_without_a_length() {
    let web = Web::start().await;
    for size in [64 * 1024 + 1, 1_000_000] {
        assert_eq!(problem(post(&web, vec![b' '; size]).await).await.0, 413, "{size}");
        let head = "POST /rgb HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
        let chunked = format!("{head}{}0\r\n\r\n", chunk.repeat(size / 1024 + 1));
        let answer = raw(&web, chunked.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{size} in chunks: {answer}");
    }
    let most = format!("{}{}", command(1, 1, 2, 3), " ".repeat(64 * 1024 - command(1, 1, 2, 3).len()));
    assert_eq!(post(&web, most).await.status(), StatusCode::ACCEPTED);
    let asked =
        b"POST /rgb HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 70000\r\n\r\n";
    let answer = raw(&web, asked).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "it is told before it sends: {answer}");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() {
    let web = Web::start().await;
    for path in ["/nothing", "/rgb//", "/RGB", "/schemas/nothing.json", "/schemas/", "/../etc/passwd"] {
        assert_eq!(problem(get(&web, path).await).await.0, 404, "{path}");
    }
    for method in ["DELETE", "PUT", "PATCH", "BREW"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = Client::new().request(method, web.url("/rgb")).send().await.unwrap();
        assert_eq!(response.headers()["allow"], "GET, HEAD, POST, OPTIONS");
        assert_eq!(problem(response).await.0, 405);
    }
    let counted = web.metrics.text().unwrap();
    assert!(counted.contains(r#"dmx_http_requests_total{method="other",route="none",status="405"} 1"#), "{counted}");
    assert!(!counted.contains("passwd"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let web = Web::start().await;
    for path in ["/", "/rgb", "/metrics", "/openapi.json", "/readyz"] {
        let response = Client::new().head(web.url(path)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert!(length > 0 && response.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_page_is_whole_strict_and_asked_again_by_etag() {
    let web = Web::start().await;
    let shell: Value = get(&web, "/assets.json").await.json().await.unwrap();
    let files: Vec<_> = shell["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert!(files.contains(&"/") && files.contains(&"/app.js"), "{files:?}");
    for path in files {
        let response = get(&web, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!response.bytes().await.unwrap().is_empty(), "{path}");
        let again = Client::new().get(web.url(path)).header("if-none-match", &headers["etag"]).send().await.unwrap();
        assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &headers["etag"]));
        assert!(again.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_documents_are_served_as_committed() {
    let web = Web::start().await;
    let schema = get(&web, "/schemas/demo.rgb.cmd.v1.json").await;
    assert_eq!(schema.headers()["content-type"], "application/schema+json");
    assert_eq!(schema.text().await.unwrap(), include_str!("../../schemas/demo.rgb.cmd.v1.json"));
    let openapi: Value = get(&web, "/openapi.json").await.json().await.unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
}

#[tokio::test]
async fn readyz_lists_every_trouble_and_is_503_only_when_something_does_not_serve() {
    let web = Web::start().await;
    let ready = get(&web, "/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready, json!({"ready": true, "mqttConnected": true, "queueDepth": 0, "problems": []}));
    web.health.raise("STORAGE_IN_RAM", "the card does not answer; changes are kept in memory only");
    let troubled = get(&web, "/readyz").await;
    assert_eq!(troubled.status(), StatusCode::OK);
    assert_eq!(troubled.json::<Value>().await.unwrap()["problems"][0]["code"], "STORAGE_IN_RAM");
    web.broker.store(false, Ordering::Relaxed);
    let down = get(&web, "/readyz").await;
    assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
    let down: Value = down.json().await.unwrap();
    assert_eq!((&down["ready"], &down["mqttConnected"]), (&json!(false), &json!(false)));
    let codes: Vec<_> = down["problems"].as_array().unwrap().iter().map(|problem| &problem["code"]).collect();
    assert_eq!(codes, ["BROKER_DOWN", "STORAGE_IN_RAM"]);
    assert_eq!(get(&web, "/healthz").await.json::<Value>().await.unwrap(), json!({"status": "ok"}));
}

#[tokio::test]
async fn an_engine_that_ended_is_503_with_an_id_and_not_ready() {
    let web = Web::start().await;
    let (addr, engine) = (web.url("/rgb"), web.engine);
    engine.drain().await;
    let refused = Client::new().post(addr).body(command(1, 1, 1, 1)).send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let (status, refused) = problem(refused).await;
    assert_eq!((status, refused["correlationId"].as_str().map(str::len)), (503, Some(26)));
    let ready = reqwest::get(format!("http://{}/readyz", web.addr)).await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json::<Value>().await.unwrap()["problems"][0]["code"], "ENGINE_SILENT");
}

#[tokio::test]
async fn metrics_speak_prometheus() {
    let web = Web::start().await;
    get(&web, "/rgb").await;
    let metrics = get(&web, "/metrics").await;
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4");
    let text = metrics.text().await.unwrap();
    assert!(text.contains("\ndmx_ws_clients 0\n"));
    assert!(text.contains(r#"dmx_http_requests_total{method="GET",route="/rgb",status="200"} 1"#), "{text}");
}

#[tokio::test]
async fn required_keys_are_asked_for_where_they_protect_something() {
    let web = Web::with(|config| {
        config.auth.mode = AuthMode::Required;
        config.auth.keys = vec![Secret::new("right")];
    })
    .await;
    for path in ["/rgb", "/metrics", "/openapi.json", "/schemas/demo.rgb.cmd.v1.json"] {
        assert_eq!(get(&web, path).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/", "/app.js", "/healthz", "/readyz"] {
        assert_eq!(get(&web, path).await.status(), StatusCode::OK, "{path}");
    }
    let keyed = |key: &'static str| Client::new().get(web.url("/rgb")).header("x-api-key", key).send();
    let wrong = keyed("wrong").await.unwrap();
    assert!(wrong.headers().contains_key("www-authenticate"));
    assert_eq!(problem(wrong).await.0, 401);
    assert_eq!(keyed("right").await.unwrap().status(), StatusCode::OK);
    assert_eq!(problem(post(&web, command(1, 1, 1, 1)).await).await.0, 401);
    assert_eq!(web.engine.feed.state().seq, 0);
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_origins_only() {
    let web = Web::with(|config| config.http.allow_origins = vec!["https://desk.example".into()]).await;
    let ask = |origin: &'static str| {
        let request = Client::new().request(Method::OPTIONS, web.url("/rgb"));
        request.header("origin", origin).header("access-control-request-method", "POST").send()
    };
    let listed = ask("https://desk.example").await.unwrap();
    assert_eq!(listed.status(), StatusCode::NO_CONTENT);
    assert_eq!(listed.headers()["access-control-allow-origin"], "https://desk.example");
    assert_eq!(listed.headers()["access-control-allow-methods"], "GET, POST, PUT, PATCH, DELETE");
    assert_eq!(
        listed.headers()["access-control-allow-headers"],
        "content-type, x-api-key, if-none-match, if-match, authorization"
    );
    let foreign = ask("https://evil.example").await.unwrap();
    assert!(!foreign.headers().contains_key("access-control-allow-origin"));
    assert_eq!(problem(foreign).await.0, 403);
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_changes_nothing_and_reads_nothing() {
    let web = Web::with(|config| config.http.allow_origins = vec!["https://desk.example".into()]).await;
    let send = |method, origin: &'static str, body: String| {
        Client::new().request(method, web.url("/rgb")).header("origin", origin).body(body).send()
    };
    let foreign = send(Method::POST, "https://evil.example", command(1, 9, 9, 9)).await.unwrap();
    assert_eq!(problem(foreign).await.0, 403);
    assert_eq!(web.engine.feed.state().seq, 0);
    let read = send(Method::GET, "https://evil.example", String::new()).await.unwrap();
    assert!(!read.headers().contains_key("access-control-allow-origin"));
    let listed = send(Method::POST, "https://desk.example", command(2, 9, 9, 9)).await.unwrap();
    assert_eq!(listed.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn broken_requests_do_not_harm_the_next() {
    let web = Web::start().await;
    for garbage in [
        &b"\x00\xff\x16\x03\x01\r\n\r\n"[..],
        b"GET / HTTP/9\r\n\r\n",
        b"POST /rgb HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ] {
        let answer = raw(&web, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(post(&web, command(1, 1, 2, 3)).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_door() {
    let mut web = Web::start().await;
    let mut idle = TcpStream::connect(web.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    web.stopper.stop();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    (&mut web.served).await.unwrap();
    assert!(TcpStream::connect(web.addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn more_connections_than_allowed_are_told_so_and_probes_are_answered() {
    let web = Web::with(|config| config.http.max_connections = 1).await;
    let mut first = TcpStream::connect(web.addr).await.unwrap();
    let ask = b"GET /rgb HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut start = [0; 12];
    for _ in 0..3 {
        first.write_all(ask).await.unwrap();
        first.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
        let (status, body) = problem(get(&web, "/rgb").await).await;
        assert!(status == 503 && body["detail"].as_str().unwrap().contains("http.max_connections"), "{body}");
        assert_eq!(get(&web, "/healthz").await.status(), 200);
        let ready: Value = get(&web, "/readyz").await.json().await.unwrap();
        assert_eq!(ready["problems"][0]["code"], "PLACES_FULL");
    }
    drop(first);
    while get(&web, "/rgb").await.status() == 503 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_one_message_with_a_remedy() {
    let web = Web::start().await;
    let settings = crate::config::Http { host: web.addr.ip(), port: web.addr.port(), ..Default::default() };
    let message = super::bind(&settings).err().unwrap().to_string();
    assert!(message.contains(&web.addr.to_string()) && message.contains("DMX_PORT"), "{message}");
}
