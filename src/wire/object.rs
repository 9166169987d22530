//! A client's message, with its values still as text.
//!
//! Numbers are read from their own text, so that 1.0 and 1e2 differ from integers, and five thousand
//! digits cost nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{JsonScan, Reason, Refusal, document};
use crate::dmx;

/// A JSON object with its values still as text; if a name is repeated, the last value counts.
#[derive(Default)]
pub(crate) struct Object<'a>(Vec<(String, &'a str)>);

impl<'a> Object<'a> {
    /// # Errors
    /// Not UTF-8, not JSON, or not an object.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(document::without_mark(body))
            .map_err(|e| Refusal::whole(Reason::NotJson, format!("not UTF-8: {e}")))?;
        let not_json = |error| document::not_json(body, &error);
        let raw: &RawValue = serde_json::from_str(text).map_err(not_json)?;
        if !raw.get().starts_with('{') {
            return Err(Refusal::whole(Reason::ValidationFailed, "must be a JSON object"));
        }
        serde_json::from_str(raw.get()).map_err(not_json)
    }

    /// A client's message, in which no key may be repeated.
    ///
    /// # Errors
    /// As above, and repeated keys.
    pub(crate) fn from_client(body: &'a [u8]) -> Result<Self, Refusal> {
        let object = Self::parse(body)?;
        let named = |refusal| Refusal { cmd_id: object.echoed("cmdId").or_else(|| object.echoed("id")), ..refusal };
        JsonScan::over(body).each_key_once().map_err(named)?;
        Ok(object)
    }

    /// The value of a name, as JSON text.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|&(_, value)| value)
    }

    /// All fields, in the order of the text.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The value of a name if it is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|raw| serde_json::from_str(raw).ok())
    }

    /// The value of a name if it is an integer from 0 that fits 64 bits.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(integer).and_then(|number| u64::try_from(number).ok())
    }

    /// The value of a name if it is an integer, clamped to a level.
    pub(super) fn level(&self, name: &str) -> Option<u8> {
        self.get(name).and_then(integer).and_then(|number| u8::try_from(number.clamp(0, 255)).ok())
    }

    /// The value of a name if it is a number from 0 to 1.
    pub(super) fn part(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(part)
    }

    /// The value of a name if it is true or false.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(|raw| raw.parse().ok())
    }

    /// An id that a refusal may repeat.
    pub(super) fn echoed(&self, name: &str) -> Option<String> {
        self.string(name).filter(|id| id.chars().count() <= ECHOED_ID_CHARS)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push((entry.0, entry.1.get()));
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Fields).map(Object)
    }
}

/// The `schema` of a lamp command.
pub const CMD_SCHEMA: &str = "demo.rgb.cmd.v1";

/// The longest `cmdId` that a refusal repeats; ids of unified commands may have this length.
const ECHOED_ID_CHARS: usize = dmx::ID_CHARS;

/// An integer that fits 64 bits, signed or not; nothing with a fraction or an exponent.
pub(super) fn integer(raw: &str) -> Option<i128> {
    raw.parse::<i64>().map(i128::from).or_else(|_| raw.parse::<u64>().map(i128::from)).ok()
}

/// A number from 0 to 1.
pub(super) fn part(raw: &str) -> Option<f64> {
    serde_json::from_str::<f64>(raw).ok().filter(|part| (0.0..=1.0).contains(part))
}
