//! The body that tells the time: `{"now"}`.

use super::Refusal;
use super::fields::{Body, Field, Kind, described};

/// 2100-01-01, Unix milliseconds: what is later is a typing error.
pub const CLOCK_ENDS: u64 = 4_102_444_800_000;

/// A body of `POST /clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOrder {
    /// What time it is, Unix milliseconds.
    pub now: u64,
}

described!(ClockOrder: CLOCK);

pub(super) const CLOCK: Body = Body {
    title: "ClockOrder",
    says: "Tells what time it is.",
    fields: &[Field::new(
        "now",
        Kind::Integer(0, CLOCK_ENDS as i128),
        "Unix milliseconds; not before the day on which this dmxd was built.",
    )],
    open: false,
    example: r#"{"now":1798761600000}"#,
};

impl ClockOrder {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let body = CLOCK.read(body)?;
        Ok(Self { now: body.number("now").unwrap_or_default() })
    }
}
