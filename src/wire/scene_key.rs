//! Keys of a scene's levels that name a channel by its number: `7` in universe 0, `2/7` in universe 2.

use crate::dmx::{Channel, UniverseId};

/// The channel that a key names.
pub(super) fn channel(key: &str) -> Option<(UniverseId, Channel)> {
    let (universe, channel) = key.split_once('/').unwrap_or(("0", key));
    Some((UniverseId::new(universe.parse().ok()?)?, Channel::new(channel.parse().ok()?)?))
}

/// The key of a channel.
pub(super) fn key(universe: UniverseId, channel: Channel) -> String {
    match universe {
        UniverseId::LAMP => channel.number().to_string(),
        _ => format!("{universe}/{}", channel.number()),
    }
}
