//! `/takeover`: what of a predecessor's files is not here, and that somebody has taken notice of it.

use std::sync::Arc;

use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::{Key, Route, Verb, json};
use crate::library::predecessor::Takeover;

/// The rows.
pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/takeover",
        summary: "What of the predecessor's files could not be taken over.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Takeover>(200, "Empty lists: everything was.")],
        handler: |app, _| Box::pin(async move { reply::json(StatusCode::OK, &*app.library.view().takeover) }),
    },
    Route {
        verb: Verb::Post,
        path: "/takeover/acknowledge",
        summary: "Dismisses the list: what was left out is no longer listed, and files that are not JSON are not retried. \
                  Files that the system refuses stay listed, and each start tries them.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Takeover>(200, "What is left.")],
        handler: |app, _| Box::pin(acknowledge(app)),
    },
];

async fn acknowledge(app: Arc<App>) -> Result<Response, Problem> {
    let view = app.library.acknowledge_takeover().await?;
    reply::json(StatusCode::OK, &*view.takeover)
}
