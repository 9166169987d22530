//! Answers that are no problems: JSON, text, bytes.

use serde::Serialize;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use warp::http::{HeaderValue, StatusCode};
use warp::hyper::body::Bytes;

use super::dispatch::Response;
use super::problem::Problem;

/// A JSON answer that no cache keeps.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let mut response = bytes("application/json", body);
    *response.status_mut() = status;
    Ok(response)
}

/// A 200 of any media type that no cache keeps.
pub(super) fn bytes(media: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
