//! `/export` and `/import`: scenes and show of the active project as one file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, SHOW};
use super::{Key, Query, Route, Verb, json, shape};
use crate::dmx::{FieldError, ImportMode, ListChanges, Reason, Refusal, ShowBody, ShowFile};
use crate::kit::clock;

/// Asks what would change instead of changing it.
pub(super) const DRY_RUN: Query = Query { name: "dryRun", values: &["0", "1", "false", "true"] };

/// The rows.
pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/export",
        summary: "The show of the active project, its scenes in it.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<ShowBody>(200, "As a file.")],
        handler: |app, _| Box::pin(async move { export(&app).await }),
    },
    Route {
        verb: Verb::Post,
        path: "/import",
        summary: "Takes a show file of at most 8 MiB into the active project. `mode=replace`: the show becomes the file \
                  (scenes stay when it has none); `mode=merge`: what it has comes in. `dryRun=1` only says what would change.",
        key: Key::AsHeader,
        query: &[Query { name: "mode", values: &["replace", "merge"] }, DRY_RUN],
        takes: Some(shape::<ShowBody>),
        answers: &[json::<Imported>(200, "What is stored, as /export gives it; with `dryRun=1` what would change.")],
        handler: |app, request| Box::pin(async move { import(&app, request).await }),
    },
];

/// Answer of `/import`.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its variants are the schema of two answers that are made where they are known")]
enum Imported {
    Stored(Box<ShowBody>),
    Dry(DryRun),
}

/// What an import would change.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "DryRun", description = "What an import would change.")]
struct DryRun {
    /// Always true: nothing was changed.
    dry_run: bool,
    /// By list of the show; lists that stay as they are are left out.
    changes: BTreeMap<String, ListChanges>,
}

async fn export(app: &App) -> Result<Response, Problem> {
    let view = app.library.view();
    blocking(move || reply::json(StatusCode::OK, &view.file()?.export(clock::now_ms()))).await
}

/// Work for the processor, off the threads that serve.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

async fn import(app: &App, mut request: Request) -> Result<Response, Problem> {
    let mode = match choice(&request, "mode", &["replace", "merge"])? {
        "merge" => ImportMode::Merge,
        _ => ImportMode::Replace,
    };
    let dry = dry_run(&request)?;
    // One at a time: read, a body of 8 MiB may need ten times that.
    let _turn = app.imports.acquire().await.map_err(Problem::internal)?;
    let body = request.bytes(SHOW).await?;
    let file = blocking(move || Ok(ShowFile::from_json(&body, clock::now_ms())?)).await?;
    let imported = app.library.import(file, mode, dry).await?;
    if dry {
        return reply::json(StatusCode::OK, &DryRun { dry_run: true, changes: imported.changes });
    }
    blocking(move || reply::json(StatusCode::OK, &imported.file.export(clock::now_ms()))).await
}

/// Whether only an answer is wanted.
pub(super) fn dry_run(request: &Request) -> Result<bool, Problem> {
    Ok(matches!(choice(request, DRY_RUN.name, DRY_RUN.values)?, "1" | "true"))
}

/// The value of a name in the query; the first of `values` when it is absent.
fn choice(request: &Request, name: &str, values: &[&'static str]) -> Result<&'static str, Problem> {
    let Some(given) = request.query(name) else { return Ok(values.first().copied().unwrap_or_default()) };
    let known = values.iter().find(|value| value.as_bytes() == given).copied();
    known.ok_or_else(|| {
        let fault = FieldError { path: format!("?{name}"), msg: format!("must be one of {}", values.join(", ")) };
        Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }.into()
    })
}
