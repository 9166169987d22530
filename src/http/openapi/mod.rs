//! `GET /openapi.json`: OpenAPI 3.1, made from the route table and the wire types.

mod operation;
mod refusals;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::routes::{resources, table};
use super::schemas;

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
    let mut paths = Map::new();
    for (resource, route) in table() {
        let operation = operation::operation(resource, route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.verb.as_str().to_ascii_lowercase(), operation);
        }
    }
    let responses = refusals::components(&mut generator);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dmxd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A lighting appliance. Keys are asked for when auth.mode is required. MQTT and WebSocket \
                            messages are described by the files below /schemas.",
        },
        "servers": [{"url": "/", "description": "The appliance that serves this document."}],
        "tags": resources().iter().map(|all| json!({"name": all.name, "description": all.says})).collect::<Value>(),
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": responses,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "dmxd"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::routes::Etag;
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

    /// Every schema below a value that allows anything, by its place.
    fn silent(value: &Value, at: &str, found: &mut Vec<String>) {
        let Value::Object(fields) = value else {
            if let Value::Array(items) = value {
                items.iter().enumerate().for_each(|(n, item)| silent(item, &format!("{at}/{n}"), found));
            }
            return;
        };
        for (name, value) in fields.iter().filter(|(name, _)| *name != "example") {
            let at = format!("{at}/{name}");
            let is_schema = matches!(name.as_str(), "schema" | "items");
            let many = matches!(name.as_str(), "properties" | "schemas").then(|| value.as_object().unwrap());
            let schemas = many.into_iter().flat_map(|all| all.values()).chain(is_schema.then_some(value));
            if schemas.into_iter().any(|schema| schema.as_object().is_none_or(Map::is_empty)) {
                found.push(at.clone());
            }
            silent(value, &at, found);
        }
    }

    /// All operations, and their places.
    fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, all)| {
            all.as_object().unwrap().iter().map(move |(verb, operation)| (format!("{verb} {path}"), operation))
        })
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_one_that_says_something() {
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
        let mut nothing = Vec::new();
        silent(&document, "", &mut nothing);
        assert!(nothing.is_empty(), "{nothing:#?}");
    }

    #[test]
    fn every_row_is_an_operation_with_a_name_of_its_own_its_parameters_and_all_that_it_may_answer() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["title"], "dmxd");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut ids = BTreeSet::new();
        for (resource, route) in table() {
            let operation = &document["paths"][route.path][route.verb.as_str().to_lowercase()];
            assert_eq!(operation["operationId"], route.id);
            assert!(ids.insert(route.id), "{} is there twice", route.id);
            assert_eq!(operation["tags"], json!([resource]));
            let says = operation["summary"].as_str().unwrap();
            assert!(!says.is_empty() && !route.gives.says.is_empty(), "{}", route.id);
            let in_header = match route.etag {
                Etag::Cached => Some(("header", "If-None-Match")),
                Etag::Expected => Some(("header", "If-Match")),
                Etag::None | Etag::Shown => None,
            };
            let in_path = route.path.split(['{', '}']).skip(1).step_by(2).map(|name| ("path", name));
            let in_query = route.query.iter().map(|query| ("query", query.name));
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice).iter();
            let named: Vec<_> =
                parameters.map(|one| (one["in"].as_str().unwrap(), one["name"].as_str().unwrap())).collect();
            let required = route.header.map(|header| ("header", header.name));
            assert_eq!(
                named,
                in_path.chain(in_query).chain(required).chain(in_header).collect::<Vec<_>>(),
                "{}",
                route.id
            );
            let responses = operation["responses"].as_object().unwrap();
            let answers = std::iter::once(&route.gives).chain(&route.or_gives).map(|answer| answer.status);
            let refusals = refusals::refusals(route).into_iter().map(|(status, _)| status.parse().unwrap());
            let statuses: BTreeSet<u16> = answers
                .chain((route.etag == Etag::Cached).then_some(304))
                .chain(route.refuses.iter().map(|(status, _)| *status))
                .chain(refusals)
                .collect();
            let given: BTreeSet<_> = responses.keys().map(|status| status.parse().unwrap()).collect();
            assert_eq!(given, statuses, "{}", route.id);
            for response in responses.values() {
                let response = match response["$ref"].as_str() {
                    Some(target) => document.pointer(target.trim_start_matches('#')).unwrap(),
                    None => response,
                };
                assert!(response["description"].as_str().is_some_and(|says| !says.is_empty()), "{}", route.id);
            }
            for (scheme, _) in operation["security"].as_array().unwrap().iter().filter_map(Value::as_object).flatten() {
                assert!(document["components"]["securitySchemes"][scheme].is_object());
            }
        }
        assert_eq!(operations(&document).count(), table().count());
        let tags: BTreeSet<_> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str()).collect();
        assert!(operations(&document).all(|(_, operation)| tags.contains(&operation["tags"][0].as_str())));
    }

    #[test]
    fn each_place_in_a_path_and_each_query_has_a_type_and_numbers_are_integers() {
        for (at, operation) in operations(&document()) {
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let in_path = parameters.iter().filter(|one| one["in"] == "path" && one["required"] == true).count();
            assert_eq!(in_path, at.matches('{').count(), "{at}");
            for parameter in parameters {
                let (kind, says) = (&parameter["schema"]["type"], parameter["description"].as_str());
                let is_number = at.contains("{u}") && parameter["name"] == "u";
                assert_eq!(kind, if is_number { "integer" } else { "string" }, "{at}: {parameter}");
                assert!(says.is_some_and(|says| !says.is_empty()), "{at}: {parameter}");
            }
        }
    }

    #[test]
    fn every_example_is_one() {
        let mut document = document();
        let mut checked = 0;
        let mut examples = Vec::new();
        for (at, operation) in operations(&document) {
            let bodies = operation["responses"].as_object().unwrap().values().chain(operation.get("requestBody"));
            for content in bodies.filter_map(|body| body["content"].as_object()).flat_map(|all| all.values()) {
                if let Some(example) = content.get("example") {
                    examples.push((at.clone(), content["schema"].clone(), example.clone()));
                }
            }
        }
        let components = document["components"].take();
        for (at, mut schema, example) in examples {
            schema["components"] = components.clone();
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            assert!(validator.is_valid(&example), "{at}: {example}: {:?}", validator.iter_errors(&example).next());
            checked += 1;
        }
        assert!(checked > 20, "{checked}");
    }

    /// Every object below a value that has examples, with what they are examples of.
    fn with_examples<'a>(value: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("examples").filter(|examples| examples.is_array()).map(|_| fields));
                fields.values().for_each(|value| with_examples(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| with_examples(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_body_that_is_taken_has_an_example_that_is_taken() {
        let document = document();
        let (mut bodies, mut examples) = (0, Vec::new());
        with_examples(&document["components"]["schemas"], &mut examples);
        for schema in &examples {
            let mut whole = Value::Object((*schema).clone());
            whole["components"] = document["components"].clone();
            let validator = jsonschema::draft202012::new(&whole).unwrap();
            assert!(schema["examples"].as_array().unwrap().iter().all(|one| validator.is_valid(one)), "{schema:?}");
        }
        for (at, operation) in operations(&document) {
            let Some(body) = operation.get("requestBody") else { continue };
            let Some(content) = body["content"].get("application/json") else { continue }; // bytes
            let schema = &content["schema"];
            let target = schema["$ref"].as_str().or(schema["items"]["$ref"].as_str()).unwrap();
            let schema = document.pointer(target.trim_start_matches('#')).unwrap();
            let kinds = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            for kind in kinds {
                let target = kind["$ref"].as_str().map(|target| target.trim_start_matches('#'));
                let kind = target.map_or(Some(&kind), |target| document.pointer(target)).unwrap();
                assert!(kind["examples"][0].is_object(), "{at}");
            }
            bodies += 1;
        }
        assert!(bodies > 10 && examples.len() > 15, "{bodies}, {}", examples.len());
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
