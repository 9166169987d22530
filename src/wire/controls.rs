//! Bodies that move the desk: `{"level"}` and `{"on","fadeMs"?}`, the same on every door.

use std::time::Duration;

use super::Refusal;
use super::fields::{Body, CLOCK, FADE_MS, Field, Kind, LEVEL, described};

/// A body of `POST /master`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterOrder {
    /// 0..=255.
    pub level: u8,
    /// The client's clock, Unix milliseconds.
    pub ts: Option<u64>,
}

/// A body of `POST /blackout` and of the topic `…/blackout/cmd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlackoutOrder {
    /// Whether to go dark.
    pub on: bool,
    /// How long it takes, milliseconds; absent: at once.
    pub fade_ms: Option<u64>,
    /// The client's clock, Unix milliseconds.
    pub ts: Option<u64>,
}

described!(MasterOrder: MASTER, BlackoutOrder: BLACKOUT);

/// A WebSocket message has its `type` beside the fields.
const TYPE: Field = Field::new("type", Kind::Any, "Which message it is on a WebSocket; not read here.").optional();

pub(super) const MASTER: Body = Body {
    title: "MasterOrder",
    says: "Moves the grand master.",
    fields: &[Field::new("level", LEVEL, "Of all intensity channels; 255 is full."), CLOCK, TYPE],
    open: false,
    example: r#"{"level":128}"#,
};

pub(super) const BLACKOUT: Body = Body {
    title: "BlackoutOrder",
    says: "Takes all light away, or brings it back.",
    fields: &[
        Field::new("on", Kind::Flag, "Dark."),
        Field::new("fadeMs", FADE_MS, "How long it takes, milliseconds; absent: at once.").nullable(),
        CLOCK,
        TYPE,
    ],
    open: false,
    example: r#"{"on":true,"fadeMs":2000}"#,
};

impl MasterOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let body = MASTER.read(body)?;
        Ok(Self { level: body.level("level").unwrap_or_default(), ts: body.number("ts") })
    }
}

impl BlackoutOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let body = BLACKOUT.read(body)?;
        let on = body.flag("on").unwrap_or_default();
        Ok(Self { on, fade_ms: body.number("fadeMs"), ts: body.number("ts") })
    }

    /// How long it takes.
    #[must_use]
    pub fn over(self) -> Duration {
        Duration::from_millis(self.fade_ms.unwrap_or_default())
    }
}
