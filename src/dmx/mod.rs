//! Words of the house: universes, channels, frames, commands, state.
//!
//! Floor 0: std, serde and ulid only. No I/O, no clock, no tokio; time is an argument.

mod channels;
mod command;
mod controls;
mod desk;
mod device;
mod document;
mod fade;
mod frame;
mod glance;
mod ids;
#[cfg(test)]
mod model_tests;
mod news;
mod port;
mod project;
mod refusal;
mod rgb;
mod salvage;
mod scene;
mod scene_edit;
mod show;
mod snapshot;
mod state;
mod unified;

pub use channels::{ChannelSet, NotChannels};
pub(crate) use command::Object;
pub use command::{CMD_SCHEMA, Command, RgbCommand};
pub use controls::{BlackoutOrder, MasterOrder};
pub use desk::{Desk, DeskView, FadeView, InEffect, Intensity, KeptDesk};
pub use device::{Device, Disconnect, MqttClient, Presence};
pub use document::without_mark;
pub use fade::{Easing, KeptFade, LONGEST_FADE};
pub use frame::{Frame, Levels, Patch};
pub use glance::Glance;
pub use ids::{CHANNELS, Channel, CommandId, ID_CHARS, Source, UNIVERSES, UniverseId};
pub use news::{ChannelLevel, StateUpdate};
pub use port::PortStatus;
pub use project::{NAME_CHARS, NotAnId, Project, ProjectBody, ProjectEdit, ProjectId, SafeId, VersionId};
pub use refusal::{FieldError, Reason, Refusal};
pub use rgb::Rgb;
pub use salvage::{LeftOut, salvage_lamp, salvage_scenes, salvage_show};
pub use scene::{Look, Scene, SceneBody, scenes};
pub use scene_edit::{NotEdited, RecallOrder, SceneEdit, SceneFields};
pub use show::{ImportMode, ListChanges, Show, ShowBody, ShowFile};
pub use snapshot::{BackupOrder, LABEL_CHARS, RestoreOrder, Snapshot, SnapshotChanges};
pub use state::{Change, Now, RgbState, STATE_SCHEMA, State, Told, What};
pub use unified::{Ack, Order, PATCH_CHANNELS, Unified, UnifiedCommand};
