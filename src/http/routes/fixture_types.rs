//! `/fixture-types`: what lamps of one make can do. Built-in ones stay; others come as files, and go.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::spawn_blocking;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{DOCUMENT, Request};
use super::documents::turn;
use super::{Needs, Route, delete, get, post};
use crate::dmx::TypeId;
use crate::fixtures::{self, NotKept, Unreadable};
use crate::kit::budget::Kind;
use crate::wire::{FixtureTypeLine, FixtureTypeView};

const MEDIA: &str = "application/octet-stream";

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/fixture-types", "listFixtureTypes", Needs::VIEW, &list)
        .says("Every fixture type with its modes: built-in ones, then imported ones.")
        .gives::<FixtureTypes>(200, "Without channels.")
        .like(LIST),
    post("/fixture-types", "importFixtureType", Needs::EDIT, &import)
        .says(
            "Takes a fixture definition of QLC+ (`.qxf`) or a GDTF file (`.gdtf`), of at most 8 MiB; its content says which it is. \
             One of the same maker and name replaces the earlier one, unless a fixture has a mode of it that would change.",
        )
        .takes_bytes(MEDIA)
        .gives::<FixtureTypeView>(201, "The type, with the modes and kinds that were found.")
        .like(TYPE)
        .refuses(&[
            (409, "There is no room for more imported types, or a fixture of a project has a mode that this one lacks or changes."),
            (413, "It is larger than 8 MiB, or reading it takes more memory than this client may have."),
            (422, "What cannot be read."),
            (503, "Others are working on large documents."),
        ]),
    get("/fixture-types/{id}", "getFixtureType", Needs::VIEW, &one)
        .says("A fixture type with its channels.")
        .gives::<FixtureTypeView>(200, "The type.")
        .like(TYPE),
    delete("/fixture-types/{id}", "deleteFixtureType", Needs::EDIT, &remove)
        .says("Deletes an imported fixture type that no fixture of any project has.")
        .gives_nothing(204, "It is gone.")
        .refuses(&[(409, "It is built in, or in use.")]),
];

const LIST: &str = r#"{"types":[{"id":"dimmer","manufacturer":"","name":"Dimmer","builtIn":true,"modes":[{"name":"8 bit","channelCount":1,"kinds":["intensity"]}]}]}"#;

const TYPE: &str = r#"{"id":"acme-spot-1","manufacturer":"Acme","name":"Spot 1","builtIn":false,"modes":[{"name":"3 channels","channels":["Pan","Pan fine","Dimmer"],"parameters":[{"kind":"pan","channels":[1,2],"default":32768},{"kind":"intensity","channels":[3],"default":0}]}]}"#;

/// All fixture types.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "FixtureTypes", description = "Every fixture type.")]
struct FixtureTypes {
    /// Built-in ones first.
    types: Vec<FixtureTypeLine>,
}

async fn list(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let types = app.library.types();
    let all = types.all();
    let lines = all.iter().map(|one| FixtureTypeLine::of(one, types.is_built_in(&one.id))).collect();
    reply::json_held(&app.budget, request.peer.addr.ip(), &FixtureTypes { types: lines })
}

async fn one(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let (types, id) = (app.library.types(), request.parameter(0));
    let found = id.parse().ok().and_then(|id| types.get(&id));
    let found = found.ok_or_else(|| NotKept::Unknown(id.to_owned()))?;
    let view = FixtureTypeView::of(&found, types.is_built_in(&found.id));
    reply::json_held(&app.budget, request.peer.addr.ip(), &view)
}

async fn import(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let file = request.bytes(DOCUMENT).await?;
    let from = request.peer.addr.ip();
    let read = {
        let _turn = turn(&app).await?;
        let share = app.budget.draw(Kind::Documents, from, fixtures::work_bytes(&file))?;
        spawn_blocking(move || {
            let read = fixtures::read(&file);
            drop((file, share));
            read
        })
        .await??
    };
    let added = {
        let _turn = turn(&app).await?;
        app.library.add_type(read).await??
    };
    tracing::info!(id = %added.id, by = request.who.name(), "fixture_type_imported");
    let mut response = reply::json_held(&app.budget, from, &FixtureTypeView::of(&added, false))?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let id = request.parameter(0);
    let known = id.parse().ok().filter(|id| app.library.types().get(id).is_some());
    let known: TypeId = known.ok_or_else(|| NotKept::Unknown(id.to_owned()))?;
    let _turn = turn(&app).await?;
    app.library.remove_type(known).await??;
    tracing::info!(id, by = request.who.name(), "fixture_type_removed");
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

impl From<NotKept> for Problem {
    fn from(fault: NotKept) -> Self {
        let status = match fault {
            NotKept::Unknown(_) => StatusCode::NOT_FOUND,
            NotKept::BuiltIn(_) | NotKept::InUse(..) | NotKept::Full => StatusCode::CONFLICT,
            NotKept::NotAType(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, fault.to_string())
    }
}

impl From<Unreadable> for Problem {
    fn from(fault: Unreadable) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, fault.to_string())
    }
}
