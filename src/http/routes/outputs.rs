//! `/outputs`: where the light goes and comes from.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use crate::wire::PortStatus;

/// Answer of `/outputs`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Ports", description = "Every output and input and how it fares.")]
pub(in super::super) struct Ports {
    /// Where the light goes.
    outputs: Vec<PortStatus>,
    /// Where it comes from, beside commands.
    inputs: Vec<PortStatus>,
}

pub(super) fn read(app: &App) -> Result<Response, Problem> {
    let now = |ports: &[watch::Receiver<PortStatus>]| ports.iter().map(|port| port.borrow().clone()).collect();
    reply::json(StatusCode::OK, &Ports { outputs: now(&app.ports.outputs), inputs: now(&app.ports.inputs) })
}
