//! The curves of fades, as schemas show them.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::fields::Kind;
use crate::dmx::Easing;

/// A curve's word.
pub(super) const KIND: Kind = Kind::Words(&WORDS);

/// What each curve does.
pub(super) const SAYS: &str = "The curve; `linear` (the one of a command without): evenly; `s_curve`: gently at both ends, t²(3−2t); \
                               `expo`: late, 2^(10(t−1)), 0 at t = 0.";

const WORDS: [&str; 3] = {
    let [(linear, _), (s_curve, _), (expo, _)] = Easing::WORDS;
    [linear, s_curve, expo]
};

/// The curve in the schema of a running fade.
pub(super) fn easing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": WORDS, "description": SAYS})
}
