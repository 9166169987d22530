//! Unified commands (CONTRACT, section 5): one reader for REST, WebSocket and MQTT, and the ack that all of them give.

use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::document::TEXT_CHARS;
use super::object::{CMD_SCHEMA, ECHOED_ID_CHARS, Object, integer};
use super::refusal::{Faults, pointer};
use super::{ChannelLevel, FieldError, Reason, Refusal};
use crate::dmx::{Channel, CommandId, Easing, LONGEST_FADE, Levels, Patch, Source, UniverseId};

/// Different channels of one patch (CONTRACT, section 5).
pub const PATCH_CHANNELS: usize = 64;

/// The commands that there are.
const KINDS: [&str; 5] = ["dmx.set", "dmx.patch", "dmx.fade", "scene.save", "scene.recall"];

/// Commands of the predecessor's plans that dmxd does not have.
const NOT_SUPPORTED: [&str; 2] = ["effect.apply", "motor.move"];

/// A unified command, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unified {
    /// The id as it was written, for the ack.
    pub written_id: String,
    /// What makes it one command.
    pub id: CommandId,
    /// Who asks.
    pub source: Source,
    /// When, by the client's clock, Unix milliseconds.
    pub ts: Option<u64>,
    /// What for.
    pub order: Order,
}

/// What a unified command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Levels, at once or by a fade.
    Levels {
        /// Which.
        patch: Patch,
        /// Zero: at once.
        over: Duration,
        /// How they get there.
        easing: Easing,
    },
    /// A look is kept as a scene.
    Save {
        /// The scene's name.
        name: String,
        /// Scene keys and levels.
        levels: Vec<(String, u8)>,
    },
    /// A scene becomes light.
    Recall {
        /// Its name, or its id.
        name: String,
        /// The time it takes; `None`: the scene's own.
        over: Option<Duration>,
    },
}

impl Order {
    /// The universe it commands; scenes have none of their own.
    #[must_use]
    pub fn universe(&self) -> Option<UniverseId> {
        match self {
            Self::Levels { patch, .. } => Some(patch.universe),
            Self::Save { .. } | Self::Recall { .. } => None,
        }
    }
}

/// A unified command as its schema shows it; [`Unified::from_json`] reads it. Each may have `ts` (integer, 0 or more) and
/// `src` (1 to 64 characters; absent: `rest`, `ws` or `mqtt`).
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[schemars(title = "dmx.command", description = "A unified command.", transform = with_sender)]
pub enum UnifiedCommand {
    /// One level.
    #[serde(rename = "dmx.set")]
    Set {
        /// 1 to 64 characters; a second command with the same one has no effect.
        #[schemars(length(min = 1, max = 64))]
        id: String,
        /// 0 to 63.
        #[schemars(range(max = 63))]
        universe: u8,
        /// 1 to 512.
        #[schemars(range(min = 1, max = 512))]
        channel: u16,
        /// Clamped to 0..255.
        value: i64,
    },
    /// Levels of 1 to 64 channels of one universe.
    #[serde(rename = "dmx.patch")]
    Patch {
        /// As above.
        #[schemars(length(min = 1, max = 64))]
        id: String,
        /// 0 to 63.
        #[schemars(range(max = 63))]
        universe: u8,
        /// Of a channel that stands there twice the last one counts.
        #[schemars(length(min = 1))]
        patch: Vec<ChannelLevel>,
    },
    /// The same over a time.
    #[serde(rename = "dmx.fade")]
    Fade {
        /// As above.
        #[schemars(length(min = 1, max = 64))]
        id: String,
        /// 0 to 63.
        #[schemars(range(max = 63))]
        universe: u8,
        /// As above.
        #[schemars(length(min = 1))]
        patch: Vec<ChannelLevel>,
        /// 0 to 86,400,000.
        #[schemars(range(max = 86_400_000))]
        duration_ms: u64,
        /// Absent: linear.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(schema_with = "super::easing::easing")]
        easing: Option<Easing>,
    },
    /// Keeps levels as a scene.
    #[serde(rename = "scene.save")]
    Save {
        /// As above.
        #[schemars(length(min = 1, max = 64))]
        id: String,
        /// Of the scene that is replaced or made.
        name: String,
        /// Levels by scene key.
        snapshot: std::collections::BTreeMap<String, u8>,
    },
    /// Makes a scene light.
    #[serde(rename = "scene.recall")]
    Recall {
        /// As above.
        #[schemars(length(min = 1, max = 64))]
        id: String,
        /// Name of the scene, else its id.
        name: String,
        /// Absent: the scene's own time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "u64", range(max = 86_400_000))]
        fade_ms: Option<u64>,
    },
}

