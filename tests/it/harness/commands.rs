//! Command bodies, each with an id of its own.

use serde_json::{Value, json};

/// A new ULID.
pub fn fresh_id() -> String {
    ulid::Ulid::generate().to_string()
}

/// A command with a new id.
pub fn command(rgb: [u8; 3]) -> Value {
    command_with(&fresh_id(), rgb)
}

/// A command with a given id.
pub fn command_with(id: &str, [r, g, b]: [u8; 3]) -> Value {
    json!({"cmdId": id, "src": "test", "r": r, "g": g, "b": b})
}

/// A colour that encodes a number, so that a state shows which command made it.
pub fn colour(index: u32) -> [u8; 3] {
    assert!(index < 1 << 24);
    let [_, r, g, b] = index.to_be_bytes();
    [r, g, b]
}

/// The number in a colour.
pub fn index_of([r, g, b]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, r, g, b])
}

/// The colour of a state or command.
pub fn rgb_of(body: &Value) -> [u8; 3] {
    ["r", "g", "b"].map(|name| u8::try_from(body[name].as_u64().expect("a level")).expect("a byte"))
}
