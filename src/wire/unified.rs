//! Unified commands (CONTRACT, section 5): one reader for REST, WebSocket and MQTT, and the ack that all of them give.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::document::TEXT_CHARS;
use super::fields::{Body, CHANNEL, CLOCK, FADE_MS, Field, Form, Json, Kind, LEVEL, SRC, UNIVERSE};
use super::object::{CMD_SCHEMA, Object, integer};
use super::refusal::Faults;
use super::{FieldError, Reason, Refusal, easing};
use crate::dmx::{self, Channel, CommandId, Easing, Levels, Patch, Rgb, SCENE_ID_CHARS, Source, UniverseId, Wanted};

/// Different channels of one patch (CONTRACT, section 5).
pub const PATCH_CHANNELS: usize = 64;

/// Commands of the predecessor's plans that dmxd does not have.
const NOT_SUPPORTED: [&str; 2] = ["effect.apply", "motor.move"];

/// A unified command, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Unified {
    /// The id as it was written, for the ack.
    pub written_id: String,
    /// Its id: the same command has the same one.
    pub id: CommandId,
    /// Who sent it.
    pub source: Source,
    /// When, by the client's clock, Unix milliseconds.
    pub ts: Option<u64>,
    /// What it does.
    pub order: Order,
}

/// The effect of a unified command.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Levels, at once or by a fade.
    Levels {
        /// The levels.
        patch: Patch,
        /// Zero: at once.
        over: Duration,
        /// The curve.
        easing: Easing,
    },
    /// Moves fixtures and groups.
    Fixtures {
        /// Their ids.
        targets: Vec<String>,
        /// What of them.
        wanted: Wanted,
        /// Zero: at once.
        over: Duration,
        /// The curve.
        easing: Easing,
    },
    /// Stores a look as a scene.
    Save {
        /// The scene's name.
        name: String,
        /// Scene keys and levels.
        levels: Vec<(String, u8)>,
    },
    /// Recalls a scene.
    Recall {
        /// Its name, or its id.
        name: String,
        /// How long it takes; `None`: the scene's own time.
        over: Option<Duration>,
    },
}

impl Order {
    /// The universe it commands; scenes and fixtures have none.
    #[must_use]
    pub fn universe(&self) -> Option<UniverseId> {
        match self {
            Self::Levels { patch, .. } => Some(patch.universe),
            Self::Fixtures { .. } | Self::Save { .. } | Self::Recall { .. } => None,
        }
    }
}

impl JsonSchema for Unified {
    fn schema_name() -> Cow<'static, str> {
        "UnifiedCommand".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = KINDS.iter().map(|(_, body)| body.reference(generator)).collect();
        json_schema!({"title": "dmx.command", "description": "A unified command.", "oneOf": kinds})
    }
}

/// All unified commands. What their schemas cannot say: universes from the setting `engine.universes` on are refused,
/// and more than 64 different channels in a patch.
pub(super) const KINDS: [(&str, &Body); 6] = [
    ("dmx.set", &SET),
    ("dmx.patch", &PATCH),
    ("dmx.fade", &FADE),
    ("fixture.set", &FIXTURE),
    ("scene.save", &SAVE),
    ("scene.recall", &RECALL),
];

/// Fields of every command.
const ANY: Body = Body {
    title: "dmx.command",
    says: "",
    fields: &[ID, SOURCE, TS, kind(&["dmx.set", "dmx.patch", "dmx.fade", "fixture.set", "scene.save", "scene.recall"])],
    open: true,
    example: "{}",
};

const SET: Body = Body {
    title: "DmxSet",
    says: "One level.",
    fields: &[
        kind(&["dmx.set"]),
        ID,
        SOURCE,
        TS,
        IN,
        Field::new("channel", CHANNEL, "Which channel."),
        Field::new("value", Kind::Clamped, "Its level; clamped to 0..255."),
    ],
    open: false,
    example: r#"{"type":"dmx.set","id":"tour-1","universe":0,"channel":7,"value":255}"#,
};

const PATCH: Body = Body {
    title: "DmxPatch",
    says: "Levels of 1 to 64 channels of one universe.",
    fields: &[kind(&["dmx.patch"]), ID, SOURCE, TS, IN, LEVELS],
    open: false,
    example: r#"{"type":"dmx.patch","id":"tour-2","universe":0,"patch":[{"ch":7,"val":255},{"ch":8,"val":80}]}"#,
};