/// Adds to each kind of command what every one of them may have, and a name for it.
fn with_sender(schema: &mut Schema) {
    let kinds = schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
    for kind in kinds.filter_map(Value::as_object_mut) {
        if let Some(fields) = kind.get_mut("properties").and_then(Value::as_object_mut) {
            let src = "Who asks; absent: the door, `rest`, `ws` or `mqtt`.";
            fields.insert("src".into(), json!({"type": "string", "minLength": 1, "maxLength": 64, "description": src}));
            let ts = "The client's clock, Unix milliseconds: which of two levels is the newer one.";
            fields.insert("ts".into(), json!({"type": "integer", "minimum": 0, "description": ts}));
        }
        let name =
            kind.get("properties").and_then(|fields| fields.pointer("/type/const")?.as_str()).unwrap_or_default();
        let words = name.split('.').filter_map(|word| word.split_at_checked(1));
        let title: String = words.map(|(first, rest)| first.to_uppercase() + rest).collect();
        kind.insert("title".into(), title.into());
    }
}

/// What became of a unified command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Ack", description = "What became of a unified command.")]
pub struct Ack {
    /// The command's id; `null` when none could be read.
    pub ack: Option<String>,
    /// Whether it was taken.
    pub accepted: bool,
    /// The server's clock, Unix milliseconds.
    pub ts: u64,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Every fault, in the order of the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Its id was seen before; nothing happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

impl Ack {
    /// It was taken, or was before.
    #[must_use]
    pub fn accepted(id: String, duplicate: bool, ts: u64) -> Self {
        Self { ack: Some(id), accepted: true, ts, reason: None, errors: Vec::new(), duplicate }
    }

    /// It was not taken.
    #[must_use]
    pub fn refused(refusal: Refusal, ts: u64) -> Self {
        let Refusal { reason, cmd_id, errors } = refusal;
        Self { ack: cmd_id, accepted: false, ts, reason: Some(reason.code()), errors, duplicate: false }
    }
}

impl Unified {
    /// Whether a message of this `type` is a unified command, supported or not.
    #[must_use]
    pub fn is_kind(kind: &str) -> bool {
        KINDS.contains(&kind) || NOT_SUPPORTED.contains(&kind)
    }

    /// Reads a unified command. `door` is the source of one that names none; universes from 0 to below `universes` may
    /// be commanded.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8], door: &Source, universes: u8) -> Result<Self, Refusal> {
        let object = Object::from_client(body)?;
        let written_id = object.string("id").filter(|id| id.chars().count() <= ECHOED_ID_CHARS);
        let refuse = |reason, errors| Refusal { reason, cmd_id: written_id.clone(), errors };
        let mut reader = Reader { object: &object, faults: Faults::default(), too_large: false, universes };
        let id = object.string("id").as_deref().and_then(CommandId::unified);
        if id.is_none() {
            reader.faults.field("id", "must be a string of 1 to 64 characters");
        }
        let source = match object.get("src") {
            None => Some(door.clone()),
            Some(_) => reader.faults.text(&object, "src"),
        };
        let ts = reader.faults.time(&object, 0);
        let order = match object.string("type").as_deref() {
            Some("dmx.set") => reader.set(),
            Some("dmx.patch") => reader.patch(Duration::ZERO, Easing::Linear, &[]),
            Some("dmx.fade") => reader.fade(),
            Some("scene.save") => reader.save(),
            Some("scene.recall") => reader.recall(),
            Some(kind) if NOT_SUPPORTED.contains(&kind) => {
                let fault = FieldError { path: "/type".into(), msg: format!("{kind} is not supported") };
                return Err(refuse(Reason::NotSupported, vec![fault]));
            }
            _ if object.string("schema").as_deref() == Some(CMD_SCHEMA) => {
                let msg = format!("{CMD_SCHEMA} is the lamp's: send it to …/rgb/cmd (MQTT) or POST /rgb");
                return Err(refuse(Reason::ValidationFailed, vec![FieldError { path: "/schema".into(), msg }]));
            }
            _ => {
                reader.faults.field("type", format!("must be one of {}", KINDS.join(", ")));
                None
            }
        };
        let Reader { faults, too_large, .. } = reader;
        match (id, source, order) {
            (Some(id), Some(source), Some(order)) if faults.is_empty() => {
                Ok(Self { written_id: written_id.unwrap_or_default(), id, source, ts, order })
            }
            _ if too_large => Err(refuse(Reason::PatchTooLarge, faults.into_errors())),
            _ => Err(refuse(Reason::ValidationFailed, faults.into_errors())),
        }
    }
}

