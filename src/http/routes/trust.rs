//! `/trust`: how a tablet comes to trust this appliance, for people, and what it needs for that.

use std::sync::Arc;

use warp::http::header::{ACCEPT_LANGUAGE, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::route::text;
use super::{Needs, Query, Route, get, refused};
use crate::tls::{Trust, TrustSource};

/// The rows. They are answered plainly even when everything else is not: a tablet without trust has no other way.
pub(super) static ROWS: &[Route] =
    &[
        get("/trust", "getTrustPage", Needs::OPEN, &page)
            .says("A page that says how a tablet comes to trust this appliance, in English or Czech.")
            .query(&[Query {
                name: "lang",
                says: "Its language; otherwise as `Accept-Language` says.",
                values: &["en", "cs"],
            }])
            .gives_as("text/html", text, 200, "The page.")
            .refuses(&[(422, "There is no page in that language.")]),
        get("/trust/ca.crt", "getTrustCertificate", Needs::OPEN, &certificate)
            .says("The certificate of the appliance's own authority (PEM).")
            .gives_as("application/x-x509-ca-cert", text, 200, "The certificate.")
            .refuses(NONE),
        get("/trust/ca.mobileconfig", "getTrustProfile", Needs::OPEN, &profile)
            .says("The same as a configuration profile for iPad, iPhone and macOS.")
            .gives_as("application/x-apple-aspen-config", text, 200, "The profile.")
            .refuses(NONE),
        get("/trust/page.js", "getTrustScript", Needs::OPEN, &script)
            .says("The script of the page about trust.")
            .gives_as("text/javascript", text, 200, "The script."),
        get("/trust/qr.js", "getTrustQrScript", Needs::OPEN, &qr)
            .says("What draws the QR code of the page about trust.")
            .gives_as("text/javascript", text, 200, "The script."),
        get("/trust/page.css", "getTrustStyle", Needs::OPEN, &style)
            .says("The style of the page about trust.")
            .gives_as("text/css", text, 200, "The style."),
    ];

const NONE: &[(u16, &str)] =
    &[(404, "There is no such authority: TLS is off, or the owner's own certificate is used.")];

/// Nothing from elsewhere, and the one question whether https works here. CSP has no form for an IPv6 address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' https:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

async fn page(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let Trust { source, port, plain_port } = (app.trust)();
    let asked = request.asked().find(|(name, _)| name == "lang").and_then(|(_, value)| value);
    let template = match asked {
        Some("cs") => CZECH,
        Some("en") => ENGLISH,
        Some(_) => return Err(refused("lang", "must be en or cs")),
        None if prefers_czech(&request.headers) => CZECH,
        None => ENGLISH,
    };
    let (kind, title, fingerprint) = match &source {
        TrustSource::None => ("off", "", ""),
        TrustSource::OwnFiles => ("own", "", ""),
        TrustSource::Authority { title, fingerprint, .. } => ("authority", title.as_str(), fingerprint.as_str()),
    };
    let mut text = template.replace("{source}", kind).replace("{fingerprint}", fingerprint);
    text = text.replace("{port}", &port.to_string()).replace("{plain}", &plain_port.to_string());
    // last, since a title may hold anything
    text = text.replace("{title}", &title.replace('&', "&amp;").replace('<', "&lt;"));
    let mut response = reply::bytes("text/html; charset=utf-8", text);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(VARY, HeaderValue::from_static("accept-language"));
    Ok(response)
}

const ENGLISH: &str = include_str!("../trust/en.html");
const CZECH: &str = include_str!("../trust/cs.html");

/// Whether Czech comes before English; browsers list languages in the order of preference.
fn prefers_czech(headers: &HeaderMap) -> bool {
    let listed = headers.get(ACCEPT_LANGUAGE).and_then(|listed| listed.to_str().ok()).unwrap_or_default();
    let known =
        |language: &&str| ["cs", "en"].iter().any(|known| language.trim().to_ascii_lowercase().starts_with(known));
    listed.split(',').find(known).is_some_and(|language| language.trim().to_ascii_lowercase().starts_with("cs"))
}

async fn certificate(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    let pem = (app.trust)().source.pem().ok_or_else(none)?;
    Ok(file("application/x-x509-ca-cert", "attachment; filename=\"dmxd-ca.crt\"", pem))
}

async fn profile(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    let profile = (app.trust)().source.mobileconfig().ok_or_else(none)?;
    Ok(file("application/x-apple-aspen-config", "attachment; filename=\"dmxd-ca.mobileconfig\"", profile))
}

fn file(media: &'static str, name: &'static str, text: String) -> Response {
    let mut response = reply::bytes(media, text);
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    response
}

fn none() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "there is no authority of this appliance: TLS is off (tls.enabled), or a certificate of its owner is used (tls.cert)",
    )
}

async fn script(_: Arc<App>, request: Request) -> Result<Response, Problem> {
    let text = include_bytes!("../trust/page.js");
    Ok(reply::tagged("text/javascript; charset=utf-8", text.as_slice().into(), &request.headers))
}

async fn qr(_: Arc<App>, request: Request) -> Result<Response, Problem> {
    let text = include_bytes!("../../pwa/core/qr.js");
    Ok(reply::tagged("text/javascript; charset=utf-8", text.as_slice().into(), &request.headers))
}

async fn style(_: Arc<App>, request: Request) -> Result<Response, Problem> {
    let text = include_bytes!("../trust/page.css");
    Ok(reply::tagged("text/css; charset=utf-8", text.as_slice().into(), &request.headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_first_of_both_that_a_browser_lists() {
        for (listed, czech) in [
            ("cs", true),
            ("cs-CZ,cs;q=0.9,en;q=0.8", true),
            ("de,cs;q=0.9,en;q=0.8", true),
            ("en-GB,cs;q=0.9", false),
            ("de", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(listed))]);
            assert_eq!(prefers_czech(&headers), czech, "{listed}");
        }
    }

    #[test]
    fn both_pages_have_the_same_places_and_nothing_that_their_policy_blocks() {
        let places = |page: &str| {
            ["{port}", "{plain}", "{source}", "{fingerprint}", "{title}", "ca.crt", "<details", "data-yes"]
                .map(|place| page.matches(place).count())
        };
        assert_eq!(places(ENGLISH), places(CZECH));
        for page in [ENGLISH, CZECH] {
            assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains("<script>"));
        }
    }
}
