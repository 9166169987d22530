//! What a row may answer instead of doing what it is asked: most of it follows from the row, the rest stands there.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::super::problem::{self, Body};
use super::super::routes::{Etag, Key, Route, Verb};

/// Statuses, the names of their components, and when they are answered, where a row has no better words.
const ALL: [(u16, &str, &str); 15] = [
    (400, "BadRequest", "The body is not JSON or broke off, or the request has not exactly one Host."),
    (401, "Unauthorized", "The key is missing or wrong (`auth.mode = \"required\"`)."),
    (403, "Forbidden", "Pages of this Origin are not allowed (`http.allow_origins`)."),
    (404, "NotFound", "There is nothing of this name."),
    (406, "NotAcceptable", "There is no form of it that the client takes."),
    (408, "RequestTimeout", "The body took too long."),
    (409, "Conflict", "Something else stands against it."),
    (412, "PreconditionFailed", "`If-Match` names another content than is there; nothing was changed."),
    (413, "ContentTooLarge", "The body is larger than 64 KiB; a list of scenes, a scene or a show file than 8 MiB."),
    (421, "MisdirectedRequest", "The appliance does not answer to this Host (`http.allow_hosts`)."),
    (422, "UnprocessableContent", "The body or a parameter is not as described here; `errors` names every fault."),
    (426, "UpgradeRequired", "Only a WebSocket handshake is understood here."),
    (500, "InternalServerError", "A fault of the appliance; its log says more under `correlationId`."),
    (502, "BadGateway", "Something that the appliance needs for it fails."),
    (503, "ServiceUnavailable", "It cannot be done now; try again after `Retry-After`."),
];

/// Whether any row of this kind may answer it.
fn follows(route: &Route, status: u16) -> bool {
    let (reads, takes) = (route.verb == Verb::Get, route.takes.is_some());
    match status {
        400 | 421 | 500 => true,
        401 => route.key == Key::AsHeader,
        403 => !reads || route.key == Key::AsToken,
        404 => route.path.contains('{'),
        408 | 413 => takes,
        412 => route.etag == Etag::Expected,
        // Without a body it is an unknown parameter.
        422 => !reads,
        503 => !reads,
        _ => false,
    }
}

/// The refusals of a row, by status.
pub(super) fn refusals(route: &Route) -> Map<String, Value> {
    let own = |status| route.refuses.iter().find(|(one, _)| *one == status).map(|(_, says)| *says);
    let all = ALL.iter().filter_map(|&(status, name, _)| match own(status) {
        Some(says) => Some((status, described(status, says))),
        None => follows(route, status).then(|| (status, json!({"$ref": format!("#/components/responses/{name}")}))),
    });
    all.map(|(status, response)| (status.to_string(), response)).collect()
}

/// What rows refer to.
pub(super) fn components(generator: &mut SchemaGenerator) -> Value {
    let _ = generator.subschema_for::<Body<'static>>(); // put among the components
    ALL.iter().map(|&(status, name, says)| (name.to_owned(), described(status, says))).collect::<Map<_, _>>().into()
}

fn described(status: u16, says: &str) -> Value {
    let mut content =
        Map::from_iter([(problem::MEDIA.to_owned(), json!({"schema": {"$ref": "#/components/schemas/Problem"}}))]);
    if status == 421 {
        content.insert("text/html".to_owned(), json!({"schema": {"type": "string"}})); // a browser gets a page
    }
    let header = |name: &str, says: &str, kind: &str| json!({name: {"description": says, "schema": {"type": kind}}});
    let headers = match status {
        401 => header("WWW-Authenticate", "Which key is asked for.", "string"),
        412 => header("ETag", "Names the content that is there.", "string"),
        503 => header("Retry-After", "Seconds.", "integer"),
        _ => json!({}),
    };
    json!({"description": says, "headers": headers, "content": content})
}
