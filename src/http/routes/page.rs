//! The page for people: the files of `pwa/` as they are.

use warp::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use warp::http::{HeaderValue, StatusCode};

use super::super::assets;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::request::Request;
use super::{Key, Route, Verb, text};

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The row of one file.
pub(super) const fn row(path: &'static str, summary: &'static str) -> Route {
    Route {
        verb: Verb::Get,
        path,
        summary,
        key: Key::Free,
        query: &[],
        takes: None,
        answers: const { &[text("*/*", "The file.")] },
        handler: |_, request| Box::pin(async move { read(&request) }),
    }
}

fn read(request: &Request) -> Result<Response, Problem> {
    let file = assets::FILES.iter().find(|file| file.path == request.path);
    let file = file.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such file"))?;
    let mut response = assets::answer(file.media, file.bytes, &request.headers);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
