//! A fixture: what its channels do, and where they are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Channel, FixtureId, Kind, Rgb, UniverseId};

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

/// A fixture with a place in a universe. All of it is in that universe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    /// Its id, unique in the patch.
    pub id: FixtureId,
    /// Its name.
    pub name: Arc<str>,
    /// Its universe.
    pub universe: UniverseId,
    /// Its first channel.
    pub first: Channel,
    /// How many channels it takes.
    pub channels: u16,
    /// What they do. Channels without a parameter do nothing that is known.
    pub parameters: Arc<[Parameter]>,
    /// The groups that it is in, by id.
    pub groups: Vec<Arc<str>>,
    /// Of a lamp that listens to MQTT: the id in its topic.
    pub topic: Option<Arc<str>>,
}

impl Fixture {
    /// The channel at a place of its footprint.
    #[must_use]
    pub fn channel(&self, place: u16) -> Option<Channel> {
        if place < self.channels { Channel::new(self.first.number().checked_add(place)?) } else { None }
    }

    /// Its last channel.
    #[must_use]
    pub fn last(&self) -> Channel {
        self.channel(self.channels.saturating_sub(1)).unwrap_or(self.first)
    }

    /// The channels of a parameter, coarse first.
    pub fn channels_of<'a>(&'a self, parameter: &'a Parameter) -> impl Iterator<Item = Channel> + 'a {
        parameter.places.iter().filter_map(|&place| self.channel(place))
    }

    /// Whether it has a parameter of this kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.parameters.iter().any(|parameter| parameter.kind == kind)
    }
}
