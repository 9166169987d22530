//! `/outputs`: where the light goes and comes from.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Needs, Route, get};
use crate::wire::PortStatus;

/// The row.
pub(super) static ROWS: &[Route] = &[get("/outputs", "listOutputs", Needs::VIEW, &read)
    .says("The state of each output and input.")
    .gives::<Ports>(200, "All of them, including those that are off.")];

/// Answer of `/outputs`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Ports", description = "Every output and input and its state.")]
struct Ports {
    /// Where the light goes.
    outputs: Vec<PortStatus>,
    /// Where it comes from, besides commands.
    inputs: Vec<PortStatus>,
}

async fn read(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    let now = |ports: &[watch::Receiver<PortStatus>]| ports.iter().map(|port| port.borrow().clone()).collect();
    reply::json(StatusCode::OK, &Ports { outputs: now(&app.ports.outputs), inputs: now(&app.ports.inputs) })
}
