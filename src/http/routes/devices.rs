//! `/devices`: devices and MQTT clients.

use std::sync::Arc;

use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Needs, Route, get};
use crate::wire::Presence;

/// The row.
pub(super) static ROWS: &[Route] = &[get("/devices", "listDevices", Needs::VIEW, &read)
    .says("Devices, by their topics v1/devices/<id>/state, and the MQTT clients behind them.")
    .gives::<Presence>(200, "All that are known.")];

async fn read(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &(app.devices)())
}
