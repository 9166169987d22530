//! A fixture: what its channels do, and where they are.

use std::sync::Arc;

use super::colour::{has_colour, part_of_full, shown, spread};
use super::wide::{bytes, value};
use super::{Channel, FixtureId, Frame, Kind, Levels, Parameter, Patch, Rgb, UniverseId};

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

    /// Whether it is the same as `was`, elsewhere.
    pub(super) fn has_moved_from(&self, was: &Self) -> bool {
        let is_elsewhere = (self.universe, self.first) != (was.universe, was.first);
        is_elsewhere && self.channels == was.channels && self.parameters == was.parameters
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

    /// Whether it has any colour to choose.
    #[must_use]
    pub fn has_colour(&self) -> bool {
        has_colour(&self.parameters)
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

    /// What people see of it in this light: its colour, as bright as its intensity says.
    #[must_use]
    pub fn glow(&self, light: &Frame) -> Rgb {
        let parts = self.parts(light);
        let intensity = parts.iter().find(|(kind, _)| *kind == Kind::Intensity).map_or(1.0, |(_, part)| *part);
        let Rgb { r, g, b } = self.colour(light).unwrap_or(Rgb { r: 255, g: 255, b: 255 });
        let [r, g, b] = [r, g, b].map(|level| (f64::from(level) * intensity).round() as u8);
        Rgb { r, g, b }
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
