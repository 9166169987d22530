//! The wire: reads what clients write into light and documents, and shows both as JSON. Pure.
//!
//! A reader names every fault of a body with its place, and does nothing else.

#[cfg(test)]
mod body_tests;
mod clock;
mod command;
mod controls;
mod desk;
mod device;
mod document;
mod easing;
mod fields;
mod fixture_type;
mod json_scan;
mod lamp;
#[cfg(test)]
mod model_tests;
mod news;
mod object;
mod patch;
mod people;
mod port;
mod project;
mod refusal;
mod role;
mod salvage;
mod scene;
mod scene_edit;
mod scene_key;
mod show;
mod snapshot;
mod unified;

pub use clock::{CLOCK_ENDS, ClockOrder};
pub use command::{RgbCommand, lamp_command, set_message};
pub use controls::{BlackoutOrder, MasterOrder};
pub use desk::{DeskView, FadeView};
pub use device::{Device, Disconnect, MqttClient, Presence, RefusedClient};
pub use document::{LeftOut, without_mark};
pub use fields::ID_PATTERN;
pub use fixture_type::{FixtureTypeLine, FixtureTypeView, Kelvin, ModeLine, ModeView, ParameterView, WheelColor};
pub use json_scan::JsonScan;
pub use lamp::{RgbState, STATE_SCHEMA};
pub use news::{ChannelLevel, StateUpdate};
pub use object::CMD_SCHEMA;
pub(crate) use object::Object;
pub use patch::{
    FixtureFields, GroupView, KnownTypes, LiveFixture, MAX_FIXTURES, NewFixtures, NewGroup, NotPatched, PatchEdit,
    PatchUniverse, PatchView, PatchWarning, PatchedFixture, ShowPatch, ShownPatch, free_place, live_fixture,
    show_patch,
};
pub use people::{LockOrder, LoginOrder, NewPanel, NewSecret, NewUser, PanelBlackout, PanelEdit, UserEdit};
pub use port::PortStatus;
pub use project::{NAME_CHARS, NewProject, Project, ProjectEdit};
use refusal::Faults;
pub use refusal::{FieldError, Reason, Refusal};
pub use role::Role;
pub use salvage::{salvage_lamp, salvage_scenes, salvage_show};
pub use scene::{Scene, scenes};
pub use scene_edit::{CaptureOrder, Captured, NewScene, NotEdited, RecallOrder, SceneEdit, SceneFields};
pub use show::{ImportMode, ListChanges, Show, ShowFile};
pub use snapshot::{BackupOrder, LABEL_CHARS, RestoreOrder, Snapshot, SnapshotChanges};
pub use unified::{Ack, Order, PATCH_CHANNELS, Unified};
