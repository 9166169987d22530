//! `/scenes…`: looks under a name, as documents and as light.

use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::desk;
use super::documents::body;
use super::{Key, NOT_MODIFIED, OUTDATED, Route, Verb, blocking, json, rgb, shape};
use crate::intake::Asked;
use crate::kit::clock;
use crate::library::{EditedScene, SceneError, View};
use crate::wire::{DeskView, NotEdited, RecallOrder, SceneBody, SceneEdit, SceneFields, scenes};

const JSON: &str = "application/json";

/// The rows.
pub(super) static ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/scenes",
        summary: "The scenes of the active project.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Vec<SceneBody>>(200, "All of them; `ETag` names the list's content."), NOT_MODIFIED],
        handler: |app, request| Box::pin(async move { Ok(list(&app.library.view(), &request)) }),
    },
    Route {
        verb: Verb::Put,
        path: "/scenes",
        summary: "Replaces the scenes of the active project: a list of at most 8 MiB. `If-Match` here and below names the list's content.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<Vec<SceneBody>>),
        answers: &[json::<Vec<SceneBody>>(200, "What is stored."), OUTDATED],
        handler: |app, request| Box::pin(async move { put(&app, request).await }),
    },
    Route {
        verb: Verb::Post,
        path: "/scenes",
        summary: "Adds a scene: without `channelValues` the light before master and blackout, fades at their ends.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<SceneFields>),
        answers: &[json::<SceneBody>(201, "The scene; `ETag` is the list's."), OUTDATED],
        handler: |app, request| Box::pin(async move { add(&app, request).await }),
    },
    Route {
        verb: Verb::Patch,
        path: "/scenes/{id}",
        summary: "Changes the fields that are named; `null` takes one away, `position` moves the scene in the list.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<SceneFields>),
        answers: &[json::<SceneBody>(200, "The scene; `ETag` is the list's."), OUTDATED],
        handler: |app, request| Box::pin(async move { change(&app, request).await }),
    },
    Route {
        verb: Verb::Delete,
        path: "/scenes/{id}",
        summary: "Deletes a scene. The light stays as it is.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<Vec<SceneBody>>(200, "Those that are left."), OUTDATED],
        handler: |app, request| Box::pin(async move { delete(&app, request).await }),
    },
    Route {
        verb: Verb::Post,
        path: "/scenes/{id}/capture",
        summary: "Captures the light into a scene that is there, fades at their ends. Its name and the rest stay.",
        key: Key::AsHeader,
        query: &[],
        takes: None,
        answers: &[json::<SceneBody>(200, "The scene; `ETag` is the list's."), OUTDATED],
        handler: |app, request| Box::pin(async move { capture(&app, request).await }),
    },
    Route {
        verb: Verb::Post,
        path: "/scenes/{id}/recall",
        summary: "Makes a scene light, over `fadeMs` or the scene's own time.",
        key: Key::AsHeader,
        query: &[],
        takes: Some(shape::<RecallOrder>),
        answers: &[json::<DeskView>(200, "The desk since.")],
        handler: |app, request| Box::pin(async move { recall(&app, request).await }),
    },
];

async fn put(app: &App, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let (body, _turn) = body(app, &mut request).await?;
    let scenes = blocking(move || Ok(scenes(&body, clock::now_ms())?)).await?;
    Ok(all(&*library.put_scenes(scenes).await?))
}

fn list(view: &View, request: &Request) -> Response {
    reply::unchanged(&view.scenes_tag, &request.headers).unwrap_or_else(|| all(view))
}

fn all(view: &View) -> Response {
    reply::with_tag(reply::bytes(JSON, view.scenes.clone()), &view.scenes_tag)
}

fn one(status: StatusCode, edited: &EditedScene) -> Result<Response, Problem> {
    Ok(reply::with_tag(reply::json(status, &edited.scene)?, &edited.view.scenes_tag))
}

async fn add(app: &App, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let (body, _turn) = body(app, &mut request).await?;
    let edit = SceneEdit::add(&body, &app.hub.state(), ulid::Ulid::generate(), clock::now_ms())?;
    one(StatusCode::CREATED, &library.edit_scenes(edit).await?)
}

async fn change(app: &App, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let (body, _turn) = body(app, &mut request).await?;
    let edit = SceneEdit::change(request.parameter(0).to_owned(), &body)?;
    one(StatusCode::OK, &library.edit_scenes(edit).await?)
}

async fn capture(app: &App, request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let edit = SceneEdit::capture(request.parameter(0).to_owned(), &app.hub.state());
    one(StatusCode::OK, &library.edit_scenes(edit).await?)
}

async fn delete(app: &App, request: Request) -> Result<Response, Problem> {
    let edit = SceneEdit::Delete { id: request.parameter(0).to_owned() };
    let edited = app.library.expecting(request.expected()).edit_scenes(edit).await?;
    Ok(all(&edited.view))
}

async fn recall(app: &App, mut request: Request) -> Result<Response, Problem> {
    let order = RecallOrder::from_json(&request.json().await?)?;
    let (id, sender) = (request.parameter(0).to_owned(), rgb::sender(&request));
    rgb::done(app, Asked::Recall(&id, order.over()), sender).await?;
    desk::desk(&app.hub.state())
}

fn no_scene(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no scene {id}"))
}

impl From<SceneError> for Problem {
    fn from(fault: SceneError) -> Self {
        match fault {
            SceneError::Edit(NotEdited::NoScene(id)) => no_scene(&id),
            SceneError::Edit(NotEdited::Refused(refusal)) => refusal.into(),
            SceneError::Library(fault) => fault.into(),
        }
    }
}
