//! The app inside the program, as `build.rs` embedded it: each file plain and, where that is smaller, compressed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use warp::http::header::{CONTENT_ENCODING, VARY};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::hyper::body::Bytes;
use warp::reply::Response;

use super::coding::{Coding, choose};
use super::missing;
use crate::http::problem::Problem;
use crate::http::reply;
use crate::kit::fingerprint::fingerprint;

/// One file.
struct File {
    address: &'static str,
    media: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/app_files.rs"));

/// Files and the fingerprints of their plain forms, by address.
static BY_ADDRESS: LazyLock<BTreeMap<&'static str, (&'static File, String)>> =
    LazyLock::new(|| FILES.iter().map(|file| (file.address, (file, fingerprint([file.plain])))).collect());

pub(super) fn has(address: &str) -> bool {
    BY_ADDRESS.contains_key(address)
}

/// Addresses and plain forms, in the order of addresses.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    BY_ADDRESS.values().map(|(file, _)| (file.address, file.plain))
}

/// A file in the form that the client wants most, or 304 if it has that.
pub(super) fn answer(address: &str, request: &HeaderMap) -> Result<Response, Problem> {
    let (file, print) = BY_ADDRESS.get(address).ok_or_else(missing)?;
    let forms = [(Coding::Brotli, file.brotli), (Coding::Gzip, file.gzip), (Coding::Identity, Some(file.plain))];
    let there = forms.into_iter().filter_map(|(coding, bytes)| Some((coding, bytes?)));
    let coding = choose(request, there.clone().map(|(coding, _)| coding));
    let chosen = there.clone().find(|&(candidate, _)| Some(candidate) == coding);
    let Some((coding, bytes)) = chosen else {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "this file is there as br, gzip or identity"));
    };
    // Forms are different bytes, so their strong tags differ (RFC 9110, 8.8.3.3).
    let etag = coding.name().map_or(format!("\"{print}\""), |name| format!("\"{print}-{name}\""));
    let mut response = reply::tagged_as(&etag, file.media, Bytes::from_static(bytes), request);
    if there.count() > 1 {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Some(name) = coding.name().filter(|_| response.status() == StatusCode::OK) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_program_has_what_the_folder_has() {
        let folder = super::super::folder::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pwa")).unwrap();
        let inside: Vec<_> = all().map(|(address, bytes)| (address.to_owned(), Bytes::from_static(bytes))).collect();
        assert_eq!(inside, folder);
    }

    #[test]
    fn no_file_stands_where_a_resource_is() {
        let other = all().filter(|&(address, _)| address != "/");
        for (address, _) in other {
            let found = crate::http::routes::find(&warp::http::Method::GET, address);
            assert!(matches!(found, crate::http::routes::RouteMatch::Nothing), "{address} would never be seen");
        }
    }

    #[test]
    fn no_page_has_anything_inline_that_its_policy_would_block() {
        for (address, bytes) in all() {
            let text = String::from_utf8_lossy(bytes);
            let is_page = text.starts_with("<!doctype html>");
            for inline in ["<script>", "<style", " style=", " onclick=", "javascript:"] {
                assert!(!is_page || !text.contains(inline), "{address}: {inline}");
            }
        }
    }
}
