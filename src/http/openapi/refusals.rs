//! What a row may answer besides success: most of it follows from the row, the rest is in the row.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::super::problem::{self, Body};
use super::super::routes::{Etag, Key, Route, Verb};

/// Statuses, the names of their components, and when they are sent, unless a row has better words.
const ALL: [(u16, &str, &str); 16] = [
    (400, "BadRequest", "The body is not JSON or broke off, or the request has not exactly one Host."),
    (
        401,
        "Unauthorized",
        "Nobody is known by what was shown, or nothing was and the appliance is locked (`auth.mode`).",
    ),
    (
        403,
        "Forbidden",
        "The role does not allow it (`needs` names the one that does), or pages of this Origin are not allowed (`http.allow_origins`).",
    ),
    (404, "NotFound", "There is nothing with this name."),
    (406, "NotAcceptable", "The client accepts none of its forms."),
    (408, "RequestTimeout", "The body took too long."),
    (409, "Conflict", "It conflicts with something else."),
    (412, "PreconditionFailed", "The content is not the one that `If-Match` names; nothing was changed."),
    (413, "ContentTooLarge", "The body is larger than 64 KiB; a list of scenes, a scene or a show file than 8 MiB."),
    (421, "MisdirectedRequest", "The appliance does not answer to this Host (`http.allow_hosts`)."),
    (422, "UnprocessableContent", "The body or a parameter is not as described here; `errors` names every fault."),
    (426, "UpgradeRequired", "Only a WebSocket handshake is accepted here."),
    (429, "TooManyRequests", "Too many wrong secrets; `Retry-After` says how long none is looked at."),
    (500, "InternalServerError", "An error of the appliance; its log says more under `correlationId`."),
    (502, "BadGateway", "Something that the appliance needs for it failed."),
    (503, "ServiceUnavailable", "Not possible now; try again after `Retry-After`."),
];

/// Whether any row of this kind may answer it.
fn follows(route: &Route, status: u16) -> bool {
    let (reads, takes) = (route.verb == Verb::Get, route.takes.is_some());
    match status {
        400 | 421 | 500 => true,
        401 => route.needs.role.is_some() && route.key == Key::Header,
        403 => !reads || route.key.opens_socket() || route.needs.role.is_some(),
        404 => route.path.contains('{'),
        408 | 413 => takes,
        412 => route.etag == Etag::Expected,
        // without a body it is an unknown parameter
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

/// The components that rows refer to.
pub(super) fn components(generator: &mut SchemaGenerator) -> Value {
    let _ = generator.subschema_for::<Body<'static>>(); // added to the components
    ALL.iter().map(|&(status, name, says)| (name.to_owned(), described(status, says))).collect::<Map<_, _>>().into()
}

/// A browser gets a page instead of a 421's problem. It is left out: for the sake of it the error of every call would be a
/// text too, to clients that are made of this.
fn described(status: u16, says: &str) -> Value {
    let content = json!({problem::MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let header = |name: &str, says: &str, kind: &str| json!({name: {"description": says, "schema": {"type": kind}}});
    let headers = match status {
        401 => header("WWW-Authenticate", "The key that is required.", "string"),
        429 => header("Retry-After", "Seconds.", "integer"),
        412 => header("ETag", "Names the present content.", "string"),
        503 => header("Retry-After", "Seconds.", "integer"),
        _ => json!({}),
    };
    json!({"description": says, "headers": headers, "content": content})
}
