//! `/export` and `/import`: scenes and show of the active project as one file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use tokio::sync::SemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use warp::http::StatusCode;
use warp::hyper::body::Bytes;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{DOCUMENT, Held, MAX_BODY, Request};
use super::{Etag, Needs, Query, Route, get, post, refused};
use crate::backup::BackupError;
use crate::kit::budget::{Budget, Kind, Share};
use crate::kit::clock;
use crate::library::{self, Expected, Tag};
use crate::wire::{ImportMode, JsonScan, ListChanges, ShowFile};

/// Asks what would change instead of changing it.
pub(super) const DRY_RUN: Query = Query {
    name: "dryRun",
    says: "`1` or `true`: only reports what would change.",
    values: &["0", "1", "false", "true"],
};

/// An import this soon after a switch of projects may be meant for the other one.
const SWITCHED: Duration = Duration::from_secs(60);

/// How often an import is repeated because somebody edits or selects meanwhile.
const EDITED: usize = 3;

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/export", "exportShow", Needs::VIEW, &export)
        .says("The show of the active project, including its scenes.")
        .gives::<ShowFile>(200, "As a file; `ETag` names its content except `exportedAt`.")
        .etag(Etag::Cached)
        .refuses(&[
            (409, "The project's documents are damaged."),
            (413, "The show is larger than the memory that one client may take."),
            (503, "Others are working on large documents."),
        ]),
    post("/import", "importShow", Needs::EDIT, &import)
        .says(
            "Takes a show file of at most 8 MiB into the active project. Before scenes or fixtures go, or within a minute \
             after another project was selected, a local version is kept (at most one a minute, the newest five). \
             If it cannot be kept, nothing is imported; while backups are off, `notKept` of the answer says why.",
        )
        .query(&[
            Query {
                name: "mode",
                says: "`replace`: the file replaces the show (scenes stay if it has none); `merge`: its content is added.",
                values: &["replace", "merge"],
            },
            DRY_RUN,
        ])
        .takes::<ShowFile>()
        .gives_as(
            "application/json",
            imported,
            200,
            "What is stored, as /export gives it; with `dryRun=1`, what would change.",
        )
        .etag(Etag::Expected)
        .refuses(&[
            (409, "The project would be larger than 8 MiB, or somebody keeps editing it."),
            (502, "The present state could not be saved first, since the folder of versions failed."),
        ]),
];

/// Answer of `/import`: a dry run, or what is stored. The dry run is first, since a stored show needs no field by which clients
/// could tell it from this.
fn imported(generator: &mut SchemaGenerator) -> Schema {
    let (dry, show) = (generator.subschema_for::<DryRun>(), generator.subschema_for::<ShowFile>());
    let not_kept =
        "Why what the import took away could not be kept as a local version, while backups are off; otherwise absent.";
    let stored = json_schema!({
        "title": "ImportedShow",
        "description": "What is stored, as /export gives it.",
        "allOf": [show],
        "type": "object",
        "properties": {"notKept": {"description": not_kept, "type": "string"}},
    });
    json_schema!({"title": "Imported", "anyOf": [dry, stored]})
}

/// What an import would change.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "DryRun", description = "What an import would change.")]
struct DryRun {
    /// Always true: nothing was changed.
    dry_run: bool,
    /// By list of the show; lists without changes are left out.
    changes: BTreeMap<String, ListChanges>,
}

async fn export(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let view = app.library.view();
    if let Some(unchanged) = reply::unchanged(&view.file_tag, &request.headers) {
        return Ok(unchanged);
    }
    let large = view.scenes.len() + view.show.len() > MAX_BODY;
    let _turn = if large { Some(turn(&app).await?) } else { None };
    let (budget, to) = (app.budget.clone(), request.peer.addr.ip());
    spawn_blocking(move || exported(&view.file()?, &view.file_tag, None, &budget, to)).await?
}

fn exported(
    file: &ShowFile,
    tag: &Tag,
    not_kept: Option<String>,
    budget: &Budget,
    to: IpAddr,
) -> Result<Response, Problem> {
    let mut show = file.export(clock::now_ms());
    if let (Some(fields), Some(why)) = (show.as_object_mut(), not_kept) {
        fields.insert("notKept".to_owned(), why.into());
    }
    Ok(reply::with_tag(reply::json_held(budget, to, &show)?, tag))
}

/// How long to wait for others who work on large documents.
const TURN_PATIENCE: Duration = Duration::from_secs(30);

/// The turn to work on a large document.
pub(super) async fn turn(app: &App) -> Result<SemaphorePermit<'_>, Problem> {
    let turn = timeout(TURN_PATIENCE, app.imports.acquire()).await;
    turn.map_err(|_| Problem::unavailable("others are working on large documents; try again"))?
        .map_err(Problem::internal)
}

/// The turn to work on a large document, and the memory for it.
pub(super) struct Turn<'a>(#[expect(dead_code, reason = "held")] (SemaphorePermit<'a>, Share));

/// What a value of a document costs while it is read, compared and stored: a key's text and its block, the value itself, and a
/// place in a half-full tree, twice for what is compared.
const VALUE_BYTES: usize = 160;

