//! Reading documents that people edit: every fault is reported with its place, and unknown fields are kept.

use serde_json::{Map, Value};

use super::refusal::{Reason, Refusal};

/// Most characters of other texts.
pub(super) const TEXT_CHARS: usize = 2000;

/// How deep a list of scenes, any other document and a snapshot may be: each fits inside the next one, and
/// `serde_json` reads 128 levels.
pub(super) const SCENES_DEPTH: usize = 90;
const DEPTH: usize = 100;
pub(super) const SNAPSHOT_DEPTH: usize = 110;

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Which item, for people: `scene "Opening", description`.
    pub item: String,
    /// What would have been valid.
    pub why: String,
}

/// The text without the byte order mark of Windows' editors (RFC 8259, 8.1: a reader may skip it).
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A body that is not JSON.
pub(super) fn not_json(body: &[u8], error: &serde_json::Error) -> Refusal {
    let empty = without_mark(body).iter().all(u8::is_ascii_whitespace);
    let wrong = if empty { "the body is empty".to_owned() } else { format!("not JSON: {error}") };
    Refusal::whole(Reason::NotJson, wrong)
}

/// A JSON value; a fault of the text itself tells line and column.
pub(super) fn value(body: &[u8], most: usize) -> Result<Value, Refusal> {
    let value: Value = serde_json::from_slice(without_mark(body)).map_err(|error| not_json(body, &error))?;
    if depth(&value) > most {
        return Err(Refusal::whole(Reason::ValidationFailed, format!("must not be nested deeper than {most} levels")));
    }
    Ok(value)
}

/// Depth of a value; the reader limits it to 128.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    object_within(body, DEPTH)
}

/// A JSON object of at most this depth.
pub(super) fn object_within(body: &[u8], most: usize) -> Result<Map<String, Value>, Refusal> {
    match value(body, most)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Refusal::whole(Reason::ValidationFailed, "must be a JSON object")),
    }
}
