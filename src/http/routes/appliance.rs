//! `/appliance/…`: the appliance's own backup, sealed with a passphrase: what a new card needs so that no lamp must be flashed
//! again.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_DISPOSITION, HeaderValue};
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{APPLIANCE, Request};
use super::route::octets;
use super::{Header, Needs, Route, get, post};
use crate::access::{Access, NotCarried, TakenOver};
use crate::backup::{ApplianceBackup, NotOpened, PASSPHRASE, Passphrase, SEALING_BYTES};
use crate::kit::budget::{Kind, Share};
use crate::kit::clock;
use crate::kit::secret::Secret;
use crate::tls::KeptAuthority;
use crate::wire::{FieldError, Reason, Refusal};

const MEDIA: &str = "application/octet-stream";

/// How long to wait for another one who seals or opens.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/appliance/backup", "getApplianceBackup", Needs::ADMIN.known(), &make)
        .says(
            "Users with their hashes, keys of lamps, panels, the authority with its key, the settings, and imported fixture types, in one file (age), which \
             the passphrase alone opens. Shows and their versions have backups of their own.",
        )
        .header(&SEAL)
        .gives_as(MEDIA, octets, 200, "The file.")
        .refuses(&[(413, TOO_LITTLE), (422, "The passphrase is missing, too short or too long."), BUSY]),
    post("/appliance/restore", "restoreAppliance", Needs::ADMIN.known(), &restore)
        .says(
            "Puts users, panels, the lock and the authority of such a file in the place of those that are here. Whoever is not \
             the same any more is logged out, the one who asks as well: log in again as a user of the file. Fixture types of the file replace those with the same \
             ids; others stay. Settings are in the answer, for `dmxd.toml` on the card; dmxd never writes it.",
        )
        .header(&SEAL)
        .takes_bytes(MEDIA)
        .gives::<RestoredAppliance>(200, "It is in force.")
        .like(r#"{"restored":{"users":12,"panels":2,"authority":true,"locked":true,"fixtureTypes":3},"settings":"[auth]\nmode = \"required\"\n"}"#)
        .refuses(&[
            (409, "There is no admin in it, or no room for its fixture types. Nothing has changed."),
            (413, TOO_LITTLE),
            (422, "The passphrase does not open the file, or it is damaged or of a newer dmxd. Nothing has changed."),
            BUSY,
        ]),
];

const SEAL: Header = Header {
    name: "x-passphrase",
    says: "The passphrase: 12 to 256 characters of ASCII, no space first or last. Never in the address.",
    pattern: "^[!-~][ -~]{10,254}[!-~]$",
};

const TOO_LITTLE: &str = "It takes more memory than this client may have (`limits.memory`).";

const BUSY: (u16, &str) = (503, "Another one is being sealed or opened, or the memory is taken.");

/// A backup of an appliance is in force.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "RestoredAppliance", description = "The backup of an appliance is in force.")]
struct RestoredAppliance {
    restored: RestoredParts,
    /// The text of the settings, with its secrets, for `dmxd.toml` on the card; `null`: there was none.
    settings: Option<String>,
}

/// What was put in the place of what was there.
#[derive(Serialize, JsonSchema)]
struct RestoredParts {
    /// Users, lamps among them.
    users: usize,
    /// Panels.
    panels: usize,
    /// Whether the file had an authority; if not, the present one stays.
    authority: bool,
    /// Whether somebody has locked the appliance in the app, as it was when the backup was made.
    locked: bool,
    /// Imported fixture types of the file.
    #[serde(rename = "fixtureTypes")]
    fixture_types: usize,
}

