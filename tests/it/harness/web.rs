//! REST through another project's HTTP client.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

use super::patiently;

/// One complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("a JSON body ({e}): {self:?}"))
    }

    /// A header as text; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a plain header"))
    }

    /// Checks that this is an RFC 9457 problem with this status, and returns it.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {problem}");
        }
        problem
    }
}

/// A client of one appliance.
#[derive(Clone)]
pub struct Web {
    base: String,
    client: reqwest::Client,
}

impl Web {
    /// Without proxies: whatever the developer's environment says, this is the loopback.
    pub fn new(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base: format!("http://{address}"), client }
    }

    /// A request to be added to.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = patiently("an HTTP answer", request.send()).await.expect("an HTTP answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = patiently("an HTTP body", answer.text()).await.expect("an HTTP body");
        Answer { status, headers, text }
    }

    /// Sends a request to an appliance that may be killed meanwhile; `None` if no whole answer came.
    pub async fn offer(&self, request: RequestBuilder) -> Option<Answer> {
        patiently("an HTTP answer or the end of the connection", async {
            let answer = request.send().await.ok()?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Some(Answer { status, headers, text: answer.text().await.ok()? })
        })
        .await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// GET from a peer that may not be there yet.
    pub async fn try_get(&self, path: &str) -> Option<u16> {
        let answer = self.request(Method::GET, path).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// POST of a body as it is, labelled JSON.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(Method::POST, path).header("content-type", "application/json").body(body)).await
    }

    /// `GET /rgb`.
    pub async fn state(&self) -> Value {
        let answer = self.get("/rgb").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The present `seq`.
    pub async fn seq(&self) -> u64 {
        self.state().await["seq"].as_u64().expect("a seq")
    }

    /// `POST /rgb` that must be accepted; gives the `seq`.
    pub async fn accepted(&self, command: &Value) -> u64 {
        let answer = self.post("/rgb", command.to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let body = answer.json();
        assert_eq!(body["status"], "accepted", "{body}");
        body["seq"].as_u64().expect("a seq")
    }

    /// Whether the appliance has seen this command before; if not, it is applied now.
    pub async fn is_duplicate(&self, command: &Value) -> bool {
        let answer = self.post("/rgb", command.to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        match answer.json()["status"].as_str() {
            Some("duplicate") => true,
            Some("accepted") => false,
            other => panic!("neither accepted nor duplicate: {other:?}"),
        }
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}")).parse().expect("a number")
    }

    /// Codes of the problems in `GET /readyz`.
    pub async fn problems(&self) -> Vec<String> {
        let answer = self.get("/readyz").await;
        let body = answer.json();
        let problems = body["problems"].as_array().expect("a list of problems");
        problems.iter().map(|problem| problem["code"].as_str().expect("a code").to_owned()).collect()
    }
}
