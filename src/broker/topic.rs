//! Topic filters (MQTT 3.1.1, section 4.7), and the form of topics inside the router.

/// Most levels of a filter, as in Mosquitto: each costs memory.
const LEVELS: usize = 200;

/// What shared filters begin with.
const SHARE: &str = "$share/";

/// A filter that obeys section 4.7.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(String);

impl Filter {
    /// `None` if a wildcard is misplaced, the filter is empty, it has more than 200 levels, or it is shared without a group or
    /// a filter behind it (MQTT 5, section 4.8.2).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.split('/').nth(LEVELS).is_some() {
            return None;
        }
        if let Some(shared) = text.strip_prefix(SHARE) {
            let (group, filter) = shared.split_once('/')?;
            let legal = !group.is_empty() && !group.contains(['+', '#']);
            return Self::new(filter).filter(|_| legal).map(|_| Self(text.to_owned()));
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let legal = match level {
                "+" => true,
                "#" => levels.peek().is_none(),
                other => !other.contains(['+', '#']),
            };
            if !legal {
                return None;
            }
        }
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// As the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a single topic.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['+', '#'])
    }

    /// Group and filter of a shared one: `$share/group/filter`.
    #[must_use]
    pub fn shared(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(SHARE)?.split_once('/')
    }

    /// Whether a message of this topic matches. A wildcard in the first level never matches a topic that starts with
    /// `$` ([MQTT-4.7.2-1]).
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let is_hidden = topic.starts_with('$') && self.0.starts_with(['+', '#']);
        !is_hidden && self.matches_in_router(topic)
    }

    /// Whether the router brings a message of this topic: it hides none.
    pub(super) fn matches_in_router(&self, topic: &str) -> bool {
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// The filter inside the router. In there every topic and filter has a slash in front: its matcher panics on a topic that
    /// starts with a multi-byte character, and never matches one that starts with `$` (BROKER K1).
    pub(super) fn in_router(&self) -> String {
        format!("/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(filter: &str, topic: &str) -> bool {
        Filter::new(filter).unwrap().matches(topic)
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "a/b", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/x", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
            ("é/#", "é/x", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn wildcards_stand_alone_and_the_hash_last() {
        for text in [
            "",
            "sport/tennis#",
            "sport/#/ranking",
            "sport+",
            "#/a",
            "++",
            "$share/g",
            "$share/g/",
            "$share//a",
            "$share/+/a",
            "$share/g/#/a",
            &"/".repeat(200),
        ] {
            assert_eq!(Filter::new(text), None, "{text}");
        }
        assert!(Filter::new(&"/".repeat(199)).is_some());
        let shared =
            |text| Filter::new(text).unwrap().shared().map(|(group, filter)| (group.to_owned(), filter.to_owned()));
        assert_eq!(shared("$share/g/a/#"), Some(("g".to_owned(), "a/#".to_owned())));
        assert_eq!((shared("$share"), shared("a/$share/g/a")), (None, None));
    }

    proptest! {
        #[test]
        fn a_topic_is_matched_by_itself_and_by_every_wildcard_put_into_it(levels in prop::collection::vec("[a-cé]{0,2}", 1..5), at in 0usize..5) {
            let topic = levels.join("/");
            prop_assume!(!topic.is_empty());
            prop_assert!(matches(&topic, &topic));
            let mut plus = levels.clone();
            let at = at % levels.len();
            plus[at] = "+".into();
            prop_assert!(matches(&plus.join("/"), &topic));
            plus.truncate(at);
            plus.push("#".into());
            prop_assert!(matches(&plus.join("/"), &topic));
        }
    }
}
