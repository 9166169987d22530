//! The colour of the RGB lamp.

use serde::{Deserialize, Serialize};

use super::{Channel, Levels};

/// Red, green, blue, each 0..=255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rgb {
    /// Red, channel 1.
    pub r: u8,
    /// Green, channel 2.
    pub g: u8,
    /// Blue, channel 3.
    pub b: u8,
}

impl Rgb {
    /// The lamp's channels in universe 0, in the order of r, g, b.
    pub const CHANNELS: [Channel; 3] = Channel::LAMP;

    /// The three levels, in the order of r, g, b.
    #[must_use]
    pub fn levels(self) -> Levels {
        Self::CHANNELS.into_iter().zip([self.r, self.g, self.b]).collect()
    }
}
