//! `/devices`: who is there.

use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;

pub(super) fn read(app: &App) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &(app.devices)())
}
