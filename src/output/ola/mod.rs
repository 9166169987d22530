//! Output through OLA.

use super::Starter;

pub(super) fn start(_: &mut Starter<'_>) {}
