//! The tablet app: `/`, and every file below it that the app has.

use warp::http::StatusCode;

use super::super::assets::Shell;
use super::super::reply;
use super::{Key, Route, Verb, json, text};

/// What a person opens.
pub(super) const START: Route = row("/", "The tablet app.");

/// What its service worker keeps.
pub(super) const SHELL: Route = Route {
    verb: Verb::Get,
    path: "/assets.json",
    summary: "The app's files, and a version that changes when one of them does.",
    key: Key::Free,
    query: &[],
    takes: None,
    answers: &[json::<Shell>(200, "Every file but the service worker itself.")],
    handler: |app, _| Box::pin(async move { reply::json(StatusCode::OK, &app.assets.shell().await?) }),
};

/// One row for all of its files. The template names no folders, though some files are in one: OpenAPI has no form for
/// that.
pub(super) static FILE: Route = row("/{file}", "A file of the tablet app.");

const fn row(path: &'static str, summary: &'static str) -> Route {
    Route {
        verb: Verb::Get,
        path,
        summary,
        key: Key::Free,
        query: &[],
        takes: None,
        answers: const { &[text("*/*", "The file.")] },
        handler: |app, request| Box::pin(async move { app.assets.answer(&request.path, &request.headers).await }),
    }
}