/// The turn to seal or open, and the memory for it. Held until the work has ended, whether its client still waits or not.
struct Turn(#[expect(dead_code, reason = "held")] (OwnedSemaphorePermit, Share));

async fn turn(app: &App, request: &Request, bytes: usize) -> Result<Turn, Problem> {
    let permit = timeout(PATIENCE, app.sealing.clone().acquire_owned()).await;
    let permit = permit
        .map_err(|_| Problem::unavailable("another backup of the appliance is being sealed or opened; try again"))?
        .map_err(Problem::internal)?;
    let share = app.budget.draw(Kind::Documents, request.peer.addr.ip(), SEALING_BYTES + bytes)?;
    Ok(Turn((permit, share)))
}

fn passphrase(request: &Request) -> Result<Passphrase, Problem> {
    let given = request.headers.get(SEAL.name).and_then(|value| Passphrase::new(value.as_bytes()));
    given.ok_or_else(|| {
        let (fewest, most) = PASSPHRASE;
        let msg = format!("must be a passphrase of {fewest} to {most} characters of ASCII, in this header");
        let fault = FieldError { path: SEAL.name.into(), msg };
        Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }.into()
    })
}

async fn make(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let passphrase = passphrase(&request)?;
    let turn = turn(&app, &request, 4 * app.library.types().imported_bytes()).await?;
    let from = request.peer.addr.ip();
    let house = app.clone();
    let sealed = spawn_blocking(move || {
        let _turn = turn;
        let authority = house.authority.read().map_err(|fault| Problem::unavailable(fault.to_string()))?;
        let types = house.library.types().imported().iter().map(|one| (**one).clone()).collect();
        let access = house.access.export();
        let backup = ApplianceBackup { access, authority, settings: settings(&house)?, types };
        backup.seal(&passphrase, clock::now_ms()).map_err(Problem::internal)
    });
    let mut response = reply::held(MEDIA, &app.budget, from, sealed.await??)?;
    let name = HeaderValue::from_static("attachment; filename=\"dmxd-appliance.age\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    app.access.did(&request.who, "GET /appliance/backup", Some(from));
    Ok(response)
}

/// The text of the settings, if there is a file.
fn settings(app: &App) -> Result<Option<Secret>, Problem> {
    let path = app.settings_file.path();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem::unavailable(format!("reading {}: {error}", path.display()))),
    }
}

async fn restore(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let passphrase = passphrase(&request)?;
    let stored = request.bytes(APPLIANCE).await?;
    let turn = turn(&app, &request, 4 * stored.len()).await?;
    let opened = spawn_blocking(move || (ApplianceBackup::open(&stored, &passphrase), turn)).await?;
    let (backup, turn) = (opened.0?, opened.1);
    let settings = backup.settings.as_ref().map(|text| text.reveal().to_owned());
    let house = app.clone();
    // a task of its own: whoever leaves meanwhile leaves nothing half done
    let work = tokio::spawn(async move {
        let _turn = turn;
        put_in_place(&house, backup).await
    });
    let (TakenOver { users, panels, locked }, authority, fixture_types) = work.await??;
    tracing::warn!(users, panels, authority, locked, fixture_types, by = request.who.name(), "appliance_restored");
    let restored = RestoredParts { users, panels, authority, locked, fixture_types };
    reply::json(StatusCode::OK, &RestoredAppliance { restored, settings })
}

/// Everything is looked at before anything is changed. The authority comes first: its file may fail.
async fn put_in_place(app: &App, backup: ApplianceBackup) -> Result<(TakenOver, bool, usize), Problem> {
    let ApplianceBackup { access, authority, types, .. } = backup;
    Access::would_take_over(&access)?;
    app.library.types().would_take_over(&types)?;
    let has_authority = authority.is_some();
    if let Some(text) = authority {
        let kept = app.authority.clone();
        spawn_blocking(move || {
            KeptAuthority::check(&text).map_err(|_| NotOpened::Damaged)?;
            kept.replace(&text).map_err(|fault| Problem::unavailable(format!("nothing was changed: {fault}")))
        })
        .await??;
    }
    let types = app.library.types().take_over(types).await?;
    Ok((app.access.take_over(access).await?, has_authority, types))
}

impl From<NotOpened> for Problem {
    fn from(fault: NotOpened) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, fault.to_string())
    }
}

impl From<NotCarried> for Problem {
    fn from(fault: NotCarried) -> Self {
        let status = match fault {
            NotCarried::NoAdmin => StatusCode::CONFLICT,
            NotCarried::Impossible => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, fault.to_string())
    }
}
