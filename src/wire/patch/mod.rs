//! The patch: the `fixtures`, `universes` and `groups` of a show's document, which alone owns them. Here they are read as light.
//!
//! A document that people or other programs wrote is taken as it is: a fixture that cannot be placed stays in it, and lights
//! nothing.

mod bodies;
mod edit;
mod entry;
mod kept;
mod naming;
mod places;
mod read;
mod show_patch;
#[cfg(test)]
mod tests;
mod universes;
mod view;

#[cfg(test)]
pub(super) use bodies::{FIELDS as FIXTURE, GROUP, NEW as FIXTURES};
pub use bodies::{FixtureFields, LiveFixture, NewFixtures, NewGroup, PatchUniverse, PatchedFixture};
pub use edit::{NotPatched, PatchEdit, free_place};
pub(super) use kept::keep_ours;
pub use read::{KnownTypes, MAX_FIXTURES, show_patch};
pub use show_patch::{PatchWarning, ShowPatch};
pub use view::{GroupView, PatchView, ShownPatch, live_fixture};
