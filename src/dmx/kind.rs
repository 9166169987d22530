//! What a channel of a fixture does.

use serde::{Deserialize, Serialize};

/// What a channel of a fixture does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How bright the whole fixture, or one cell of it, is.
    Intensity,
    /// Red light.
    Red,
    /// Green light.
    Green,
    /// Blue light.
    Blue,
    /// White light.
    White,
    /// Amber light.
    Amber,
    /// Ultraviolet light.
    Uv,
    /// Lime light.
    Lime,
    /// Cyan: light, or a flag that takes red away.
    Cyan,
    /// Magenta, as cyan.
    Magenta,
    /// Yellow, as cyan.
    Yellow,
    /// Warm white light.
    WarmWhite,
    /// Cold white light.
    ColdWhite,
    /// Colour temperature, from warm to cold.
    Cct,
    /// Where a head looks, around.
    Pan,
    /// Where a head looks, up and down.
    Tilt,
    /// Width of the beam.
    Zoom,
    /// Sharpness.
    Focus,
    /// Diameter of the beam.
    Iris,
    /// A wheel of patterns, or its turning.
    Gobo,
    /// A wheel of colours.
    ColorWheel,
    /// A prism, or its turning.
    Prism,
    /// Opens and closes.
    Shutter,
    /// Flashes.
    Strobe,
    /// How fast something else is.
    Speed,
    /// Programs of the fixture itself.
    Macro,
    /// Anything else.
    Other,
}

impl Kind {
    /// The words on the wire, in the order of the type.
    pub const WORDS: [(&'static str, Self); 27] = [
        ("intensity", Self::Intensity),
        ("red", Self::Red),
        ("green", Self::Green),
        ("blue", Self::Blue),
        ("white", Self::White),
        ("amber", Self::Amber),
        ("uv", Self::Uv),
        ("lime", Self::Lime),
        ("cyan", Self::Cyan),
        ("magenta", Self::Magenta),
        ("yellow", Self::Yellow),
        ("warm_white", Self::WarmWhite),
        ("cold_white", Self::ColdWhite),
        ("cct", Self::Cct),
        ("pan", Self::Pan),
        ("tilt", Self::Tilt),
        ("zoom", Self::Zoom),
        ("focus", Self::Focus),
        ("iris", Self::Iris),
        ("gobo", Self::Gobo),
        ("color_wheel", Self::ColorWheel),
        ("prism", Self::Prism),
        ("shutter", Self::Shutter),
        ("strobe", Self::Strobe),
        ("speed", Self::Speed),
        ("macro", Self::Macro),
        ("other", Self::Other),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("other", |(word, _)| word)
    }

    /// The kind of a word on the wire.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
    }

    /// Whether it jumps at the start of a fade: what lies between two of its values is something else.
    #[must_use]
    pub fn snaps(self) -> bool {
        use Kind::{ColorWheel, Gobo, Macro, Prism, Shutter, Speed, Strobe};
        matches!(self, Shutter | Strobe | Gobo | ColorWheel | Prism | Speed | Macro)
    }

    /// Whether it stays as it is in blackout, also on a fixture that has nothing to dim: a head must not move.
    #[must_use]
    pub fn stays(self) -> bool {
        use Kind::{Focus, Other, Pan, Speed, Tilt, Zoom};
        matches!(self, Pan | Tilt | Speed | Zoom | Focus | Other)
    }

    /// Whether a colour is mixed with it. A wheel is not: dark, it would still turn.
    #[must_use]
    pub fn mixes(self) -> bool {
        use Kind::{Amber, Blue, ColdWhite, Cyan, Green, Lime, Magenta, Red, Uv, WarmWhite, White, Yellow};
        matches!(self, Red | Green | Blue | White | Amber | Uv | Lime | Cyan | Magenta | Yellow | WarmWhite | ColdWhite)
    }
}
