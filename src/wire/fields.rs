//! Bodies that clients write, as tables of their fields: the same rows read a body and describe it.
//!
//! The reader also refuses what JSON Schema cannot say: an integer written with a fraction or an exponent (1.0, 1e2), and a key
//! that stands twice. Whatever else a body refuses is documented beside its table.

use std::borrow::Cow;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Refusal;
use super::document::without_mark;
use super::object::{Object, integer, part};
use super::refusal::{Faults, pointer};
use crate::dmx::{LONGEST_FADE, ProjectId, SOURCE_CHARS};

/// An object.
pub(super) struct Body {
    pub(super) title: &'static str,
    pub(super) says: &'static str,
    pub(super) fields: &'static [Field],
    /// Whether unknown fields are kept.
    pub(super) open: bool,
    /// A valid one; a test reads it.
    pub(super) example: &'static str,
}

/// A field of a body.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) kind: Kind,
    pub(super) need: Need,
}

/// Whether a field is required.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    /// Optional, and it may be `null`.
    Nullable,
}

/// The kind of a value.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Anything.
    Any,
    /// One of these JSON types.
    Types(&'static [&'static str]),
    Flag,
    /// From, to.
    Integer(i128, i128),
    /// An integer of 64 bits, clamped to 0..=255.
    Clamped,
    /// A part of full: a number from 0 to 1.
    Part,
    /// Number of characters: from, to.
    Text(usize, usize),
    /// A text of a form.
    Form(&'static Form),
    /// One of these.
    Words(&'static [&'static str]),
    /// A list with at least this many items.
    List(&'static Kind, usize),
    /// An object with any keys.
    Map(&'static Kind),
    Body(&'static Body),
}

/// The form of a text: for the schema, and for the reader, whose error names the remedy.
pub(super) struct Form {
    pub(super) chars: (usize, usize),
    pub(super) pattern: &'static str,
    pub(super) fits: fn(&str) -> Result<(), String>,
}

/// A level as stored.
pub(super) const LEVEL: Kind = Kind::Integer(0, 255);

/// A fade's time, milliseconds.
pub(super) const FADE_MS: Kind = Kind::Integer(0, LONGEST_FADE.as_millis() as i128);

/// Unix milliseconds.
pub(super) const TIME: Kind = Kind::Integer(0, u64::MAX as i128);

/// Index of a universe.
pub(super) const UNIVERSE: Kind = Kind::Integer(0, 63);

/// Number of a channel (E1.11).
pub(super) const CHANNEL: Kind = Kind::Integer(1, 512);

/// A text of any length.
pub(super) const TEXT: Kind = Kind::Text(0, usize::MAX);

/// The form of ids of projects and versions.
pub const ID_PATTERN: &str = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$";

/// Id of a project or version.
pub(super) const ID: Kind = Kind::Form(&Form {
    chars: (1, 128),
    pattern: ID_PATTERN,
    fits: |text| text.parse::<ProjectId>().map(drop).map_err(|wrong| wrong.to_string()),
});

/// Who sends it.
pub(super) const SRC: Field = Field::new("src", Kind::Text(1, SOURCE_CHARS), "Who asks.");

/// The client's clock.
pub(super) const CLOCK: Field = Field::new("ts", TIME, "The client's clock, Unix milliseconds.").optional();

impl Field {
    pub(super) const fn new(name: &'static str, kind: Kind, says: &'static str) -> Self {
        Self { name, says, kind, need: Need::Required }
    }

    pub(super) const fn optional(self) -> Self {
        Self { need: Need::Optional, ..self }
    }

    pub(super) const fn nullable(self) -> Self {
        Self { need: Need::Nullable, ..self }
    }

    pub(super) const fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }
}

impl Body {
    /// Reads a body.
    ///
    /// # Errors
    /// Every fault of it.
    pub(super) fn read<'a>(&self, body: &'a [u8]) -> Result<Object<'a>, Refusal> {
        let (object, mut faults) = (Object::from_client(body)?, Faults::default());
        self.check::<&str>(&object, "", &mut faults);
        faults.or_refuse(object)
    }

    /// Reads a body that may be empty.
    ///
    /// # Errors
    /// Every fault of it.
    pub(super) fn read_if_any<'a>(&self, body: &'a [u8]) -> Result<Object<'a>, Refusal> {
        if without_mark(body).trim_ascii().is_empty() { Ok(Object::default()) } else { self.read(body) }
    }

    /// Notes the faults of an object at a JSON pointer: its fields by the table, then those that are not in
    /// it.
    pub(super) fn check<'a, J: Json<'a>>(&self, object: &J::Object, at: &str, faults: &mut Faults) {
        for Field { name, kind, need, .. } in self.fields {
            match J::get(object, name) {
                None if *need == Need::Required => faults.add(pointer(at, name), "is missing"),
                None => {}
                Some(value) if *need == Need::Nullable && value.json_type() == "null" => {}
                Some(value) => kind.check(value, &|| pointer(at, name), faults),
            }
        }
        if !self.open {
            J::each(object, |name, _| {
                if !self.fields.iter().any(|field| field.name == name) {
                    faults.add(pointer(at, name), "is not known here");
                }
            });
        }
    }

    /// Its schema among the generator's, by its title: generators of clients name a type after it.
    pub(super) fn reference(&self, generator: &mut SchemaGenerator) -> Schema {
        let schema = self.schema(generator).to_value();
        generator.definitions_mut().insert(self.title.to_owned(), schema);
        Schema::new_ref(format!("#{}/{}", generator.settings().definitions_path, self.title))
    }

    pub(super) fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        let described = self.fields.iter().map(|field| (field.name.to_owned(), field.schema(generator)));
        let fields: Map<String, Value> = described.collect();
        let needed = self.fields.iter().filter(|field| field.need == Need::Required).map(|field| field.name);
        let example: Value = serde_json::from_str(self.example).unwrap_or_default();
        let mut schema = json_schema!({
            "title": self.title,
            "description": self.says,
            "type": "object",
            "properties": fields,
            "additionalProperties": self.open,
            "examples": [example],
        });
        let needed: Vec<_> = needed.collect();
        if !needed.is_empty() {
            schema.insert("required".to_owned(), needed.into());
        }
        schema
    }
}

