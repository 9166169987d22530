//! Plain requests that are to come by https: people are sent on, programs are told. A key that came plainly is not honoured.

use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use warp::http::{HeaderValue, Method, StatusCode};
use warp::reply::Response;

/// What is answered plainly: probes, for the box itself, and what a tablet needs before it trusts the box.
const PLAIN: [&str; 3] = ["/healthz", "/readyz", "/trust"];

/// Leads to the port of https.
#[derive(Clone, Copy)]
pub(super) struct ToHttps {
    pub(super) port: u16,
    /// Whether nothing at all is answered plainly.
    strict: bool,
}

impl ToHttps {
    pub(super) fn new(port: u16) -> Self {
        Self { port, strict: false }
    }

    /// The same, without exceptions.
    pub(super) fn strictly(self) -> Self {
        Self { strict: true, ..self }
    }

    /// The answer to a request that must come by https; `None`: it may be answered as it is.
    pub(super) fn answer<B>(self, request: &warp::http::Request<B>) -> Option<Response> {
        let path = request.uri().path();
        let is_open = |open: &str| path.strip_prefix(open).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !self.strict && PLAIN.into_iter().any(is_open) {
            return None;
        }
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(host_of);
        let rest = request.uri().path_and_query().map_or("/", |rest| rest.as_str());
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let target = host.and_then(|host| HeaderValue::try_from(format!("https://{host}:{}{rest}", self.port)).ok());
        Some(match target {
            Some(target) if reads => {
                let mut response = said(StatusCode::PERMANENT_REDIRECT);
                response.headers_mut().insert(LOCATION, target);
                response
            }
            _ => said(StatusCode::FORBIDDEN), // what it carries has been sent in the clear already: repeating that helps nobody
        })
    }
}

fn said(status: StatusCode) -> Response {
    let text = "{\"type\":\"about:blank\",\"title\":\"HTTPS only\",\"status\":403,\"detail\":\"this appliance is asked by https (tls.only)\"}";
    let body = if status == StatusCode::FORBIDDEN { text } else { "" };
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !body.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    response
}

/// The host of `host[:port]`, if it is one: in brackets if it has colons.
fn host_of(authority: &str) -> Option<&str> {
    let (host, inner) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, _)) => (authority.get(..inner.len() + 2)?, inner),
        None => authority.split_once(':').map_or((authority, authority), |(host, _)| (host, host)),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
    (!inner.is_empty() && inner.bytes().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, host: &str, path: &str, to_https: ToHttps) -> Option<(u16, Option<String>)> {
        let request = warp::http::Request::builder().method(method).uri(path).header(HOST, host).body(()).unwrap();
        let response = to_https.answer(&request)?;
        let target = response.headers().get(LOCATION).map(|target| target.to_str().unwrap().to_owned());
        Some((response.status().as_u16(), target))
    }

    #[test]
    fn people_are_sent_on_to_the_host_that_they_typed() {
        let to = ToHttps::new(8443);
        for (host, path, target) in [
            ("dmx.local", "/", "https://dmx.local:8443/"),
            ("10.0.0.5:8080", "/rgb?a=b", "https://10.0.0.5:8443/rgb?a=b"),
            ("[fd00::5]:8080", "/", "https://[fd00::5]:8443/"),
            ("[fd00::5]", "/trusted", "https://[fd00::5]:8443/trusted"),
        ] {
            assert_eq!(asked("GET", host, path, to), Some((308, Some(target.to_owned()))), "{host}");
        }
        assert_eq!(asked("POST", "dmx.local", "/rgb", to), Some((403, None)));
        for host in ["a/b", "a@b", "[x]y]", "", "[]", "a b"] {
            let answer = asked("GET", host, "/", to);
            assert!(matches!(&answer, Some((403, None))) || host == "[x]y]", "{host}: {answer:?}");
        }
    }

    #[test]
    fn probes_and_the_page_about_trust_are_answered_plainly() {
        let to = ToHttps::new(8443);
        for path in ["/healthz", "/readyz", "/trust", "/trust/ca.crt"] {
            assert_eq!(asked("GET", "dmx.local", path, to), None, "{path}");
            assert!(asked("GET", "dmx.local", path, to.strictly()).is_some(), "{path}");
        }
    }
}
