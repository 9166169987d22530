//! Fixture types as clients see them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::dmx::{FixtureType, Kind, Mode, Parameter};

/// A fixture type in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "FixtureTypeLine", description = "A fixture type, without its channels.")]
pub struct FixtureTypeLine {
    /// Its id.
    pub id: String,
    /// Who makes it; empty for a generic one.
    pub manufacturer: String,
    /// Its name.
    pub name: String,
    /// Whether it is there from the start, and for good.
    pub built_in: bool,
    /// At least one; the first is taken if none is named.
    pub modes: Vec<ModeLine>,
}

/// A mode in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "ModeLine", description = "A mode of a fixture type, without its channels.")]
pub struct ModeLine {
    /// Its name, unique in the type.
    pub name: String,
    /// How many channels it takes.
    pub channel_count: usize,
    /// What it does, each once: `intensity`, `red`, `pan` …
    pub kinds: Vec<&'static str>,
}

/// A fixture type with its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "FixtureType", description = "A fixture type.")]
pub struct FixtureTypeView {
    /// Its id.
    pub id: String,
    /// Who makes it; empty for a generic one.
    pub manufacturer: String,
    /// Its name.
    pub name: String,
    /// Whether it is there from the start, and for good.
    pub built_in: bool,
    /// At least one; the first is taken if none is named.
    pub modes: Vec<ModeView>,
}

/// A mode with its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "FixtureMode", description = "A mode of a fixture type.")]
pub struct ModeView {
    /// Its name, unique in the type.
    pub name: String,
    /// The names of its channels, in order: as many as it takes.
    pub channels: Vec<String>,
    /// What they do.
    pub parameters: Vec<ParameterView>,
}

/// One thing that a fixture does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "FixtureParameter", description = "One thing that a fixture does.")]
pub struct ParameterView {
    /// What it is: `intensity`, `red`, `pan` …; `other` if nothing is known.
    pub kind: &'static str,
    /// The channels that carry it, coarse first, counted from 1.
    pub channels: Vec<u16>,
    /// Its value at rest, on all of its channels.
    pub default: u32,
    /// The colours of a wheel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub colors: Vec<WheelColor>,
    /// Of a colour temperature: that at 0, and at full, in kelvin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kelvin: Option<Kelvin>,
}

/// A colour of a wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "WheelColor", description = "A colour of a wheel.")]
pub struct WheelColor {
    /// A value that shows it, on all channels of the wheel.
    pub value: u32,
    /// The colour, `#rrggbb`.
    pub color: String,
}

/// Colour temperatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Kelvin", description = "Colour temperatures, in kelvin.")]
pub struct Kelvin {
    /// At 0.
    pub zero: u16,
    /// At full.
    pub full: u16,
}

impl FixtureTypeLine {
    /// Of a type.
    #[must_use]
    pub fn of(one: &FixtureType, built_in: bool) -> Self {
        let (id, manufacturer, name) = (one.id.to_string(), one.manufacturer.clone(), one.name.clone());
        Self { id, manufacturer, name, built_in, modes: one.modes.iter().map(ModeLine::of).collect() }
    }
}

impl ModeLine {
    fn of(mode: &Mode) -> Self {
        let mut kinds: Vec<Kind> = Vec::new();
        for parameter in &mode.parameters {
            if !kinds.contains(&parameter.kind) {
                kinds.push(parameter.kind);
            }
        }
        let kinds = kinds.into_iter().map(Kind::word).collect();
        Self { name: mode.name.clone(), channel_count: mode.channels.len(), kinds }
    }
}

impl FixtureTypeView {
    /// Of a type.
    #[must_use]
    pub fn of(one: &FixtureType, built_in: bool) -> Self {
        let (id, manufacturer, name) = (one.id.to_string(), one.manufacturer.clone(), one.name.clone());
        Self { id, manufacturer, name, built_in, modes: one.modes.iter().map(ModeView::of).collect() }
    }
}

impl ModeView {
    fn of(mode: &Mode) -> Self {
        let parameters = mode.parameters.iter().map(ParameterView::of).collect();
        Self { name: mode.name.clone(), channels: mode.channels.clone(), parameters }
    }
}

impl ParameterView {
    fn of(one: &Parameter) -> Self {
        let color = |&(value, rgb): &(u32, crate::dmx::Rgb)| WheelColor {
            value,
            color: format!("#{:02x}{:02x}{:02x}", rgb.r, rgb.g, rgb.b),
        };
        Self {
            kind: one.kind.word(),
            channels: one.places.iter().map(|place| place + 1).collect(),
            default: one.default,
            colors: one.colors.iter().map(color).collect(),
            kelvin: one.kelvin.map(|(zero, full)| Kelvin { zero, full }),
        }
    }
}
