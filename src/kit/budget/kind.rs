//! The kinds of things that clients can make the process hold: how much there is of each, who goes when it is full, and what
//! people are told then.

use std::net::IpAddr;
use std::time::Duration;

use super::shares::{Goes, Reached, Scope, Who};
use crate::config::Config;

/// How long a half-sent packet may stand still before it goes for another one. Bad Wi-Fi takes some 100 ms.
const STALLED: Duration = Duration::from_secs(2);

/// Connections beyond `http.max_connections`, for probes.
const PROBES: u64 = 16;

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MQTT packets that have arrived only in part.
    Packets,
    /// Bodies of requests, and of large answers on their way.
    Bodies,
    /// Documents while they are read and stored. One at a time, so no address has a part of its own.
    Documents,
    /// WebSockets, and their messages that wait their turn.
    Sockets,
    /// Backups and restores at work. One at a time, too.
    Backups,
    /// What MQTT clients have subscribed to.
    Subscriptions,
    /// Topics and payloads of retained messages.
    RetainedBytes,
    /// Retained messages, counted.
    Retained,
    /// Messages that are stored for MQTT sessions, each once, and what refers to them.
    Queued,
    /// Stored wills.
    Wills,
    /// Connected MQTT clients.
    Connections,
    /// MQTT sessions, connected or away.
    Sessions,
    /// Connections to the web, WebSockets among them.
    Web,
    /// WebSockets, counted: they leave some of those for other requests.
    OpenSockets,
    /// Connections to the web that are there for `/healthz` and `/readyz` only, when it has no place for more.
    Probes,
}

impl Kind {
    pub(super) const ALL: [Self; 15] = [
        Self::Packets,
        Self::Bodies,
        Self::Documents,
        Self::Sockets,
        Self::Backups,
        Self::Subscriptions,
        Self::RetainedBytes,
        Self::Retained,
        Self::Queued,
        Self::Wills,
        Self::Connections,
        Self::Sessions,
        Self::Web,
        Self::OpenSockets,
        Self::Probes,
    ];

    /// Its name in metrics and on the board.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Bodies => "bodies",
            Self::Documents => "documents",
            Self::Sockets => "sockets",
            Self::Backups => "backups",
            Self::Subscriptions => "subscriptions",
            Self::RetainedBytes => "retained",
            Self::Retained => "retained_messages",
            Self::Queued => "queued",
            Self::Wills => "wills",
            Self::Connections => "mqtt_connections",
            Self::Sessions => "mqtt_sessions",
            Self::Web => "web_connections",
            Self::OpenSockets => "websockets",
            Self::Probes => "web_probes",
        }
    }

    /// Its name for people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Packets => "MQTT packets that are still arriving",
            Self::Bodies => "request bodies and large answers",
            Self::Documents => "documents that are being read and stored",
            Self::Sockets => "WebSockets and their messages that wait their turn",
            Self::Backups => "backups and restores",
            Self::Subscriptions => "subscriptions",
            Self::RetainedBytes | Self::Retained => "retained messages",
            Self::Queued => "queued MQTT messages",
            Self::Wills => "last wills",
            Self::Connections => "MQTT connections",
            Self::Sessions => "MQTT sessions",
            Self::Web => "web connections",
            Self::OpenSockets => "WebSockets",
            Self::Probes => "web connections beyond those",
        }
    }

    /// Its share, in sixteenths of the whole; `None`: it is counted, not measured. The shares add up to more than the whole,
    /// since not all are full at once; a full one leaves the others what they need.
    const fn sixteenths(self) -> Option<u64> {
        match self {
            Self::Packets | Self::Bodies | Self::Sockets | Self::Backups => Some(4),
            Self::Subscriptions | Self::RetainedBytes | Self::Queued => Some(4),
            Self::Documents => Some(8),
            Self::Wills => Some(1),
            Self::Retained | Self::Connections | Self::Sessions | Self::Web | Self::OpenSockets | Self::Probes => None,
        }
    }

    pub(super) const fn is_single(self) -> bool {
        matches!(self, Self::Documents | Self::Backups)
    }

    pub(super) const fn is_counted(self) -> bool {
        self.sixteenths().is_none()
    }

    /// The setting of all that there is.
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Packets
            | Self::Bodies
            | Self::Documents
            | Self::Sockets
            | Self::Backups
            | Self::Subscriptions
            | Self::Wills => "limits.memory",
            Self::RetainedBytes => "mqtt.max_retained_bytes, limits.memory",
            Self::Queued => "mqtt.max_queued_bytes, limits.memory",
            Self::Retained => "mqtt.max_retained",
            Self::Connections => "mqtt.max_connections",
            Self::Sessions => "mqtt.max_sessions",
            Self::Web | Self::OpenSockets | Self::Probes => "http.max_connections",
        }
    }

    /// All that there is.
    pub(super) fn most(self, memory: u64, config: &Config) -> u64 {
        let share = memory / 16 * self.sixteenths().unwrap_or_default();
        match self {
            Self::Packets
            | Self::Bodies
            | Self::Documents
            | Self::Sockets
            | Self::Backups
            | Self::Subscriptions
            | Self::Wills => share,
            Self::RetainedBytes => share.min(config.mqtt.max_retained_bytes as u64),
            Self::Queued => share.min(config.mqtt.max_queued_bytes as u64),
            Self::Retained => config.mqtt.max_retained as u64,
            Self::Connections => config.mqtt.max_connections as u64,
            Self::Sessions => config.mqtt.max_sessions as u64,
            Self::Web => config.http.max_connections as u64,
            Self::OpenSockets => (config.http.max_connections as u64 * 3).div_ceil(4),
            Self::Probes => PROBES,
        }
    }

    /// Who goes when it is full.
    pub(super) const fn goes(self) -> Goes {
        match self {
            Self::Packets => Goes::Idle(STALLED),
            Self::Sessions => Goes::Idle(Duration::ZERO),
            Self::Queued => Goes::Stranger,
            Self::Connections | Self::Web | Self::OpenSockets | Self::Probes => Goes::Newest,
            Self::Bodies
            | Self::Documents
            | Self::Sockets
            | Self::Backups
            | Self::Subscriptions
            | Self::RetainedBytes
            | Self::Retained
            | Self::Wills => Goes::Nobody,
        }
    }
}

