//! The only place that makes `application/problem+json` (RFC 9457). Of our own faults the client gets an id, and the log the
//! cause.

use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinError;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use crate::kit::budget::Full;
use crate::wire::{FieldError, Reason, Refusal, Role};

/// Media type of every error body.
pub(super) const MEDIA: &str = "application/problem+json";

/// An answer other than success.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    needs: Option<Role>,
    /// For the log only.
    cause: Option<String>,
}

/// `application/problem+json`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Problem", title = "Problem", description = "Why a request was not done (RFC 9457).")]
pub(super) struct Body<'a> {
    /// Always `about:blank`: the status says the kind (RFC 9457, 4.2.1).
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what would be right.
    detail: &'a str,
    /// Every fault of a refused body.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    errors: &'a [FieldError],
    /// With 403: the role that may do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Role>,
    /// With a status from 500: find this id in the appliance's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), headers: Vec::new(), needs: None, cause: None }
    }

    /// Somebody is known, and may not do that.
    pub(super) fn needs(role: Role) -> Self {
        let detail = format!("that needs the role {role}");
        Self { needs: Some(role), ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    /// A fault of ours: `cause` goes to the log only.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        let mut problem =
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the appliance failed to answer; its log says why");
        problem.cause = Some(cause.to_string());
        problem
    }

    /// Not possible now; the client may repeat the request in a second.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer.
    pub(super) fn into_response(self) -> Response {
        let correlation_id = self.status.is_server_error().then(|| self.log());
        let body = Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            needs: self.needs,
            correlation_id,
        };
        // neither maps with foreign keys nor a failing Serialize, so there is no error
        let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }

    fn log(&self) -> String {
        let id = ulid::Ulid::generate().to_string();
        let status = self.status.as_u16();
        match &self.cause {
            Some(cause) => tracing::error!(status, correlationId = %id, %cause, "http_error"),
            None => tracing::warn!(status, correlationId = %id, cause = %self.detail, "http_error"),
        }
        id
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        Self::internal(error)
    }
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        match full.never {
            true => Self::new(StatusCode::PAYLOAD_TOO_LARGE, full.to_string()),
            false => Self::unavailable(full.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal.reason {
            Reason::NotJson => Self::new(StatusCode::BAD_REQUEST, detail),
            Reason::ValidationFailed | Reason::PatchTooLarge | Reason::NotSupported => {
                let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
                problem.errors = refusal.errors;
                problem
            }
            Reason::QueueFull | Reason::Stopping | Reason::RateLimited => {
                Self::unavailable(format!("{}: {detail}", refusal.reason.code()))
            }
            Reason::Stale | Reason::Late => {
                Self::new(StatusCode::CONFLICT, format!("{}: {detail}", refusal.reason.code()))
            }
            Reason::OtherProject => Self::new(StatusCode::CONFLICT, detail),
            Reason::Forbidden(role) => Self::needs(role),
            Reason::NoScene => Self::new(StatusCode::NOT_FOUND, detail),
            Reason::Internal => Self::internal(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::body_of;
    use proptest::prelude::*;

    fn reason() -> impl Strategy<Value = Reason> {
        prop_oneof![
            Just(Reason::NotJson),
            Just(Reason::ValidationFailed),
            Just(Reason::QueueFull),
            Just(Reason::Stopping)
        ]
    }

    proptest! {
        #[test]
        fn every_refusal_becomes_a_problem_that_its_schema_knows(
            reason in reason(),
            errors in prop::collection::vec((".{0,20}", ".{0,40}"), 1..4),
        ) {
            let errors = errors.into_iter().map(|(path, msg)| FieldError { path, msg }).collect();
            let response = Problem::from(Refusal { reason, cmd_id: None, errors }).into_response();
            prop_assert_eq!(&response.headers()[CONTENT_TYPE], MEDIA);
            let status = response.status().as_u16();
            prop_assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
            let body: serde_json::Value = serde_json::from_slice(&body_of(response)).unwrap();
            let schema = schemars::schema_for!(Body<'static>);
            prop_assert!(jsonschema::is_valid(schema.as_value(), &body), "{}", body);
            prop_assert_eq!(body["status"].as_u64(), Some(u64::from(status)));
            prop_assert_eq!(body["errors"].is_array(), status == 422);
            prop_assert_eq!(body["correlationId"].is_string(), status >= 500);
        }
    }

    #[test]
    fn the_cause_of_our_own_fault_is_not_shown() {
        let body = body_of(Problem::internal("the registry at 0x1234 burnt").into_response());
        assert!(!String::from_utf8(body.to_vec()).unwrap().contains("burnt"));
    }
}
