//! Bodies that move the desk: `{"level"}` and `{"on","fadeMs"?}`, the same on every door.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::refusal::{Faults, pointer};
use super::scene_edit::milliseconds;
use super::{JsonScan, Refusal, document};

/// A body of `POST /master`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "MasterOrder", description = "Moves the grand master.", deny_unknown_fields)]
pub struct MasterOrder {
    /// 0..=255.
    pub level: u8,
    /// The client's clock, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(max = u64::MAX))]
    pub ts: Option<u64>,
}

/// A body of `POST /blackout` and of the topic `…/blackout/cmd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "BlackoutOrder", description = "Takes all light away, or gives it back.", deny_unknown_fields)]
pub struct BlackoutOrder {
    /// Dark.
    pub on: bool,
    /// The time it takes, milliseconds; absent: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86_400_000))]
    pub fade_ms: Option<u64>,
    /// The client's clock, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(max = u64::MAX))]
    pub ts: Option<u64>,
}

/// The `type` of a WebSocket message stands beside the fields.
const TYPE: &str = "type";

impl MasterOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        JsonScan::over(body).each_key_once()?;
        let fields = document::object(body)?;
        let mut faults = Faults::default();
        let level = fields.get("level").and_then(serde_json::Value::as_u64).and_then(|level| u8::try_from(level).ok());
        if level.is_none() {
            faults.add("/level", "must be an integer from 0 to 255");
        }
        let ts = time(&fields, &mut faults);
        for name in fields.keys().filter(|name| !["level", "ts", TYPE].contains(&name.as_str())) {
            faults.add(pointer("", name), "is not a field of a master");
        }
        faults.or_refuse(Self { level: level.unwrap_or_default(), ts })
    }
}

impl BlackoutOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        JsonScan::over(body).each_key_once()?;
        let fields = document::object(body)?;
        let mut faults = Faults::default();
        let on = fields.get("on").and_then(serde_json::Value::as_bool);
        if on.is_none() {
            faults.add("/on", "must be true or false");
        }
        let fade_ms = match fields.get("fadeMs") {
            None | Some(serde_json::Value::Null) => None,
            Some(value) => milliseconds(value, "/fadeMs", &mut faults),
        };
        let ts = time(&fields, &mut faults);
        for name in fields.keys().filter(|name| !["on", "fadeMs", "ts", TYPE].contains(&name.as_str())) {
            faults.add(pointer("", name), "is not a field of a blackout");
        }
        faults.or_refuse(Self { on: on.unwrap_or_default(), fade_ms, ts })
    }

    /// The time it takes.
    #[must_use]
    pub fn over(self) -> Duration {
        Duration::from_millis(self.fade_ms.unwrap_or_default())
    }
}

/// The client's clock, when it stands there.
fn time(fields: &serde_json::Map<String, serde_json::Value>, faults: &mut Faults) -> Option<u64> {
    let ts = fields.get("ts")?.as_u64();
    if ts.is_none() {
        faults.add("/ts", "must be an integer, 0 or more (Unix milliseconds)");
    }
    ts
}
