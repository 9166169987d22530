//! Output through an Enttec DMX USB PRO.

use super::Starter;

pub(super) fn start(_: &mut Starter<'_>) {}
