//! What is refused, how, and that it changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Appliance, command, fresh_id, raw_http, rgb_of};

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

/// Nothing has been applied, and the appliance serves.
pub async fn assert_untouched(appliance: &Appliance) {
    let state = appliance.web().state().await;
    assert_eq!((&state["seq"], rgb_of(&state)), (&json!(0), [0, 0, 0]), "nothing changed");
}
