//! The table of everything that is served. A row feeds the dispatcher, the metric label and OpenAPI; a new resource
//! is a new file beside this one and its rows here.

mod about;
mod appliance;
mod backups;
mod clock;
mod desk;
mod devices;
mod documents;
mod fixture_types;
mod live;
mod metrics;
mod mqtt;
mod outputs;
mod panels;
mod patch;
mod people;
mod probes;
mod projects;
mod rgb;
mod route;
mod scenes;
mod schemas;
mod takeover;
mod trust;
mod ui;
mod universes;
mod usb;

use warp::http::Method;

pub(super) use route::{Answer, Etag, Header, Key, Needs, Query, Route, Verb};
use route::{delete, get, patch, post, put, refused};

/// Rows that belong together.
pub(super) struct Resource {
    /// Its name in OpenAPI.
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    rows: &'static [&'static [Route]],
}

/// Everything that is served.
static RESOURCES: &[Resource] = &[
    Resource {
        name: "light",
        says: "Levels, and what stands over them: master, blackout, fades. The lamp is channels 1 to 3 of universe 0.",
        rows: &[rgb::ROWS, desk::ROWS, universes::ROWS],
    },
    Resource { name: "scenes", says: "Looks under a name, of the active project.", rows: &[scenes::ROWS] },
    Resource {
        name: "patch",
        says: "Fixtures of the active project: what they are, where they are, and their groups.",
        rows: &[patch::ROWS],
    },
    Resource { name: "show", says: "Scenes and show of the active project as one file.", rows: &[documents::ROWS] },
    Resource {
        name: "projects",
        says: "Several shows on one appliance; 404 while `projects.enabled` is off.",
        rows: &[projects::ROWS],
    },
    Resource {
        name: "backups",
        says: "Versions of a project, kept in a folder or bucket; 404 while `backup.enabled` is off.",
        rows: &[backups::ROWS],
    },
    Resource {
        name: "devices",
        says: "Where the light goes and comes from; devices and clients.",
        rows: &[devices::ROWS, outputs::ROWS, usb::ROWS],
    },
    Resource { name: "fixtures", says: "What lamps of one make can do.", rows: &[fixture_types::ROWS] },
    Resource {
        name: "access",
        says: "Who may do what: users, login, panels, the lock.",
        rows: &[people::ROWS, panels::ROWS],
    },
    Resource {
        name: "appliance",
        says: "What runs here, its state, and its descriptions.",
        rows: &[
            about::ROWS,
            appliance::ROWS,
            clock::ROWS,
            probes::ROWS,
            metrics::ROWS,
            schemas::ROWS,
            takeover::ROWS,
            trust::ROWS,
            live::ROWS,
            mqtt::ROWS,
        ],
    },
    Resource { name: "app", says: "The tablet app.", rows: &[ui::ROWS] },
];

/// What is at a path.
pub(super) enum RouteMatch {
    /// The row, and the segments for each `{…}`.
    Route(&'static Route, Vec<String>),
    /// Rows of other methods, for `Allow`.
    OtherMethods(String),
    Nothing,
}

/// Every row with its resource.
pub(super) fn table() -> impl Iterator<Item = (&'static str, &'static Route)> {
    let rows = RESOURCES.iter().flat_map(|all| all.rows.iter().copied().flatten().map(|row| (all.name, row)));
    rows.chain([("app", &ui::FILE)])
}

/// Every resource.
pub(super) fn resources() -> &'static [Resource] {
    RESOURCES
}

/// Everything that can be found by its path alone: all but the app's files.
fn rows() -> impl Iterator<Item = &'static Route> {
    RESOURCES.iter().flat_map(|all| all.rows.iter().copied().flatten())
}

/// Looks up a request; an extra slash at the end is ignored. The app's files are not found here: they come after everything
/// else.
pub(super) fn find(method: &Method, path: &str) -> RouteMatch {
    let at = |path| pick(method, rows().filter_map(|route| Some((route, parameters(route.path, path)?))));
    match (at(path), path.strip_suffix('/').filter(|path| !path.ends_with('/'))) {
        (RouteMatch::Nothing, Some(path)) => at(path),
        (found, _) => found,
    }
}

/// The row of the app's files, if the path has one.
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
            // two rows of one verb may match one path, `/a/b` and `/a/{b}`
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

/// The segments for each `{…}` of a template; `None` if the path does not match.
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
        for route in rows() {
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
        for route in rows().filter(|route| route.path != "/") {
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
