//! A command, and the one reader of `demo.rgb.cmd.v1` for all doors.
//!
//! Numbers are read from their own text, so that 1.0 and 1e2 stay apart from integers and five thousand
//! digits cost nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::glance::Glance;
use super::refusal::{Faults, pointer};
use super::{CommandId, Easing, Look, Patch, ProjectId, Reason, Refusal, Rgb, Source, Unified, document};

/// The `schema` of a command.
pub const CMD_SCHEMA: &str = "demo.rgb.cmd.v1";

/// A request to change light, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What makes it one command, by whatever door and however often it comes.
    pub id: CommandId,
    /// Who asks.
    pub source: Source,
    /// When, by the client's clock, Unix milliseconds; `None` when it does not say.
    pub ts: Option<u64>,
    /// What for: at most one patch a universe. None: only the id is remembered.
    pub patches: Vec<Patch>,
    /// The time that the levels take to get there; zero: at once.
    pub over: Duration,
    /// How they get there.
    pub easing: Easing,
    /// The scene whose levels these are.
    pub scene: Option<Arc<str>>,
    /// The project that the scene was looked up in: in another one the command does nothing.
    pub project: Option<ProjectId>,
    /// A scene that becomes this look with the command: in effect, it is so no more, unless the light is that look.
    pub saves: Option<Look>,
}

impl Command {
    /// Levels of one universe, at once.
    #[must_use]
    pub fn set(id: CommandId, source: Source, patch: Patch) -> Self {
        Self {
            id,
            source,
            ts: None,
            patches: vec![patch],
            over: Duration::ZERO,
            easing: Easing::Linear,
            scene: None,
            project: None,
            saves: None,
        }
    }

    /// Reads a `demo.rgb.cmd.v1` body (MQTT, REST).
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        read(&Object::from_client(body)?, "schema", CMD_SCHEMA)
    }

    /// Reads a WebSocket `set` message: the same fields with `"type":"set"` in the place of `schema`.
    ///
    /// # Errors
    /// Every fault of the message; nothing else happens.
    pub fn from_set_message(body: &[u8]) -> Result<Self, Refusal> {
        read(&Object::parse(body)?, "type", "set")
    }

    /// Whether it sets every channel that `other` sets, so that after both only this one is seen.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        !other.patches.is_empty()
            && other.patches.iter().all(|theirs| self.patches.iter().any(|mine| mine.covers(theirs)))
    }

    /// Whether this is one step of a finger on a tablet, which a newer one may replace. A scene, kept or recalled, is none.
    #[must_use]
    pub fn is_ui_drag(&self) -> bool {
        self.source.is_ui() && self.scene.is_none() && !self.patches.is_empty()
    }
}

/// `demo.rgb.cmd.v1` as its schema shows it; [`Command::from_json`] is what reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, title = "demo.rgb.cmd.v1", description = "A request to change the colour of the lamp.")]
pub struct RgbCommand {
    /// Filled in when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("const" = CMD_SCHEMA))]
    pub schema: Option<String>,
    /// ULID, in any case. A second command with the same id has no effect.
    #[schemars(regex(pattern = "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"))]
    pub cmd_id: String,
    /// Who asks. `ui` and `ui-…` are drags: the oldest is dropped when the queue is full.
    #[schemars(length(min = 1, max = 64))]
    pub src: String,
    /// Red; clamped to 0..255. Written as an integer: 1.0 and 1e2 are refused.
    #[schemars(range(min = i64::MIN, max = u64::MAX))]
    pub r: i128,
    /// Green, as red.
    #[schemars(range(min = i64::MIN, max = u64::MAX))]
    pub g: i128,
    /// Blue, as red.
    #[schemars(range(min = i64::MIN, max = u64::MAX))]
    pub b: i128,
    /// The client's clock, Unix milliseconds: a level that is up to 2 s older than the newest of this client is `STALE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1, max = u64::MAX))]
    pub ts: Option<u64>,
}

