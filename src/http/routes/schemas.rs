//! Our own descriptions: `/schemas/{name}.json` and `/openapi.json`.

use std::sync::Arc;

use warp::http::StatusCode;
use warp::hyper::body::Bytes;
use warp::reply::Response;

use super::super::problem::Problem;
use super::super::request::Request;
use super::super::{App, openapi, reply, schemas};
use super::route::object;
use super::{Etag, Needs, Route, get};

/// Media type of a schema (draft-bhutton-json-schema-01, section 14).
const MEDIA: &str = "application/schema+json";

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/schemas/{name}.json", "getSchema", Needs::VIEW, &read)
        .says("A JSON Schema of what is sent over MQTT, WebSocket and REST.")
        .gives_as(MEDIA, object, 200, "The schema, draft 2020-12.")
        .etag(Etag::Cached),
    get("/openapi.json", "getOpenapi", Needs::VIEW, &openapi)
        .says("This document.")
        .gives_as("application/json", object, 200, "OpenAPI 3.1.")
        .etag(Etag::Cached),
];

async fn read(_: Arc<App>, request: Request) -> Result<Response, Problem> {
    let schema = schemas::ALL.iter().find(|schema| schema.name == request.parameter(0));
    let schema = schema.ok_or_else(|| {
        let names = schemas::ALL.iter().map(|schema| schema.name).collect::<Vec<_>>().join(", ");
        Problem::new(StatusCode::NOT_FOUND, format!("there is no such schema; there are {names}"))
    })?;
    Ok(reply::tagged(MEDIA, Bytes::from_static(schema.text.as_bytes()), &request.headers))
}

async fn openapi(_: Arc<App>, request: Request) -> Result<Response, Problem> {
    Ok(reply::tagged("application/json", Bytes::from_static(openapi::text().as_bytes()), &request.headers))
}
