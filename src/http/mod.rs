//! The web door: REST, WebSocket and the app, on our own accept loop under warp.
//!
//! A newcomer starts at `routes/mod.rs`, the one table of everything that is served. Handlers are thin: parse,
//! submit, shape. warp's and hyper's types stay in this folder; nothing here changes state.

mod assets;
mod auth;
mod dispatch;
mod live;
mod openapi;
mod origin;
mod problem;
mod reply;
mod request;
#[cfg(test)]
mod rest_tests;
mod routes;
mod schemas;
mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod ws_tests;

use std::sync::Arc;

use crate::config;
use crate::engine;
use crate::kit::health::Health;
use crate::kit::stop::Stop;
use crate::metrics::Metrics;

pub use server::{BindError, Listener, bind, serve};

/// What the web door needs from the rest of the house.
pub struct Parts {
    /// `[http]`
    pub settings: config::Http,
    /// `[auth]`
    pub auth: config::Auth,
    /// Where commands go.
    pub engine: engine::Handle,
    /// Where changes come from.
    pub feed: engine::Feed,
    /// What `GET /readyz` reads out.
    pub health: Health,
    /// What `GET /metrics` shows.
    pub metrics: Metrics,
    /// Whether the embedded broker serves (`mqttConnected`).
    pub broker_serves: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What every handler may use; one for the whole door.
struct App {
    origins: origin::Origins,
    gate: auth::Gate,
    engine: engine::Handle,
    health: Health,
    metrics: Metrics,
    broker_serves: Arc<dyn Fn() -> bool + Send + Sync>,
    hub: live::Hub,
    stop: Stop,
}

impl App {
    fn new(parts: Parts, stop: Stop) -> Arc<Self> {
        Arc::new(Self {
            origins: origin::Origins::new(&parts.settings.allow_origins),
            gate: auth::Gate::new(parts.auth),
            hub: live::Hub::new(parts.feed, parts.engine.clone(), parts.metrics.http.clone()),
            engine: parts.engine,
            health: parts.health,
            metrics: parts.metrics,
            broker_serves: parts.broker_serves,
            stop,
        })
    }
}
