//! The table of everything that is served. A row feeds the dispatcher, the metric label and OpenAPI; a new resource
//! is a new file beside this one and its rows here.

mod about;
mod backups;
mod desk;
mod devices;
mod documents;
mod live;
mod metrics;
mod outputs;
mod probes;
mod projects;
mod rgb;
mod scenes;
mod schemas;
mod takeover;
mod ui;
mod universes;
mod usb;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use warp::http::Method;

use super::App;
use super::dispatch::Response;
use super::problem::Problem;
use super::request::Request;
use crate::wire::{FieldError, Presence, Reason, Refusal, RgbCommand, RgbState};

/// One thing a client may ask.
pub(super) struct Route {
    pub(super) verb: Verb,
    /// OpenAPI's template: `{name}` stands for a segment, or for what is left of one before its ending.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) key: Key,
    /// What it understands behind the `?`.
    pub(super) query: &'static [Query],
    /// The JSON body it takes.
    pub(super) takes: Option<Shape>,
    /// What it answers; problems are the same everywhere and are not repeated here.
    pub(super) answers: &'static [Answer],
    pub(super) handler: Handler,
}

/// Methods of the table. HEAD comes with GET, OPTIONS with everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Which key a route asks for when `auth.mode` is `required`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// None: probes, the page, what documents us.
    Free,
    /// `x-api-key`; what only reads takes `?token=` too, as a link sends no header.
    AsHeader,
    /// `?token=`, because a browser's WebSocket cannot send headers. Its Origin is checked for the same reason: no
    /// preflight protects it.
    AsToken,
}

/// A name behind the `?` and its values; the first one holds when it is absent.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) values: &'static [&'static str],
}

/// One kind of answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) body: Option<(&'static str, Option<Shape>)>,
}

/// A JSON body's schema, put among the generator's components.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What does the work.
pub(super) type Handler = fn(Arc<App>, Request) -> Handling;

/// A handler at work.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

