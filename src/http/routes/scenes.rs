//! `/scenes…`: looks under a name, as documents and as light.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::desk;
use super::documents::body;
use super::{Etag, Needs, Route, delete, get, patch, post, put, rgb};
use crate::intake::IncomingCommand;
use crate::kit::clock;
use crate::library::{EditedScene, SceneError, View};
use crate::wire::{
    CaptureOrder, Captured, DeskView, NewScene, NotEdited, RecallOrder, Scene, SceneEdit, SceneFields, scenes,
};

const JSON: &str = "application/json";

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/scenes", "listScenes", Needs::VIEW, &list)
        .says("The scenes of the active project.")
        .gives::<Vec<Scene>>(200, "All of them; `ETag` names the list's content.")
        .like(LIST)
        .etag(Etag::Cached),
    put("/scenes", "replaceScenes", Needs::EDIT, &replace)
        .says("Replaces the scenes of the active project: a list of at most 8 MiB. `If-Match` here and below names the list's content.")
        .takes::<Vec<Scene>>()
        .gives::<Vec<Scene>>(200, "What is stored.")
        .like(LIST)
        .etag(Etag::Expected)
        .refuses(FULL),
    post("/scenes", "addScene", Needs::EDIT, &add)
        .says("Adds a scene: without `channelValues` it captures the light before master and blackout, fades at their ends; with `only`, \
               that of some fixtures alone.")
        .takes::<NewScene>()
        .gives::<Scene>(201, "The scene; `ETag` is the list's.")
        .like(SCENE)
        .etag(Etag::Expected)
        .refuses(FULL),
    patch("/scenes/{id}", "changeScene", Needs::EDIT, &change)
        .says("Changes the named fields; `null` removes one, `position` moves the scene in the list.")
        .takes::<SceneFields>()
        .gives::<Scene>(200, "The scene; `ETag` is the list's.")
        .like(SCENE)
        .etag(Etag::Expected)
        .refuses(FULL),
    delete("/scenes/{id}", "deleteScene", Needs::EDIT, &remove)
        .says("Deletes a scene. The light stays as it is.")
        .gives::<Vec<Scene>>(200, "The remaining scenes.")
        .etag(Etag::Expected)
        .refuses(DAMAGED),
    post("/scenes/{id}/capture", "captureScene", Needs::EDIT, &capture)
        .says(
            "Captures the light into an existing scene, fades at their ends; with `only`, that of some fixtures alone, and the levels of \
             others stay. Its name and the rest stay.",
        )
        .may_take::<CaptureOrder>()
        .gives::<Scene>(200, "The scene; `ETag` is the list's.")
        .like(SCENE)
        .etag(Etag::Expected)
        .refuses(FULL),
    post("/scenes/{id}/recall", "recallScene", Needs::OPERATE.or_panel().or_device(), &recall)
        .says("Recalls a scene, over `fadeMs` or the scene's own time.")
        .may_take::<RecallOrder>()
        .gives::<DeskView>(200, "The desk after it.")
        .like(desk::DESK)
        .refuses(&[(409, "Another project was selected meanwhile.")]),
];

const SCENE: &str =
    r#"{"id":"scene-warm","name":"Warm white","channelValues":{"1":255,"2":180,"3":90},"timestamp":1767225600000}"#;

const LIST: &str =
    r#"[{"id":"scene-warm","name":"Warm white","channelValues":{"1":255,"2":180,"3":90},"timestamp":1767225600000}]"#;

/// For edits that make documents larger.
const FULL: &[(u16, &str)] = &[(409, "The project would be larger than 8 MiB, or its documents are damaged.")];

/// For every other edit.
const DAMAGED: &[(u16, &str)] = &[(409, "The project's documents are damaged.")];

async fn replace(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let (body, _turn) = body(&app, &mut request).await?;
    let scenes = spawn_blocking(move || scenes(&body, clock::now_ms())).await??;
    Ok(all(&*library.put_scenes(scenes).await?))
}

async fn list(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let view = app.library.view();
    Ok(reply::unchanged(&view.scenes_tag, &request.headers).unwrap_or_else(|| all(&view)))
}

fn all(view: &View) -> Response {
    reply::with_tag(reply::bytes(JSON, view.scenes.clone()), &view.scenes_tag)
}

fn one(status: StatusCode, edited: &EditedScene) -> Result<Response, Problem> {
    Ok(reply::with_tag(reply::json(status, &edited.scene)?, &edited.view.scenes_tag))
}

async fn add(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let (body, _turn) = body(&app, &mut request).await?;
    let (state, view) = (app.hub.state(), library.view());
    let light = Captured { state: &state, patch: &view.patch };
    let edit = SceneEdit::add(&body, light, &ulid::Ulid::generate().into(), clock::now_ms())?;
    one(StatusCode::CREATED, &library.edit_scenes(edit).await?)
}

async fn change(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let (body, _turn) = body(&app, &mut request).await?;
    let edit = SceneEdit::change(request.id(0, "scene")?, &body)?;
    one(StatusCode::OK, &library.edit_scenes(edit).await?)
}

async fn capture(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let library = app.library.expecting(request.expected());
    let body = request.json().await?;
    let (state, view) = (app.hub.state(), library.view());
    let light = Captured { state: &state, patch: &view.patch };
    let edit = SceneEdit::capture(request.id(0, "scene")?, &body, light)?;
    one(StatusCode::OK, &library.edit_scenes(edit).await?)
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let edit = SceneEdit::Delete { id: request.id(0, "scene")? };
    let edited = app.library.expecting(request.expected()).edit_scenes(edit).await?;
    Ok(all(&edited.view))
}

async fn recall(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let order = RecallOrder::from_json(&request.json().await?)?;
    let (id, sender, who) = (request.id(0, "scene")?, rgb::sender(&request), request.who.clone());
    rgb::done(&app, IncomingCommand::Recall(id, order.over()), sender).await?;
    desk::desk(&app.hub.state(), &who)
}

impl From<SceneError> for Problem {
    fn from(fault: SceneError) -> Self {
        match fault {
            SceneError::Edit(gone @ NotEdited::NoScene(_)) => Self::new(StatusCode::NOT_FOUND, gone.to_string()),
            SceneError::Edit(NotEdited::Refused(refusal)) => refusal.into(),
            SceneError::Library(fault) => fault.into(),
        }
    }
}
