//! Which pages may use us: the CORS answers of REST and the Origin check of the WebSocket.
//!
//! A request without `Origin` comes from no web page and is allowed; so is our own page, under whatever name it was opened
//! (`hosts` has checked that). A foreign page reads nothing, changes nothing and opens no WebSocket: since bodies of any
//! content type are accepted, the browser's preflight alone would not stop it. `Origin` and `Host` alone decide: browsers
//! send `Sec-Fetch-Site` to trustworthy destinations only.

use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, VARY,
};
use warp::http::{HeaderMap, HeaderValue};

use super::hosts::{is_near, name_of};

/// `http.allow_origins`.
pub(super) enum Origins {
    Any,
    Some {
        /// Those of this network.
        local: bool,
        listed: Vec<String>,
    },
}

impl Origins {
    pub(super) fn new(origins: &[String]) -> Self {
        if origins.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        let (local, listed): (Vec<_>, Vec<_>) = origins.iter().partition(|origin| *origin == "local");
        let listed = listed.into_iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        Self::Some { local: !local.is_empty(), listed }
    }

    /// Whether a request with these headers may do what it asks.
    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        match self {
            Self::Any => true,
            Self::Some { .. } => origin.to_str().is_ok_and(|origin| self.knows(origin) || is_own(origin, headers)),
        }
    }

    fn knows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Some { local, listed } => {
                *local && is_local(origin) || listed.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
            }
        }
    }

    /// Adds the headers that let a known page read the answer.
    pub(super) fn mark(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        match self {
            Self::Any => {
                answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Some { .. } => {
                answer.append(VARY, HeaderValue::from_static("origin"));
                match request.get(ORIGIN) {
                    Some(origin) if origin.to_str().is_ok_and(|origin| self.knows(origin)) => {
                        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                    }
                    _ => return,
                }
            }
        }
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after"));
    }

    /// Adds the headers that answer a preflight.
    pub(super) fn mark_preflight(answer: &mut HeaderMap) {
        let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let headers = HeaderValue::from_static("content-type, x-api-key, if-none-match, if-match, authorization");
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
        // ten minutes: the longest that Chromium before version 76 accepted
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// A page of this network. Other schemes are apps on the device itself (`capacitor://localhost`) or browser extensions,
/// which may be anybody's.
fn is_local(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let host = name_of(authority);
    match scheme {
        "http" | "https" => is_near(&host),
        _ => host == "localhost",
    }
}

/// A page that came from the host and port that it now asks.
pub(super) fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    matches!((host, authority), (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("10.0.0.5:8080"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn a_list_lets_in_its_own_page_those_listed_and_those_without_origin() {
        let origins = Origins::new(&["https://Desk.example/".into()]);
        for (origin, allowed) in [
            (None, true),
            (Some("https://desk.example"), true),
            (Some("http://10.0.0.5:8080"), true),
            (Some("http://10.0.0.5"), false),
            (Some("https://desk.example.evil"), false),
            (Some("null"), false),
        ] {
            assert_eq!(origins.allow(&headers(origin)), allowed, "{origin:?}");
        }
    }

    #[test]
    fn a_listed_origin_is_echoed_with_vary_and_another_is_not() {
        let origins = Origins::new(&["https://desk.example".into()]);
        let mut answer = HeaderMap::new();
        origins.mark(&headers(Some("https://desk.example")), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://desk.example");
        assert_eq!(answer[VARY], "origin");
        let mut answer = HeaderMap::new();
        origins.mark(&headers(Some("https://evil.example")), &mut answer);
        assert_eq!((answer.get(ACCESS_CONTROL_ALLOW_ORIGIN), answer.get(VARY).is_some()), (None, true));
    }

    #[test]
    fn local_means_this_network_and_may_stand_in_a_list() {
        let origins = Origins::new(&["local".into(), "https://desk.example".into()]);
        for origin in [
            "http://192.168.1.20:5173",
            "https://tablet.local",
            "http://localhost:3000",
            "http://[fd00::7]:8123",
            "http://homeassistant",
            "capacitor://localhost",
            "https://desk.example",
            "http://10.0.0.5:8080",
        ] {
            assert!(origins.allow(&headers(Some(origin))), "{origin}");
        }
        for origin in [
            "null",
            "local",
            "http://evil.example",
            "http://203.0.113.9:8080",
            "http://10.0.0.5.evil.example",
            "chrome-extension://abcdefghijklmnop",
            "file://",
            "http://",
        ] {
            assert!(!origins.allow(&headers(Some(origin))), "{origin}");
        }
    }

    #[test]
    fn a_star_lets_everybody_in() {
        let origins = Origins::new(&["https://desk.example".into(), "*".into()]);
        assert!(origins.allow(&headers(Some("null"))));
        let mut answer = HeaderMap::new();
        origins.mark(&headers(None), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
}
