//! `/projects…`: several shows on one appliance. Without `projects.enabled` there is nothing here.

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::http::header::{ETAG, HeaderValue};

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Key, NOT_MODIFIED, OUTDATED, Route, Verb, json, shape};
use crate::library::{EditError, Tag, View};
use crate::wire::{Project, ProjectBody, ProjectEdit};

/// The rows.
pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/projects",
        summary: "All projects. 404 here and below while projects.enabled is off.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Projects>(200, "All of them; `ETag` names the list's content."), NOT_MODIFIED],
        handler: |app, request| Box::pin(async move { list(&app, &request) }),
    },
    Route {
        verb: Verb::Post,
        path: "/projects",
        summary: "Makes a project, with `templateId` from another one's state, scenes and show. `If-Match` here and below names the list's content.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<ProjectBody>),
        answers: &[json::<Projects>(201, "All of them, the new one among them."), OUTDATED],
        handler: |app, request| Box::pin(async move { create(&app, request).await }),
    },
    Route {
        verb: Verb::Get,
        path: "/projects/{id}",
        summary: "What is known about a project.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Project>(200, "The project; `ETag` names the fields that PUT changes.")],
        handler: |app, request| Box::pin(async move { read(&app, &request) }),
    },
    Route {
        verb: Verb::Put,
        path: "/projects/{id}",
        summary: "Changes the fields that are named and keeps the others. `If-Match` names the project's content or the list's.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<ProjectBody>),
        answers: &[json::<Project>(200, "The project."), OUTDATED],
        handler: |app, request| Box::pin(async move { edit(&app, request).await }),
    },
    Route {
        verb: Verb::Delete,
        path: "/projects/{id}",
        summary: "Deletes a project. Its backups stay. 409: it is the active one.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Projects>(200, "Those that are left."), OUTDATED],
        handler: |app, request| Box::pin(async move { delete(&app, request).await }),
    },
    Route {
        verb: Verb::Post,
        path: "/projects/{id}/select",
        summary: "Makes a project the active one: its light, scenes, show and command ids are in force at once.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Projects>(200, "All of them."), OUTDATED],
        handler: |app, request| Box::pin(async move { select(&app, request).await }),
    },
];

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

fn list(app: &App, request: &Request) -> Result<Response, Problem> {
    several(app)?;
    let view = app.library.view();
    reply::unchanged(&view.catalogue.tag(), &request.headers).map_or_else(|| answer(StatusCode::OK, &view), Ok)
}

fn read(app: &App, request: &Request) -> Result<Response, Problem> {
    several(app)?;
    let (view, id) = (app.library.view(), request.parameter(0));
    one(view.catalogue.get(id).ok_or_else(|| EditError::NotFound(id.to_owned()))?)
}

/// No 304 by this tag: it says nothing about the times.
fn one(project: &Project) -> Result<Response, Problem> {
    Ok(reply::with_tag(reply::json(StatusCode::OK, project)?, &Tag::of_project(project)))
}

async fn create(app: &App, mut request: Request) -> Result<Response, Problem> {
    several(app)?;
    let edit = ProjectEdit::from_json(&request.json().await?, true)?;
    answer(StatusCode::CREATED, &*app.library.expecting(request.expected()).create(edit).await?)
}

async fn edit(app: &App, mut request: Request) -> Result<Response, Problem> {
    several(app)?;
    let edit = ProjectEdit::from_json(&request.json().await?, false)?;
    one(&app.library.expecting(request.expected()).edit(request.parameter(0).to_owned(), edit).await?)
}

async fn delete(app: &App, request: Request) -> Result<Response, Problem> {
    several(app)?;
    answer(StatusCode::OK, &*app.library.expecting(request.expected()).delete(request.parameter(0).to_owned()).await?)
}

async fn select(app: &App, request: Request) -> Result<Response, Problem> {
    several(app)?;
    answer(StatusCode::OK, &*app.library.expecting(request.expected()).select(request.parameter(0).to_owned()).await?)
}

/// Whether there is anything here at all.
pub(super) fn several(app: &App) -> Result<(), Problem> {
    if app.library.several() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "projects are switched off (set projects.enabled, DMX_PROJECTS_ENABLED=true)",
    ))
}

impl From<EditError> for Problem {
    fn from(fault: EditError) -> Self {
        let status = match &fault {
            EditError::NotFound(_) => StatusCode::NOT_FOUND,
            EditError::Active(_)
            | EditError::NotActive(_)
            | EditError::TooMuch(_)
            | EditError::Changed
            | EditError::Damaged => StatusCode::CONFLICT,
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
