//! `/metrics`, for Prometheus.

use std::sync::Arc;

use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::route::text;
use super::{Needs, Route, get};

/// Prometheus' text exposition format.
const MEDIA: &str = "text/plain; version=0.0.4";

/// The row.
pub(super) static ROWS: &[Route] = &[get("/metrics", "getMetrics", Needs::VIEW, &read)
    .says("Figures for Prometheus.")
    .gives_as(MEDIA, text, 200, "The text format, version 0.0.4.")];

async fn read(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    let text = app.metrics.text().map_err(Problem::internal)?;
    Ok(reply::bytes(MEDIA, text))
}