/// A JSON object with its values still text; of a name given twice the last one stands.
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

    /// A message of a client's, in which each key must stand once.
    ///
    /// # Errors
    /// As above, and keys that are given twice.
    pub(crate) fn from_client(body: &'a [u8]) -> Result<Self, Refusal> {
        let object = Self::parse(body)?;
        let id = || object.string("cmdId").or_else(|| object.string("id"));
        let named = |refusal| Refusal { cmd_id: id().filter(|id| id.chars().count() <= ECHOED_ID_CHARS), ..refusal };
        Glance::over(body).each_key_once().map_err(named)?;
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

    /// The value of a name when it is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|raw| serde_json::from_str(raw).ok())
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

/// Reads the fields of a lamp command whose kind stands in `tag`.
fn read(object: &Object<'_>, tag: &str, kind: &str) -> Result<Command, Refusal> {
    let mut faults = Faults::default();
    let echoed = |name| object.string(name).filter(|id| id.chars().count() <= ECHOED_ID_CHARS);
    if let Some(unified) = object.string("type").filter(|kind| tag != "type" && Unified::is_kind(kind)) {
        faults.field(
            "type",
            format!("{unified} is a unified command: send it to dmx/command (MQTT), POST /command or /ws"),
        );
        let cmd_id = echoed("cmdId").or_else(|| echoed("id"));
        return Err(Refusal { reason: Reason::ValidationFailed, cmd_id, errors: faults.into_errors() });
    }
    if let Some(raw) = object.get(tag)
        && serde_json::from_str::<String>(raw).ok().as_deref() != Some(kind)
    {
        faults.field(tag, format!("must be \"{kind}\""));
    }
    let id = faults.text::<CommandId, _>(object, "cmdId");
    let source = faults.text::<Source, _>(object, "src");
    let [r, g, b] = ["r", "g", "b"].map(|name| faults.level(object, name));
    let ts = faults.time(object, 1);
    for (name, _) in &object.0 {
        if ![tag, "cmdId", "src", "r", "g", "b", "ts"].contains(&name.as_str()) {
            faults.field(name, "is not a field of a command");
        }
    }
    match (id, source, r, g, b) {
        (Some(id), Some(source), Some(r), Some(g), Some(b)) if faults.is_empty() => {
            Ok(Command { ts, ..Command::set(id, source, Patch::lamp(Rgb { r, g, b })) })
        }
        _ => Err(Refusal { reason: Reason::ValidationFailed, cmd_id: echoed("cmdId"), errors: faults.into_errors() }),
    }
}

/// The longest `cmdId` that a refusal repeats; unified commands allow ids of this length.
pub(super) const ECHOED_ID_CHARS: usize = super::ID_CHARS;

impl Faults {
    /// A fault of a field of the object itself.
    pub(super) fn field(&mut self, name: &str, msg: impl Into<String>) {
        self.add(pointer("", name), msg);
    }

    /// A field that is a text of some kind.
    pub(super) fn text<T, E>(&mut self, object: &Object<'_>, name: &str) -> Option<T>
    where
        T: std::str::FromStr<Err = E>,
        E: fmt::Display,
    {
        let parsed = match object.get(name) {
            None => Err("is missing".to_owned()),
            Some(raw) => match serde_json::from_str::<String>(raw) {
                Ok(text) => text.parse().map_err(|e: E| e.to_string()),
                Err(_) => Err("must be a string".to_owned()),
            },
        };
        parsed.map_err(|msg| self.field(name, msg)).ok()
    }

    /// The client's clock, at least `least`, when it stands there.
    pub(super) fn time(&mut self, object: &Object<'_>, least: u64) -> Option<u64> {
        let ts = integer(object.get("ts")?).and_then(|ts| u64::try_from(ts).ok()).filter(|&ts| ts >= least);
        if ts.is_none() {
            self.field("ts", format!("must be an integer, {least} or more (Unix milliseconds)"));
        }
        ts
    }

    /// A level, clamped.
    pub(super) fn level(&mut self, object: &Object<'_>, name: &str) -> Option<u8> {
        self.level_at(object, "", name)
    }

    /// The same in an object that stands at a JSON pointer.
    pub(super) fn level_at(&mut self, object: &Object<'_>, at: &str, name: &str) -> Option<u8> {
        let parsed = match object.get(name) {
            None => Err("is missing"),
            Some(raw) => integer(raw).ok_or("must be an integer (it is clamped to 0..255)"),
        };
        match parsed {
            Ok(value) => u8::try_from(value.clamp(0, 255)).ok(),
            Err(msg) => {
                self.add(pointer(at, name), msg);
                None
            }
        }
    }
}

/// An integer that fits 64 bits, signed or not; nothing with a fraction or an exponent.
pub(super) fn integer(raw: &str) -> Option<i128> {
    raw.parse::<i64>().map(i128::from).or_else(|_| raw.parse::<u64>().map(i128::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF";

    fn body(rest: &str) -> String {
        format!(r#"{{"cmdId":"{ID}","src":"t",{rest}}}"#)
    }

    fn colour(rest: &str) -> Option<Rgb> {
        let command = Command::from_json(body(rest).as_bytes()).ok()?;
        let mut frame = super::super::Frame::DARK;
        frame.set(&command.patches[0].levels);
        Some(frame.rgb())
    }

    #[test]
    fn integers_of_64_bits_are_clamped() {
        assert_eq!(colour(r#""r":300,"g":-5,"b":7"#), Some(Rgb { r: 255, g: 0, b: 7 }));
        assert_eq!(
            colour(r#""r":18446744073709551615,"g":-9223372036854775808,"b":-0"#),
            Some(Rgb { r: 255, g: 0, b: 0 })
        );
    }

    #[test]
    fn what_is_no_integer_is_refused_with_its_place() {
        let many = "9".repeat(5000);
        for value in ["1.5", "1.0", "1e2", "\"1\"", "null", "true", "[]", "{}", "18446744073709551616", &many] {
            let refusal = Command::from_json(body(&format!(r#""r":1,"g":{value},"b":1"#)).as_bytes()).unwrap_err();
            assert_eq!(refusal.reason, Reason::ValidationFailed, "{value}");
            assert_eq!(refusal.cmd_id.as_deref(), Some(ID));
            assert_eq!(refusal.errors.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), ["/g"], "{value}");
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let refusal = Command::from_json(br#"{"schema":"x","cmdId":1,"r":"1","ts":0,"a/b":1}"#).unwrap_err();
        let paths: Vec<_> = refusal.errors.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["/schema", "/cmdId", "/src", "/r", "/g", "/b", "/ts", "/a~1b"]);
        assert_eq!(refusal.cmd_id, None);
    }

    #[test]
    fn no_json_scalars_and_deep_nesting_are_refusals() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (text, reason) in [
            ("", Reason::NotJson),
            ("{", Reason::NotJson),
            ("{} x", Reason::NotJson),
            ("null", Reason::ValidationFailed),
            ("1", Reason::ValidationFailed),
            ("[]", Reason::ValidationFailed),
            (&deep, Reason::ValidationFailed),
        ] {
            assert_eq!(Command::from_json(text.as_bytes()).unwrap_err().reason, reason, "{:.20}", text);
        }
        assert_eq!(Command::from_json(b"\xff").unwrap_err().reason, Reason::NotJson);
        let nested = body(&format!(r#""r":1,"g":1,"b":{deep}"#));
        assert_eq!(Command::from_json(nested.as_bytes()).unwrap_err().reason, Reason::ValidationFailed);
    }

    #[test]
    fn a_set_message_is_the_same_command() {
        let set = format!(r#"{{"type":"set","cmdId":"{ID}","src":"ui","r":1,"g":2,"b":3}}"#);
        let command = Command::from_set_message(set.as_bytes()).unwrap();
        assert_eq!(command.patches[0], Patch::lamp(Rgb { r: 1, g: 2, b: 3 }));
        assert!(command.is_ui_drag());
    }
}
