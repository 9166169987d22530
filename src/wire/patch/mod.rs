//! The patch: the `fixtures`, `universes` and `groups` of a show's document, which alone owns them. Here they are read as light.
//!
//! A document that people or other programs wrote is taken as it is: a fixture that cannot be placed stays in it, and lights
//! nothing.

mod entry;
mod read;
mod show_patch;
mod universes;

pub use read::{KnownTypes, MAX_FIXTURES, show_patch};
pub use show_patch::{PatchWarning, ShowPatch};