impl Field {
    fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        let mut schema = self.kind.schema(generator);
        if self.need == Need::Nullable
            && let Some(kind) = schema.get_mut("type")
        {
            match kind {
                Value::Array(kinds) => kinds.push("null".into()),
                kind => *kind = json!([kind.take(), "null"]),
            }
        }
        schema.insert("description".to_owned(), self.says.into());
        schema.to_value()
    }
}

impl Kind {
    /// A place is made when there is a fault at it: a document has half a million of them.
    fn check<'a, J: Json<'a>>(self, value: J, at: &dyn Fn() -> String, faults: &mut Faults) {
        if faults.is_full() {
            return;
        }
        let fits = match self {
            Self::Any => true,
            Self::Types(types) => types.contains(&value.json_type()),
            Self::Flag => value.json_type() == "boolean",
            Self::Integer(least, most) => value.integer().is_some_and(|number| (least..=most).contains(&number)),
            Self::Clamped => value.integer().is_some(),
            Self::Part => value.part().is_some(),
            Self::Text(least, most) => value.text().is_some_and(|text| is_of(&text, least, most)),
            Self::Words(words) => value.text().is_some_and(|text| words.contains(&text.as_ref())),
            Self::Form(form) => {
                if let Err(wrong) = value.text().map_or(Err("must be a text".to_owned()), |text| form.check(&text)) {
                    faults.add(at(), wrong);
                }
                true
            }
            Self::List(Self::Any, least) => {
                value.items().is_some_and(|mut items| items.nth(least).is_some() || least == 0)
            }
            Self::List(kind, least) => value.items().is_some_and(|items| {
                let mut count = 0;
                for item in items {
                    kind.check(item, &|| pointer(&at(), &count.to_string()), faults);
                    count += 1;
                }
                count >= least
            }),
            Self::Map(kind) => value.object().is_some_and(|object| {
                J::each(&object, |name, value| kind.check(value, &|| pointer(&at(), name), faults));
                true
            }),
            Self::Body(body) => value.object().is_some_and(|object| {
                body.check::<J>(&object, &at(), faults);
                true
            }),
        };
        if !fits {
            faults.add(at(), self.right());
        }
    }

    /// What would be valid.
    fn right(self) -> String {
        match self {
            Self::Flag => "must be true or false".to_owned(),
            Self::Integer(least, most) if most == i128::from(u64::MAX) => {
                format!("must be an integer, {least} or more")
            }
            Self::Integer(least, most) => format!("must be an integer from {least} to {most}"),
            Self::Clamped => "must be an integer (it is clamped to 0..255)".to_owned(),
            Self::Part => "must be a number from 0 to 1".to_owned(),
            Self::Text(_, usize::MAX) => "must be a text".to_owned(),
            Self::Text(least, most) => format!("must be a text of {least} to {most} characters"),
            Self::Words([word]) => format!("must be \"{word}\""),
            Self::Words(words) => format!("must be one of {}", words.join(", ")),
            Self::List(kind, least) => {
                let of = if matches!(kind, Self::Body(_)) { " of objects" } else { "" };
                format!("must be a list{of}{}", if least > 0 { ", not empty" } else { "" })
            }
            Self::Types(types) => format!("must be of type {}", types.join(" or ")),
            Self::Map(_) | Self::Body(_) => "must be an object".to_owned(),
            Self::Any | Self::Form(_) => String::new(), // nothing is wrong, or the message is special
        }
    }

    fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Any => json_schema!({}),
            Self::Types([one]) => json_schema!({"type": one}),
            Self::Types(types) if types.contains(&"array") => {
                json_schema!({"type": types, "items": Self::Any.item(generator)})
            }
            Self::Types(types) => json_schema!({"type": types}),
            Self::Flag => json_schema!({"type": "boolean"}),
            Self::Integer(least, most) => json_schema!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Clamped => json_schema!({"type": "integer", "minimum": i64::MIN, "maximum": u64::MAX}),
            Self::Part => json_schema!({"type": "number", "minimum": 0, "maximum": 1}),
            Self::Text(least, most) => of_length(least, most),
            Self::Form(form) => {
                let mut schema = of_length(form.chars.0, form.chars.1);
                schema.insert("pattern".to_owned(), form.pattern.into());
                schema
            }
            Self::Words([word]) => json_schema!({"type": "string", "const": word}),
            Self::Words(words) => json_schema!({"type": "string", "enum": words}),
            Self::List(kind, 0) => json_schema!({"type": "array", "items": kind.item(generator)}),
            Self::List(kind, least) => {
                json_schema!({"type": "array", "items": kind.item(generator), "minItems": least})
            }
            Self::Map(kind) => json_schema!({"type": "object", "additionalProperties": kind.item(generator)}),
            Self::Body(body) => body.reference(generator),
        }
    }

    /// Schema of the items of a list or object.
    fn item(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Any => json_schema!({"description": "Kept as it was brought, whatever it is."}),
            kind => kind.schema(generator),
        }
    }
}

impl Form {
    fn check(&self, text: &str) -> Result<(), String> {
        (self.fits)(text)?;
        let (least, most) = self.chars;
        if is_of(text, least, most) { Ok(()) } else { Err(Kind::Text(least, most).right()) }
    }
}

fn is_of(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count())
}

fn of_length(least: usize, most: usize) -> Schema {
    let mut schema = json_schema!({"type": "string"});
    if least > 0 {
        schema.insert("minLength".to_owned(), least.into());
    }
    if most < usize::MAX {
        schema.insert("maxLength".to_owned(), most.into());
    }
    schema
}

/// A JSON value: parsed, or as text, where integers can be told from 1.0.
pub(super) trait Json<'a>: Copy {
    type Object;

    /// Its name in JSON Schema; every number is a `number`.
    fn json_type(self) -> &'static str;
    fn text(self) -> Option<Cow<'a, str>>;
    fn integer(self) -> Option<i128>;
    /// A number from 0 to 1.
    fn part(self) -> Option<f64>;
    fn items(self) -> Option<impl Iterator<Item = Self>>;
    fn object(self) -> Option<Self::Object>;
    fn get(object: &Self::Object, name: &str) -> Option<Self>;
    fn each(object: &Self::Object, with: impl FnMut(&str, Self));
}

impl<'a> Json<'a> for &'a Value {
    type Object = &'a Map<String, Value>;

    fn json_type(self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    fn text(self) -> Option<Cow<'a, str>> {
        self.as_str().map(Cow::Borrowed)
    }

    fn integer(self) -> Option<i128> {
        self.as_i64().map(i128::from).or_else(|| self.as_u64().map(i128::from))
    }

    fn part(self) -> Option<f64> {
        self.as_f64().filter(|part| (0.0..=1.0).contains(part))
    }

    fn items(self) -> Option<impl Iterator<Item = Self>> {
        self.as_array().map(|items| items.iter())
    }

    fn object(self) -> Option<Self::Object> {
        self.as_object()
    }

    fn get(object: &Self::Object, name: &str) -> Option<Self> {
        object.get(name)
    }

    fn each(object: &Self::Object, mut with: impl FnMut(&str, Self)) {
        object.iter().for_each(|(name, value)| with(name, value));
    }
}

impl<'a> Json<'a> for &'a str {
    type Object = Object<'a>;

    fn json_type(self) -> &'static str {
        match self.bytes().next() {
            Some(b'n') => "null",
            Some(b't' | b'f') => "boolean",
            Some(b'"') => "string",
            Some(b'[') => "array",
            Some(b'{') => "object",
            _ => "number",
        }
    }

    fn text(self) -> Option<Cow<'a, str>> {
        serde_json::from_str::<String>(self).ok().map(Cow::Owned)
    }

    fn integer(self) -> Option<i128> {
        integer(self)
    }

    fn part(self) -> Option<f64> {
        part(self)
    }

    fn items(self) -> Option<impl Iterator<Item = Self>> {
        serde_json::from_str::<Vec<&'a RawValue>>(self).ok().map(|items| items.into_iter().map(RawValue::get))
    }

    fn object(self) -> Option<Self::Object> {
        Object::parse(self.as_bytes()).ok()
    }

    fn get(object: &Self::Object, name: &str) -> Option<Self> {
        object.get(name)
    }

    fn each(object: &Self::Object, mut with: impl FnMut(&str, Self)) {
        object.entries().for_each(|(name, value)| with(name, value));
    }
}

/// The schema of the type is its body's table.
macro_rules! described {
    ($($type:ident: $body:expr),* $(,)?) => {$(
        impl ::schemars::JsonSchema for $type {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                $body.schema(generator)
            }
        }
    )*};
}
pub(super) use described;
