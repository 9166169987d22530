//! A fixture: what its channels do, and where they are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::colour::{part_of_full, shown, spread};
use super::wide::{bytes, value};
use super::{Channel, FixtureId, Frame, Kind, Levels, Patch, Rgb, UniverseId};

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

    /// The levels that give a parameter this value, in its own bits.
    pub fn levels_of<'a>(&'a self, parameter: &'a Parameter, of: u32) -> impl Iterator<Item = (Channel, u8)> + 'a {
        self.channels_of(parameter).zip(bytes(of, parameter.places.len()))
    }

    /// The value of a parameter in this light, in its own bits.
    #[must_use]
    pub fn value_in(&self, parameter: &Parameter, light: &Frame) -> u32 {
        value(self.channels_of(parameter).map(|channel| light.get(channel)))
    }

    /// The levels that give it this colour. Intensity stays as it is.
    #[must_use]
    pub fn coloured(&self, colour: Rgb) -> Levels {
        let values = spread(&self.parameters, colour).into_iter();
        let of = values.filter_map(|(n, value)| Some((self.parameters.get(n)?, value)));
        of.flat_map(|(parameter, value)| self.levels_of(parameter, value)).collect()
    }

    /// The levels that give its parameters of a kind this part of full, 0..=1.
    pub fn set(&self, kind: Kind, part: f64) -> impl Iterator<Item = (Channel, u8)> {
        let of_kind = self.parameters.iter().filter(move |parameter| parameter.kind == kind);
        of_kind.flat_map(move |parameter| self.levels_of(parameter, part_of_full(parameter, part)))
    }

    /// What its parameters are in this light: each kind's part of full, 0..=1. Of several of a kind the first counts.
    pub fn parts(&self, light: &Frame) -> Vec<(Kind, f64)> {
        let mut parts: Vec<(Kind, f64)> = Vec::new();
        for parameter in self.parameters.iter() {
            if !parts.iter().any(|(kind, _)| *kind == parameter.kind) {
                let part = f64::from(self.value_in(parameter, light)) / f64::from(parameter.full());
                parts.push((parameter.kind, part));
            }
        }
        parts
    }

    /// The colour that it has in this light, without its intensity; `None` if it has none.
    #[must_use]
    pub fn colour(&self, light: &Frame) -> Option<Rgb> {
        shown(&self.parameters, |n| self.parameters.get(n).map_or(0, |parameter| self.value_in(parameter, light)))
    }

    /// Full light, for somebody who looks for it: intensity and white; where it points stays. One of which nothing is known has
    /// all its channels at full.
    pub(super) fn lit(&self) -> Patch {
        let mut levels: Levels = self.set(Kind::Intensity, 1.0).collect();
        levels.extend(self.coloured(Rgb { r: 255, g: 255, b: 255 }));
        if levels.is_empty() {
            levels.extend((0..self.channels).filter_map(|place| Some((self.channel(place)?, 255))));
        } else {
            let opens =
                self.parameters.iter().filter(|parameter| matches!(parameter.kind, Kind::Shutter | Kind::Strobe));
            levels.extend(opens.flat_map(|parameter| self.levels_of(parameter, parameter.default)));
        }
        Patch { universe: self.universe, levels }
    }
}