/// Fields of one body.
struct Reader<'a> {
    object: &'a Object<'a>,
    faults: Faults,
    too_large: bool,
    universes: u8,
}

impl Reader<'_> {
    fn set(&mut self) -> Option<Order> {
        self.only(&["universe", "channel", "value"]);
        let (universe, channel) = (self.universe(), self.channel("channel"));
        let value = self.faults.level(self.object, "value");
        let levels = vec![(channel?, value?)];
        Some(Order::Levels {
            patch: Patch { universe: universe?, levels },
            over: Duration::ZERO,
            easing: Easing::Linear,
        })
    }

    fn fade(&mut self) -> Option<Order> {
        let over = self.duration("durationMs");
        if self.object.get("durationMs").is_none() {
            self.faults.field("durationMs", "is missing");
        }
        let easing = match self.object.get("easing") {
            None => Some(Easing::Linear),
            Some(_) => {
                let word = self.object.string("easing").unwrap_or_default();
                let known = Easing::WORDS.into_iter().find(|(name, _)| *name == word);
                if known.is_none() {
                    self.faults.field("easing", "must be \"linear\", \"s_curve\" or \"expo\"");
                }
                known.map(|(_, easing)| easing)
            }
        };
        self.patch(over.unwrap_or_default(), easing.unwrap_or_default(), &["durationMs", "easing"])
    }

    fn patch(&mut self, over: Duration, easing: Easing, more: &[&str]) -> Option<Order> {
        self.only(&[&["universe", "patch"], more].concat());
        let (universe, levels) = (self.universe(), self.levels());
        Some(Order::Levels { patch: Patch { universe: universe?, levels: levels? }, over, easing })
    }

    fn save(&mut self) -> Option<Order> {
        self.only(&["name", "snapshot"]);
        let name = self.name();
        let Some(snapshot) = self.object.get("snapshot").and_then(|raw| Object::parse(raw.as_bytes()).ok()) else {
            self.faults.field("snapshot", "must be an object of scene keys and levels");
            return None;
        };
        let mut levels = Vec::new();
        for (key, raw) in snapshot.entries() {
            match integer(raw).and_then(|level| u8::try_from(level).ok()) {
                Some(level) => levels.push((key.to_owned(), level)),
                None => self.faults.add(pointer("/snapshot", key), "must be an integer from 0 to 255"),
            }
        }
        Some(Order::Save { name: name?, levels })
    }

    fn recall(&mut self) -> Option<Order> {
        self.only(&["name", "fadeMs"]);
        let (name, over) = (self.name(), self.duration("fadeMs"));
        Some(Order::Recall { name: name?, over })
    }

    /// Faults for fields that a command of this kind does not have.
    fn only(&mut self, own: &[&str]) {
        for (name, _) in self.object.entries() {
            if !["type", "id", "src", "ts"].contains(&name) && !own.contains(&name) {
                self.faults.field(name, "is not a field of this command");
            }
        }
    }

    fn universe(&mut self) -> Option<UniverseId> {
        let number = self.object.get("universe").and_then(integer).and_then(|number| u8::try_from(number).ok());
        let universe = number.filter(|&number| number < self.universes).and_then(UniverseId::new);
        if universe.is_none() {
            self.faults.field("universe", format!("must be an integer from 0 to {}", self.universes.saturating_sub(1)));
        }
        universe
    }

    fn channel(&mut self, name: &str) -> Option<Channel> {
        let channel = self.object.get(name).and_then(channel);
        if channel.is_none() {
            self.faults.field(name, "must be an integer from 1 to 512");
        }
        channel
    }

    fn name(&mut self) -> Option<String> {
        let name = self.object.string("name").filter(|name| (1..=TEXT_CHARS).contains(&name.chars().count()));
        if name.is_none() {
            self.faults.field("name", format!("must be a string of 1 to {TEXT_CHARS} characters"));
        }
        name
    }

    /// A time in milliseconds, when there is one.
    fn duration(&mut self, name: &str) -> Option<Duration> {
        let most = LONGEST_FADE.as_millis();
        let ms = integer(self.object.get(name)?).and_then(|ms| u64::try_from(ms).ok());
        let duration = ms.filter(|&ms| u128::from(ms) <= most).map(Duration::from_millis);
        if duration.is_none() {
            self.faults.field(name, format!("must be an integer from 0 to {most} (milliseconds)"));
        }
        duration
    }

    /// The levels of a patch; of a channel that stands there twice the last one counts.
    fn levels(&mut self) -> Option<Levels> {
        let items: Option<Vec<&RawValue>> = self.object.get("patch").and_then(|raw| serde_json::from_str(raw).ok());
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            self.faults.field("patch", "must be a list of {\"ch\",\"val\"}, 1 to 64 channels");
            return None;
        };
        let mut levels = Levels::new();
        for (n, item) in items.into_iter().enumerate() {
            let at = pointer("/patch", &n.to_string());
            let Some((channel, level)) = self.level_of(item, &at) else { continue };
            if let Some((_, before)) = levels.iter_mut().find(|(known, _)| *known == channel) {
                *before = level;
            } else if levels.len() < PATCH_CHANNELS {
                levels.push((channel, level));
            } else {
                self.too_large = true;
                self.faults.field("patch", format!("must have at most {PATCH_CHANNELS} different channels"));
                return None;
            }
        }
        Some(levels)
    }

    fn level_of(&mut self, item: &RawValue, at: &str) -> Option<(Channel, u8)> {
        let Ok(item) = Object::parse(item.get().as_bytes()) else {
            self.faults.add(at, "must be {\"ch\",\"val\"}");
            return None;
        };
        let channel = item.get("ch").and_then(channel);
        if channel.is_none() {
            self.faults.add(pointer(at, "ch"), "must be an integer from 1 to 512");
        }
        let level = self.faults.level_at(&item, at, "val");
        for (name, _) in item.entries().filter(|(name, _)| !["ch", "val"].contains(name)) {
            self.faults.add(pointer(at, name), "is not a field of a patch");
        }
        Some((channel?, level?))
    }
}

