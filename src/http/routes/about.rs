//! `GET /about`: what runs here, what it has and where it is reached.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::super::{App, SettingsFile};
use super::{Route, get};

/// The row.
pub(super) static ROWS: &[Route] = &[get("/about", "getAbout", &read)
    .says("What runs here, what of its features is on, and where other machines reach it.")
    .gives::<About>(200, "Addresses as URLs, those that can be dialled from elsewhere.")];

/// What runs here, what it has and where it is reached.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "About", description = "What runs here, what it has and where other machines reach it.")]
struct About {
    /// Of dmxd.
    version: &'static str,
    /// Whether there may be several projects: else `/projects` is 404.
    projects: bool,
    /// Whether backups are made: else `/projects/{id}/backups` and all below it are 404.
    backups: bool,
    /// Where its settings are.
    settings: Settings,
    /// What this machine is called on its network (mDNS), `dmx-2.local` when another one has taken `dmx.local`; `null`
    /// where nobody says so.
    name: Option<String>,
    /// Of the app, as URLs; of this machine's addresses those that another one can dial.
    addresses: Vec<String>,
    /// Of the embedded broker, likewise.
    mqtt: Vec<String>,
    /// Whether the request's key is one of this appliance's. While none is needed every request is answered, so this alone
    /// tells.
    #[serde(rename = "keyKnown")]
    key_known: bool,
}

/// Where the settings are.
#[derive(Serialize, JsonSchema)]
#[schemars(
    title = "Settings",
    description = "Where people write the appliance's settings; a restart puts them in force."
)]
struct Settings {
    /// `dmxd.toml` on the card of the image, else the path of `appliance.toml`, which need not exist.
    file: String,
    /// Whether it is on the card's first partition, which any computer can open.
    #[serde(rename = "onCard")]
    on_card: bool,
}

async fn read(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let addresses = (app.addresses)();
    let about = About {
        version: env!("CARGO_PKG_VERSION"),
        projects: app.library.several(),
        backups: app.backups.is_on(),
        settings: Settings { file: app.settings_file.name(), on_card: app.settings_file == SettingsFile::OnCard },
        name: (app.name)().await,
        addresses: addresses.web,
        mqtt: addresses.mqtt,
        key_known: request.key().is_some_and(|key| app.gate.knows(&key)),
    };
    reply::json(StatusCode::OK, &about)
}
