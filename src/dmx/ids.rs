//! Numbers of things: universes and channels. Parsed at the border, trusted inside.

use std::fmt;

/// Channels of one universe (ANSI E1.11: 512 slots after the start code).
pub const CHANNELS: usize = 512;

/// Universes of one appliance.
pub const UNIVERSES: usize = 64;

/// Index of a universe, 0..=63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniverseId(u8);

impl UniverseId {
    /// The universe of the RGB lamp.
    pub const LAMP: Self = Self(0);

    /// `None` from 64 on.
    #[must_use]
    pub fn new(index: u8) -> Option<Self> {
        (usize::from(index) < UNIVERSES).then_some(Self(index))
    }

    /// 0..=63.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }
}

impl fmt::Display for UniverseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a channel in its universe, 1..=512, as printed on fixtures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u16);

impl Channel {
    /// The RGB lamp's channels, in the order of r, g, b.
    pub const LAMP: [Self; 3] = [Self(1), Self(2), Self(3)];

    /// `None` for 0 and above 512.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number as usize <= CHANNELS { Some(Self(number)) } else { None }
    }

    /// The channel at an index of a frame, 0..=511.
    #[must_use]
    pub fn at(index: usize) -> Option<Self> {
        u16::try_from(index).ok().and_then(|i| Self::new(i.saturating_add(1)))
    }

    /// 1..=512.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// 0..=511.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }
}
