//! A row of the route table as an operation.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::super::routes::{Answer, Etag, Header, Key, Needs, Query, Route, Verb};
use super::super::schemas;
use super::refusals::refusals;
use crate::wire::ID_PATTERN;

pub(super) fn operation(resource: &str, route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses = refusals(route);
    for answer in std::iter::once(&route.gives).chain(&route.or_gives) {
        responses.insert(answer.status.to_string(), response(route, answer, generator));
    }
    if route.etag == Etag::Cached {
        let says = "`If-None-Match` names the present content.";
        responses.insert("304".into(), json!({"description": says, "headers": {"ETag": etag()}}));
    }
    responses.sort_keys();
    let summary = route.says.split_once(". ").map_or(route.says, |(first, _)| first).trim_end_matches('.');
    let mut operation = Map::from_iter([
        ("operationId".to_owned(), route.id.into()),
        ("tags".to_owned(), json!([resource])),
        ("summary".to_owned(), summary.into()),
        ("description".to_owned(), route.says.into()),
        ("security".to_owned(), security(route)),
        ("responses".to_owned(), responses.into()),
    ]);
    if let Some(role) = route.needs.role {
        let Needs { or_panel, or_device, known, .. } = route.needs;
        let needs = json!({"role": role, "orPanel": or_panel, "orDevice": or_device, "known": known});
        operation.insert("x-needs".to_owned(), needs);
    }
    if let Some(takes) = route.takes {
        let content = json!({"schema": (takes.shape)(generator)});
        let body = json!({"required": !takes.optional, "content": {takes.media: content}});
        operation.insert("requestBody".to_owned(), body);
    }
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    operation.into()
}

fn response(route: &Route, answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let content = answer.body.map(|(media, shape)| match answer.example {
        "" => json!({media: {"schema": shape(generator)}}),
        text => json!({media: {"schema": shape(generator), "example": example(text)}}),
    });
    let headers = if route.etag == Etag::None { json!({}) } else { json!({"ETag": etag()}) };
    json!({"description": answer.says, "headers": headers, "content": content.unwrap_or_else(|| json!({}))})
}

fn etag() -> Value {
    json!({"description": "Names the content (RFC 9110, 8.8.3).", "schema": {"type": "string"}})
}

/// A test reads every one.
fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// `{}` first: unless auth.mode is required, nobody needs a key.
fn security(route: &Route) -> Value {
    match route.key {
        _ if route.needs.role.is_none() => json!([]),
        Key::Login => json!([]),
        Key::Header if route.verb == Verb::Get => {
            json!([{}, {"apiKey": []}, {"bearer": []}, {"cookie": []}, {"token": []}])
        }
        Key::Header => json!([{}, {"apiKey": []}, {"bearer": []}, {"cookie": []}]),
        Key::Token => json!([{}, {"token": []}]),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = names(route.path).map(|name| place(route.path, name));
    let in_header = match route.etag {
        Etag::Cached => Some(("If-None-Match", "The known `ETag`: 304 while it is still the present one.")),
        Etag::Expected => Some(("If-Match", "The `ETag` of the content to edit: 412 if that has changed.")),
        Etag::None | Etag::Shown => None,
    };
    let in_header = in_header.map(|(name, says)| {
        json!({"name": name, "in": "header", "required": false, "description": says, "schema": {"type": "string"}})
    });
    in_path.chain(route.query.iter().map(query)).chain(route.header.map(required)).chain(in_header).collect()
}

fn query(query: &Query) -> Value {
    let schema = match query.values.first() {
        Some(default) => json!({"type": "string", "enum": query.values, "default": default}),
        None => json!({"type": "string", "minLength": 1, "maxLength": 64}),
    };
    json!({"name": query.name, "in": "query", "required": false, "description": query.says, "schema": schema})
}

fn required(header: &Header) -> Value {
    let schema = json!({"type": "string", "pattern": header.pattern});
    json!({"name": header.name, "in": "header", "required": true, "description": header.says, "schema": schema})
}

/// The description of a `{…}`.
fn place(path: &str, name: &str) -> Value {
    let id = json!({"type": "string", "pattern": ID_PATTERN});
    let (says, schema, example) = match name {
        "u" => ("Index of the universe.", json!({"type": "integer", "minimum": 0, "maximum": 63}), json!(0)),
        "versionId" => ("Id of the version.", id, json!("01JD0000000000000000000009")),
        "id" if path.starts_with("/scenes") => {
            let any = json!({"type": "string", "minLength": 1, "maxLength": 128});
            ("Id of the scene.", any, json!("scene-warm"))
        }
        "id" if path.starts_with("/users") => ("Id of the user.", id, json!("01JD0000000000000000000001")),
        "id" if path.starts_with("/panels") => ("Id of the panel.", id, json!("01JD0000000000000000000002")),
        "id" if path.starts_with("/fixture-types") => ("Id of the fixture type.", id, json!("dimmer")),
        "secret" => (
            "What the panel's address ends with.",
            json!({"type": "string", "minLength": 1}),
            json!("5f1d7a84db00d2fca7a1c2dd6cbd40f1"),
        ),
        "id" => ("Id of the project.", id, json!("default")),
        "name" => {
            let names: Vec<_> = schemas::ALL.iter().map(|schema| schema.name).collect();
            ("Name of the schema.", json!({"type": "string", "enum": names}), json!("desk"))
        }
        _ => ("Name of the file.", json!({"type": "string", "minLength": 1}), json!("app.js")),
    };
    json!({"name": name, "in": "path", "required": true, "description": says, "schema": schema, "example": example})
}

/// The names between braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}
