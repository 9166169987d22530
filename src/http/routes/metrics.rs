//! `/metrics`, for Prometheus.

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;

/// Prometheus' text exposition format.
pub(super) const MEDIA: &str = "text/plain; version=0.0.4";

pub(super) fn read(app: &App) -> Result<Response, Problem> {
    let text = app.metrics.text().map_err(Problem::internal)?;
    Ok(reply::bytes(MEDIA, text))
}
