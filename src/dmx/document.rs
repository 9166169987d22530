//! Reading documents that people edit: every fault is named with the place where it is; what is not known is kept.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::project::TEXT_CHARS;
use super::refusal::{Faults, Reason, Refusal};

/// A JSON value; a fault of the text itself tells line and column.
pub(super) fn value(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::whole(Reason::NotJson, format!("not JSON: {error}")))
}

/// A JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match value(body)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Refusal::whole(Reason::ValidationFailed, "must be a JSON object")),
    }
}

/// A text of so many characters.
pub(super) fn text(value: &Value, at: &str, chars: RangeInclusive<usize>, faults: &mut Faults) -> Option<String> {
    let text = value.as_str().filter(|text| chars.contains(&text.chars().count()));
    if text.is_none() {
        faults.add(at, format!("must be a text of {} to {} characters", chars.start(), chars.end()));
    }
    text.map(str::to_owned)
}

/// A text of at most 2,000 characters, or nothing.
pub(super) fn optional(value: &Value, at: &str, faults: &mut Faults) -> Option<String> {
    if value.is_null() { None } else { text(value, at, 0..=TEXT_CHARS, faults) }
}
