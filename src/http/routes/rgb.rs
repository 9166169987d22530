//! `/rgb`: the lamp over REST.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;
use warp::http::StatusCode;

use super::super::App;
use super::super::dispatch::Response;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use crate::dmx::Command;
use crate::engine::Outcome;

/// How long a command waits for room in the queue (CONTRACT, section 1).
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an accepted command's outcome is waited for. The store writes or gives up writing within 50 ms a batch;
/// only a fault of ours takes longer, and a client must not hang on it: its id makes a second try harmless.
const OUTCOME: Duration = Duration::from_secs(10);

/// Answer to a command.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[schemars(title = "Taken", description = "What became of a command.")]
pub(in super::super) enum Taken {
    /// It changed the light.
    Accepted {
        /// The command's id, in capital letters.
        cmd_id: String,
        /// Number of the change.
        seq: u64,
    },
    /// Its id was seen before; nothing happened.
    Duplicate {
        /// The command's id, in capital letters.
        cmd_id: String,
    },
}

pub(super) fn read(app: &App) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &app.hub.state().document())
}

pub(super) async fn change(app: &App, mut request: Request) -> Result<Response, Problem> {
    if app.stop.is_requested() {
        return Err(stopping());
    }
    let command = Command::from_json(&request.bytes().await?)?;
    let cmd_id = command.id.to_string();
    let outcome = timeout(PATIENCE + OUTCOME, app.engine.submit_within(command, PATIENCE))
        .await
        .map_err(|_| Problem::internal("the engine did not say what became of a command"))?;
    let taken = match outcome {
        Outcome::Applied { seq } => Taken::Accepted { cmd_id, seq },
        Outcome::Duplicate => Taken::Duplicate { cmd_id },
        Outcome::Full => return Err(Problem::unavailable("QUEUE_FULL: too many commands wait; try again in a second")),
        Outcome::Dropped => {
            return Err(Problem::unavailable(
                "QUEUE_FULL: newer commands took the place of this one; try again in a second",
            ));
        }
        Outcome::Stopping => return Err(stopping()),
    };
    reply::json(StatusCode::ACCEPTED, &taken)
}

fn stopping() -> Problem {
    Problem::unavailable("STOPPING: the appliance is stopping")
}
