//! The tablet app: `/`, and every file below it that the app has.

use std::sync::Arc;

use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::assets::Shell;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::route::{octets, text};
use super::{Etag, Needs, Route, get};

/// The app that people open, and what its service worker keeps.
pub(super) static ROWS: &[Route] = &[
    get("/", "getApp", Needs::OPEN, &read)
        .says("The tablet app.")
        .gives_as("text/html", text, 200, "Its page.")
        .etag(Etag::Cached),
    get("/assets.json", "listAppFiles", Needs::OPEN, &shell)
        .says("The app's files, and a version that changes when one of them does.")
        .gives::<Shell>(200, "Every file except the service worker itself."),
];

/// One row for all of its files. The template names no folders, although some files are in one: OpenAPI has no form for
/// that.
pub(super) static FILE: Route = get("/{file}", "getAppFile", Needs::OPEN, &read)
    .says("A file of the tablet app.")
    .gives_as("*/*", octets, 200, "The file.")
    .etag(Etag::Cached)
    .refuses(&[(406, "`Accept-Encoding` accepts none of its forms: br, gzip, identity.")]);

async fn read(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    app.assets.answer(&request.path, &request.headers).await
}

async fn shell(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &app.assets.shell().await?)
}