fn channel(raw: &str) -> Option<Channel> {
    integer(raw).and_then(|number| u16::try_from(number).ok()).and_then(Channel::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Unified, Refusal> {
        Unified::from_json(body.as_bytes(), &"rest".parse().unwrap(), 64)
    }

    fn refusal(body: &str) -> (&'static str, Vec<String>) {
        let refusal = read(body).unwrap_err();
        (refusal.reason.code(), refusal.errors.into_iter().map(|fault| fault.path).collect())
    }

    #[test]
    fn each_kind_is_read() {
        let set = read(r#"{"type":"dmx.set","id":"x","universe":2,"channel":7,"value":300,"ts":0}"#).unwrap();
        let universe = UniverseId::new(2).unwrap();
        let [five, seven] = [5, 7].map(|n| Channel::new(n).unwrap());
        let patch = |levels| Patch { universe, levels };
        let at_once = |levels| Order::Levels { patch: patch(levels), over: Duration::ZERO, easing: Easing::Linear };
        assert_eq!((set.order, set.source.as_str()), (at_once(vec![(seven, 255)]), "rest"));
        let twice = r#"[{"ch":7,"val":1},{"ch":5,"val":2},{"ch":7,"val":3}]"#;
        let patched =
            read(&format!(r#"{{"type":"dmx.patch","id":"x","src":"s","universe":2,"patch":{twice}}}"#)).unwrap();
        assert_eq!(patched.order, at_once(vec![(seven, 3), (five, 2)]));
        let fade = format!(
            r#"{{"type":"dmx.fade","id":"x","universe":2,"patch":{twice},"durationMs":1500,"easing":"s_curve"}}"#
        );
        let over = Duration::from_millis(1500);
        let expected = Order::Levels { patch: patch(vec![(seven, 3), (five, 2)]), over, easing: Easing::SCurve };
        assert_eq!(read(&fade).unwrap().order, expected);
        let save = read(r#"{"type":"scene.save","id":"x","name":"a","snapshot":{"2/7":1,"foo":2}}"#).unwrap();
        assert_eq!(save.order, Order::Save { name: "a".into(), levels: vec![("2/7".into(), 1), ("foo".into(), 2)] });
        let recall = read(r#"{"type":"scene.recall","id":"x","name":"a","fadeMs":0}"#).unwrap();
        assert_eq!(recall.order, Order::Recall { name: "a".into(), over: Some(Duration::ZERO) });
    }

    #[test]
    fn an_id_that_is_a_ulid_is_the_lamps_too_and_the_ack_repeats_it_as_it_was_written() {
        let id = "01hzx3yj9yj3m5qaz3gz8k3qff";
        let read = read(&format!(r#"{{"type":"scene.recall","id":"{id}","name":"a"}}"#)).unwrap();
        assert_eq!((read.id.as_str(), read.written_id.as_str()), ("01HZX3YJ9YJ3M5QAZ3GZ8K3QFF", id));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let failed = "VALIDATION_FAILED";
        for (body, reason, paths) in [
            ("[]", failed, vec![""]),
            ("{}", failed, vec!["/id", "/type"]),
            (r#"{"type":"dmx.set","id":"x"}"#, failed, vec!["/universe", "/channel", "/value"]),
            (
                r#"{"type":"dmx.set","id":"","universe":64,"channel":0,"value":1.0,"src":"","ts":-1,"a":1}"#,
                failed,
                vec!["/id", "/src", "/ts", "/a", "/universe", "/channel", "/value"],
            ),
            (r#"{"type":"dmx.patch","id":"x","universe":0,"patch":[]}"#, failed, vec!["/patch"]),
            (
                r#"{"type":"dmx.patch","id":"x","universe":0,"patch":[{"ch":513,"val":"1","x":0},7]}"#,
                failed,
                vec!["/patch/0/ch", "/patch/0/val", "/patch/0/x", "/patch/1"],
            ),
            (
                r#"{"type":"dmx.fade","id":"x","universe":0,"patch":[{"ch":1,"val":1}],"easing":"bounce"}"#,
                failed,
                vec!["/durationMs", "/easing"],
            ),
            (
                r#"{"type":"dmx.fade","id":"x","universe":0,"patch":[{"ch":1,"val":1}],"durationMs":86400001}"#,
                failed,
                vec!["/durationMs"],
            ),
            (r#"{"type":"scene.save","id":"x","name":"","snapshot":{"a":256}}"#, failed, vec!["/name", "/snapshot/a"]),
            (r#"{"type":"scene.save","id":"x","name":"a"}"#, failed, vec!["/snapshot"]),
            (r#"{"type":"effect.apply","id":"x"}"#, "NOT_SUPPORTED", vec!["/type"]),
            (r#"{"type":"motor.move","id":"x","motor":3}"#, "NOT_SUPPORTED", vec!["/type"]),
        ] {
            assert_eq!(refusal(body), (reason, paths.into_iter().map(str::to_owned).collect()), "{body}");
        }
        assert_eq!(read("{").unwrap_err().reason, Reason::NotJson);
    }

    #[test]
    fn a_patch_has_64_different_channels_at_the_most() {
        let patch = |channels: &mut dyn Iterator<Item = usize>| {
            let items: Vec<_> = channels.map(|ch| format!(r#"{{"ch":{ch},"val":1}}"#)).collect();
            format!(r#"{{"type":"dmx.patch","id":"x","universe":0,"patch":[{}]}}"#, items.join(","))
        };
        assert!(read(&patch(&mut (1..=64).chain(1..=64))).is_ok());
        assert_eq!(refusal(&patch(&mut (1..=65))), ("PATCH_TOO_LARGE", vec!["/patch".to_owned()]));
    }
}
