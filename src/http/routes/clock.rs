//! `/clock`: what time it is, which a person may say on a box without a time server.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::super::App;
use super::super::problem::Problem;
use super::super::reply;
use super::super::request::Request;
use super::{Needs, Route, get, post};
use crate::time::{NotTold, Reading, Source};
use crate::wire::{ClockOrder, FieldError, Reason, Refusal};

/// The rows.
pub(super) static ROWS: &[Route] = &[
    get("/clock", "getClock", Needs::VIEW, &read)
        .says("What time it is here, and who says so.")
        .gives::<Clock>(200, "Now.")
        .like(CLOCK),
    post("/clock", "tellClock", Needs::EDIT, &tell)
        .says(
            "Tells the time to a box without a time server: for dates and certificates. It is kept over restarts, which do \
             not go back before it, and ends once a time server answers.",
        )
        .takes::<ClockOrder>()
        .gives::<Clock>(200, "That is the time now.")
        .like(CLOCK)
        .refuses(&[(409, "A time server has set the clock.")]),
];

const CLOCK: &str = r#"{"now":1798761600000,"sure":true,"source":"person"}"#;

/// What time it is.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Clock", description = "What time it is, and who says so.")]
struct Clock {
    /// Unix milliseconds.
    now: u64,
    /// Whether somebody who knows has said so since dmxd started; otherwise a tablet may offer its own time.
    sure: bool,
    /// Who says so: a time server, a person, or the machine's own clock alone.
    source: Says,
}

/// Who says what time it is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Says {
    Network,
    Person,
    Unknown,
}

impl From<Reading> for Clock {
    fn from(Reading { now_ms, is_sure, source }: Reading) -> Self {
        let source = match source {
            Source::Network => Says::Network,
            Source::Person => Says::Person,
            Source::Unknown => Says::Unknown,
        };
        Self { now: now_ms, sure: is_sure, source }
    }
}

async fn read(app: Arc<App>, _: Request) -> Result<Response, Problem> {
    reply::json(StatusCode::OK, &Clock::from(app.time.read()))
}

async fn tell(app: Arc<App>, mut request: Request) -> Result<Response, Problem> {
    let ClockOrder { now } = ClockOrder::from_json(&request.json().await?)?;
    let reading = app.time.tell(now).await?;
    tracing::info!(now, by = request.who.name(), "clock_told");
    reply::json(StatusCode::OK, &Clock::from(reading))
}

impl From<NotTold> for Problem {
    fn from(fault: NotTold) -> Self {
        match fault {
            NotTold::Network => Self::new(StatusCode::CONFLICT, fault.to_string()),
            NotTold::Impossible => {
                let fault = FieldError { path: "/now".into(), msg: fault.to_string() };
                Refusal { errors: vec![fault], ..Refusal::whole(Reason::ValidationFailed, "") }.into()
            }
        }
    }
}