/// What stands at a path.
pub(super) enum RouteMatch {
    /// The row, and what stood in the place of each `{…}`.
    Route(&'static Route, Vec<String>),
    /// Rows of other methods, as `Allow` lists them.
    OtherMethods(String),
    Nothing,
}

impl Verb {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn takes(self, method: &Method) -> bool {
        method == self.as_str() || (self == Self::Get && method == Method::HEAD)
    }
}

impl Route {
    /// Refuses what stands behind the `?` and is not known here: a dry run that is misspelt must not be done for real. What
    /// only reads, and what takes no parameter at all, may carry anything, as it always could, but no wish for a dry run. A
    /// key in the address is no fault: where it does not count, the header is asked for.
    ///
    /// # Errors
    /// 422 with the names that are known.
    pub(super) fn check_query(&self, request: &Request, reads: bool) -> Result<(), Problem> {
        if reads {
            return Ok(());
        }
        if self.query.is_empty() {
            let dry = request.asked().find(|(name, _)| name.replace(['_', '-'], "").eq_ignore_ascii_case("dryrun"));
            return dry.map_or(Ok(()), |(name, _)| Err(refused(&name, "is not known here; no parameter is")));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in request.asked() {
            let known = self.query.iter().map(|query| query.name).find(|known| *known == name);
            match known {
                Some(known) if seen.contains(&known) => return Err(refused(&name, "must stand there once")),
                Some(known) => seen.push(known),
                None if name == "token" => {}
                None => return Err(refused(&name, format!("is not known here; {}", self.known()))),
            }
        }
        Ok(())
    }

    fn known(&self) -> String {
        let names: Vec<_> = self.query.iter().map(|query| query.name).collect();
        match names.as_slice() {
            [name] => format!("known is {name}"),
            names => format!("known are {}", names.join(", ")),
        }
    }
}

/// Refuses a name behind the `?`.
fn refused(name: &str, msg: impl Into<String>) -> Problem {
    let fault = FieldError { path: format!("?{name}"), msg: msg.into() };
    Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }.into()
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn json<T: JsonSchema>(status: u16, says: &'static str) -> Answer {
    Answer { status, says, body: Some(("application/json", Some(shape::<T>))) }
}

const fn text(media: &'static str, says: &'static str) -> Answer {
    Answer { status: 200, says, body: Some((media, None)) }
}

const fn empty(status: u16, says: &'static str) -> Answer {
    Answer { status, says, body: None }
}

/// Of a document that can be edited.
const NOT_MODIFIED: Answer = empty(304, "`If-None-Match` names the content that is there.");

/// Of an edit of a document.
const OUTDATED: Answer = Answer {
    status: 412,
    says: "`If-Match` names another content than is there; nothing was changed.",
    body: Some((super::problem::MEDIA, Some(shape::<super::problem::Body<'static>>))),
};

/// Everything that is served, resource by resource.
pub(super) fn table() -> impl Iterator<Item = &'static Route> {
    resources().chain([&ui::FILE])
}

/// Everything that is known by its path alone: all but the app's files.
fn resources() -> impl Iterator<Item = &'static Route> {
    [TABLE, desk::ROUTES, scenes::ROUTES, projects::ROUTES, backups::ROUTES, documents::ROUTES, takeover::ROUTES]
        .into_iter()
        .flatten()
}

/// Resources of a row or two.
static TABLE: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/rgb",
        summary: "The colour of the lamp.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<RgbState>(200, "The state.")],
        handler: |app, _| Box::pin(async move { rgb::read(&app) }),
    },
    Route {
        verb: Verb::Post,
        path: "/rgb",
        summary: "Changes the colour of the lamp. Any content type is read as JSON, as the predecessor did.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<RgbCommand>),
        answers: &[json::<rgb::Taken>(202, "The command was accepted, or its id was seen before.")],
        handler: |app, request| Box::pin(async move { rgb::change(&app, request).await }),
    },
    Route {
        verb: Verb::Get,
        path: "/about",
        summary: "What runs here, what of its features is on, and where other machines reach it.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<about::About>(200, "Addresses as URLs, those that can be dialled from elsewhere.")],
        handler: |app, request| Box::pin(async move { about::read(&app, &request).await }),
    },
    Route {
        verb: Verb::Get,
        path: "/outputs",
        summary: "How each output and input fares.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<outputs::Ports>(200, "All of them, those that are switched off among them.")],
        handler: |app, _| Box::pin(async move { outputs::read(&app) }),
    },
    Route {
        verb: Verb::Get,
        path: "/devices",
        summary: "Devices, by their topics v1/devices/<id>/state, and the MQTT clients behind them.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Presence>(200, "All that are known.")],
        handler: |app, _| Box::pin(async move { devices::read(&app) }),
    },
    Route {
        verb: Verb::Get,
        path: "/universes/{u}/frame",
        summary: "The levels of a universe as now sent to the outputs; `u` is 0..63.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<universes::UniverseFrame>(200, "All 512 levels.")],
        handler: |app, request| Box::pin(async move { universes::frame(&app, &request) }),
    },
    Route {
        verb: Verb::Get,
        path: "/usb/devices",
        summary: "The USB serial devices that are plugged in.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<usb::Devices>(200, "By port.")],
        handler: |_, _| Box::pin(usb::devices()),
    },
    Route {
        verb: Verb::Post,
        path: "/usb/refresh",
        summary: "Looks for the USB output's widget now, and lists what is plugged in.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<usb::Devices>(200, "By port.")],
        handler: |app, _| Box::pin(async move { usb::refresh(&app).await }),
    },
    Route {
        verb: Verb::Post,
        path: "/usb/reconnect",
        summary: "Closes the USB output's widget and opens it anew. 404: no such device is there, or the output is \
                  switched off; 502: it cannot be opened.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<usb::Opened>(200, "It is open.")],
        handler: |app, _| Box::pin(async move { usb::reconnect(&app).await }),
    },
    Route {
        verb: Verb::Get,
        path: "/ws",
        summary: "Opens the WebSocket: every change of light, and commands. `?session=` names the page that it speaks for (1 to 64 bytes): \
                  an older connection of the same name is closed (1000), and what it sent and was not read yet is not done.",
        key: Key::AsToken,
        query: &[],
        takes: None,
        answers: &[empty(101, "The WebSocket is open."), empty(426, "This was no WebSocket handshake of version 13.")],
        handler: |app, request| Box::pin(async move { live::open(app, request) }),
    },
    Route {
        verb: Verb::Get,
        path: "/healthz",
        summary: "Whether the process and its event loop answer.",
        key: Key::Free,
        query: &[],
        takes: None,
        answers: &[json::<probes::Healthy>(200, "They do.")],
        handler: |_, _| Box::pin(async { probes::healthz() }),
    },
    Route {
        verb: Verb::Get,
        path: "/readyz",
        summary: "Whether the appliance serves, and everything that troubles it.",
        key: Key::Free,
        query: &[],
        takes: None,
        answers: &[
            json::<probes::Ready>(200, "It serves; troubles it can live with are listed."),
            json::<probes::Ready>(503, "Broker, engine or doors do not serve."),
        ],
        handler: |app, _| Box::pin(async move { probes::readyz(&app).await }),
    },
    Route {
        verb: Verb::Get,
        path: "/metrics",
        summary: "Figures for Prometheus.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[text(metrics::MEDIA, "The text format, version 0.0.4.")],
        handler: |app, _| Box::pin(async move { metrics::read(&app) }),
    },
    Route {
        verb: Verb::Get,
        path: "/schemas/{name}.json",
        summary: "A JSON Schema of what is sent over MQTT, WebSocket and REST.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[text(schemas::MEDIA, "The schema, draft 2020-12.")],
        handler: |_, request| Box::pin(async move { schemas::read(&request) }),
    },
    Route {
        verb: Verb::Get,
        path: "/openapi.json",
        summary: "This document.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[text("application/json", "OpenAPI 3.1.")],
        handler: |_, request| Box::pin(async move { schemas::openapi(&request) }),
    },
    ui::START,
    ui::SHELL,
];

/// Looks a request up; a slash too many at its end does not matter. The app's files are not found here: they come
/// after everything else.
pub(super) fn find(method: &Method, path: &str) -> RouteMatch {
    let at = |path| pick(method, resources().filter_map(|route| Some((route, parameters(route.path, path)?))));
    match (at(path), path.strip_suffix('/').filter(|path| !path.ends_with('/'))) {
        (RouteMatch::Nothing, Some(path)) => at(path),
        (found, _) => found,
    }
}

/// The row of the app's files, for a path where there is one.
pub(super) fn file(method: &Method) -> RouteMatch {
    pick(method, [(&ui::FILE, Vec::new())])
}

/// The row of this method among those of one path.
fn pick<'a>(method: &Method, rows: impl IntoIterator<Item = (&'static Route, Vec<&'a str>)>) -> RouteMatch {
    let mut others: Vec<&str> = Vec::new();
    for (route, values) in rows {
        match route.verb {
            verb if verb.takes(method) => {
                return RouteMatch::Route(route, values.into_iter().map(str::to_owned).collect());
            }
            // Two rows of one verb may stand for one path, `/a/b` and `/a/{b}`.
            verb if others.contains(&verb.as_str()) => {}
            Verb::Get => others.extend(["GET", "HEAD"]),
            verb => others.push(verb.as_str()),
        }
    }
    if others.is_empty() {
        return RouteMatch::Nothing;
    }
    others.push("OPTIONS");
    RouteMatch::OtherMethods(others.join(", "))
}

