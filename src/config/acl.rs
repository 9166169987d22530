//! Lines of `mqtt.acl`: how one is written, and what is said of one that cannot be read.

use super::lists::Item;
use super::value::{Limits, ValueError, quoted, shown};
use super::{AclLine, AclVerb};

/// Most levels of a filter, as in the broker.
const LEVELS: usize = 200;

const VERBS: [(&str, AclVerb); 3] = [("read", AclVerb::Read), ("write", AclVerb::Write), ("deny", AclVerb::Deny)];

impl Item for AclLine {
    const LIKE: &'static str = r#"["anna write stage/#", "* deny diary/%u/#"]"#;

    /// A user or `*`, a verb, and a filter, which is the rest: topics may have spaces.
    fn read(text: &str, _: Limits) -> Result<Self, ValueError> {
        let text = text.trim();
        let fault = |wrong: &str, right: &str| ValueError {
            wrong: format!("{}: {wrong}", shown(text)),
            right: right.to_owned(),
        };
        let form = "use <user or *> read|write|deny <filter>, \"anna write stage/#\" for example";
        let (user, verb, filter) = parts(text).ok_or_else(|| fault("this is no ACL line", form))?;
        let right = "write + and # as whole levels and # last, and %u and %c where a name is to stand";
        is_filter(filter).map_err(|wrong| fault(wrong, right))?;
        let user = (user != "*").then(|| user.to_owned());
        Ok(Self { user, verb, filter: filter.to_owned() })
    }

    fn written(&self) -> String {
        let word = VERBS.iter().find(|(_, verb)| *verb == self.verb).map_or("", |(word, _)| word);
        quoted(&format!("{} {word} {}", self.user.as_deref().unwrap_or("*"), self.filter))
    }
}

/// What stands before the first verb, the verb, and what follows: names and topics may have spaces.
fn parts(text: &str) -> Option<(&str, AclVerb, &str)> {
    text.match_indices(char::is_whitespace).find_map(|(at, _)| {
        let (user, rest) = text.split_at_checked(at)?;
        let (word, filter) = rest.trim_start().split_once(char::is_whitespace)?;
        let (_, verb) = VERBS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
        Some((user.trim_end(), *verb, filter.trim_start()))
    })
}

/// Whether this is a filter, with names to be put in. One that is shared is a way to subscribe, not a set of topics.
fn is_filter(text: &str) -> Result<(), &'static str> {
    if text.contains(char::is_control) || text.len() > usize::from(u16::MAX) {
        return Err("a filter has no control characters and at most 65,535 bytes");
    }
    if text.starts_with("$share/") {
        return Err("a line names topics, not a shared subscription");
    }
    if text.split('/').nth(LEVELS).is_some() {
        return Err("the filter has more than 200 levels");
    }
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        match level {
            "#" if is_last => {}
            "#" => return Err("# is not the last level"),
            "+" => {}
            other if other.contains(['+', '#']) => return Err("a wildcard stands beside other characters"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::value::Parse;
    use super::*;

    fn line(text: &str) -> Result<AclLine, ValueError> {
        AclLine::read(text, Limits::Any)
    }

    #[test]
    fn a_line_is_a_user_a_verb_and_a_filter() {
        let read = |text| {
            let AclLine { user, verb, filter } = line(text).unwrap();
            (user, verb, filter)
        };
        assert_eq!(read("anna write stage/#"), (Some("anna".into()), AclVerb::Write, "stage/#".into()));
        assert_eq!(read(" *  READ\tdiary/%u/+/a b "), (None, AclVerb::Read, "diary/%u/+/a b".into()));
        assert_eq!(read("Anna B write a read b"), (Some("Anna B".into()), AclVerb::Write, "a read b".into()));
        assert_eq!(read("x deny #"), (Some("x".into()), AclVerb::Deny, "#".into()));
        let lines = Vec::<AclLine>::from_text("* deny a/#,anna read b", Limits::Any).unwrap();
        assert_eq!(lines.to_toml(), r##"["* deny a/#", "anna read b"]"##);
        assert_eq!(Vec::from_text(&lines.to_toml(), Limits::Any), Ok(lines));
    }

    #[test]
    fn a_line_that_is_none_says_why() {
        for (text, why) in [
            ("anna", "no ACL line"),
            ("anna write", "no ACL line"),
            ("write stage/#", "no ACL line"),
            ("anna may stage/#", "no ACL line"),
            ("* read a/#/b", "not the last"),
            ("* read a+/b", "beside other"),
            ("* read a#", "beside other"),
            ("* deny $share/g/a", "shared"),
            ("* deny a\u{7}", "control"),
        ] {
            let wrong = line(text).unwrap_err().wrong;
            assert!(wrong.contains(why), "{text}: {wrong}");
        }
        assert!(line(&format!("* read {}", "/".repeat(LEVELS))).is_err());
    }
}
