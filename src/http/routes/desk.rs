//! The desk over REST: levels, unified commands, master, blackout, fades.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::super::App;
use super::super::desk_view::desk_view;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, SMALL};
use super::{Etag, Needs, Query, Route, get, post, rgb};
use crate::access::Identity;
use crate::dmx::{Frame, State};
use crate::intake::{self, Done, IncomingCommand, Sender};
use crate::kit::clock;
use crate::wire::{Ack, BlackoutOrder, DeskView, FadeView, MasterOrder, Reason, Unified};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/state", "getState", Needs::VIEW.or_device(), &state)
        .says("The levels of every known universe, before master and blackout.")
        .query(&[Query { name: "sparse", says: "`1` adds the levels that are not 0.", values: &["0", "1"] }])
        .gives::<Levels>(200, "All of them; `ETag` names the change.")
        .etag(Etag::Cached),
    post("/command", "sendCommand", Needs::OPERATE.or_panel().or_device(), &command)
        .says("Takes a unified command. 200 with the ack, even if it is refused.")
        .takes::<Unified>()
        .gives::<Ack>(200, "Its outcome.")
        .like(r#"{"ack":"tour-1","accepted":true,"ts":1767225600000}"#),
    get("/desk", "getDesk", Needs::VIEW.or_panel().or_device(), &read)
        .says("Master, blackout, the scene in effect, running fades.")
        .gives::<DeskView>(200, "The desk.")
        .like(DESK),
    post("/master", "setMaster", Needs::OPERATE.or_panel(), &master)
        .says("Moves the grand master over all intensity channels.")
        .takes::<MasterOrder>()
        .gives::<DeskView>(200, "The desk after it.")
        .like(DESK),
    post("/blackout", "setBlackout", Needs::OPERATE.or_panel().or_device(), &blackout)
        .says("Takes all light away, or brings it back as it would be now; at once or over `fadeMs`.")
        .takes::<BlackoutOrder>()
        .gives::<DeskView>(200, "The desk after it.")
        .like(DESK),
    get("/fades", "listFades", Needs::VIEW, &fades).says("All running fades.").gives::<Fades>(200, "Oldest first."),
    post("/fades/stop", "stopFades", Needs::OPERATE, &stop_fades)
        .says("Ends all fades where they are.")
        .gives::<DeskView>(200, "The desk after it."),
];

/// Answers with the desk.
pub(super) const DESK: &str = r#"{"master":128,"blackout":false,"scene":"scene-warm","fades":[]}"#;

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
    /// True if they are included.
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse: Option<bool>,
}

/// Answer of `/fades`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Fades", description = "All running fades.")]
struct Fades {
    /// Oldest first.
    fades: Vec<FadeView>,
}

async fn state(app: Arc<App>, request: Request) -> Result<Response, Problem> {
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
    // a cache may keep it, but asks each time
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

async fn command(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let body = request.bytes(SMALL).await?;
    let ack = match rgb::take(&app, IncomingCommand::Unified(&body), rgb::sender(&request)).await {
        Err(refusal) if [Reason::NotJson, Reason::Stopping].contains(&refusal.reason) => return Err(refusal.into()),
        Err(refusal) => Ack::refused(refusal, clock::now_ms()),
        Ok(mut taken) => {
            let done = rgb::outcome(&mut taken).await?;
            intake::ack(taken.id(), done).ok_or_else(intake::stopping)?
        }
    };
    reply::json(StatusCode::OK, &ack)
}

async fn master(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let body = request.bytes(SMALL).await?;
    control(&app, IncomingCommand::Master(&body), rgb::sender(&request)).await
}

async fn blackout(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let body = request.bytes(SMALL).await?;
    control(&app, IncomingCommand::Blackout(&body), rgb::sender(&request)).await
}

async fn stop_fades(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    control(&app, IncomingCommand::StopFades, rgb::sender(&request)).await
}

/// Hands in what moves the desk; gives the desk after it.
async fn control(app: &App, command: IncomingCommand<'_>, sender: Sender) -> Result<Response, Problem> {
    let who = sender.who.clone();
    match rgb::done(app, command, sender).await?.0 {
        Done::Desk(state) => desk(&state, &who),
        Done::Applied { .. } | Done::Duplicate => desk(&app.hub.state(), &who),
    }
}

pub(super) fn desk(state: &State, who: &Identity) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &desk_view(state, who.rights()))
}

async fn read(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    desk(&app.hub.state(), &request.who)
}

async fn fades(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Fades { fades: app.hub.state().fades().map(FadeView::from).collect() })
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
