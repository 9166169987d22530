//! REST (CONTRACT section 3): every route of the heart, every refusal; a refusal changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Appliance, Home, Web, command, command_with, fresh_id, raw_http, rgb_of};

#[tokio::test]
async fn a_posted_command_is_accepted_with_its_seq_and_seen() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let first = web.state().await;
    assert_eq!((&first["seq"], &first["updatedBy"], rgb_of(&first)), (&json!(0), &json!("init"), [0, 0, 0]));
    let id = fresh_id();

    let answer = web.post("/rgb", command_with(&id, [64, 32, 128]).to_string()).await;

    assert_eq!(answer.status, 202);
    assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    assert_eq!(answer.json(), json!({"status": "accepted", "cmdId": id, "seq": 1}));
    let state = web.state().await;
    let ts = state["ts"].as_u64().expect("an integer");
    let expected =
        json!({"schema": "demo.rgb.state.v1", "r": 64, "g": 32, "b": 128, "seq": 1, "updatedBy": "test", "ts": ts});
    assert_eq!(state, expected);
}

#[tokio::test]
async fn the_same_id_again_is_a_duplicate_in_any_case() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let id = fresh_id();
    web.accepted(&command_with(&id, [1, 2, 3])).await;
    for again in [id.clone(), id.to_lowercase()] {
        let answer = web.post("/rgb", command_with(&again, [9, 9, 9]).to_string()).await;
        assert_eq!(answer.status, 202);
        let body = answer.json();
        assert_eq!(body["status"], "duplicate");
        assert!(body["cmdId"].as_str().is_some_and(|text| text.eq_ignore_ascii_case(&id)), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    }
    let state = web.state().await;
    assert_eq!((state["seq"].as_u64(), rgb_of(&state)), (Some(1), [1, 2, 3]));
    assert_eq!(web.metric("dmx_engine_deduped_total").await, 2.0);
    assert_eq!(web.metric("dmx_engine_processed_total").await, 1.0);
}

#[tokio::test]
async fn the_same_colour_again_is_a_change() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for seq in 1..=3 {
        assert_eq!(web.accepted(&command([7, 7, 7])).await, seq);
    }
}

#[tokio::test]
async fn integers_of_64_bits_are_clamped() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for (r, g, b, rgb) in [
        (json!(300), json!(-5), json!(7), [255, 0, 7]),
        (json!(256), json!(-1), json!(255), [255, 0, 255]),
        (json!(u64::MAX), json!(i64::MIN), json!(i64::MAX), [255, 0, 255]),
    ] {
        web.accepted(&json!({"cmdId": fresh_id(), "src": "test", "r": r, "g": g, "b": b})).await;
        assert_eq!(rgb_of(&web.state().await), rgb);
    }
}

