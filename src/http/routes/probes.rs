//! `/healthz` and `/readyz`, for watchdogs and for people who look for what is wrong.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Needs, Route, get};
use crate::kit::health;
use crate::wire::Role;

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/healthz", "getHealth", Needs::OPEN, &healthz)
        .says("Whether the process and its event loop answer.")
        .gives::<Healthy>(200, "They do."),
    get("/readyz", "getReadiness", Needs::OPEN, &readyz)
        .knows_who()
        .says("Whether the appliance serves, and all present problems; without a role their codes alone.")
        .gives::<Ready>(200, "It serves; problems it can live with are listed.")
        .like(r#"{"ready":true,"mqttConnected":true,"queueDepth":0,"problems":[]}"#)
        .or_gives::<Ready>(503, "Broker, engine or doors do not serve."),
];

/// A queue that has not been empty for this long is not being served (CONTRACT, section 3).
const BUSY: Duration = Duration::from_secs(1);

/// How long the engine's task may take to answer: the target for an apply is 100 ms.
const ENGINE_PATIENCE: Duration = Duration::from_millis(500);

/// Answer of `/healthz`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Healthy", description = "The process and its event loop answer.")]
struct Healthy {
    /// Always `ok`.
    status: &'static str,
}

/// Answer of `/readyz`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Ready", description = "Whether the appliance serves, and all present problems.")]
struct Ready {
    /// Broker, engine and doors serve.
    ready: bool,
    /// The embedded broker serves.
    mqtt_connected: bool,
    /// Commands that wait for the engine.
    queue_depth: usize,
    /// Every present problem, including those that the appliance can live with.
    problems: Vec<health::Problem>,
}

async fn healthz(_: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Healthy { status: "ok" })
}

async fn readyz(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let mqtt_connected = (app.broker_serves)();
    let fatal = [
        (!mqtt_connected, "BROKER_DOWN", "the embedded MQTT broker does not serve; the log says why"),
        (
            !app.engine.answers(ENGINE_PATIENCE).await,
            "ENGINE_SILENT",
            "the engine does not answer; the log says why, a restart helps",
        ),
        (app.engine.busy_for() >= BUSY, "ENGINE_BUSY", "commands come faster than they are applied; find who floods"),
        (app.stop.is_requested(), "STOPPING", "the appliance is stopping"),
    ];
    let mut problems: Vec<_> = fatal
        .into_iter()
        .filter(|(present, ..)| *present)
        .map(|(_, code, message)| health::Problem { code, message: message.to_owned() })
        .collect();
    app.budget.review();
    let ready = problems.is_empty();
    problems.extend(app.health.problems());
    if !request.who.rights().cover(Role::View) {
        // what is wrong names devices, files and addresses
        problems.iter_mut().for_each(|problem| problem.message.clear());
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(status, &Ready { ready, mqtt_connected, queue_depth: app.engine.queue_depth(), problems })
}
