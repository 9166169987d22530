//! `/rgb`: the lamp over REST.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, timeout};
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::{Request, SMALL};
use super::{Needs, Route, get, post};
use crate::engine::PATIENCE;
use crate::intake::{self, Client, Done, IncomingCommand, Sender};
use crate::wire::{Refusal, RgbCommand, RgbState};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/rgb", "getLamp", Needs::VIEW.or_device(), &read)
        .says("The colour of the lamp.")
        .gives::<RgbState>(200, "The state.")
        .like(r#"{"schema":"demo.rgb.state.v1","r":255,"g":80,"b":0,"seq":42,"updatedBy":"me","ts":1767225600000}"#),
    post("/rgb", "setLamp", Needs::OPERATE.or_device(), &change)
        .says("Changes the colour of the lamp. Any content type is read as JSON, as the predecessor did.")
        .takes::<RgbCommand>()
        .gives::<CommandResult>(202, "The command was accepted, or its id was seen before.")
        .like(r#"{"status":"accepted","cmdId":"01JD0000000000000000000001","seq":43}"#)
        .refuses(&[(409, "`STALE`: by its `ts` it is older than what this client has changed since.")]),
];

/// How long to wait for an accepted command's outcome. The store writes or gives up writing within 50 ms per batch, or within a
/// second if the machine is short of processor time; only a bug takes longer, and a client must not hang on that: its id makes
/// a second attempt harmless.
const OUTCOME: Duration = Duration::from_secs(10);

/// Answer to a command.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "status", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[schemars(title = "CommandResult", description = "The outcome of a command.")]
enum CommandResult {
    /// It changed the light.
    #[schemars(title = "Accepted")]
    Accepted {
        /// The command's id, in capital letters.
        cmd_id: String,
        /// Number of the change.
        seq: u64,
    },
    /// Its id was seen before; nothing happened.
    #[schemars(title = "Duplicate")]
    Duplicate {
        /// The command's id, in capital letters.
        cmd_id: String,
    },
}

async fn read(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &RgbState::light(&app.hub.state()))
}

async fn change(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let body = request.bytes(SMALL).await?;
    let (done, cmd_id) = done(&app, IncomingCommand::Lamp(&body), sender(&request)).await?;
    let result = match done {
        Done::Applied { seq } => CommandResult::Accepted { cmd_id, seq },
        Done::Duplicate | Done::Desk(_) => CommandResult::Duplicate { cmd_id },
    };
    reply::json(StatusCode::ACCEPTED, &result)
}

/// The client that sent a request.
pub(super) fn sender(request: &Request) -> Sender {
    Sender::new(Client::Rest(request.peer.addr.ip()), request.who.clone())
}

/// Hands in what a request asks for, and waits for the outcome; also gives the command's id.
pub(super) async fn done(app: &App, command: IncomingCommand<'_>, sender: Sender) -> Result<(Done, String), Problem> {
    let mut taken = take(app, command, sender).await?;
    let done = outcome(&mut taken).await??;
    Ok((done, taken.id().to_owned()))
}

/// Hands in what a request asks for.
pub(super) async fn take(
    app: &App,
    command: IncomingCommand<'_>,
    sender: Sender,
) -> Result<intake::PendingOutcome, Refusal> {
    if app.stop.is_requested() {
        return Err(intake::stopping());
    }
    app.intake.take_until(command, &sender, Instant::now() + PATIENCE).await
}

/// Waits for the outcome.
pub(super) async fn outcome(taken: &mut intake::PendingOutcome) -> Result<Result<Done, Refusal>, Problem> {
    timeout(OUTCOME, taken.done())
        .await
        .map_err(|_| Problem::internal("the engine did not say what became of a command"))
}
