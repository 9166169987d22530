//! What every kind of value can do: be read from a variable's text and from TOML, and be written as TOML.
//!
//! A refusal names the fault and the remedy, and never shows a secret.

use toml::de::DeValue;

use super::form::Form;

/// Stands in for a secret.
pub(crate) const MASK: &str = "********";

/// Longest piece of a wrong value that a message shows: enough to recognise it.
const SHOWN_CHARACTERS: usize = 60;

/// Why a value is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ValueError {
    /// The fault: `70000 is out of range`.
    pub(crate) wrong: String,
    /// The remedy: `use a whole number from 0 to 65535`.
    pub(crate) right: String,
}

/// What a setting allows within its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limits {
    /// All that its kind allows.
    Any,
    /// Least and greatest number.
    Range(u64, u64),
    /// Form of its text, or of each text of its list.
    Text(Form),
}

/// A kind of value.
pub(crate) trait Parse: Sized {
    /// Whether it must not be shown.
    const SECRET: bool = false;

    /// Reads a variable, or a text of the file.
    fn from_text(text: &str, limits: Limits) -> Result<Self, ValueError>;

    /// Reads a value of the file; a kind that TOML has no type for is a text there.
    fn from_toml(raw: &DeValue<'_>, limits: Limits) -> Result<Self, ValueError> {
        match raw {
            DeValue::String(text) => Self::from_text(text, limits),
            other => Err(unfit(Self::SECRET, other, "a text in quotes")),
        }
    }

    /// As written in a file; a secret is masked, an empty value is `""`.
    fn to_toml(&self) -> String;
}

/// A field of `Config`, whatever its kind.
pub(crate) trait Value {
    /// Takes a variable's text.
    fn set_text(&mut self, text: &str, limits: Limits) -> Result<(), ValueError>;
    /// Takes a value of the file.
    fn set_toml(&mut self, raw: &DeValue<'_>, limits: Limits) -> Result<(), ValueError>;
    /// As written in a file; a secret is masked.
    fn to_toml(&self) -> String;
    /// Whether it must not be shown.
    fn is_secret(&self) -> bool;
}

impl<T: Parse> Value for T {
    fn set_text(&mut self, text: &str, limits: Limits) -> Result<(), ValueError> {
        T::from_text(text, limits).map(|value| *self = value)
    }

    fn set_toml(&mut self, raw: &DeValue<'_>, limits: Limits) -> Result<(), ValueError> {
        T::from_toml(raw, limits).map(|value| *self = value)
    }

    fn to_toml(&self) -> String {
        Parse::to_toml(self)
    }

    fn is_secret(&self) -> bool {
        T::SECRET
    }
}

/// Checks a text against the form that its setting requires.
pub(crate) fn fit(shown: &str, text: &str, limits: Limits) -> Result<(), ValueError> {
    match limits {
        Limits::Text(form) if !(form.fits)(text) => {
            Err(ValueError { wrong: format!("{shown} is not {}", form.name), right: form.right.to_owned() })
        }
        Limits::Any | Limits::Range(..) | Limits::Text(_) => Ok(()),
    }
}

/// A value of the wrong type.
pub(crate) fn unfit(secret: bool, raw: &DeValue<'_>, right: &str) -> ValueError {
    let kind = match raw {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    ValueError {
        wrong: format!("{} is {kind}", shown_unless(secret, || shown_toml(raw))),
        right: format!("use {right}"),
    }
}

/// Keeps a secret out of messages.
pub(crate) fn shown_unless(secret: bool, shown: impl FnOnce() -> String) -> String {
    if secret { "the value (not shown)".to_owned() } else { shown() }
}

/// A wrong text for a message: quoted, escaped, short.
pub(crate) fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

/// A wrong value of the file, for a message.
pub(crate) fn shown_toml(raw: &DeValue<'_>) -> String {
    match raw {
        DeValue::String(text) => shown(text),
        DeValue::Integer(number) => number.to_string().chars().take(SHOWN_CHARACTERS).collect(),
        DeValue::Float(number) => number.to_string().chars().take(SHOWN_CHARACTERS).collect(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => "the value".to_owned(),
    }
}

/// A TOML basic string. JSON's escapes are TOML's too; DEL, which JSON does not escape, is refused when read.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
