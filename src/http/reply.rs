//! Answers other than problems: JSON, text, bytes, and bytes with an ETag.

use std::net::IpAddr;

use serde::Serialize;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::hyper::body::Bytes;
use warp::reply::Response;

use super::problem::Problem;
use super::request::Held;
use crate::kit::budget::{Budget, Kind};
use crate::kit::fingerprint::fingerprint;
use crate::library::Tag;

/// A JSON answer that must not be cached.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(Problem::internal)?;
    let mut response = bytes("application/json", body);
    *response.status_mut() = status;
    Ok(response)
}

/// A large JSON answer, which may wait for a slow reader: charged to the budget until it is sent.
pub(super) fn json_held(budget: &Budget, to: IpAddr, value: &impl Serialize) -> Result<Response, Problem> {
    held("application/json", budget, to, serde_json::to_vec(value).map_err(Problem::internal)?)
}

/// The same of any media type.
pub(super) fn held(media: &'static str, budget: &Budget, to: IpAddr, body: Vec<u8>) -> Result<Response, Problem> {
    let share = budget.draw(Kind::Bodies, to, body.len())?;
    Ok(bytes(media, Bytes::from_owner(Held::new(body, share))))
}

/// A 200 of any media type that must not be cached.
pub(super) fn bytes(media: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 200, or 304 if the client has these very bytes. Caches ask each time, so that an update shows at once.
pub(super) fn tagged(media: &'static str, bytes: Bytes, request: &HeaderMap) -> Response {
    tagged_as(&format!("\"{}\"", fingerprint([&bytes[..]])), media, bytes, request)
}

/// The same with a known tag.
pub(super) fn tagged_as(etag: &str, media: &'static str, bytes: Bytes, request: &HeaderMap) -> Response {
    let fresh = request.get_all(IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(|v| matches(v, etag)));
    let mut response = Response::new(if fresh { Bytes::new() } else { bytes }.into());
    if fresh {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(ETAG, etag);
    }
    response
}

/// 304, if the client has the document with this tag.
pub(super) fn unchanged(tag: &Tag, request: &HeaderMap) -> Option<Response> {
    let known =
        request.get_all(IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(|v| matches(v, tag.as_str())));
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    known.then(|| with_tag(response, tag))
}

/// Adds the tag of the document that an answer shows or has changed.
pub(super) fn with_tag(mut response: Response, tag: &Tag) -> Response {
    if let Ok(tag) = HeaderValue::try_from(tag.as_str()) {
        response.headers_mut().insert(ETAG, tag);
    }
    // a cache may keep it, but asks each time
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// RFC 9110, 13.1.2: a list, compared weakly, or `*`.
fn matches(if_none_match: &str, etag: &str) -> bool {
    if_none_match.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_matches_in_a_list_weakly_and_by_star() {
        for (header, hit) in [("\"a\"", true), ("\"x\", W/\"a\"", true), ("*", true), ("\"b\"", false), ("a", false)] {
            assert_eq!(matches(header, "\"a\""), hit, "{header}");
        }
    }
}
