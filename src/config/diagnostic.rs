//! What is wrong with a configuration, in words an operator can act on. Never shows a secret.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file.
    File(PathBuf, usize),
    /// A variable.
    Variable(&'static str),
    /// A secret's file, by the variable or credential that names it.
    SecretFile(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::SecretFile(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong, or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What it is about: `appliance.toml:12: mqtt.port` or `DMX_MQTT_PORT`.
    pub about: String,
    /// The fault: `70000 is out of range`.
    pub wrong: String,
    /// The remedy: `use a whole number from 0 to 65535`.
    pub right: String,
}

impl Diagnostic {
    pub(crate) fn new(about: impl Into<String>, wrong: impl Into<String>, right: impl Into<String>) -> Self {
        // One fault is one line, even if a name or a path has a line break in it.
        let about = about.into().replace(char::is_control, "?");
        Self { about, wrong: wrong.into(), right: right.into() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.about, self.wrong, self.right)
    }
}

/// Everything that is wrong: the one message that ends a failed start.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    /// What keeps dmxd from starting; at least one.
    pub faults: Vec<Diagnostic>,
    /// What does not.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => write!(f, "1 fault in the configuration, nothing was started:")?,
            n => write!(f, "{n} faults in the configuration, nothing was started:")?,
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// The candidate that `word` most likely stands for.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let far = |candidate: &str| strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
    // a third of the letters wrong is a typing error; more is another word
    let near = candidates.map(|c| (far(c), c)).filter(|(distance, c)| distance * 3 <= c.chars().count());
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_word_and_another_word_finds_none() {
        let words = || ["port", "topic_prefix", "username"].into_iter();
        assert_eq!(nearest("prot", words()), Some("port"));
        assert_eq!(nearest("PORT", words()), Some("port"));
        assert_eq!(nearest("topicprefix", words()), Some("topic_prefix"));
        assert_eq!(nearest("colour", words()), None);
        assert_eq!(nearest("", words()), None);
    }
}