const FADE: Body = Body {
    title: "DmxFade",
    says: "The same over a time.",
    fields: &[
        kind(&["dmx.fade"]),
        ID,
        SOURCE,
        TS,
        IN,
        LEVELS,
        Field::new("durationMs", FADE_MS, "The time, milliseconds."),
        Field::new("easing", easing::KIND, easing::SAYS).optional(),
    ],
    open: false,
    example: r#"{"type":"dmx.fade","id":"tour-3","universe":0,"patch":[{"ch":7,"val":0}],"durationMs":2000}"#,
};

/// What its schema cannot say: more than so many targets are refused, and so are one that is not patched, a kind that no target
/// has, and values without any.
const FIXTURE: Body = Body {
    title: "FixtureSet",
    says: "Moves fixtures and groups of them, at once or over a time.",
    fields: &[
        kind(&["fixture.set"]),
        ID,
        SOURCE,
        TS,
        Field::new("targets", Kind::List(&Kind::Text(1, SCENE_ID_CHARS), 1), "Ids of fixtures and groups."),
        Field::new("values", Kind::Body(&VALUES), "What of them; a fixture without a kind leaves it to the others."),
        Field::new("durationMs", FADE_MS, "The time, milliseconds; absent: at once.").optional(),
        Field::new("easing", easing::KIND, easing::SAYS).optional(),
    ],
    open: false,
    example: r##"{"type":"fixture.set","id":"tour-6","targets":["fx-par"],"values":{"intensity":1,"color":"#ff0000"}}"##,
};

/// Most targets of one command.
const MOST_TARGETS: usize = 2_000;

const VALUES: Body = Body {
    title: "FixtureValues",
    says: "Kinds with their part of full, and a colour.",
    fields: &VALUE_FIELDS,
    open: false,
    example: r##"{"intensity":0.5,"color":"#ff0000"}"##,
};

/// A kind each, and the colour.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const VALUE_FIELDS: [Field; dmx::Kind::WORDS.len() + 1] = {
    let colour =
        Field::new("color", COLOUR, "Spread over the emitters that each fixture has; kinds beside it count more.");
    let mut fields = [colour.optional(); dmx::Kind::WORDS.len() + 1];
    let mut n = 0;
    while n < dmx::Kind::WORDS.len() {
        fields[n] = Field::new(dmx::Kind::WORDS[n].0, Kind::Part, "Part of full, laid on all bits.").optional();
        n += 1;
    }
    fields
};

/// A colour as web pages write it.
const COLOUR: Kind = Kind::Form(&Form {
    chars: (7, 7),
    pattern: "^#[0-9a-fA-F]{6}$",
    fits: |text| colour(text).map(drop).ok_or_else(|| "must be a colour such as #ff8000".to_owned()),
});

fn colour(text: &str) -> Option<Rgb> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let part = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok().filter(|_| !digits.contains('+'));
    Some(Rgb { r: part(0)?, g: part(2)?, b: part(4)? })
}

const SAVE: Body = Body {
    title: "SceneSave",
    says: "Keeps levels as a scene.",
    fields: &[
        kind(&["scene.save"]),
        ID,
        SOURCE,
        TS,
        Field::new("name", Kind::Text(1, TEXT_CHARS), "Of the scene that is replaced or made."),
        Field::new("snapshot", Kind::Map(&LEVEL), "Levels, 0..=255, by scene key: `7`, `2/7`."),
    ],
    open: false,
    example: r#"{"type":"scene.save","id":"tour-4","name":"Warm white","snapshot":{"1":255,"2":180,"3":90}}"#,
};

const RECALL: Body = Body {
    title: "SceneRecall",
    says: "Makes a scene light.",
    fields: &[
        kind(&["scene.recall"]),
        ID,
        SOURCE,
        TS,
        Field::new("name", Kind::Text(1, TEXT_CHARS), "Name of the scene, else its id."),
        Field::new("fadeMs", FADE_MS, "The time it takes, milliseconds; absent: the scene's own.").optional(),
    ],
    open: false,
    example: r#"{"type":"scene.recall","id":"tour-5","name":"Warm white","fadeMs":2000}"#,
};

const ID: Field = Field::new("id", Kind::Text(1, 64), "A second command with the same id has no effect.");
const SOURCE: Field = SRC.optional().says("Who sends it; absent: the door, `rest`, `ws` or `mqtt`.");
const TS: Field = CLOCK.says("The client's clock, Unix milliseconds: shows which of two levels is newer.");
const IN: Field = Field::new("universe", UNIVERSE, "Index of the universe.");
const LEVELS: Field =
    Field::new("patch", Kind::List(&Kind::Body(&PATCH_LEVEL), 1), "If a channel is repeated, the last level counts.");