#[tokio::test]
async fn optional_fields_are_optional() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut body = command([1, 2, 3]);
    body["schema"] = json!("demo.rgb.cmd.v1");
    body["ts"] = json!(1);
    body["src"] = json!("é".repeat(64));
    web.accepted(&body).await;
    assert_eq!(web.state().await["updatedBy"], "é".repeat(64), "64 characters, not bytes");
}

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
async fn a_chunked_body_is_a_body() {
    let appliance = Appliance::start().await;
    let body = command([4, 5, 6]).to_string();
    let (head, tail) = body.split_at(10);
    let request = format!(
        "POST /rgb HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n",
        head.len(),
        tail.len()
    );
    assert_eq!(raw_http(appliance.http, request.as_bytes()).await.0, 202);
    assert_eq!(rgb_of(&appliance.web().state().await), [4, 5, 6]);
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for path in ["/nowhere", "/rgb/x", "/schemas/nothing.json", "/schemas/..%2f..%2fCargo.toml", "/healthz/x"] {
        web.get(path).await.problem(404);
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
async fn head_is_get_without_a_body() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    for path in ["/", "/rgb", "/healthz", "/readyz", "/metrics", "/openapi.json", "/schemas/demo.rgb.state.v1.json"] {
        let head = web.send(web.request(Method::HEAD, path)).await;
        let get = web.get(path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    assert_eq!(web.send(web.request(Method::HEAD, "/nowhere")).await.status, 404);
}

#[tokio::test]
async fn health_and_readiness_are_told() {
    let appliance = Appliance::start().await;
    let health = appliance.web().get("/healthz").await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    let ready = appliance.web().get("/readyz").await;
    assert_eq!(ready.status, 200);
    let body = ready.json();
    assert_eq!(body, json!({"ready": true, "mqttConnected": true, "queueDepth": 0, "problems": []}));
}

#[tokio::test]
async fn the_page_shows_the_way() {
    let appliance = Appliance::start().await;
    let page = appliance.web().get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.text.contains("/ws") && page.text.contains("/openapi.json"), "{}", page.text);
}

#[tokio::test]
async fn openapi_names_every_route_and_its_references_lead_somewhere() {
    let appliance = Appliance::start().await;
    let document = appliance.web().get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    for (path, methods) in [
        ("/rgb", &["get", "post"][..]),
        ("/ws", &["get"]),
        ("/healthz", &["get"]),
        ("/readyz", &["get"]),
        ("/metrics", &["get"]),
        ("/openapi.json", &["get"]),
        ("/schemas/{name}.json", &["get"]),
    ] {
        for method in methods {
            let responses = &document["paths"][path][method]["responses"];
            assert!(responses.as_object().is_some_and(|all| !all.is_empty()), "{method} {path}");
        }
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(!references.is_empty(), "shapes are named once and referred to");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("a reference inside: {reference}"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn the_schemas_are_valid_and_say_what_is_accepted_and_emitted() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let mut validators = Vec::new();
    for name in ["demo.rgb.cmd.v1", "demo.rgb.state.v1"] {
        let schema = web.get(&format!("/schemas/{name}.json")).await.json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::meta::is_valid(&schema), "{schema}");
        validators.push(jsonschema::draft202012::new(&schema).unwrap());
    }
    let [commands, states] = &validators[..] else { unreachable!() };
    assert!(states.is_valid(&web.state().await), "the first state");
    let mut with_schema = command([1, 2, 3]);
    with_schema["schema"] = json!("demo.rgb.cmd.v1");
    let mut clamped = command([1, 2, 3]);
    (clamped["r"], clamped["g"]) = (json!(-70_000), json!(u64::MAX));
    let mut lower = command([1, 2, 3]);
    lower["cmdId"] = json!(fresh_id().to_lowercase());
    for body in [command([1, 2, 3]), with_schema, clamped, lower] {
        assert!(commands.is_valid(&body), "{body}");
        web.accepted(&body).await;
        assert!(states.is_valid(&web.state().await));
    }
    for (name, value) in [
        ("r", json!("1")),
        ("r", json!(1.5)),
        ("src", json!("")),
        ("cmdId", json!("x")),
        ("x", json!(1)),
        ("ts", json!(0)),
    ] {
        let mut body = command([1, 2, 3]);
        body[name] = value;
        assert!(!commands.is_valid(&body), "{body}");
        web.post("/rgb", body.to_string()).await.problem(422);
    }
}

#[tokio::test]
async fn any_origin_is_welcome_by_default() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let origin = "http://tablet.local:5173";
    let answer = web.send(web.request(Method::GET, "/rgb").header("origin", origin)).await;
    assert_eq!(answer.status, 200);
    assert!(["*", origin].contains(&answer.header("access-control-allow-origin")), "{answer:?}");
    let refused = web.send(web.request(Method::POST, "/rgb").header("origin", origin).body("{")).await;
    refused.problem(400);
    assert!(["*", origin].contains(&refused.header("access-control-allow-origin")), "a script may read refusals, too");
    assert_preflight(&web, origin).await;
}

#[tokio::test]
async fn only_configured_origins_are_welcome() {
    let appliance = Home::new().set("DMX_ALLOW_ORIGINS", "http://a.example,http://b.example:81").start().await;
    let web = appliance.web();
    for origin in ["http://a.example", "http://b.example:81"] {
        let answer = web.send(web.request(Method::GET, "/rgb").header("origin", origin)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
        assert_preflight(&web, origin).await;
    }
    for origin in ["http://c.example", "https://a.example", "http://b.example", "null"] {
        let body = command([1, 2, 3]).to_string();
        let answer = web.send(web.request(Method::POST, "/rgb").header("origin", origin).body(body)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""), "{origin}");
        let preflight = web.request(Method::OPTIONS, "/rgb").header("origin", origin);
        let answer = web.send(preflight.header("access-control-request-method", "POST")).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    assert_untouched(&appliance).await;
    assert_eq!(web.get("/rgb").await.status, 200, "a request without Origin is allowed");
}

#[tokio::test]
async fn required_keys_are_required() {
    let home = Home::new().set("DMX_AUTH_MODE", "required").set("DMX_AUTH_KEYS", "first-key,second-key");
    let appliance = home.start().await;
    let web = appliance.web();
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(web.get(path).await.status, 200, "{path} needs no key");
    }
    for path in ["/rgb", "/metrics", "/openapi.json", "/schemas/demo.rgb.cmd.v1.json"] {
        web.get(path).await.problem(401);
        web.send(web.request(Method::GET, path).header("x-api-key", "wrong")).await.problem(401);
        let right = web.send(web.request(Method::GET, path).header("x-api-key", "second-key")).await;
        assert_eq!(right.status, 200, "{path}");
    }
    let body = command([1, 2, 3]).to_string();
    web.post("/rgb", body.clone()).await.problem(401);
    let post = |key: &str| web.request(Method::POST, "/rgb").header("x-api-key", key).body(body.clone());
    web.send(post("first-ke")).await.problem(401);
    assert_eq!(web.send(post("first-key")).await.json()["seq"], 1, "the first change there is");
    assert_preflight(&web, "http://tablet.local").await;
    assert_no_key_in_the_log(&appliance, &["first-key", "second-key"]);
}

#[tokio::test]
async fn in_audit_mode_nobody_is_refused_and_the_log_has_a_fingerprint() {
    let appliance = Appliance::start().await;
    let web = appliance.web();
    let key = "tablet-key-7f3a";
    let request = web.request(Method::POST, "/rgb").header("x-api-key", key).body(command([1, 2, 3]).to_string());
    assert_eq!(web.send(request).await.status, 202);
    appliance.log.wait("a fingerprint", |line| line.to_string().to_lowercase().contains("fingerprint")).await;
    assert_no_key_in_the_log(&appliance, &[key]);
}

#[tokio::test]
async fn with_a_queue_of_one_every_answer_is_honest() {
    let appliance = Home::new().set("DMX_QUEUE_SIZE", "1").start().await;
    let web = appliance.web();
    let mut posts = tokio::task::JoinSet::new();
    for n in 0..200_u32 {
        let web = web.clone();
        posts.spawn(async move {
            let mut body = command(crate::harness::colour(n));
            body["src"] = json!(if n % 2 == 0 { "ui-tablet" } else { "script" });
            web.post("/rgb", body.to_string()).await
        });
    }
    let mut seqs = Vec::new();
    let mut refused = 0;
    for answer in posts.join_all().await {
        if answer.status == 202 {
            seqs.push(answer.json()["seq"].as_u64().unwrap());
        } else {
            answer.problem(503);
            assert!(answer.header("retry-after").parse::<u64>().is_ok(), "{answer:?}");
            refused += 1;
        }
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "what was accepted has happened, once");
    assert_eq!(seqs.len() + refused, 200);
    assert!(!seqs.is_empty());
    assert_eq!(web.seq().await, seqs.len() as u64, "what was refused has not");
}

fn collect_references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| collect_references(field, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        _ => {}
    }
}

async fn assert_preflight(web: &Web, origin: &str) {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let preflight = web.request(Method::OPTIONS, "/rgb").header("origin", origin);
        let preflight = preflight.header("access-control-request-method", method);
        let headers = "content-type,x-api-key,if-none-match";
        let answer = web.send(preflight.header("access-control-request-headers", headers)).await;
        assert!((200..300).contains(&answer.status), "{method} from {origin}: {answer:?}");
        assert!(["*", origin].contains(&answer.header("access-control-allow-origin")), "{answer:?}");
        let methods = answer.header("access-control-allow-methods").to_owned();
        assert!(methods.split(',').any(|each| each.trim() == method), "{method} in {methods}");
        let allowed = answer.header("access-control-allow-headers").to_lowercase();
        for name in headers.split(',') {
            assert!(allowed.split(',').any(|each| each.trim() == name), "{name} in {allowed}");
        }
    }
}

fn assert_no_key_in_the_log(appliance: &Appliance, keys: &[&str]) {
    let log = appliance.log.all().join("\n") + &appliance.stderr.all().join("\n");
    for key in keys {
        assert!(!log.contains(key), "a key in the log");
    }
}

/// Nothing has been applied, and the appliance serves.
async fn assert_untouched(appliance: &Appliance) {
    let state = appliance.web().state().await;
    assert_eq!((&state["seq"], rgb_of(&state)), (&json!(0), [0, 0, 0]), "nothing changed");
}
