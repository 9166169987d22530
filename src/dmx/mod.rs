//! Words of the house: universes, channels, frames, commands, state.
//!
//! Floor 0: std, serde and ulid only. No I/O, no clock, no tokio; time is an argument.

mod command;
mod document;
mod frame;
mod ids;
mod port;
mod project;
mod refusal;
mod rgb;
mod scene;
mod show;
mod snapshot;
mod state;

pub(crate) use command::Object;
pub use command::{CMD_SCHEMA, Command, RgbCommand};
pub use frame::{Frame, Levels, Patch};
pub use ids::{CHANNELS, Channel, CommandId, Source, UNIVERSES, UniverseId};
pub use port::PortStatus;
pub use project::{NAME_CHARS, NotAnId, Project, ProjectBody, ProjectEdit, ProjectId, SafeId, VersionId};
pub use refusal::{FieldError, Reason, Refusal};
pub use rgb::Rgb;
pub use scene::{Scene, SceneBody, scenes};
pub use show::{ImportMode, ListChanges, Show, ShowBody, ShowFile};
pub use snapshot::{BackupOrder, LABEL_CHARS, RestoreOrder, Snapshot, lamp_of_state};
pub use state::{Change, Desk, RgbState, STATE_SCHEMA, State, What};
