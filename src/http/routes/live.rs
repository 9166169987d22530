//! `/ws`: the handshake. What follows it is in `live/`.

use std::sync::Arc;

use warp::Reply;
use warp::http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_VERSION, UPGRADE};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::super::App;
use super::super::auth;
use super::super::live::{self, LONGEST_SESSION, MAX_MESSAGE, SOCKET_BYTES};
use super::super::problem::Problem;
use super::super::request::Request;
use super::{Key, Needs, Query, Route, get};
use crate::kit::budget::Kind;
use crate::wire::{FieldError, Reason, Refusal};

/// What it carries, and takes, depends on who it is.
const NEEDS: Needs = Needs::VIEW.or_panel().or_device();

/// The row.
pub(super) static ROWS: &[Route] = &[get("/ws", "openWebsocket", NEEDS, &open)
    .says("Opens the WebSocket: every change of light, and commands.")
    .key(Key::Token)
    .query(&[Query {
        name: "session",
        says: "The page that the connection belongs to: an older connection of the same name is closed (1000), and what it sent and was \
               not read yet is not done.",
        values: &[],
    }])
    .gives_nothing(101, "The WebSocket is open.")
    .refuses(&[
        (426, "This was not a WebSocket handshake of version 13."),
        (422, "`session` does not have 1 to 64 bytes."),
        (503, "The memory or the places for WebSockets are taken."),
    ])];

async fn open(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let Some(upgrade) = request.upgrade.take() else { return Err(no_handshake()) };
    let session = request.query("session");
    if session.as_ref().is_some_and(|session| session.is_empty() || session.len() > LONGEST_SESSION) {
        let fault = FieldError { path: "?session".into(), msg: format!("must have 1 to {LONGEST_SESSION} bytes") };
        return Err(Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }.into());
    }
    let who = app.gate.identify(&auth::shown(&request), request.peer.addr.ip());
    let who = who.ok().filter(|who| NEEDS.allow(who).is_ok());
    if who.is_none() {
        app.access.refused("unknown", "GET /ws", Some(request.peer.addr.ip()));
    }
    let peer = request.peer;
    let from = peer.addr.ip();
    let mut place = app.budget.share(Kind::OpenSockets, from).until(peer.ending());
    place.grow_to(1)?;
    let share = (app.budget.draw(Kind::Sockets, from, SOCKET_BYTES)?, place);
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    let response = match who {
        Some(who) => upgrade
            .on_upgrade(move |socket| async move {
                live::serve(socket, app.hub.clone(), app.stop.clone(), (peer, who), session).await;
                drop(share);
            })
            .into_response(),
        None => upgrade.on_upgrade(move |socket| live::refuse(socket, peer)).into_response(),
    };
    Ok(response)
}

pub(super) fn no_handshake() -> Problem {
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [header(CONNECTION, "upgrade"), header(UPGRADE, "websocket"), header(SEC_WEBSOCKET_VERSION, "13")];
    let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "this address speaks WebSocket (RFC 6455, version 13)");
    headers.into_iter().fold(problem, |problem, (name, value)| problem.with(name, value))
}
