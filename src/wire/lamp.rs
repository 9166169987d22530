//! The lamp as clients see it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::dmx::{Rgb, State};

/// The `schema` of a state.
pub const STATE_SCHEMA: &str = "demo.rgb.state.v1";

/// `demo.rgb.state.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, title = "demo.rgb.state.v1", description = "The one canonical colour of the lamp.")]
pub struct RgbState {
    /// Which shape this is.
    #[schemars(extend("const" = STATE_SCHEMA))]
    pub schema: &'static str,
    /// Red.
    pub r: u8,
    /// Green.
    pub g: u8,
    /// Blue.
    pub b: u8,
    /// Number of the change; grows by 1 with each. Order by this, not by `ts`.
    pub seq: u64,
    /// The `src` of the last accepted command; `init` on a first start.
    #[schemars(length(min = 1, max = 64))]
    pub updated_by: String,
    /// The server's clock at the change, Unix milliseconds; may go back.
    pub ts: u64,
}

impl RgbState {
    /// As MQTT and `GET /rgb` show it: the lamp's light.
    #[must_use]
    pub fn light(state: &State) -> Self {
        Self::of(state, state.lamp_light())
    }

    /// As stored: the lamp's levels.
    #[must_use]
    pub fn levels(state: &State) -> Self {
        Self::of(state, state.lamp())
    }

    /// A lamp's state.
    #[must_use]
    pub fn of(state: &State, Rgb { r, g, b }: Rgb) -> Self {
        let (seq, ts, updated_by) = (state.seq, state.ts, state.updated_by.to_string());
        Self { schema: STATE_SCHEMA, r, g, b, seq, updated_by, ts }
    }
}
