//! Light: universes, channels, frames, fades, the desk, commands, and the state that they move.
//!
//! Floor 0: std, serde (for what is stored) and ulid only. No JSON, no I/O, no clock, no tokio; time is an argument.

mod channels;
mod colour;
mod command;
mod desk;
mod fade;
mod fixture;
mod fixture_type;
mod flash;
mod frame;
mod ids;
mod kind;
mod look;
mod parameter;
mod rgb;
mod rig;
mod state;
mod text_id;
mod wanted;
mod wide;

pub use channels::{ChannelSet, Levels, NotChannels};
pub use command::{Act, Command};
pub use desk::{Desk, InEffect, Intensity, KeptDesk};
pub use fade::{Channels, Easing, Fade, KeptFade, LONGEST_FADE};
pub use fixture::Fixture;
pub use fixture_type::{FixtureType, Mode};
pub use flash::FLASH;
pub use frame::{Frame, Patch};
pub use ids::{CHANNELS, Channel, UNIVERSES, UniverseId};
pub use kind::Kind;
pub use look::Look;
pub use parameter::{Parameter, WIDEST, full};
pub use rgb::Rgb;
pub use rig::Rig;
pub use state::{Change, Now, Publish, State, What};
pub use text_id::{
    CommandId, FixtureId, ID_CHARS, NotAnId, ProjectId, SCENE_ID_CHARS, SOURCE_CHARS, SceneId, Source, TypeId,
    VersionId,
};
pub use wanted::{Unmet, Wanted};
