//! What documents us: `/schemas/{name}.json` and `/openapi.json`.

use warp::http::StatusCode;
use warp::hyper::body::Bytes;

use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::request::Request;
use super::super::{openapi, reply, schemas};

/// Media type of a schema (draft-bhutton-json-schema-01, section 14).
pub(super) const MEDIA: &str = "application/schema+json";

pub(super) fn read(request: &Request) -> Result<Response, Problem> {
    let schema = schemas::ALL.iter().find(|schema| schema.name == request.parameter(0));
    let schema = schema.ok_or_else(|| {
        let names = schemas::ALL.iter().map(|schema| schema.name).collect::<Vec<_>>().join(", ");
        Problem::new(StatusCode::NOT_FOUND, format!("there is no such schema; there are {names}"))
    })?;
    Ok(reply::tagged(MEDIA, Bytes::from_static(schema.text.as_bytes()), &request.headers))
}

pub(super) fn openapi(request: &Request) -> Result<Response, Problem> {
    Ok(reply::tagged("application/json", Bytes::from_static(openapi::text().as_bytes()), &request.headers))
}
