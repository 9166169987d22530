//! `/usb/…`: what is plugged in, and the USB output's widget.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;
use warp::http::StatusCode;

use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::{App, NotOpened};
use crate::kit::usb::{self, Device};

/// How long a widget may take to be opened: every adapter that may be one is asked, for 300 ms each.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answer of `/usb/devices`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Devices", description = "The USB serial devices that are plugged in.")]
pub(in super::super) struct Devices {
    /// By port.
    devices: Vec<Device>,
}

/// Answer of `/usb/reconnect`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Opened", description = "The USB output's widget is open.")]
pub(in super::super) struct Opened {
    /// Where it was found.
    port: String,
}

pub(super) async fn devices() -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Devices { devices: usb::devices().await })
}

pub(super) async fn refresh(app: &App) -> Result<Response, Problem> {
    app.ports.usb.look();
    devices().await
}

pub(super) async fn reconnect(app: &App) -> Result<Response, Problem> {
    match timeout(PATIENCE, app.ports.usb.reopen()).await {
        Ok(Ok(port)) => reply::json(StatusCode::OK, &Opened { port }),
        Ok(Err(NotOpened::Absent(why))) => Err(Problem::new(StatusCode::NOT_FOUND, why)),
        Ok(Err(NotOpened::Failed(why))) => Err(Problem::new(StatusCode::BAD_GATEWAY, why)),
        Err(_) => {
            Err(Problem::new(StatusCode::BAD_GATEWAY, "the widget's port does not open; unplug it and plug it in"))
        }
    }
}
