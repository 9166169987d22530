//! From warp's one filter to the row of the route table: host, origin, preflight, 404, 405, keys, handler, count.
//!
//! The table is looked up by ourselves instead of chaining a filter per route, so that one row feeds the answer,
//! its metric label and OpenAPI, and a wrong method is a 405 with `Allow`, which a chain of filters cannot say.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CONNECTION, CONTENT_SECURITY_POLICY, HOST, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use warp::path::FullPath;
use warp::reply::Response;
use warp::ws::Ws;

use super::App;
use super::auth::{self, is_known};
use super::origin::Origins;
use super::peer::Peer;
use super::problem::Problem;
use super::request::{self, Request, key_in_header};
use super::routes::{self, Key, Route, RouteMatch};
use crate::access::Identity;
use crate::config;
use crate::wire::Role;

/// What is answered even when there is no place for more connections.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Answers each request.
pub(super) type WebFilter = BoxedFilter<(Response,)>;

/// The whole web door.
pub(super) fn filter(app: &Arc<App>) -> WebFilter {
    let app = app.clone();
    let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
    let upgrade = warp::ws().map(Some).or(warp::any().map(|| None::<Ws>)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::get::<Version>())
        .and(warp::ext::optional::<OnUpgrade>()) // before warp takes it
        .and(upgrade)
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers, peer, version, upgrades, upgrade, body| {
            let (path, parameters, body) = (path.as_str().to_owned(), Vec::new(), request::body(body));
            let budget = app.budget.clone();
            answer(
                app.clone(),
                Request {
                    who: app.access.anonymous(),
                    access: None,
                    budget,
                    method,
                    path,
                    query,
                    headers,
                    peer,
                    version,
                    parameters,
                    upgrades,
                    upgrade,
                    body,
                },
            )
        })
        .boxed()
}

/// Answers one request, whatever it asks for.
async fn answer(app: Arc<App>, request: Request) -> Response {
    let (method, headers, body) = (label(&request.method), request.headers.clone(), request.body.clone());
    let found = match routes::find(&request.method, &request.path) {
        RouteMatch::Nothing if app.assets.has(&request.path).await => routes::file(&request.method),
        found => found,
    };
    let route = found.route();
    let mut response = respond(&app, request, found).await.unwrap_or_else(Problem::into_response);
    if !body.is_read(&headers).await {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status();
    app.origins.mark(&headers, response.headers_mut());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Nothing of ours may be shown in a frame of another page; pages have a longer policy of their own.
    let unframed = HeaderValue::from_static("frame-ancestors 'none'");
    response.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(unframed);
    app.metrics.http.requests.with_label_values(&[route, method, status.as_str()]).inc();
    response
}

async fn respond(app: &Arc<App>, mut request: Request, found: RouteMatch) -> Result<Response, Problem> {
    // RFC 9112, 3.2: a proxy in front of us may have used the other one
    let named = request.headers.get_all(HOST).iter().count();
    if named > 1 || (named == 0 && request.version >= Version::HTTP_11) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "an HTTP/1.1 request must have exactly one Host header"));
    }
    let key = key_in_header(&request.headers);
    if !app.hosts.know(&request.headers).await && key.is_none_or(|key| app.access.bearer(key).is_none()) {
        return app.hosts.refuse(&request.headers, request.peer.addr.ip());
    }
    if request.method == Method::OPTIONS {
        return options(app, &request.headers, &found);
    }
    if let Some(full) = request.peer.probes_only()
        && !PROBES.contains(&request.path.as_str())
    {
        return Err(full.clone().into());
    }
    let (route, parameters) = match found {
        RouteMatch::Route(route, parameters) => (route, parameters),
        RouteMatch::OtherMethods(methods) => return Err(not_allowed(methods)),
        RouteMatch::Nothing => {
            return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing here; see /openapi.json"));
        }
    };
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    if (!reads || route.key.opens_socket()) && !app.origins.allow(&request.headers) {
        return Err(foreign());
    }
    if route.key == Key::Header {
        request.who = identify(app, &request, route)?;
        request.access = route.needs.role.map(|_| app.access.clone());
    }
    route.check_query(&request, reads)?;
    request.parameters = parameters.iter().map(|value| request::decoded(value)).collect();
    // whoever makes a user notes it by name
    let edits = !reads && matches!(route.needs.role, Some(Role::Edit | Role::Admin)) && route.id != "createUser";
    let about = app.access.called(&request.path).map(|name| format!(" ({name})")).unwrap_or_default();
    let deed = edits.then(|| (request.who.clone(), deed(&request) + &about, request.peer.addr.ip()));
    let response = route.handler.handle(app.clone(), request).await?;
    if let Some((who, what, from)) = deed {
        app.access.did(&who, &what, Some(from));
    }
    Ok(response)
}

/// Who asks, if they may.
fn identify(app: &App, request: &Request, route: &Route) -> Result<Identity, Problem> {
    if route.needs.role.is_none() && !route.knows_who {
        return Ok(app.access.anonymous());
    }
    let from = request.peer.addr.ip();
    let who = match app.gate.identify(&auth::shown(request), from) {
        Ok(who) => who,
        Err(auth::Unknown) if route.needs.role.is_none() => return Ok(app.access.nobody()),
        Err(auth::Unknown) => {
            app.access.refused("unknown key", &deed(request), Some(from));
            return Err(unauthorized("nobody here has this key"));
        }
    };
    match route.needs.allow(&who) {
        Ok(()) => Ok(who),
        Err(role) => {
            app.access.refused(who.name(), &deed(request), Some(from));
            Err(if is_known(&who) {
                Problem::needs(role)
            } else {
                unauthorized("log in, or send a key as x-api-key or Authorization: Bearer")
            })
        }
    }
}

fn unauthorized(detail: &str) -> Problem {
    let challenge = HeaderValue::from_static("ApiKey header=\"x-api-key\"");
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(WWW_AUTHENTICATE, challenge)
}

/// What is asked, for the log of deeds.
fn deed(request: &Request) -> String {
    format!("{} {}", request.method, request.path)
}

/// A preflight is answered whatever the path: only then may the page read the 404 of the request itself.
fn options(app: &App, headers: &HeaderMap, found: &RouteMatch) -> Result<Response, Problem> {
    let preflight = headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if preflight && !app.origins.allow(headers) {
        return Err(foreign());
    }
    let methods = match found {
        RouteMatch::OtherMethods(methods) => methods.clone(),
        _ if preflight => String::new(),
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing here; see /openapi.json")),
    };
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(allow) = allow(methods) {
        response.headers_mut().insert(ALLOW, allow);
    }
    if preflight {
        Origins::mark_preflight(response.headers_mut());
    }
    Ok(response)
}

fn not_allowed(methods: String) -> Problem {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("only {methods} is possible here"));
    match allow(methods) {
        Some(methods) => problem.with(ALLOW, methods),
        None => problem,
    }
}

fn allow(methods: String) -> Option<HeaderValue> {
    HeaderValue::try_from(methods).ok().filter(|methods| !methods.is_empty())
}

fn foreign() -> Problem {
    let setting = config::setting("http.allow_origins");
    Problem::new(StatusCode::FORBIDDEN, format!("pages of this Origin are not allowed; {setting} names those that are"))
}

/// The method as a metric label: a client cannot create new ones.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

impl RouteMatch {
    /// The row's path as a metric label; `none` keeps unknown paths from creating new ones.
    fn route(&self) -> &'static str {
        match self {
            Self::Route(Route { path, .. }, _) => path,
            Self::OtherMethods(_) | Self::Nothing => "none",
        }
    }
}
