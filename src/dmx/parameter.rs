//! One thing that a fixture does, and the channels that carry it.

use serde::{Deserialize, Serialize};

use super::{Kind, Rgb};

/// The most channels that carry one parameter: 24 bits.
pub const WIDEST: usize = 3;

/// One thing that a fixture does, and the channels that carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// What it is.
    pub kind: Kind,
    /// Its channels, coarse first: places in the footprint, from 0. One to three, and no place is another parameter's.
    pub places: Vec<u16>,
    /// Its value at rest, in its own bits: where a head stands, and a shutter is open.
    #[serde(default)]
    pub default: u32,
    /// The colours of a wheel: a value that shows each, in its own bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub colors: Vec<(u32, Rgb)>,
    /// Of [`Kind::Cct`]: colour temperatures at 0 and at full, in kelvin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kelvin: Option<(u16, u16)>,
}

impl Parameter {
    /// One of 8 bits that rests at 0.
    #[must_use]
    pub fn plain(kind: Kind, place: u16) -> Self {
        Self { kind, places: vec![place], default: 0, colors: Vec::new(), kelvin: None }
    }

    /// Its highest value, in its own bits.
    #[must_use]
    pub fn full(&self) -> u32 {
        full(self.places.len())
    }
}

/// The highest value that this many channels carry.
#[must_use]
pub fn full(channels: usize) -> u32 {
    u32::MAX >> (32 - 8 * channels.clamp(1, WIDEST))
}
