//! What is refused, how, and that it changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{
    ACK, Appliance, BLACKOUT, CMD, Connect, Home, Link, REJECTED, UNIFIED, WsWatcher, command, eventually, fresh_id,
    patiently, raw_http, rgb_of,
};

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_422_with_its_places() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let huge = format!(r#"{{"cmdId":"{}","src":"t","r":{},"g":1,"b":1}}"#, fresh_id(), "9".repeat(5000));
    let above = format!(r#"{{"cmdId":"{}","src":"t","r":18446744073709551616,"g":1,"b":1}}"#, fresh_id());
    let float = |text: &str| format!(r#"{{"cmdId":"{}","src":"t","r":1,"g":{text},"b":1}}"#, fresh_id());
    let with = |name: &str, value: Value| {
        let mut body = command([1, 2, 3]);
        body[name] = value;
        body.to_string()
    };
    let without = |name: &str| {
        let mut body = command([1, 2, 3]);
        body.as_object_mut().unwrap().remove(name);
        body.to_string()
    };
    let cases = [
        (huge, "/r"),
        (above, "/r"),
        (float("1.5"), "/g"),
        (float("1.0"), "/g"),
        (float("1e2"), "/g"),
        (with("b", json!("1")), "/b"),
        (with("b", json!(null)), "/b"),
        (with("b", json!(true)), "/b"),
        (with("b", json!([1])), "/b"),
        (without("r"), "/r"),
        (without("cmdId"), "/cmdId"),
        (without("src"), "/src"),
        (with("cmdId", json!("not-a-ulid")), "/cmdId"),
        (with("cmdId", json!("81HZX3YJ9YJ3M5QAZ3GZ8K3QFF")), "/cmdId"),
        (with("cmdId", json!("01HZX3YJ9YJ3M5QAZ3GZ8K3QFI")), "/cmdId"),
        (with("cmdId", json!(7)), "/cmdId"),
        (with("src", json!("")), "/src"),
        (with("src", json!("x".repeat(65))), "/src"),
        (with("ts", json!(0)), "/ts"),
        (with("ts", json!(-1)), "/ts"),
        (with("ts", json!(1.5)), "/ts"),
        (with("ts", json!("1")), "/ts"),
        (with("schema", json!("demo.rgb.cmd.v2")), "/schema"),
        (with("colour", json!("red")), "/colour"),
        (with("a/b~c", json!(1)), "/a~1b~0c"),
    ];
    for (body, path) in cases {
        let answer = web.post("/rgb", body.clone()).await;
        let problem = answer.problem(422);
        let errors = problem["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{body:.200}: {problem}");
        assert_eq!(errors[0]["path"], path, "{body:.200}");
        assert!(errors[0]["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{problem}");
    }
    for scalar in ["null", "1", "\"x\"", "true", "[]", "[{}]"] {
        assert!(web.post("/rgb", scalar).await.problem(422)["errors"].is_array(), "{scalar}");
    }
    assert_untouched(&appliance).await;
}

#[tokio::test]
async fn what_is_not_json_is_400() {
    let appliance = Appliance::start().await;
    let bodies: [&[u8]; 7] = [b"", b"{", b"{} x", b"{'r':1}", b"\xff\xfe", b"{\"r\":01}", b"NaN"];
    for body in bodies {
        appliance.web().post("/rgb", body.to_vec()).await.problem(400);
    }
    assert_untouched(&appliance).await;
}

#[tokio::test]
async fn more_than_64_kib_is_413_however_it_is_sent() {
    let appliance = Appliance::start().await;
    let padded = |size: usize| {
        let body = command([1, 2, 3]).to_string();
        body.clone() + &" ".repeat(size - body.len())
    };
    appliance.web().post("/rgb", padded(65_537)).await.problem(413);
    appliance.web().post("/rgb", padded(1_000_000)).await.problem(413);
    let body = padded(65_537);
    let chunked = format!(
        "POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let (status, text) = raw_http(appliance.http, chunked.as_bytes()).await;
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("application/problem+json"), "{text}");
    assert_untouched(&appliance).await;
    assert_eq!(appliance.web().post("/rgb", padded(65_536)).await.status, 202, "64 KiB itself is fine");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for path in ["/nowhere", "/rgb/x", "/schemas/nothing.json", "/schemas/..%2f..%2fCargo.toml", "/healthz/x"] {
        web.get(path).await.problem(404);
    }
    for path in ["/nowhere", "/rgb/x", "/healthz/x"] {
        web.post(path, "{}").await.problem(404);
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/rgb", "GET POST"),
        (Method::PUT, "/rgb", "GET POST"),
        (Method::PATCH, "/rgb", "GET POST"),
        (Method::POST, "/healthz", "GET"),
        (Method::POST, "/readyz", "GET"),
        (Method::DELETE, "/metrics", "GET"),
        (Method::POST, "/openapi.json", "GET"),
        (Method::POST, "/schemas/demo.rgb.cmd.v1.json", "GET"),
        (Method::POST, "/", "GET"),
    ] {
        let answer = web.send(web.request(method.clone(), path).body("{}")).await;
        answer.problem(405);
        let allow: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        for name in allowed.split(' ') {
            assert!(allow.contains(&name), "{method} {path}: Allow is {allow:?}");
        }
        assert!(!allow.contains(&method.as_str()), "{method} {path}: Allow is {allow:?}");
    }
    assert_untouched(&appliance).await;
}

#[tokio::test]
async fn a_key_given_twice_is_refused_at_every_door() {
    let home = Home::new().set("DMX_PROJECTS_ENABLED", "1").set("DMX_CLOUD_BACKUP_ENABLED", "1");
    let appliance = home.start().await;
    let web = appliance.web();
    let lamp = format!(r#"{{"cmdId":"{}","src":"t","r":1,"g":1,"b":1,"\u0072":255}}"#, fresh_id());
    for (method, path, body, at) in [
        (Method::POST, "/rgb", lamp.as_str(), "/r"),
        (Method::POST, "/master", r#"{"level":0,"level":255}"#, "/level"),
        (Method::POST, "/blackout", r#"{"on":false,"on":true}"#, "/on"),
        (
            Method::PUT,
            "/scenes",
            r#"[{"id":"a","name":"a","channelValues":{"1":1,"1":2},"timestamp":1}]"#,
            "/0/channelValues/1",
        ),
        (Method::POST, "/scenes", r#"{"name":"a","name":"b"}"#, "/name"),
        (Method::POST, "/import", r#"{"fixtures":[],"more":{"x":[{"y":1,"y":1}]}}"#, "/more/x/0/y"),
        (Method::POST, "/projects", r#"{"name":"a","name":"b"}"#, "/name"),
        (Method::POST, "/projects/default/backups", r#"{"label":"a","label":"b"}"#, "/label"),
    ] {
        let problem = web.send(web.request(method, path).body(body.to_owned())).await.problem(422);
        assert_eq!(problem["errors"][0]["path"], at, "{path}: {problem}");
    }
    let unified = r#"{"type":"dmx.patch","id":"x","universe":0,"patch":[{"ch":1,"val":1,"val":255}]}"#;
    let ack = web.post("/command", unified).await;
    assert_eq!((ack.status, &ack.json()["accepted"], &ack.json()["ack"]), (200, &json!(false), &json!("x")));
    assert_eq!(ack.json()["errors"][0]["path"], "/patch/0/val");

    let socket = WsWatcher::start(appliance.http).await;
    for message in [r#"{"type":"blackout","on":false,"on":true}"#, &lamp.replacen('{', r#"{"type":"set","#, 1), unified]
    {
        socket.send_raw(message.into()).await;
    }
    let refused = socket.other(2).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("err"), &json!("VALIDATION_FAILED")), "{refused}");

    let mut esp = Link::join(appliance.mqtt, &Connect::new("esp")).await;
    esp.subscribe_all(&[(REJECTED, 1), (ACK, 1)]).await;
    esp.publish(CMD, lamp.as_bytes()).await;
    let rejected = esp.message().await.json();
    assert_eq!((&rejected["errors"][0]["path"], &rejected["reason"]), (&json!("/r"), &json!("VALIDATION_FAILED")));
    esp.publish(BLACKOUT, br#"{"on":false,"on":true}"#).await;
    assert_eq!(esp.message().await.json()["errors"][0]["path"], "/on");
    esp.publish(UNIFIED, unified.as_bytes()).await;
    assert_eq!(esp.message().await.json()["ack"], "x");
    assert_untouched(&appliance).await;
}

#[tokio::test]
async fn a_refused_body_is_read_or_its_connection_closed_with_a_word() {
    let appliance = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "k").start().await;
    // a small one, sent a moment after its head as a slow radio does: the same connection continues
    let mut link = TcpStream::connect(appliance.http).await.unwrap();
    for (n, body) in
        ["x".repeat(10), "x".repeat(60_000), String::new(), "x".repeat(300_000)].iter().cycle().take(60).enumerate()
    {
        let head = format!("POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        link.write_all(head.as_bytes()).await.unwrap();
        link.write_all(body.as_bytes()).await.unwrap_or_else(|e| panic!("request {n}: {e}"));
        let answer = answer_on(&mut link).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "request {n}: {answer}");
        assert!(!answer.to_lowercase().contains("connection: close"), "request {n}: {answer}");
    }
    for more in ["Content-Length: 50000000\r\n", "Content-Length: 100\r\nExpect: 100-continue\r\n"] {
        let mut link = TcpStream::connect(appliance.http).await.unwrap();
        link.write_all(format!("POST /rgb HTTP/1.1\r\nHost: x\r\n{more}\r\n").as_bytes()).await.unwrap();
        let answer = answer_on(&mut link).await;
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

/// An answer with its body, on a connection that continues.
async fn answer_on(link: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    patiently("an answer", async {
        loop {
            let mut chunk = [0; 4096];
            let read = link.read(&mut chunk).await.unwrap();
            answer.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&answer).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                assert!(read > 0, "closed: {text}");
                continue;
            };
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) || read == 0 {
                return;
            }
        }
    })
    .await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_of_http_1_1_has_exactly_one_host() {
    let appliance = Appliance::start().await;
    let ask = async |version: &str, hosts: &str| {
        let request = format!("GET /healthz HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        raw_http(appliance.http, request.as_bytes()).await.0
    };
    assert_eq!(ask("1.1", "").await, 400);
    assert_eq!(ask("1.1", "Host: x\r\nHost: x\r\n").await, 400);
    assert_eq!(ask("1.1", "Host: dmx.local\r\nHost: evil.example\r\n").await, 400);
    assert_eq!(ask("1.0", "Host: x\r\nHost: y\r\n").await, 400);
    assert_eq!(ask("1.1", "Host: x\r\n").await, 200);
    assert_eq!(ask("1.0", "").await, 200, "HTTP/1.0 knew no Host");
}

/// Nothing has been applied, and the appliance serves.
pub async fn assert_untouched(appliance: &Appliance) {
    let state = appliance.web().state().await;
    assert_eq!((&state["seq"], rgb_of(&state)), (&json!(0), [0, 0, 0]), "nothing changed");
}

#[tokio::test]
async fn a_parameter_that_is_not_known_is_refused_by_name_and_nothing_is_done() {
    let home = Home::new().set("DMX_PROJECTS_ENABLED", "1").set("DMX_CLOUD_BACKUP_ENABLED", "1");
    let appliance = home.start().await;
    let web = appliance.web();
    let show =
        json!({"fixtures": [{"id": 1}], "scenes": [{"id": "a", "name": "A", "channelValues": {"1": 7}}]}).to_string();
    assert_eq!(web.post("/import", show.clone()).await.status, 200);
    let made = web.post("/projects/default/backups", "{}").await.json();
    let order = json!({"versionId": made["versionId"]}).to_string();
    web.accepted(&command([1, 2, 3])).await;
    let all = async || {
        let [scenes, projects, desk] = ["/scenes", "/projects", "/desk"].map(|path| web.get(path));
        (scenes.await.json(), projects.await.json(), desk.await.json(), web.state().await)
    };
    let before = all().await;
    let other = r#"{"fixtures":[],"scenes":[]}"#;
    for (path, body) in [
        ("/import?dryrun=1", other),
        ("/import?dry_run=1", other),
        ("/import?dryRun=0&dryRun=1", other),
        ("/import?mod=merge", other),
        ("/import?mode", other),
        ("/import?=1", other),
        ("/projects/default/restore?dryrun=1", &order),
        ("/projects/default/restore?mode=merge", &order),
        ("/projects?dryRun=1", r#"{"name":"B"}"#),
        ("/scenes?dryRun=1", r#"{"name":"B"}"#),
        ("/scenes/a/recall?dryRun", "{}"),
        ("/blackout?dry-run", r#"{"on":true}"#),
        ("/command?dryRun=1", r#"{"type":"dmx.set","id":"q1","universe":0,"channel":1,"value":255}"#),
        ("/rgb?dryRun=1", &command([9, 9, 9]).to_string()),
    ] {
        let problem = web.post(path, body.to_owned()).await.problem(422);
        assert!(problem["errors"][0]["path"].as_str().unwrap().starts_with('?'), "{path}: {problem}");
    }
    let told = async |path: &str| web.post(path, "{}").await.problem(422)["detail"].clone();
    assert_eq!(told("/import?dryrun=1").await, "?dryrun is not known here; known are mode, dryRun");
    assert_eq!(told("/projects/default/restore?dryrun=1").await, "?dryrun is not known here; known is dryRun");
    assert_eq!(told("/scenes?dryRun=1").await, "?dryRun is not known here; no parameter is");
    for path in ["/scenes/a?dryRun=1", "/projects/default?DRYRUN=1"] {
        web.send(web.request(Method::DELETE, path)).await.problem(422);
    }
    let put = web.request(Method::PUT, "/scenes?dryRun=1").body("[]");
    web.send(put).await.problem(422);
    assert_eq!(all().await, before, "nothing was done");

    // the name alone asks for it, even when escaped
    for query in ["?dryRun", "?mode=replace&dryRun", "?dry%52un=1", "?&dryRun=true&"] {
        let answer = web.post(&format!("/import{query}"), other.to_owned()).await;
        assert_eq!((answer.status, answer.json()["dryRun"].as_bool()), (200, Some(true)), "{query}");
    }
    let dry = web.post("/projects/default/restore?dryRun", order.clone()).await;
    assert_eq!((dry.status, dry.json()["dryRun"].as_bool()), (200, Some(true)));
    assert_eq!(all().await, before, "asked only");

    // Reading requests may carry anything: browsers, caches and links add such things. A key in an address is never a fault.
    for path in
        ["/rgb?_=123", "/state?_=123&sparse=1", "/scenes?cache=no", "/healthz?x", "/?utm_source=qr", "/metrics?token=k"]
    {
        assert_eq!(web.get(path).await.status, 200, "{path}");
    }
    assert_eq!(web.get("/state?sprase=1").await.status, 200);
    assert_eq!(web.post("/rgb?_=123", command([4, 5, 6]).to_string()).await.status, 202, "as ever");
    assert_eq!(web.post("/rgb?token=k", command([4, 5, 6]).to_string()).await.status, 202);
}

#[tokio::test]
async fn an_empty_body_is_called_empty() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for path in ["/rgb", "/command", "/master", "/blackout", "/scenes", "/import"] {
        for body in ["", " \r\n"] {
            let detail = web.post(path, body).await.problem(400)["detail"].clone();
            assert_eq!(detail, "the body is empty", "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_switched_off_says_by_which_setting_in_one_way() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let told = async |path: &str| web.post(path, "{}").await.problem(404)["detail"].as_str().unwrap().to_owned();
    for (path, remedy) in [
        (
            "/projects",
            "projects are switched off: set projects.enabled (DMX_PROJECTS_ENABLED); GET /about names the file",
        ),
        (
            "/projects/default/backups",
            "backups are switched off: set backup.enabled (DMX_CLOUD_BACKUP_ENABLED); GET /about names the file",
        ),
        (
            "/usb/reconnect",
            "the USB output is switched off: set usb.enabled (DMX_USB_ENABLED); GET /about names the file",
        ),
    ] {
        assert!(told(path).await.contains(remedy), "{path}: {}", told(path).await);
    }
}

#[tokio::test]
async fn the_log_has_the_moves_of_the_desk_as_fields() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    assert_eq!(web.post("/master", r#"{"level":128}"#).await.status, 200);
    assert_eq!(web.post("/blackout", r#"{"on":true,"fadeMs":50}"#).await.status, 200);
    let moved = |field: &str, value: Value| {
        appliance.log.find(|line| line["message"] == "desk_changed" && line[field] == value)
    };
    let master = eventually("the master in the log", async || moved("control", json!("master"))).await;
    let blackout = eventually("the blackout in the log", async || moved("control", json!("blackout"))).await;
    assert_eq!(master["master"], 128, "{master}");
    assert_eq!((&blackout["on"], &blackout["fadeMs"]), (&json!(true), &json!(50)), "{blackout}");
}
