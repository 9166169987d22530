//! Words of the house: universes, channels, frames, commands, state.
//!
//! Floor 0: std, serde and ulid only. No I/O, no clock, no tokio; time is an argument.

mod command;
mod frame;
mod ids;
mod port;
mod refusal;
mod rgb;
mod state;

pub(crate) use command::Object;
pub use command::{CMD_SCHEMA, Command, RgbCommand};
pub use frame::{Frame, Levels, Patch};
pub use ids::{CHANNELS, Channel, CommandId, Source, UNIVERSES, UniverseId};
pub use port::PortStatus;
pub use refusal::{FieldError, Reason, Refusal};
pub use rgb::Rgb;
pub use state::{Change, Desk, RgbState, STATE_SCHEMA, State};
