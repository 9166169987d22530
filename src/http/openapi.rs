//! `GET /openapi.json`: OpenAPI 3.1 made from the route table and the wire types.

use std::sync::LazyLock;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::routes::{Key, Route, Verb, table};
use super::{problem, schemas};

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document, made once.
pub(super) fn text() -> &'static str {
    &TEXT
}

fn document() -> Value {
    // OpenAPI 3.1's dialect is a superset of 2020-12; only the place of the definitions differs.
    let settings = schemas::settings().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<problem::Body<'static>>().to_value();
    let mut paths = Map::new();
    for route in table() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let operation = operation(route, &mut generator, &problem);
        if let Some(path) = path.as_object_mut() {
            path.insert(route.verb.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dmxd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A lighting appliance. Keys are asked for when auth.mode is required. MQTT and WebSocket \
                            messages are described by the files below /schemas.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let mut responses = Map::new();
    for answer in route.answers {
        let mut response = json!({"description": answer.says});
        if let (Some((media, shape)), Some(response)) = (&answer.body, response.as_object_mut()) {
            let schema = shape.map_or_else(|| json!({}), |shape| json!({"schema": shape(generator).to_value()}));
            response.insert("content".into(), json!({ *media: schema }));
        }
        responses.insert(answer.status.to_string(), response);
    }
    let refused = json!({"description": "It was not done.", "content": {problem::MEDIA: {"schema": problem}}});
    responses.insert("default".into(), refused);
    let mut operation = json!({"summary": route.summary, "responses": responses, "security": security(route)});
    if let Some(operation) = operation.as_object_mut() {
        if let Some(shape) = route.takes {
            let content = json!({"application/json": {"schema": shape(generator).to_value()}});
            operation.insert("requestBody".into(), json!({"required": true, "content": content}));
        }
        let in_path = names(route.path).map(|name| (name, "path", json!({"type": "string"})));
        let in_query = route.query.iter().map(|query| (query.name, "query", json!({"enum": query.values})));
        let parameters: Vec<_> = in_path
            .chain(in_query)
            .map(|(name, place, schema)| json!({"name": name, "in": place, "required": place == "path", "schema": schema}))
            .collect();
        if !parameters.is_empty() {
            operation.insert("parameters".into(), parameters.into());
        }
    }
    operation
}

/// `{}` first: without auth.mode = required nobody asks.
fn security(route: &Route) -> Value {
    match route.key {
        Key::Free => json!([]),
        Key::AsHeader if route.verb == Verb::Get => json!([{}, {"apiKey": []}, {"token": []}]),
        Key::AsHeader => json!([{}, {"apiKey": []}]),
        Key::AsToken => json!([{}, {"token": []}]),
    }
}

/// The names between braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` below a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some(target) if name == "$ref" => found.push(target),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_component_that_is_a_schema() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 5, "{found:?}");
        for target in found {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn every_row_is_an_operation_with_what_openapi_demands() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
        for route in table() {
            let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.values().all(|response| response["description"].is_string()), "{}", route.path);
            assert_eq!(responses.len(), route.answers.len() + 1);
            for (scheme, _) in operation["security"].as_array().unwrap().iter().filter_map(Value::as_object).flatten() {
                assert!(document["components"]["securitySchemes"][scheme].is_object());
            }
            let names = operation["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(names, route.path.matches('{').count() + route.query.len(), "{}", route.path);
        }
        let operations = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
        assert_eq!(operations.sum::<usize>(), table().count());
    }

    #[test]
    fn the_command_in_openapi_is_the_one_of_its_schema_file() {
        let document = document();
        let file = schemas::ALL.iter().find(|schema| schema.name == crate::wire::CMD_SCHEMA).unwrap();
        let file: Value = serde_json::from_str(file.text).unwrap();
        let body = &document["paths"]["/rgb"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let target = body["$ref"].as_str().unwrap().trim_start_matches('#');
        assert_eq!(document.pointer(target).unwrap()["properties"], file["properties"]);
    }
}
