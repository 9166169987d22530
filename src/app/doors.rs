//! The sockets that listen, and which of them are plain and which are secure.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::AppError;
use crate::config::Config;
use crate::kit::health::Health;
use crate::tls::Tls;
use crate::{broker, http};

/// All sockets, bound but not served: what they speak is known once there is a certificate, or none.
pub(super) struct Doors {
    web: (http::Listener, SocketAddr),
    also: Option<(http::Listener, SocketAddr)>,
    mqtt: (TcpListener, SocketAddr),
    https: Option<(http::Listener, SocketAddr)>,
    mqtts: Option<(TcpListener, SocketAddr)>,
}

/// The same, ready to be served.
pub(super) struct OpenDoors {
    pub(super) web: Vec<http::Listener>,
    pub(super) mqtt: broker::Ports,
    pub(super) at: At,
}

/// Where what is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    /// All of them, by name.
    pub(super) listening: Vec<(&'static str, SocketAddr)>,
    /// Whether a plain web port leads to https only.
    pub(super) https_only: bool,
}

impl Doors {
    pub(super) fn open(config: &Config, health: &Health) -> Result<Self, AppError> {
        let (web, mqtt) = (http::bind(&config.http)?, broker::bind(&config.mqtt)?);
        let web_at = web.local_addr().map_err(unknown)?;
        let mqtt_at = mqtt.local_addr().map_err(unknown)?;
        let also = http::bind_also(&config.http, health);
        let also = also.map(|also| Ok::<_, AppError>((also.local_addr().map_err(unknown)?, also))).transpose()?;
        let (mut https, mut mqtts) = (None, None);
        if config.tls.enabled {
            https = secure("https", health, http::bind_at(&config.http, config.tls.port), http::Listener::local_addr);
            mqtts =
                secure("mqtts", health, broker::bind_at(&config.mqtt, config.tls.mqtt_port), TcpListener::local_addr);
        }
        Ok(Self { web: (web, web_at), also: also.map(|(at, also)| (also, at)), mqtt: (mqtt, mqtt_at), https, mqtts })
    }

    /// The plain web port.
    pub(super) fn web_port(&self) -> u16 {
        self.web.1.port()
    }

    /// The port of https; 0: there is none.
    pub(super) fn https_port(&self) -> u16 {
        self.https.as_ref().map_or(0, |(_, at)| at.port())
    }

    /// Makes them plain or secure. Plain ones give way (`only`) just to secure ones that serve: a show must go on.
    pub(super) fn with(self, tls: Option<&Tls>, only: bool) -> OpenDoors {
        let Self { web: (web, web_at), also, mqtt: (mqtt, mqtt_at), https, mqtts } = self;
        let only = only && tls.is_some_and(Tls::serves);
        let leads = https.as_ref().map(|(_, at)| at.port()).filter(|_| only);
        let mut listening = vec![("http", web_at)];
        let plainly = |listener: http::Listener| match leads {
            Some(port) => listener.leading_to(port),
            None => listener,
        };
        let mut all = vec![plainly(web)];
        if let Some((also, at)) = also {
            listening.push(("http_also", at));
            all.push(plainly(also));
        }
        let mut ports = broker::Ports::default();
        if !only || mqtts.is_none() {
            listening.push(("mqtt", mqtt_at));
            ports = ports.and(mqtt, None);
        }
        if let (Some(tls), Some((https, at))) = (tls, https) {
            listening.push(("https", at));
            all.push(https.secured(tls.web.clone(), at.port()));
        }
        if let (Some(tls), Some((mqtts, at))) = (tls, mqtts) {
            listening.push(("mqtts", at));
            ports = ports.and(mqtts, Some(tls.mqtt.clone()));
        }
        OpenDoors { web: all, mqtt: ports, at: At { listening, https_only: leads.is_some() } }
    }
}

fn unknown(source: io::Error) -> AppError {
    AppError::System { doing: "asking for a door's port", source }
}

/// A door for TLS. If it does not open, that is a problem on the board, and the start goes on.
fn secure<L, E: std::fmt::Display>(
    door: &'static str,
    health: &Health,
    opened: Result<L, E>,
    address: impl Fn(&L) -> io::Result<SocketAddr>,
) -> Option<(L, SocketAddr)> {
    let why = match opened {
        Ok(listener) => match address(&listener) {
            Ok(at) => return Some((listener, at)),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    tracing::warn!(door, error = why, "tls_door");
    health.raise_for(
        "TLS_FAILED",
        door,
        format!("{door} does not open: {why}; tls.port and tls.mqtt_port name others"),
    );
    None
}
