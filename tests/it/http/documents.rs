//! Pages, schemas, OpenAPI, health: what is read and not commanded.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Appliance, command, fresh_id};

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
async fn the_page_and_everything_it_names_is_served() {
    let appliance = Appliance::start().await;
    let page = appliance.web().get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.text.contains("openapi.json"), "it links to the docs: {}", page.text);
    let mut named = 0;
    for part in page.text.split(['"', '\'']).skip(1).step_by(2) {
        let is_file =
            part.ends_with(".js") || part.ends_with(".css") || part.ends_with(".svg") || part.ends_with(".json");
        if is_file && !part.contains(':') {
            let answer = appliance.web().get(&format!("/{}", part.trim_start_matches(['.', '/']))).await;
            assert_eq!(answer.status, 200, "{part}");
            named += 1;
        }
    }
    assert!(named >= 2, "at least its script and the docs: {}", page.text);
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