/// What somebody asks for.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) who: &'a Who,
    pub(super) more: u64,
    /// What they will hold in total.
    pub(super) whole: u64,
}

/// An amount of a kind, for people.
pub(super) fn shown(kind: Kind, amount: u64) -> String {
    match amount {
        _ if kind.is_counted() => amount.to_string(),
        0..0x10_0000 => format!("{} kB", amount.div_ceil(1 << 10)),
        _ => format!("{} MB", amount.div_ceil(1 << 20)),
    }
}

/// Says what was refused, and by which setting.
pub(super) fn refusal(
    request: &Request<'_>,
    reached: &Reached,
    greediest: Option<(IpAddr, u64)>,
    of_kind: u64,
) -> String {
    let Request { kind, who, more, whole } = *request;
    let (what, uses, limit) = (kind.words(), shown(kind, reached.held), shown(kind, reached.most));
    let setting = match reached.scope {
        Scope::Address | Scope::Network if reached.most < of_kind => format!("{}, limits.per_address", kind.setting()),
        Scope::All => "limits.memory".to_owned(),
        _ => kind.setting().to_owned(),
    };
    let mostly = match greediest {
        Some((address, held)) if held > reached.most / 8 => format!(" ({} of that {address})", shown(kind, held)),
        _ => String::new(),
    };
    if kind.is_counted() {
        return match reached.scope {
            Scope::Address => {
                format!("{who} already has {uses} of the {limit} {what} allowed for one address ({setting})")
            }
            Scope::Network => {
                format!("the network of {who} already has {uses} of the {limit} {what} allowed for one ({setting})")
            }
            Scope::Kind | Scope::All => format!(
                "all clients together already have {uses} of the {limit} {what} allowed{mostly}, and {who} needs one more \
                 ({setting})"
            ),
        };
    }
    let needs = shown(kind, more);
    match reached.scope {
        _ if whole > reached.most => {
            let needs = shown(kind, whole);
            format!("{who} needs {needs} for {what}, more than the {limit} allowed ({setting})")
        }
        Scope::Address => {
            format!("{who} already uses {uses} of the {limit} allowed for {what} and needs {needs} more ({setting})")
        }
        Scope::Network => {
            format!(
                "the network of {who} already uses {uses} of the {limit} allowed for {what}, and {who} needs {needs} more ({setting})"
            )
        }
        Scope::Kind => format!(
            "all clients together already use {uses} of the {limit} allowed for {what}{mostly}, and {who} needs {needs} more \
             ({setting})"
        ),
        Scope::All => format!(
            "all clients together already use {uses} of {limit} of memory, and {who} needs {needs} more for {what} ({setting})"
        ),
    }
}
