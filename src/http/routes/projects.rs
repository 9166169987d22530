//! `/projects…`: several shows on one appliance. Without `projects.enabled` there is nothing here.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{ETAG, HeaderValue};
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Etag, Needs, Route, delete, get, post, put};
use crate::config;
use crate::library::{EditError, Tag, View};
use crate::wire::{NewProject, Project, ProjectEdit};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/projects", "listProjects", Needs::VIEW, &list)
        .says("All projects.")
        .gives::<Projects>(200, "All of them; `ETag` names the list's content.")
        .like(LIST)
        .etag(Etag::Cached)
        .refuses(&[OFF]),
    post("/projects", "createProject", Needs::EDIT, &create)
        .says("Creates a project; with `templateId` it copies another one's state, scenes and show. `If-Match` here and below names the list's content.")
        .takes::<NewProject>()
        .gives::<Projects>(201, "All of them, including the new one.")
        .like(LIST)
        .etag(Etag::Expected)
        .refuses(&[
            (404, "There is no such template, or `projects.enabled` is off."),
            (409, "There is no room for another project, or the template's documents are damaged."),
        ]),
    get("/projects/{id}", "getProject", Needs::VIEW, &read)
        .says("A project's description.")
        .gives::<Project>(200, "The project; `ETag` names the fields that PUT changes.")
        .like(PROJECT)
        .etag(Etag::Shown)
        .refuses(&[GONE]),
    put("/projects/{id}", "changeProject", Needs::EDIT, &edit)
        .says("Changes the named fields, and keeps the others. `If-Match` names the project's content or the list's.")
        .takes::<ProjectEdit>()
        .gives::<Project>(200, "The project.")
        .like(PROJECT)
        .etag(Etag::Expected)
        .refuses(&[GONE, (409, "Another version of dmxd has stored what is known of it.")]),
    delete("/projects/{id}", "deleteProject", Needs::EDIT, &remove)
        .says("Deletes a project. Its backups stay.")
        .gives::<Projects>(200, "The remaining projects.")
        .like(LIST)
        .etag(Etag::Expected)
        .refuses(&[GONE, (409, "It is the active one.")]),
    post("/projects/{id}/select", "selectProject", Needs::EDIT, &select)
        .says("Makes a project the active one: its light, scenes, show and command ids are in force at once.")
        .gives::<Projects>(200, "All of them.")
        .like(LIST)
        .etag(Etag::Expected)
        .refuses(&[GONE]),
];

const OFF: (u16, &str) = (404, "`projects.enabled` is off.");

const GONE: (u16, &str) = (404, "There is no such project, or `projects.enabled` is off.");

const PROJECT: &str = r#"{"id":"default","name":"default","venue":null,"eventDate":null,"notes":null,"createdAt":1767225600000,"updatedAt":1767225600000,"lastBackupAt":null}"#;

const LIST: &str = r#"{"activeId":"default","projects":[{"id":"default","name":"default","venue":null,"eventDate":null,"notes":null,"createdAt":1767225600000,"updatedAt":1767225600000,"lastBackupAt":null}]}"#;

/// All projects.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Projects", description = "All projects.")]
struct Projects {
    /// Id of the active one.
    active_id: String,
    /// Oldest first.
    projects: Vec<Project>,
}

fn answer(status: StatusCode, view: &View) -> Result<Response, Problem> {
    let projects = view.catalogue.projects.clone();
    let projects = Projects { active_id: view.catalogue.active.to_string(), projects };
    Ok(reply::with_tag(reply::json(status, &projects)?, &view.catalogue.tag()))
}

async fn list(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    several(&app)?;
    let view = app.library.view();
    reply::unchanged(&view.catalogue.tag(), &request.headers).map_or_else(|| answer(StatusCode::OK, &view), Ok)
}

async fn read(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    several(&app)?;
    let (view, id) = (app.library.view(), request.id(0, "project")?);
    one(view.catalogue.get(&id).ok_or(EditError::NotFound(id))?)
}

/// No 304 by this tag, since it ignores the times.
fn one(project: &Project) -> Result<Response, Problem> {
    Ok(reply::with_tag(reply::json(StatusCode::OK, project)?, &Tag::of_project(project)))
}

async fn create(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    several(&app)?;
    let edit = ProjectEdit::from_json(&request.json().await?, true)?;
    answer(StatusCode::CREATED, &*app.library.expecting(request.expected()).create(edit).await?)
}

async fn edit(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    several(&app)?;
    let edit = ProjectEdit::from_json(&request.json().await?, false)?;
    one(&app.library.expecting(request.expected()).edit(request.id(0, "project")?, edit).await?)
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    several(&app)?;
    answer(StatusCode::OK, &*app.library.expecting(request.expected()).delete(request.id(0, "project")?).await?)
}

async fn select(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    several(&app)?;
    answer(StatusCode::OK, &*app.library.expecting(request.expected()).select(request.id(0, "project")?).await?)
}

/// Whether `/projects` is served at all.
pub(super) fn several(app: &App) -> Result<(), Problem> {
    if app.library.several() {
        return Ok(());
    }
    let setting = config::setting("projects.enabled");
    let message = format!("projects are switched off: set {setting}; GET /about names the file");
    Err(Problem::new(StatusCode::NOT_FOUND, message))
}

impl From<EditError> for Problem {
    fn from(fault: EditError) -> Self {
        let status = match &fault {
            EditError::NotFound(_) => StatusCode::NOT_FOUND,
            EditError::Active(_)
            | EditError::NotActive(_)
            | EditError::TooMuch(_)
            | EditError::Changed
            | EditError::Damaged
            | EditError::Foreign(_) => StatusCode::CONFLICT,
            EditError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            EditError::Outdated(tag) => {
                let problem = Self::new(StatusCode::PRECONDITION_FAILED, fault.to_string());
                return match tag.as_ref().and_then(|tag| HeaderValue::try_from(tag.as_str()).ok()) {
                    Some(tag) => problem.with(ETAG, tag),
                    None => problem,
                };
            }
            EditError::NotNow => return Self::unavailable(fault.to_string()),
            EditError::Stopping => return crate::intake::stopping().into(),
        };
        Self::new(status, fault.to_string())
    }
}
