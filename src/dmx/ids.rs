//! Names of things: universes, channels, command ids, sources. Parsed at the border, trusted inside.

use std::fmt;
use std::str::FromStr;

/// Channels of one universe (ANSI E1.11: 512 slots after the start code).
pub const CHANNELS: usize = 512;

/// Universes of one appliance.
pub const UNIVERSES: usize = 64;

/// The longest `src`, in characters.
const SOURCE_CHARS: usize = 64;

/// Index of a universe, 0..=63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniverseId(u8);

impl UniverseId {
    /// The universe of the RGB lamp.
    pub const LAMP: Self = Self(0);

    /// `None` from 64 on.
    #[must_use]
    pub fn new(index: u8) -> Option<Self> {
        (usize::from(index) < UNIVERSES).then_some(Self(index))
    }

    /// 0..=63.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }
}

impl fmt::Display for UniverseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a channel in its universe, 1..=512, as printed on fixtures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u16);

impl Channel {
    /// The RGB lamp's channels, in the order of r, g, b.
    pub const LAMP: [Self; 3] = [Self(1), Self(2), Self(3)];

    /// `None` for 0 and above 512.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number as usize <= CHANNELS { Some(Self(number)) } else { None }
    }

    /// The channel at an index of a frame, 0..=511.
    #[must_use]
    pub fn at(index: usize) -> Option<Self> {
        u16::try_from(index).ok().and_then(|i| Self::new(i.saturating_add(1)))
    }

    /// 1..=512.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// 0..=511.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }
}

/// Longest id of a unified command, in characters.
pub const ID_CHARS: usize = 64;

/// Id of a command: a ULID, kept in capital letters so that both spellings are one id, or any short text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(Box<str>);

impl CommandId {
    /// The id of a unified command: 1..=64 characters. One that is a ULID is the same as in a lamp command.
    #[must_use]
    pub fn unified(text: &str) -> Option<Self> {
        let fits = (1..=ID_CHARS).contains(&text.chars().count());
        fits.then(|| text.parse().unwrap_or_else(|NotAUlid| Self(text.into())))
    }

    /// The 26 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a ULID: 26 characters of 0-9 A-Z without I, L, O, U, the first 0..7")]
pub struct NotAUlid;

impl FromStr for CommandId {
    type Err = NotAUlid;

    fn from_str(text: &str) -> Result<Self, NotAUlid> {
        let upper = text.to_ascii_uppercase();
        // the ulid crate wraps a first character above 7 and reads I, L, O as digits; whatever does not
        // print back unchanged is refused
        match ulid::Ulid::from_string(&upper) {
            Ok(id) if id.to_string() == upper => Ok(Self(upper.into_boxed_str())),
            _ => Err(NotAUlid),
        }
    }
}

impl From<ulid::Ulid> for CommandId {
    fn from(id: ulid::Ulid) -> Self {
        Self(id.to_string().into_boxed_str())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who sent a command: 1..=64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source(Box<str>);

impl Source {
    /// The source of a state that nobody has commanded yet.
    #[must_use]
    pub fn init() -> Self {
        Self("init".into())
    }

    /// The text as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A finger on a tablet: its older commands may be dropped when the queue is full.
    #[must_use]
    pub fn is_ui(&self) -> bool {
        &*self.0 == "ui" || self.0.starts_with("ui-")
    }
}

/// Why a text is not a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {SOURCE_CHARS} characters")]
pub struct NotASource;

impl FromStr for Source {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        match text.chars().count() {
            1..=SOURCE_CHARS => Ok(Self(text.into())),
            _ => Err(NotASource),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulid_is_read_in_any_case_and_kept_in_capitals() {
        let id: CommandId = "01hzx3yj9yj3m5qaz3gz8k3qff".parse().unwrap();
        assert_eq!(id.as_str(), "01HZX3YJ9YJ3M5QAZ3GZ8K3QFF");
    }

    #[test]
    fn what_is_no_ulid_is_refused() {
        for text in [
            "",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QF",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QFFF",
            "81HZX3YJ9YJ3M5QAZ3GZ8K3QFF",
            "I1HZX3YJ9YJ3M5QAZ3GZ8K3QFF",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QFU",
            "01HZX3YJ9YJ3M5QAZ3GZ8K3QÉ",
        ] {
            assert_eq!(text.parse::<CommandId>(), Err(NotAUlid), "{text}");
        }
    }

    #[test]
    fn a_source_counts_characters_not_bytes() {
        assert!("é".repeat(64).parse::<Source>().is_ok());
        assert!("é".repeat(65).parse::<Source>().is_err());
        assert!("".parse::<Source>().is_err());
    }

    #[test]
    fn only_ui_and_its_family_are_drags() {
        for (text, drag) in [("ui", true), ("ui-tablet", true), ("uid", false), ("UI", false), ("esp-ui", false)] {
            assert_eq!(text.parse::<Source>().unwrap().is_ui(), drag, "{text}");
        }
    }
}
