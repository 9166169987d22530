//! The topics of devices, and the messages on them.

use serde::Deserialize;

use crate::wire::without_mark;

/// Longest id of a device, in characters.
const LONGEST_ID: usize = 128;

/// dmxd's own id among them.
const SERVER: &str = "server";

/// The device whose topic this is. An id that is too long is not a device's: its topic is like any other.
pub(super) fn device_of(topic: &str) -> Option<&str> {
    let id = topic.strip_prefix("v1/devices/")?.strip_suffix("/state")?;
    let legal = !id.is_empty() && id != SERVER && !id.contains('/') && id.chars().nth(LONGEST_ID).is_none();
    legal.then_some(id)
}

/// A device's topic.
pub(super) fn topic_of(id: &str) -> String {
    format!("v1/devices/{id}/state")
}

/// Whether a message says `{"online":…}`, and which; devices may add other fields.
pub(super) fn says(payload: &[u8]) -> Option<bool> {
    #[derive(Deserialize)]
    struct Word {
        online: bool,
    }
    let payload = without_mark(payload);
    let is_object = payload.trim_ascii_start().starts_with(b"{"); // serde also reads a list as a struct
    serde_json::from_slice::<Word>(payload).ok().filter(|_| is_object).map(|word| word.online)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_level_of_at_most_128_characters_and_not_the_servers() {
        let (longest, longer) = ("é".repeat(128), "é".repeat(129));
        for id in ["a", "ESP 1", "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF", "+", &longest] {
            assert_eq!(device_of(&topic_of(id)), Some(id));
        }
        for id in ["", "server", "a/b", &longer] {
            assert_eq!(device_of(&topic_of(id)), None, "{id}");
        }
        for topic in ["v1/devices/a", "v1/devices/a/states", "/v1/devices/a/state", "v1/devices/state", ""] {
            assert_eq!(device_of(topic), None, "{topic}");
        }
    }

    #[test]
    fn only_an_object_with_a_boolean_says_something() {
        for (payload, expected) in [
            (r#"{"online":true}"#, Some(true)),
            (r#" { "rssi": -60, "online" : false } "#, Some(false)),
            (r#"{"online":1}"#, None),
            (r#"{"online":null}"#, None),
            (r#"[true]"#, None),
            (r#"true"#, None),
            ("online", None),
            ("", None),
        ] {
            assert_eq!(says(payload.as_bytes()), expected, "{payload}");
        }
    }
}
