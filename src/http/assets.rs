//! The files of the page, inside the program, and answers with an ETag.

use sha2::{Digest, Sha256};
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::hyper::body::Bytes;

use super::dispatch::Response;

/// One file of the page.
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) media: &'static str,
    pub(super) bytes: &'static [u8],
}

/// Every file of the page.
pub(super) const FILES: &[File] = &[
    File { path: "/", media: "text/html; charset=utf-8", bytes: include_bytes!("../pwa/index.html") },
    File { path: "/app.js", media: "text/javascript; charset=utf-8", bytes: include_bytes!("../pwa/app.js") },
    File { path: "/app.css", media: "text/css; charset=utf-8", bytes: include_bytes!("../pwa/app.css") },
    File { path: "/icon.svg", media: "image/svg+xml", bytes: include_bytes!("../pwa/icon.svg") },
];

/// 200, or 304 when the client has these very bytes. Caches ask each time, so that an update is seen at once.
pub(super) fn answer(media: &'static str, bytes: &'static [u8], request: &HeaderMap) -> Response {
    let digest: String = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{digest}\"");
    let fresh = request.get_all(IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(|v| matches(v, &etag)));
    let body = if fresh { Bytes::new() } else { Bytes::from_static(bytes) };
    let mut response = Response::new(body.into());
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

    #[test]
    fn the_page_has_nothing_inline_that_its_policy_would_block() {
        let html = std::str::from_utf8(FILES[0].bytes).unwrap();
        for inline in ["<script>", "<style", " style=", " onclick=", "javascript:"] {
            assert!(!html.contains(inline), "{inline}");
        }
        for file in &FILES[1..] {
            assert!(html.contains(file.path), "{} is linked", file.path);
        }
    }
}
