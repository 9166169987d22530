//! `/takeover`: what of a predecessor's files was not imported, until somebody acknowledges it.

use std::sync::Arc;

use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Needs, Route, get, post};
use crate::library::View;
use crate::library::predecessor::Takeover;

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/takeover", "getTakeover", Needs::VIEW, &read)
        .says("What of the predecessor's files could not be imported.")
        .gives::<Takeover>(200, "Empty lists: everything was imported.")
        .refuses(FOREIGN),
    post("/takeover/acknowledge", "acknowledgeTakeover", Needs::EDIT, &acknowledge)
        .says(
            "Dismisses the list: what was left out is no longer listed, and files that are not JSON are not retried. \
             Files that the system refuses stay listed, and each start tries them.",
        )
        .gives::<Takeover>(200, "What is left.")
        .refuses(FOREIGN),
];

const FOREIGN: &[(u16, &str)] = &[(409, "Another version of dmxd has recorded the import; this one cannot read that.")];

async fn read(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    told(&app.library.view())
}

async fn acknowledge(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    told(&*app.library.acknowledge_takeover().await?)
}

fn told(view: &View) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &**view.takeover.as_ref().ok_or(Takeover::FOREIGN)?)
}