const PATCH_LEVEL: Body = Body {
    title: "PatchLevel",
    says: "A channel's level.",
    fields: &[
        Field::new("ch", CHANNEL, "Which channel."),
        Field::new("val", Kind::Clamped, "Its level; clamped to 0..255."),
    ],
    open: false,
    example: r#"{"ch":7,"val":255}"#,
};

const fn kind(words: &'static [&'static str]) -> Field {
    Field::new("type", Kind::Words(words), "Which command.")
}

/// The outcome of a unified command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Ack", description = "The outcome of a unified command.")]
pub struct Ack {
    /// The command's id; `null` if none could be read.
    pub ack: Option<String>,
    /// Whether it was accepted.
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
    /// It is accepted, or was before.
    #[must_use]
    pub fn accepted(id: String, duplicate: bool, ts: u64) -> Self {
        Self { ack: Some(id), accepted: true, ts, reason: None, errors: Vec::new(), duplicate }
    }

    /// It is refused.
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
        KINDS.iter().any(|(name, _)| *name == kind) || NOT_SUPPORTED.contains(&kind)
    }

    /// Reads a unified command. `door` is the source of a command without one; universes from 0 to below `universes` may
    /// be commanded.
    ///
    /// # Errors
    /// Every fault of the body; nothing else happens.
    pub fn from_json(body: &[u8], door: &Source, universes: u8) -> Result<Self, Refusal> {
        let object = Object::from_client(body)?;
        let written_id = object.echoed("id");
        let refuse = |reason, errors| Refusal { reason, cmd_id: written_id.clone(), errors };
        let fault = |path: &str, msg| vec![FieldError { path: path.to_owned(), msg }];
        let kind = object.string("type").unwrap_or_default();
        let known = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, body)| *body);
        if NOT_SUPPORTED.contains(&kind.as_str()) {
            return Err(refuse(Reason::NotSupported, fault("/type", format!("{kind} is not supported"))));
        }
        if known.is_none() && object.string("schema").as_deref() == Some(CMD_SCHEMA) {
            let msg = format!("{CMD_SCHEMA} is the lamp's: send it to …/rgb/cmd (MQTT) or POST /rgb");
            return Err(refuse(Reason::ValidationFailed, fault("/schema", msg)));
        }
        let mut faults = Faults::default();
        known.unwrap_or(&ANY).check::<&str>(&object, "", &mut faults);
        let has = |name| known.is_some_and(|body| body.fields.iter().any(|field| field.name == name));
        let commanded = |index| (0..universes.into()).contains(&index);
        if has("universe") && object.get("universe").is_some_and(|raw| !integer(raw).is_some_and(commanded)) {
            faults.say("/universe", format!("must be an integer from 0 to {}", universes.saturating_sub(1)));
        }
        let levels = if has("patch") { levels(&object) } else { Levels::new() };
        if levels.len() > PATCH_CHANNELS {
            faults.add("/patch", format!("must have at most {PATCH_CHANNELS} different channels"));
            return Err(refuse(Reason::PatchTooLarge, faults.into_errors()));
        }
        if kind == "fixture.set" {
            check_targets(&object, &mut faults);
        }
        let id = object.string("id").as_deref().and_then(CommandId::unified);
        let source = object.string("src").map_or_else(|| Some(door.clone()), |source| source.parse().ok());
        match (id, source, order(&kind, &object, levels)) {
            (Some(id), Some(source), Some(order)) if faults.is_empty() => {
                let written_id = written_id.unwrap_or_default();
                Ok(Self { written_id, id, source, ts: object.number("ts"), order })
            }
            _ => Err(refuse(Reason::ValidationFailed, faults.into_errors())),
        }
    }
}

/// What the table does not say.
fn check_targets(body: &Object<'_>, faults: &mut Faults) {
    if body.get("targets").and_then(Json::items).is_some_and(|mut targets| targets.nth(MOST_TARGETS).is_some()) {
        faults.add("/targets", format!("must have at most {MOST_TARGETS} of them"));
    }
}

