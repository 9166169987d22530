//! The curves of fades, as schemas show them.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::dmx::Easing;

/// Each curve with its word and what it does.
pub(super) fn easing(_: &mut SchemaGenerator) -> Schema {
    let curves = Easing::WORDS.map(|(word, easing)| {
        let does = match easing {
            Easing::Linear => "Evenly.",
            Easing::SCurve => "Gently at both ends: t²(3−2t).",
            Easing::Expo => "Late: 2^(10(t−1)), 0 at t = 0.",
        };
        json_schema!({"description": does, "type": "string", "const": word})
    });
    json_schema!({"oneOf": curves})
}
