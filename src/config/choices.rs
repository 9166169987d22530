//! Choices: one of a few words, in any case.

use super::value::{Limits, Parse, ValueError, quoted, shown};
use super::{Anonymous, AuthMode, BackupProvider, LogLevel, MqttAnonymous, OutputMode, Park};

/// One of a few words, in any case.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    /// Every word; if several mean one value, the first is the one written.
    const WORDS: &'static [(&'static str, Self)];
    /// The words, for messages.
    const RIGHT: &'static str;
}

impl<T: Choice> Parse for T {
    fn from_text(text: &str, _: Limits) -> Result<Self, ValueError> {
        let word = text.trim();
        let found = T::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        found.map(|(_, value)| *value).ok_or_else(|| ValueError {
            wrong: format!("{} is not a choice here", shown(text)),
            right: format!("use {}", T::RIGHT),
        })
    }

    fn to_toml(&self) -> String {
        quoted(T::WORDS.iter().find(|(_, value)| value == self).map_or("", |(word, _)| word))
    }
}

impl Choice for AuthMode {
    const WORDS: &'static [(&'static str, Self)] = &[("audit", Self::Audit), ("required", Self::Required)];
    const RIGHT: &'static str = "audit or required";
}

impl Choice for Anonymous {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("view", Self::View), ("operate", Self::Operate)];
    const RIGHT: &'static str = "none, view or operate";
}

impl Choice for MqttAnonymous {
    const WORDS: &'static [(&'static str, Self)] =
        &[("", Self::ByMode), ("all", Self::All), ("devices", Self::Devices), ("none", Self::None)];
    const RIGHT: &'static str = "all, devices or none, or leave it empty";
}

impl Choice for LogLevel {
    /// `warning` and `critical` are Python's names, which the predecessor accepted.
    const WORDS: &'static [(&'static str, Self)] = &[
        ("trace", Self::Trace),
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("warn", Self::Warn),
        ("warning", Self::Warn),
        ("error", Self::Error),
        ("critical", Self::Error),
    ];
    const RIGHT: &'static str = "trace, debug, info, warn or error";
}

impl Choice for OutputMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("null", Self::Null), ("ola", Self::Ola), ("enttec", Self::Enttec)];
    const RIGHT: &'static str = "null, ola or enttec";
}

impl Choice for Park {
    const WORDS: &'static [(&'static str, Self)] = &[("hold", Self::Hold), ("blackout", Self::Blackout)];
    const RIGHT: &'static str = "hold or blackout";
}

impl Choice for BackupProvider {
    const WORDS: &'static [(&'static str, Self)] = &[("local", Self::Local), ("s3", Self::S3)];
    const RIGHT: &'static str = "local or s3";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_word_in_any_case() {
        for (word, level) in [("info", LogLevel::Info), ("WARNING", LogLevel::Warn), (" Error ", LogLevel::Error)] {
            assert_eq!(LogLevel::from_text(word, Limits::Any), Ok(level), "{word}");
        }
        assert_eq!(OutputMode::from_text("ENTTEC", Limits::Any), Ok(OutputMode::Enttec));
        assert_eq!(BackupProvider::from_text("S3", Limits::Any), Ok(BackupProvider::S3));
        assert_eq!(AuthMode::from_text("Required", Limits::Any), Ok(AuthMode::Required));
        assert_eq!(LogLevel::Warn.to_toml(), "\"warn\"");
    }

    #[test]
    fn another_word_is_told_the_right_ones() {
        let wrong = LogLevel::from_text("loud", Limits::Any).unwrap_err();
        assert_eq!(wrong.wrong, "\"loud\" is not a choice here");
        assert_eq!(wrong.right, "use trace, debug, info, warn or error");
    }
}
