//! The desk over REST: levels, unified commands, master, blackout, fades.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use warp::http::{HeaderValue, StatusCode};

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, SMALL};
use super::{Key, Query, Route, Verb, empty, json, rgb, shape};
use crate::dmx::{Frame, State};
use crate::intake::{self, Asked, Done, Sender};
use crate::kit::clock;
use crate::wire::{Ack, BlackoutOrder, DeskView, FadeView, MasterOrder, Reason, UnifiedCommand};

/// The rows.
pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/state",
        summary: "The levels of every known universe, before master and blackout. `sparse=1` adds those that are not 0.",
        key: Key::AsHeader,
        query: &[Query { name: "sparse", values: &["0", "1"] }],
        takes: None,
        answers: &[
            json::<Levels>(200, "All of them; `ETag` names the change."),
            empty(304, "As `If-None-Match` says."),
        ],
        handler: |app, request| Box::pin(async move { state(&app, &request) }),
    },
    Route {
        verb: Verb::Post,
        path: "/command",
        summary: "Takes a unified command. 200 with the ack, also when it is refused.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<UnifiedCommand>),
        answers: &[json::<Ack>(200, "What became of it.")],
        handler: |app, request| Box::pin(async move { command(&app, request).await }),
    },
    Route {
        verb: Verb::Get,
        path: "/desk",
        summary: "Master, blackout, the scene in effect, running fades.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<DeskView>(200, "The desk.")],
        handler: |app, _| Box::pin(async move { desk(&app.hub.state()) }),
    },
    Route {
        verb: Verb::Post,
        path: "/master",
        summary: "Moves the grand master over all intensity channels.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<MasterOrder>),
        answers: &[json::<DeskView>(200, "The desk since.")],
        handler: |app, mut request| {
            Box::pin(async move {
                let body = request.bytes(SMALL).await?;
                control(&app, Asked::Master(&body), rgb::sender(&request)).await
            })
        },
    },
    Route {
        verb: Verb::Post,
        path: "/blackout",
        summary: "Takes all light away, or gives it back as it would be; at once or over `fadeMs`.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<BlackoutOrder>),
        answers: &[json::<DeskView>(200, "The desk since.")],
        handler: |app, mut request| {
            Box::pin(async move {
                let body = request.bytes(SMALL).await?;
                control(&app, Asked::Blackout(&body), rgb::sender(&request)).await
            })
        },
    },
    Route {
        verb: Verb::Get,
        path: "/fades",
        summary: "All fades that run.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Fades>(200, "Oldest first.")],
        handler: |app, _| Box::pin(async move { fades(&app.hub.state()) }),
    },
    Route {
        verb: Verb::Post,
        path: "/fades/stop",
        summary: "Ends all fades where they are.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<DeskView>(200, "The desk since.")],
        handler: |app, request| Box::pin(async move { control(&app, Asked::StopFades, rgb::sender(&request)).await }),
    },
];

/// Levels by channel, by universe.
type ByUniverse = BTreeMap<String, BTreeMap<String, u8>>;

/// Answer of `/state`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Levels", description = "Levels by channel, by universe; before master and blackout.")]
struct Levels {
    /// Time of the last change, Unix milliseconds.
    ts: u64,
    /// Every channel of every known universe.
    universes: ByUniverse,
    /// Only those that are not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    universes_sparse: Option<ByUniverse>,
    /// True when they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse: Option<bool>,
}

/// Answer of `/fades`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Fades", description = "All fades that run.")]
struct Fades {
    /// Oldest first.
    fades: Vec<FadeView>,
}

fn state(app: &App, request: &Request) -> Result<Response, Problem> {
    let state = app.hub.state();
    let tag = format!("W/\"rev-{}\"", state.seq);
    let known = request.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|value| value.split(',')).any(|value| same_tag(value.trim(), &tag));
    let mut response = if known {
        let mut response = Response::new(warp::hyper::body::Bytes::new().into());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let sparse = request.switch("sparse").is_some_and(|value| value == b"1");
        reply::json(StatusCode::OK, &levels(&state, sparse))?
    };
    // A cache may keep it, but asks each time.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(ETAG, HeaderValue::from_str(&tag).map_err(Problem::internal)?);
    Ok(response)
}

/// Weak comparison (RFC 9110, 8.8.3.2).
fn same_tag(given: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    given == "*" || opaque(given) == opaque(tag)
}

fn levels(state: &State, sparse: bool) -> Levels {
    let by_universe = |of: &dyn Fn(&Frame) -> BTreeMap<String, u8>| -> ByUniverse {
        state.universes().map(|(id, frame)| (id.to_string(), of(frame))).collect()
    };
    let every = |frame: &Frame| {
        (1..).zip(frame.levels()).map(|(number, &level): (u16, _)| (number.to_string(), level)).collect()
    };
    let lit = |frame: &Frame| frame.lit().map(|(channel, level)| (channel.number().to_string(), level)).collect();
    Levels {
        ts: state.ts,
        universes: by_universe(&every),
        universes_sparse: sparse.then(|| by_universe(&lit)),
        sparse: sparse.then_some(true),
    }
}

async fn command(app: &App, mut request: Request) -> Result<Response, Problem> {
    let body = request.bytes(SMALL).await?;
    let ack = match rgb::take(app, Asked::Unified(&body), rgb::sender(&request)).await {
        Err(refusal) if [Reason::NotJson, Reason::Stopping].contains(&refusal.reason) => return Err(refusal.into()),
        Err(refusal) => Ack::refused(refusal, clock::now_ms()),
        Ok(mut taken) => {
            let done = rgb::outcome(&mut taken).await?;
            intake::ack(taken.id(), done).ok_or_else(intake::stopping)?
        }
    };
    reply::json(StatusCode::OK, &ack)
}

/// Hands in what moves the desk; the desk since.
async fn control(app: &App, asked: Asked<'_>, sender: Sender) -> Result<Response, Problem> {
    match rgb::done(app, asked, sender).await?.0 {
        Done::Desk(state) => desk(&state),
        Done::Applied { .. } | Done::Duplicate => desk(&app.hub.state()),
    }
}

pub(super) fn desk(state: &State) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &DeskView::from(state))
}

fn fades(state: &State) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Fades { fades: state.fades().map(FadeView::from).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = "W/\"rev-7\"";
        assert!(["*", tag, "\"rev-7\""].iter().all(|given| same_tag(given, tag)));
        assert!(!same_tag("W/\"rev-8\"", tag));
    }
}
