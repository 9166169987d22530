//! Levels: a whole universe (`Frame`) and a change to a part of one (`Patch`).

use super::{CHANNELS, Channel, ChannelSet, Levels, Rgb, UniverseId};

/// The 512 levels of one universe.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame([u8; CHANNELS]);

impl Frame {
    /// All channels at 0.
    pub const DARK: Self = Self([0; CHANNELS]);

    /// The levels in order of channel.
    #[must_use]
    pub fn levels(&self) -> &[u8; CHANNELS] {
        &self.0
    }

    /// The level of one channel.
    #[must_use]
    pub fn get(&self, channel: Channel) -> u8 {
        self.0.get(channel.index()).copied().unwrap_or(0)
    }

    /// Sets levels; gives those that changed.
    pub fn set(&mut self, levels: &[(Channel, u8)]) -> Levels {
        let mut changed = Levels::new();
        for &(channel, level) in levels {
            if let Some(slot) = self.0.get_mut(channel.index())
                && *slot != level
            {
                *slot = level;
                changed.push((channel, level));
            }
        }
        changed
    }

    /// The same frame with the level of each channel replaced.
    #[must_use]
    pub fn map(&self, level: impl Fn(Channel, u8) -> u8) -> Self {
        let mut mapped = self.clone();
        for (index, slot) in mapped.0.iter_mut().enumerate() {
            if let Some(channel) = Channel::at(index) {
                *slot = level(channel, *slot);
            }
        }
        mapped
    }

    /// The channels that are not at 0.
    pub fn lit(&self) -> impl Iterator<Item = (Channel, u8)> + '_ {
        self.0
            .iter()
            .enumerate()
            .filter(|&(_, &level)| level > 0)
            .filter_map(|(i, &level)| Some((Channel::at(i)?, level)))
    }

    /// Channels 1, 2, 3 as a colour.
    #[must_use]
    pub fn rgb(&self) -> Rgb {
        let [r, g, b] = Rgb::CHANNELS.map(|channel| self.get(channel));
        Rgb { r, g, b }
    }
}

impl From<[u8; CHANNELS]> for Frame {
    fn from(levels: [u8; CHANNELS]) -> Self {
        Self(levels)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.lit().map(|(channel, level)| (channel.number(), level))).finish()
    }
}

/// What a command asks for: levels of some channels of one universe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The universe.
    pub universe: UniverseId,
    /// Distinct channels, in the order given.
    pub levels: Levels,
}

impl Patch {
    /// The lamp's colour: channels 1, 2, 3 of universe 0.
    #[must_use]
    pub fn lamp(rgb: Rgb) -> Self {
        Self { universe: UniverseId::LAMP, levels: rgb.levels() }
    }

    /// Whether this patch sets a channel of the lamp.
    #[must_use]
    pub fn touches_lamp(&self) -> bool {
        self.universe == UniverseId::LAMP && self.levels.iter().any(|(channel, _)| Rgb::CHANNELS.contains(channel))
    }

    /// Whether `self` sets every channel that `other` sets, so that after both only `self` shows.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.universe != other.universe {
            return false;
        }
        let mine: ChannelSet = self.levels.iter().map(|&(channel, _)| channel).collect();
        other.levels.iter().all(|&(channel, _)| mine.has(channel))
    }
}