/// A body that is a document; for a large one also the turn to work on it, held until it is stored. A slow sender keeps
/// nobody waiting: the turn comes after the body.
pub(super) async fn body<'a>(app: &'a App, request: &mut Request) -> Result<(Held, Option<Turn<'a>>), Problem> {
    if request.is_small() {
        return Ok((request.json().await?, None));
    }
    let body = request.bytes(DOCUMENT).await?;
    let turn = turn(app).await?;
    let (body, scan) = spawn_blocking(move || {
        let scan = JsonScan::over(&body);
        (body, scan)
    })
    .await?;
    let needs = scan.values * VALUE_BYTES + 2 * body.len();
    scan.each_key_once()?;
    let share = app.budget.draw(Kind::Documents, request.peer.addr.ip(), needs)?;
    Ok((body, Some(Turn((turn, share)))))
}

/// The turn to read documents that are there, and the memory for it; `None`: they are small.
pub(super) async fn turn_to_read(app: &App, from: IpAddr, documents: Vec<Bytes>) -> Result<Option<Turn<'_>>, Problem> {
    let bytes = documents.iter().map(Bytes::len).sum::<usize>();
    if bytes <= MAX_BODY {
        return Ok(None);
    }
    let turn = turn(app).await?;
    let count = move || documents.iter().map(|document| JsonScan::over(document).values).sum::<usize>();
    let values = spawn_blocking(count).await?;
    let share = app.budget.draw(Kind::Documents, from, values * VALUE_BYTES + 2 * bytes)?;
    Ok(Some(Turn((turn, share))))
}

async fn import(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let mode = match choice(&request, "mode", &["replace", "merge"])? {
        "merge" => ImportMode::Merge,
        _ => ImportMode::Replace,
    };
    let dry = dry_run(&request)?;
    let expected = request.expected();
    let (body, _turn) = body(&app, &mut request).await?;
    let (budget, to) = (app.budget.clone(), request.peer.addr.ip());
    let (imported, not_kept) = if dry {
        let file = spawn_blocking(move || ShowFile::brought(&body, clock::now_ms())).await??;
        (app.library.expecting(expected).import(file, mode, dry).await?, None)
    } else {
        taken(&app, body, mode, &expected).await?
    };
    if dry {
        let dry = reply::json(StatusCode::OK, &DryRun { dry_run: true, changes: imported.changes })?;
        return Ok(reply::with_tag(dry, &imported.tag)); // of what the file was compared with
    }
    spawn_blocking(move || exported(&imported.file, &imported.tag, not_kept, &budget, to)).await?
}

/// Takes a file into exactly the state that was saved: after a select or an edit in between, that is saved once more.
/// Also gives why it could not be saved, if that is no reason to refuse.
async fn taken(
    app: &App,
    body: Held,
    mode: ImportMode,
    expected: &Expected,
) -> Result<(library::Imported, Option<String>), Problem> {
    let body = Arc::new(body);
    for _ in 0..EDITED {
        let again = body.clone();
        let file = spawn_blocking(move || ShowFile::brought(&again, clock::now_ms())).await??;
        let (file, kept, not_kept) = kept_safe(app, file, mode).await?;
        let expecting = match expected {
            Expected::Anything => Expected::OneOf(vec![kept.to_string()]),
            Expected::OneOf(_) => expected.clone(), // the client has said what it may take away
        };
        match app.library.expecting(expecting).import(file, mode, false).await {
            Err(library::EditError::Outdated(_)) if *expected == Expected::Anything => {}
            other => return Ok((other?, not_kept)),
        }
    }
    Err(library::EditError::Changed.into())
}

/// Saves the project as a local version if the file takes scenes or fixtures away, or may be meant for the project that was
/// active a moment ago. Gives the tag of what was there, and why it could not be saved, if that is no reason to refuse.
async fn kept_safe(app: &App, file: ShowFile, mode: ImportMode) -> Result<(ShowFile, Tag, Option<String>), Problem> {
    let view = app.library.view();
    let tag = view.file_tag.clone();
    if view.damaged || view.is_empty() {
        return Ok((file, tag, None)); // there is nothing to save
    }
    let project = view.catalogue.active.clone();
    let work = move || {
        Ok::<_, library::EditError>((view.switched_within(SWITCHED) || file.removes(&view.file()?, mode), file))
    };
    let (risky, file) = spawn_blocking(work).await??;
    if !risky {
        return Ok((file, tag, None));
    }
    match app.backups.keep_safe(&project, "before import").await {
        Ok(()) => Ok((file, tag, None)),
        // nobody has asked for versions: it is reported, and no reason to refuse
        Err(fault) if !app.backups.is_on() => Ok((file, tag, Some(fault.message))),
        Err(fault) => {
            let message = format!("nothing was imported, because the current state could not be saved first: {fault}");
            Err(BackupError { message, ..fault }.into())
        }
    }
}

/// Whether it is a dry run.
pub(super) fn dry_run(request: &Request) -> Result<bool, Problem> {
    Ok(matches!(choice(request, DRY_RUN.name, DRY_RUN.values)?, "1" | "true"))
}

/// The value of a name in the query; the first of `values` if it is absent.
fn choice(request: &Request, name: &str, values: &[&'static str]) -> Result<&'static str, Problem> {
    let Some(given) = request.switch(name) else { return Ok(values.first().copied().unwrap_or_default()) };
    let known = values.iter().find(|value| value.as_bytes() == given).copied();
    known.ok_or_else(|| refused(name, format!("must be one of {}", values.join(", "))))
}
