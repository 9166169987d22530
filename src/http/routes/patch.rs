//! `/patch…`: the fixtures of the active project, their places and groups.

use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::documents::turn_to_read;
use super::{Etag, Needs, Query, Route, delete, get, patch, post, put, refused, rgb};
use crate::dmx::{FLASH, FixtureId, UniverseId};
use crate::intake::{Done, IncomingCommand};
use crate::library::{EditedPatch, PatchError, View};
use crate::wire::{
    FixtureFields, GroupView, LiveFixture, NewFixtures, NewGroup, NotPatched, PatchEdit, PatchView, PatchedFixture,
    live_fixture,
};

/// Most fixtures of one order.
const TOGETHER: u64 = 128;

const JSON: &str = "application/json";

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/patch", "getPatch", Needs::VIEW, &read)
        .says("The patch of the active project: the fixtures, universes and groups of its show.")
        .gives::<PatchView>(200, "All of it; `ETag` names its content.")
        .like(PATCH)
        .etag(Etag::Cached)
        .refuses(&[DAMAGED, LARGE]),
    post("/patch/fixtures", "addFixtures", Needs::EDIT, &add)
        .says(
            "Patches fixtures of one type, one behind the other. What of them rests elsewhere than at 0, and is dark, is laid at rest in \
             the same step. `If-Match` here and below names the content of the patch.",
        )
        .takes::<NewFixtures>()
        .gives::<NewlyPatched>(201, "The new ones; `ETag` is the patch's.")
        .like(ADDED)
        .etag(Etag::Expected)
        .refuses(&[TAKEN, LARGE]),
    get("/patch/fixtures/{id}", "getFixture", Needs::VIEW, &one)
        .says("A fixture, and what it does now, before master and blackout.")
        .gives::<LiveFixture>(200, "The fixture.")
        .like(LIVE)
        .refuses(&[GONE, DAMAGED, LARGE]),
    patch("/patch/fixtures/{id}", "changeFixture", Needs::EDIT, &change)
        .says("Changes the named fields; `null` removes one. A fixture that moves keeps its looks.")
        .takes::<FixtureFields>()
        .gives::<PatchedFixture>(200, "The fixture; `ETag` is the patch's.")
        .like(FIXTURE)
        .etag(Etag::Expected)
        .refuses(&[GONE, TAKEN, LARGE]),
    delete("/patch/fixtures/{id}", "deleteFixture", Needs::EDIT, &remove)
        .says("Takes a fixture out of the patch. Its levels stay, and so do looks that name it.")
        .gives::<PatchView>(200, "The remaining patch.")
        .like(PATCH)
        .etag(Etag::Expected)
        .refuses(&[GONE, DAMAGED, LARGE]),
    post("/patch/fixtures/{id}/flash", "flashFixture", Needs::OPERATE, &flash)
        .says("Shows a fixture to somebody who looks for it: full for two seconds, then exactly as before.")
        .gives::<Flashing>(200, "Until when.")
        .like(r#"{"until":1767225602000}"#)
        .refuses(&[GONE]),
    put("/patch/groups", "replaceGroups", Needs::EDIT, &regroup)
        .says("Replaces the groups, and who is in those that name their `fixtures`.")
        .takes::<Vec<NewGroup>>()
        .gives::<Vec<GroupView>>(200, "All groups; `ETag` is the patch's.")
        .like(r#"[{"id":"front","name":"Front"}]"#)
        .etag(Etag::Expected)
        .refuses(&[DAMAGED, LARGE]),
    get("/patch/free", "findFreePlace", Needs::VIEW, &free)
        .says("The next free place for fixtures of one type, one behind the other.")
        .query(&[
            Query { name: "type", says: "Id of the fixture type; required.", values: &[] },
            Query { name: "mode", says: "Name of its mode; the first if absent.", values: &[] },
            Query { name: "count", says: "How many fixtures: 1 to 128; 1 if absent.", values: &[] },
            Query { name: "universe", says: "The universe to begin with: 0 to 63; 0 if absent.", values: &[] },
        ])
        .gives::<FreePlace>(200, "The place of the first one.")
        .like(r#"{"universe":0,"address":85}"#)
        .refuses(&[
            (409, "There is no such place, or the project's documents are damaged."),
            (422, "There is no such type or mode, or a number is out of range."),
        ]),
];

const DAMAGED: (u16, &str) = (409, "The project's documents are damaged.");

const TAKEN: (u16, &str) = (
    409,
    "Another fixture is in the way, the universe ends there, or the project's documents are damaged or too large.",
);

const GONE: (u16, &str) = (404, "There is no such fixture.");

const LARGE: (u16, &str) =
    (413, "The patch would be shown in more than 16 MiB, or needs more memory than one client may take.");

const PATCH: &str = r#"{"universes":[{"id":"u-0","name":"Universe 0","number":0}],"fixtures":[{"id":"par-1","name":"PAR 1","universeId":"u-0","universe":0,"dmxAddress":1,"channelCount":1,"footprint":[1,1],"fixtureType":"dimmer","type":"dimmer","groups":["front"],"channels":[{"id":"par-1-0","number":1,"name":"Dimmer","value":0,"kind":"intensity"}]}],"groups":[{"id":"front","name":"Front"}]}"#;

const ADDED: &str = r#"{"fixtures":[{"id":"par-1","name":"PAR 1","universeId":"u-0","universe":0,"dmxAddress":1,"channelCount":1,"footprint":[1,1],"fixtureType":"dimmer","type":"dimmer","channels":[{"id":"par-1-0","number":1,"name":"Dimmer","value":0,"kind":"intensity"}]}]}"#;

const FIXTURE: &str = r#"{"id":"par-1","name":"PAR 1","universeId":"u-0","universe":0,"dmxAddress":1,"channelCount":1,"footprint":[1,1],"fixtureType":"dimmer","type":"dimmer","channels":[{"id":"par-1-0","number":1,"name":"Dimmer","value":0,"kind":"intensity"}]}"#;

const LIVE: &str = r#"{"id":"par-1","name":"PAR 1","universeId":"u-0","universe":0,"dmxAddress":1,"channelCount":1,"footprint":[1,1],"fixtureType":"dimmer","type":"dimmer","channels":[{"id":"par-1-0","number":1,"name":"Dimmer","value":0,"kind":"intensity"}],"values":{"intensity":1.0}}"#;

/// Fixtures that were patched.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "NewlyPatched", description = "Fixtures that were patched.")]
struct NewlyPatched {
    /// In their order.
    #[schemars(with = "Vec<PatchedFixture>")]
    fixtures: Vec<Box<RawValue>>,
}

/// A place.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "FreePlace", description = "A place in the patch.")]
struct FreePlace {
    /// Index of the universe.
    #[schemars(range(max = 63))]
    universe: u8,
    /// The first channel.
    #[schemars(range(min = 1, max = 512))]
    address: u16,
}

/// Until when a fixture is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Flashing", description = "Until when a fixture is shown.")]
struct Flashing {
    /// Unix milliseconds.
    until: u64,
}

async fn read(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let view = app.library.view();
    reply::unchanged(&view.patch_tag, &request.headers).map_or_else(|| all(&view), Ok)
}

/// The whole patch. It is made once, for all who ask.
fn all(view: &View) -> Result<Response, Problem> {
    let document = view.shown()?.document().cloned().unwrap_or_default();
    Ok(reply::with_tag(reply::bytes(JSON, document), &view.patch_tag))
}

async fn add(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let edit = PatchEdit::add(&request.json().await?)?;
    let EditedPatch { fixtures, view } = edited(&app, &request, edit).await?;
    let shown = view.shown()?;
    let fixtures = fixtures.iter().filter_map(|id| serde_json::from_slice(&shown.fixture(id)?).ok()).collect();
    Ok(reply::with_tag(reply::json(StatusCode::CREATED, &NewlyPatched { fixtures })?, &view.patch_tag))
}

/// Edits the patch. A large show waits for its turn: it is read as a whole.
async fn edited(app: &App, request: &Request, edit: PatchEdit) -> Result<EditedPatch, Problem> {
    let view = app.library.view();
    let read = vec![view.show.clone(), view.scenes.clone()];
    let _turn = turn_to_read(app, request.peer.addr.ip(), read).await?;
    Ok(app.library.expecting(request.expected()).edit_patch(edit).await?)
}

async fn one(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let id: FixtureId = request.id(0, "fixture")?;
    let (view, state, from) = (app.library.view(), app.hub.state(), request.peer.addr.ip());
    let gone = PatchError::Edit(NotPatched::NoFixture(id.clone()));
    let shown = view.shown()?.fixture(&id).ok_or(gone)?;
    let _turn = turn_to_read(&app, from, vec![shown.clone()]).await?;
    let live = spawn_blocking(move || live_fixture(&shown, &view.patch, &id, &state)).await?;
    reply::json_held(&app.budget, from, &live.map_err(Problem::internal)?)
}

async fn change(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let id: FixtureId = request.id(0, "fixture")?;
    let edit = PatchEdit::change(id.clone(), &request.json().await?)?;
    let view = edited(&app, &request, edit).await?.view;
    let fixture = view.shown()?.fixture(&id).unwrap_or_default();
    Ok(reply::with_tag(reply::bytes(JSON, fixture), &view.patch_tag))
}

async fn remove(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let edit = PatchEdit::Delete { id: request.id(0, "fixture")? };
    all(&edited(&app, &request, edit).await?.view)
}

async fn regroup(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let edit = PatchEdit::groups(&request.json().await?)?;
    let view = edited(&app, &request, edit).await?.view;
    Ok(reply::with_tag(reply::json(StatusCode::OK, &view.shown()?.groups())?, &view.patch_tag))
}

async fn flash(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let id: FixtureId = request.id(0, "fixture")?;
    if app.library.view().rig().fixture(&id).is_none() {
        return Err(PatchError::Edit(NotPatched::NoFixture(id)).into());
    }
    let begun = match rgb::done(&app, IncomingCommand::Flash(id), rgb::sender(&request)).await?.0 {
        Done::Desk(state) => state.ts,
        Done::Applied { .. } | Done::Duplicate => app.hub.state().ts,
    };
    let until = begun.saturating_add(u64::try_from(FLASH.as_millis()).unwrap_or_default());
    reply::json(StatusCode::OK, &Flashing { until })
}

async fn free(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let text =
        |name| request.query(name).map(String::from_utf8).transpose().map_err(|_| refused(name, "must be UTF-8"));
    let of_type = text("type")?.ok_or_else(|| refused("type", "is missing"))?;
    let of_type = of_type.parse().map_err(|wrong| refused("type", format!("{wrong}")))?;
    let count = number(text("count")?, "count", 1, 1..=TOGETHER)?;
    let last = app.library.universes().saturating_sub(1);
    let universe = UniverseId::new(number(text("universe")?, "universe", 0, 0..=last)?);
    let universe = universe.ok_or_else(|| refused("universe", "is not known"))?;
    let (universe, address) = app.library.free_place(of_type, text("mode")?, count, universe).await?;
    reply::json(StatusCode::OK, &FreePlace { universe: universe.index(), address: address.number() })
}

/// A number of the query within a range.
fn number<T>(given: Option<String>, name: &str, absent: T, range: std::ops::RangeInclusive<T>) -> Result<T, Problem>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(given) = given else { return Ok(absent) };
    let read = given.parse().ok().filter(|number| range.contains(number));
    read.ok_or_else(|| refused(name, format!("must be an integer from {} to {}", range.start(), range.end())))
}

impl From<PatchError> for Problem {
    fn from(fault: PatchError) -> Self {
        match fault {
            PatchError::Edit(NotPatched::Refused(refusal)) => refusal.into(),
            PatchError::Edit(gone @ NotPatched::NoFixture(_)) => Self::new(StatusCode::NOT_FOUND, gone.to_string()),
            PatchError::Edit(taken @ NotPatched::Conflict(_)) => Self::new(StatusCode::CONFLICT, taken.to_string()),
            PatchError::Library(fault) => fault.into(),
        }
    }
}
