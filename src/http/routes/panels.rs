//! Panels: pages for guests, which do exactly what they have.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, SMALL};
use super::people::whole;
use super::route::text;
use super::{Needs, Route, delete, get, patch, post};
use crate::access::{Kind, PanelView};
use crate::wire::{NewPanel, PanelEdit};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/panels", "listPanels", Needs::EDIT, &list)
        .says("Every panel, without its address.")
        .gives::<Panels>(200, "Oldest first."),
    post("/panels", "createPanel", Needs::EDIT, &create)
        .says("Makes a page for guests. Its address is its key: whoever has it can do exactly what the panel has.")
        .takes::<NewPanel>()
        .gives::<PanelView>(201, "The panel; `url` only here.")
        .like(PANEL)
        .refuses(&[(409, "There is no room for more.")]),
    get("/panels/{id}", "getPanel", Needs::EDIT, &one)
        .says("A panel, without its address.")
        .gives::<PanelView>(200, "The panel.")
        .like(PANEL),
    patch("/panels/{id}", "changePanel", Needs::EDIT, &change)
        .says("Changes the named fields; `renew` gives it another address.")
        .takes::<PanelEdit>()
        .gives::<PanelView>(200, "The panel; `url` only if it is new.")
        .like(PANEL),
    delete("/panels/{id}", "deletePanel", Needs::EDIT, &remove)
        .says("Deletes a panel; its page ends.")
        .gives_nothing(204, "It is gone."),
    get("/panel/{secret}", "getPanelPage", Needs::OPEN, &page)
        .says("The page of a panel, for guests. Nothing keeps it, and nothing logs its address.")
        .gives_as("text/html", text, 200, "The page.")
        .refuses(&[(404, "The address is no longer valid; a page says so.")]),
];

/// The page, of the app's files.
const PAGE: &str = "/panel.html";

const PANEL: &str = r#"{"id":"01JD0000000000000000000002","name":"Bar","looks":["scene-warm"],"cuelists":[],"master":false,"blackout":"on","onlyWhileOpen":false,"createdAt":1767225600000}"#;

/// All panels.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Panels", description = "Every panel.")]
struct Panels {
    /// Oldest first.
    panels: Vec<PanelView>,
}

async fn list(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Panels { panels: app.access.panels() })
}

async fn one(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &app.access.panel(request.parameter(0))?)
}

async fn create(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let edit = PanelEdit::from_json(&request.bytes(SMALL).await?, true)?;
    let (access, who) = (app.access.clone(), request.who.clone());
    reply::json(StatusCode::CREATED, &whole(async move { access.create_panel(edit, &who).await }).await?)
}

async fn change(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let edit = PanelEdit::from_json(&request.bytes(SMALL).await?, false)?;
    let (access, id, who) = (app.access.clone(), request.parameter(0).to_owned(), request.who.clone());
    reply::json(StatusCode::OK, &whole(async move { access.edit_panel(&id, edit, &who).await }).await?)
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (access, id) = (app.access.clone(), request.parameter(0).to_owned());
    whole(async move { access.delete_panel(&id).await }).await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn page(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let known = app.access.bearer(request.parameter(0).as_bytes());
    let is_panel = known.is_some_and(|who| matches!(who.kind(), Kind::Panel(..)));
    request.headers.remove(IF_NONE_MATCH);
    let mut response = app.assets.answer(PAGE, &request.headers).await?;
    if !is_panel {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response.headers_mut().remove(ETAG);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