/// What stands in the place of each `{…}` of a template; `None` when the path is another one.
fn parameters<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for wanted in template.split('/') {
        let segment = segments.next()?;
        match wanted.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            None if wanted == segment => {}
            None => return None,
            Some((_, ending)) => values.push(segment.strip_suffix(ending).filter(|value| !value.is_empty())?),
        }
    }
    segments.next().is_none().then_some(values)
}

/// Work for the processor, off the threads that serve.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_one_segment_and_nothing_more() {
        let template = "/schemas/{name}.json";
        assert_eq!(parameters(template, "/schemas/a.b.json"), Some(vec!["a.b"]));
        assert_eq!(parameters("/a/{b}/c/{d}", "/a/1/c/2"), Some(vec!["1", "2"]));
        for path in ["/schemas/.json", "/schemas/a/b.json", "/schemas/a.jso", "/schemas", "/schemas/a.json/"] {
            assert_eq!(parameters(template, path), None, "{path}");
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_method_and_the_methods_of_a_path_are_listed() {
        for route in resources() {
            let method = route.verb.as_str().parse().unwrap();
            let path = route.path.replace(['{', '}'], "");
            assert!(
                matches!(find(&method, &path), RouteMatch::Route(found, _) if std::ptr::eq(found, route)),
                "{path}"
            );
        }
        let RouteMatch::OtherMethods(methods) = find(&Method::DELETE, "/rgb") else { panic!("not a 405") };
        assert_eq!(methods, "GET, HEAD, POST, OPTIONS");
        assert!(matches!(find(&Method::GET, "/nothing"), RouteMatch::Nothing));
    }

    #[test]
    fn a_slash_too_many_finds_the_same_row_and_no_verb_is_listed_twice() {
        for route in resources().filter(|route| route.path != "/") {
            let path = format!("{}/", route.path.replace(['{', '}'], ""));
            let method = route.verb.as_str().parse().unwrap();
            assert!(matches!(find(&method, &path), RouteMatch::Route(found, _) if found.path == route.path), "{path}");
            let RouteMatch::OtherMethods(methods) = find(&Method::OPTIONS, &path) else {
                panic!("{path} has no methods")
            };
            let mut once: Vec<_> = methods.split(", ").collect();
            let all = once.len();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), all, "{path}: {methods}");
        }
        for path in ["/nothing/", "//", "/rgb//"] {
            assert!(matches!(find(&Method::GET, path), RouteMatch::Nothing), "{path}");
        }
    }
}
