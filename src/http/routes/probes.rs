//! `/healthz` and `/readyz`, for watchdogs and for people who look what is wrong.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;

/// A queue that has not been empty for this long is not being served (CONTRACT, section 3).
const BUSY: Duration = Duration::from_secs(1);

/// How long the engine's task may take for an answer: the service level of an apply is 100 ms.
const ENGINE_PATIENCE: Duration = Duration::from_millis(500);

/// Answer of `/healthz`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Healthy", description = "The process and its event loop answer.")]
pub(in super::super) struct Healthy {
    /// Always `ok`.
    status: &'static str,
}

/// Answer of `/readyz`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Ready", description = "Whether the appliance serves, and everything that troubles it.")]
pub(in super::super) struct Ready {
    /// Broker, engine and doors serve.
    ready: bool,
    /// The embedded broker serves.
    mqtt_connected: bool,
    /// Commands that wait for the engine.
    queue_depth: usize,
    /// Every present trouble, also those that the appliance can live with.
    problems: Vec<Trouble>,
}

/// One present trouble.
#[derive(Serialize, JsonSchema)]
struct Trouble {
    /// Kind, for programs.
    code: &'static str,
    /// What is wrong and what to do, for people.
    message: String,
}

pub(super) fn healthz() -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Healthy { status: "ok" })
}

pub(super) async fn readyz(app: &App) -> Result<Response, Problem> {
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
        .map(|(_, code, message)| Trouble { code, message: message.to_owned() })
        .collect();
    app.budget.review();
    let ready = problems.is_empty();
    problems.extend(app.health.problems().into_iter().map(|p| Trouble { code: p.code, message: p.message }));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(status, &Ready { ready, mqtt_connected, queue_depth: app.engine.queue_depth(), problems })
}
