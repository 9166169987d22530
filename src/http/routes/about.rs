//! `GET /about`: what runs here and where it is reached.

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;

/// What runs here and where it is reached.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "About", description = "What runs here and where other machines reach it.")]
pub(super) struct About {
    /// Of dmxd.
    version: &'static str,
    /// Of the app, as URLs; of this machine's addresses those that another one can dial.
    addresses: Vec<String>,
    /// Of the embedded broker, likewise.
    mqtt: Vec<String>,
}

pub(super) fn read(app: &App) -> Result<Response, Problem> {
    let addresses = (app.addresses)();
    let about = About { version: env!("CARGO_PKG_VERSION"), addresses: addresses.web, mqtt: addresses.mqtt };
    reply::json(StatusCode::OK, &about)
}
