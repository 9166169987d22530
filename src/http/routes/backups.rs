//! `/projects/{id}/backups…` and `/projects/{id}/restore`: versions of a project, kept elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::spawn_blocking;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_DISPOSITION, HeaderValue};
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, id};
use super::documents::{DRY_RUN, dry_run};
use super::projects::several;
use super::route::octets;
use super::{Needs, Route, delete, get, post};
use crate::backup::{BackupError, BackupErrorKind, Label, Status, Version};
use crate::dmx::{ProjectId, UniverseId, VersionId};
use crate::kit::budget::{Kind, Share};
use crate::library::EditError;
use crate::wire::{BackupOrder, ListChanges, RestoreOrder, SnapshotChanges};

/// Media type of a version's bytes, sealed or not.
const MEDIA: &str = "application/octet-stream";

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/projects/{id}/backups", "listBackups", Needs::VIEW, &list)
        .says("The versions of a project, even of a deleted one; without projects.enabled that is `default`.")
        .gives::<Versions>(200, "All of them.")
        .like(LIST)
        .refuses(PLACE),
    post("/projects/{id}/backups", "createBackup", Needs::EDIT, &create)
        .says("Makes a backup of the active project, reads it back and verifies it.")
        .may_take::<BackupOrder>()
        .gives::<Version>(201, "It was verified.")
        .like(VERSION)
        .refuses(&[(409, "Another project is active, or another backup or restore is under way."), FAILS]),
    get("/projects/{id}/backups/status", "getBackupStatus", Needs::VIEW, &status)
        .says("The backup or restore under way, and the outcome of the last one.")
        .gives::<Status>(200, "As it is now."),
    post("/projects/{id}/backups/medium", "acceptBackupMedium", Needs::ADMIN, &accept_medium)
        .says(
            "Takes the medium that the folder of `backup.local_path` is on now for the right one, of all projects: \
             clears the problem `BACKUP_MEDIUM_CHANGED`.",
        )
        .gives::<Status>(200, "The status of the project's backups.")
        .refuses(&[(409, "A backup or restore is under way."), FAILS]),
    get("/projects/{id}/backups/{versionId}", "downloadBackup", Needs::EDIT, &download)
        .says("The bytes of a version as stored, sealed or not.")
        .gives_as(MEDIA, octets, 200, "The bytes.")
        .refuses(&[
            (409, "Another backup or restore is under way."),
            (413, "The version is larger than the memory that one client may take."),
            FAILS,
            (503, "The memory is taken, or the appliance cannot do it now."),
        ]),
    delete("/projects/{id}/backups/{versionId}", "deleteBackup", Needs::EDIT, &remove)
        .says("Deletes a version.")
        .gives::<Versions>(200, "The remaining versions.")
        .like(LIST)
        .refuses(&[(409, "A backup or restore is under way."), FAILS]),
    post("/projects/{id}/restore", "restoreBackup", Needs::ADMIN, &restore)
        .says(
            "Replaces state, scenes and show of the active project by a version's, in one step. What was there is kept \
             as a local version first.",
        )
        .query(&[DRY_RUN])
        .takes::<RestoreOrder>()
        .gives::<RestoreAnswer>(200, "It is in force; with `dryRun=1`, what would change.")
        .like(r#"{"status":"ok"}"#)
        .refuses(&[
            (
                409,
                "Another project is active, another backup or restore is under way, or the version is another project's \
                 and `force` is not set. Nothing has changed.",
            ),
            (422, "The version cannot be read, or the body has the wrong shape. Nothing has changed."),
            FAILS,
        ]),
];

const FAILS: (u16, &str) = (502, "The folder or bucket failed.");

/// For routes that only read from there.
const PLACE: &[(u16, &str)] =
    &[(409, "A backup or restore is under way."), FAILS, (503, "The appliance cannot do it now.")];

const VERSION: &str = r#"{"versionId":"01JD0000000000000000000009","createdAt":1767225600000,"size":2048,"label":"before the premiere","provider":"local","encrypted":false}"#;

const LIST: &str = r#"{"projectId":"default","versions":[{"versionId":"01JD0000000000000000000009","createdAt":1767225600000,"size":2048,"label":"before the premiere","provider":"local","encrypted":false}]}"#;

/// The versions of a project.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "BackupVersions", description = "The versions of a project.")]
struct Versions {
    /// The project.
    project_id: String,
    /// Newest first.
    versions: Vec<Version>,
}

/// Answer of a restore.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum RestoreAnswer {
    Done(Restored),
    Dry(RestoreDryRun),
}

/// What a restore would change.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "RestoreDryRun", description = "What a restore would change.")]
struct RestoreDryRun {
    /// Always true: nothing was changed.
    dry_run: bool,
    /// Channels that would get another level.
    channels: usize,
    /// By list of the show, scenes among them; lists without changes are left out.
    changes: BTreeMap<String, ListChanges>,
    /// As in the answer of a restore.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    universes_left_out: Vec<u8>,
}

