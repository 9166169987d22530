//! What a bucket's errors mean to an operator, and which of them pass by themselves. No answer's body gets into a message,
//! since it may contain a key.

use std::error::Error;
use std::time::Duration;

use s3::error::S3Error;

use crate::backup::error::{BackupError, BackupErrorKind};

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum BucketError {
    /// It answered with this status and S3's own code, if there was one.
    Answer { status: u16, code: String },
    /// It redirected us elsewhere.
    Redirect { status: u16, to: String },
    /// A web page answered.
    Page { status: u16 },
    /// It did not answer for this long.
    Silent(Duration),
    /// The connection failed or was cut.
    Cut(String),
    /// A bug of ours, or an answer that is not S3's.
    Odd(String),
}

impl From<S3Error> for BucketError {
    fn from(error: S3Error) -> Self {
        match error {
            S3Error::Reqwest(error) => error.into(),
            other => Self::Odd(other.to_string()),
        }
    }
}

impl From<reqwest::Error> for BucketError {
    fn from(error: reqwest::Error) -> Self {
        let (cut, error) = (!error.is_builder(), error.without_url());
        let mut innermost: &dyn Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        if cut { Self::Cut(innermost.to_string()) } else { Self::Odd(innermost.to_string()) }
    }
}

/// `<Code>` of an answer's body: letters only.
pub(super) fn code(body: &str) -> String {
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    if code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()) { code.to_owned() } else { String::new() }
}

impl BucketError {
    /// Whether another attempt may succeed.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Answer { status, code } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504) || code == "RequestTimeout" || code == "SlowDown"
            }
            Self::Page { status } => *status >= 500,
            Self::Silent(_) | Self::Cut(_) => true,
            Self::Redirect { .. } | Self::Odd(_) => false,
        }
    }

    /// Whether it means that there is no such object. Without a body in the answer, it may also be the bucket that is
    /// missing.
    pub(super) fn is_missing_key(&self) -> bool {
        matches!(self, Self::Answer { status: 404, code } if code.is_empty() || code == "NoSuchKey" || code == "NotFound")
    }

    /// In an operator's words. `place` is the bucket and its endpoint; `keys`: whether there are any.
    pub(super) fn fault(self, doing: &str, place: &str, keys: bool) -> BackupError {
        let kind = match &self {
            Self::Answer { status, .. } | Self::Page { status } if *status < 500 => BackupErrorKind::Refused,
            Self::Odd(_) | Self::Redirect { .. } => BackupErrorKind::Refused,
            Self::Answer { .. } | Self::Page { .. } | Self::Silent(_) | Self::Cut(_) => BackupErrorKind::Unreachable,
        };
        let told = match self {
            Self::Answer { status, code } => meaning(status, &code, keys),
            Self::Redirect { status, to } => format!(
                "it sends us on to {to} (status {status}), where nothing of this goes: is that the login page of this \
                 network? Log in to the network, or correct backup.s3_endpoint"
            ),
            Self::Page { status } => format!(
                "a web page answers there (status {status}), and no S3: is that the login page of this network? Log in \
                 to the network, or correct backup.s3_endpoint"
            ),
            Self::Silent(limit) => {
                format!("no answer for {} s; is the network there, is it the right endpoint?", limit.as_secs())
            }
            Self::Cut(why) => format!("{why}; is the network there, is it the right endpoint (backup.s3_endpoint)?"),
            Self::Odd(why) => format!("{why}; check backup.s3_endpoint and the other settings of backup"),
        };
        BackupError::new(kind, format!("{doing} {place}: {told}"))
    }
}

fn meaning(status: u16, code: &str, keys: bool) -> String {
    let told = match (status, code) {
        (_, "InvalidAccessKeyId") => "the access key is not known there; check backup.s3_access_key",
        (_, "SignatureDoesNotMatch") => "the secret key is wrong; check backup.s3_secret_key",
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            "the session token is wrong or has expired; renew backup.s3_session_token with its keys"
        }
        (_, "NoSuchBucket") => "there is no such bucket; make it, or name another one in backup.s3_bucket",
        (_, "RequestTimeTooSkewed" | "RequestExpired") => {
            "the clock of this appliance is wrong; dmxd retries, which will work once the time is right"
        }
        (301 | 307, _)
        | (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            "the bucket is in another region; set backup.s3_region to it"
        }
        (403, _) if !keys => "access without keys is denied; set backup.s3_access_key and backup.s3_secret_key",
        (403, _) => "access is denied; let that key read, write, list and delete below the prefix",
        (404, _) => "it is not there; check backup.s3_bucket and backup.s3_endpoint",
        (408 | 429 | 503, _) | (_, "SlowDown") => "it is too busy; dmxd retries later",
        (500.., _) => "it reports an internal error; dmxd retries later",
        _ => "it refused; look into its own log",
    };
    if code.is_empty() { format!("{told} (status {status})") } else { format!("{told} ({status} {code})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_body_stays_out_of_messages() {
        let body = "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>geheim</AWSAccessKeyId></Error>";
        let trouble = BucketError::Answer { status: 403, code: code(body) };
        assert!(!trouble.may_pass());
        let fault = trouble.fault("storing a backup in", "bucket b", true);
        assert_eq!(fault.kind, BackupErrorKind::Refused);
        assert_eq!(
            fault.message,
            "storing a backup in bucket b: the access key is not known there; check backup.s3_access_key (403 InvalidAccessKeyId)"
        );
        assert_eq!(code("<Code>not a code</Code>"), "");
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let answer = |status, code: &str| BucketError::Answer { status, code: code.into() };
        for trouble in
            [answer(500, ""), answer(503, "SlowDown"), BucketError::Cut(String::new()), answer(400, "RequestTimeout")]
        {
            assert!(trouble.may_pass(), "{trouble:?}");
        }
        for trouble in [answer(403, ""), answer(404, "NoSuchBucket"), BucketError::Odd(String::new()), answer(501, "")]
        {
            assert!(!trouble.may_pass(), "{trouble:?}");
        }
        assert!(answer(404, "").is_missing_key() && !answer(404, "NoSuchBucket").is_missing_key());
    }
}
