//! `GET /about`: what runs here, its features, and the addresses it has.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::auth::is_known;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::super::{App, SettingsFile};
use super::{Needs, Route, get};

/// The row.
pub(super) static ROWS: &[Route] = &[get("/about", "getAbout", Needs::VIEW, &read)
    .says("What runs here, which of its features are on, and the addresses for other machines.")
    .gives::<About>(200, "Addresses as URLs, those that can be dialled from elsewhere.")];

/// What runs here, its features, and the addresses for other machines.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "About", description = "What runs here, its features, and the addresses for other machines.")]
struct About {
    /// Of dmxd.
    version: &'static str,
    /// Whether there may be several projects; if not, `/projects` is 404.
    projects: bool,
    /// Whether backups are on; if not, `/projects/{id}/backups` and everything below it are 404.
    backups: bool,
    /// Where people write settings.
    settings: Settings,
    /// The name of this machine on its network (mDNS), `dmx-2.local` if another machine has `dmx.local`; `null` if it has
    /// none.
    name: Option<String>,
    /// URLs of the app, with those addresses that other machines can dial.
    addresses: Vec<String>,
    /// Of the embedded broker, likewise.
    mqtt: Vec<String>,
    /// Whether the request's key is one of this appliance's. While none is required every request succeeds, so only this
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
    /// `dmxd.toml` on the card of the image, otherwise the path of `appliance.toml`, which need not exist.
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
        settings: Settings {
            file: app.settings_file.name(),
            on_card: matches!(app.settings_file, SettingsFile::OnCard(_)),
        },
        name: (app.name)().await,
        addresses: addresses.web,
        mqtt: addresses.mqtt,
        key_known: is_known(&request.who),
    };
    reply::json(StatusCode::OK, &about)
}
