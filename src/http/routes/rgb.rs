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
use super::super::request::{Request, SMALL};
use crate::dmx::Command;
use crate::engine::{Outcome, PATIENCE};

/// How long an accepted command's outcome is waited for. The store writes or gives up writing within 50 ms a batch, within
/// a second on a machine that is short of processor time; only a fault of ours takes longer, and a client must not hang
/// on it: its id makes a second try harmless.
pub(super) const OUTCOME: Duration = Duration::from_secs(10);

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
    let command = Command::from_json(&request.bytes(SMALL).await?)?;
    let cmd_id = command.id.to_string();
    let outcome = timeout(PATIENCE + OUTCOME, app.engine.submit_within(command, PATIENCE))
        .await
        .map_err(|_| Problem::internal("the engine did not say what became of a command"))?;
    reply::json(StatusCode::ACCEPTED, &taken(outcome, cmd_id)?)
}

fn taken(outcome: Outcome, cmd_id: String) -> Result<Taken, Problem> {
    let why = match outcome {
        Outcome::Applied { seq } => return Ok(Taken::Accepted { cmd_id, seq }),
        Outcome::Duplicate => return Ok(Taken::Duplicate { cmd_id }),
        Outcome::Full => "QUEUE_FULL: too many commands wait; try again in a second",
        Outcome::Dropped => "QUEUE_FULL: newer commands took the place of this one; try again in a second",
        Outcome::OtherProject => return Err(Problem::internal("a colour belongs to every project")),
        Outcome::Stopping => return Err(stopping()),
    };
    Err(Problem::unavailable(why))
}

pub(super) fn stopping() -> Problem {
    Problem::unavailable("STOPPING: the appliance is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_503_with_retry_after() {
        for (outcome, word) in
            [(Outcome::Full, "QUEUE_FULL"), (Outcome::Dropped, "QUEUE_FULL"), (Outcome::Stopping, "STOPPING")]
        {
            let Err(problem) = taken(outcome, "x".into()) else { panic!("{outcome:?} was taken") };
            let response = problem.into_response();
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
            let body = super::super::super::testing::body_of(response);
            assert!(String::from_utf8_lossy(&body).contains(word), "{outcome:?}");
        }
    }
}
