//! The tablet app's files: inside the program, or from `http.ui_dir` while somebody works on them.

mod coding;
mod folder;
mod inside;
mod kind;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::spawn_blocking;
use warp::http::header::{CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use super::problem::Problem;
use super::reply;
use crate::kit::fingerprint::fingerprint;

/// Where the app comes from.
pub(super) enum Assets {
    /// The program itself.
    Inside,
    /// This folder, read anew for each request.
    Folder(PathBuf),
}

/// What a service worker keeps for when the appliance is away.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Shell", description = "The files of the app and a version that changes when one of them does.")]
pub(super) struct Shell {
    /// Of all files together, including those not listed.
    version: String,
    /// Addresses. The worker itself is not listed: it must come from the appliance each time.
    files: Vec<String>,
}

impl Assets {
    pub(super) fn new(ui_dir: Option<PathBuf>) -> Self {
        ui_dir.map_or(Self::Inside, Self::Folder)
    }

    /// Whether the app has a file at an address.
    pub(super) async fn has(&self, address: &str) -> bool {
        match self {
            Self::Inside => inside::has(address),
            Self::Folder(root) => {
                let (root, address) = (root.clone(), address.to_owned());
                spawn_blocking(move || folder::has(&root, &address)).await.unwrap_or_default()
            }
        }
    }

    /// All files.
    pub(super) async fn shell(&self) -> Result<Shell, Problem> {
        match self {
            Self::Inside => Ok(Shell::of(inside::all())),
            Self::Folder(root) => {
                let root = root.clone();
                let all = spawn_blocking(move || folder::all(&root)).await?.map_err(Problem::internal)?;
                Ok(Shell::of(all.iter().map(|(address, bytes)| (address.as_str(), &bytes[..]))))
            }
        }
    }

    /// A file of the app, with the headers that keep other pages out.
    pub(super) async fn answer(&self, address: &str, request: &HeaderMap) -> Result<Response, Problem> {
        let mut response = match self {
            Self::Inside => inside::answer(address, request)?,
            Self::Folder(root) => {
                let (root, address) = (root.clone(), address.to_owned());
                let read = spawn_blocking(move || folder::read(&root, &address)).await?;
                let (media, bytes) = read.map_err(Problem::internal)?.ok_or_else(missing)?;
                reply::bytes(media, bytes)
            }
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy(request));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Ok(response)
    }
}

impl Shell {
    fn of<'a>(all: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let (mut files, mut prints) = (Vec::new(), String::new());
        for (address, bytes) in all {
            prints += &format!("{address} {}\n", fingerprint([bytes]));
            if address != WORKER {
                files.push(address.to_owned());
            }
        }
        Self { version: fingerprint([prints.as_bytes()]), files }
    }
}

/// The service worker's address, which decides which requests it may answer.
const WORKER: &str = "/sw.js";

fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such file")
}

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The policy, with the appliance's own WebSocket by name: for Safari before 15.4, 'self' means http only.
fn policy(request: &HeaderMap) -> HeaderValue {
    let host = request.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| is_plain(host));
    let named = host
        .and_then(|host| HeaderValue::try_from(format!("{POLICY}; connect-src 'self' ws://{host} wss://{host}")).ok());
    named.unwrap_or(HeaderValue::from_static(POLICY))
}

/// A name or IPv4 address and perhaps a port: nothing that could end a source or a directive. CSP has no form for IPv6.
fn is_plain(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'))
}