/// A restore that was made.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Restored", description = "A version is in force.")]
struct Restored {
    /// Always `ok`.
    status: &'static str,
    /// Universes that the version lights and the restore left out, since they are beyond `engine.universes`. They stay as they
    /// are.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    universes_left_out: Vec<u8>,
}

fn indexes(universes: &[UniverseId]) -> Vec<u8> {
    universes.iter().map(|universe| universe.index()).collect()
}

async fn list(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    versions(&app, &named(&app, &request)?).await
}

async fn versions(app: &App, project: &ProjectId) -> Result<Response, Problem> {
    let versions = app.backups.list(project).await?;
    if versions.is_empty() && app.library.view().catalogue.get(project).is_none() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no project {project}, and no backup of one"),
        ));
    }
    reply::json(StatusCode::OK, &Versions { project_id: project.to_string(), versions })
}

async fn create(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let project = known(&app, &request)?;
    let order = BackupOrder::from_json(&request.json().await?)?;
    let _share = at_work(&app, &request)?;
    let label = order.label.and_then(|label| label.parse::<Label>().ok()); // its length was checked
    reply::json(StatusCode::CREATED, &app.backups.create(&project, label).await?)
}

/// The memory of a backup or restore at work: the present documents, sealed and read back. There is one at a time, which
/// gets as much as there is.
fn at_work(app: &App, request: &Request) -> Result<Share, Problem> {
    let (view, from) = (app.library.view(), request.peer.addr.ip());
    let needs = 4 * (view.scenes.len() + view.show.len()) + (1 << 20);
    let most = usize::try_from(app.budget.most(Kind::Backups, from)).unwrap_or(usize::MAX);
    Ok(app.budget.draw(Kind::Backups, from, needs.min(most))?)
}

async fn status(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let project = known(&app, &request)?;
    reply::json(StatusCode::OK, &app.backups.status(&project)?)
}

async fn accept_medium(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let project = known(&app, &request)?;
    app.backups.accept_medium().await?;
    reply::json(StatusCode::OK, &app.backups.status(&project)?)
}

async fn download(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (project, version) = (named(&app, &request)?, request.id::<VersionId>(1, "backup")?);
    let body = app.backups.download(&project, &version).await?;
    let mut response = reply::held(MEDIA, &app.budget, request.peer.addr.ip(), body)?;
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{project}-{version}.bin\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (project, version) = (named(&app, &request)?, request.id::<VersionId>(1, "backup")?);
    app.backups.delete(&project, &version).await?;
    versions(&app, &project).await
}

async fn restore(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let project = known(&app, &request)?;
    let order = RestoreOrder::from_json(&request.json().await?)?;
    let version = id(&order.version_id, "backup")?;
    let owner = order.project_id.map(|owner| id(&owner, "project")).transpose()?;
    let force = order.force.unwrap_or(false);
    let _share = at_work(&app, &request)?;
    if dry_run(&request)? {
        let opened = app.backups.look_into(&project, owner, &version, force).await?;
        let universes_left_out = indexes(&opened.left_out);
        let (state, view) = (app.hub.state(), app.library.view());
        // damaged documents are replaced as if there were none
        let changes =
            spawn_blocking(move || opened.snapshot.changes(&state.settled(), &view.file().unwrap_or_default())).await?;
        let SnapshotChanges { channels, lists } = changes;
        return reply::json(
            StatusCode::OK,
            &RestoreAnswer::Dry(RestoreDryRun { dry_run: true, channels, changes: lists, universes_left_out }),
        );
    }
    let left_out = app.backups.restore_and_tell(&project, owner, &version, force).await?;
    let done = Restored { status: "ok", universes_left_out: indexes(&left_out) };
    reply::json(StatusCode::OK, &RestoreAnswer::Done(done))
}

/// The project in the path.
fn known(app: &App, request: &Request) -> Result<ProjectId, Problem> {
    let id = named(app, request)?;
    if app.library.view().catalogue.get(&id).is_some() { Ok(id) } else { Err(EditError::NotFound(id).into()) }
}

/// The project in the path, even a deleted one: its backups are still there.
fn named(app: &App, request: &Request) -> Result<ProjectId, Problem> {
    served(app, request.parameter(0))?;
    request.id(0, "project")
}

/// Without projects there is one, whose backups are still served.
fn served(app: &App, id: &str) -> Result<(), Problem> {
    if app.library.view().catalogue.active.as_str() == id { Ok(()) } else { several(app) }
}

impl From<BackupError> for Problem {
    fn from(fault: BackupError) -> Self {
        let status = match fault.kind {
            BackupErrorKind::Off | BackupErrorKind::NotFound => StatusCode::NOT_FOUND,
            BackupErrorKind::NotActive | BackupErrorKind::Busy | BackupErrorKind::Foreign => StatusCode::CONFLICT,
            BackupErrorKind::NotNow => return Self::unavailable(fault.message),
            BackupErrorKind::Unreadable => StatusCode::UNPROCESSABLE_ENTITY,
            BackupErrorKind::Refused | BackupErrorKind::Full | BackupErrorKind::Unreachable => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, fault.message)
    }
}