/// What a body says that has passed its table; `None` otherwise.
fn order(kind: &str, body: &Object<'_>, levels: Levels) -> Option<Order> {
    let duration = |name| body.number(name).map(Duration::from_millis);
    let curve = || {
        let word = body.string("easing");
        let easing = Easing::WORDS.into_iter().find(|(name, _)| Some(*name) == word.as_deref());
        easing.map(|(_, easing)| easing).unwrap_or_default()
    };
    let patch = |levels| {
        let universe = body.number("universe").and_then(|index| u8::try_from(index).ok()).and_then(UniverseId::new)?;
        Some(Patch { universe, levels })
    };
    match kind {
        "dmx.set" => {
            let channel = u16::try_from(body.number("channel")?).ok().and_then(Channel::new)?;
            let patch = patch(vec![(channel, body.level("value")?)])?;
            Some(Order::Levels { patch, over: Duration::ZERO, easing: Easing::Linear })
        }
        "fixture.set" => {
            let targets = body.get("targets").and_then(Json::items)?;
            let targets = targets.filter_map(Json::text).map(Cow::into_owned).collect();
            let values = Object::parse(body.get("values")?.as_bytes()).ok()?;
            let parts = dmx::Kind::WORDS.iter().filter_map(|(word, kind)| Some((*kind, values.part(word)?)));
            let wanted = Wanted { colour: values.string("color").as_deref().and_then(colour), parts: parts.collect() };
            Some(Order::Fixtures { targets, wanted, over: duration("durationMs").unwrap_or_default(), easing: curve() })
        }
        "scene.save" => {
            let snapshot = Object::parse(body.get("snapshot")?.as_bytes()).ok()?;
            let levels = snapshot.entries().filter_map(|(key, _)| Some((key.to_owned(), snapshot.level(key)?)));
            Some(Order::Save { name: body.string("name")?, levels: levels.collect() })
        }
        "scene.recall" => Some(Order::Recall { name: body.string("name")?, over: duration("fadeMs") }),
        _ => Some(Order::Levels {
            patch: patch(levels)?,
            over: duration("durationMs").unwrap_or_default(),
            easing: curve(),
        }),
    }
}

/// The levels of a patch; if a channel is repeated, the last level counts. One too many is the last.
fn levels(body: &Object<'_>) -> Levels {
    let items = body.get("patch").and_then(Json::items);
    let mut levels = Levels::new();
    for item in items.into_iter().flatten().filter_map(Json::object) {
        let channel = item.number("ch").and_then(|number| u16::try_from(number).ok()).and_then(Channel::new);
        let (Some(channel), Some(level)) = (channel, item.level("val")) else { continue };
        match levels.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, before)) => *before = level,
            None => levels.push((channel, level)),
        }
        if levels.len() > PATCH_CHANNELS {
            break;
        }
    }
    levels
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
                vec!["/id", "/src", "/ts", "/universe", "/channel", "/value", "/a"],
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
        let too_large = |faults: &[&str]| ("PATCH_TOO_LARGE", faults.iter().map(ToString::to_string).collect());
        let large = patch(&mut (1..=65));
        assert_eq!(refusal(&large), too_large(&["/patch"]));
        assert_eq!(refusal(&large.replace("]}", ",7]}")), too_large(&["/patch/65", "/patch"]));
        let set = large.replace("dmx.patch", "dmx.set").replace("0,", r#"0,"channel":1,"value":1,"#);
        let recall = large.replace("dmx.patch", "scene.recall").replace(r#""universe":0"#, r#""name":"a""#);
        for other in [set, recall] {
            assert_eq!(refusal(&other), ("VALIDATION_FAILED", vec!["/patch".to_owned()]), "{other}");
        }
    }

    #[test]
    fn a_universe_that_may_not_be_commanded_is_told_the_bound_of_the_settings() {
        let faults = |body: &str| {
            Unified::from_json(body.as_bytes(), &"rest".parse().unwrap(), 4)
                .map_or_else(|refusal| refusal.errors, |_| vec![])
        };
        let of = |path: &str, msg: &str| vec![FieldError { path: path.to_owned(), msg: msg.to_owned() }];
        let set =
            |universe| faults(&format!(r#"{{"type":"dmx.set","id":"x","universe":{universe},"channel":7,"value":1}}"#));
        assert_eq!(set("3"), []);
        for universe in ["4", "63", "64", "70", "-1", "1.0", r#""0""#] {
            assert_eq!(set(universe), of("/universe", "must be an integer from 0 to 3"), "{universe}");
        }
        let recall = faults(r#"{"type":"scene.recall","id":"x","name":"a","universe":4}"#);
        assert_eq!(recall, of("/universe", "is not known here"));
    }
}
