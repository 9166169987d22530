//! `/usb/…`: what is plugged in, and the USB output's widget.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::super::{App, NotOpened};
use super::{Needs, Route, get, post};
use crate::kit::usb::{self, Device};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/usb/devices", "listUsbDevices", Needs::VIEW, &devices)
        .says("The USB serial devices that are plugged in.")
        .gives::<Devices>(200, "By port."),
    post("/usb/refresh", "refreshUsb", Needs::OPERATE, &refresh)
        .says("Searches for the USB output's widget now, and lists what is plugged in.")
        .gives::<Devices>(200, "By port."),
    post("/usb/reconnect", "reconnectUsb", Needs::OPERATE, &reconnect)
        .says("Closes and reopens the USB output's widget.")
        .gives::<Opened>(200, "It is open.")
        .refuses(&[(404, "There is no such device, or the output is switched off."), (502, "It cannot be opened.")]),
];

/// How long opening a widget may take: every adapter that may be one is asked, for 300 ms each.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answer of `/usb/devices`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsbDevices", title = "UsbDevices", description = "The USB serial devices that are plugged in.")]
struct Devices {
    /// By port.
    devices: Vec<Device>,
}

/// Answer of `/usb/reconnect`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Opened", description = "The USB output's widget is open.")]
struct Opened {
    /// Where it was found.
    port: String,
}

async fn devices(_: Arc<App>, _: Request) -> Result<Response, Problem> {
    listed().await
}

async fn listed() -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Devices { devices: usb::devices().await })
}

async fn refresh(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    app.ports.usb.look();
    listed().await
}

async fn reconnect(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    match timeout(PATIENCE, app.ports.usb.reopen()).await {
        Ok(Ok(port)) => reply::json(StatusCode::OK, &Opened { port }),
        Ok(Err(NotOpened::Absent(why))) => Err(Problem::new(StatusCode::NOT_FOUND, why)),
        Ok(Err(NotOpened::Failed(why))) => Err(Problem::new(StatusCode::BAD_GATEWAY, why)),
        Err(_) => {
            Err(Problem::new(StatusCode::BAD_GATEWAY, "the widget's port does not open; unplug it and plug it in"))
        }
    }
}
