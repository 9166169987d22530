//! `/universes/{u}/frame`: the present frame of a universe.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Needs, Route, get};
use crate::dmx::UniverseId;

/// The row.
pub(super) static ROWS: &[Route] = &[get("/universes/{u}/frame", "getFrame", Needs::VIEW, &frame)
    .says("The levels of a universe as now sent to the outputs; `u` is 0..63.")
    .gives::<UniverseFrame>(200, "All 512 levels.")];

/// Answer of `/universes/{u}/frame`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "UniverseFrame", description = "The levels of a universe as now sent to the outputs.")]
struct UniverseFrame {
    /// Which one.
    #[schemars(range(max = 63))]
    universe: u8,
    /// The levels of channels 1 to 512.
    #[schemars(length(min = 512, max = 512))]
    frame: Vec<u8>,
}

async fn frame(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let named = request.parameter(0).parse().ok().and_then(UniverseId::new);
    let universe = named.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there are universes 0 to 63"))?;
    let frame = app.hub.state().light(universe).levels().to_vec();
    reply::json(StatusCode::OK, &UniverseFrame { universe: universe.index(), frame })
}
